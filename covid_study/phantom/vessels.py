"""Vessel trees and bronchi inside the synthetic lungs.

A tree spans points sampled in the lung, each joined where the way back to the hilum stays short (Cuntz et al., PLoS
Computational Biology 2010, "One rule to grow them all"); its radii follow Murray's law.
"""

import numba
import numpy as np

VESSEL_HU, LUMEN_HU, BRONCHUS_WALL_HU = 36.0, -965.0, -260.0


@numba.njit(cache=True, fastmath=True, nogil=True)
def grow_tree(points, root, path_weight):
    """Greedy tree over points (n, 3): each joins where distance + path_weight * path to the root is least (Cuntz et al. 2010).

    Returns parents (n,), -1 for the root itself, and the order in which the points joined.
    """
    n = points.shape[0]
    parent, order = np.full(n, -1), np.empty(n, np.int64)
    cost, path = np.full(n, 1e18), np.zeros(n)
    done = np.zeros(n, np.bool_)
    at, here = root, -1
    length = 0.0
    for step in range(n):
        best, low = -1, 1e18
        for m in range(n):
            if done[m]:
                continue
            d = np.sqrt(
                (points[m, 0] - at[0]) ** 2 + (points[m, 1] - at[1]) ** 2 + (points[m, 2] - at[2]) ** 2
            )
            c = d + path_weight * length
            if c < cost[m]:
                cost[m], parent[m], path[m] = c, here, length + d
            if cost[m] < low:
                best, low = m, cost[m]
        done[best], order[step] = True, best
        at, here, length = points[best], best, path[best]
    return parent, order


def grow_vessel(targets: np.ndarray, root, path_weight: float, tip: float, power: float):
    """Tubes (n, 8: x0, y0, z0, r0, x1, y1, z1, r1) from root to all targets (n, 3), and the leaves beyond each.

    tip: radius of a last branch, mm; elsewhere tip * leaves ** (1 / power), Murray's law for power = 3.

    >>> tubes, leaves = grow_vessel(np.array([[0, 0, 10.0], [0, 0, 20.0]]), (0, 0, 0), 0.5, 1.0, 3.0)
    >>> leaves.tolist(), tubes[:, 3].tolist()
    ([1.0, 1.0], [1.0, 1.0])
    """
    root = np.asarray(root, float)
    parent, order = grow_tree(targets, root, path_weight)
    leaves = np.ones(len(targets))
    leaves[np.bincount(parent[parent >= 0], minlength=len(targets)) > 0] = 0
    heir = np.arange(len(targets))  # any branch that goes on from here: only to smooth the way
    for m in order[::-1]:
        if parent[m] >= 0:
            leaves[parent[m]] += leaves[m]
            heir[parent[m]] = m
    first = parent < 0
    before = np.where(first[:, None], root, targets[parent])
    at = 0.5 * targets + 0.3 * before + 0.2 * targets[heir]
    before = np.where(first[:, None], root, at[parent])
    radius = tip * leaves ** (1 / power)
    start = np.where(first, radius, np.minimum(radius * 1.25, radius[parent]))
    return np.column_stack([before, start, at, radius]), leaves


def vessels_and_bronchi(rng, points, depth, hila, vein_z):
    """Arteries and veins of both lungs, and bronchi beside the larger arteries: rows for `raster.paint_tubes`, vessels first.

    points (n, 3), depth (n,): see `patient.Anatomy`. hila: right and left, where the main bronchi end.
    """
    vessels, walls, lumens = [], [], []
    for side, hilum in zip((-1, 1), hila, strict=True):
        mine = points[(points[:, 0] * side > 0) & (depth > 3)]
        mine = mine[rng.permutation(len(mine))]
        mine += rng.uniform(-2.5, 2.5, mine.shape)
        n_art, n_vein = min(1150, len(mine) // 2), min(650, len(mine) // 3)
        arteries, leaves = grow_vessel(mine[:n_art], hilum + (side * 4, -2, 2), 0.6, 0.46, 2.3)
        veins, _ = grow_vessel(
            mine[n_art : n_art + n_vein], (side * 46, hilum[1] - 4, vein_z), 0.6, 0.46, 2.4
        )
        vessels += [arteries, veins]
        tube = arteries[leaves > 15]
        size = tube[:, [3, 7]].copy()
        tube[:, [1, 5]] += 1.55 * size + 0.6  # behind and a little above its artery
        tube[:, [2, 6]] += 0.6 * size
        for rows, extra in ((walls, 0.7), (lumens, 0.0)):
            tube[:, [3, 7]] = 0.68 * size + extra
            rows.append(tube.copy())
    kinds = ((vessels, VESSEL_HU), (walls, BRONCHUS_WALL_HU), (lumens, LUMEN_HU))
    return np.concatenate([np.insert(tubes, 8, hu, axis=1) for rows, hu in kinds for tubes in rows])
