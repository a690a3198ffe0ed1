"""Charts of what exams are called: confusion matrices side by side."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from covid_study.figures.charts import FINDINGS, styled
from covid_study.report.show import column_head
from covid_study.scores.multiclass import row_shares

DARK = 0.6  # share from which white figures are read more easily


@styled
def confusion_matrices(
    counts: Mapping[str, pd.DataFrame], title: str = "", columns: int | None = None
) -> Figure:
    """Confusion matrices, a panel a classifier: exams and their share of the true class; the diagonal is what is right.

    counts: label -> exams, true classes in rows, what they are called in columns; means over seeds may be fractions.
    columns: most panels beside each other; None: all.
    """
    wide = min(columns or len(counts), len(counts))
    high = -(-len(counts) // wide)
    fig, axes = plt.subplots(high, wide, figsize=(0.7 + 3.3 * wide, 0.2 + 3.0 * high), squeeze=False)
    for ax in axes.flat[len(counts) :]:
        ax.set_visible(False)
    for i, (ax, (label, matrix)) in enumerate(zip(axes.flat, counts.items(), strict=False)):
        shares, exams = row_shares(matrix).to_numpy(), matrix.to_numpy()
        ax.imshow(np.nan_to_num(shares), cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (true, called), share in np.ndenumerate(shares):
            known = "" if np.isnan(share) else f"\n{100 * share:.0f} %"
            text = f"{exams[true, called]:.3g}{known}"
            colour = "white" if share > DARK else "#222222"
            ax.text(called, true, text, ha="center", va="center", fontsize=8.5, color=colour)
        names = [FINDINGS.get(name, name) for name in matrix.columns]
        ax.set_xticks(range(len(names)), names)
        true = [FINDINGS.get(name, name) for name in matrix.index]
        ax.set_yticks(range(len(true)), true if i % wide == 0 else [""] * len(true))
        ax.set(title=column_head(label), xlabel="called", ylabel="in truth" if i % wide == 0 else "")
        ax.grid(False)
        ax.tick_params(length=0)
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    return fig
