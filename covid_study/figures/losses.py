"""Charts of notebook 10: the weights of the classes, what SAAL learns, each loss's own curve, the scores by loss."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from covid_study.analysis.class_weights import START, alpha_text, one_minus, raw, reaches, relative
from covid_study.analysis.saal_factors import VISIBLE
from covid_study.figures.charts import CYCLE, PAPER, REFERENCE, styled
from covid_study.figures.slices import colour_of, name_of
from covid_study.report.show import metric_head
from covid_study.tables.slice_ablation import METRICS

ENDS = (0.95, 1e-6)  # of 1 - alpha in the figure of the weights


@styled
def class_weights(studies: Mapping[str, Mapping[str, int]], beta: float) -> Figure:
    """Weight of each class over alpha, against their mean, a panel a study (paper B, eq. 7).

    Args:
        studies: name -> training slices of each class. beta: of the class-balanced loss, drawn where its weights are.
    """
    fig, axes = plt.subplots(1, len(studies), figsize=(4.5 * len(studies), 3.7), sharey=True, squeeze=False)
    x = np.geomspace(*ENDS, 300)
    for ax, (study, counts) in zip(axes[0], studies.items(), strict=True):
        shown = relative(x, list(counts.values()))
        for i, (finding, count) in enumerate(counts.items()):
            colour = colour_of(finding, list(counts))
            ax.plot(x, shown[:, i], color=colour, label=f"{name_of(finding)} ({count:,} slices)")
        ax.axvspan(one_minus(START[0]), one_minus(START[1]), color="#EFEFEF", lw=0, zorder=0)
        _named(ax, np.sqrt(one_minus(START[0]) * one_minus(START[1])), "alpha starts", line=False)
        _named(ax, 1 - beta, "class-balanced")
        limit = reaches(VISIBLE, list(counts.values()))
        if np.isfinite(limit):
            _named(ax, limit, f"1 % apart from {alpha_text(limit)}")
        ax.set_xscale("log")
        ax.set(
            xlim=ENDS, xlabel="1 − alpha", ylim=(min(0.4, 0.9 * shown.min()), max(1.8, 1.35 * shown.max()))
        )
        ax.set_title(study)
        ax.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.16))
    axes[0, 0].set_ylabel("weight of the class / mean weight")
    return fig


def _named(ax, x: float, text: str, line: bool = True) -> None:
    if line:
        ax.axvline(x, color=REFERENCE, lw=1, ls=(0, (4, 3)), zorder=1)
    ax.annotate(text, (x, 0.97), xycoords=("data", "axes fraction"), xytext=(-3 * line, 0), textcoords="offset points",
                rotation=90, ha="right" if line else "center", va="top", fontsize=7.5, color="#555555")  # fmt: skip


@styled
def factors(found: pd.DataFrame, counts: Sequence[int], labels: Mapping[str, str]) -> Figure:
    """alpha, raw alpha and the betas over the epochs, from before the training on: a line a run and stage.

    Args:
        found: of `saal_factors.factors`. counts: training slices of each class. labels: row -> words.
    """
    rows = list(dict.fromkeys(found["row"]))
    fig, axes = plt.subplots(1, 2 + len(rows), figsize=(2.75 * (2 + len(rows)), 3.0))
    few = found["epoch"].max() < 3
    for i, row in enumerate(rows):
        for _, run in found[found["row"] == row].groupby("seed"):
            look = {"color": CYCLE[i], "lw": 1.3, "marker": "o" if few else ""}
            axes[0].plot(run["epoch"], run["alpha"], **look)
            axes[1].plot(run["epoch"], run["raw_alpha"], **look)
            names = [c for c in run if c.startswith("beta_") and run[c].notna().all()]
            for stage, name in enumerate(names, start=1):
                shade = CYCLE[i] if len(names) == 1 else plt.get_cmap("viridis")(stage / (len(names) + 1))
                axes[2 + i].plot(
                    run["epoch"],
                    run[name],
                    lw=1.3,
                    color=shade,
                    marker="o" if few else "",
                    label=f"stage {stage}",
                )
        handles = dict(zip(*axes[2 + i].get_legend_handles_labels()[::-1], strict=True))
        if len(handles) > 1:
            axes[2 + i].legend(handles.values(), handles, fontsize=7, ncols=2)
        axes[2 + i].set_title(f"beta, {labels.get(row, row)}")
    for ax in axes:
        ax.set_xlabel("epoch")
        ax.xaxis.get_major_locator().set_params(integer=True)
    for ax in (axes[0], *axes[2:]):
        ax.set_ylim(0, 1)
    axes[0].set_title("alpha")
    axes[1].set_title("raw alpha")
    for share, limit in ((0.01, reaches(0.01, counts)), (0.1, reaches(0.1, counts))):
        if np.isfinite(limit):
            axes[1].axhline(raw(limit), color=REFERENCE, lw=1, ls=(0, (4, 3)))
            axes[1].annotate(f"weights {100 * share:.0f} % apart", (0.02, raw(limit)), va="bottom", fontsize=7.5,
                             xycoords=("axes fraction", "data"), color="#555555")  # fmt: skip
    axes[1].margins(y=0.12)
    handles = [Line2D([], [], color=CYCLE[i], label=labels.get(row, row)) for i, row in enumerate(rows)]
    fig.legend(handles=handles, loc="outside lower left", ncols=len(rows))
    return fig


@styled
def loss_curves(history: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """The loss that each row lowers over its epochs, a panel a row with an axis of its own; a line a seed.

    history: of `ablation.learning_curves`. labels: row -> words.
    """
    rows = list(dict.fromkeys(history["row"]))
    columns = min(4, len(rows))
    lines = -(-len(rows) // columns)
    fig, axes = plt.subplots(lines, columns, figsize=(2.4 * columns, 2.0 * lines), squeeze=False, sharex=True)
    for ax in axes.flat[len(rows) :]:
        ax.set_visible(False)
    for i, (ax, row) in enumerate(zip(axes.flat, rows, strict=False)):
        for _, run in history[history["row"] == row].groupby("seed"):
            ax.plot(
                run["epoch"], run["loss"], color=CYCLE[i % len(CYCLE)], lw=1.2, marker="o" * (len(run) < 3)
            )
        ax.set_ylim(bottom=min(0, history.loc[history["row"] == row, "loss"].min()))
        ax.set_title(labels.get(row, row))
        ax.xaxis.get_major_locator().set_params(integer=True)
        if i + columns >= len(rows):
            ax.set_xlabel("epoch")
            ax.tick_params(labelbottom=True)
    axes[0, 0].set_xlim(0, 1.05 * history["epoch"].max())
    for ax in axes[:, 0]:
        ax.set_ylabel("training loss")
    return fig


@styled
def scores_by_loss(joined: pd.DataFrame, metrics: Sequence[str] = METRICS, title: str = "") -> Figure:
    """Each score by loss, ours with its 95 % interval and the paper's with its deviation, a panel a score.

    joined: of `b5_losses.with_parts`.
    """
    rows = joined.drop_duplicates("row").set_index("row")["label"]
    fig, axes = plt.subplots(
        1, len(metrics), figsize=(2.9 * len(metrics), 0.9 + 0.42 * len(rows)), sharey=True
    )
    for ax, metric in zip(np.atleast_1d(axes), metrics, strict=True):
        scores = joined[joined["metric"] == metric].set_index("row").reindex(rows.index)
        y = np.arange(len(rows))
        ax.hlines(y - 0.13, scores["low"], scores["high"], color=CYCLE[1], lw=2.2, alpha=0.45)
        ax.plot(scores["mean"], y - 0.13, "o", color=CYCLE[1], ms=5.5)
        sd = scores["published_sd"].astype(float)
        ax.hlines(y + 0.17, scores["published"] - sd, scores["published"] + sd, color=PAPER, lw=1.4)
        ax.plot(scores["published"], y + 0.17, "s", color=PAPER, mfc="white", ms=4.5)
        ax.set_title(metric_head(metric))
        ax.set_yticks(y, rows)
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.axhline(4.5, color="#CCCCCC", lw=0.8)  # below: with deep supervision
        ax.grid(False, axis="y")
        ax.tick_params(axis="y", length=0)
    handles = [
        Line2D([], [], color=CYCLE[1], marker="o", label="here, 95 % interval over test patients"),
        Line2D([], [], color=PAPER, marker="s", mfc="white", label="the paper, deviation over repeats"),
    ]
    fig.legend(handles=handles, loc="outside lower left", ncols=2)
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig
