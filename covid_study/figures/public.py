"""Charts of notebook 13: the AUC of every row, and what xDNN compares a slice with."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from covid_study.cohort.findings import classes_of
from covid_study.figures.charts import CYCLE, PAPER, REFERENCE, bare, styled
from covid_study.figures.deep import OURS as OURS_COLOUR
from covid_study.figures.slices import colour_of, name_of
from covid_study.report.show import metric_head
from covid_study.rivals.feature_classifiers import explained
from covid_study.samples.samples import Samples
from covid_study.scores.slice_claims import OURS

COMPARED = 4  # test slices in the figure of the prototypes


@styled
def forest(joined: pd.DataFrame, metric: str = "auc", over: str = "test patients", title: str = "") -> Figure:
    """One score of every row, ours with its 95 % interval, best first, and what the paper prints.

    Args:
        joined: of `b7_b9_public.results`. over: what the interval is over.
    """
    scores = joined[joined["metric"] == metric].dropna(subset=["mean", "published"], how="all")
    columns = list(dict.fromkeys(scores["column"]))
    tallest = max((scores["column"] == column).sum() for column in columns)
    fig, axes = plt.subplots(
        1, len(columns), figsize=(4.2 + 3.4 * len(columns), 1.15 + 0.27 * tallest), squeeze=False
    )
    for ax, column in zip(axes[0], columns, strict=True):
        rows = scores[scores["column"] == column]
        rows = rows.assign(best=rows["mean"].fillna(-1)).sort_values(["best", "published"], ascending=False)
        for y, row in enumerate(rows.itertuples()):
            colour = OURS_COLOUR if row.row == OURS else CYCLE[0]
            ax.plot([row.low, row.high], [y, y], color=colour, lw=2.2, alpha=0.45)
            ax.plot(row.mean, y, "o", color=colour, ms=5.5)
            ax.plot(row.published, y, "s", color=PAPER, mfc="white", ms=4.5, zorder=3)
        if metric == "auc":
            ax.axvline(0.5, color=REFERENCE, lw=1, ls=(0, (4, 3)), zorder=1)
        ax.set_yticks(range(len(rows)), rows["label"])
        ax.set(ylim=(len(rows) - 0.5, -0.5), xlabel=metric_head(metric))
        ax.grid(False, axis="y")
        ax.tick_params(axis="y", length=0)
        if len(columns) > 1:
            ax.set_title(column)
    handles = [Line2D([], [], color=CYCLE[0], marker="o", label=f"here, 95 % interval over {over}")]
    if scores["published"].notna().any():
        handles.append(Line2D([], [], color=PAPER, marker="s", mfc="white", ls="", label="the paper"))
    fig.legend(handles=handles, loc="outside lower left", ncols=2)
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig


@styled
def prototypes(s: Samples, folder: Path, title: str = "") -> Figure:
    """Test slices, a row each, and beside them the most similar prototype of each class: why xDNN decides as it does.

    Choice: of COVID-19 and of the rest, in turn, the slices at even places in the order of how sure the decision is.

    Args:
        folder: of a run of xDNN.
    """
    compared = explained(folder).set_index(["slice_id", "finding"])
    wide = compared["similarity"].unstack()
    classes = classes_of(wide.columns)
    ill = s.table.loc[wide.index, "finding"] == "covid"
    surer = wide["covid"] - wide.drop(columns="covid").max(axis=1)
    shown = []
    for group in (surer[ill].sort_values(), surer[~ill].sort_values()):
        places = np.linspace(0, len(group) - 1, min(len(group), COMPARED // 2) + 2).round().astype(int)[1:-1]
        shown += list(dict.fromkeys(group.index[places]))
    fig, axes = plt.subplots(
        len(shown), 1 + len(classes), figsize=(2.0 * (1 + len(classes)), 2.25 * len(shown)), squeeze=False
    )
    fig.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.01, hspace=0.02)
    for line, slice_id in zip(axes, shown, strict=True):
        nearest = [compared.loc[(slice_id, finding)] for finding in classes]
        for ax, name in zip(line, [slice_id, *(found["prototype"] for found in nearest)], strict=True):
            ax.imshow(s.of([name])[0].cpu().numpy(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            bare(ax)
        finding = s.table.loc[slice_id, "finding"]
        line[0].set_xlabel(f"{name_of(finding)}, to be decided", fontsize=8, labelpad=2)
        line[0].xaxis.label.set_color(colour_of(finding, classes))
        winner = int(np.argmax([found["similarity"] for found in nearest]))
        for k, (ax, found) in enumerate(zip(line[1:], nearest, strict=True)):
            text = f"{name_of(classes[k])}: {found['similarity']:.3f}{', decides' if k == winner else ''}"
            ax.set_xlabel(text, fontsize=8, labelpad=2, fontweight="bold" if k == winner else "normal")
            ax.xaxis.label.set_color(colour_of(classes[k], classes))
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig
