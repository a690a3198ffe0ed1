"""What earth mover's distances are held against: a linear programme, POT, brute force."""

import itertools

import numpy as np
import ot
from scipy.optimize import linprog


def by_linear_programme(f, g, ground=None):
    """Eq. 3 and 4 of paper A, written down as they stand: flows f_ij over a matrix |i - j|, or another."""
    f, g = np.asarray(f, dtype=float), np.asarray(g, dtype=float)
    d = len(f)
    moved = min(f.sum(), g.sum())
    f, g = f / moved, g / moved  # the ratio of eq. 3 does not change, the solver's tolerances mean something
    cost = np.abs(np.subtract.outer(np.arange(d), np.arange(d))) if ground is None else np.asarray(ground)
    cost = cost.ravel()
    from_each = np.kron(np.eye(d), np.ones((1, d)))
    to_each = np.kron(np.ones((1, d)), np.eye(d))
    solution = linprog(
        cost,
        A_ub=np.vstack([from_each, to_each]),
        b_ub=np.concatenate([f, np.minimum(g, 1e3)]),
        A_eq=np.ones((1, d * d)),
        b_eq=[1.0],
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    assert solution.status == 0, solution.message
    return solution.fun


def by_pot(f, g):
    """POT's solver on balanced problems: a dummy point, at no distance, takes what need not move."""
    f, g = np.asarray(f, dtype=float), np.asarray(g, dtype=float)
    total, moved = max(f.sum(), g.sum()), min(f.sum(), g.sum())
    d = len(f)
    cost = np.zeros((d + 1, d + 1))
    cost[:d, :d] = np.abs(np.subtract.outer(np.arange(d), np.arange(d)))
    a, b = np.append(f, total - f.sum()), np.append(g, total - g.sum())
    return ot.emd2(a / a.sum(), b / b.sum(), cost) * total / moved


def brute_force(f, g):
    """Unit masses: every way to send the lighter's units to different units of the heavier."""
    light, heavy = sorted((np.repeat(np.arange(len(h)), h) for h in (f, g)), key=len)
    ways = itertools.permutations(heavy, len(light))
    return min(np.abs(light - np.array(way)).sum() for way in ways) / len(light)


def random_pair(rng, d, zeros=0.0, scale=1.0):
    f, g = rng.gamma(0.5, size=(2, d)) * (rng.random((2, d)) >= zeros)
    f[rng.integers(d)] += 0.1
    g[rng.integers(d)] += 0.1
    return f, g * scale
