"""What paper A says of Table VI, and what the losses let one expect, as paired differences between its runs."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from covid_study.report import show
from covid_study.scores import old_claims as paired, published as papers
from covid_study.scores.old_claims import MEAN, Claim, Resampled, paired_difference, verdict
from covid_study.tables.a6_online import STRATEGIES

F1S = ("f1", "f1_validation", "auc")
GAINS = (  # one strategy against another, on each training set
    Claim("oversampling", "Oversampling scores higher than no strategy", "V-F", "oversampling", "none", F1S),
    Claim("ohem", "OHEM scores higher than no strategy", "V-F", "ohem", "none", F1S),
    Claim("focal", "Focal loss scores higher than no strategy", "V-F", "focal", "none", F1S),
    Claim("ohem_oversampling", "OHEM scores higher than oversampling", "V-F", "ohem", "oversampling", F1S),
    Claim("ohem_focal", "OHEM scores higher than focal loss", "V-F", "ohem", "focal", F1S),
)
SELECTION = Claim(
    "selection", "The selection scores higher than all negatives, under each strategy", "V-F", "", "all", F1S
)
Pairs = Mapping[str, tuple[tuple[str, str], tuple[str, str]]]  # column -> two cells of the table


def gains(resampled: Resampled, training: Sequence[str]) -> pd.DataFrame:
    """Does each strategy raise the scores, and OHEM the most? As `claims.check`, a column a training set.

    training: rows of the table, from small to large, e.g. ("56%", "all").
    """
    return _against(resampled, GAINS, training)


def selection(resampled: Resampled, selected: str) -> pd.DataFrame:
    """Is the selection better than all negatives? As `claims.check`, a column a strategy."""
    pairs = {strategy: ((selected, strategy), ("all", strategy)) for strategy in STRATEGIES}
    return pd.DataFrame(_lines(resampled, SELECTION, pairs))


def moves(resampled: Resampled, exposure: pd.DataFrame) -> pd.DataFrame:
    """Do recall and precision at 0.5 move as the line of each strategy says? As `claims.check`, a column a training set.

    Args:
        exposure: what `a6_online.exposure` returns. A line below a half calls more exams positive: more recall, less precision.
            A strategy without a line, or with that of none, says nothing.
    """
    expected = []
    for strategy in STRATEGIES[1:]:
        sides = np.sign(0.5 - exposure.loc[exposure["column"] == strategy, "line"].to_numpy())
        if not (sides == sides[0]).all() or sides[0] == 0:
            continue
        for metric, up in (("recall", sides[0] > 0), ("precision", sides[0] < 0)):
            one, other = (strategy, "none") if up else ("none", strategy)
            text = f"{show.column_head(strategy)} {'raises' if up else 'lowers'} {metric}"
            expected.append(Claim(f"{strategy}_{metric}", text, "", one, other, (metric,)))
    return _against(resampled, expected, tuple(dict.fromkeys(exposure["row"]))[::-1])


def _against(resampled: Resampled, claims: Iterable[Claim], training: Sequence[str]) -> pd.DataFrame:
    lines = []
    for claim in claims:
        lines += _lines(resampled, claim, {row: ((row, claim.one), (row, claim.other)) for row in training})
    return pd.DataFrame(lines)


def _lines(resampled: Resampled, claim: Claim, pairs: Pairs) -> list[dict]:
    paper = papers.table("A.VI").set_index(["row", "column", "metric"])["value"]
    compared = {column: [pair] for column, pair in pairs.items()} | {MEAN: list(pairs.values())}
    rows = []
    for metric in claim.metrics:
        for column, cells in compared.items():
            found = paired_difference(resampled, cells, metric)
            theirs = [paper.get((*a, metric), np.nan) - paper.get((*b, metric), np.nan) for a, b in cells]
            rows.append(
                {"table": "A.VI", "claim": claim.key, "text": claim.text, "where": claim.where}
                | {"metric": metric, "column": column, **paired.cells(cells), **found, "published": np.mean(theirs)}
                | {"verdict": verdict(found["low"], found["high"], resampled.fewest)}
            )  # fmt: skip
    return rows
