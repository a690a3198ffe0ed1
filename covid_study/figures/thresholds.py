"""What a threshold trades: ROC and precision-recall curves, and where a classifier stands on them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn import metrics as sk

from covid_study.figures import output, style


@style.styled
def roc(runs: Mapping[str, tuple], strong: str = "", precision: bool = False) -> Figure:
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
    tables = {
        label: pd.DataFrame({"y": y, "p": p, "called": called}) for label, (y, p, called) in found.items()
    }
    fig.drawn_from = output.table_of({"runs": tables})
    fig.legend(handles=list(keys.values()), title="AUC" + " / average precision" * precision, title_fontsize=8,
               alignment="left", loc="outside right center")  # fmt: skip
    return fig
