"""Charts of notebook 14: scores of the six classifiers, and what choosing negatives gains with each loss."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from covid_study.figures.charts import CYCLE, REFERENCE, styled
from covid_study.figures.results import SHORT
from covid_study.report.show import column_head
from covid_study.scores.old_claims import MEAN
from covid_study.tables.selection_and_supervision import LOSSES, NEGATIVES

LOOKS = {"all": (CYCLE[6], "s", "all negatives"), "random": (CYCLE[0], "o", "as many, random")}
LOOKS |= {"dual_track": (CYCLE[1], "D", "chosen by the dual-track ranking")}
GAINS = {  # claim of `selection_and_supervision.effects` -> words, colour, marker
    "choosing_ce": ("with CE", CYCLE[2], "o"),
    "choosing_saal": ("with SAAL", CYCLE[3], "s"),
    "interaction": ("SAAL's gain less CE's", "#222222", "^"),
}


@styled
def answer(scored: pd.DataFrame, effects: pd.DataFrame, metric: str = "gmean", title: str = "") -> Figure:
    """A score of the six classifiers, a panel a loss; beside it what choosing gains with each loss, and the difference.

    Args:
        scored: of `slice_selection_report.results`. effects: of `selection_and_supervision.effects`.
    """
    shares = sorted(dict.fromkeys(scored["column"]), key=_from_all)
    gains = effects[(effects["metric"] == metric) & effects["claim"].isin(GAINS)]
    columns = [*shares, *[MEAN] * (MEAN in set(gains["column"]))]
    widths = [len(shares) + 1.2, len(shares) + 1.2, len(columns) + 1.6]
    fig, axes = plt.subplots(1, 3, figsize=(10.4, 3.7), width_ratios=widths)
    axes[1].sharey(axes[0])
    for ax, loss in zip(axes, LOSSES, strict=False):
        for i, negatives in enumerate(NEGATIVES):
            colour, marker, _ = LOOKS[negatives]
            rows = scored[(scored["row"] == f"{negatives}_{loss}") & (scored["metric"] == metric)]
            part = rows.set_index("column").reindex(shares)
            _bars(ax, np.arange(len(shares)) + 0.16 * (i - 1), part, "mean", colour, marker, line=True)
        ax.set_title(f"{SHORT.get(metric, metric)} with {column_head(loss)}")
        _ticks(ax, shares)
    axes[0].set_ylim(-0.03, 1.03)
    for i, (claim, (_, colour, marker)) in enumerate(GAINS.items()):
        part = gains[gains["claim"] == claim].set_index("column").reindex(columns)
        x = np.arange(len(columns)) + 0.2 * (i - 1)
        _bars(axes[2], x, part, "difference", colour, marker, scale=100)
    axes[2].axhline(0, color=REFERENCE, lw=1, zorder=1)
    axes[2].set_title("Chosen less random, points")
    _ticks(axes[2], columns)
    chosen = [Line2D([], [], color=c, marker=m, label=words) for c, m, words in LOOKS.values()]
    gained = [Line2D([], [], ls="", color=c, marker=m, label=words) for words, c, m in GAINS.values()]
    fig.legend(handles=chosen, loc="outside lower left", ncols=3, title="negatives", alignment="left")
    fig.legend(handles=gained, loc="outside lower right", ncols=3, title="gain by choosing", alignment="left")
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig


def _from_all(share: str) -> float:
    return -float(share.rstrip("%"))


def _ticks(ax, columns: Sequence[str]) -> None:
    ax.set_xticks(range(len(columns)), ["mean" if c == MEAN else column_head(c) for c in columns])
    ax.set(xlim=(-0.5, len(columns) - 0.5), xlabel="share of the COVID-19 slices")
    ax.grid(False, axis="x")


def _bars(ax, x, part: pd.DataFrame, value: str, colour: str, marker: str, scale=1.0, line=False) -> None:
    """Values at x with their intervals."""
    low, high = (scale * part[end].astype(float) for end in ("low", "high"))
    ax.vlines(x, low, high, color=colour, lw=2.2, alpha=0.4)
    ax.plot(x, scale * part[value].astype(float), color=colour, marker=marker, lw=1.2, ls="-" if line else "")
