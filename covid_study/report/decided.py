"""A verdict in words, rows against the rows above them, and how sure printed scores can be."""

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from covid_study.report import show
from covid_study.report.show import points
from covid_study.report.words import column_head, counted, metric_head
from covid_study.scores import published


def between(low: float, high: float) -> str:
    """The ends of an interval of a difference.

    >>> between(-0.01, 0.1)
    '-1.0 to +10.0'
    """
    return " to ".join(filter(None, map(points, (low, high))))


def in_words(line: pd.Series) -> str:
    """A claim of `claims.decide` as the headline of a page: its verdict and its number.

    >>> line = {"text": "Both beat random", "verdict": "open", "score": "f1", "kind": "difference", "difference": 0.042,
    ...         "low": -0.01, "high": 0.1, "seeds": 1, "fewest": 9, "needs": "3 seeds at least, 10 patients"}
    >>> in_words(pd.Series(line))
    'Both beat random: open. F1 +4.2 points, 95 % interval -1.0 to +10.0 (1 seed); to close it: 3 seeds at least, 10 patients.'
    """
    number = show.amount_text(line, "difference") or "not defined"
    said = f"{line['text']}: {line['verdict']}. {metric_head(line['score'])} {number}"
    said += " points" * (line["kind"] == "difference" and pd.notna(line["difference"]))
    if ends := show.between_text(line):
        said += f", 95 % interval {ends}"
    said += f" ({counted(int(line['seeds']), 'seed')})"
    return f"{said}; to close it: {line['needs']}." if line["needs"] else f"{said}."


def rows_above(found: pd.DataFrame, title: str = "") -> Styler:
    """Each row against the one above it, a line a column and score. found: of `Table.above`."""
    shown = pd.DataFrame(
        {
            "row": found["label"],
            "row above": found["above_label"],
            "on": found["column"].map(column_head),
            "score": found["score"].map(metric_head),
            "paper": found["published"].map(points),
            "here": found["difference"].map(points),
            "95 %": list(map(between, found["low"], found["high"])),
            "verdict": found["verdict"],
        }
    )
    return show.table(shown, title, index=False)


def detectable(found: pd.DataFrame, title: str = "") -> Styler:
    """Smallest differences that 80 % of the tests find, in points, a line a test and column. found: of `power.detectable`."""
    seeds = found["seeds"].map(lambda k: "seeds without end" if np.isinf(k) else counted(int(k), "seed"))
    wide = found.assign(seeds=seeds, on=found["column"].map(column_head)).pivot(
        index=["on", "patients"], columns="seeds", values="smallest"
    )
    wide = 100 * wide.reindex(columns=list(dict.fromkeys(seeds)))
    wide.index.names = ["on", "test patients of the smaller class"]
    return show.table(wide.rename_axis(columns=None).reset_index(), title, index=False, precision=1)


def told(found: pd.DataFrame, title: str = "") -> Styler:
    """The paper's differences beside what chance alone does in its own test. found: of `power.published`."""
    words = {True: "told apart", False: "may be chance", None: "not known"}
    shown = pd.DataFrame(
        {
            "claim": found["text"],
            "paper": found["published"].map(points),
            "chance, 19 of 20 tests": [f"±{100 * x:.1f}" if pd.notna(x) else "" for x in found["by_chance"]],
            "": found["told"].map(words.get),
        }
    )
    return show.table(shown, title, index=False)


def printed(name: str) -> Styler:
    """The F1 of a table of paper A as it is printed, with the interval that the counts behind it would have given."""
    key = ["row", "column", "metric"]
    found = published.table(name).merge(published.intervals(name), on=key).query("metric == 'f1'")
    ends = zip(100 * found["low"], 100 * found["high"], strict=True)
    shown = {"row": found["label"], "on": found["column"].map(column_head), "F1": found["printed"]}
    shown["95 %"] = [f"{low:.1f} to {high:.1f}" for low, high in ends]
    exams = published.TEST_POSITIVES, published.TEST_NEGATIVES
    title = "F1 in the paper, %: {} positive and {} negative test exams".format(*exams)
    return show.table(pd.DataFrame(shown), title, index=False)
