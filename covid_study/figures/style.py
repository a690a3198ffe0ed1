"""How every figure looks: seaborn's theme and colour-blind palette, sizes, panels, reference lines, legends.

A filled mark with a bar is a value of this run with its 95 % interval; a hollow one has no interval of ours: the
paper's values, and what is compared with.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps

import matplotlib.pyplot as plt
import seaborn as sns
from cycler import cycler
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from covid_study.figures import output
from covid_study.report.words import FINDINGS, column_head, metric_head

BLUE, YELLOW, GREEN, RED, PINK, BROWN, _, GREY, _, SKY = sns.color_palette("colorblind").as_hex()
CYCLE = [BLUE, RED, GREEN, PINK, YELLOW, SKY, GREY, BROWN]
MARKS = "osD^vP*X<>hp"
COLOURS = {"covid": RED, "cap": BLUE, "non_pneumonia": "#6E6E6E", "other": GREEN}
MARKERS = {"covid": "D", "cap": "^", "non_pneumonia": "o", "other": "s"}
OURS, PAPER, REFERENCE, OUTLINE = RED, BLUE, "#8A8A8A", "#E69F00"
WIDEST = 11.0  # inches: what a page of a report holds
SMALL = 7.5  # points: numbers and remarks inside a panel
STRIP = {
    "alpha": 0.5,
    "jitter": 0.2,
    "size": 4,
    "legend": False,
}  # of seaborn's stripplot: every value a point
RC = {
    **sns.axes_style("ticks"),
    **sns.plotting_context("paper"),
    "figure.dpi": 100,
    "savefig.dpi": 100,
    "figure.facecolor": "white",
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=CYCLE),
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "svg.fonttype": "none",
    "svg.hashsalt": "covid-study",  # the same drawing has the same names in it
    "text.parse_math": False,  # a $ in the name of an exam or a file is a $
}


def use() -> None:
    """Set the study's style for every figure of a notebook, at two pixels a point, with what a page shows beside it.

    >>> use(); plt.rcParams["axes.spines.top"]
    False
    """
    plt.rcParams.update(RC)
    try:
        from IPython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:  # outside a notebook
        return
    if get_ipython() is not None and "inline" in plt.get_backend():
        set_matplotlib_formats("retina")
        get_ipython().display_formatter.mimebundle_formatter.for_type(Figure, output.bundle)


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw in the study's style, and close: a notebook then shows the returned figure once, not twice.

    A keyword `title` of the function stands above the whole figure.
    """

    @wraps(draw)
    def wrapper(*args, **kwargs) -> Figure:
        with plt.rc_context(RC):
            figure = draw(*args, **kwargs)
            if kwargs.get("title"):
                figure.suptitle(kwargs["title"], x=0.01, ha="left")
            figure.canvas.draw()  # lay out now, while the style holds, and not again for each file: that is half of the time
            figure.set_layout_engine("none")
        plt.close(figure)
        return output.signed(figure, draw, args, kwargs)

    return wrapper


def panels(n: int, width: float, height: float, most: int = 4, margin: float = 0.0, **options) -> tuple:
    """A figure of n panels of so many inches, at most `most` in a line: figure and list of axes; as wide as a page at most.

    >>> fig, axes = panels(5, 3, 2, most=3); plt.close(fig)
    >>> len(axes), fig.get_size_inches().tolist()
    (5, [9.0, 4.0])
    """
    columns = min(most, max(1, n))
    lines = -(-max(1, n) // columns)
    size = min(width * columns + margin, WIDEST), height * lines
    fig, axes = plt.subplots(lines, columns, figsize=size, squeeze=False, **options)
    for ax in axes.flat[max(1, n) :]:
        ax.remove()
    for ax in axes[:-1, :].flat[max(0, n - columns) :]:  # the last of a column names its axis
        ax.tick_params(labelbottom=True)
    return fig, list(axes.flat[: max(1, n)])


def bare(ax) -> None:
    """Leave nothing but the picture."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)


def reference(ax, at: float, text: str = "", upright: bool = False) -> None:
    """A dashed line at a value, named at its end: across, or upright at a place of the horizontal axis."""
    (ax.axvline if upright else ax.axhline)(at, color=REFERENCE, lw=1, ls=(0, (4, 3)), zorder=1)
    place, coords, shift = ((1, at), ("axes fraction", "data"), (-2, 2))
    if upright:
        place, coords, shift = ((at, 0.98), ("data", "axes fraction"), (-2, 0))
    ax.annotate(text, place, xycoords=coords, xytext=shift, textcoords="offset points", ha="right", color="#666666",
                va="top" if upright else "bottom", rotation=90 * upright, fontsize=SMALL)  # fmt: skip


def key(
    label: str, colour: str = "#444444", marker: str = "", line: str = "-", hollow: bool = False
) -> Line2D:
    """An entry of a legend."""
    return Line2D(
        [], [], color=colour, marker=marker, ls=line, label=label, mfc="white" if hollow else colour
    )


def legend(fig: Figure, handles: Sequence, columns: int = 4) -> None:
    """One legend below all panels."""
    handles = list({h.get_label(): h for h in handles}.values())
    if handles:
        each = 0.5 + 0.065 * max(len(h.get_label()) for h in handles)  # inches
        columns = max(1, min(columns, int(fig.get_figwidth() / each)))
        fig.legend(handles=handles, loc="outside lower left", ncols=min(columns, len(handles)))


def looks(names: Sequence[str]) -> dict[str, dict]:
    """A colour and a marker for each name, in their order: beyond eight names, dashed.

    >>> looks(["a", "b"])["b"]["marker"]
    's'
    """
    return {
        name: {"color": CYCLE[i % len(CYCLE)], "marker": MARKS[i % len(MARKS)], "ls": "-" if i < len(CYCLE) else "--"}
        for i, name in enumerate(names)
    }  # fmt: skip


def head(of: str | None, value: str) -> str:
    """A value of a column of a frame in words: rows, columns and scores of the tables have names, others are words.

    >>> head("column", "56%"), head("metric", "gmean"), head("label", "DSN-SAAL")
    ('56 %', 'G-mean', 'DSN-SAAL')
    """
    named = {"row": column_head, "column": column_head, "strategy": column_head, "metric": metric_head}
    return named.get(of, str)(value)


def colour_of(finding: str, findings: Sequence[str]) -> str:
    """The colour of a finding among those of a figure."""
    others = [name for name in findings if name not in COLOURS]
    return COLOURS.get(finding) or [GREEN, PINK, YELLOW, SKY][others.index(finding) % 4]


def finding_keys(findings: Sequence[str]) -> list[Line2D]:
    """Entries of a legend for the findings that occur."""
    return [key(FINDINGS[f], COLOURS[f], MARKERS[f], "") for f in FINDINGS if f in set(findings)]


@styled
def nothing(text: str) -> Figure:
    """In place of a figure that has nothing to show: why."""
    fig, ax = plt.subplots(figsize=(7.0, 0.6))
    bare(ax)
    ax.text(0, 0.5, text, va="center", transform=ax.transAxes)
    return fig


def ordered(values: Sequence, names: Mapping | None) -> list:
    """The values that occur, in the order of their names where they have any, else as they come.

    >>> ordered(["b", "a", "b"], None), ordered(["b", "a", "b"], {"a": "A", "c": "C", "b": "B"})
    (['b', 'a'], ['a', 'b'])
    """
    found = list(dict.fromkeys(values))
    return [v for v in names if v in found] if names else found
