"""Each row of a table against the row above it: paired on the same test exams and seeds, and marked (paper A, V-B)."""

from collections.abc import Mapping, Sequence

import pandas as pd

from covid_study.report import verdicts_power as verdicts
from covid_study.scores import power_marks
from covid_study.scores.old_claims import FAILS, HOLDS, TOO_FEW, Resampled, paired_difference, verdict
from covid_study.scores.power_spread import Spread

METRICS = ("f1", "auc")  # F1 at 0.5 is the paper's, and what is marked


def compare(
    resampled: Resampled,
    joined: pd.DataFrame,
    spreads: Mapping[str, Spread | None],
    n: int = 1000,
    rows: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Differences of F1 and AUC between each row and the one above it that was run in the same column.

    Args:
        resampled: of `claims.resample`. joined: of `ablation_report.joined`. spreads: of `power_spread.spreads`.
        n: simulated tests behind a mark. rows: their order; that of `joined` unless given.

    Returns:
        table, row, above, label, above_label, column, metric, difference, low, high (paired 95 % interval), seeds, verdict,
        published (the paper's difference); for F1 also of_test, of_all, mark and published_mark, as
        `power_marks.mark_pairs`. Differences are fractions.
    """
    words = joined.drop_duplicates("row").set_index("row")["label"]
    paper = joined.dropna(subset="published").set_index(["row", "column", "metric"])["published"]
    ran = dict.fromkeys(cell[:2] for cell in resampled.values)
    columns = dict.fromkeys(joined["column"])
    pairs = []
    for column in columns:
        here = [row for row in rows or dict.fromkeys(joined["row"]) if (row, column) in ran]
        pairs += [((row, column), (above, column)) for above, row in zip(here, here[1:], strict=False)]
    marked = power_marks.mark_pairs(pairs, resampled, joined, spreads, n)
    lines = []
    for (one, other), mark in zip(pairs, marked.to_dict("records"), strict=True):
        for metric in METRICS:
            found = paired_difference(resampled, [(one, other)], metric)
            theirs = paper.get((*one, metric)), paper.get((*other, metric))
            lines.append(
                {"table": joined["table"].iloc[0], "row": one[0], "above": other[0]}
                | {"label": words[one[0]], "above_label": words[other[0]], "column": one[1], "metric": metric}
                | found
                | {"verdict": verdict(found["low"], found["high"], resampled.fewest)}
                | {"published": float("nan") if None in theirs else theirs[0] - theirs[1]}
                | (mark if metric == "f1" else dict.fromkeys(mark))
            )  # fmt: skip
    order = list(rows or dict.fromkeys(joined["row"]))
    found = pd.DataFrame(lines, columns=COLUMNS)
    return found.sort_values("row", key=lambda r: r.map(order.index), kind="stable", ignore_index=True)


COLUMNS = [
    "table", "row", "above", "label", "above_label", "column", "metric", "difference", "low", "high", "seeds", "verdict",
    "published", "of_test", "of_all", "mark", "published_mark",
]  # fmt: skip


def sentence(found: pd.DataFrame, spreads: Mapping[str, Spread | None], n: int = 1000) -> str:
    """How many of the differences can be told from zero by their intervals, and from chance by their marks.

    found: of `compare`. n: simulated tests.
    """
    f1 = found[found["metric"] == "f1"]
    marks = verdicts.marks_sentence(f1, "differences of F1 between a row and the one above it here")
    if f1.empty:
        return marks
    here = {column: spreads.get(column) for column in dict.fromkeys(f1["column"])}
    said = [f"{_intervals(f1)} {marks}", verdicts.spread_sentence(here, n), _lone(here)]
    return "\n\n".join(part for part in said if part)


def _intervals(f1: pd.DataFrame) -> str:
    known = f1[f1["verdict"] != TOO_FEW]
    if known.empty:
        return (
            "The test patients with or without COVID-19 are too few for the paired intervals to be believed."
        )
    clear = int(known["verdict"].isin([HOLDS, FAILS]).sum())
    what = (
        f"the paired intervals of {len(known)} differences of F1"
        if len(known) > 1
        else "the one paired interval of F1"
    )
    return f"Of {what}, {clear or 'none'} {'leave' if clear > 1 else 'leaves'} zero out."


def _lone(spreads: Mapping[str, Spread | None]) -> str:
    """A warning where all that is known of trainings is the difference that is to be judged."""
    known = [s for s in spreads.values() if s is not None]
    if not known or any(s.by == "seeds" or s.runs > 2 for s in known):
        return ""
    return (
        "With two runs a column and one seed, the difference between the rows is all that is known of how trainings differ, "
        "so that no mark here can come out as told apart: that takes more seeds."
    )
