"""Lung masks, by classical means: threshold, components, and a hull that keeps consolidated lung (paper A, IV-F2)."""

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError
from skimage.draw import polygon
from skimage.transform import resize

from covid_study.errors import ExamError

GRID_MM = (4.5, 2.5, 2.5)  # voxels of the working grid (z, y, x), at least; never finer than the exam's
AIR, OUTSIDE, AIRWAY, RIB = -450.0, -900.0, -925.0, 250.0  # HU
SMALLEST_ML, LARGEST_ML = 300.0, 12_000.0


def lung_mask(volume_hu: np.ndarray, spacing_mm: tuple[float, float, float], exam_id: str = "") -> np.ndarray:
    """Both lungs, with their vessels and with consolidated parts, without trachea and main bronchi (paper A, IV-F2).

    Deviation: the paper's mask network is in-house. Here: air inside the body, the airways followed down from the neck and
    removed, the two lungs as the largest components; then, slice by slice, the convex hull of each lung as far as it lies
    on the chest wall's side of that lung, because consolidated lung has the density of muscle and only its place tells.

    Args:
        volume_hu: (z, y, x) HU, caudal to cranial, front to back, right to left.
        spacing_mm: (z, y, x).
        exam_id: named in the error.

    Returns:
        bool (z, y, x).

    Raises:
        ExamError: no lungs of a plausible size are found.

    >>> body = np.full((20, 60, 60), -1000, np.int16)
    >>> body[:, 5:55, 5:55] = 40
    >>> body[2:18, 10:50, 8:26] = body[2:18, 10:50, 34:52] = -850
    >>> mask = lung_mask(body, (10.0, 5.0, 5.0))
    >>> bool(mask[10, 30, 15]), bool(mask[10, 30, 30]), bool(mask[10, 1, 1])
    (True, False, False)
    """
    factors = [max(1, round(grid / s)) for grid, s in zip(GRID_MM, spacing_mm, strict=True)]
    small = _average(volume_hu, factors)
    spacing = [f * s for f, s in zip(factors, spacing_mm, strict=True)]
    lungs = _without_airways(_inner_air(small, spacing), small, spacing)
    lungs = _components(lungs, small, spacing, exam_id)
    lungs = _with_consolidation(lungs, small, spacing)
    if max(factors) == 1:
        return lungs
    padded = [f * n for f, n in zip(factors, lungs.shape, strict=True)]
    fine = resize(lungs.astype(np.float32), padded, order=1, mode="edge", anti_aliasing=False) >= 0.5
    return fine[tuple(slice(n) for n in volume_hu.shape)]


def _average(volume: np.ndarray, factors: list[int]) -> np.ndarray:
    """Means of blocks, float32; the last block of an axis is filled up with the edge's values."""
    missing = [(0, -n % f) for n, f in zip(volume.shape, factors, strict=True)]
    volume = np.pad(volume, missing, mode="edge") if any(m for _, m in missing) else volume
    for axis, f in enumerate(factors):
        if f > 1:
            shape = (*volume.shape[:axis], volume.shape[axis] // f, f, *volume.shape[axis + 1 :])
            volume = volume.reshape(shape).mean(axis + 1, dtype=np.float32)
    return np.ascontiguousarray(volume, dtype=np.float32)


def _inner_air(v: np.ndarray, spacing: list[float]) -> np.ndarray:
    """Air that is not outside the body. The outside is found at a lower threshold than the lungs are, so that a lung cut off
    by the field of view does not run out into the padding."""
    dark, _ = ndimage.label(v < OUTSIDE)
    touching = np.unique(np.concatenate([dark[:, [0, -1]].ravel(), dark[:, :, [0, -1]].ravel()]))
    outside = np.isin(dark, touching[touching > 0])
    reach = max(1, round(5 / spacing[1]))  # the blurred edge between air and skin
    outside = ndimage.binary_dilation(outside, _disc(), iterations=reach, mask=v < AIR)
    return (v < AIR) & ~outside


def _disc() -> np.ndarray:
    """Neighbours within the slice."""
    return ndimage.generate_binary_structure(2, 1)[None]


def _without_airways(air: np.ndarray, v: np.ndarray, spacing: list[float]) -> np.ndarray:
    """Follow the trachea down from the neck, slice by slice, to where its branches disappear into the lungs."""
    pixel = spacing[1] * spacing[2]
    lumen = (v < AIRWAY) & air
    middle = np.average(np.arange(v.shape[2]), weights=(v > -300).sum((0, 1)) + 1e-9)
    current, airway = None, np.zeros_like(air)
    grown = max(1, round(2.5 / spacing[1]))
    for z in range(len(v) - 1, -1, -1):
        parts, n = ndimage.label(lumen[z])
        sizes = ndimage.sum_labels(lumen[z], parts, np.arange(1, n + 1)) * pixel if n else np.array([])
        if current is None:
            near = [
                (abs(ndimage.center_of_mass(parts == i + 1)[1] - middle), i + 1)
                for i in np.flatnonzero((sizes > 60) & (sizes < 700))
            ]
            near = [found for found in near if found[0] * spacing[2] < 35]
            if near and z > len(v) * 0.45:
                current = parts == min(near)[1]
        else:
            below = np.unique(parts[ndimage.binary_dilation(current, iterations=grown) & lumen[z]])
            keep = [i for i in below if i and sizes[i - 1] < 1100]
            current = np.isin(parts, keep) if keep else np.zeros_like(current)
        if current is not None:
            if not current.any():
                break
            airway[z] = ndimage.binary_dilation(current, iterations=grown)
    return air & ~airway


def _components(air: np.ndarray, v: np.ndarray, spacing: list[float], exam_id: str) -> np.ndarray:
    """The lungs among what holds air: large, and not as empty as gas in the stomach or bowel."""
    voxel = np.prod(spacing) / 1000  # ml
    opened = ndimage.binary_opening(air, _disc(), iterations=1)
    parts, n = ndimage.label(opened)
    sizes = ndimage.sum_labels(opened, parts, np.arange(1, n + 1)) * voxel if n else np.array([0.0])
    largest = sizes.max()
    keep = []
    for i in np.flatnonzero(sizes > max(30.0, 0.04 * largest)) + 1:
        gas = np.median(v[parts == i]) < -945
        if not (gas and sizes[i - 1] < 0.5 * largest):
            keep.append(i)
    lungs = np.isin(parts, keep)
    lungs = ndimage.binary_dilation(lungs, _disc(), iterations=1, mask=air)  # undo the opening
    total = lungs.sum() * voxel
    if not keep or not SMALLEST_ML <= total <= LARGEST_ML:
        raise ExamError(
            exam_id,
            f"no lungs were found: {total:.0f} ml of air inside the body, expected {SMALLEST_ML:.0f} to {LARGEST_ML:.0f} ml",
            "check that this is a chest CT in HU that covers the lungs, or remove the exam",
        )
    return lungs


def _with_consolidation(lungs: np.ndarray, v: np.ndarray, spacing: list[float]) -> np.ndarray:
    """Fill vessels and, on the chest wall's side of each lung, everything up to its convex hull in the slice."""
    columns = np.arange(v.shape[2])
    middle = int(round(np.average(columns, weights=lungs.sum((0, 1)))))
    radius = max(1, round(5 / spacing[1]))
    result = lungs.copy()
    for right in (True, False):  # one lung at a time: what lies between the two is never filled
        outward = columns if right else -columns
        side = lungs & ((columns < middle) == right)
        for z in np.flatnonzero(side.any((1, 2))):
            # Dense lung may lie lateral of the air in its row; heart, liver and spine do not.
            border = np.where(side[z], outward, -np.inf).max(1)
            side[z] |= _hull(side[z]) & (outward <= border[:, None]) & (v[z] < RIB)
        side = np.pad(side, radius)
        closed = ndimage.binary_closing(side, _disc(), iterations=radius)[(slice(radius, -radius),) * 3]
        result |= _filled(closed)
    return ndimage.binary_opening(result, _disc()) | lungs


def _filled(mask: np.ndarray) -> np.ndarray:
    """Fill what a slice of the mask encloses; one labelling of all slices, much faster than slice by slice."""
    within_slice = np.zeros((3, 3, 3), bool)
    within_slice[1] = ndimage.generate_binary_structure(2, 1)
    holes, _ = ndimage.label(~mask, within_slice)
    open_ = np.unique(np.concatenate([holes[:, [0, -1]].ravel(), holes[:, :, [0, -1]].ravel()]))
    is_open = np.zeros(holes.max() + 1, bool)
    is_open[open_] = True
    return ~is_open[holes] | mask


def _hull(side: np.ndarray) -> np.ndarray:
    """Convex hull of a mask (y, x)."""
    rows = np.flatnonzero(side.any(1))  # the first and the last voxel of every row hold all corners
    first, last = side[rows].argmax(1), side.shape[1] - 1 - side[rows, ::-1].argmax(1)
    points = np.concatenate([np.stack([rows, first], 1), np.stack([rows, last], 1)])
    if len(points) < 3:
        return side
    try:
        corners = points[ConvexHull(points).vertices]
    except QhullError:  # all in a line
        return side
    hull = np.zeros_like(side)
    hull[polygon(corners[:, 0], corners[:, 1], side.shape)] = True
    return hull | side
