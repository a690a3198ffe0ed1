"""Grids of slices and volumes: exams, steps, montages, maps, cubes."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from covid_study.figures import style
from covid_study.figures.tile import Tile, listed, plane, show
from covid_study.report.words import finding_name
from covid_study.samples.samples import Samples

MASK, TRUTH = style.OUTLINE, style.SKY
Exam = tuple[str, np.ndarray, tuple[float, float, float]]  # caption, volume (z, y, x), spacing_mm (z, y, x)


def some(names: Sequence[str], most: int) -> list[str]:
    """At most so many of a list to show, at even places from its first to its last.

    >>> some("abcdefg", 3), some("ab", 5)
    (['a', 'd', 'g'], ['a', 'b'])
    """
    places = np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int)
    return [names[place] for place in places]


@style.styled
def grid(
    rows: Mapping[str, Sequence[Tile | None]],
    above: bool = False,
    side: float = 1.8,
    keys: Mapping[str, str] | None = None,
    title: str = "",
) -> Figure:
    """Tiles in rows that are named at the left, captions below or above them.

    rows: name -> tiles, None for a gap; a name that starts with "_" is not shown. side: inches, at most. keys: words -> colour.
    """
    if not rows:
        return style.nothing("There is no picture to show.")
    columns = max(len(tiles) for tiles in rows.values())
    side = min(side, style.WIDEST / columns)
    found = [[tile for tile in tiles if tile is not None] for tiles in rows.values()]
    tall = [min(1.3, max(tile.tall for tile in tiles)) for tiles in found]
    words = [max(1 + t.caption.count("\n") if t.caption else 0 for t in tiles) for tiles in found]
    high = sum(side * t + 0.16 * w + 0.06 for t, w in zip(tall, words, strict=True))
    high += 0.35 * bool(title) + 0.3 * bool(keys)
    wide = max(side * columns + 0.25 * any(not name.startswith("_") for name in rows), 4.0)
    fig, axes = plt.subplots(len(rows), columns, figsize=(wide, high), squeeze=False, height_ratios=tall)
    fig.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    for line, (name, tiles), high in zip(axes, rows.items(), tall, strict=True):
        for ax in line:
            style.bare(ax)
            ax.set_facecolor("none")
        for ax, tile in zip(line, tiles, strict=False):
            if tile is None:
                continue
            show(ax, tile, high)
            ax.set_anchor("S" if above and tile.caption else "N")
            text = {"fontsize": style.SMALL, "color": tile.colour, "fontweight": "normal"}
            if above:
                ax.set_title(tile.caption, **text, loc="center", pad=3)
            else:
                ax.set_xlabel(tile.caption, **text, labelpad=2)
        if not name.startswith("_"):
            line[0].set_ylabel(name, fontsize=8.5, fontweight="bold", labelpad=4)
    if keys:
        handles = [style.key(text, colour) for text, colour in keys.items()]
        fig.legend(handles=handles, loc="outside lower center", ncols=len(keys))
    fig.drawn_from = listed(rows)
    return fig


def exams(
    exams: Sequence[Exam],
    columns: int = 6,
    title: str = "",
    findings: Sequence[str] = (),
    slices: Sequence[tuple[int, int]] = (),
    outlines: Sequence[Mapping[str, np.ndarray]] = (),
    keys: Mapping[str, str] | None = None,
    numbered: bool = False,
) -> Figure:
    """Exams, or one exam step by step, each axial above coronal.

    Args:
        exams: (caption, volume (z, y, x), spacing_mm): HU, a bool mask, or uint8. findings: of each, colours its caption.
        slices: (z, y) to show of each; without them the fullest of a mask, the middle of a scan.
        outlines: of each, colour -> bool volume; keys: words -> colour.
    """
    rows, columns = {}, min(columns, len(exams))
    for n, (caption, volume, spacing_mm) in enumerate(exams):
        text = f"{n + 1}  {caption}" if numbered else caption
        colour = style.COLOURS.get(findings[n], "black") if len(findings) else "black"
        for axis, name in enumerate((text, "")):
            index = slices[n][axis] if slices else None
            drawn = outlines[n] if outlines else {}
            about = {"caption": name, "colour": colour, "of": caption.partition("\n")[0]}
            tile = plane(volume, spacing_mm, axis, index, drawn, **about)
            rows.setdefault(f"_{n // columns} {axis}", []).append(tile)
    return grid(rows, above=True, side=2.3, keys=keys, title=title)


def steps(
    pictures: Mapping[str, np.ndarray], outline: np.ndarray | None = None, title: str = "", columns: int = 4
) -> Figure:
    """One slice through the steps of paper B, 3.1.

    Args:
        pictures: caption -> uint8 or bool (y, x), as `to_slice.preprocess_slice` keeps them.
        outline: bool (y, x), e.g. the true lesions, drawn round on the pictures of its own size that are no masks.
    """
    rows: dict[str, list] = {}
    for n, (caption, image) in enumerate(pictures.items()):
        fits = outline is not None and image.shape == outline.shape and image.dtype != bool
        tile = Tile(image, f"{n + 1}  {caption}", outlines={style.OUTLINE: outline} if fits else {})
        rows.setdefault(f"_{n // columns}", []).append(tile)
    return grid(rows, above=True, side=2.4, title=title)


def tiles(s: Samples, ids: Sequence[str], captions: Sequence[str] | None = None) -> list[Tile]:
    """Slices as the network gets them, lesions outlined where they are known, with how much of the lung they are."""
    images, (_, lesions) = s.of(ids).cpu().numpy(), s.masks(ids)
    said = captions or [
        "" if np.isnan(share) else lesions_text(share) for share in s.table.loc[ids, "lesion_share"]
    ]
    return [
        Tile(image, text, outlines={} if lesions is None else {style.OUTLINE: lesions[n]}, of=str(ids[n]))
        for n, (image, text) in enumerate(zip(images, said, strict=True))
    ]


def lesions_text(share: float) -> str:
    """How much of the lung on a slice is ill.

    >>> lesions_text(0.0), lesions_text(0.004), lesions_text(0.31)
    ('no lesion', 'lesions below 1 % of the lung', 'lesions 31 % of the lung')
    """
    if not share:
        return "no lesion"
    return f"lesions {100 * share:.0f} % of the lung" if share >= 0.01 else "lesions below 1 % of the lung"


def montage(
    s: Samples,
    shown: Mapping[str, Sequence[str]],
    captions: Mapping[str, Sequence[str]] | None = None,
    title: str = "",
) -> Figure:
    """Slices in rows (paper B, Fig. 3 by finding, Fig. 6 by mistake), lesions outlined where they are known.

    shown: a finding, or any other name of a row -> slice ids. captions: name of the row -> texts; else how much is ill.
    """
    rows = {finding_name(name): tiles(s, ids, (captions or {}).get(name)) for name, ids in shown.items()}
    return grid(rows, title=title)


def maps(
    s: Samples,
    ids: Sequence[str],
    raw: Sequence[np.ndarray],
    maps: Mapping[str, np.ndarray],
    captions: Mapping[str, Sequence[str]],
    title: str = "",
) -> Figure:
    """Raw slice, the network's input, and the class activation maps over it, a column a slice (paper B, Fig. 7).

    Args:
        raw: uint8 (y, x) of each slice, of any size. maps: name of a row -> float (n, size, size), 0 or more, each shown from
            0 to its own maximum. captions: name of a row -> a line below each of its pictures.
    """
    inputs, (_, lesions) = tiles(s, ids, [""] * len(ids)), s.masks(ids)
    lines = [{} if lesions is None else {"white": lesions[n]} for n in range(len(ids))]
    rows = {
        "Raw slice": [Tile(image, of=str(name)) for name, image in zip(ids, raw, strict=True)],
        "The network's input": inputs,
    }
    for name, of in maps.items():
        rows[name] = [
            Tile(tile.image, text, heat=one / (one.max() or 1), outlines=truth, of=tile.of)
            for tile, one, text, truth in zip(inputs, of, captions[name], lines, strict=True)
        ]
    return grid(rows, title=title)


def easy_to_hard(covid: Exam, by_difficulty: Sequence[Exam], by_diversity: Sequence[Exam]) -> Figure:
    """Negatives from easy to hard beside a COVID-19 exam, and from common to diverse (paper A, Fig. 3)."""
    rows = {
        "Difficulty\neasy → hard": [plane(v, mm, caption=text) for text, v, mm in by_difficulty],
        "Diversity\ncommon → diverse": [plane(v, mm, caption=text) for text, v, mm in by_diversity],
    }
    red = style.COLOURS["covid"]
    first = plane(covid[1], covid[2], caption=covid[0], colour=red, frame=red)
    rows = {name: [start, *of] for (name, of), start in zip(rows.items(), (first, None), strict=True)}
    return grid(rows, side=2.1)


@style.styled
def rubiks_cubes(
    stages: Mapping[str, np.ndarray], labels: Mapping[str, Sequence] | None = None, spacing_mm=(1.0, 1.0, 1.0)
) -> Figure:
    """The 2 x 2 x 2 cubes of one exam through the operations of the pretext task (paper A, IV-B).

    Args:
        stages: caption -> volume (z, y, x), e.g. original, permuted, rotated, masked.
        labels: caption -> eight texts, cube 0 caudal, anterior, right; x runs fastest, then y, then z; else 1 to 8.
    """
    _, y, x = next(iter(stages.values())).shape
    side = min(2.5, style.WIDEST / len(stages))
    tall = y * spacing_mm[1] / (x * spacing_mm[2])
    size = side * len(stages) + 0.3, 2 * side * tall + 0.3
    fig, axes = plt.subplots(2, len(stages), figsize=size, squeeze=False)
    fig.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.01, hspace=0.01)
    for column, (caption, volume) in zip(axes.T, stages.items(), strict=True):
        texts, half = list((labels or {}).get(caption, range(1, 9))), volume.shape[0] // 2
        for ax, upper in zip(column, (True, False), strict=True):
            style.bare(ax)
            middle = half * upper + half // 2
            show(ax, plane(volume, spacing_mm, 0, middle, frame=style.OUTLINE))
            ax.axhline(y / 2 - 0.5, color=style.OUTLINE, lw=1.2)
            ax.axvline(x / 2 - 0.5, color=style.OUTLINE, lw=1.2)
            for cube in range(4):
                place = (cube % 2 + 0.06) * x / 2, (cube // 2 + 0.06) * y / 2
                ax.text(*place, texts[4 * upper + cube], color="#FFD27F", fontsize=9, fontweight="bold", va="top",
                        bbox={"facecolor": "black", "edgecolor": "none", "pad": 1.5})  # fmt: skip
        column[0].set_title(caption, loc="center")
    for ax, name in zip(axes[:, 0], ("upper four cubes", "lower four cubes"), strict=True):
        ax.set_ylabel(name, labelpad=4)
    return fig
