"""What a threshold trades: ROC and precision-recall curves, and how precision and recall move from one run to another."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn import metrics as sk

from covid_study.figures import style
from covid_study.report.words import column_head
from covid_study.scores.slices import Called


def against_the_rest(called: Mapping[str, Called]) -> dict[str, tuple]:
    """Label -> y, p and what is called COVID-19, for `roc`: of several classes COVID-19 against the others."""
    return {
        label: (found.y == 0, found.p[:, 0], found.p.argmax(axis=1) == 0) for label, found in called.items()
    }


@style.styled
def roc(runs: Mapping[str, tuple], strong: str = "", precision: bool = False, title: str = "") -> Figure:
    """ROC curves of several runs, best first, and where each calls; with `precision` the precision-recall curves too.

    Args:
        runs: label -> (y, p) or (y, p, called) of the test cases: bool or 0 and 1 (n,), float (n,), bool (n,);
            called from 0.5 on where not given. One class alone has no curve. strong: the label drawn thick.
    """
    found = {}
    for label, (y, p, *called) in runs.items():
        y, p = np.asarray(y, bool), np.asarray(p, float)
        if 0 < y.sum() < len(y):
            found[label] = y, p, np.asarray(called[0], bool) if called else p >= 0.5
    fig, axes = style.panels(1 + precision, 4.2, 4.2, margin=2.4, sharey=True)
    colours = [c for c in style.CYCLE if c != style.OURS] if strong else style.CYCLE
    place = {label: i for i, label in enumerate(name for name in runs if name != strong)}
    keys = {}
    for label in sorted(found, key=lambda name: -sk.roc_auc_score(*found[name][:2])):
        y, p, called = found[label]
        look = {"color": style.OURS, "lw": 2.6, "zorder": 3}
        if label != strong:
            again, i = divmod(place[label], len(colours))
            look = {"color": colours[i], "lw": 1.3, "ls": "--" if again else "-", "zorder": 2}
        mark = {"color": look["color"], "mec": "white", "ms": 8, "zorder": 4, "clip_on": False}
        false, right, _ = sk.roc_curve(y, p)
        axes[0].plot(false, right, **look)
        axes[0].plot(called[~y].mean(), called[y].mean(), "o", **mark)
        areas = f"{sk.roc_auc_score(y, p):.3f}"
        if precision:
            exact, recall, _ = sk.precision_recall_curve(y, p)
            axes[1].step(recall, exact, where="post", **look)
            if called.any():
                axes[1].plot(called[y].mean(), y[called].mean(), "o", **mark)
            axes[1].axhline(y.mean(), color=style.REFERENCE, lw=1, ls=(0, (4, 3)), zorder=1)
            areas += f" / {sk.average_precision_score(y, p):.3f}"
        keys[label] = style.key(f"{areas}  {label}", look["color"], "", look.get("ls", "-"))
    axes[0].plot([0, 1], [0, 1], color=style.REFERENCE, lw=1, ls=(0, (4, 3)), zorder=1)
    axes[0].set(xlabel="1 - specificity", ylabel="sensitivity (recall)", title="ROC")
    for ax in axes:
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    if precision:
        axes[1].set(xlabel="recall", ylabel="precision", title="Precision and recall")
    fig.legend(handles=list(keys.values()), title="AUC" + " / average precision" * precision, title_fontsize=8,
               alignment="left", loc="outside right center")  # fmt: skip
    return fig


@style.styled
def trades(results: pd.DataFrame, start: str, title: str = "") -> Figure:
    """Where each column takes precision and recall from where they are in the column `start`, here and in the paper.

    results: a results table with precision and recall; a colour a row, a marker a column. Grey lines: equal F1.
    """
    ends, kinds = list(dict.fromkeys(results["column"])), list(dict.fromkeys(results["row"]))
    colours, marks = style.looks(kinds), style.looks(ends)
    fig, axes = style.panels(2, 4.3, 4.4)
    for ax, (value, name) in zip(axes, {"mean": "here", "published": "the paper"}.items(), strict=True):
        part = results[results["metric"].isin(["recall", "precision"]) & results[value].notna()]
        wide = part.pivot(index=["row", "column"], columns="metric", values=value).astype(float)
        wide = wide.reindex(columns=["recall", "precision"]).dropna()
        for (row, end), point in wide.iterrows():
            colour = colours[row]["color"]
            if end != start and (row, start) in wide.index:
                ax.plot(*zip(wide.loc[(row, start)], point, strict=True), color=colour, lw=0.9, zorder=2)
            look = {"mec": "white", "ms": 7} if end != start else {"mfc": "white", "ms": 11}
            ax.plot(*point, marks[end]["marker"], color=colour, zorder=3 + (end != start), **look)
        _square(ax, wide["recall"].to_numpy(), wide["precision"].to_numpy())
        _equal_f1(ax)
        ax.set(xlabel="recall", ylabel="precision", title=name)
    keys = [style.key(f"{column_head(row)} negatives", colours[row]["color"]) for row in kinds]
    keys += [
        style.key(column_head(end), "#444444", marks[end]["marker"], "", hollow=end == start) for end in ends
    ]
    style.legend(fig, keys, 6)
    return fig


def _square(ax, x: np.ndarray, y: np.ndarray) -> None:
    """A square window around the points, at least a fifth wide, within 0 to 1."""
    width = min(1.06, 1.3 * max(np.ptp(x), np.ptp(y), 0.15)) if len(x) else 1.06
    for values, move in ((x, ax.set_xlim), (y, ax.set_ylim)):
        middle = (values.min() + values.max()) / 2 if len(values) else 0.5
        low = min(max(middle - width / 2, -0.03), 1.03 - width)
        move(low, low + width)


def _equal_f1(ax) -> None:
    """Lines of equal F1 across the window."""
    recall, precision = np.meshgrid(
        *(np.linspace(*ends, 200).clip(1e-3) for ends in (ax.get_xlim(), ax.get_ylim()))
    )
    step = 0.1 if np.ptp(ax.get_xlim()) > 0.5 else 0.05
    f1, levels = 2 * recall * precision / (recall + precision), np.arange(step, 1, step)
    lines = ax.contour(recall, precision, f1, levels, colors="#D0D0D0", linewidths=0.8, zorder=1)
    ax.clabel(lines, fmt="F1 %.2f", fontsize=7, colors=style.REFERENCE)
