"""Pictures of exams: preprocessing step by step, montages, Rubik's cubes, exams from easy to hard.

Volumes are (z, y, x) as everywhere: axial slices show the patient's right on the left, coronal slices the head up.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from covid_study.figures.charts import COLOURS, bare, styled

LEVEL, WIDTH = -600, 1500  # HU, paper A, IV-F2
Picture = tuple[str, np.ndarray, tuple[float, float, float]]


def to_grey(volume: np.ndarray) -> np.ndarray:
    """Grey values 0 to 1 of any volume of the study: HU through the lung window, uint8 and masks as they are.

    >>> to_grey(np.array([-1350, -600, 150, 900], np.int16)).tolist()
    [0.0, 0.5, 1.0, 1.0]
    """
    volume = np.asarray(volume)
    if volume.dtype == np.uint8:
        return volume / 255
    if volume.dtype == bool:
        return volume.astype(float)
    if np.issubdtype(volume.dtype, np.floating) and (
        volume.size == 0 or (volume.min() >= 0 and volume.max() <= 1)
    ):
        return volume
    return np.clip((volume.astype(float) - (LEVEL - WIDTH / 2)) / WIDTH, 0, 1)


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


def show_slice(
    ax,
    volume: np.ndarray,
    spacing_mm=(1.0, 1.0, 1.0),
    axis: int = 0,
    index: int | None = None,
    tall: float | None = None,
) -> None:
    """Draw one slice in true proportions: axis 0 axial (anterior up), axis 1 coronal (head up).

    tall: height over width of the box to fill; black is added round the slice.
    """
    index = fullest(volume, axis) if index is None else index
    z, y, x = spacing_mm
    plane, aspect = (volume[index], y / x) if axis == 0 else (volume[:, index], z / x)
    plane = to_grey(plane)
    if tall is not None:
        height, width = plane.shape
        rows = max(0, round((tall * width / aspect - height) / 2))
        columns = max(0, round((height * aspect / tall - width) / 2))
        plane = np.pad(plane, ((rows, rows), (columns, columns)))
    ax.imshow(
        plane,
        cmap="gray",
        vmin=0,
        vmax=1,
        aspect=aspect,
        origin="lower" if axis else "upper",
        interpolation="nearest",
    )
    bare(ax)


def _frame(ax, colour: str, width: float = 1.6) -> None:
    for spine in ax.spines.values():
        spine.set(visible=True, color=colour, linewidth=width)


def _height(picture: Picture, axis: int) -> float:
    """Height over width of a slice as it is drawn."""
    _, volume, (z, y, x) = picture
    across = volume.shape[2] * x
    return (volume.shape[1] * y if axis == 0 else volume.shape[0] * z) / across


@styled
def preprocessing_steps(
    steps: Sequence[Picture], title: str = "", slices: Sequence[tuple[int, int]] | None = None
) -> Figure:
    """One exam step by step: axial above, coronal below.

    steps: (caption, volume (z, y, x), spacing_mm (z, y, x)): HU, a bool mask, or uint8.
    slices: (z, y) to show of each step; without them the fullest of a mask, the middle of a scan.
    """
    return _two_planes(steps, len(steps), title, numbered=True, slices=slices)


@styled
def exam_montage(
    exams: Sequence[Picture],
    columns: int = 6,
    title: str = "",
    findings: Sequence[str] = (),
    slices: Sequence[tuple[int, int]] | None = None,
) -> Figure:
    """Exams side by side, each axial above coronal, with its caption.

    exams: (caption, volume (z, y, x), spacing_mm). findings: of each exam, colours its caption.
    slices: (z, y) to show of each exam; without them the fullest of a masked volume, the middle of a scan.
    """
    return _two_planes(exams, columns, title, findings, slices=slices)


def _two_planes(
    pictures: Sequence[Picture], columns: int, title: str, findings=(), numbered: bool = False, slices=None
) -> Figure:
    columns = min(columns, len(pictures))
    blocks = -(-len(pictures) // columns)
    side = min(2.3, 11.0 / columns)
    tall = [max(_height(p, axis) for p in pictures) for axis in (0, 1)]
    tall = [min(t, 1.2) for t in tall]
    lines = 1 + max(p[0].count("\n") for p in pictures)
    inches = blocks * (side * sum(tall) + 0.17 * lines + 0.12) + 0.35 * bool(title)
    fig, axes = plt.subplots(2 * blocks, columns, figsize=(side * columns, inches), squeeze=False,
                             height_ratios=tall * blocks)  # fmt: skip
    fig.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    for ax in axes.flat:
        ax.set_visible(False)
    for i, (caption, volume, spacing) in enumerate(pictures):
        block, column = divmod(i, columns)
        above, below = axes[2 * block, column], axes[2 * block + 1, column]
        above.set_anchor("S")
        below.set_anchor("N")
        for axis, ax in enumerate((above, below)):
            ax.set_visible(True)
            show_slice(ax, volume, spacing, axis, slices[i][axis] if slices else None, tall[axis])
        colour = COLOURS.get(findings[i], "black") if len(findings) else "black"
        text = f"{i + 1}  {caption}" if numbered else caption
        above.set_title(text, fontsize=8, fontweight="normal", loc="center", color=colour, pad=3)
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig


@styled
def rubiks_cubes(
    stages: Mapping[str, np.ndarray], labels: Mapping[str, Sequence] | None = None, spacing_mm=(1.0, 1.0, 1.0)
) -> Figure:
    """The 2 x 2 x 2 cubes of one exam through the operations of the pretext task (paper A, IV-B).

    Args:
        stages: caption -> volume (z, y, x), e.g. original, permuted, rotated, masked.
        labels: caption -> eight texts, cube 0 caudal, anterior, right; x runs fastest, then y, then z.
            Numbers 1 to 8 where there are none.
        spacing_mm: of the volumes.
    """
    n = len(stages)
    shape = next(iter(stages.values())).shape
    tall = shape[1] * spacing_mm[1] / (shape[2] * spacing_mm[2])
    side = min(2.5, 11 / n)
    fig, axes = plt.subplots(2, n, figsize=(side * n + 0.3, 2 * side * tall + 0.3), squeeze=False)
    fig.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.01, hspace=0.01)
    for column, (caption, volume) in enumerate(stages.items()):
        texts = list((labels or {}).get(caption, range(1, 9)))
        for line, upper in enumerate((True, False)):
            ax = axes[line, column]
            half = volume.shape[0] // 2
            show_slice(ax, volume, spacing_mm, 0, half + half // 2 if upper else half // 2)
            height, width = volume.shape[1:]
            ax.axhline(height / 2 - 0.5, color="#E69F00", lw=1.2)
            ax.axvline(width / 2 - 0.5, color="#E69F00", lw=1.2)
            _frame(ax, "#E69F00", 1.2)
            for y in (0, 1):
                for x in (0, 1):
                    ax.text((x + 0.06) * width / 2, (y + 0.06) * height / 2, texts[4 * upper + 2 * y + x], color="#FFD27F",
                            fontsize=9, fontweight="bold", va="top", ha="left",
                            bbox={"facecolor": "black", "edgecolor": "none", "pad": 1.5})  # fmt: skip
            if line == 0:
                ax.set_title(caption, loc="center")
            if column == 0:
                ax.set_ylabel("upper four cubes" if upper else "lower four cubes", labelpad=4)
    return fig


@styled
def easy_to_hard(covid: Picture, by_difficulty: Sequence[Picture], by_diversity: Sequence[Picture]) -> Figure:
    """Negatives from easy to hard beside a COVID-19 exam, and from common to diverse (paper A, Fig. 3).

    covid, by_difficulty, by_diversity: (caption, volume (z, y, x), spacing_mm); the rows in the order to show.
    """
    columns = max(len(by_difficulty), len(by_diversity))
    everything = [covid, *by_difficulty, *by_diversity]
    tall = min(1.3, max(_height(p, 0) for p in everything))
    side = min(2.1, 11 / (columns + 1))
    lines = 1 + max(p[0].count("\n") for p in everything)
    fig = plt.figure(figsize=(side * (columns + 1.08), 2 * (1.1 * side * tall + 0.17 * lines + 0.1)))
    fig.get_layout_engine().set(w_pad=0.02, h_pad=0.04, wspace=0.01, hspace=0.02)
    grid = fig.add_gridspec(
        4, columns + 2, width_ratios=[1, 0.08, *[1] * columns], height_ratios=[0.1, 1, 0.1, 1]
    )
    rows = (("Difficulty", "easy", "hard", by_difficulty), ("Diversity", "common", "diverse", by_diversity))
    for i, (what, first, last, pictures) in enumerate(rows):
        bar = fig.add_subplot(grid[2 * i, 2:])
        bare(bar)
        bar.set(xlim=(0, 1), ylim=(0, 1))
        bar.annotate(
            "", (0.9, 0.5), (0.34, 0.5), arrowprops={"arrowstyle": "-|>", "color": "#444444", "lw": 1.2}
        )
        bar.text(0.01, 0.5, f"{what} of negatives:  {first}", va="center", fontsize=9, fontweight="bold")
        bar.text(0.99, 0.5, last, va="center", ha="right", fontsize=9, fontweight="bold")
        for j, (caption, volume, spacing) in enumerate(pictures):
            ax = fig.add_subplot(grid[2 * i + 1, j + 2])
            show_slice(ax, volume, spacing, tall=tall)
            ax.set_xlabel(caption, fontsize=7.5, labelpad=3)
    ax = fig.add_subplot(grid[1, 0])
    show_slice(ax, covid[1], covid[2], tall=tall)
    _frame(ax, COLOURS["covid"])
    ax.set_xlabel(covid[0], fontsize=7.5, labelpad=3, color=COLOURS["covid"])
    return fig
