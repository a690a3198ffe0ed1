"""Intervals of scores: patients of the test split drawn with replacement, by class and with all their exams or slices.

What is compared is compared on the same draw. `seeds` joins the spread over several trainings to it.

Choice: 95 % intervals over the test patients, where paper A gives single numbers and paper B deviations over 10 trainings.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from covid_study.errors import StudyError
from covid_study.scores import binary

BLOCK = 2**22  # weights held at once: 32 MiB
LEVEL = 0.95
FEWEST = 2  # patients of a class below which nothing is known about the spread


class Interval(NamedTuple):
    """A value with its 95 % interval; NaN and a note where it is not defined."""

    value: float = np.nan
    low: float = np.nan
    high: float = np.nan
    note: str = ""


class Resamples:
    """n resamples of the patients of a test split, drawn with replacement within their class.

    Choice: a patient with exams of several classes counts for COVID-19 if any is, else for the first of the classes.

    Args:
        labels: (cases,) 1 for COVID-19, 0 otherwise; with `classes`, the number of the class, 0 for COVID-19.
        patients: (cases,) who each exam or slice is of; None: each is a patient of its own.
        n: resamples. seed: of the draw, or a generator that several draws share.
        classes: how many there are, where there are not the two of paper A; 1: nobody is told apart.

    Attributes:
        patient: int (cases,), the patient's number. strata: the numbers of the patients of each class.
        fewest: patients in the smaller of COVID-19 and the rest.

    >>> drawn = Resamples([1, 1, 0, 0], patients=list("abcc"), n=500)
    >>> drawn.fewest, [len(s) for s in drawn.strata]
    (1, [2, 1])
    >>> recall = Resamples([1, 1, 0, 0]).draws(lambda w: {"recall": w[:, 0] / w[:, :2].sum(axis=1)})["recall"]
    >>> Resamples.interval(recall)
    (0.0, 1.0)
    """

    def __init__(self, labels, patients=None, n: int = 1000, seed=0, classes: int | None = None):
        labels = np.asarray(labels).ravel().astype(int)
        if patients is not None and len(patients) != len(labels):
            raise StudyError(
                f"{len(labels)} exams but {len(patients)} patients: give the patient of every exam."
            )
        self.n, self.seed, self.cases = n, seed, len(labels)
        names = np.arange(len(labels)) if patients is None else np.asarray(patients)
        self.patient = np.unique(names, return_inverse=True)[1]
        classes, labels = (2, 1 - labels) if classes is None else (classes, labels)
        lowest = np.full(self.patient.max(initial=-1) + 1, classes)
        np.minimum.at(lowest, self.patient, labels)
        self.strata = [np.flatnonzero(lowest == k) for k in range(classes)]
        sides = [len(self.strata[0]), sum(map(len, self.strata[1:]))][:classes]
        self.fewest = min(sides)

    def weights(self, fewest: int = FEWEST) -> Iterator[np.ndarray]:
        """How often each case is drawn: blocks of (some of the n, cases) float64; none below `fewest` patients of a class.

        >>> next(Resamples([1, 0, 0], ["a", "b", "b"]).weights(fewest=1))[0].tolist()
        [1.0, 1.0, 1.0]
        """
        rng, step = np.random.default_rng(self.seed), max(1, BLOCK // max(1, self.cases))
        strata = [members for members in self.strata if len(members)]
        for start in range(0, self.n if self.cases and self.fewest >= fewest else 0, step):
            counts = np.zeros((min(step, self.n - start), self.patient.max() + 1))
            for members in strata:
                k = len(members)
                counts[:, members] = rng.multinomial(k, np.full(k, 1 / k), size=len(counts))
            yield counts[:, self.patient]

    def draws(self, score: Callable[[np.ndarray], Mapping], fewest: int = FEWEST) -> dict:
        """Scores in every resample: name -> (n,); empty where there is none. score: weights -> name -> (k,)."""
        blocks = [score(weights) for weights in self.weights(fewest)]
        return (
            {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]} if blocks else {}
        )

    @staticmethod
    def interval(draws) -> tuple[float, float]:
        """Percentiles of the defined draws: low, high; NaN where there are none.

        Precision has no value where a resample calls nothing positive.

        >>> np.round(Resamples.interval([0.0, 100.0, np.nan]), 6).tolist()
        [2.5, 97.5]
        """
        draws = np.asarray(draws, float)
        draws = draws[np.isfinite(draws)]
        if not len(draws):
            return np.nan, np.nan
        low, high = np.percentile(draws, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
        return float(low), float(high)

    def table(
        self, values: Mapping, score: Callable[[np.ndarray], Mapping], fewest: int = FEWEST
    ) -> pd.DataFrame:
        """Scores with their intervals: index the names of `values`; value, low, high, note.

        The interval of an undefined score is NaN; one of width 0 (no mistake was made) is kept and noted, as resampling
        cannot see how rare a mistake is. values: as they are. score: as for `draws`.

        >>> Resamples([1, 0]).table({"recall": 1.0}, lambda w: {"recall": w[:, 0]})["note"].iloc[0]
        'no interval: 1 patients of the smaller class, 2 needed'
        """
        drawn = self.draws(score, fewest)
        note = "" if drawn else f"no interval: {self.fewest} patients of the smaller class, {FEWEST} needed"
        rows = {}
        for name, value in values.items():
            low, high = self.interval(drawn[name]) if drawn and np.isfinite(value) else (np.nan, np.nan)
            same = "every resample is the same: too few mistakes to show a spread" if low == high else note
            rows[name] = value, low, high, same if np.isfinite(value) or not drawn else "not defined"
        return pd.DataFrame(
            rows.values(), pd.Index(rows, tupleize_cols=False), ["value", "low", "high", "note"]
        )


def auc_interval(y_true, score, patients=None, n: int = 1000, seed: int = 0) -> Interval:
    """Area under the ROC curve of any score. y_true: (cases,) 0 or 1. score: larger means 1, any unit.

    >>> auc_interval([0, 0, 1, 1], [1.0, 2.0, 2.5, 9.0])[:3]
    (1.0, 1.0, 1.0)
    """
    y, p = binary.checked(y_true, score)
    value = binary.classification_scores(y, p)["auc"]
    row = (
        Resamples(y, patients, n, seed)
        .table({"auc": value}, lambda w: binary.weighted_scores(y, p, 0.5, w))
        .loc["auc"]
    )
    return Interval(*map(float, row[["value", "low", "high"]]), row["note"])


def auc_difference(y_true, first, second, patients=None, n: int = 1000, seed: int = 0) -> Interval:
    """AUC of `first` less AUC of `second` on the same cases, paired: what makes a case hard for both cancels.

    Returns:
        NaN with a note where a class is missing or a score is not known.

    >>> auc_difference([0, 0, 1, 1], [1, 2, 3, 4], [4, 3, 2, 1])[:3]
    (1.0, 1.0, 1.0)
    """
    y, scores = np.asarray(y_true).astype(int), [np.asarray(s, dtype=float) for s in (first, second)]
    if len(y) == 0 or y.min() == y.max() or not all(np.isfinite(s).all() for s in scores):
        return Interval(note="a class is missing, or a score is not known")

    def gap(weights: np.ndarray) -> dict[str, np.ndarray]:
        one, other = (binary.weighted_scores(y, s, 0.5, weights)["auc"] for s in scores)
        return {"auc": one - other}

    value = float(gap(np.ones((1, len(y))))["auc"][0])
    row = Resamples(y, patients, n, seed).table({"auc": value}, gap).loc["auc"]
    return Interval(*map(float, row[["value", "low", "high"]]), row["note"] if np.isnan(row["low"]) else "")


def patient_means(values, patients, n: int, seed=0) -> np.ndarray:
    """The mean of cases in each of n resamples of their patients: float (n,) or, of (cases, k) values, (n, k).

    Returns:
        No resamples (length 0) with fewer than two patients.

    >>> patient_means([0.0, 1.0], ["a", "a"], 5).shape
    (0,)
    >>> bool(abs(patient_means([0.0, 1.0], ["a", "b"], 4000).mean() - 0.5) < 0.02)
    True
    """
    values = np.asarray(values, float)
    drawn = Resamples(np.zeros(len(values)), patients, n, seed, classes=1)
    found = drawn.draws(lambda w: {"mean": ((w @ values).T / w.sum(axis=1)).T})
    return found["mean"] if found else np.empty((0, *values.shape[1:]))
