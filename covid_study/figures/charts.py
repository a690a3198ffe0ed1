"""Charts of the study: one function a figure, frames and arrays in, a matplotlib Figure out.

One style for all, colours that colour-blind readers can tell apart (Okabe and Ito), a marker beside each colour.
Here: the style, the cohort, and training; CT is in `figures_ct`, the ranking in `figures_ranking`, and the
results in `figures_results`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from cycler import cycler
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

FINDINGS = {"covid": "COVID-19", "cap": "CAP", "non_pneumonia": "Non-pneumonia", "other": "Other or unknown"}
COLOURS = {"covid": "#D55E00", "cap": "#0072B2", "non_pneumonia": "#6E6E6E", "other": "#009E73"}
MARKERS = {"covid": "D", "cap": "^", "non_pneumonia": "o", "other": "s"}
CYCLE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6E6E6E"]
PAPER, REFERENCE = "#0072B2", "#8A8A8A"
RC = {
    **sns.axes_style("ticks"),
    "figure.dpi": 100,
    "savefig.dpi": 100,
    "figure.facecolor": "white",
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.linewidth": 0.8,
    "axes.prop_cycle": cycler(color=CYCLE),
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "svg.fonttype": "none",
}


def style() -> None:
    """Set the study's style for every figure of a notebook, at two pixels a point.

    >>> style(); plt.rcParams["axes.spines.top"]
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


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw in the study's style, and close: a notebook then shows the returned figure once, not twice."""

    @wraps(draw)
    def wrapper(*args, **kwargs) -> Figure:
        with plt.rc_context(RC):
            figure = draw(*args, **kwargs)
            figure.canvas.draw()  # lay out now, while the style holds
        plt.close(figure)
        return figure

    return wrapper


def bare(ax) -> None:
    """Leave nothing but the picture."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)


def chance_line(ax, level: float, text: str = "chance") -> None:
    """Draw and name the chance level."""
    ax.axhline(level, color=REFERENCE, lw=1, ls=(0, (4, 3)), zorder=1)
    ax.annotate(text, (1, level), xycoords=("axes fraction", "data"), xytext=(-2, 2), textcoords="offset points",
                ha="right", va="bottom", fontsize=7.5, color="#666666")  # fmt: skip


def finding_handles(findings: Sequence[str]) -> list[Line2D]:
    """Legend entries of the findings that occur."""
    return [
        Line2D([], [], ls="", marker=MARKERS[f], color=COLOURS[f], label=FINDINGS[f], markersize=5)
        for f in FINDINGS
        if f in set(findings)
    ]


@styled
def cohort_overview(table: pd.DataFrame) -> Figure:
    """Exams of each split and finding, with the number of patients (paper A, Table II).

    table: the exam table, with `split`, `finding`, `exam_id`, `patient_id`.
    """
    splits = [s for s in ("train", "validation", "test", "") if (table["split"] == s).any()]
    fig, ax = plt.subplots(figsize=(6.4, 0.5 + 0.72 * len(splits)))
    longest = table.groupby(["split", "finding"]).size().max()
    findings = [f for f in FINDINGS if (table["finding"] == f).any()]
    height = 0.78 / max(3, len(findings))
    for i, split in enumerate(splits):
        for j, finding in enumerate(findings):
            part = table[(table["split"] == split) & (table["finding"] == finding)]
            y = i + height * (j - (len(findings) - 1) / 2)
            ax.barh(y, len(part), height=0.88 * height, color=COLOURS[finding])
            exams_, patients = len(part), part["patient_id"].nunique()
            text = (
                f"{exams_:,} exam{'s' * (exams_ != 1)}, {patients:,} patient{'s' * (patients != 1)}"
                if exams_
                else "none"
            )
            ax.text(len(part) + 0.01 * longest, y, text, va="center", fontsize=7.5)
    ax.set_yticks(range(len(splits)), [s or "no split" for s in splits], fontsize=9)
    ax.set(ylim=(len(splits) - 0.5, -0.5), xlim=(0, 1.35 * longest), xlabel="exams")
    ax.set_title(f"The cohort: {len(table):,} exams of {table['patient_id'].nunique():,} patients")
    ax.grid(False, axis="y")
    ax.tick_params(axis="y", length=0)
    ax.legend(
        handles=[plt.Rectangle((0, 0), 1, 1, color=COLOURS[f], label=FINDINGS[f]) for f in findings],
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),  # beside the bars: where they are all alike, no corner inside is free
    )
    return fig


@styled
def learning_curves(
    history: pd.DataFrame,
    panels: Mapping[str, Mapping[str, str]],
    chance: Mapping[str, float] | None = None,
    title: str = "",
) -> Figure:
    """Loss and accuracies over epochs, one panel each, with the chance level drawn.

    Args:
        history: a row an epoch with `epoch`; where it has `variant`, each gets a colour.
        panels: title of a panel -> {label of a line: column of history}; the last line is solid, those before it dashed.
        chance: title of a panel -> chance level.

    `learning_curves(h, {"Loss": {"training": "train_loss", "validation": "loss"}, "Permutation": {"": "permutation"}},
    {"Permutation": 0.01})`
    """
    fig, axes = plt.subplots(1, len(panels), figsize=(3.1 * len(panels), 2.6), squeeze=False)
    variants = list(history["variant"].unique()) if "variant" in history else [None]
    for ax, (name, lines) in zip(axes[0], panels.items(), strict=True):
        present = {label: column for label, column in lines.items() if column in history}
        for v, variant in enumerate(variants):
            part = history if variant is None else history[history["variant"] == variant]
            for i, (label, column) in enumerate(present.items()):
                known = part[part[column].notna()]
                last = i == len(present) - 1
                ax.plot(known["epoch"], known[column], color=CYCLE[v % len(CYCLE)] if last or variant else CYCLE[-1],
                        ls="-" if last else "--", lw=1.8 if last else 1.2, marker="o" if len(known) < 3 else "",
                        label=label if variant is None else f"{variant}{', ' * bool(label)}{label}")  # fmt: skip
        ax.set_title(name)
        ax.set_xlabel("epoch")
        ax.xaxis.get_major_locator().set_params(integer=True)
        if chance and name in chance:
            ax.set_ylim(min(0, ax.get_ylim()[0]), max(1.02, ax.get_ylim()[1]))
            chance_line(ax, chance[name])
        if any(text for text in ax.get_legend_handles_labels()[1]):
            ax.legend()
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig


@styled
def probe_curve(probe: pd.DataFrame, title: str = "What the encoder knows about the finding") -> Figure:
    """AUC of a linear probe for COVID-19 over the epochs of the pretext task, with its 95 % interval.

    probe: `epoch`, `value`, and where known `low`, `high`, `variant`.
    """
    fig, ax = plt.subplots(figsize=(5.2, 2.9))
    variants = list(probe["variant"].unique()) if "variant" in probe else [None]
    for v, variant in enumerate(variants):
        part = (probe if variant is None else probe[probe["variant"] == variant]).sort_values("epoch")
        ax.plot(part["epoch"], part["value"], marker="o", color=CYCLE[v % len(CYCLE)], label=variant)
        if {"low", "high"} <= set(part):
            low, high = part["low"].astype(float), part["high"].astype(float)
            ax.fill_between(part["epoch"], low, high, color=CYCLE[v % len(CYCLE)], alpha=0.15, lw=0)
    chance_line(ax, 0.5)
    lowest = probe[["value", *({"low"} & set(probe))]].min(axis=None)
    ax.set(
        ylim=(min(0.4, lowest - 0.03), 1.01),
        xlabel="epoch of the pretext task",
        ylabel="AUC of a linear probe",
    )
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_title(title)
    if variants != [None]:
        ax.legend(loc="upper left")
    return fig


@styled
def forest(
    frame: pd.DataFrame, xlabel: str, reference: float = 0.5, title: str = "", reference_text: str = "chance"
) -> Figure:
    """Values with their 95 % intervals, one a line.

    frame: `label`, `value`, `low`, `high`, in the order to show; `group` (optional) colours the lines.
    """
    fig, ax = plt.subplots(figsize=(6.0, 0.9 + 0.3 * len(frame)))
    groups = list(dict.fromkeys(frame["group"])) if "group" in frame else []
    for y, row in enumerate(frame.itertuples()):
        colour = CYCLE[groups.index(row.group) % len(CYCLE)] if groups else CYCLE[0]
        ax.plot([row.low, row.high], [y, y], color=colour, lw=2, solid_capstyle="butt")
        ax.plot(row.value, y, "o", color=colour, ms=6)
        ax.annotate(
            f"{row.value:.2f}",
            (row.value, y),
            xytext=(0, 5),
            textcoords="offset points",
            ha="center",
            fontsize=7.5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )
    ax.axvline(reference, color=REFERENCE, lw=1, ls=(0, (4, 3)), zorder=1)
    ax.annotate(reference_text, (reference, 0), xycoords=("data", "axes fraction"), xytext=(3, 3), fontsize=7.5,
                textcoords="offset points", color="#666666")  # fmt: skip
    ax.set_yticks(range(len(frame)), frame["label"])
    ax.set(ylim=(len(frame) - 0.4, -0.7), xlabel=xlabel)
    ax.set_title(title)
    ax.grid(False, axis="y")
    if groups:
        handles = [
            Line2D([], [], color=CYCLE[i % len(CYCLE)], marker="o", label=g) for i, g in enumerate(groups)
        ]
        ax.legend(handles=handles, loc="center left", bbox_to_anchor=(1, 0.5))
    return fig
