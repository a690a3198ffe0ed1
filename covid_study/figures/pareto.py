"""Scores against what they cost, with the Pareto front."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from covid_study.figures import style
from covid_study.report.words import column_head

UNITS = (
    (2.0, 1.0, "hours"),
    (2 / 60, 60.0, "minutes"),
    (0.0, 3600.0, "seconds"),
)  # from so many hours on, times, name

NAMED = 7  # most names in a panel


def front(frame: pd.DataFrame, cost: str = "flops", score: str = "f1") -> pd.DataFrame:
    """The Pareto front: the cells that no other beats, at most as dear, at least as good and better in one of both.

    Of cells that are alike in both, all are on the front. Cells without a score are not.

    Returns:
        Lines of `frame`, from cheap to dear.

    >>> cells = pd.DataFrame({"flops": [1.0, 2.0, 3.0], "f1": [0.5, 0.4, 0.9]})
    >>> front(cells)["flops"].tolist()
    [1.0, 3.0]
    """
    known = frame[frame[cost].notna() & frame[score].notna()]
    x, y = known[cost].to_numpy(float), known[score].to_numpy(float)
    no_worse = (x[None] <= x[:, None]) & (y[None] >= y[:, None])  # [i, j]: j is no worse than i in either
    better = (x[None] < x[:, None]) | (y[None] > y[:, None])
    return known[~(no_worse & better).any(axis=1)].sort_values([cost, score], kind="stable")


@style.styled
def pareto(
    cells: pd.DataFrame,
    costs: Mapping[str, str],
    title: str = "",
) -> Figure:
    """F1 against cost, a point a cell, a colour a table, a marker a column; the Pareto front, its points named.

    Args:
        cells: `table`, `label`, `column`, `f1`, `f1_low`, `f1_high` and the costs, as `cost.together` returns.
        costs: column -> words with the unit, a panel each, on a log axis; hours are shown in a unit that reads well.
    """
    shown = cells[cells["f1"].notna()]
    tables = style.looks(list(dict.fromkeys(shown["table"])))
    marks = style.looks(sorted(dict.fromkeys(shown["column"]), key=lambda c: c == "all"))
    fig, axes = style.panels(len(costs), 4.8, 4.6, sharey=True)
    for ax, (cost, words) in zip(axes, costs.items(), strict=True):
        if cost == "hours" and len(shown):
            factor, unit = next((f, name) for least, f, name in UNITS if shown[cost].max() >= least)
            shown, words = shown.assign(hours=factor * shown[cost]), words.replace("hours", unit)
        for cell in shown.to_dict("records"):
            colour, x = tables[cell["table"]]["color"], cell[cost]
            ends = 100 * cell["f1_low"], 100 * cell["f1_high"]
            ax.vlines(x, *ends, color=colour, lw=0.8, alpha=0.25, zorder=1)
            ax.plot(x, 100 * cell["f1"], marks[cell["column"]]["marker"], color=colour, mec="white", mew=0.5)
        _front(ax, front(shown, cost, "f1"), cost)
        _log_axis(ax, shown[cost])
        ax.set_xlabel(words)
    axes[0].set_ylabel("F1, %")
    keys = [
        style.key(f"Table {name.partition('.')[2]}", look["color"], "o", "") for name, look in tables.items()
    ]
    keys += [style.key(column_head(name), "#777777", look["marker"], "") for name, look in marks.items()]
    style.legend(fig, [*keys, style.key("Pareto front", style.REFERENCE)], 8)
    return fig


def _front(ax, best: pd.DataFrame, cost: str) -> None:
    """The front as a staircase; its points ringed and numbered, their names in a list."""
    if best.empty:
        return
    x, y = best[cost].tolist(), (100 * best["f1"]).tolist()
    end = 1.3 * max(ax.dataLim.x1, x[-1])
    ax.step([*x, end], [*y, y[-1]], where="post", color=style.REFERENCE, lw=1.2, zorder=0.9)
    ax.plot(x, y, "o", mfc="none", mec="#222222", ms=10, mew=0.9, ls="", zorder=4)
    names = []
    for number, (_, alike) in enumerate(best.groupby([cost, "f1"], sort=False), start=1):
        first = alike.iloc[0]
        ax.annotate(str(number), (first[cost], 100 * first["f1"]), xytext=(-7, 6), textcoords="offset points", fontsize=8,
                    weight="bold", ha="right")  # fmt: skip
        names += [f"{number}  {cell.label}, {column_head(cell.column)}" for cell in alike.itertuples()]
    if len(names) > NAMED:
        names = [*names[: NAMED - 1], f"and {len(names) - NAMED + 1} more"]
    ax.set_title("On the front:\n" + "\n".join(names), fontsize=style.SMALL, weight="normal")


def _log_axis(ax, values: pd.Series) -> None:
    """A log axis with a few round numbers, however narrow it is."""
    ax.set_xscale("log")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(EngFormatter() if values.max() >= 1000 else "{x:g}")
    if len(values):
        low, high = values.min() / 1.3, values.max() * 1.3
        ax.set_xlim(low, high)
        subs = (1, 1.5, 2, 3, 4, 5, 7) if high / low < 8 else (1, 2, 5) if high / low < 300 else (1,)
        ax.xaxis.set_major_locator(LogLocator(subs=subs, numticks=50))
