"""From a CT slice to what the network of paper B sees (its section 3.1), and from an exam to its slices."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage

from covid_study.cohort.slices import choose
from covid_study.ct.consolidation import filled_hull
from covid_study.ct.lungs import lung_mask
from covid_study.ct.to_volume import window
from covid_study.ct.volume import Volume
from covid_study.errors import ExamError

LEVEL, WIDTH = -400.0, 1500.0  # HU
THRESHOLD = 170  # grey value, -150 HU: between fat and lung
OPENING_MM = 2.0  # parts the lungs from the room, where the chest wall is thin, and from the gut
SMALLEST_CM2 = 3.0  # of a part of a lung
SMALLEST_SHARE = 0.05  # of the largest part


@dataclass(frozen=True)
class PreparedSlice:
    """One slice ready for the network: image uint8 and lungs bool, both (size, size).

    `frame` is what of the slice the image shows, rows and columns; `steps` holds what every step made, caption -> array
    (y, x), when asked for.
    """

    image: np.ndarray
    lungs: np.ndarray
    frame: tuple[slice, ...]
    steps: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class ExamSlices:
    """The slices of one exam: rows of the slice table, images uint8, lungs and lesions bool, all (n, size, size).

    `lesions` is None where the truth is not known.
    """

    rows: pd.DataFrame
    images: np.ndarray
    lungs: np.ndarray
    lesions: np.ndarray | None


def to_grey(hu: np.ndarray) -> np.ndarray:
    """The window of paper B, 3.1, level -400 and width 1500 HU, as grey values: uint8.

    >>> to_grey(np.array([-2000, -1150, -150, 350])).tolist()
    [0, 0, 170, 255]
    """
    return np.round(255 * window(hu, LEVEL, WIDTH)).astype(np.uint8)


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """A grey image or a bool mask as (size, size): bilinear, averaged where it shrinks (paper B, 4.3).

    Choice: an image that is not square is stretched, as the paper's is; a mask keeps what is half covered.

    >>> resize(np.array([[0, 0, 200, 200]] * 4, np.uint8), 2).tolist()
    [[29, 171], [29, 171]]
    """
    mask = image.dtype == bool
    picture = Image.fromarray(image.astype(np.uint8) * np.uint8(255) if mask else image)
    small = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))
    return small >= 128 if mask else small


def preprocess_slice(
    hu: np.ndarray, spacing_mm: tuple[float, float], size: int = 224, crop: bool = False, steps: bool = False
) -> PreparedSlice:
    """Window, threshold, morphology, flood fill, largest parts, convex hull, multiply, resize (paper B, 3.1).

    Choice: an opening of 2 mm; what the flood fill from the image's edge reaches is the room; parts of a lung have 3 cm2
    and a twentieth of the largest part; one hull a lung, so that heart and spine stay out and a lesion at the wall comes in.

    Args:
        hu: (y, x) HU, anterior first. spacing_mm: (y, x).
        size: pixels a side of the result.
        crop: to the square around the lungs. Deviation: the paper keeps the whole slice, of which the lungs fill two thirds
            of the width; an image of 64 pixels has none to spare.
        steps: keep what every step made, for a figure.

    Returns:
        `lungs` is empty, and with it the image black, where the slice shows no lung.

    >>> body = np.full((64, 64), -1000)
    >>> body[4:60, 4:60] = 40
    >>> body[16:48, 10:28] = body[16:48, 36:54] = -850
    >>> done = preprocess_slice(body, (5, 5), size=64)
    >>> done.image[30, [1, 20, 32, 45]].tolist()  # room, lung, between the lungs, lung
    [0, 51, 0, 51]
    """
    grey = to_grey(hu)
    dark = grey < THRESHOLD
    inside = _without_room(dark, spacing_mm)
    parts = _largest(inside, spacing_mm)
    lungs = _hulls(parts)
    cut = grey * lungs
    frame = _square(lungs) if crop else (slice(None), slice(None))
    image = resize(_framed(cut, frame), size)
    shown = {}
    if steps:
        shown = {
            "window": grey,
            f"below {THRESHOLD}": dark,
            "opened, room filled": inside,
            "largest parts": parts,
            "convex hulls": lungs,
            "multiplied": cut,
            "the network's input": image,
        }
    return PreparedSlice(image, resize(_framed(lungs, frame), size), frame, shown)


def _square(mask: np.ndarray) -> tuple[slice, ...]:
    """The least square around a mask; it may reach beyond the slice. The whole slice where the mask is empty."""
    ends = [np.flatnonzero(mask.any(axis))[[0, -1]] for axis in (1, 0)] if mask.any() else []
    side = max((last - first + 1 for first, last in ends), default=0)
    starts = [(first + last + 1 - side) // 2 for first, last in ends]
    return tuple(slice(int(a), int(a + side)) for a in starts) if ends else (slice(None), slice(None))


def _framed(image: np.ndarray, frame: tuple[slice, ...]) -> np.ndarray:
    """What a frame shows of an image, black where it reaches beyond it."""
    if frame[0].start is None:
        return image
    side = frame[0].stop - frame[0].start
    return np.pad(image, side)[tuple(slice(f.start + side, f.stop + side) for f in frame)]


def _without_room(dark: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """What is dark inside the body: opened, then without what hangs together with the image's edge (a flood fill)."""
    radius = max(1, round(OPENING_MM / max(spacing_mm)))
    opened = ndimage.binary_opening(np.pad(dark, 1, constant_values=True), iterations=radius)
    opened[[0, -1]] = opened[:, [0, -1]] = True  # the room is all round
    parts, _ = ndimage.label(opened)
    return (opened & (parts != parts[0, 0]))[1:-1, 1:-1]


def _largest(inside: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """The large parts of what is dark, with their vessels; the trachea is small, and so is gas in the gut."""
    parts, n = ndimage.label(inside)
    area = np.bincount(parts.ravel(), minlength=n + 1) * (spacing_mm[0] * spacing_mm[1] / 100)
    area[0] = 0
    return (area >= max(SMALLEST_CM2, SMALLEST_SHARE * area.max()))[parts]


def _hulls(parts: np.ndarray) -> np.ndarray:
    """The convex hull of the parts on either side of the midline: the column with the least lung in the middle third."""
    result = np.zeros(parts.shape, bool)
    columns = np.flatnonzero(parts.any(0))
    if not len(columns):
        return result
    low, high = columns[[0, -1]]
    third = (high - low) // 3
    profile = parts.sum(0)[low + third : high - third + 1]
    middle = low + third + round(np.flatnonzero(profile == profile.min()).mean())
    for side in (slice(0, middle), slice(middle, None)):
        hull = filled_hull(parts[:, side])
        if hull.any():
            result[:, side] = hull | parts[:, side]  # the polygon leaves out half of its own edge
    return result


def exam_slices(
    volume: Volume,
    truth: dict[str, np.ndarray] | None,
    exam_id: str,
    per_exam: int | None,
    size: int,
    crop: bool = False,
    overlap: float = 0.0,
    label_noise: float | None = None,
) -> ExamSlices:
    """The slices of one exam that are classified, and what is known about each (paper B, 3.1 and 4.1).

    Where the lungs lie, and how much of a slice is lung, comes from the truth where it is known, else from
    `lungs.lung_mask`; the picture comes from the slice alone, by `preprocess_slice`, in either case.

    Args:
        truth: bool masks "lungs" and "lesions" (z, y, x) of the phantom; None for a real exam.
        per_exam: slices to take, see `slices.choose`. size: pixels a side. crop: see `preprocess_slice`.
        overlap: see `slices.choose`. label_noise: of slices chosen as a reader would, where the truth is known; None: blindly.

    Returns:
        Rows with slice_id, position_mm (above the lowest slice), lesion_area_mm2, lesion_share, lung_area_mm2.

    Raises:
        ExamError: no lungs.
    """
    lungs = lung_mask(volume.hu, volume.spacing_mm, exam_id) if truth is None else truth["lungs"]
    dz, *pixel = volume.spacing_mm
    taken, rows, images, frames = [], [], [], []
    areas, shares = lungs.sum((1, 2)), None
    if truth is not None and label_noise is not None:
        shares = truth["lesions"].sum((1, 2)) / np.maximum(areas, 1)
    turn = crc32(exam_id.encode()) / 2**32
    for z in choose(areas, per_exam, overlap, shares, label_noise or 0.0, turn):
        done = preprocess_slice(volume.hu[z], (pixel[0], pixel[1]), size, crop)
        if not done.lungs.any():  # dense all over: nothing is left of it
            continue
        area = float(lungs[z].sum() * pixel[0] * pixel[1])
        ill = np.nan if truth is None else float(truth["lesions"][z].sum() * pixel[0] * pixel[1])
        taken.append(z)
        images.append(done.image)
        frames.append(done.frame)
        rows.append((f"{exam_id}/{z:04d}", z * dz, ill, ill / area, area))
    if not rows:
        raise ExamError(
            exam_id,
            "none of its slices shows aerated lung",
            "check that this is a chest CT in HU, or remove it",
        )
    columns = ["slice_id", "position_mm", "lesion_area_mm2", "lesion_share", "lung_area_mm2"]
    return ExamSlices(
        pd.DataFrame(rows, columns=columns),
        np.stack(images),
        _masks(lungs, taken, frames, size),
        None if truth is None else _masks(truth["lesions"], taken, frames, size),
    )


def _masks(volume: np.ndarray, taken: list[int], frames: list[tuple[slice, ...]], size: int) -> np.ndarray:
    return np.stack([resize(_framed(volume[z], frame), size) for z, frame in zip(taken, frames, strict=True)])
