"""Text and marks burnt into pictures: what somebody drew in colour, and letters and arrows near the edge of grey ones."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage, stats
from skimage.morphology import skeletonize

from covid_study.scores.resamples import Resamples

COLOURED = 60  # between the least and the greatest channel of a pixel
SMALLEST_MARK = 12  # pixels that touch
STRETCH = 90  # grey values by which a stroke stands out
FLAT, CONTRAST = 8, 110  # around a letter: median deviation; between it and the letter
LENGTH, EVEN = 2.5, 0.45  # of a stroke, in its own widths; spread of its width over the mean
TALLEST, WIDEST = 0.10, 1.6  # of the picture's height; of the letter's own height
EDGE = 0.8  # of the way from the centre of the picture to its edge: text begins there
TOUCHING = np.ones((3, 3), bool)


def colour_boxes(colours: np.ndarray) -> np.ndarray:
    """Where a picture is in colour: int (n, 4), top, bottom, left, right, one row a mark.

    A CT slice is grey: whatever has a colour was put there, an arrow, a frame, the name of a clinic. Exact but for what
    JPEG washes out.

    Args:
        colours: uint8 (y, x, 3).

    >>> picture = np.zeros((40, 40, 3), np.uint8); picture[10:20, 5:9, 0] = 255
    >>> colour_boxes(picture).tolist()
    [[10, 20, 5, 9]]
    """
    red, green, blue = np.moveaxis(colours, 2, 0)
    least, greatest = np.minimum(np.minimum(red, green), blue), np.maximum(np.maximum(red, green), blue)
    spread = greatest - least
    return _boxes(spread >= COLOURED, lambda part, _: part.sum() >= SMALLEST_MARK)


def text_boxes(grey: np.ndarray) -> np.ndarray:
    """Letters and small marks near the edge of a grey picture: int (n, 4), top, bottom, left, right.

    White or black strokes of even width that stand out sharply from something flat, up to a tenth of the picture high. Near
    the edge only: in the middle a vessel looks the same, so an arrow on a lung is not found.

    Measured on text in Pillow's own font that was written on slices of the phantom at 512 pixels, in four places near the
    edge: all of it is found from 16 points on where it is white, from 24 where it is light grey, none of most words below 12
    points, and nothing is found where nothing was written (300 slices). By eye on COVID-CT: of 24 pictures it points at 17
    show text or a mark there, 7 a rib, a vessel or a cable; of 24 that it passes 7 show some, faint, cut by the edge, or
    arrows. `colour_boxes`: of 24, 20 are drawn on or are photographs of a screen, 4 have the colour fringes of JPEG.

    Args:
        grey: uint8 (y, x), as large as it was published; letters of less than six pixels are not found.

    >>> picture = np.full((200, 200), 20, np.uint8); picture[6:18, 8:10] = 250; picture[16:18, 8:16] = 250  # an L
    >>> text_boxes(picture).tolist()
    [[6, 18, 8, 16]]
    """
    found = [np.zeros((0, 4), int)]
    size = 2 * max(3, min(grey.shape) // 80) + 1  # strokes are narrower than this
    for values in (grey.astype(np.int16), 255 - grey.astype(np.int16)):
        strokes = values - ndimage.grey_opening(values, size=(size, size)) >= STRETCH

        def letter(part: np.ndarray, box: tuple[slice, slice], values=values) -> bool:
            return _at_edge(box, grey.shape) and _is_letter(part, box, values)

        found.append(_boxes(strokes & (values >= 170), letter))
    return np.concatenate(found)


def _boxes(mask: np.ndarray, wanted) -> np.ndarray:
    labels, _ = ndimage.label(mask, TOUCHING)
    boxes = [
        (box[0].start, box[0].stop, box[1].start, box[1].stop)
        for number, box in enumerate(ndimage.find_objects(labels), start=1)
        if wanted(labels[box] == number, box)
    ]
    return np.array(boxes, int).reshape(-1, 4)


def _at_edge(box: tuple[slice, slice], shape: tuple[int, int]) -> bool:
    """As large as a letter, near the edge of the picture but not cut by it, and not long like a line of the table."""
    (height, width), (top, left) = shape, (box[0].start, box[1].start)
    high, wide = box[0].stop - top, box[1].stop - left
    if not 6 <= high <= TALLEST * height or not 2 <= wide <= WIDEST * high:
        return False
    if top == 0 or left == 0 or box[0].stop == height or box[1].stop == width:
        return False
    return max(abs((2 * top + high) / height - 1), abs((2 * left + wide) / width - 1)) > EDGE


def _is_letter(part: np.ndarray, box: tuple[slice, slice], values: np.ndarray) -> bool:
    """Strokes of even width, longer than wide, on something flat and far darker.

    part: bool, the letter in its box. values: int16 (y, x), of the whole picture; the letter is bright.
    """
    high, wide = part.shape
    if part.sum() > 0.85 * high * wide and wide > 0.5 * high:
        return False  # a block
    room = [
        (min(3, side.start), min(3, length - side.stop))
        for side, length in zip(box, values.shape, strict=True)
    ]
    whole = np.pad(part, room)
    around = values[tuple(slice(s.start - b, s.stop + a) for s, (b, a) in zip(box, room, strict=True))]
    near = ndimage.binary_dilation(whole, TOUCHING, iterations=2)
    ring = around[ndimage.binary_dilation(near, TOUCHING) & ~near]
    if not len(ring):
        return False
    middle = np.median(ring)
    flat = np.median(np.abs(ring - middle)) <= FLAT and np.percentile(ring, 95) - middle <= 60
    if not flat or middle > 100 or np.percentile(around[whole], 75) - middle < CONTRAST:
        return False
    half_widths = ndimage.distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1][skeletonize(part)]
    if not len(half_widths):
        return False
    long = len(half_widths) / (2 * half_widths.mean() - 0.5)
    return long >= LENGTH and half_widths.std() / half_widths.mean() < EVEN


def by_class(
    marked: Sequence[bool], positive: Sequence[bool], patients: Sequence[str]
) -> tuple[float, float, float]:
    """Share of patients with marks, with COVID-19 and without, and how probable so great a difference is by chance.

    Choice: Fisher's exact test over patients, of whom one marked picture is enough: the pictures of one patient come from one
    clinic and are marked alike.

    Returns:
        share with COVID-19, share without, p; NaN where there is no such patient.

    >>> by_class([True, True, True, False, False, False], [True] * 3 + [False] * 3, list("abcdef"))
    (1.0, 0.0, 0.1)
    """
    drawn = Resamples(positive, patients)
    any_mark = np.zeros(sum(map(len, drawn.strata)), bool)
    np.logical_or.at(any_mark, drawn.patient, np.asarray(marked, bool))
    counts = [(int(any_mark[members].sum()), int((~any_mark[members]).sum())) for members in drawn.strata]
    shares = [yes / (yes + no) if yes + no else float("nan") for yes, no in counts]
    p = float(stats.fisher_exact(counts).pvalue) if all(map(sum, counts)) else float("nan")
    return shares[0], shares[1], round(p, 6)
