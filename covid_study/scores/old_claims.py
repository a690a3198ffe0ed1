"""Does a claim of paper A hold on the exams at hand? Paired differences between the rows of Tables III and V.

Two classifiers are compared on the same resamples of the same test patients, so that what makes an exam easy or hard
for both does not count as a difference between them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from covid_study.errors import StudyError
from covid_study.samples.samples import Samples
from covid_study.scores import binary as metrics, published as papers, resamples
from covid_study.training.run import predictions

Cell = tuple[str, str, int]  # row and column of the table, seed
SCORES = (*metrics.SCORES, "precision_validation", "recall_validation", "f1_validation")
HOLDS, FAILS, UNCLEAR, TOO_FEW = "holds", "does not hold", "cannot be told apart", "too few test patients"
FEWEST = 10  # patients with COVID-19, and without, below which a percentile interval is not to be believed
MEAN = "mean"  # in place of a column: over all sizes of the claim


@dataclass(frozen=True)
class Claim:
    """Row `one` is said to score higher than row `other`; a positive difference speaks for the claim.

    `sizes`: "every" selection, the "smaller" ones (all but the largest), or the "largest"; `against` is the column of
    `other` where it is not the same.
    """

    key: str
    text: str
    where: str
    one: str
    other: str
    metrics: tuple[str, ...]  # first the one that the paper judges by
    sizes: str = "every"
    against: str | None = None


F1S = ("f1", "f1_validation", "auc")
CLAIMS: dict[str, tuple[Claim, ...]] = {
    "A.III": (
        Claim(
            "both", "Both tracks together score higher than a random selection", "V-D", "both", "random", F1S
        ),
        Claim(
            "all",
            "The largest selection by both tracks is at least as good as all negatives",
            "V-D1",
            "both",
            "random",
            ("f1", "precision", "f1_validation", "auc"),
            sizes="largest",
            against="all",
        ),
        Claim(
            "recall",
            "Selected by difficulty alone, recall is higher than by diversity alone",
            "VI-1",
            "difficulty",
            "diversity",
            ("recall", "recall_validation"),
        ),
        Claim(
            "precision",
            "Selected by diversity alone, precision is higher than by difficulty alone",
            "VI-1",
            "diversity",
            "difficulty",
            ("precision", "precision_validation"),
        ),
        Claim(
            "pretrained",
            "Random first weights score higher than weights pre-trained on the positives only",
            "V-D3",
            "both",
            "both_pretrained",
            ("precision", "f1", "f1_validation", "auc"),
        ),
    ),
    "A.V": (
        Claim(
            "long_tail",
            "The long tail scores higher than a random selection",
            "V-E",
            "long_tail",
            "random",
            F1S,
        ),
        Claim(
            "normal",
            "The long tail scores higher than the normal distribution",
            "V-E",
            "long_tail",
            "normal",
            F1S,
        ),
        Claim(
            "top",
            "The top of the joint ranking scores lower than a random selection, the largest size aside",
            "V-E",
            "random",
            "top",
            F1S,
            sizes="smaller",
        ),
        Claim(
            "all_pretrained",
            "Pre-training on all samples raises the scores of the long tail",
            "V-E1",
            "long_tail_all_pretrained",
            "long_tail",
            F1S,
        ),
    ),
}


@dataclass(frozen=True)
class Resampled:
    """The scores of every run of a table: as they are, and on the same resamples of the test patients."""

    values: dict[Cell, dict[str, float]]
    draws: dict[Cell, dict[str, np.ndarray]]  # metric -> (n,); n is 0 where no interval is possible
    fewest: int  # test patients in the smaller class


def resample(v: Samples, folders: Mapping[Cell, Path], n: int = 1000, seed: int = 0) -> Resampled:
    """Score every run on the same n resamples of the test patients, drawn within their class (paper A, eq. 8, 9).

    Choice: the threshold that was chosen on the validation split is not chosen anew for each resample.

    Args:
        folders: what `ablation.train_all` returns. n: resamples. seed: of the draw.

    Raises:
        StudyError: two runs were tested on different exams, so that nothing can be paired.
    """
    tables = {cell: predictions(folder).set_index("exam_id").sort_index() for cell, folder in folders.items()}
    tests = {cell: table[table["split"] == "test"] for cell, table in tables.items()}
    first_cell, first = next(iter(tests.items()))
    for cell, test in tests.items():
        if not test.index.equals(first.index):
            raise StudyError(
                f"{cell} was tested on {len(test)} exams, {first_cell} on {len(first)} others: train both anew"
            )
    thresholds = {}
    for cell, table in tables.items():
        validation = table[table["split"] == "validation"]
        thresholds[cell] = metrics.best_f1_threshold(validation["label"], validation["probability"]).threshold
    y = first["label"].to_numpy().astype(int)
    drawn = resamples.Resamples(y, v.table["patient_id"].loc[first.index], n, seed)
    fewest, parts = drawn.fewest, {cell: [] for cell in folders}
    for weights in drawn.weights():
        for cell, test in tests.items():
            parts[cell].append(_weighted(y, test["probability"].to_numpy(), thresholds[cell], weights))
    draws = {
        cell: {m: np.concatenate([b[m] for b in blocks]) if blocks else np.empty(0) for m in SCORES}
        for cell, blocks in parts.items()
    }
    values = {cell: _values(y, test["probability"], thresholds[cell]) for cell, test in tests.items()}
    return Resampled(values, draws, fewest)


def _weighted(y, p, threshold: float, weights: np.ndarray) -> dict[str, np.ndarray]:
    moved = metrics.weighted_scores(y, p, threshold, weights)
    return metrics.weighted_scores(y, p, 0.5, weights) | _suffixed(moved)


def _values(y, p, threshold: float) -> dict[str, float]:
    moved = metrics.classification_scores(y, p, threshold)
    return metrics.classification_scores(y, p) | _suffixed(moved)


def _suffixed(scores: dict) -> dict:
    return {f"{m}_validation": scores[m] for m in ("precision", "recall", "f1")}


def paired_difference(
    resampled: Resampled,
    pairs: Sequence[tuple[tuple[str, str], tuple[str, str]]],
    metric: str,
    level: float = 0.95,
) -> dict:
    """How much higher one row scores than another, with a paired interval.

    Choice: seeds are averaged before the percentiles are taken; with several seeds Student's t interval of the
    differences of the seeds is added in quadrature, as in `binary.over_seeds`. With one seed the interval knows
    nothing of what another training would give.

    Args:
        pairs: ((row, column), (row, column)); of several, the mean difference is taken.

    Returns:
        difference, low, high (fractions; NaN where not defined), seeds (those with a defined difference).
    """
    seeds, values, draws = {cell[2] for cell in resampled.values}, [], []
    for seed in sorted(seeds):
        if all((*cell, seed) in resampled.values for pair in pairs for cell in pair):
            of = [((*one, seed), (*other, seed)) for one, other in pairs]
            values.append(np.mean([resampled.values[a][metric] - resampled.values[b][metric] for a, b in of]))
            draws.append(
                np.mean([resampled.draws[a][metric] - resampled.draws[b][metric] for a, b in of], axis=0)
            )
    known = np.flatnonzero(np.isfinite(values))
    found = {"difference": np.nan, "low": np.nan, "high": np.nan, "seeds": len(known)}
    if not len(known):
        return found
    mean, below, above, half = resamples.joined([values[i] for i in known], [draws[i] for i in known], level)
    low, high = mean - np.hypot(below, half), mean + np.hypot(above, half)
    return found | {"difference": mean, "low": np.clip(low, -1, 1), "high": np.clip(high, -1, 1)}


def cells(pairs: Sequence[tuple[tuple[str, str], tuple[str, str]]]) -> dict[str, str | None]:
    """Which two cells of a table a line compares; None where it is a mean over several pairs.

    >>> cells([(("both", "56%"), ("random", "all"))])
    {'one': 'both', 'one_column': '56%', 'other': 'random', 'other_column': 'all'}
    """
    names = ("one", "one_column", "other", "other_column")
    if len(pairs) > 1:
        return dict.fromkeys(names)
    return dict(zip(names, (*pairs[0][0], *pairs[0][1]), strict=True))


def verdict(low: float, high: float, fewest: int = FEWEST) -> str:
    """What an interval of a difference says about a claim.

    Choice: with fewer than 10 test patients with or without COVID-19 nothing is said.

    >>> verdict(0.01, 0.2), verdict(-0.1, 0.1), verdict(-0.2, -0.1), verdict(0.1, 0.2, fewest=1)
    ('holds', 'cannot be told apart', 'does not hold', 'too few test patients')
    """
    if fewest < FEWEST or not np.isfinite([low, high]).all():
        return TOO_FEW
    return HOLDS if low > 0 else FAILS if high < 0 else UNCLEAR


def check(
    resampled: Resampled, name: str, columns: Sequence[str], claims: Sequence[Claim] | None = None
) -> pd.DataFrame:
    """Every claim of a table against the runs, at every size that the claim is about and on average over them.

    Args:
        name: "A.III" or "A.V". columns: the sizes, from small to large, without "all".
        claims: about the table; CLAIMS[name] unless given.

    Returns:
        Tidy: table, claim, text, where, metric, column ("mean": over the sizes), the two cells (see `cells`), difference,
        low, high, seeds, published (the paper's difference), verdict. Differences are fractions. Claims about rows that
        were not run are left out.
    """
    paper = papers.table(name).set_index(["row", "column", "metric"])["value"]
    ran, rows = {cell[:2] for cell in resampled.values}, []
    for claim in CLAIMS[name] if claims is None else claims:
        chosen = {"every": columns, "largest": columns[-1:], "smaller": columns[:-1] or columns}[claim.sizes]
        pairs = {c: ((claim.one, c), (claim.other, claim.against or c)) for c in chosen}
        if not {cell for pair in pairs.values() for cell in pair} <= ran:
            continue
        lines = {c: [pair] for c, pair in pairs.items()}
        if len(pairs) > 1:
            lines[MEAN] = list(pairs.values())
        for metric in claim.metrics:
            for column, compared in lines.items():
                found = paired_difference(resampled, compared, metric)
                theirs = [
                    paper.get((*a, metric), np.nan) - paper.get((*b, metric), np.nan) for a, b in compared
                ]
                rows.append(
                    {"table": name, "claim": claim.key, "text": claim.text, "where": claim.where}
                    | {"metric": metric, "column": column, **cells(compared), **found, "published": np.mean(theirs)}
                    | {"verdict": verdict(found["low"], found["high"], resampled.fewest)}
                )  # fmt: skip
    return pd.DataFrame(rows)


def overall(lines: pd.DataFrame) -> str:
    """The verdict on a claim by one metric, from its lines in `check`.

    Choice: it fails where the paper's direction is reversed at any size; it holds where it holds at every size, "on
    average" where the mean over the sizes alone can be told from zero. The intervals are not widened for their number.

    >>> lines = pd.DataFrame({"column": ["14%", "56%", "mean"], "verdict": [UNCLEAR, HOLDS, HOLDS]})
    >>> overall(lines), overall(lines[:2]), overall(lines[1:2])
    ('holds on average', 'holds at 1 of 2 sizes', 'holds')
    """
    sizes = lines.loc[lines["column"] != MEAN, "verdict"].tolist()
    mean = lines.loc[lines["column"] == MEAN, "verdict"].tolist()
    if FAILS in sizes + mean:
        return FAILS
    if HOLDS not in sizes + mean:
        return UNCLEAR if UNCLEAR in sizes + mean else TOO_FEW
    if set(sizes) == {HOLDS}:
        return HOLDS
    return "holds on average" if HOLDS in mean else f"holds at {sizes.count(HOLDS)} of {len(sizes)} sizes"
