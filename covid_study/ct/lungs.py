"""Lung masks by classical means: threshold, airways, components, and what is known about dense lung (paper A, IV-F2)."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from covid_study.ct.consolidation import IN_SLICE, so_far, with_consolidation
from covid_study.errors import ExamError

GRID_MM = (5.0, 2.2, 2.2)  # voxels of the working grid (z, y, x), about; never finer than the exam's
AIR_HU = -400.0  # half way from aerated lung to the chest wall
BORDER_HU = -430.0  # the same for the exam's own, smaller voxels
EMPTY_HU = -925.0  # no tissue in it: the room, padding, airways
GAS_HU = -955.0  # emptier than emphysema, once noise is averaged: stomach and bowel
WALL_MM = 15.0  # of tissue in a chest's wall, at least
SMALLEST_ML, LARGEST_ML = 300.0, 12_000.0


def lung_mask(volume_hu: np.ndarray, spacing_mm: tuple[float, float, float], exam_id: str = "") -> np.ndarray:
    """Both lungs, with their vessels and with consolidated parts, without trachea and main bronchi (paper A, IV-F2).

    Deviation: the paper's mask network is in-house. Here: air inside the body on a grid of about 2 x 2 x 5 mm, the airways
    followed down from the neck and removed, bowel gas told from lung by its emptiness; then dense lung, by its place (see
    `consolidation`); last, the border where aerated lung ends is set by the exam's own voxels.
    A lobe that is dense down to the diaphragm, with no lung below it, cannot be told from liver or effusion and is missed.

    Args:
        volume_hu: (z, y, x) HU, caudal to cranial, front to back, right to left.
        spacing_mm: (z, y, x).
        exam_id: named in the error.

    Returns:
        bool (z, y, x).

    Raises:
        ExamError: no lungs of a plausible size are found, or only one.

    >>> body = np.full((20, 60, 60), -1000, np.int16)
    >>> body[:, 5:55, 5:55] = 40
    >>> body[2:18, 10:50, 8:26] = body[2:18, 10:50, 34:52] = -850
    >>> mask = lung_mask(body, (10.0, 5.0, 5.0))
    >>> bool(mask[10, 30, 15]), bool(mask[10, 30, 30]), bool(mask[10, 1, 1])
    (True, False, False)
    """
    factors = [max(1, int(g / s + 0.5)) for g, s in zip(GRID_MM, spacing_mm, strict=True)]
    spacing = tuple(f * s for f, s in zip(factors, spacing_mm, strict=True))
    v = _average(volume_hu, factors)
    air = _air_inside(v, spacing)
    box = _box(air, exam_id)  # what follows need not look further
    v, air = v[box], _in_the_body(air[box], v[box])
    airways = _airways(air, v, spacing)
    aerated = _components(air & ~airways, v, spacing, exam_id)
    lungs = with_consolidation(aerated, v, airways, spacing)
    if _one_sided(lungs, _right(v)):
        raise ExamError(
            exam_id,
            "only one lung was found; the other holds no air, or is not there",
            "look at the exam: a lung that is dense as a whole cannot be told from effusion here; leave it out",
        )
    if max(factors) == 1:
        result = np.zeros(volume_hu.shape, bool)
        result[box] = lungs
        return result
    return _refined(lungs, lungs & ~aerated, box, volume_hu, factors)


def _average(volume: np.ndarray, factors: list[int]) -> np.ndarray:
    """Means of blocks, float32; the last block of an axis is filled up with the edge's values."""
    deep = factors[0]
    missing = [(0, -n % f) for n, f in zip(volume.shape, (1, *factors[1:]), strict=True)]
    result = np.empty([-(-n // f) for n, f in zip(volume.shape, factors, strict=True)], np.float32)
    for z in range(len(result)):  # what one slice of the result needs stays in the cache
        block = volume[np.minimum(np.arange(z * deep, (z + 1) * deep), len(volume) - 1)]
        block = np.clip(block, -1024, 1500)  # padding of -2000 or -3024 is air like any other
        if any(m for _, m in missing):
            block = np.pad(block, missing, mode="edge")
        for axis in (2, 1, 0):
            f = factors[axis]
            if f > 1:  # adding strided views is several times faster than a reshape and a mean
                parts = [block[(slice(None),) * axis + (slice(k, None, f),)] for k in range(f)]
                block = np.add(parts[0], parts[1], dtype=np.float32)
                for part in parts[2:]:
                    block += part
                block /= f
        result[z] = block[0]
    return result


def _air_inside(v: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Air that is not the room's. The room is sought at a lower threshold than the lungs, so that a lung cut off by the field
    of view does not run out into the padding; such a lung still has the chest's wall in front of it and behind."""
    empty, _ = ndimage.label(v < EMPTY_HU)
    touching = np.unique(np.concatenate([empty[:, [0, -1]].ravel(), empty[:, :, [0, -1]].ravel()]))
    tissue, needed = v > -200, WALL_MM / spacing[1]
    chest = np.cumsum(tissue, 1, dtype=np.int16) > needed
    chest &= np.cumsum(tissue[:, ::-1], 1, dtype=np.int16)[:, ::-1] > needed
    outside = np.isin(empty, touching[touching > 0]) & ~chest
    air = v < AIR_HU
    skin = ndimage.binary_dilation(outside, IN_SLICE, iterations=2, mask=air & ~chest)  # and the blurred skin
    return air & ~skin


def _box(air: np.ndarray, exam_id: str) -> tuple[slice, ...]:
    """The box around all large components of air."""
    parts, n = ndimage.label(ndimage.binary_opening(air, IN_SLICE))
    sizes = np.bincount(parts.ravel(), minlength=n + 1)
    sizes[0] = 0
    if not n:
        raise _no_lungs(exam_id, 0.0)
    large = (sizes > 0.01 * sizes.max())[parts]
    (box,) = ndimage.find_objects(large.astype(np.uint8))
    return tuple(slice(max(s.start - 6, 0), s.stop + 6) for s in box)


def _no_lungs(exam_id: str, ml: float) -> ExamError:
    return ExamError(
        exam_id,
        f"no lungs were found: {ml:.0f} ml of lung-like air inside the body, "
        f"expected {SMALLEST_ML:.0f} to {LARGEST_ML:.0f} ml",
        "check that this is a chest CT in HU that covers the lungs, or remove the exam",
    )


def _in_the_body(air: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Without the table's foam, and hair or blankets round the shoulders: they have nothing behind or in front of them."""
    tissue = ndimage.binary_opening(v > -250, IN_SLICE)
    enclosed = so_far(tissue, 1) & so_far(tissue, 1, reverse=True)
    parts, n = ndimage.label(air)
    share = np.bincount(parts[enclosed], minlength=n + 1) / np.maximum(
        np.bincount(parts.ravel(), minlength=n + 1), 1
    )
    share[0] = 0
    return (share > 0.7)[parts]


def _airways(air: np.ndarray, v: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Follow the trachea down from the neck, slice by slice, to where its branches enter the lungs."""
    pixel = spacing[1] * spacing[2]
    middle = np.average(np.arange(v.shape[2]), weights=air.sum((0, 1)))
    step = max(1, round(4 / spacing[1]))
    found, current = np.zeros_like(air), None
    for z in range(len(v) - 1, -1, -1):
        islands, n = ndimage.label(air[z])
        area = np.bincount(islands.ravel(), minlength=n + 1) * pixel
        small = (area > 25) & (area < 900)
        small[0] = False
        if current is None:
            current = _trachea(islands, small, v[z], middle, spacing) if z > 0.35 * len(v) else None
        else:
            near = ndimage.binary_dilation(current, iterations=step)
            current = small[islands] & np.isin(islands, np.unique(islands[near & air[z]]))
            # A lumen that runs into the lung is followed as long as it is a small core of emptiness.
            core = ndimage.binary_opening(near & air[z] & ~small[islands] & (v[z] < EMPTY_HU))
            if core.sum() * pixel < 500:
                current |= core
            if not current.any():
                if found.any((1, 2)).sum() * spacing[0] > 50:
                    break
                current = None  # a closed glottis, or a pocket in the neck
                continue
        if current is not None:
            found[z] = current
    return ndimage.binary_dilation(found, IN_SLICE) & air  # and the blurred wall


def _trachea(
    islands: np.ndarray, small: np.ndarray, v: np.ndarray, middle: Any, spacing: Sequence[float]
) -> np.ndarray | None:
    """The most central compact island of emptiness in a slice, if there is one."""
    best, chosen = 35.0, None  # mm from the middle
    for i in np.flatnonzero(small):
        y, x = np.nonzero(islands == i)
        wide = max(np.ptp(y) * spacing[1], np.ptp(x) * spacing[2])
        off = abs(x.mean() - middle) * spacing[2]
        if len(y) * spacing[1] * spacing[2] > 60 and wide < 45 and off < best and v[y, x].min() < -850:
            best, chosen = off, islands == i
    return chosen


def _components(air: np.ndarray, v: np.ndarray, spacing: tuple[float, ...], exam_id: str) -> np.ndarray:
    """The lungs among what holds air: large, and not as empty as gas in the bowel."""
    core = ndimage.binary_erosion(
        ndimage.binary_opening(air, IN_SLICE), IN_SLICE
    )  # parts lung from the gas below it
    parts, n = ndimage.label(core)
    labels = parts.ravel()
    count = np.maximum(np.bincount(labels, minlength=n + 1), 1)
    ml = count * np.prod(spacing) / 1000
    ml[0] = 0
    empty = np.bincount(labels, weights=(v < GAS_HU).ravel(), minlength=n + 1) / count
    largest = ml[empty < 0.7].max(initial=0)
    gas = empty >= np.where(ml > 0.1 * largest, 0.6, 0.2)
    lung = (ml > max(8.0, 0.004 * largest)) & ~gas
    other = _other_lung(parts, lung, np.where(gas, ml, 0) > 0.25 * largest, v)
    lung, gas = lung | other, gas & ~other
    elsewhere = ndimage.binary_dilation((gas & (ml > 3))[parts], IN_SLICE, iterations=2)
    lungs = ndimage.binary_dilation(
        lung[parts], IN_SLICE, iterations=3, mask=air & ~elsewhere
    )  # undo the erosion
    total = lungs.sum() * np.prod(spacing) / 1000
    if not SMALLEST_ML <= total <= LARGEST_ML:
        raise _no_lungs(exam_id, total)
    return lungs


def _other_lung(parts: np.ndarray, lung: np.ndarray, gas: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Which large components of gas are a lung: emphysema or a pneumothorax beside the lung that was found, not below it.

    parts: labels (z, y, x). lung, gas: bool, by label. Gas in stomach or bowel shares little of the height of a lung.
    """
    found, right = lung[parts], _right(v)
    if not gas.any() or not found.any() or not _one_sided(found, right):
        return np.zeros_like(gas)
    height = found.any((1, 2))
    own = right if (found & right).sum() > (found & ~right).sum() else ~right
    beside = np.zeros_like(gas)
    for i in np.flatnonzero(gas):
        part = parts == i
        elsewhere = (part & own).sum() < (part & ~own).sum()
        beside[i] = elsewhere and (part.any((1, 2)) & height).sum() > 0.5 * height.sum()
    return beside


def _right(v: np.ndarray) -> np.ndarray:
    """The patient's right half, (1, 1, x): what lies on that side of the middle of the body's tissue."""
    x = np.arange(v.shape[2])
    return (x < np.average(x, weights=(v > -200).sum((0, 1)) + 1e-9))[None, None]


def _one_sided(mask: np.ndarray, right: np.ndarray) -> bool:
    """Whether one half of the body has less than a tenth of what the other has."""
    halves = (mask & right).sum(), (mask & ~right).sum()
    return min(halves) < 0.1 * max(halves)


def _refined(
    coarse: np.ndarray,
    dense: np.ndarray,
    box: tuple[slice, ...],
    volume_hu: np.ndarray,
    factors: Sequence[int],
) -> np.ndarray:
    """Back on the exam's grid: where aerated lung ends its own voxels say where, elsewhere the interpolated mask.

    Only cells of the working grid with another kind beside them hold a border; the rest is lung, or is not, as a whole.
    """
    cells = np.nonzero(ndimage.maximum_filter(coarse, 3) != ndimage.minimum_filter(coarse, 3))
    around = sliding_window_view(np.pad(coarse, 1, mode="edge"), (3, 3, 3))[cells].reshape(-1, 27)
    weights = [_of_neighbours(f) for f in factors]
    share = around.astype(np.float32) @ np.einsum("ai,bj,ck->ijkabc", *weights).reshape(27, -1)
    share = 200 * share.reshape(-1, *factors)
    scale = 8 * math.prod(factors)  # of the weights: whole numbers, so that a tie is a tie
    near_dense = ndimage.binary_dilation(dense, IN_SLICE)[cells][:, None, None, None]
    at = tuple(b.start + cell for b, cell in zip(box, cells, strict=True))
    places = [
        np.minimum(cell[:, None] * f + np.arange(f), n - 1)
        for cell, f, n in zip(at, factors, volume_hu.shape, strict=True)
    ]
    z, y, x = (np.expand_dims(p, [a for a in (1, 2, 3) if a != axis]) for axis, p in enumerate(places, 1))
    aerated = volume_hu[z, y, x] < BORDER_HU
    inside = share >= 101 * scale
    band = (share >= 11 * scale) & (share < 190 * scale) & ~near_dense
    whole = np.zeros([-(-n // f) for n, f in zip(volume_hu.shape, factors, strict=True)], bool)
    whole[box] = coarse
    (nz, ny, nx), (fz, fy, fx) = whole.shape, factors
    by_cell = np.empty((nz, fz, ny, fy, nx, fx), bool)
    by_cell.reshape(nz, fz, ny, fy, -1)[:] = whole.repeat(fx, 2)[:, None, :, None]  # long runs of memory
    by_cell.transpose(0, 2, 4, 1, 3, 5)[at] = np.where(band, aerated, inside)
    fine = by_cell.reshape(nz * fz, ny * fy, nx * fx)
    return np.ascontiguousarray(fine[tuple(map(slice, volume_hu.shape))])


def _of_neighbours(factor: int) -> np.ndarray:
    """Weights, times 2 f, of a cell's neighbour before, itself and the next in its f voxels: linear, float32 (f, 3).

    >>> _of_neighbours(2).tolist()
    [[1.0, 3.0, 0.0], [0.0, 3.0, 1.0]]
    """
    off = 2 * np.arange(factor) + 1 - factor  # from the cell's middle, in 2 f
    return np.stack([np.maximum(-off, 0), 2 * factor - abs(off), np.maximum(off, 0)], 1).astype(np.float32)
