"""Charts of the results: scores and training periods against the number of negatives, curves of single runs."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn import metrics as sk

from covid_study.figures.charts import CYCLE, PAPER, REFERENCE, styled
from covid_study.report.show import duration

SHORT = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "auc": "AUC",
    "average_precision": "average precision",
    "f1_validation": "F1, threshold from validation",
    "acc": "ACC",
    "gmean": "G-mean",
    "sen": "SEN",
    "spe": "SPE",
    "pre": "PRE",
}


def _shares(frame: pd.DataFrame, shares: Mapping[str, float]) -> pd.DataFrame:
    here = frame[frame["column"].isin(shares)]
    return here.assign(share=here["column"].map(shares).astype(float)).sort_values("share")


@styled
def score_by_size(
    results: pd.DataFrame,
    shares: Mapping[str, float],
    metric: str = "f1",
    reference: str = "random",
    title: str = "",
) -> Figure:
    """A score against the share of the negatives trained on, a panel a row of the table, with the paper's values.

    Args:
        results: what `show.join_published` returns.
        shares: column of the table -> share of the archive, e.g. `published.sizes("A.III") / 1785`.
        metric: which score. reference: row repeated in grey in every panel.
    """
    frame = _shares(results[(results["metric"] == metric)], shares)
    reached = frame[frame["mean"].notna()]
    shown = frame[frame["mean"].notna() | frame["published"].notna()]
    rows = [r for r in dict.fromkeys(results["row"]) if r in set(shown["row"])]
    columns = min(3, max(1, len(rows)))
    lines = max(1, -(-len(rows) // columns))
    fig, axes = plt.subplots(lines, columns, figsize=(3.0 * columns, 2.35 * lines + 0.35), sharex=True, sharey=True,
                             squeeze=False)  # fmt: skip
    base, known = reached[reached["row"] == reference], set(results.loc[results["in_paper"], "row"])
    whole = base[base["column"] == "all"]
    for i, ax in enumerate(axes.flat):
        if i >= len(rows):
            ax.set_visible(False)
            continue
        part = reached[reached["row"] == rows[i]]
        paper = frame[(frame["row"] == rows[i]) & frame["published"].notna()]
        if rows[i] != reference:
            ax.plot(base["share"], base["mean"], color="#AAAAAA", lw=1.4, marker=".", zorder=2)
        elif len(whole):
            ax.axhline(whole["mean"].item(), color="#CCCCCC", lw=0.8, zorder=1)
        ax.fill_between(
            part["share"],
            part["low"].astype(float),
            part["high"].astype(float),
            color=CYCLE[1],
            alpha=0.16,
            lw=0,
        )
        ax.plot(part["share"], part["mean"], color=CYCLE[1], marker="o", zorder=3)
        ax.plot(
            paper["share"], paper["published"], color=PAPER, marker="s", mfc="white", ls=":", lw=1, zorder=2
        )
        ax.set_title(shown.loc[shown["row"] == rows[i], "label"].iloc[0], fontsize=8.5)
        if rows[i] not in known:
            ax.text(
                0.98,
                0.03,
                "not in the paper",
                transform=ax.transAxes,
                ha="right",
                fontsize=7.5,
                color="#B35C00",
            )
        ax.set_xticks(list(shares.values()), ["ALL" if c == "all" else c.replace("%", " %") for c in shares])
        if i % columns == 0:
            ax.set_ylabel(SHORT.get(metric, metric))
        if i >= len(rows) - columns:
            ax.set_xlabel("share of the negatives")
            ax.tick_params(labelbottom=True)
    named = next(iter(results.loc[results["row"] == reference, "label"]), reference)
    named = named[:1].lower() + named[1:]
    handles = [Line2D([], [], color=CYCLE[1], marker="o", label="this run, 95 % interval"),
               Line2D([], [], color="#AAAAAA", marker=".", label=f"this run, {named}")]  # fmt: skip
    if frame["published"].notna().any():
        handles.insert(1, Line2D([], [], color=PAPER, marker="s", mfc="white", ls=":", label="the paper"))
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    fig.legend(handles=handles, loc="outside lower left", ncols=3)
    return fig


@styled
def time_by_size(results: pd.DataFrame, shares: Mapping[str, float]) -> Figure:
    """Training period against the share of the negatives, relative to training on all: ours and the paper's.

    results: what `show.join_published` returns, with the row `training_period`. shares: as in `score_by_size`.
    """
    period = _shares(results[(results["row"] == "training_period") & (results["metric"] == "hours")], shares)
    fig, ax = plt.subplots(figsize=(5.0, 3.1))
    last = max(shares, key=lambda c: shares[c])
    ax.plot([0, 1], [0, 1], color=REFERENCE, lw=1, ls=(0, (4, 3)), zorder=1)
    ax.annotate(
        "in proportion",
        (0.8, 0.8),
        xytext=(10, -22),
        textcoords="offset points",
        fontsize=7.5,
        color="#666666",
    )
    looks = {
        "published": (PAPER, "s", "white", ":", "the paper", (8, -12)),
        "mean": (CYCLE[1], "o", CYCLE[1], "-", "this run", (-6, 7)),
    }
    for column, (colour, marker, face, line, label, shift) in looks.items():
        known = period[period[column].notna()]
        if known.empty:
            continue
        whole = known.loc[known["column"] == last, column]
        whole = whole.item() if len(whole) else known[column].max() / known["share"].max()
        ax.plot(
            known["share"], known[column] / whole, color=colour, marker=marker, mfc=face, ls=line, label=label
        )
        for share, hours in zip(known["share"], known[column], strict=True):
            ax.annotate(duration(hours), (share, hours / whole), xytext=shift, textcoords="offset points", fontsize=7.5,
                        color=colour, ha="right" if shift[0] < 0 else "left")  # fmt: skip
    ax.set_xticks(list(shares.values()), ["ALL" if c == "all" else c.replace("%", " %") for c in shares])
    ax.set(xlim=(0, 1.13), xlabel="share of the negatives", ylabel="training period, ALL = 1")
    ax.set_ylim(0, 1.12 * ax.dataLim.y1)
    ax.set_title("Training period against the number of negatives")
    ax.legend(loc="upper left")
    return fig


@styled
def precision_recall_and_roc(curves: Mapping[str, tuple], threshold: float = 0.5) -> Figure:
    """Precision-recall and ROC curves of some runs; the mark is where the threshold lies.

    curves: label -> (y_true, p) of the test exams.
    """
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.7))
    share = np.nan
    for i, (label, (y, p)) in enumerate(curves.items()):
        y, p, colour = np.asarray(y), np.asarray(p, float), CYCLE[i % len(CYCLE)]
        if y.min() == y.max():
            continue
        share = y.mean()
        precision, recall, _ = sk.precision_recall_curve(y, p)
        fpr, tpr, _ = sk.roc_curve(y, p)
        left.step(
            recall,
            precision,
            where="post",
            color=colour,
            label=f"{label}: {sk.average_precision_score(y, p):.2f}",
        )
        right.plot(fpr, tpr, color=colour, label=f"{label}: {sk.roc_auc_score(y, p):.2f}")
        called = p >= threshold
        found = (called & (y == 1)).sum() / (y == 1).sum()
        right.plot((called & (y == 0)).sum() / (y == 0).sum(), found, "o", color=colour, mec="white", ms=8)
        if called.any():
            left.plot(found, (called & (y == 1)).sum() / called.sum(), "o", color=colour, mec="white", ms=8)
    if np.isfinite(share):
        left.axhline(share, color=REFERENCE, lw=1, ls=(0, (4, 3)), zorder=1)
    right.plot([0, 1], [0, 1], color=REFERENCE, lw=1, ls=(0, (4, 3)), zorder=1)
    left.set(xlabel="recall", ylabel="precision", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    right.set(xlabel="1 - specificity", ylabel="recall (sensitivity)", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    left.set_title(f"Precision and recall (mark: threshold {threshold:g})")
    right.set_title("ROC")
    legend = {"frameon": True, "framealpha": 0.9, "edgecolor": "none"}
    left.legend(title="average precision", title_fontsize=8, loc="lower left", alignment="left", **legend)
    right.legend(title="AUC", title_fontsize=8, loc="lower right", alignment="left", **legend)
    return fig
