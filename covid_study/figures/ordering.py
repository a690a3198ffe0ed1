"""How much a ranking depends on the order of channels and positives: chart and table (of `order.measured`)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from covid_study.figures.charts import CYCLE, REFERENCE, styled
from covid_study.report.verdicts_ordering import FEW_NEGATIVES

TRACKS = {"difficulty": "Difficulty", "diversity": "Diversity", "joint": "Joint rank"}
SHUFFLED = {
    "channels": "channels shuffled",
    "positives": "positives shuffled",
    "both": "both shuffled",
}
VARIANTS = {
    "channels": "channels by correlation",
    "positives": "positives by likeness",
    "both": "both: no order left",
}
MARKERS = {"channels": "s", "positives": "^", "both": "D"}


@styled
def correlations(shuffles: pd.DataFrame, variants: pd.DataFrame) -> Figure:
    """Spearman's correlation with the ranking as listed: every random order a point, the order-free variants below.

    shuffles, variants: of `order.Ordering`.
    """
    lines = [(shuffles, "shuffled", key) for key in SHUFFLED] + [
        (variants, "variant", key) for key in VARIANTS
    ]
    names = [*SHUFFLED.values(), *VARIANTS.values()]
    fig, axes = plt.subplots(1, len(TRACKS), figsize=(10.4, 3.1), sharex=True, sharey=True)
    jitter = np.random.default_rng(0)
    for ax, (track, title) in zip(axes, TRACKS.items(), strict=True):
        for y, (frame, column, key) in enumerate(lines):
            rho = frame.loc[(frame[column] == key) & (frame["track"] == track), "rho"].dropna()
            if rho.empty:
                ax.annotate("not defined: all values are equal", (0.03, y), xycoords=("axes fraction", "data"), va="center",
                            fontsize=7.5, color="#666666")  # fmt: skip
            elif column == "shuffled":
                ax.scatter(
                    rho, y + jitter.uniform(-0.22, 0.22, len(rho)), s=10, color=CYCLE[0], alpha=0.45, lw=0
                )
                ax.vlines(rho.median(), y - 0.32, y + 0.32, color="black", lw=2)
            else:
                ax.plot(rho, [y], MARKERS[key], color=CYCLE[1], ms=6.5)
            if not rho.empty:
                ax.annotate(f"{rho.median():.2f}", (1.02, y), xycoords=("axes fraction", "data"), va="center",
                            fontsize=7.5, annotation_clip=False)  # fmt: skip
        ax.axhline(len(SHUFFLED) - 0.5, color=REFERENCE, lw=0.8)
        ax.set_title(title)
        ax.grid(False, axis="y")
        ax.tick_params(axis="y", length=0)
    axes[0].set_yticks(range(len(names)), names)
    lowest = np.nanmin([0.9, *shuffles["rho"], *variants["rho"]])
    axes[0].set(ylim=(len(names) - 0.5, -0.5), xlim=(max(-1.05, np.floor(10 * lowest) / 10 - 0.05), 1.03))
    fig.suptitle(_seen(shuffles), x=0.01, ha="left")
    fig.supxlabel(
        f"Spearman's correlation with the ranking as listed. Points: {shuffles['order'].nunique()} random orders, "
        f"{shuffles['negatives'].iloc[0]:,} negatives; bar: their median. "
        f"Below: rankings without an order, {variants['negatives'].iloc[0]:,} negatives.",
        fontsize=8.5,
    )
    return fig


def _seen(shuffles: pd.DataFrame) -> str:
    both = shuffles[(shuffles["shuffled"] == "both") & (shuffles["track"] == "joint")]["rho"]
    if shuffles["negatives"].iloc[0] < FEW_NEGATIVES or both.isna().all():
        return "Too few exams: nothing follows about the order of channels and positives"
    return f"With channels and positives in another order the joint rank correlates {both.median():.2f} with the listed one"


def table(shuffles: pd.DataFrame, variants: pd.DataFrame) -> pd.DataFrame:
    """The numbers of the chart, and what stays selected by the joint rank, as text: a row an order or a variant.

    shuffles, variants: of `order.Ordering`. Of random orders: median [smallest, largest].
    """
    lines = [(name, shuffles[shuffles["shuffled"] == key]) for key, name in SHUFFLED.items()]
    lines += [(name, variants[variants["variant"] == key]) for key, name in VARIANTS.items()]
    rows = {}
    for name, part in lines:
        joint = part[part["track"] == "joint"]
        rows[name] = {
            title: _range(part.loc[part["track"] == track, "rho"]) for track, title in TRACKS.items()
        }
        rows[name]["stay selected (%)"] = _range(100 * joint["kept"], ".0f")
        rows[name]["selected"] = f"{joint['selected'].iloc[0]:,} of {joint['negatives'].iloc[0]:,}"
    return pd.DataFrame(rows).T


def costs(variants: pd.DataFrame) -> pd.DataFrame:
    """What a ranking with or without an order takes, and how much it changes in another order; text, a row a variant.

    variants: of `order.Ordering`.
    """
    rows = {}
    for key, name in {"listed": "as listed", **VARIANTS}.items():
        part = variants[variants["variant"] == key]
        first = part.iloc[0]
        rows[name] = {
            "negatives": f"{first['negatives']:,}",
            "positives": f"{first['positives']:,}",
            "linear programmes": f"{first['programmes']:,}",
            "seconds": _number(first["seconds"], ",.2f"),
            "seconds, whole archive": _number(first["seconds_whole"], ",.1f"),
            "largest change": _number(part["change"].max(), ".0e").replace("0e+00", "0"),
        }
    return pd.DataFrame(rows).T


def _range(values: pd.Series, form: str = ".2f") -> str:
    known = values.dropna()
    if known.empty:
        return "–"
    middle, low, high = (format(x, form) for x in (known.median(), known.min(), known.max()))
    return middle if len(values) == 1 else f"{middle} [{low}, {high}]"


def _number(value: float, form: str) -> str:
    return "–" if pd.isna(value) else format(value, form)
