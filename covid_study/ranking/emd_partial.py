"""The partial earth mover's distance on a line, exactly, without a linear programme (paper A, IV-C, eq. 3 and 4).

All of the lighter histogram moves, at a cost of |i - j| a unit, and the cost is divided by what moved. With x units in
transit behind bin k the least cost so far, V_k(x), is convex and piecewise linear. Bin k adds f_k units and may take up to
g_k out, which shifts the falling part of V by f_k - g_k and its rising part by f_k; carrying x to the next bin adds |x|.
Two heaps hold the breakpoints, each a change of slope by one, so a pair of D bins costs O(D log D).
"""

import numpy as np
from numba import njit

# Heaps in arrays, the smallest number at 1, infinity behind the last: less than half the time of Numba's `heapq` on lists.
# Unsigned positions, because Numba looks at a signed one twice, for it could count from the end.
ONE, TWO = np.uint64(1), np.uint64(2)
SAME_MASS = 1e-14  # relative: two totals that differ by less differ by the rounding of their sums


@njit(cache=True)
def _push(heap: np.ndarray, size: np.uint64, x: float) -> None:
    """Add x to a heap of `size` numbers."""
    i = size + ONE
    heap[i + ONE] = np.inf
    while i > ONE:
        parent = heap[i >> ONE]
        if parent <= x:
            break
        heap[i] = parent
        i >>= ONE
    heap[i] = x


@njit(cache=True)
def _replace(heap: np.ndarray, size: np.uint64, x: float) -> None:
    """Put x in the place of the smallest number of a heap of `size`."""
    i, child = ONE, TWO
    while child <= size:
        left, right = heap[child], heap[child + ONE]
        smaller = min(left, right)
        if smaller >= x:
            break
        heap[i] = smaller
        i = child + np.uint64(right < left)  # no branch: which one it is cannot be foreseen
        child = i << ONE
    heap[i] = x


@njit(cache=True)
def _same_mass(f: np.ndarray, g: np.ndarray, total: float) -> float:
    """Eq. 3 where all of both moves: the L1 distance of the cumulative sums."""
    behind = cost = 0.0
    for k in range(len(f)):
        behind += f[k] - g[k]
        cost += abs(behind)
    return cost / total


@njit(cache=True)
def _distance(
    light: np.ndarray, heavy: np.ndarray, total: float, falling: np.ndarray, rising: np.ndarray
) -> float:
    """Eq. 3 for one pair; `light` has the smaller total. `falling`, `rising`: room for two heaps.

    falling: negated breakpoints left of the minimum of V, relative to `low`; rising: those right of it, relative to `high`.
    """
    n_falling = n_rising = np.uint64(0)
    low = high = 0.0  # the shifts; also the ends of the feasible interval, walls of infinite slope
    cost = 0.0  # the minimum of V
    unit = 1.0 / total
    for k in range(len(light)):
        supply = light[k] * unit
        # No bin takes more than the whole supply; without the cap a mass of 1e6 would eat the digits.
        low += supply - min(heavy[k] * unit, 1.0)
        high += supply
        # add max(0, x): its breakpoint at 0 goes left, the largest of the left goes right
        left = low - falling[ONE] if n_falling > 0 else low
        if left > 0.0:
            cost += left
            if low < 0.0:  # so there is a breakpoint on the left, the one that goes
                _replace(falling, n_falling, low)
            elif n_falling > 0:
                last = falling[n_falling]
                falling[n_falling] = np.inf
                n_falling -= ONE
                _replace(falling, n_falling, last)
        _push(rising, n_rising, max(left, 0.0) - high)
        n_rising += ONE
        # add max(0, -x): the mirror image
        right = high + rising[ONE]
        if right < 0.0:
            cost -= right
            _replace(rising, n_rising, -high)
            _push(falling, n_falling, low - right)
            n_falling += ONE
        elif low < 0.0:
            _push(falling, n_falling, low)
            n_falling += ONE
    # V_D(0): nothing is in transit behind the last bin
    for i in range(ONE, n_rising + ONE):
        cost += max(0.0, -(rising[i] + high))
    for i in range(ONE, n_falling + ONE):
        cost += max(0.0, low - falling[i])
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
    falling, rising = np.empty(2 * F.shape[1] + 2), np.empty(2 * F.shape[1] + 2)
    for i in range(len(F)):
        for j in range(i if below else len(G)):
            if abs(sums_f[i] - sums_g[j]) <= SAME_MASS * sums_f[i]:
                result[i, j] = _same_mass(F[i], G[j], sums_f[i])
            elif sums_f[i] < sums_g[j]:
                result[i, j] = _distance(F[i], G[j], sums_f[i], falling, rising)
            else:
                result[i, j] = _distance(G[j], F[i], sums_g[j], falling, rising)
    return result
