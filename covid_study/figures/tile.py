"""A slice, and what is drawn on it: outlines, boxes, a map, a frame.

Volumes are (z, y, x) as everywhere: axial slices show the patient's right on the left, coronal slices the head up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle

from covid_study.ct.to_volume import LEVEL, WIDTH, window

HEAT = "inferno"


@dataclass(frozen=True)
class Tile:
    """A picture and what is drawn on it.

    image: (y, x) of HU, uint8, bool or float 0 to 1, or uint8 (y, x, 3). aspect: height of a pixel over its width.
    outlines: colour -> bool (y, x). boxes: colour -> (top, bottom, left, right) in pixels. heat: float 0 to 1, laid over.
    frame: colour of a frame round all. upward: the first line of the image is the lowest.
    of: the exam or slice that it shows. place: where in the exam.
    """

    image: np.ndarray
    caption: str = ""
    colour: str = "black"
    aspect: float = 1.0
    outlines: Mapping[str, np.ndarray] = field(default_factory=dict)
    boxes: Mapping[str, Sequence] = field(default_factory=dict)
    heat: np.ndarray | None = None
    frame: str = ""
    upward: bool = False
    of: str = ""
    place: str = ""

    @property
    def tall(self) -> float:
        """Height over width as it is drawn."""
        return self.image.shape[0] * self.aspect / self.image.shape[1]


def to_grey(image: np.ndarray) -> np.ndarray:
    """Grey values 0 to 1 of any picture of the study: HU through the lung window, uint8 and masks as they are.

    >>> to_grey(np.array([-1350, -600, 150, 900], np.int16)).tolist()
    [0.0, 0.5, 1.0, 1.0]
    """
    image = np.asarray(image)
    if image.dtype == np.uint8:
        return image / 255
    return image.astype(float) if _is_grey(image) else window(image)


def _is_grey(image: np.ndarray) -> bool:
    whole = image.dtype.kind == "f" and image.size and 0 <= image.min() <= image.max() <= 1
    return image.dtype == bool or bool(whole)


def grey_words(image: np.ndarray) -> str:
    """What is black and what is white in a picture, as `to_grey` draws it.

    >>> grey_words(np.zeros((2, 2), np.int16)), grey_words(np.zeros((2, 2, 3), np.uint8))
    ('-1350 to 150 HU', 'colours')
    """
    if image.ndim == 3:
        return "colours"
    if image.dtype == np.uint8:
        return "0 to 255"
    return "0 to 1" if _is_grey(image) else f"{LEVEL - WIDTH / 2:g} to {LEVEL + WIDTH / 2:g} HU"


def fullest(volume: np.ndarray, axis: int) -> int:
    """The slice along an axis with the most lung: of a masked volume the most that is not zero, else the middle.

    >>> v = np.zeros((5, 2, 2), np.uint8); v[3] = 9
    >>> fullest(v, 0)
    3
    """
    filled = (volume != 0).sum(axis=tuple(a for a in range(3) if a != axis))
    if volume.min() < 0 or filled.max() == 0 or filled.min() == filled.max():
        return volume.shape[axis] // 2
    return int(np.argmax(filled))


def plane(
    volume: np.ndarray,
    spacing_mm=(1.0, 1.0, 1.0),
    axis: int = 0,
    index: int | None = None,
    outlines=(),
    **more,
) -> Tile:
    """A slice of a volume in true proportions: axis 0 axial (anterior up), 1 coronal, 2 sagittal (both head up).

    index: the fullest where not given. outlines: colour -> bool volume. more: of the tile.

    >>> tile = plane(np.zeros((4, 3, 5), np.uint8), (5, 1, 1), axis=1)
    >>> tile.image.shape, tile.aspect, tile.upward
    ((4, 5), 5.0, True)
    """
    index = fullest(volume, axis) if index is None else index
    z, y, x = spacing_mm
    lines = {colour: mask.take(index, axis) for colour, mask in dict(outlines).items()}
    place = f"{('axial', 'coronal', 'sagittal')[axis]} slice {index + 1} of {volume.shape[axis]}"
    shape = {"aspect": (z if axis else y) / (y if axis == 2 else x), "place": place}
    return Tile(volume.take(index, axis), outlines=lines, upward=axis > 0, **shape, **more)


def show(ax, tile: Tile, tall: float | None = None) -> None:
    """Draw one tile in a box whose height over width is `tall`; what it does not fill is black."""
    picture = tile.image if tile.image.ndim == 3 else to_grey(tile.image)
    (height, width), tall = picture.shape[:2], tall or tile.tall
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    if tile.heat is not None:
        ax.imshow(tile.heat, cmap=HEAT, vmin=0, vmax=1, alpha=0.75 * tile.heat, aspect="auto")
    lines = max(0, (tall * width / tile.aspect - height) / 2)
    columns = max(0, (height * tile.aspect / tall - width) / 2)
    ends = -0.5 - lines, height - 0.5 + lines
    ax.set(
        xlim=(-0.5 - columns, width - 0.5 + columns),
        ylim=ends if tile.upward else ends[::-1],
        box_aspect=tall,
    )
    ax.set_facecolor("black")
    for colour, mask in tile.outlines.items():
        if mask.any():
            ax.contour(mask, [0.5], colors=colour, linewidths=1.0)
    room = 0.012 * max(picture.shape)
    for colour, boxes in tile.boxes.items():
        for top, bottom, left, right in boxes:
            corner, size = (left - room, top - room), (right - left + 2 * room, bottom - top + 2 * room)
            ax.add_patch(Rectangle(corner, *size, fill=False, edgecolor=colour, lw=1.2))
    if tile.frame:
        ax.spines[:].set(visible=True, color=tile.frame, linewidth=1.6)


def listed(rows: Mapping[str, Sequence[Tile | None]]) -> pd.DataFrame:
    """What each picture of a grid is of, in the place of the values that it is drawn from, which no table of a page could hold.

    Returns:
        A line a picture: `row` and `column` (counted from 1), `name` (of the row), `of`, `place`, `caption`, `pixels` (across x
        down), `greys` (what is black and what is white), `outlined` (how many outlines are drawn on it).

    >>> listed({"lungs": [None, Tile(np.zeros((2, 3), bool), "left", of="a")]}).iloc[0].astype(str).tolist()
    ['1', '2', 'lungs', 'a', '', 'left', '3 x 2', '0 to 1', '0']
    """
    lines = [
        {
            "row": i + 1,
            "column": j + 1,
            "name": "" if name.startswith("_") else " ".join(name.split()),
            "of": tile.of,
        }
        | {"place": tile.place, "caption": ", ".join(tile.caption.splitlines())}
        | {"pixels": f"{tile.image.shape[1]} x {tile.image.shape[0]}", "greys": grey_words(tile.image)}
        | {"outlined": sum(bool(mask.any()) for mask in tile.outlines.values())}
        for i, (name, tiles) in enumerate(rows.items())
        for j, tile in enumerate(tiles)
        if tile is not None
    ]
    return pd.DataFrame(lines)
