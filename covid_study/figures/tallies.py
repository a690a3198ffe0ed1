"""How many of what: bars, distances between permutations, confusion matrices."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from covid_study.figures import style
from covid_study.pretext.rubiks_cube import distances
from covid_study.report.words import column_head, finding_name


@style.styled
def bars(
    frame: pd.DataFrame,
    x: str,
    y: str,
    panel: str | None = None,
    group: str | None = None,
    *,
    panels: Mapping[str, str] | None = None,
    references: Mapping[str, float] | None = None,
    axes: tuple[str, str] = ("", ""),
    numbers: bool = False,
    title: str = "",
) -> Figure:
    """Bars of whole numbers or shares: a bar a line of the frame, a colour a group, a panel each.

    panels: names in words, in their order. references: panel -> a dashed level. axes: what is on the two axes, with units.
    """
    names = style.ordered(frame[panel], panels) if panel else [None]
    kinds = list(dict.fromkeys(frame[group])) if group else []
    palette = {kind: style.CYCLE[i % len(style.CYCLE)] for i, kind in enumerate(kinds)}
    fig, found = style.panels(len(names), 3.3, 2.8, most=3, sharey=panels is None)
    for ax, name in zip(found, names, strict=True):
        part = frame[frame[panel] == name] if panel else frame
        look = {"hue": group, "palette": palette} if group else {"color": style.BLUE}
        sns.barplot(part, x=x, y=y, ax=ax, legend=False, errorbar=None, saturation=1, **look)
        for bar in ax.containers if numbers else []:
            ax.bar_label(bar, [f"{v:,.0f}" if v else "" for v in bar.datavalues], fontsize=style.SMALL)
        if name in (references or {}):
            style.reference(ax, references[name], "archive")
        ax.set(xlabel=axes[0], ylabel=axes[1] if ax.get_subplotspec().is_first_col() else "")
        ax.set_title((panels or {}).get(name, str(name)) if panel else "")
        ax.grid(False, axis="x")
    style.legend(
        fig, [plt.Rectangle((0, 0), 1, 1, color=c, label=style.head(group, k)) for k, c in palette.items()]
    )
    return fig


def permutations(sets: Mapping[str, np.ndarray]) -> Figure:
    """How many pairs of permutations lie how far apart, a panel a set (paper A, IV-B1). sets: words -> int (k, cubes)."""
    parts = []
    for words, table in sets.items():
        apart, cubes = distances(table), table.shape[1]
        text = f"{words}\nsmallest {apart.min():.0f}, mean {apart.mean():.2f}"
        pairs = np.bincount(apart, minlength=cubes + 1)
        parts.append(pd.DataFrame({"set": text, "cubes": range(cubes + 1), "pairs": pairs}))
    names = ("cubes at different places", "pairs of permutations")
    return bars(pd.concat(parts), "cubes", "pairs", "set", axes=names, numbers=True)


def counted(n: float) -> str:
    """A mean of counts.

    >>> counted(10.5), counted(1234.5)
    ('10.5', '1,234')
    """
    return f"{n:,.4g}" if n < 1000 else f"{n:,.0f}"


@style.styled
def confusions(counts: Mapping[str, pd.DataFrame], most: int = 4, title: str = "") -> Figure:
    """Confusion matrices, a panel a classifier: exams and their share of the true class; the diagonal is what is right.

    counts: name -> exams, true classes in rows, what they are called in columns; means over seeds may be fractions.
    """
    fig, axes = style.panels(len(counts), 3.9, 3.0, most=most)
    for ax, (name, matrix) in zip(axes, counts.items(), strict=True):
        shares = matrix.div(matrix.sum(axis=1).replace(0, np.nan), axis=0)
        texts = [[counted(n) + ("" if np.isnan(share) else f"\n{100 * share:.0f} %") for n, share in zip(*row, strict=True)]
                 for row in zip(matrix.to_numpy(), shares.to_numpy(), strict=True)]  # fmt: skip
        called, true = ([finding_name(c) for c in side] for side in (matrix.columns, matrix.index))
        first = ax.get_subplotspec().is_first_col()
        look = {"cmap": "Blues", "vmin": 0, "vmax": 1, "cbar": False, "annot_kws": {"fontsize": 8.5}}
        look |= {"annot": np.array(texts), "fmt": "", "xticklabels": called}
        sns.heatmap(shares.fillna(0), yticklabels=true if first else False, ax=ax, **look)
        ax.set(title=column_head(name), xlabel="called", ylabel="in truth" if first else "")
        ax.tick_params(length=0, rotation=0)
    return fig
