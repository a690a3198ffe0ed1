"""Dense lung. It has the density of muscle, liver and heart, so that only its place tells: see `with_consolidation`."""

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

IN_SLICE = ndimage.generate_binary_structure(2, 1)[None]  # neighbours within the slice
DENSE_HU = 150.0  # dense lung at most; bone is denser
CLOSING_MM = 8.0  # vessels, nodules, small consolidations
REACH_MM = 90.0  # the thickest consolidation between lung above and lung below
DEPTH_MM = 35.0  # the thickest consolidation behind aerated lung
CENTRAL_MM, HILUM_MM, HEART_MM = 20.0, 50.0, 100.0  # from the midline: spine and aorta, hilum, heart


def with_consolidation(
    aerated: np.ndarray, v: np.ndarray, airways: np.ndarray, spacing: Sequence[float]
) -> np.ndarray:
    """Lungs with their vessels and their dense parts, from aerated lung on the working grid (paper A, IV-F2).

    Deviation: rules of anatomy instead of the paper's mask network. One lung at a time, because what lies between the two is
    mediastinum, three kinds of tissue are lung: (1) what a ball of 8 mm closes; (2) what has lung above and below it within
    90 mm (the liver's dome has none below, the heart little) and lies against the chest wall, or away from the midline and
    the heart; (3) what lies behind aerated lung, at most 35 mm of it, inside the convex hull of the slice.

    Args:
        aerated, airways: bool (z, y, x). v: HU (z, y, x). spacing: mm (z, y, x).

    Returns:
        bool (z, y, x).
    """
    columns = np.arange(v.shape[2])
    middle = _midline(aerated)
    off = np.broadcast_to(np.abs(columns - middle) * spacing[2], v.shape)
    result = aerated.copy()
    for left in (False, True):
        own = (columns > middle) == left
        if not (aerated & own).any():
            continue
        (box,) = ndimage.find_objects((aerated & own).astype(np.uint8))
        side, soft, beside = (aerated & own)[box], v[box] < DENSE_HU, off[box]
        closed = _closed(side, CLOSING_MM, spacing)
        between = _between(side, int(REACH_MM / spacing[0])) & soft & ~closed
        filled = closed | _at_the_wall(between & (beside > 0.75 * HILUM_MM), side, left)
        filled |= _apart(between, side, beside, left)
        filled |= _behind(side, spacing) & soft & (beside > 1.5 * CENTRAL_MM)
        result[box] |= ndimage.binary_fill_holes(filled) & own[box[2]]
    result &= ~airways
    for z in np.flatnonzero(airways.any((1, 2))):  # bronchi with lung all round belong to it
        result[z] |= ndimage.binary_fill_holes(result[z]) & airways[z] & (off[z] > 1.25 * CENTRAL_MM)
    return ndimage.binary_opening(result, IN_SLICE)


def _midline(lungs: np.ndarray) -> int:
    """The column with the least lung in it, of the middle third."""
    profile = ndimage.uniform_filter1d(lungs.sum((0, 1)).astype(float), 5)
    low, high = np.flatnonzero(profile)[[0, -1]]
    third = (high - low) // 3
    return int(low + third + np.argmin(profile[low + third : high - third + 1]))


def _closed(mask: np.ndarray, radius_mm: float, spacing: Sequence[float]) -> np.ndarray:
    """Closing with a ball."""
    radius = [int(radius_mm / s + 0.5) for s in spacing]
    inner = tuple(slice(r, r + n) for r, n in zip(radius, mask.shape, strict=True))
    grown = _grown(np.pad(mask, [(r, r) for r in radius]), radius)
    return ~_grown(~grown, radius)[inner]


def _grown(mask: np.ndarray, radius: Sequence[int]) -> np.ndarray:
    """Dilation with a ball of radius + 1/2 voxels (z, y, x), as ITK has it: lines along x, which grow once for all of them.

    >>> _grown(np.array([[[0, 0, 1, 0, 0]]], bool), (0, 0, 1)).astype(int).ravel().tolist()
    [0, 1, 1, 1, 0]
    """
    rz, ry, rx = radius
    dz, dy, dx = np.ogrid[-rz : rz + 1, -ry : ry + 1, : rx + 1]
    ball = (dz / (rz + 0.5)) ** 2 + (dy / (ry + 0.5)) ** 2 + (dx / (rx + 0.5)) ** 2 <= 1
    nz, ny, _ = mask.shape
    first = np.pad(mask, ((rz, rz), (ry, ry), (0, 0)))
    line, result = first.copy(), np.zeros_like(mask)
    for half in range(rx + 1):
        if half:
            line[..., half:] |= first[..., :-half]
            line[..., :-half] |= first[..., half:]
        for z, y in np.argwhere(ball.sum(2) == half + 1):
            result |= line[z : z + nz, y : y + ny]
    return result


def so_far(mask: np.ndarray, axis: int, reverse: bool = False) -> np.ndarray:
    """Whether there is mask at or before a voxel along an axis; at or after it, in reverse."""
    if reverse:
        return np.flip(np.logical_or.accumulate(np.flip(mask, axis), axis), axis)
    return np.logical_or.accumulate(mask, axis)


def _between(side: np.ndarray, reach: int) -> np.ndarray:
    """Voxels with lung below and above them, the two no further apart than `reach` slices."""
    z = np.arange(len(side))[:, None, None]
    below = np.maximum.accumulate(np.where(side, z, -9999), 0)
    above = np.flip(np.minimum.accumulate(np.flip(np.where(side, z, 9999), 0), 0), 0)
    return above - below <= reach


def _at_the_wall(fill: np.ndarray, side: np.ndarray, left: bool) -> np.ndarray:
    """Those pieces that lie against the chest wall: no lung lateral of them, or none behind."""
    fill = ndimage.binary_opening(fill, IN_SLICE)
    bare = ~so_far(side, 2, reverse=left) | ~so_far(side, 1, reverse=True)
    parts, n = ndimage.label(fill)
    size = np.maximum(np.bincount(parts.ravel(), minlength=n + 1), 1)
    keep = np.bincount(parts.ravel(), weights=bare.ravel(), minlength=n + 1) / size > 0.3
    keep[0] = False
    return keep[parts]


def _apart(fill: np.ndarray, side: np.ndarray, beside: np.ndarray, left: bool) -> np.ndarray:
    """Thick pieces away from hilum and heart; in the rear third, away from the spine."""
    nz, ny, _ = side.shape
    rear = np.arange(ny)[:, None] > 0.7 * ny
    allowed = (beside > HILUM_MM) | (rear & (beside > CENTRAL_MM))
    if left:
        low = (np.arange(nz) < 0.55 * nz)[:, None, None]
        allowed &= ~(low & ~rear & (beside < HEART_MM))
    return ndimage.binary_opening(fill & allowed, IN_SLICE, iterations=2)


def _behind(side: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """What lies behind the lung and inside its convex hull in the slice."""
    fill = np.zeros_like(side)
    for z in np.flatnonzero(side.any((1, 2))):
        if side[z].any(1).sum() > 3 and np.ptp(np.flatnonzero(side[z].any(0))) > 3:
            fill[z] = filled_hull(side[z])
    fill &= so_far(side, 1) & ~so_far(side, 1, reverse=True)
    thin = fill.sum(1, keepdims=True) * spacing[1] <= DEPTH_MM
    return ndimage.binary_opening(fill & thin, IN_SLICE)


def filled_hull(mask: np.ndarray) -> np.ndarray:
    """The convex hull of a slice's mask without the outer half of its edge: bool (y, x); empty where all lies on one line.

    >>> filled_hull(np.array([[1, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]], bool)).astype(int).tolist()
    [[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]]
    """
    result = np.zeros(mask.shape, bool)
    if not mask.any():
        return result
    rows = np.flatnonzero(mask.any(1))  # their first and last voxels hold all corners
    first, last = mask[rows].argmax(1), mask.shape[1] - 1 - mask[rows, ::-1].argmax(1)
    points = np.concatenate([np.stack([rows, first], 1), np.stack([rows, last], 1)])
    with suppress(QhullError):
        corners = points[ConvexHull(points).vertices]  # in turn: down the left side, up the right
        sides = np.hstack([corners, np.roll(corners, -1, 0) - corners])[..., None]
        rows, columns = np.arange(rows[0], rows[-1] + 1), np.arange(mask.shape[1])
        # In whole numbers, so that a voxel on a side is in the hull.
        first = np.max([x - right * (y - rows) // down for y, x, down, right in sides if down > 0], 0)
        last = np.min([x + right * (rows - y) // down for y, x, down, right in sides if down < 0], 0)
        result[rows] = (columns >= first[:, None]) & (columns <= last[:, None])
    return result
