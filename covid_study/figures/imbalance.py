"""Charts of notebook 11: scores against the share of the COVID-19 slices, and what is lost with them."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from covid_study.figures.charts import CYCLE, REFERENCE, styled
from covid_study.figures.results import SHORT
from covid_study.report.show import column_head
from covid_study.tables.b6_fewer_positives import METHODS, MOVED

LOOKS = {METHODS[0]: (CYCLE[6], "o"), METHODS[1]: (CYCLE[1], "s")}
LOST = {  # what of `b6_fewer_positives.changes` is drawn: (ending of the column, metric) -> words, colour, marker
    ("", "sen"): ("SEN as called", CYCLE[1], "o"),
    (MOVED, "sen"): ("SEN with the line moved back", CYCLE[4], "^"),
    ("", "auc"): ("AUC", CYCLE[0], "s"),
}


def _shares(rows: Sequence[str]) -> list[str]:
    """From all slices to the fewest."""
    return sorted(dict.fromkeys(rows), key=lambda row: -float(row.rstrip("%")))


def _ticks(ax, shares: Sequence[str], slices: Mapping[str, str]) -> None:
    heads = [f"{column_head(s)}\n{slices[s]}" if s in slices else column_head(s) for s in shares]
    ax.set_xticks(range(len(shares)), heads)
    ax.set(xlim=(-0.4, len(shares) - 0.6), xlabel="share of the COVID-19 slices, and how many they are here")
    ax.grid(False, axis="x")


def _bars(ax, x, part: pd.DataFrame, value: str, colour: str, marker: str, scale: float = 1.0) -> None:
    """Values at x with their intervals, joined by a line."""
    low, high = (scale * part[end].astype(float) for end in ("low", "high"))
    ax.vlines(x, low, high, color=colour, lw=2.2, alpha=0.4)
    ax.plot(x, scale * part[value], color=colour, marker=marker, lw=1.3)


@styled
def scores_by_share(
    joined: pd.DataFrame, slices: Mapping[str, str], metrics: Sequence[str] = ("sen", "spe"), title: str = ""
) -> Figure:
    """Scores of baseline and DSN-SAAL against the share of the COVID-19 slices, a panel a score, with the paper's points.

    Args:
        joined: of `b6_fewer_positives.table6`. slices: share -> how many COVID-19 slices it is here, in words.
    """
    shares = _shares(joined["row"])
    fig, axes = plt.subplots(1, len(metrics), figsize=(4.4 * len(metrics), 3.5), sharey=True, squeeze=False)
    for ax, metric in zip(axes[0], metrics, strict=True):
        for i, (method, (colour, marker)) in enumerate(LOOKS.items()):
            part = joined[(joined["metric"] == metric) & (joined["column"] == method)].set_index("row")
            ours, paper = part[part["mean"].notna()], part[part["published"].notna()]
            _bars(ax, [shares.index(r) + 0.12 * i - 0.06 for r in ours.index], ours, "mean", colour, marker)
            x = [shares.index(r) for r in paper.index]
            ax.plot(x, paper["published"], color=colour, marker=marker, mfc="white", ls=":", lw=1, zorder=1.5)
        ax.set_title(SHORT.get(metric, metric))
        _ticks(ax, shares, slices)
    axes[0, 0].set_ylim(-0.03, 1.03)
    handles = [
        Line2D([], [], color=c, marker=m, mfc=face, ls=line, label=f"{column_head(method)}, {whose}")
        for face, line, whose in ((None, "-", "here"), ("white", ":", "the paper"))
        for method, (c, m) in LOOKS.items()
    ]
    fig.legend(handles=handles, loc="outside lower left", ncols=4)
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig


@styled
def line_or_ranking(changed: pd.DataFrame, slices: Mapping[str, str], title: str = "") -> Figure:
    """Changes of sensitivity, as called and with the line moved back, and of the AUC; a panel a method.

    changed: of `b6_fewer_positives.changes`. slices: as in `scores_by_share`.
    """
    shares = _shares(changed["row"])
    fig, axes = plt.subplots(1, len(METHODS), figsize=(8.8, 3.4), sharey=True)
    for ax, method in zip(axes, METHODS, strict=True):
        for i, ((end, metric), (_, colour, marker)) in enumerate(LOST.items()):
            part = changed[(changed["column"] == method + end) & (changed["metric"] == metric)].set_index(
                "row"
            )
            x = np.array([shares.index(row) for row in part.index]) + 0.13 * (i - 1)
            _bars(ax, x, part, "difference", colour, marker, scale=100)
        ax.axhline(0, color=REFERENCE, lw=1, zorder=1)
        ax.set_title(column_head(method))
        _ticks(ax, shares, slices)
    axes[0].set_ylabel("change, percentage points")
    handles = [Line2D([], [], color=c, marker=m, label=words) for words, c, m in LOST.values()]
    fig.legend(handles=handles, loc="outside lower left", ncols=3)
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig


@styled
def losses_by_share(
    by_loss: pd.DataFrame, slices: Mapping[str, str], metrics: Sequence[str] = ("sen", "auc"), title: str = ""
) -> Figure:
    """Scores of every loss against the share of the COVID-19 slices, a panel a score, with 95 % intervals.

    by_loss: of `b6_fewer_positives.by_loss`. slices: as in `scores_by_share`.
    """
    shares, labels = _shares(by_loss["column"]), by_loss.drop_duplicates("row").set_index("row")["label"]
    looks = {row: (CYCLE[i % len(CYCLE)], "os^DvPX"[i % 7]) for i, row in enumerate(labels.index)}
    fig, axes = plt.subplots(1, len(metrics), figsize=(4.4 * len(metrics), 3.5), sharey=True, squeeze=False)
    for ax, metric in zip(axes[0], metrics, strict=True):
        for i, (row, look) in enumerate(looks.items()):
            part = by_loss[(by_loss["metric"] == metric) & (by_loss["row"] == row)].set_index("column")
            x = np.array([shares.index(share) for share in part.index]) + 0.08 * (i - (len(looks) - 1) / 2)
            _bars(ax, x, part, "mean", *look)
        ax.set_title(SHORT.get(metric, metric))
        _ticks(ax, shares, slices)
    axes[0, 0].set_ylim(-0.03, 1.03)
    handles = [Line2D([], [], color=c, marker=m, label=labels[row]) for row, (c, m) in looks.items()]
    fig.legend(handles=handles, loc="outside lower left", ncols=3)
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig
