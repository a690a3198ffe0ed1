"""How runs differ on the same test exams: what they share, and what a training changes (paper A, V-B).

Each exam is hard or easy for all classifiers alike, and each training of a classifier comes out a little different.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from covid_study.errors import StudyError
from covid_study.scores import binary
from covid_study.scores.old_claims import FEWEST, Cell
from covid_study.training.run import predictions

STEPS = 24  # kinds of exams
KINDS = ndtri(
    (np.arange(STEPS) + 0.5) / STEPS
)  # from those that few classifiers call positive to those that most do
KINDS /= np.sqrt((KINDS**2).mean())  # of variance 1, as the normal variate that it stands for


class Rates(NamedTuple):
    """A classifier at its threshold: the share of the positives, and of the negatives, that it calls positive."""

    recall: float
    false_alarms: float

    def f1(self, positives: float, negatives: float) -> float:
        """F1 on a large test with this ratio of classes (paper A, eq. 8).

        >>> Rates(0.8, 0.01).f1(50, 500)
        0.8421052631578947
        """
        found = self.recall * positives
        return 2 * found / (found + self.false_alarms * negatives + positives)


@dataclass(frozen=True)
class Spread:
    """How runs at one size of selection differ on the same test exams.

    `correlation`: latent, of the calls of two runs, among positives and among negatives. `training`: covariance of the
    probits of recall and false alarms from one training to the next. `by`: "seeds" of one row, or "rows" where there is
    one seed: rows differ by method too, so that it is an upper bound.
    """

    column: str
    rates: Rates  # of the middle run
    correlation: tuple[float, float]
    training: tuple[tuple[float, float], tuple[float, float]]
    runs: int
    by: str
    sd: float  # of the runs' F1, as measured
    positives: int
    negatives: int


STRANGERS = Spread(
    "", Rates(np.nan, np.nan), (0.0, 0.0), ((0.0, 0.0), (0.0, 0.0)), 0, "nothing", np.nan, 0, 0
)


def spreads(folders: Mapping[Cell, Path], threshold: float = 0.5) -> dict[str, Spread | None]:
    """Measure, at every size of a table, how its runs differ on the same test exams.

    Choice: one latent correlation a class (Gaussian copula) that gives the exams which both of two runs call positive, over
    all pairs of rows. From the variance of probits between runs we take away what the test exams alone bring about, which
    the pairs' disagreements show.

    Args:
        folders: (row, column, seed) -> folder of a run. threshold: `p >= threshold` is called positive.

    Returns:
        By column; None where two runs, or 10 test exams of each class, are lacking: then nothing can be said.

    Raises:
        StudyError: the runs of a column were tested on different exams.
    """
    columns = dict.fromkeys(column for _, column, _ in folders)
    return {c: _spread(c, {k: f for k, f in folders.items() if k[1] == c}, threshold) for c in columns}


def _spread(column: str, folders: Mapping[Cell, Path], threshold: float) -> Spread | None:
    tests = {}
    for cell, folder in folders.items():
        if folder not in {folders[other] for other in tests}:  # two rows may share a run
            tests[cell] = predictions(folder).query("split == 'test'").set_index("exam_id").sort_index()
    if len(tests) < 2:
        return None
    first = next(iter(tests.values()))
    if any(not test.index.equals(first.index) for test in tests.values()):
        raise StudyError(f"the runs at {column} were tested on different exams: train them anew")
    y = first["label"].to_numpy().astype(int)
    if min(y.sum(), len(y) - y.sum()) < FEWEST:
        return None
    classes = [y == 1, y == 0]
    p = {cell: test["probability"].to_numpy() for cell, test in tests.items()}
    calls = {cell: [(p[cell][c] >= threshold).astype(float) for c in classes] for cell in p}
    pairs = list(combinations(p, 2))
    of_seeds = [(a, b) for a, b in pairs if a[0] == b[0]]
    of_rows = [(a, b) for a, b in pairs if a[0] != b[0] and a[2] == b[2]]
    compared, alike = of_rows or pairs, of_seeds or pairs
    correlation = [_latent([(calls[a][c], calls[b][c]) for a, b in compared]) for c in (0, 1)]
    f1 = {cell: binary.classification_scores(y, p[cell], threshold)["f1"] for cell in p}
    middle = ndtri([[_rate(part) for part in calls[cell]] for cell in calls]).mean(axis=0)
    return Spread(
        column=column,
        rates=Rates(*ndtr(middle).tolist()),
        correlation=tuple(correlation),
        training=tuple(map(tuple, _training([(calls[a], calls[b]) for a, b in alike]).tolist())),
        runs=len({cell for pair in alike for cell in pair}),
        by="seeds" if of_seeds else "rows",
        sd=float(np.sqrt(np.mean([(f1[a] - f1[b]) ** 2 / 2 for a, b in alike]))),
        positives=int(y.sum()),
        negatives=int(len(y) - y.sum()),
    )


def _rate(called: np.ndarray) -> float:
    least = 0.5 / (len(called) + 1)
    return float(np.clip(called.mean(), least, 1 - least))  # the probits of 0 and 1 are infinite


def calling(level: np.ndarray, r: float) -> np.ndarray:
    """Chance that a run calls an exam positive, for each kind of exam (last axis): a one-factor Gaussian copula."""
    return ndtr((np.asarray(level)[..., None] + np.sqrt(r) * KINDS) / np.sqrt(1 - r))


def _latent(pairs: list) -> float:
    """The correlation that gives the share of exams which both of two runs call positive; 0 to 0.99."""
    levels = ndtri([[_rate(calls) for calls in pair] for pair in pairs])
    both = np.mean([(one * other).mean() for one, other in pairs])

    def excess(r: float) -> float:
        return float(calling(levels, r).prod(axis=1).mean() - both)

    low, high = 0.0, 0.99
    return low if excess(low) >= 0 else high if excess(high) <= 0 else brentq(excess, low, high)


def _training(pairs: list) -> np.ndarray:
    """Covariance of probits between trainings: of the pairs' differences, less what the test exams alone would give."""
    total, of_test = np.zeros((2, 2)), np.zeros(2)
    for pair in pairs:
        probits = ndtri([[_rate(part) for part in calls] for calls in pair])
        step = probits[0] - probits[1]
        total += np.outer(step, step) / 2
        slopes = np.exp(-(probits**2).sum(axis=0) / 2) / (2 * np.pi)
        of_test += [(a - b).var() / len(a) / slope / 2 for a, b, slope in zip(*pair, slopes, strict=True)]
    values, vectors = np.linalg.eigh((total - np.diag(of_test)) / len(pairs))
    return vectors @ np.diag(values.clip(0)) @ vectors.T
