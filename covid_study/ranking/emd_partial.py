"""The partial earth mover's distance on a line, exactly, without a linear programme (paper A, IV-C, eq. 3 and 4).

All of the lighter histogram moves, at a cost of |i - j| a unit, and the cost is divided by what moved. Let r_k be what the
heavier keeps free up to bin k: r rises from 0 to s, the difference of the totals. With F and G the cumulative sums of the
lighter and the heavier and y = G - F, |y_k - r_k| units cross from bin k to the next. So eq. 3 is the least L1 distance of
y from any r that never falls and stays within 0 and s; that a bin frees no more than it holds needs no care, for where a
best r rises, y rises by at least as much, and y never by more than what the bin holds.

Such a regression goes through y once (Rote 2019, *Isotonic regression by dynamic programming*, SOSA): it keeps the places
where the slope of the least cost changes by one. Its bounds only clip y (what is clipped is paid).
"""

import numpy as np
from numba import njit

ONE, TWO = np.uint64(1), np.uint64(2)  # unsigned, because Numba looks at a signed position twice


@njit(cache=True)
def _distance(light: np.ndarray, heavy: np.ndarray, total: float, places: np.ndarray) -> float:
    """Eq. 3 for one pair; `light` has the smaller total. `places`: room for 2 D + 2 numbers.

    Places lie in ascending order, because a new one is seldom far from the last: over 243 to 10,000 bins that takes three
    quarters of the time of a heap, although it is O(D^2) at worst.
    """
    unit = 1.0 / total
    # No bin takes more than the whole supply; without the cap a mass of 1e6 would eat the digits.
    surplus = 0.0
    for k in range(len(light)):
        surplus += min(heavy[k] * unit, 1.0) - light[k] * unit
    surplus = max(surplus, 0.0)
    last = np.uint64(0)
    places[0] = 0.0  # the lower bound, which no y within the bounds is below
    y = cost = 0.0
    for k in range(len(light) - 1):  # nothing crosses behind the last bin
        y += min(heavy[k] * unit, 1.0) - light[k] * unit
        within = min(max(y, 0.0), surplus)
        cost += abs(y - within)
        if within >= places[last]:
            last += ONE
            places[last] = within
        else:  # r may not fall: the last place goes, this one counts twice
            cost += places[last] - within
            last -= ONE
            i = last
            while places[i] > within:
                places[i + TWO] = places[i]
                i -= ONE
            places[i + ONE] = places[i + TWO] = within
            last += TWO
    return cost


@njit(cache=True, nogil=True)
def distances(F: np.ndarray, G: np.ndarray, below: bool) -> np.ndarray:
    """Partial distances of the rows of F (n, D) to the rows of G (m, D), float64 and checked: float64 (n, m).

    One thread, without the interpreter's lock: `blocks.in_threads` calls it in as many threads as there are cores.

    Args:
        below: only the pairs j < i are computed, the others are left at zero (F and G are the same rows).

    >>> distances(np.eye(2), np.array([[0.0, 3.0]]), False).ravel()
    array([1., 0.])
    """
    sums_f, sums_g = F.sum(axis=1), G.sum(axis=1)
    result = np.zeros((len(F), len(G)))
    places = np.empty(2 * F.shape[1] + 2)
    for i in range(len(F)):
        for j in range(i if below else len(G)):
            if sums_f[i] <= sums_g[j]:
                result[i, j] = _distance(F[i], G[j], sums_f[i], places)
            else:
                result[i, j] = _distance(G[j], F[i], sums_g[j], places)
    return result
