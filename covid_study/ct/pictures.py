"""Slices that lie on disk as pictures, as most public data sets publish them: how one is read."""

import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from covid_study.errors import ExamError

SMALLEST = 32  # pixels a side


def read_image(path: str | os.PathLike, slice_id: str = "", box: str = "") -> np.ndarray:
    """One picture as grey values, cropped to its box where one is given: uint8 (y, x).

    Whatever its suffix says; grey, colour and palette, with transparency (laid on black) or without; 16 bit is brought to
    8 from its own least to its own greatest value, for such files know no window.

    Raises:
        ExamError: not there, not a picture, damaged, smaller than 32 pixels a side, all of one value, a box that does not
            lie inside it.
    """
    name = slice_id or Path(path).name
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of metadata that do not matter here
            image = Image.open(path)
            image.load()
    except FileNotFoundError:
        raise ExamError(name, f"{path} does not exist", "correct the path, or remove the image") from None
    except Exception as error:  # a damaged file leads Pillow to errors of any kind
        raise ExamError(
            name,
            f"{path} cannot be read as an image ({error})",
            "copy it again from its source, or remove it",
        ) from error
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        values = np.nan_to_num(np.asarray(image, np.float32))
        low, high = float(values.min()), float(values.max())
        grey = np.round(255 * (values - low) / max(high - low, 1e-9)).astype(np.uint8)
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


def _cropped(grey: np.ndarray, box: str, name: str, path: str | os.PathLike) -> np.ndarray:
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
