"""Slices that lie on disk as pictures, as most public data sets publish them: how one is read."""

import os
import warnings
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageOps, UnidentifiedImageError

from covid_study.ct.volume import last_line
from covid_study.errors import ExamError

PHOTOMETRIC, ORIENTATION = 262, 274  # TIFF tags; 0: white is zero; 1: upright
SMALLEST, LARGEST = 32, 4096  # pixels a side, Choice in _opened


def read_image(path: str | os.PathLike[str], slice_id: str = "", box: str = "") -> np.ndarray:
    """One picture as grey values, cropped to its box where one is given: uint8 (y, x).

    Whatever its suffix says; grey, colour and palette, with transparency (laid on black) or without; upright (EXIF); the
    first page of several. 16 bits and floats are brought to 8 bits from their own least to their own greatest value, for
    such files know no window; NaN, infinities and padding are darkest.

    Deviation: one grey channel, where paper B, 4.3 resizes public pictures to 3 x 224 x 224: colour tells where one comes from.

    Raises:
        ExamError: not there, not a picture, damaged, smaller than 32 pixels a side, all of one value, a box that does not
            lie inside it.
    """
    name = slice_id or Path(path).name
    try:
        image = _opened(Path(path))
    except FileNotFoundError:
        raise ExamError(name, f"{path} does not exist", "correct the path, or remove the image") from None
    except Exception as error:  # a damaged file leads Pillow to errors of any kind
        raise ExamError(
            name,
            f"{path} cannot be read as an image ({last_line(error, Path(path))})",
            "see whether it opens elsewhere and save it as PNG, or remove it",
        ) from error
    if isinstance(image, np.ndarray):
        grey = _scaled(image, name, path)
    else:
        clear = "A" in image.getbands() or "transparency" in image.info
        if clear:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
        grey = np.asarray(image.convert("L"))
    grey = _cropped(grey, box, name, path) if box else grey
    if min(grey.shape) < SMALLEST:
        raise ExamError(
            name,
            f"{path} has {grey.shape[1]} x {grey.shape[0]} pixels; a CT slice has at least {SMALLEST} a side",
            "give the image in its full size, or remove it",
        )
    if grey.min() == grey.max():
        raise ExamError(
            name, f"every pixel of {path} is {grey.min()}", "copy it again from its source, or remove it"
        )
    return grey


def size_and_mode(path: str | os.PathLike[str]) -> tuple[tuple[int, int], str]:
    """A readable picture's size (x, y) and Pillow's word for its pixels; "F" for kinds of TIFF that Pillow lacks."""
    try:
        with Image.open(path) as image:
            return image.size, image.mode
    except UnidentifiedImageError:
        grey = read_image(path)
        return grey.shape[::-1], "F"


def _opened(path: Path) -> Image.Image | np.ndarray:
    """A picture, upright; its values (y, x) where they are more than 8 bits deep.

    Choice: no slice has more than 4096 pixels a side; a header that announces more lies, and costs gigabytes.
    """
    try:
        # a stream: of a file's name Pillow maps the pixels of a turned TIFF with its sides swapped
        with warnings.catch_warnings(), path.open("rb") as stream:
            warnings.simplefilter("ignore", UserWarning)  # of metadata that do not matter here
            image: Image.Image = Image.open(stream)
            _check_size(image.size)
            white_is_0 = getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == 0
            image = ImageOps.exif_transpose(image)
            image.load()
    except UnidentifiedImageError:
        if path.suffix.lower() not in (".tif", ".tiff"):
            raise
        with tifffile.TiffFile(path) as file:  # kinds that Pillow lacks: float64, 32 bits unsigned
            page = file.pages.first
            _check_size(page.shape)
            values, white_is_0, turned = page.asarray(), page.photometric == 0, page.tags.get(ORIENTATION)
        if values.ndim != 2 or values.dtype.kind not in "uif":
            raise ValueError(f"a TIFF of {values.ndim} dimensions and type {values.dtype}") from None
        with np.errstate(over="ignore"):  # beyond float32 is as good as infinite
            image = Image.fromarray(values.astype(np.float32))
        image.getexif()[ORIENTATION] = turned.value if turned else 1
        image = ImageOps.exif_transpose(image)
    if image.mode not in ("I", "F") and not image.mode.startswith("I;"):
        return image
    values = np.asarray(image, float)
    return -values if white_is_0 else values  # Pillow turns 8 bits round, no more


def _check_size(sides: tuple[int, ...]) -> None:
    if max(sides) > LARGEST:
        raise ValueError(f"{' x '.join(map(str, sides))} pixels are no CT slice")


def _scaled(values: np.ndarray, name: str, path: str | os.PathLike[str]) -> np.ndarray:
    """Grey values from the least to the greatest that is part of the picture: NaN, infinities and padding are darkest.

    Choice: padding is one value at an end of the scale, of 1 % of the pixels or more, as far from all others (more than 64
    levels) as a quarter of what they span.
    """
    real = np.isfinite(values)
    for end in (np.min, np.max):
        if not real.any():
            break
        edge = end(values[real])
        rest = real & (values != edge)
        many = (values == edge).sum() > 0.01 * values.size
        levels = np.unique(values[rest])
        if many and len(levels) > 64 and abs(edge - end(levels)) > 0.25 * np.ptp(levels):
            real = rest
    if not real.any():
        raise ExamError(
            name, f"{path} holds no number that is finite", "save it again from its source, or remove it"
        )
    low, high = values[real].min(), values[real].max()
    return np.where(
        real, np.round(255 * (np.where(real, values, low) - low) / max(high - low, 1e-9)), 0
    ).astype(np.uint8)


def _cropped(grey: np.ndarray, box: str, name: str, path: str | os.PathLike[str]) -> np.ndarray:
    """The part of a picture inside "xmin ymin xmax ymax", the last two not included."""
    left, top, right, bottom = map(int, box.split())
    if not (0 <= left < right <= grey.shape[1] and 0 <= top < bottom <= grey.shape[0]):
        raise ExamError(
            name,
            f"its box {box} (xmin ymin xmax ymax) does not lie inside {path}, which has "
            f"{grey.shape[1]} x {grey.shape[0]} pixels",
            "correct the box in the list, or set slices.crop to false",
        )
    return grey[top:bottom, left:right]
