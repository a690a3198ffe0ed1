"""Earth mover's distances on a line, exactly and fast (paper A, IV-C, eq. 3 and 4).

All of the lighter histogram moves, at a cost of |i - j| a unit, and the cost is divided by what moved. With x units in
transit behind bin k the least cost so far, V_k(x), is convex and piecewise linear. Bin k adds f_k units and may take up to
g_k out, which shifts the falling part of V by f_k - g_k and its rising part by f_k; carrying x to the next bin adds |x|.
Two heaps hold the breakpoints, each a change of slope by one, so a pair of D bins costs O(D log D).
"""

import heapq
from typing import Literal

import numpy as np
from numba import njit, prange
from scipy.spatial.distance import cdist

Mass = Literal["partial", "normalised"]


def emd(f, g, mass: Mass = "partial") -> float:
    """Earth mover's distance of two histograms (paper A, IV-C, eq. 3 and 4).

    Choice: the ground distance, not given in the paper, is |i - j|.

    Args:
        f, g: D masses each, not negative, not all zero; the totals may differ.
        mass: "partial" moves all of the lighter histogram, as eq. 4 has it; "normalised" scales both to one first.

    Returns:
        Least mean distance, in bins, that the moved mass travels.

    Raises:
        ValueError: a histogram is empty, negative, not finite, or of another length.

    >>> emd([1, 0, 0], [0, 0, 2])
    2.0
    >>> emd([1, 0, 1], [0, 5, 0], mass="normalised")
    1.0
    """
    return float(pairwise_emd(np.atleast_2d(f), np.atleast_2d(g), mass)[0, 0])


def pairwise_emd(F, G, mass: Mass = "partial") -> np.ndarray:
    """Earth mover's distances between all rows of `F` and all rows of `G` (paper A, IV-C, eq. 3 and 4).

    Args:
        F: (n, D) masses. G: (m, D) masses.
        mass: as in `emd`.

    Returns:
        float64 (n, m).

    Raises:
        ValueError: names the row that is empty, negative or not finite, or the lengths that differ.

    >>> pairwise_emd(np.eye(3), np.ones((1, 3))).ravel()  # one unit finds its place at no cost
    array([0., 0., 0.])
    """
    F, G = _checked(F, "F"), _checked(G, "G")
    if F.shape[1] != G.shape[1]:
        raise ValueError(f"histograms of F have {F.shape[1]} bins, those of G {G.shape[1]}: they must agree")
    if mass == "normalised":
        return cdist(_cumulative(F), _cumulative(G), "cityblock")
    if mass != "partial":
        raise ValueError(f"mass must be 'partial' or 'normalised', got {mass!r}")
    return _pairs(F, G)


def mean_emd_to_others(F, mass: Mass = "partial") -> np.ndarray:
    """Mean distance of each row to all the other rows (paper A, IV-D2, eq. 6).

    With equal masses the distance is the L1 distance of the cumulative sums, and the mean needs no matrix: each coordinate
    is sorted once, O(n D log n). Partial masses need all n (n - 1) / 2 pairs.

    Args:
        F: (n, D) masses, n >= 2.
        mass: as in `emd`.

    Returns:
        float64 (n,).

    >>> mean_emd_to_others(np.eye(3), mass="normalised")
    array([1.5, 1. , 1.5])
    """
    F = _checked(F, "F")
    n = len(F)
    if n < 2:
        raise ValueError(f"the mean distance to the others needs at least two histograms, got {n}")
    if mass == "partial":
        return _pairs_within(F).sum(1) / (n - 1)
    total = np.zeros(n)
    for column in _cumulative(F).T:
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        before = np.concatenate([[0.0], np.cumsum(ordered)])
        rank = np.arange(n)
        total[order] += ordered * (2 * rank - n) - 2 * before[:-1] + before[-1]
    return total / (n - 1)


def _cumulative(F: np.ndarray) -> np.ndarray:
    return np.cumsum(F / F.sum(1, keepdims=True), axis=1)


def _checked(histograms, name: str) -> np.ndarray:
    try:
        array = np.asarray(histograms, dtype=np.float64)
    except ValueError:
        lengths = sorted({np.size(row) for row in histograms})
        raise ValueError(f"the rows of {name} have different lengths: {lengths}") from None
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] == 0:
        raise ValueError(f"{name} must be a table of (histograms, bins), got shape {array.shape}")
    for problem, bad in (
        ("holds a value that is not finite", ~np.isfinite(array).all(1)),
        ("holds a negative mass", (array < 0).any(1)),
        ("is empty: all its masses are zero", array.sum(1) <= 0),
    ):
        if bad.any():
            raise ValueError(f"row {int(np.flatnonzero(bad)[0])} of {name} {problem}")
    return array


@njit(cache=True)
def _partial(light, heavy, total):
    """Eq. 3 for one pair; `light` has the smaller total."""
    falling = [0.0]  # negated breakpoints left of the minimum, relative to `low`
    rising = [0.0]  # breakpoints right of it, relative to `high`
    falling.pop()
    rising.pop()
    low = high = 0.0  # the shifts; also the ends of the feasible interval, walls of infinite slope
    cost = 0.0  # the minimum of V
    for k in range(len(light)):
        supply = light[k] / total
        # No bin takes more than the whole supply; without the cap a mass of 1e6 would eat the digits.
        low += supply - min(heavy[k] / total, 1.0)
        high += supply
        # add max(0, x): its breakpoint at 0 goes left, the largest of the left goes right
        left = low - falling[0] if falling else low
        if left > 0.0:
            cost += left
            if falling:
                heapq.heappop(falling)
            heapq.heappush(rising, left - high)
            if low < 0.0:
                heapq.heappush(falling, low)
        else:
            heapq.heappush(rising, 0.0 - high)
        # add max(0, -x): the mirror image
        right = high + rising[0] if rising else high
        if right < 0.0:
            cost -= right
            heapq.heappop(rising)
            heapq.heappush(falling, low - right)
            heapq.heappush(rising, 0.0 - high)
        elif low < 0.0:
            heapq.heappush(falling, low)
    # V_D(0): nothing is in transit behind the last bin
    for b in rising:
        cost += max(0.0, -(b + high))
    for b in falling:
        cost += max(0.0, low - b)
    return cost


@njit(cache=True)
def _pair(f, g):
    sum_f, sum_g = f.sum(), g.sum()
    return _partial(f, g, sum_f) if sum_f <= sum_g else _partial(g, f, sum_g)


@njit(cache=True, parallel=True)
def _pairs(F, G):
    result = np.empty((len(F), len(G)))
    for n in prange(result.size):
        i, j = n // len(G), n % len(G)
        result[i, j] = _pair(F[i], G[j])
    return result


@njit(cache=True, parallel=True)
def _pairs_within(F):
    n = len(F)
    result = np.zeros((n, n))
    for i in prange(n):
        for j in range(i):
            result[i, j] = _pair(F[i], F[j])
    return result + result.T
