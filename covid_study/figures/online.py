"""Charts of notebook 07: F1 by online strategy, and where each strategy takes precision and recall."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from covid_study.figures.charts import CYCLE, styled
from covid_study.figures.results import SHORT
from covid_study.report.show import column_head
from covid_study.scores import published as papers
from covid_study.tables.a6_online import STRATEGIES

LOOKS = {"none": "o", "oversampling": "^", "ohem": "s", "focal": "D"}
SHADES = (CYCLE[6], CYCLE[1])  # all negatives, the selection


def _cells(frame: pd.DataFrame, metric: str, value: str) -> pd.DataFrame:
    """A line a row of the table, a column a strategy; NaN where the score is not defined."""
    part = frame[frame["metric"] == metric]
    wide = part.pivot(index="row", columns="column", values=value).astype(float)
    return wide.reindex(index=_rows(frame), columns=list(STRATEGIES))


def _label(row: str) -> str:
    return f"{column_head(row)}{'' if row == 'all' else ' of the'} negatives"


def _here(joined: pd.DataFrame) -> pd.DataFrame:
    """The rows that were run, with their undefined scores."""
    return joined[joined["row"].isin(joined.loc[joined["mean"].notna(), "row"])]


def _rows(frame: pd.DataFrame) -> list[str]:
    return sorted(dict.fromkeys(frame["row"]), key=lambda row: row != "all")


def _paper() -> pd.DataFrame:
    """Table VI with the intervals that its scores would have had."""
    table = papers.table("A.VI").rename(columns={"value": "mean"})
    return table.merge(papers.intervals("A.VI"), on=["row", "column", "metric"], how="left")


@styled
def score_by_strategy(joined: pd.DataFrame, metric: str = "f1", title: str = "") -> Figure:
    """A score by strategy on all negatives and on the selection, with intervals: ours on the left, the paper's on the right.

    joined: what `show.join_published` returns for Table VI. The paper's panel is left out for a score that it lacks.
    """
    panels, paper = {"here": _here(joined)}, _paper()
    if metric in set(paper["metric"]):
        panels["the paper"] = paper
    fig, axes = plt.subplots(1, len(panels), figsize=(4.3 * len(panels), 3.2), sharey=True, squeeze=False)
    for ax, (name, frame) in zip(axes[0], panels.items(), strict=True):
        mean, low, high = (_cells(frame, metric, value) for value in ("mean", "low", "high"))
        rows = _rows(frame)
        for i, row in enumerate(rows):
            x = np.arange(len(STRATEGIES)) + 0.16 * (2 * i - len(rows) + 1)
            ax.vlines(x, low.loc[row], high.loc[row], color=SHADES[i % 2], lw=2.2, alpha=0.45)
            ax.plot(
                x,
                mean.loc[row],
                ls="",
                marker="os"[i % 2],
                ms=6,
                color=SHADES[i % 2],
                label=_label(row),
            )
        ax.set_xticks(range(len(STRATEGIES)), [column_head(s) for s in STRATEGIES])
        ax.set_title(name)
        ax.grid(False, axis="x")
    axes[0, 0].set_ylabel(SHORT.get(metric, metric))
    axes[0, 0].set_ylim(top=1.02)
    axes[0, 0].set_ylim(bottom=min(axes[0, 0].get_ylim()[0], 0.5))
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower left", ncols=2)
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig


@styled
def precision_and_recall(joined: pd.DataFrame) -> Figure:
    """Where each strategy takes precision and recall at 0.5 from where they are without: ours, and the paper's.

    joined: what `show.join_published` returns for Table VI. Grey lines join points of equal F1.
    """
    panels = {"here": _here(joined), "the paper": _paper()}
    fig, axes = plt.subplots(1, 2, figsize=(8.6, 4.3))
    for ax, (name, frame) in zip(axes, panels.items(), strict=True):
        x, y = _cells(frame, "recall", "mean"), _cells(frame, "precision", "mean")
        rows = _rows(frame)
        for i, row in enumerate(rows):
            colour, start = SHADES[i % 2], (x.loc[row, "none"], y.loc[row, "none"])
            ax.plot(*start, "o", color=colour, mfc="white", ms=11, mew=1.5, zorder=3)  # shows around others
            for strategy in STRATEGIES[1:]:
                end = x.loc[row, strategy], y.loc[row, strategy]
                ax.plot(*zip(start, end, strict=True), color=colour, lw=0.9, zorder=2)
                ax.plot(*end, LOOKS[strategy], color=colour, mec="white", ms=7, alpha=0.85, zorder=4)
        _limits(ax, x.loc[rows].to_numpy(), y.loc[rows].to_numpy())
        _equal_f1(ax)
        ax.set(xlabel="recall", ylabel="precision")
        ax.set_title(name)
    rows = _rows(panels["here"])
    handles = [Line2D([], [], color=SHADES[i % 2], label=_label(row)) for i, row in enumerate(rows)]
    handles += [
        Line2D(
            [],
            [],
            ls="",
            marker=marker,
            color="#444444",
            mfc="white" if strategy == "none" else None,
            label=column_head(strategy),
        )
        for strategy, marker in LOOKS.items()
    ]
    fig.legend(handles=handles, loc="outside lower left", ncols=len(handles))
    return fig


def _limits(ax, x: np.ndarray, y: np.ndarray) -> None:
    """A square window around the points, at least a fifth wide, within 0 to 1."""
    x, y = x[np.isfinite(x)], y[np.isfinite(y)]
    if not len(x) or not len(y):
        ax.set(xlim=(0, 1.02), ylim=(0, 1.02))
        return
    width = min(1.06, 1.3 * max(np.ptp(x), np.ptp(y), 0.15))
    for values, move in ((x, ax.set_xlim), (y, ax.set_ylim)):
        low = min(max((values.min() + values.max() - width) / 2, -0.03), 1.03 - width)
        move(low, low + width)


def _equal_f1(ax) -> None:
    """Lines of equal F1, named where they leave the window at the right or at the top."""
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    step = 0.1 if right - left > 0.5 else 0.05
    for f1 in np.arange(step, 1, step):
        recall = np.linspace(max(left, f1 / 2 + 1e-3, 1e-3), min(right, 1.0), 2000)
        precision = f1 * recall / (2 * recall - f1)
        shown = (precision >= bottom) & (precision <= min(top, 1.0))
        if shown.sum() < 2:
            continue
        ax.plot(recall[shown], precision[shown], color="#D0D0D0", lw=0.8, zorder=1)
        ax.annotate(
            f"F1 {f1:.2f}", (recall[shown][-1], precision[shown][-1]), fontsize=7, color="#8A8A8A",
            ha="right", va="bottom", xytext=(-1, 1), textcoords="offset points",
        )  # fmt: skip
