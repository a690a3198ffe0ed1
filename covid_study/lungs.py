"""Lung masks, by classical means: threshold, components, and a hull that keeps consolidated lung (paper A, IV-F2)."""

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError
from skimage.draw import polygon
from skimage.transform import resize

from covid_study.errors import ExamError

GRID_MM = (4.5, 2.5, 2.5)  # voxels of the working grid (z, y, x), at least; never finer than the exam's
AIR, OUTSIDE, AIRWAY, RIB = -450.0, -900.0, -925.0, 250.0  # HU
GAS, GAS_ML = -955.0, 600.0  # emptier than most emphysema; more than a full stomach
VESSEL_MM2 = 300.0  # a larger hole may be the dome of the liver
SMALLEST_ML, LARGEST_ML = 300.0, 12_000.0


def lung_mask(volume_hu: np.ndarray, spacing_mm: tuple[float, float, float], exam_id: str = "") -> np.ndarray:
    """Both lungs, with their vessels and with consolidated parts, without trachea and main bronchi (paper A, IV-F2).

    Deviation: the paper's mask network is in-house. Here: air inside the body, without gas in a wall of its own (bowel) and
    the airways followed down from the neck, and of that the large components. Consolidated lung has the density of muscle
    and liver, so only its place tells: in each slice what lies in a lung's convex hull is filled where it is on the chest
    wall's side of air and has air of the same lung above it and below. Dense lung that rests on the diaphragm is missed.

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
    air = _without_gas(_inner_air(small, spacing), small, spacing)
    lungs = _components(_without_airways(air, small, spacing), small, spacing, exam_id)
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
    # A lung cut off by the field of view touches its edge too, but has the chest's wall in front of it and behind.
    wall = v > -200
    needed = 15 / spacing[1]
    chest = (np.cumsum(wall, 1) > needed) & (np.cumsum(wall[:, ::-1], 1)[:, ::-1] > needed)
    outside = np.isin(dark, touching[touching > 0]) & ~chest
    reach = max(1, round(5 / spacing[1]))  # the blurred edge between air and skin
    outside = ndimage.binary_dilation(outside, _disc(), iterations=reach, mask=(v < AIR) & ~chest)
    return (v < AIR) & ~outside


def _disc() -> np.ndarray:
    """Neighbours within the slice."""
    return ndimage.generate_binary_structure(2, 1)[None]


def _wall(part: np.ndarray, v: np.ndarray, rim: int) -> float:
    """Share of soft tissue in a rim around a mask, within the slices."""
    near = ndimage.binary_dilation(part, _disc(), iterations=rim)
    around = ndimage.binary_dilation(near, _disc()) & ~near
    return float((v[around] > -500).mean()) if around.any() else 0.0


def _without_gas(air: np.ndarray, v: np.ndarray, spacing: list[float]) -> np.ndarray:
    """Remove gas in bowel, stomach, oesophagus and, where they are apart from the lungs, airways: emptier than lung, in a wall
    of soft tissue. A bulla has lung around it."""
    voxel = np.prod(spacing) / 1000  # ml
    rim = max(1, round(2.5 / spacing[1]))
    parts, _ = ndimage.label(ndimage.binary_opening((v < AIRWAY) & air, _disc()))
    gas = np.zeros_like(air)
    sizes = np.bincount(parts.ravel()) * voxel
    boxes = ndimage.find_objects(parts)
    for i in np.flatnonzero((sizes[1:] > 1) & (sizes[1:] < GAS_ML)) + 1:
        box = boxes[i - 1]
        box = tuple(
            slice(max(b.start - m, 0), b.stop + m) for b, m in zip(box, (0, rim + 2, rim + 2), strict=True)
        )
        part = parts[box] == i
        if np.median(v[box][part]) < GAS and _wall(part, v[box], rim) > 0.6:
            gas[box] |= ndimage.binary_dilation(part, _disc(), iterations=rim)
    return air & ~gas


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
            near = [i for _, i in sorted(near) if _wall((parts == i)[None], v[z : z + 1], grown) > 0.6]
            if near and z > len(v) * 0.45:
                current = parts == near[0]
        else:
            below = np.unique(parts[ndimage.binary_dilation(current, iterations=grown) & lumen[z]])
            keep = [i for i in below if i and sizes[i - 1] < 1100]
            current = np.isin(parts, keep) if keep else np.zeros_like(current)
        if current is not None:
            if not current.any():
                current = (
                    None  # what was followed was no trachea, or it ends in the lungs: there is no other below
                )
                continue
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
    back = np.flatnonzero((parts == sizes.argmax() + 1).any((0, 2)))[-1] if n else 0
    for i in np.flatnonzero(sizes > max(30.0, 0.04 * largest)) + 1:
        part = parts == i
        gas = np.median(v[part]) < -945 and sizes[i - 1] < 0.5 * largest
        under = (
            np.average(np.arange(v.shape[1]), weights=part.sum((0, 2))) > back
        )  # between the back and the table
        if not gas and not under:
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


def _sides(lungs: np.ndarray, v: np.ndarray) -> list[np.ndarray]:
    """The right and the left lung apart, where they touch behind the sternum too."""
    middle = np.average(np.arange(v.shape[2]), weights=(v > -300).sum((0, 1)) + 1e-9)
    half = np.broadcast_to(np.arange(v.shape[2]) < middle, v.shape)
    for n in range(6):
        core = ndimage.binary_erosion(lungs, _disc(), iterations=n) if n else lungs
        parts, count = ndimage.label(core)
        if not count:
            break
        numbers = np.arange(1, count + 1)
        sizes = ndimage.sum_labels(core, parts, numbers)
        share = ndimage.mean(half, parts, numbers)
        if not ((sizes > 0.1 * sizes.max()) & (share > 0.2) & (share < 0.8)).any():
            right = np.concatenate([[False], share > 0.5])[parts]
            left = core & ~right
            for _ in range(2 * n):  # each lung takes back what was eroded
                right |= ndimage.binary_dilation(right, mask=lungs & ~left)
                left |= ndimage.binary_dilation(left, mask=lungs & ~right)
            return [right, left]
    return [lungs & half, lungs & ~half]


def _with_consolidation(lungs: np.ndarray, v: np.ndarray, spacing: list[float]) -> np.ndarray:
    """Fill vessels and, on the chest wall's side of each lung, everything up to its convex hull in the slice."""
    radius = max(1, round(5 / spacing[1]))
    result = lungs.copy()
    for number, lung in enumerate(
        _sides(lungs, v)
    ):  # one at a time: what lies between the two is never filled
        if not lung.any():
            continue
        box = ndimage.find_objects(lung.view(np.int8))[0]
        side, soft = lung[box].copy(), v[box] < RIB
        outward = np.arange(side.shape[2]) * (1 if number == 0 else -1)
        # Liver, spleen and heart lie below a lung or beside it: no lung is under them.
        enclosed = np.maximum.accumulate(side) & np.maximum.accumulate(side[::-1])[::-1]
        for z in np.flatnonzero(side.any((1, 2))):
            border = np.where(side[z], outward, -np.inf).max(1)
            side[z] |= _hull(side[z]) & (outward <= border[:, None]) & soft[z] & enclosed[z]
        side = np.pad(side, ((0, 0), (radius, radius), (radius, radius)))
        closed = ndimage.binary_closing(side, _disc(), iterations=radius)[:, radius:-radius, radius:-radius]
        result[box] |= closed | _holes(closed, enclosed, spacing[1] * spacing[2])
    return ndimage.binary_opening(result, _disc()) | lungs


def _holes(mask: np.ndarray, enclosed: np.ndarray, pixel: float) -> np.ndarray:
    """What slices of a mask enclose, where it is a vessel's size or enclosed from above and below as well: the dome of the
    liver is a hole too."""
    within_slice = np.zeros((3, 3, 3), bool)
    within_slice[1] = ndimage.generate_binary_structure(2, 1)
    parts, _ = ndimage.label(~mask, within_slice)  # of all slices at once: much faster than one by one
    sizes = np.bincount(parts.ravel()) * pixel
    hole = np.ones(len(sizes), bool)
    hole[np.concatenate([[0], parts[:, [0, -1]].ravel(), parts[:, :, [0, -1]].ravel()])] = False
    return hole[parts] & ((sizes < VESSEL_MM2)[parts] | enclosed)


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
