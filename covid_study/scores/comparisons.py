"""Two scores of the same exams compared: which of them ranks better, and can the exams at hand tell?"""

import numpy as np

from covid_study.errors import StudyError
from covid_study.scores.binary import Interval, patient_strata, resample_weights

TAIL = 2.5  # per cent left out on each side


def auc_difference(y_true, first, second, groups=None, n: int = 1000, seed: int = 0) -> Interval:
    """AUC of `first` minus AUC of `second` on the same exams, with its paired 95 % bootstrap interval.

    Patients are drawn as in `binary.bootstrap_intervals`; both scores see the same draw, so what makes an exam
    hard for both cancels. The AUC of a draw is the weighted share of pairs (class 1, class 0) in the right order.

    Args:
        y_true: (n,) 0 or 1. first, second: (n,) larger means class 1; any units. groups: (n,) patients.

    Returns:
        The difference; NaN with a note where a class is missing or a score is not known, without an interval where a
        class has fewer than two patients.

    >>> auc_difference([0, 0, 1, 1], [1, 2, 3, 4], [4, 3, 2, 1])[:3]
    (1.0, 1.0, 1.0)
    """
    y = np.asarray(y_true).astype(int)
    scores = [np.asarray(s, dtype=float) for s in (first, second)]
    if any(len(s) != len(y) for s in scores):
        raise StudyError(f"{len(y)} labels but {[len(s) for s in scores]} scores: give both of every exam.")
    if len(y) == 0 or y.min() == y.max() or not all(np.isfinite(s).all() for s in scores):
        return Interval(np.nan, np.nan, np.nan, "a class is missing, or a score is not known")
    ahead = _right_order(y, scores[0]) - _right_order(y, scores[1])
    value = float(ahead.mean())
    patient, strata = patient_strata(y, groups)
    if min(len(s) for s in strata) < 2:
        return Interval(value, np.nan, np.nan, "fewer than two patients of a class: no interval")
    weights = resample_weights(patient, strata, n, np.random.default_rng(seed))
    ones, zeros = weights[:, y == 1], weights[:, y == 0]
    total = ones.sum(1) * zeros.sum(1)
    drawn = ((ones @ ahead) * zeros).sum(1)[total > 0] / total[total > 0]
    low, high = np.percentile(drawn, [TAIL, 100 - TAIL])
    return Interval(value, float(low), float(high))


def _right_order(y: np.ndarray, score: np.ndarray) -> np.ndarray:
    """1 where an exam of class 1 (row) scores above one of class 0 (column), 1/2 where they are equal."""
    one, zero = score[y == 1][:, None], score[y == 0][None]
    return (one > zero) + 0.5 * (one == zero)
