"""Intervals that need no resamples: of a rank correlation, and of the difference of two proportions."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from covid_study.scores.resamples import LEVEL, Interval


def spearman_interval(x, y) -> Interval:
    """Spearman's rank correlation of the same exams, with the interval of Bonett and Wright (2000).

    >>> spearman_interval([1, 2, 3, 4, 5, 6], [1, 2, 4, 3, 5, 6]).value.round(3)
    np.float64(0.943)
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Interval(note=f"{len(x)} exams, or all values equal: no correlation")
    rho = stats.spearmanr(x, y).statistic
    if len(x) < 4:
        return Interval(float(rho), np.nan, np.nan, "3 exams: no interval")
    half = stats.norm.ppf(0.5 + LEVEL / 2) * np.sqrt((1 + rho**2 / 2) / (len(x) - 3))
    z = np.arctanh(np.clip(rho, -1 + 1e-12, 1 - 1e-12))
    return Interval(rho, *(float(v) for v in np.tanh([z - half, z + half])))


def proportion_difference(right: Sequence[int], answers: Sequence[int]) -> tuple:
    """Difference of two proportions with Newcombe's interval (1998, method 10, from Wilson's): value, low, high.

    Args:
        right, answers: of the one and of the other; NaN where there is no answer.

    >>> [round(float(x), 4) for x in proportion_difference((56, 48), (70, 80))]  # Newcombe's first example
    [0.2, 0.0524, 0.3339]
    """
    if not all(answers):
        return np.nan, np.nan, np.nan
    counts = list(zip(right, answers, strict=True))
    one, other = (n / of for n, of in counts)
    a, b = (stats.binomtest(n, of).proportion_ci(LEVEL, "wilson") for n, of in counts)
    low = one - other - np.hypot(one - a.low, b.high - other)
    return one - other, low, one - other + np.hypot(a.high - one, other - b.low)
