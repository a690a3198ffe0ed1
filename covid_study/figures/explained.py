"""One exam explained in one picture: what was read, what the network would see, the values, and what each check said."""

from collections.abc import Mapping, Sequence
from textwrap import wrap

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from covid_study.figures import style
from covid_study.figures.tile import Tile, show

MARKS = {"passed": ("✓", style.GREEN), "refused": ("✗", style.RED), "not reached": ("–", style.GREY)}
SIDE = 2.5  # inches of a tile
LINE = 0.19  # inches of a line of text
CHARACTERS = 60  # a line


@style.styled
def explained(
    rows: Mapping[str, Sequence[Tile]],
    checks: Sequence[Mapping[str, str]],
    facts: Sequence[str] = (),
    histogram: tuple[np.ndarray, np.ndarray] | None = None,
    window: tuple[float, float] | None = None,
    title: str = "",
    below: str = "",
) -> Figure:
    """Tiles at the left, in named rows; at the right the checks, facts in sentences and the histogram.

    Args:
        rows: name -> tiles, as many in each. checks: check, state (passed, refused, not reached), said.
        histogram: counts (n,) and edges (n + 1,) of HU or grey values. window: from and to, shaded.
        below: a small line under all.
    """
    said = [(*MARKS[one["state"]], one["check"], one["said"]) for one in checks]
    lines = [(mark, colour, line) for mark, colour, words, text in said for line in _lines(words, text)]
    lines += [("", "black", line) for fact in ("", *facts) for line in wrap(fact, CHARACTERS) or [""]]
    columns = max((len(tiles) for tiles in rows.values()), default=0)
    text_high = LINE * (len(lines) + 1)
    tall = [max(tile.tall for tile in tiles) for tiles in rows.values()]
    high = max(sum(SIDE * one + 0.4 for one in tall), text_high + 2.2 * (histogram is not None)) + 0.5
    fig = plt.figure(figsize=(SIDE * columns + 5.2, high))
    left, right = fig.add_gridspec(1, 2, width_ratios=[max(SIDE * columns, 0.01), 5.2])
    if rows:
        inner = left.subgridspec(len(rows), columns, height_ratios=tall)
        for n, (name, tiles) in enumerate(rows.items()):
            for k, tile in enumerate(tiles):
                ax = fig.add_subplot(inner[n, k])
                style.bare(ax)
                show(ax, tile, max(one.tall for one in tiles))
                ax.set_xlabel(tile.caption, fontsize=style.SMALL, color=tile.colour, labelpad=2)
                if k == 0:
                    ax.set_ylabel(name, fontsize=8.5, fontweight="bold", labelpad=4)
    parts = right.subgridspec(2, 1, height_ratios=[text_high, max(high - text_high - 0.5, 0.01)])
    ax = fig.add_subplot(parts[0] if histogram is not None else right)
    ax.axis("off")
    ax.set(xlim=(0, 1), ylim=(-len(lines) if histogram is not None else -high / LINE, 0.5))
    for n, (mark, colour, line) in enumerate(lines):
        if mark and not line.startswith(" "):
            ax.text(0.0, -n, mark, color=colour, fontsize=9, fontweight="bold", va="top")
        ax.text(0.05 if mark else 0, -n, line.strip(), fontsize=8, va="top")
    if histogram is not None:
        counts, edges = histogram
        ax = fig.add_subplot(parts[1])
        ax.stairs(np.maximum(counts, 0.5), edges, fill=True, color=style.GREY, alpha=0.7, baseline=0.5)
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:,.0f}")
        ax.minorticks_off()
        ax.set(
            xlabel="HU" if window else "grey value",
            ylabel="voxels" if window else "pixels",
            xlim=(edges[0], edges[-1]),
        )
        if window:
            ax.axvspan(*window, color=style.SKY, alpha=0.2, lw=0, label="the network's window")
            ax.legend(loc="upper right")
    fig.supxlabel(below, x=0.01, ha="left", fontsize=style.SMALL)
    return fig


def _lines(words: str, said: str) -> list[str]:
    """A check and what it said, wrapped; lines that go on begin with a space."""
    return [words, *(f" {line}" for line in wrap(said, CHARACTERS))]
