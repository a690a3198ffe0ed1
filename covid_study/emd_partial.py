"""The partial earth mover's distance on a line, exactly, without a linear programme (paper A, IV-C, eq. 3 and 4).

All of the lighter histogram moves, at a cost of |i - j| a unit, and the cost is divided by what moved. With x units in
transit behind bin k the least cost so far, V_k(x), is convex and piecewise linear. Bin k adds f_k units and may take up to
g_k out, which shifts the falling part of V by f_k - g_k and its rising part by f_k; carrying x to the next bin adds |x|.
Two heaps hold the breakpoints, each a change of slope by one, so a pair of D bins costs O(D log D).
"""

import numpy as np
from numba import njit

# Heaps in arrays, written out: Numba's own `heapq` on lists takes more than twice as long (benchmarks/emd.py).


@njit(cache=True)
def _push(heap, size, x):
    """Add x to a heap of `size` numbers, the smallest first."""
    i = size
    while i > 0:
        parent = (i - 1) >> 1
        if heap[parent] <= x:
            break
        heap[i] = heap[parent]
        i = parent
    heap[i] = x


@njit(cache=True)
def _replace(heap, size, x):
    """Put x in the place of the smallest number of a heap of `size`."""
    i, child = 0, 1
    while child < size:
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= x:
            break
        heap[i] = heap[child]
        i, child = child, 2 * child + 1
    heap[i] = x


@njit(cache=True)
def _distance(light, heavy, total, falling, rising):
    """Eq. 3 for one pair; `light` has the smaller total. `falling`, `rising`: room for 2 D numbers each.

    falling: negated breakpoints left of the minimum of V, relative to `low`; rising: those right of it, relative to `high`.
    """
    n_falling = n_rising = 0
    low = high = 0.0  # the shifts; also the ends of the feasible interval, walls of infinite slope
    cost = 0.0  # the minimum of V
    for k in range(len(light)):
        supply = light[k] / total
        # No bin takes more than the whole supply; without the cap a mass of 1e6 would eat the digits.
        low += supply - min(heavy[k] / total, 1.0)
        high += supply
        # add max(0, x): its breakpoint at 0 goes left, the largest of the left goes right
        left = low - falling[0] if n_falling else low
        if left > 0.0:
            cost += left
            if low < 0.0:  # so there is a breakpoint on the left, the one that goes
                _replace(falling, n_falling, low)
            elif n_falling:
                n_falling -= 1
                _replace(falling, n_falling, falling[n_falling])
        _push(rising, n_rising, max(left, 0.0) - high)
        n_rising += 1
        # add max(0, -x): the mirror image
        right = high + rising[0]
        if right < 0.0:
            cost -= right
            _replace(rising, n_rising, -high)
            _push(falling, n_falling, low - right)
            n_falling += 1
        elif low < 0.0:
            _push(falling, n_falling, low)
            n_falling += 1
    # V_D(0): nothing is in transit behind the last bin
    for i in range(n_rising):
        cost += max(0.0, -(rising[i] + high))
    for i in range(n_falling):
        cost += max(0.0, low - falling[i])
    return cost


@njit(cache=True, nogil=True)
def distances(F, G, below):
    """Partial distances of the rows of F (n, D) to the rows of G (m, D), float64 and checked: float64 (n, m).

    One thread, without the interpreter's lock: `emd_blocks` calls it in as many threads as there are cores.

    Args:
        below: only the pairs j < i are computed, the others are left at zero (F and G are the same rows).

    >>> distances(np.eye(2), np.array([[0.0, 3.0]]), False).ravel()
    array([1., 0.])
    """
    sums_f, sums_g = F.sum(axis=1), G.sum(axis=1)
    result = np.zeros((len(F), len(G)))
    falling, rising = np.empty(2 * F.shape[1]), np.empty(2 * F.shape[1])
    for i in range(len(F)):
        for j in range(i if below else len(G)):
            if sums_f[i] <= sums_g[j]:
                result[i, j] = _distance(F[i], G[j], sums_f[i], falling, rising)
            else:
                result[i, j] = _distance(G[j], F[i], sums_g[j], falling, rising)
    return result
