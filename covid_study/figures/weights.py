"""Charts of notebook 08: sets of permutations, and the scores of the rows of a table with one column."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from covid_study.figures.charts import CYCLE, PAPER, chance_line, styled
from covid_study.figures.results import SHORT
from covid_study.pretext.rubiks_cube import distances


@styled
def permutation_sets(sets: Mapping[str, np.ndarray]) -> Figure:
    """How many pairs of permutations lie how far apart, a panel a set (paper A, IV-B1). sets: words -> int (k, cubes)."""
    fig, axes = plt.subplots(1, len(sets), figsize=(3.1 * len(sets), 2.5), sharey=True, squeeze=False)
    for ax, (words, table) in zip(axes[0], sets.items(), strict=True):
        found, cubes = distances(table), table.shape[1]
        counts = np.bincount(found, minlength=cubes + 1)
        ax.bar(range(cubes + 1), counts, width=0.7, color=CYCLE[0])
        for distance, count in enumerate(counts):
            if count:
                ax.text(distance, count, f"{count:,}", ha="center", va="bottom", fontsize=7.5)
        ax.set(xlabel="cubes at different places", xlim=(-0.5, cubes + 0.5))
        ax.set_xticks(range(cubes + 1))
        ax.grid(False, axis="x")
        ax.set_title(f"{words}\nsmallest {found.min()}, mean {found.mean():.2f}", fontsize=8.5)
    axes[0, 0].set_ylabel("pairs of permutations")
    return fig


@styled
def courses(history: pd.DataFrame, panels: Mapping[str, str], chance: Mapping[str, float]) -> Figure:
    """Loss and accuracies of several pre-trainings over their epochs, one legend for all panels.

    Args:
        history: a row an epoch, with `variant` and `epoch`. panels: title -> column; one that is not there is left empty.
        chance: title -> chance level.
    """
    fig, axes = plt.subplots(1, len(panels), figsize=(2.45 * len(panels), 2.7), squeeze=False)
    variants = list(dict.fromkeys(history["variant"]))
    for ax, (title, column) in zip(axes[0], panels.items(), strict=True):
        for i, variant in enumerate(variants):
            part = history[history["variant"] == variant]
            part = part[part[column].notna()] if column in part else part.iloc[:0]
            if len(part):
                ax.plot(part["epoch"], part[column], color=CYCLE[i], ls=("-", "--", "-.", ":")[i % 4],
                        marker="os^D"[i % 4], ms=4)  # fmt: skip
        if not ax.lines:
            ax.text(0.5, 0.25, "no exam to measure it on", ha="center", transform=ax.transAxes, fontsize=7.5)
        if title in chance:
            ax.set_ylim(0, 1.02)
            chance_line(ax, chance[title])
        ax.set_title(title)
        ax.set_xlim(0, 1.05 * history["epoch"].max())
        ax.set_xlabel("epoch")
        ax.xaxis.get_major_locator().set_params(integer=True)
    handles = [
        Line2D(
            [],
            [],
            color=CYCLE[i],
            ls=("-", "--", "-.", ":")[i % 4],
            marker="os^D"[i % 4],
            ms=4,
            label=variant,
        )
        for i, variant in enumerate(variants)
    ]
    fig.legend(handles=handles, loc="outside lower left", ncols=len(variants))
    return fig


@styled
def scores(joined: pd.DataFrame, metrics: Sequence[str] = ("precision", "recall", "f1", "auc")) -> Figure:
    """Scores of every row with 95 % intervals beside the paper's, a panel a score.

    joined: what `show.join_published` returns, of a table with one column.
    """
    rows = list(dict.fromkeys(joined["row"]))
    labels = joined.drop_duplicates("row").set_index("row")["label"]
    size = (1.5 + 2.1 * len(metrics), 1.1 + 0.5 * len(rows))
    fig, axes = plt.subplots(1, len(metrics), figsize=size, sharey=True, squeeze=False)
    for ax, metric in zip(axes[0], metrics, strict=True):
        part = joined[joined["metric"] == metric].set_index("row")
        for y, row in enumerate(rows):
            if row not in part.index:
                continue
            line = part.loc[row]
            ax.plot(
                [100 * line["low"], 100 * line["high"]],
                [y - 0.12] * 2,
                color=CYCLE[1],
                lw=2,
                solid_capstyle="butt",
            )
            ax.plot(100 * line["mean"], y - 0.12, "o", color=CYCLE[1])
            ax.plot(100 * line["published"], y + 0.16, "s", color=PAPER, mfc="white")
        ax.set(xlabel="%" if metric != "auc" else "% (AUC x 100)", ylim=(len(rows) - 0.5, -0.6))
        ax.margins(x=0.12)
        ax.grid(False, axis="y")
        title = SHORT.get(metric, metric)
        ax.set_title(title[0].upper() + title[1:])
    axes[0, 0].set_yticks(range(len(rows)), [labels[row] for row in rows])
    handles = [
        Line2D([], [], color=CYCLE[1], marker="o", label="here, 95 % interval"),
        Line2D([], [], ls="", color=PAPER, marker="s", mfc="white", label="the paper"),
    ]
    fig.legend(handles=handles, loc="outside lower left", ncols=2)
    return fig
