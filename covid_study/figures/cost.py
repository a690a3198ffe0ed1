"""F1 against what it cost, for every row of every table, with the Pareto front."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from covid_study.analysis.cost import COSTS, amount, front
from covid_study.figures.charts import CYCLE, REFERENCE, styled
from covid_study.report.show import column_head

MARKERS = "osD^vP*X<>hp"
MOST = 8  # names of points on the front
UNITS = (
    (2.0, 1.0, "hours"),
    (2 / 60, 60.0, "minutes"),
    (0.0, 3600.0, "seconds"),
)  # from so many hours on, times, name


@styled
def pareto(
    table: pd.DataFrame,
    cost: str | Sequence[str] = ("flops_in_all", "hours"),
    score: str = "f1",
    title: str = "",
) -> Figure:
    """F1 against cost, a point a cell, a colour a table, a marker a column; the Pareto front is drawn and its points named.

    Args:
        table: what `cost.costs` or `cost.together` returns.
        cost: a panel each of `cost.COSTS`, e.g. "flops_in_all", "exams_seen", "hours"; on a log axis.
        score: "f1", with its intervals, or "auc".
    """
    costs = [cost] if isinstance(cost, str) else list(cost)
    shown = table[table[score].notna()]
    names, columns = list(dict.fromkeys(shown["table"])), list(dict.fromkeys(shown["column"]))
    columns.sort(key=lambda c: c == "all")
    fig, axes = plt.subplots(1, len(costs), figsize=(4.7 * len(costs) + 0.6, 4.3), sharey=True, squeeze=False)
    for ax, by in zip(axes[0], costs, strict=True):
        factor, label = _unit(shown, by)
        panel = shown.assign(**{by: shown[by] * factor})
        for r in panel.to_dict("records"):
            colour = CYCLE[names.index(r["table"]) % len(CYCLE)]
            marker = MARKERS[columns.index(r["column"]) % len(MARKERS)]
            if score == "f1" and pd.notna(r["f1_low"]):
                ends = [100 * r["f1_low"], 100 * r["f1_high"]]
                ax.plot([r[by], r[by]], ends, color=colour, lw=0.8, alpha=0.25, zorder=1)
            ax.plot(r[by], 100 * r[score], marker, color=colour, ms=5, alpha=0.85, mec="white", mew=0.5)
        _front(ax, front(panel, by, score), by, score)
        _log_axis(ax, panel[by])
        ax.set_xlabel(label)
    axes[0, 0].set_ylabel(f"{'F1' if score == 'f1' else score.upper()}, %")
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    handles = [
        Line2D([], [], ls="", marker="o", color=CYCLE[i % len(CYCLE)], label=f"Table {n.split('.')[-1]}")
        for i, n in enumerate(names)
    ]
    handles += [
        Line2D([], [], ls="", marker=MARKERS[i % len(MARKERS)], color="#777777", label=column_head(c))
        for i, c in enumerate(columns)
    ]
    handles.append(Line2D([], [], color=REFERENCE, lw=1.2, label="Pareto front"))
    fig.legend(handles=handles, loc="outside lower left", ncols=min(8, len(handles)))
    return fig


def _unit(frame: pd.DataFrame, by: str) -> tuple[float, str]:
    """A unit in which the cost is easy to read, and what to call it."""
    if by != "hours" or frame.empty:
        return 1.0, COSTS[by]
    factor, name = next((f, n) for least, f, n in UNITS if frame[by].max() >= least)
    return factor, COSTS[by].replace("hours", name)


def _log_axis(ax, values: pd.Series) -> None:
    """A log axis with a few round numbers, however narrow it is."""
    ax.set_xscale("log")
    if values.empty:
        return
    ax.set_xlim(values.min() / 1.3, values.max() * 1.3)
    decades = (values.max() * 1.3) / (values.min() / 1.3)
    subs = (1, 1.5, 2, 3, 4, 5, 7) if decades < 8 else (1, 2, 5) if decades < 300 else (1,)
    ax.xaxis.set_major_locator(LogLocator(subs=subs, numticks=50))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(_short))


def _short(x: float, _=None) -> str:
    """A tick: 2 G, 1.5 k, 0.5."""
    number, _, prefix = amount(x).partition(" ")
    return f"{float(number):g} {prefix}".rstrip()


def _front(ax, best: pd.DataFrame, by: str, score: str) -> None:
    """The front as a staircase; its points ringed and numbered, their names in a list."""
    if best.empty:
        return
    x, y = best[by].tolist(), (100 * best[score]).tolist()
    ax.step(
        [*x, 1.3 * max(ax.dataLim.x1, x[-1])], [*y, y[-1]], where="post", color=REFERENCE, lw=1.2, zorder=0.9
    )
    ax.plot(x, y, "o", mfc="none", mec="#222222", ms=10, mew=0.9, ls="", zorder=4)
    lines = []
    for number, (_, points) in enumerate(best.groupby([by, score], sort=False), start=1):
        first = points.iloc[0]
        ax.annotate(str(number), (first[by], 100 * first[score]), xytext=(-7, 6), textcoords="offset points",
                    fontsize=8, weight="bold", ha="right")  # fmt: skip
        lines += [f"{number}  {r.label}, {column_head(r.column)}" for r in points.itertuples()]
    if len(lines) > MOST:
        lines = [*lines[: MOST - 1], f"and {len(lines) - MOST + 1} more"]
    ax.set_title("On the front:\n" + "\n".join(lines), fontsize=7.5, weight="normal", loc="left")
