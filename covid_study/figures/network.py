"""Paper B's network and loss as they are built here (its Figs. 1 and 2), drawn from the sizes of the layers."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from covid_study.figures import style

APART, WIDE, TALL = 2.0, 1.5, 0.62  # of the boxes: steps from one to the next, and their sizes
STAGES, HEADS, LOSSES, SUM = 3.3, 2.0, 1.0, 0.0  # heights of the rows


@style.styled
def deeply_supervised(stages: pd.DataFrame, pixels: int, backbone: str) -> Figure:
    """A slice goes through a backbone; each of its stages, and its end, has a classifier and a loss of its own (Figs. 1, 2).

    Args:
        stages: from shallow to deep, as `b3_b4_networks.stages` counts: layers watched, channels and pixels a side of the last
            of them, parameters of the auxiliary classifier. pixels: a side of the slice. backbone: its name, for a reader.
    """
    n = len(stages)
    fig, (ax,) = style.panels(1, style.WIDEST, 4.2)
    style.bare(ax)
    ax.set(xlim=(-0.95, APART * (n + 1) + 0.95), ylim=(SUM - 0.5, STAGES + 1.0))
    _box(ax, 0, STAGES, f"slice in its window,\nlungs alone\n{pixels} × {pixels}", style.GREY)
    for i, stage in enumerate(stages.itertuples(), start=1):
        x = APART * i
        side = f"{stage.pixels} × {stage.pixels}, {stage.channels} channels"
        _box(ax, x, STAGES, f"stage {i}\nlayers watched: {stage.layers}\n{side}", style.BLUE)
        _box(ax, x, HEADS, f"classifier {i}\n{stage.parameters:,} parameters", style.GREEN)
        _head(ax, x, f"($\\alpha$ CE + $\\beta_{i}$ RCE) / $E_y$")
        _arrow(ax, (x - APART + WIDE / 2, STAGES), (x - WIDE / 2, STAGES))
        _arrow(ax, (x, STAGES - TALL / 2), (x, HEADS + TALL / 2))
    end = APART * (n + 1)
    _arrow(ax, (end - APART + WIDE / 2, STAGES), (end - WIDE / 2, STAGES))
    _box(ax, end, STAGES, "the backbone's\nown classifier:\nthe diagnosis", style.RED)
    _arrow(ax, (end, STAGES - TALL / 2), (end, LOSSES + TALL / 2))
    _head(ax, end, f"($\\alpha$ CE + $\\beta_{n + 1}$ RCE) / $E_y$", arrow=False)
    _box(ax, end / 2 + APART / 2, SUM, "their sum is minimised", style.YELLOW, wide=end - APART + WIDE)
    ax.text(APART - WIDE / 2, STAGES + 0.6, f"{backbone}, five stages", fontsize=9, weight="bold", ha="left")
    return fig


def _head(ax, x: float, loss: str, arrow: bool = True) -> None:
    _box(ax, x, LOSSES, loss, style.YELLOW, math=True)
    if arrow:
        _arrow(ax, (x, HEADS - TALL / 2), (x, LOSSES + TALL / 2))
    _arrow(ax, (x, LOSSES - TALL / 2), (x, SUM + TALL / 2))


def _box(ax, x: float, y: float, text: str, colour: str, wide: float = WIDE, math: bool = False) -> None:
    corner = (x - wide / 2, y - TALL / 2)
    ax.add_patch(
        FancyBboxPatch(corner, wide, TALL, boxstyle="round,pad=0.05", fc=colour + "30", ec=colour, lw=1.2)
    )
    ax.text(x, y, text, ha="center", va="center", fontsize=style.SMALL, parse_math=math)


def _arrow(ax, tail: tuple[float, float], head: tuple[float, float]) -> None:
    look = {"arrowstyle": "-|>", "color": "#555555", "lw": 1.0, "shrinkA": 3, "shrinkB": 3}
    ax.annotate("", head, tail, arrowprops=look)
