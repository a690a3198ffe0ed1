"""A volume at another voxel size: a small matrix an axis, linear interpolation times a Gaussian that keeps noise down."""

from collections.abc import Sequence

import numpy as np
from scipy.special import ive

WHOLE = (slice(None),) * 3
WIDEST = 16  # voxels from the middle of the Gaussian to its end, at most
AREA = 0.99  # of the Gaussian that is kept, at least
SLAB = 8  # slices made at a time: they stay in the cache, and the exam is never a float as a whole


def resample(
    volume: np.ndarray,
    spacing_mm: Sequence[float],
    target_mm: Sequence[float],
    is_mask: bool = False,
    box: tuple[slice, ...] = WHOLE,
) -> np.ndarray:
    """Resample to another voxel size (z, y, x) by linear interpolation, masks by their nearest voxel: float32, or bool.

    Choice: where voxels become larger, the volume is smoothed first, so that noise and thin vessels do not alias: by a
    Gaussian of 0.4 sqrt(target^2 - spacing^2) mm.

    Args:
        volume: (z, y, x); the field of view stays, the first voxel's edge stays in place.
        spacing_mm, target_mm: (z, y, x).
        box: what of the result is wanted; the rest is not computed.

    >>> resample(np.ones((4, 8, 8), np.int16), (5, 1, 1), (10, 2, 2)).shape
    (2, 4, 4)
    """
    axes = list(zip(volume.shape, spacing_mm, target_mm, box, strict=True))
    if is_mask:
        nearest = [np.floor(_places(*a[:3], k == 2) + 0.5).astype(int)[a[3]] for k, a in enumerate(axes)]
        return volume.astype(bool, copy=False)[np.ix_(*nearest)]
    matrices = [_matrix(n, old, new)[cut] for n, old, new, cut in axes]
    result = np.empty([len(m) for m in matrices], np.float32)
    in_slice = [_trimmed(m) for m in matrices[1:]]
    for z in range(0, len(result), SLAB):
        used, slab = zip(_trimmed(matrices[0][z : z + SLAB]), *in_slice, strict=True)
        part = volume[used].astype(np.float32)
        for axis in sorted(range(3), key=lambda a: 1 / slab[a].shape[1] - 1 / slab[a].shape[0]):  # least work
            part = _along(axis, slab[axis], part)
        result[z : z + SLAB] = part
    return result


def _trimmed(matrix: np.ndarray) -> tuple[slice, np.ndarray]:
    """Which of the old voxels a matrix uses, and the matrix from these alone."""
    used = np.flatnonzero(matrix.any(0))
    cut = slice(used[0], used[-1] + 1)
    return cut, np.ascontiguousarray(matrix[:, cut])


def _along(axis: int, matrix: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """A matrix times every line of a volume along an axis, as BLAS likes it."""
    if axis == 0:
        return np.tensordot(matrix, volume, 1)
    return matrix @ volume if axis == 1 else volume @ matrix.T


def _places(n: int, old_mm: float, new_mm: float, along_lines: bool = False) -> np.ndarray:
    """Where the new voxels' centres lie, in old voxels from the centre of the first of n; the outer half voxel is the edge's.

    Half way between two voxels the last bit decides which is the nearest: computed as ITK does, in its way along a line of x.
    """
    size = max(1, int(round(n * float(old_mm) / float(new_mm))))
    places = ((new_mm - old_mm) / 2 + np.arange(size + 1) * new_mm) * (1 / old_mm)
    if along_lines:
        places = places[0] + (places[-1] - places[0]) * (np.arange(size + 1) / size)
    return np.clip(places[:-1], 0, n - 1)


def _matrix(n: int, old_mm: float, new_mm: float) -> np.ndarray:
    """From n voxels to new ones: float32 (new, n); beyond the edges are the edges' values."""
    places = _places(n, old_mm, new_mm)
    kernel = _gaussian(0.4 * max(new_mm**2 - old_mm**2, 0) ** 0.5 / old_mm)
    low = np.floor(places).astype(int)[:, None]
    share = places[:, None] - low
    taps = np.arange(len(kernel)) - len(kernel) // 2
    matrix, rows = np.zeros((len(places), n)), np.arange(len(places))[:, None]
    for step, weight in ((0, 1 - share), (1, share)):
        columns = np.clip(np.minimum(low + step, n - 1) + taps, 0, n - 1)
        np.add.at(matrix, (rows, columns), weight * kernel)
    return matrix.astype(np.float32)


def _gaussian(sigma: float) -> np.ndarray:
    """The discrete Gaussian (Lindeberg 1990: a Bessel function) of `sigma` voxels, as wide as ITK has it.

    >>> _gaussian(0).tolist(), len(_gaussian(2))
    ([0.0, 1.0, 0.0], 11)
    """
    half = ive(np.arange(WIDEST + 1), sigma**2)
    area = 2 * half.cumsum() - half[0]
    half = half[: max(2, 1 + int(np.searchsorted(area, AREA)))]
    kernel = np.concatenate([half[:0:-1], half])
    return kernel / kernel.sum()
