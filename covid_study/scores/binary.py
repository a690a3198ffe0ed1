"""Scores of a classifier, each with a 95 % interval (paper A, V-B, eq. 8 and 9).

Scores are fractions, not per cent; COVID-19 is the positive class; `p >= threshold` is called positive.
A score that is not defined is NaN, and the `note` beside it says why.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from sklearn import metrics as sk

from covid_study.errors import StudyError

SCORES = ("precision", "recall", "f1", "auc", "average_precision")
BLOCK = 2**22  # weights of resamples held at once: 32 MiB


class Threshold(NamedTuple):
    """A decision threshold, the F1 it reaches where it was chosen, and a note where it is a fallback."""

    threshold: float
    f1: float
    note: str


class Interval(NamedTuple):
    """A value with its 95 % interval; NaN and a note where it is not defined."""

    value: float
    low: float
    high: float
    note: str = ""


def _checked(y_true, p) -> tuple[np.ndarray, np.ndarray]:
    y, p = np.asarray(y_true).ravel(), np.asarray(p, dtype=float).ravel()
    if len(y) != len(p):
        raise StudyError(f"{len(y)} labels but {len(p)} probabilities: give one of each for every exam.")
    if not np.isfinite(p).all():
        where = int(np.flatnonzero(~np.isfinite(p))[0])
        raise StudyError(
            f"The score of exam number {where} is {p[where]}: training diverged or was incomplete."
        )
    if not np.isin(y, (0, 1)).all():
        raise StudyError(f"Labels must be 0 or 1, found {sorted(set(y.tolist()))[:5]}.")
    return y.astype(int), p


def _class_note(y: np.ndarray) -> str:
    if len(y) == 0:
        return "no exams"
    if y.min() == y.max():
        return "no negative exams" if y[0] else "no positive exams"
    return ""


def classification_scores(y_true: Sequence[int], p: Sequence[float], threshold: float = 0.5) -> dict:
    """Precision, recall and F1 at a threshold, AUC and average precision (paper A, V-B, eq. 8, 9).

    Args:
        y_true: (n,) 1 for COVID-19, 0 otherwise.
        p: (n,) probability of COVID-19.
        threshold: `p >= threshold` is called positive; the paper's is 0.5.

    Returns:
        the five scores by name, `threshold`, `positives`, `negatives` and `note`.

    Choice: where no exam is called positive, precision is undefined (NaN) and F1 is 0; the paper is silent.

    Raises:
        StudyError: lengths differ, a probability is not finite, a label is neither 0 nor 1.

    >>> s = classification_scores([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1])
    >>> s["precision"], s["recall"], s["f1"], s["auc"]
    (0.5, 0.5, 0.5, 0.75)
    """
    y, p = _checked(y_true, p)
    scores = dict.fromkeys(SCORES, np.nan)
    note = _class_note(y)
    if y.any():
        called = p >= threshold
        precision, recall, f1, _ = sk.precision_recall_fscore_support(
            y, called, average="binary", zero_division=np.nan
        )
        scores |= {"precision": float(precision), "recall": float(recall), "f1": float(np.nan_to_num(f1))}
        if not called.any():
            note = "; ".join(filter(None, [note, "no exam is called positive"]))
        if not y.all():
            scores["auc"] = float(sk.roc_auc_score(y, p))
            scores["average_precision"] = float(sk.average_precision_score(y, p))
    counts = {"positives": int(y.sum()), "negatives": int((1 - y).sum())}
    return scores | {"threshold": float(threshold), **counts, "note": note}


def best_f1_threshold(y_val: Sequence[int], p_val: Sequence[float], fallback: float = 0.5) -> Threshold:
    """The threshold with the best F1 on the validation split.

    Args:
        y_val: (n,) 1 for COVID-19, 0 otherwise.
        p_val: (n,) probability of COVID-19.
        fallback: what is used where the validation split is empty or has one class only.

    Returns:
        The threshold, its F1 on the validation split, and a note (empty unless it is the fallback).

    Choice: F1 at 0.5 swings from seed to seed at the same AUC, so we give F1 at this threshold too. It lies
    half way between two neighbouring probabilities; among equally good ones the nearest to 0.5 is taken.

    >>> best_f1_threshold([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.6])
    Threshold(threshold=0.25, f1=1.0, note='')
    >>> best_f1_threshold([], []).note
    'validation split: no exams; threshold 0.5'
    """
    y, p = _checked(y_val, p_val)
    if problem := _class_note(y):
        return Threshold(fallback, np.nan, f"validation split: {problem}; threshold {fallback:g}")
    precision, recall, values = sk.precision_recall_curve(y, p)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    below = np.r_[max(0.0, 2 * values[0] - values[-1]), values[:-1]]
    values = (values + below) / 2
    best = np.flatnonzero(f1[:-1] >= f1[:-1].max() - 1e-12)
    nearest = best[np.argmin(abs(values[best] - 0.5))]
    return Threshold(float(values[nearest]), float(f1[nearest]), "")


def patient_strata(y: np.ndarray, groups) -> tuple[np.ndarray, list[np.ndarray]]:
    """Number each patient; list the patients with a positive exam and those without.

    Args:
        y: (n,) 0 or 1. groups: (n,) patients; None: each exam is a patient of its own.

    Returns:
        int (n,), the patient's number of each exam; the numbers of the patients with a positive exam, and of the others.

    >>> patient_strata(np.array([1, 0, 0]), ["a", "a", "b"])
    (array([0, 0, 1]), [array([0]), array([1])])
    """
    _, patient = np.unique(np.arange(len(y)) if groups is None else np.asarray(groups), return_inverse=True)
    positive = np.zeros(patient.max(initial=-1) + 1, bool)
    np.logical_or.at(positive, patient, y == 1)
    return patient, [np.flatnonzero(positive), np.flatnonzero(~positive)]


def resample_weights(patient, strata, n: int, rng) -> np.ndarray:
    """How often each exam is drawn in each of n resamples of patients within their class: (n, exams).

    >>> resample_weights(np.array([0, 0, 1]), [np.array([0]), np.array([1])], 1, np.random.default_rng(0))
    array([[1., 1., 1.]])
    """
    counts = np.zeros((n, sum(map(len, strata))))
    for members in strata:
        counts[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=n)
    return counts[:, patient]


def patient_means(values, patients, n: int, rng) -> np.ndarray:
    """The mean of exams or slices in each of n resamples of their patients: float (n,) or, of several values, (n, k).

    Args:
        values: (exams,) or (exams, k). patients: (exams,). rng: what patients are drawn with.

    Returns:
        No resamples (length 0) with fewer than two patients: nothing is known about the spread.

    >>> patient_means([0.0, 1.0], ["a", "a"], 5, np.random.default_rng(0)).shape
    (0,)
    >>> bool(abs(patient_means([0.0, 1.0], ["a", "b"], 4000, np.random.default_rng(0)).mean() - 0.5) < 0.02)
    True
    """
    names, patient = np.unique(np.asarray(patients), return_inverse=True)
    drawn = n if len(names) > 1 else 0
    weights = resample_weights(patient, [np.arange(len(names))], drawn, rng)
    means = weights @ np.asarray(values, float)
    return (means.T / weights.sum(axis=1)).T


def weighted_scores(y, p, threshold: float, weights: np.ndarray) -> dict[str, np.ndarray]:
    """The five scores under each row of exam weights (resamples, exams): scikit-learn's, all rows at once.

    >>> scores = weighted_scores(np.array([1, 0]), np.array([0.9, 0.6]), 0.5, np.array([[1.0, 1.0], [2.0, 1.0]]))
    >>> scores["precision"].round(2)
    array([0.5 , 0.67])
    """
    order = np.argsort(-p, kind="stable")
    y, p, weights = y[order], p[order], weights[:, order]
    last_of_tie = np.r_[np.flatnonzero(np.diff(p)), len(p) - 1]
    tp = np.cumsum(weights * y, axis=1)[:, last_of_tie]  # at each possible threshold, from high to low
    called = np.cumsum(weights, axis=1)[:, last_of_tie]
    fp, positives = called - tp, tp[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        new_tp = np.diff(tp, axis=1, prepend=0)
        new_fp = np.diff(fp, axis=1, prepend=0)
        auc = ((tp - new_tp / 2) * new_fp).sum(axis=1) / (positives * fp[:, -1])
        precision_here = np.divide(tp, called, out=np.zeros_like(tp), where=called > 0)
        average_precision = (new_tp * precision_here).sum(axis=1) / positives
        at = p >= threshold
        tp_at, called_at = (weights * y)[:, at].sum(axis=1), weights[:, at].sum(axis=1)
        return {
            "precision": tp_at / called_at,
            "recall": tp_at / positives,
            "f1": 2 * tp_at / (called_at + positives),
            "auc": auc,
            "average_precision": average_precision,
        }


def bootstrap_intervals(
    y_true, p, groups=None, threshold: float = 0.5, n: int = 1000, seed: int = 0, level: float = 0.95
) -> pd.DataFrame:
    """Every score with its percentile bootstrap interval over the patients of the test split.

    Patients are drawn with all their exams, positive patients apart from negative ones: both classes in each.

    Args:
        y_true, p, threshold: as in `classification_scores`.
        groups: (n,) patient of each exam; without them each exam is a patient of its own.
        n: resamples. seed: of their random numbers. level: of the interval.

    Returns:
        One row a score (index `metric`), columns `value`, `low`, `high`, `note`. With fewer than two patients
        of a class nothing is known about the spread: the interval is NaN and the note says so. An interval of
        width 0 (no mistake was made) is kept and noted: resampling cannot see how rare a mistake is.

    Choice: 95 % intervals over the test exams; the paper gives single numbers.

    >>> bootstrap_intervals([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1]).loc["auc", ["value", "low", "high"]].tolist()
    [0.75, 0.0, 1.0]
    """
    y, p = _checked(y_true, p)
    if groups is not None and len(groups) != len(y):
        raise StudyError(f"{len(y)} exams but {len(groups)} patients: give the patient of every exam.")
    scores = classification_scores(y, p, threshold)
    table = pd.DataFrame({"value": [scores[m] for m in SCORES]}, index=pd.Index(SCORES, name="metric"))
    table = table.assign(low=np.nan, high=np.nan, note=scores["note"])
    patient, strata = patient_strata(y, groups)
    small = min(len(s) for s in strata)
    if _class_note(y) or small < 2:
        counts = f"{len(strata[0])} patients with and {len(strata[1])} without COVID-19"
        problem = f"no interval: {counts}, 2 of each needed"
        table["note"] = "; ".join(filter(None, [scores["note"], problem]))
        return table
    rng, blocks = np.random.default_rng(seed), []
    for start in range(0, n, step := max(1, BLOCK // len(y))):
        weights = resample_weights(patient, strata, min(step, n - start), rng)
        blocks.append(weighted_scores(y, p, threshold, weights))
    tail = 50 * (1 - level)
    for metric in SCORES:
        drawn = np.concatenate([b[metric] for b in blocks])
        drawn = drawn[np.isfinite(drawn)]  # precision has no value where a resample calls nothing positive
        if len(drawn) and np.isfinite(table.loc[metric, "value"]):
            low, high = np.percentile(drawn, [tail, 100 - tail])
            table.loc[metric, ["low", "high"]] = low, high
            if low == high:
                table.loc[metric, "note"] = "every resample is the same: too few mistakes to show a spread"
    return table


def auc_interval(y_true, score, groups=None, n: int = 1000, seed: int = 0) -> Interval:
    """Area under the ROC curve of any score, with its bootstrap interval over patients.

    For the question of notebook 03: how well does difficulty put CAP (1) before non-pneumonia (0)?

    Args:
        y_true: (n,) 0 or 1. score: (n,) larger means class 1; any unit. groups: (n,) patients.

    >>> auc_interval([0, 0, 1, 1], [1.0, 2.0, 2.5, 9.0])[:3]
    (1.0, 1.0, 1.0)
    """
    row = bootstrap_intervals(y_true, score, groups, n=n, seed=seed).loc["auc"]
    unrelated = "no exam is called positive"  # about a threshold, which a ranking has not
    note = "; ".join(part for part in row["note"].split("; ") if part != unrelated)
    return Interval(float(row["value"]), float(row["low"]), float(row["high"]), note)


def spearman_interval(x, y, level: float = 0.95) -> Interval:
    """Spearman's rank correlation with the interval of Bonett and Wright (2000).

    Args:
        x, y: (n,) values of the same exams, e.g. difficulty and lesion load.

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


def over_seeds(frame: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Mean, deviation and interval over seeds.

    Args:
        frame: tidy, one row a run and score: any of `table`, `row`, `column`, `metric`, then `seed`, `value`
            and, where known, `low` and `high` (the bootstrap interval of that run). Scores are fractions.

    Returns:
        The key columns, then `mean`, `sd` (NaN for one seed), `low`, `high`, `seeds`.

    Choice: the interval joins two sources: which exams are in the test split (the mean bootstrap half-width,
    which more seeds do not shrink) and the seed (Student's t for the mean); the half-widths are added in
    quadrature. With one seed it is the bootstrap interval alone.

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
        name = str(runs["metric"].iloc[0]) if "metric" in runs else ""
        runs = runs[runs["value"].notna()]  # precision has no value where nothing is called positive
        value = runs["value"]
        k, mean = len(value), value.mean()
        sd = value.std(ddof=1) if k > 1 else np.nan
        seed_half = stats.t.ppf(0.5 + level / 2, k - 1) * sd / np.sqrt(k) if k > 1 else 0.0
        below = above = 0.0 if k > 1 else np.nan
        if {"low", "high"} <= set(runs) and runs[["low", "high"]].notna().all(axis=1).any():
            below, above = (value - runs["low"]).mean(), (runs["high"] - value).mean()
        low, high = mean - np.hypot(seed_half, below), mean + np.hypot(seed_half, above)
        if name.startswith(SCORES):
            low, high = np.clip([low, high], 0, 1)
        found = {"mean": mean, "sd": sd, "low": low, "high": high, "seeds": k}
        rows.append({**dict(zip(keys, key, strict=True)), **found})
    return pd.DataFrame(rows, columns=[*keys, "mean", "sd", "low", "high", "seeds"])
