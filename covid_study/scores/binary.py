"""Scores of a classifier of two classes (paper A, V-B, eq. 8 and 9); `resamples` gives their intervals.

Scores are fractions, not per cent; COVID-19 is the positive class; `p >= threshold` is called positive.
A score that is not defined is NaN, and the `note` beside it says why.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn import metrics as sk

from covid_study.errors import StudyError

AT_THRESHOLD = ("precision", "recall", "f1")
SCORES = ("precision", "recall", "f1", "auc", "average_precision")
GAP = "gap"  # between precision and recall, 0 where they are balanced (paper A, VI-1)


class Threshold(NamedTuple):
    """A decision threshold, the F1 it reaches where it was chosen, and a note where it is a fallback."""

    threshold: float
    f1: float
    note: str


def checked(y_true, p, classes: Sequence[str] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n,) int and probabilities float64, (n,) or, of classes that are named, (n, classes).

    Raises:
        StudyError: they do not fit; names the exam.
    """
    y, p = np.asarray(y_true).ravel(), np.asarray(p, dtype=float)
    shape = (len(y), len(classes)) if classes else (len(y),)
    if p.shape != shape:
        raise StudyError(
            f"{len(y)} labels, but probabilities of shape {p.shape}, not {shape}: give them of every exam."
        )
    if not np.isfinite(p).all():
        where = int(np.argwhere(~np.isfinite(p))[0, 0])
        raise StudyError(
            f"The score of exam number {where} is {p[where]}: training diverged or was incomplete."
        )
    known = range(len(classes) or 2)
    if not np.isin(y, known).all():
        said = " or ".join(map(str, known))
        raise StudyError(f"Labels must be {said}, found {sorted(set(y.tolist()))[:5]}.")
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
        threshold: `p >= threshold` is called positive. Choice: 0.5, since paper A names none.

    Returns:
        the five scores by name, `threshold`, `positives`, `negatives` and `note`.

    Choice: where no exam is called positive, precision is undefined (NaN) and F1 is 0; the paper is silent.

    Raises:
        StudyError: lengths differ, a probability is not finite, a label is neither 0 nor 1.

    >>> s = classification_scores([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1])
    >>> s["precision"], s["recall"], s["f1"], s["auc"]
    (0.5, 0.5, 0.5, 0.75)
    """
    y, p = checked(y_true, p)
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


def best_f1_threshold(y_val: Sequence[int], p_val: Sequence[float]) -> Threshold:
    """The threshold with the best F1 on the validation split.

    Args:
        y_val: (n,) 1 for COVID-19, 0 otherwise.
        p_val: (n,) probability of COVID-19.

    Returns:
        The threshold, its F1 on the validation split, and a note; 0.5 where that is empty or has one class only: the note
        then says so.

    Choice: F1 at 0.5 swings from seed to seed at the same AUC, so we give F1 at this threshold too. It lies
    half way between two neighbouring probabilities; among equally good ones the nearest to 0.5 is taken.

    >>> best_f1_threshold([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.6])
    Threshold(threshold=0.25, f1=1.0, note='')
    >>> best_f1_threshold([], []).note
    'validation split: no exams; threshold 0.5'
    """
    y, p = checked(y_val, p_val)
    if problem := _class_note(y):
        return Threshold(0.5, np.nan, f"validation split: {problem}; threshold 0.5")
    precision, recall, values = sk.precision_recall_curve(y, p)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    below = np.r_[max(0.0, 2 * values[0] - values[-1]), values[:-1]]
    values = (values + below) / 2
    best = np.flatnonzero(f1[:-1] >= f1[:-1].max() - 1e-12)
    nearest = best[np.argmin(abs(values[best] - 0.5))]
    return Threshold(float(values[nearest]), float(f1[nearest]), "")


def weighted_at(y, p, threshold: float, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall and F1 at a threshold under each row of exam weights (resamples, exams).

    >>> weighted_at(np.array([1, 0]), np.array([0.9, 0.6]), 0.7, np.array([[1.0, 1.0], [2.0, 1.0]]))["f1"]
    array([1., 1.])
    """
    at = p >= threshold
    tp, called, positives = weights @ (at * y), weights @ at, weights @ y
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"precision": tp / called, "recall": tp / positives, "f1": 2 * tp / (called + positives)}


def weighted_scores(y, p, threshold: float, weights: np.ndarray) -> dict[str, np.ndarray]:
    """The five scores under each row of exam weights (resamples, exams): scikit-learn's, all rows at once.

    >>> scores = weighted_scores(np.array([1, 0]), np.array([0.9, 0.6]), 0.5, np.array([[1.0, 1.0], [2.0, 1.0]]))
    >>> scores["precision"].round(2)
    array([0.5 , 0.67])
    """
    at = weighted_at(y, p, threshold, weights)
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
    return {**at, "auc": auc, "average_precision": average_precision}


def weighted_means(y, p, threshold: float, weights: np.ndarray) -> dict[str, np.ndarray]:
    """F1 and AUC under each row of exam weights, means over several classifiers: those of `weighted_scores`, all at once.

    Args:
        p: (classifiers, exams). weights: (resamples, exams).

    >>> weighted_means(np.array([1, 0]), np.array([[0.9, 0.6], [0.2, 0.4]]), 0.5, np.ones((1, 2)))["auc"].tolist()
    [0.5]
    """
    at, positive = p >= threshold, y == 1
    tp, called = weights @ (at & positive).T, weights @ at.T
    of_ones, of_zeros = weights[:, positive], weights[:, ~positive]
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = (2 * tp / (called + of_ones.sum(axis=1, keepdims=True))).mean(axis=1)
        # of a positive and a negative exam, how often the positive has the higher probability; a tie is half of that
        higher = np.zeros((positive.sum(), (~positive).sum()), np.int32)
        for one in p:
            above, below = one[positive][:, None], one[~positive]
            higher += above > below
            higher += above >= below
        higher = higher / 2 / len(p)
        pairs = of_ones.sum(axis=1) * of_zeros.sum(axis=1)
        return {"f1": f1, "auc": ((of_ones @ higher) * of_zeros).sum(axis=1) / pairs}
