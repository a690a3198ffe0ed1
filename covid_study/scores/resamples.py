"""Intervals: the one place of the study where a 95 % interval comes from.

Of a score, patients of the test split are drawn with replacement, stratified by class and with all their exams or slices;
of several trainings, Student's t for the mean over seeds is joined to it. What is compared is compared on the same draw.

Choice: 95 % intervals over the test patients, where paper A gives single numbers and paper B deviations over 10 trainings.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from covid_study.errors import StudyError
from covid_study.scores import binary

BLOCK = 2**22  # weights held at once: 32 MiB
LEVEL = 0.95
FEWEST = 2  # patients of a class below which nothing is known about the spread


class Interval(NamedTuple):
    """A value with its 95 % interval; NaN and a note where it is not defined."""

    value: float
    low: float
    high: float
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
    def interval(draws, level: float = LEVEL) -> tuple[float, float]:
        """Percentiles of the defined draws: low, high; NaN where there are none.

        Precision has no value where a resample calls nothing positive.

        >>> Resamples.interval([0.0, 1.0, np.nan], level=0.5)
        (0.25, 0.75)
        """
        draws = np.asarray(draws, float)
        draws = draws[np.isfinite(draws)]
        if not len(draws):
            return np.nan, np.nan
        low, high = np.percentile(draws, [50 * (1 - level), 50 * (1 + level)])
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


def bootstrap_intervals(
    y_true, p, patients=None, threshold: float = 0.5, n: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Every score of paper A, V-B (eq. 8, 9) with its interval over the test patients.

    Args:
        y_true, p, threshold: as in `binary.classification_scores`. patients, n, seed: as in `Resamples`.

    Returns:
        Index `metric`; columns value, low, high, note.

    >>> bootstrap_intervals([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1]).loc["auc", ["value", "low", "high"]].tolist()
    [0.75, 0.0, 1.0]
    """
    y, p = binary.checked(y_true, p)
    scores = binary.classification_scores(y, p, threshold)
    drawn = Resamples(y, patients, n, seed)
    table = drawn.table(
        {m: scores[m] for m in binary.SCORES}, lambda w: binary.weighted_scores(y, p, threshold, w)
    )
    table["note"] = [
        note if scores["note"] in note else f"{scores['note']}; {note}".strip("; ") for note in table["note"]
    ]
    return table.rename_axis("metric")


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
    if any(len(s) != len(y) for s in scores):
        raise StudyError(f"{len(y)} labels but {[len(s) for s in scores]} scores: give both of every exam.")
    if len(y) == 0 or y.min() == y.max() or not all(np.isfinite(s).all() for s in scores):
        return Interval(np.nan, np.nan, np.nan, "a class is missing, or a score is not known")

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


def spearman_interval(x, y, level: float = LEVEL) -> Interval:
    """Spearman's rank correlation of the same exams, with the interval of Bonett and Wright (2000).

    >>> spearman_interval([1, 2, 3, 4, 5, 6], [1, 2, 4, 3, 5, 6]).value.round(3)
    np.float64(0.943)
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if len(x) != len(y):
        raise StudyError(f"{len(x)} and {len(y)} values: a correlation needs both of every exam.")
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Interval(np.nan, np.nan, np.nan, f"{len(x)} exams, or all values equal: no correlation")
    rho = stats.spearmanr(x, y).statistic
    if len(x) < 4:
        return Interval(float(rho), np.nan, np.nan, "3 exams: no interval")
    half = stats.norm.ppf(0.5 + level / 2) * np.sqrt((1 + rho**2 / 2) / (len(x) - 3))
    z = np.arctanh(np.clip(rho, -1 + 1e-12, 1 - 1e-12))
    return Interval(rho, *(float(v) for v in np.tanh([z - half, z + half])))


def proportion_difference(right: Sequence[int], answers: Sequence[int], level: float = LEVEL) -> tuple:
    """Difference of two proportions with Newcombe's interval (1998, method 10, from Wilson's): value, low, high.

    Args:
        right, answers: of the one and of the other; NaN where there is no answer.

    >>> [round(float(x), 4) for x in proportion_difference((56, 48), (70, 80))]  # Newcombe's first example
    [0.2, 0.0524, 0.3339]
    """
    if not all(answers):
        return np.nan, np.nan, np.nan
    one, other = (n / of for n, of in zip(right, answers, strict=True))
    a, b = (
        stats.binomtest(n, of).proportion_ci(level, "wilson") for n, of in zip(right, answers, strict=True)
    )
    low = one - other - np.hypot(one - a.low, b.high - other)
    return one - other, low, one - other + np.hypot(a.high - one, other - b.low)


def seeds_half(values, level: float = LEVEL) -> float:
    """Half the width of Student's t interval for the mean over seeds; 0 with one seed, of which nothing is known.

    >>> round(seeds_half([0.6, 0.7, 0.8]), 4)  # t, 2 degrees of freedom
    0.2484
    """
    k = len(values)
    return float(stats.t.ppf(0.5 + level / 2, k - 1) * np.std(values, ddof=1) / np.sqrt(k)) if k > 1 else 0.0


def over_seeds(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean, deviation and interval over seeds.

    Args:
        frame: tidy, one row a run and score: any of `table`, `row`, `column`, `metric`, then `seed`, `value` and, where
            known, `low` and `high` (of that run). Scores are fractions.

    Returns:
        The key columns, then `mean`, `sd` (NaN for one seed), `low`, `high`, `seeds`.

    Choice: the interval joins two sources: which patients are in the test split (the mean half-width of the runs, which
    more seeds do not shrink) and the seed (Student's t for the mean); the half-widths are added in quadrature.

    >>> runs = pd.DataFrame({"row": "random", "metric": "f1", "seed": [0, 1], "value": [0.7, 0.8]})
    >>> over_seeds(runs)[["row", "mean", "seeds"]].values.tolist()
    [['random', 0.75, 2]]
    """
    keys = [c for c in ("table", "row", "column", "metric") if c in frame]
    twice = frame.duplicated([*keys, "seed"])
    if twice.any():
        first = frame.loc[twice, [*keys, "seed"]].iloc[0].to_dict()
        raise StudyError(f"Two values for the same run and score, {first}: average a seed's runs first.")
    rows = []
    for key, runs in frame.groupby(keys, sort=False, dropna=False):
        runs = runs[runs["value"].notna()]  # precision has no value where nothing is called positive
        value, k = runs["value"], len(runs)
        mean, half = value.mean(), seeds_half(value)
        below = above = 0.0 if k > 1 else np.nan
        if {"low", "high"} <= set(runs) and runs[["low", "high"]].notna().all(axis=1).any():
            below, above = (value - runs["low"]).mean(), (runs["high"] - value).mean()
        low, high = mean - np.hypot(half, below), mean + np.hypot(half, above)
        if "metric" in runs and k and str(runs["metric"].iloc[0]).startswith(binary.SCORES):
            low, high = np.clip([low, high], 0, 1)
        rows.append((*key, mean, value.std(ddof=1) if k > 1 else np.nan, low, high, k))
    return pd.DataFrame(rows, columns=[*keys, "mean", "sd", "low", "high", "seeds"])


def joined(values, draws, level: float = LEVEL) -> tuple[float, float, float, float]:
    """The mean over seeds of a difference, half-widths below and above it over the patients, and that over the seeds.

    Choice: seeds are averaged before the percentiles are taken, so that what other test patients would change stands once.

    Args:
        values: (seeds,). draws: (seeds, n), on the same resamples; n may be 0.
    """
    mean, (low, high) = float(np.mean(values)), Resamples.interval(np.mean(draws, axis=0), level)
    return (
        mean,
        float(np.maximum(0, mean - low)),
        float(np.maximum(0, high - mean)),
        seeds_half(values, level),
    )
