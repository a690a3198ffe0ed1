"""Charts of notebook 09: the ROC curves of all networks, and what deep supervision changes."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from sklearn import metrics as sk

from covid_study.figures.charts import CYCLE, REFERENCE, styled
from covid_study.scores.multiclass import called
from covid_study.scores.slices import Called

OURS = "#D55E00"  # as red as the paper's curve
OTHERS = [colour for colour in CYCLE if colour != OURS]


@styled
def roc_curves(predicted: Mapping[str, Called], ours: str, title: str = "") -> Figure:
    """ROC curves of several networks for COVID-19 against the rest, best first, and where each calls (paper B, Fig. 4).

    Args:
        predicted: label -> what `slices.read` makes of the test slices. ours: the label drawn thick.
    """
    fig, ax = plt.subplots(figsize=(7.4, 4.3))
    ax.plot([0, 1], [0, 1], color=REFERENCE, lw=1, ls=(0, (4, 3)), zorder=1)
    areas = {
        label: sk.roc_auc_score(found.y == 0, found.p[:, 0])
        for label, found in predicted.items()
        if 0 < (found.y == 0).sum() < len(found.y)
    }
    for label in sorted(areas, key=areas.get, reverse=True):
        found, place = predicted[label], [name for name in predicted if name != ours]
        covid, told, score = found.y == 0, called(found.p) == 0, found.p[:, 0]
        i = 0 if label == ours else place.index(label)
        look = {
            "color": OURS if label == ours else OTHERS[i % len(OTHERS)],
            "lw": 2.6 if label == ours else 1.2,
            "ls": "-" if label == ours or i < len(OTHERS) else "--",
            "zorder": 3 if label == ours else 2,
        }
        false, right, _ = sk.roc_curve(covid, score)
        ax.plot(false, right, label=f"{areas[label]:.3f}  {label}", **look)
        point = np.mean(told[~covid]), np.mean(told[covid])
        ax.plot(*point, "o", color=look["color"], mec="white", ms=8, zorder=4, clip_on=False)
    ax.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    ax.set_aspect("equal")
    ax.set_title(title or "COVID-19 against the rest, test slices")
    ax.legend(title="AUC", title_fontsize=8, alignment="left", loc="center left", bbox_to_anchor=(1.02, 0.5))
    return fig
