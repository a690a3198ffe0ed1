"""The marks of differences of F1: can a test of this size, with these seeds, tell them from chance (paper A, V-B)?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from covid_study.scores import power
from covid_study.scores.old_claims import Resampled
from covid_study.scores.power_spread import Spread

SCORES = ["precision", "recall", "f1"]
COLUMNS = ["table", "row", "above", "column", "f1", "difference", "of_test", "of_all", "mark"]
Cell = tuple[str, str]  # row and column of a table


@dataclass(frozen=True)
class Scored:
    """What scores were measured on: exams of each class, and runs a row."""

    positives: int
    negatives: int
    seeds: int = 1


def marks(
    pairs: Sequence[tuple[str, str, str, str, dict, dict]],
    on: Scored,
    spreads: Mapping[str, Spread | None] | Spread | None,
    n: int = 1000,
) -> pd.DataFrame:
    """Mark each difference of F1 by whether this test can tell it from chance (paper A, V-B, eq. 8 and 9).

    Args:
        pairs: table, row and the row above in words, column, and the `precision`, `recall`, `f1` of both.
        on: exams and seeds behind the scores. spreads: how runs differ, one for all or by column; None: not known.
        n: simulated tests.

    Returns:
        table, row, above, column, f1, difference, of_test and of_all (what chance does 19 times in 20: with other test
        exams; with other trainings too), mark.
    """
    rows = []
    for table, row, above, column, one, other in pairs:
        spread = spreads.get(column) if isinstance(spreads, Mapping) else spreads
        difference, chance = one["f1"] - other["f1"], [np.nan, np.nan]
        if spread is not None:
            exams = on.positives, on.negatives
            rates = [power.rates_of(s["precision"], s["recall"], *exams) for s in (one, other)]
            if np.isfinite(rates).all():
                chance = [
                    power.by_chance(*rates, spread, *exams, seeds=on.seeds, n=n, training=training)
                    for training in (False, True)
                ]
        mark = power.distinguishable(difference, *chance)
        rows.append((table, row, above, column, one["f1"], difference, *chance, mark))
    return pd.DataFrame(rows, columns=COLUMNS)


def scores_here(resampled: Resampled) -> dict[Cell, dict[str, float]]:
    """Precision, recall and F1 at 0.5 of each (row, column) of our own table, means over seeds."""
    frame = pd.DataFrame(
        [(*cell[:2], *(values[m] for m in SCORES)) for cell, values in resampled.values.items()],
        columns=["row", "column", *SCORES],
    )
    return frame.groupby(["row", "column"], sort=False)[SCORES].mean().to_dict("index")


def scores_published(joined: pd.DataFrame) -> dict[Cell, dict[str, float]]:
    """The same of the paper, as they stand beside ours. joined: what `ablation_report.joined` returns."""
    theirs = joined[joined["metric"].isin(SCORES) & joined["published"].notna()]
    wide = theirs.pivot(index=["row", "column"], columns="metric", values="published")
    return wide.reindex(columns=SCORES).to_dict("index")


def mark_pairs(
    pairs: Sequence[tuple[Cell, Cell]],
    resampled: Resampled,
    joined: pd.DataFrame,
    spreads: Mapping[str, Spread | None],
    n: int = 1000,
) -> pd.DataFrame:
    """Mark our own differences of F1, for our test and seeds, and the paper's between the same cells, for its test.

    Choice: our runs differ as measured at the column of the first cell, the paper's as ours do at the largest selection
    (`reference`).

    Args:
        pairs: ((row, column), (row, column)). joined: of `ablation_report.joined`. spreads: of `power_spread.spreads`.

    Returns:
        A line a pair, in their order: of_test, of_all, mark (as `marks`), published_mark (None where the paper lacks a cell).
    """
    known = next((s for s in spreads.values() if s is not None), None)
    seeds = len({seed for *_, seed in resampled.values})
    on = Scored(known.positives, known.negatives, seeds) if known else Scored(0, 0, seeds)
    ours, theirs = scores_here(resampled), scores_published(joined)
    found = marks([("", "", "", one[1], ours[one], ours[other]) for one, other in pairs], on, spreads, n)
    printed = [(i, pair) for i, pair in enumerate(pairs) if set(pair) <= set(theirs)]
    of_paper = marks(
        [("", "", "", one[1], theirs[one], theirs[other]) for _, (one, other) in printed],
        Scored(*power.paper_test()), reference(spreads), n,
    )  # fmt: skip
    said = dict(zip((i for i, _ in printed), of_paper["mark"], strict=True))
    found["published_mark"] = [said.get(i) for i in range(len(pairs))]
    return found[["of_test", "of_all", "mark", "published_mark"]]


def reference(spreads: Mapping[str, Spread | None]) -> Spread | None:
    """How runs differ at the largest selection of a table, or at its first column where no column is a selection.

    >>> reference({"14%": None, "56%": None, "all": None}) is None
    True
    """
    selections = [c for c in spreads if c.endswith("%")]
    if selections:
        return spreads[max(selections, key=lambda c: float(c[:-1]))]
    return next(iter(spreads.values()), None)


def mark_claims(
    checked: pd.DataFrame,
    resampled: Resampled,
    joined: pd.DataFrame,
    spreads: Mapping[str, Spread | None],
    n: int = 1000,
) -> pd.DataFrame:
    """What `claims.check` found, with `mark` and `published_mark` of its differences of F1 at 0.5 (None for other scores)."""
    lines = checked[(checked["metric"] == "f1") & checked["one"].notna()]
    pairs = [((r.one, r.one_column), (r.other, r.other_column)) for r in lines.itertuples()]
    found = mark_pairs(pairs, resampled, joined, spreads, n).set_axis(lines.index)[["mark", "published_mark"]]
    return checked.join(found.astype(object))
