"""From a CT volume to what the network sees (paper A, IV-F2), one exam at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from covid_study.ct.lungs import lung_mask
from covid_study.ct.resampling import resample
from covid_study.errors import ExamError

FIELD_OF_VIEW_MM = (256.0, 192.0, 280.0)  # x, y, z: 256 x 192 x 56 voxels of 1 x 1 x 5 mm
MARGIN_MM = (9.0, 9.0, 5.0)  # x, y, z
LEVEL, WIDTH = -600.0, 1500.0  # HU
HISTOGRAM_HU = (-1024.0, 200.0)
HISTOGRAM_BINS = 64


@dataclass(frozen=True)
class Preprocessed:
    """One exam ready for the network.

    `image` is uint8 (z, y, x), 255 for the top of the window; a step is 5.9 HU, below the noise of any scanner. `histogram`
    holds the shares of the lungs' voxels in 64 bins from -1024 to 200 HU; `facts` lung_ml, mean_hu, cut_off (share of the
    lungs outside the final crop), crop_x_mm, crop_y_mm, crop_z_mm (the lungs with their margins) and, where the truth is
    known, lesion_share and dice. `steps` is filled when asked for.
    """

    image: np.ndarray
    histogram: np.ndarray
    facts: dict[str, float]
    steps: dict[str, tuple[np.ndarray, tuple[float, float, float]]] = field(default_factory=dict)


def window(hu: np.ndarray, level: float = LEVEL, width: float = WIDTH) -> np.ndarray:
    """Scale a window of HU to [0, 1] (paper A, IV-F2): float32.

    >>> window(np.array([-2000.0, -1350.0, -600.0, 150.0])).tolist()
    [0.0, 0.0, 0.5, 1.0]
    """
    return np.clip((np.asarray(hu, np.float32) - (level - width / 2)) / width, 0, 1)


def crop_to(
    mask: np.ndarray, spacing_mm: Sequence[float], margin_mm: tuple[float, float, float] = MARGIN_MM
) -> tuple[slice, ...]:
    """The box around a mask with 9, 9 and 5 mm to spare in x, y and z, inside the volume (paper A, IV-F2)."""
    box = []
    for axis, margin in enumerate(reversed(margin_mm)):
        along = np.flatnonzero(mask.any(tuple(a for a in range(3) if a != axis)))
        spare = int(np.ceil(margin / spacing_mm[axis]))
        box.append(slice(max(along[0] - spare, 0), min(along[-1] + 1 + spare, mask.shape[axis])))
    return tuple(box)


def centre_crop_or_pad(volume: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Keep or pad with zeros around the centre (paper A, IV-F2).

    >>> centre_crop_or_pad(np.ones((1, 4, 6)), (3, 2, 6)).sum(axis=(1, 2)).tolist()
    [0.0, 12.0, 0.0]
    """
    result = np.zeros(shape, volume.dtype)
    source, target = [], []
    for have, want in zip(volume.shape, shape, strict=True):
        start = (have - want) // 2
        source.append(slice(max(start, 0), max(start, 0) + min(have, want)))
        target.append(slice(max(-start, 0), max(-start, 0) + min(have, want)))
    result[tuple(target)] = volume[tuple(source)]
    return result


def average_to(volume: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Mean over equal boxes, whole multiples or not: float32 of `shape`.

    >>> average_to(np.arange(6.0).reshape(1, 1, 6), (1, 1, 3)).ravel().tolist()
    [0.5, 2.5, 4.5]
    """
    result = np.asarray(volume, np.float32)
    for axis, want in enumerate(shape):
        have = result.shape[axis]
        if have != want:
            edges = np.linspace(0, have, want + 1)
            low = np.maximum(edges[:-1, None], np.arange(have)[None])
            high = np.minimum(edges[1:, None], np.arange(1, have + 1)[None])
            weights = np.clip(high - low, 0, None).astype(np.float32) * np.float32(want / have)
            result = np.moveaxis(np.tensordot(weights, result, (1, axis)), 0, axis)
    return result


def preprocess(
    volume_hu: np.ndarray,
    spacing_mm: tuple[float, float, float],
    shape: tuple[int, int, int] = (256, 192, 56),
    working_spacing_mm: tuple[float, float, float] = (1.0, 1.0, 5.0),
    exam_id: str = "",
    truth: dict[str, np.ndarray] | None = None,
    steps: bool = False,
) -> Preprocessed:
    """Lung mask, resampling, crop, window, zero outside the lungs, crop or pad (paper A, IV-F2).

    Choice: for networks smaller than the paper's, the same field of view, 256 x 192 x 280 mm, is averaged down to `shape`;
    `working_spacing_mm` may then be coarser than 1 x 1 x 5 mm.

    Args:
        volume_hu: (z, y, x) HU. spacing_mm: (z, y, x).
        shape, working_spacing_mm: x, y, z, as the paper writes them.
        exam_id: named in errors.
        truth: bool masks "lungs" and "lesions" (z, y, x), where they are known; measured, never used.
        steps: keep what every step made, for a figure.

    Raises:
        ExamError: values that are not finite or not HU, no lungs.

    >>> from covid_study.phantom import cohort as phantom
    >>> exam = phantom.make_exam("cap-0001-a", seed=0, matrix=96, thickness_mm=(5, 10))
    >>> preprocess(exam.volume.hu, exam.volume.spacing_mm, (64, 48, 16), (2, 2, 5)).image.shape
    (16, 48, 64)
    """
    finite = volume_hu.dtype.kind in "iu" or np.isfinite(volume_hu).all()
    if not finite or volume_hu.min() > -500:
        raise ExamError(
            exam_id,
            f"its values are not HU (smallest {np.nanmin(volume_hu):g}, or not finite)",
            "give the exam in Hounsfield units: air -1000, water 0",
        )
    mask = lung_mask(volume_hu, spacing_mm, exam_id)
    target = tuple(float(s) for s in reversed(working_spacing_mm))
    lungs = resample(mask, spacing_mm, target, is_mask=True)
    box = crop_to(lungs, target)
    hu = resample(volume_hu, spacing_mm, target, box=box)
    inside = hu[lungs[box]]
    counts, _ = np.histogram(np.clip(inside, *HISTOGRAM_HU), HISTOGRAM_BINS, HISTOGRAM_HU)
    scaled = window(hu)
    zeroed = scaled * lungs[box]
    full = tuple(int(round(f / t)) for f, t in zip(reversed(FIELD_OF_VIEW_MM), target, strict=True))
    framed = centre_crop_or_pad(zeroed, full)
    final = average_to(framed, tuple(reversed(shape)))
    kept = centre_crop_or_pad(lungs[box], full).sum() / lungs.sum()
    facts = {
        "lung_ml": float(mask.sum() * np.prod(spacing_mm) / 1000),
        "mean_hu": float(inside.mean()),
        "cut_off": float(1 - kept),
    }
    for axis, step, part in zip("zyx", target, box, strict=True):
        facts[f"crop_{axis}_mm"] = step * (part.stop - part.start)
    if truth is not None:
        facts["lesion_share"] = float(truth["lesions"].sum() / truth["lungs"].sum())
        facts["dice"] = float(2 * (mask & truth["lungs"]).sum() / (mask.sum() + truth["lungs"].sum()))
    shown = {}
    if steps:
        voxel = tuple(f / n for f, n in zip(reversed(FIELD_OF_VIEW_MM), final.shape, strict=True))
        shown = {
            "the exam": (window(volume_hu), tuple(spacing_mm)),
            "lung mask": (window(volume_hu) * np.where(mask, 1, 0.35), tuple(spacing_mm)),
            "resampled": (window(resample(volume_hu, spacing_mm, target)), target),
            "cropped to the lungs": (scaled, target),
            "zero outside the lungs": (zeroed, target),
            "centre crop or pad": (framed, target),
            "the network's input": (final, voxel),
        }
    image = np.round(final * 255).astype(np.uint8)
    return Preprocessed(image, (counts / counts.sum()).astype(np.float64), facts, shown)
