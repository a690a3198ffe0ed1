"""Values by row and column: points with intervals, ours and the paper's; differences.

Frames are long, a line a value: those of the results tables (`row`, `label`, `column`, `metric`, `mean`, `low`, `high`,
`published`, `published_sd`) as they are, any other by the names of its columns.
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from covid_study.figures import style
from covid_study.report.words import column_head

THIN = {"lw": 2.0, "alpha": 0.5, "zorder": 2}  # the bar of an interval


@style.styled
def points(
    frame: pd.DataFrame,
    at: str = "label",
    panel: str | None = None,
    group: str | None = None,
    *,
    value: str = "mean",
    upright: bool = False,
    joined: bool = False,
    panels: Mapping[str, str] | None = None,
    groups: Mapping[str, str] | None = None,
    heads: Mapping[str, str] | None = None,
    scale: float = 1.0,
    reference: float | Mapping[str, float] | None = None,
    axis: str | Mapping[str, str] = "",
    limits: tuple | None = None,
    best_first: bool = False,
    numbers: bool = False,
    over: str = "",
    title: str = "",
) -> Figure:
    """Values with their 95 % intervals, a line a row and a panel a score; hollow beside them the paper's, where there are any.

    Args:
        frame: with `value`, `low`, `high`, and where there are `published`, `published_sd`; NaN where not known.
        at, panel, group: columns of the frame: what a line, a panel and a colour stands for.
        upright: values upward and lines beside each other, `joined` by a line or not.
        panels, groups, heads: their names in words; what is not named among panels and groups is not drawn.
        scale: 100 for percentage points. reference: dashed, of all panels or each. axis: what the values are, with the unit.
        best_first: each panel in an order of its own. numbers: beside the points. over: what intervals are over.
    """
    if frame.empty:
        return style.nothing("There is no value to draw.")
    of_panel = style.ordered(frame[panel], panels) if panel else [None]
    of_group = style.ordered(frame[group], groups) if group else [None]
    looks = style.looks(of_group) if group else {None: {"color": style.OURS, "marker": "o", "ls": "-"}}
    paper = "published" in frame and frame["published"].notna().any()
    lines = _named(frame[at], heads)
    slots = len(of_group) * (1 + (paper and not joined))
    if upright:
        each = max(2.6, min(4.4, 0.9 + (0.32 + 0.1 * slots) * len(lines)))
        size, most = (each, 3.3), 4
    else:
        size, most = (2.9, 0.7 + (0.14 + 0.16 * slots) * len(lines)), 6
    shared = {"sharey": True} if upright else {"sharey": not best_first}
    fig, axes = style.panels(len(of_panel), *size, most=most, margin=0.0 if upright else 1.5, **shared)
    for ax, name in zip(axes, of_panel, strict=True):
        part = frame[frame[panel] == name] if panel else frame
        shown = _named(part.sort_values(value, ascending=False)[at], heads) if best_first else lines
        _panel(ax, part, shown, at, group, looks, value, scale, upright, joined, paper, numbers)
        level = reference.get(name) if isinstance(reference, Mapping) else reference
        if level is not None:
            style.reference(ax, level, upright=not upright)
        ax.set_title((panels or {}).get(name, style.head(panel, name)) if panel else "")
        text = axis.get(name, "") if isinstance(axis, Mapping) else axis
        if not upright:
            ax.set_xlabel(text)
            ax.locator_params(axis="x", nbins=6)
        elif ax.get_subplotspec().is_first_col():
            ax.set_ylabel(text)
        if limits:
            (ax.set_ylim if upright else ax.set_xlim)(limits)
    ours = f"here, 95 % interval{' over ' * bool(over)}{over}"
    keys = [style.key(ours, style.OURS, "o")]
    if group:
        words = {name: style.head(group, name) for name in of_group} | dict(groups or {})
        keys = [style.key(words[g], look["color"], look["marker"], look["ls"]) for g, look in looks.items()]
    if paper:
        colour, line = "#444444" if group else style.PAPER, ":" if joined else ""
        keys.append(style.key("the paper", colour, "s", line, hollow=True))
    style.legend(fig, keys if paper or group or over else [])
    return fig


def _named(values: pd.Series, heads: Mapping[str, str] | None) -> dict[str, str]:
    """The lines of a panel in words."""
    return {v: (heads or {}).get(v, style.head(values.name, v)) for v in style.ordered(values, None)}


def _panel(ax, part, lines, at, group, looks, value, scale, upright, joined, paper, numbers) -> None:
    """The marks of one panel: of each group ours, then the paper's."""
    marks = len(looks) * (1 + (paper and not joined))
    step = min((0.6 if upright else 0.8) / marks, 0.12 if joined else 1)
    slot = -step * (marks - 1) / 2
    bars = ax.vlines if upright else ax.hlines

    def plot(places: np.ndarray, values: np.ndarray, shown: np.ndarray, marker: str = "", **look) -> None:
        x, y = (places, values) if upright else (values, places)
        ax.plot(x[shown], y[shown], marker=marker, **{"ls": "", "zorder": 3, **look})

    for name, look in looks.items():
        of = (part[part[group] == name] if group else part).drop_duplicates(at)
        of = of.set_index(at).reindex(list(lines))
        here = np.arange(len(lines)) + slot
        values, low, high = (scale * of[c].astype(float).to_numpy() for c in (value, "low", "high"))
        colour, known, sure = look["color"], np.isfinite(values), np.isfinite(low)
        bars(here, low, high, color=colour, **THIN)
        if joined:
            plot(here, values, known, color=colour, ls=look["ls"], lw=1.2, zorder=2)
        plot(here, values, known & sure, look["marker"], color=colour)
        plot(here, values, known & ~sure, look["marker"], color=colour, mfc="white")
        text = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center", "fontsize": style.SMALL}
        for place in np.flatnonzero(known) if numbers else ():
            ax.annotate(f"{values[place]:.2f}", (values[place], here[place]), **text)
        slot += step
        if not paper:
            continue
        colour, marker = (colour, look["marker"]) if group else (style.PAPER, "s")
        there, beside = scale * of["published"].astype(float).to_numpy(), here if joined else here + step
        if "published_sd" in of:
            sd = scale * of["published_sd"].astype(float).to_numpy()
            bars(beside, there - sd, there + sd, color=colour, lw=1.0, zorder=2)
        hollow = {"mfc": "white", "ls": ":" if joined else "", "lw": 1, "ms": 4.5}
        plot(beside, there, np.isfinite(there), marker, color=colour, **hollow)
        slot += 0 if joined else step
    names, ends = list(lines.values()), (-0.5, len(lines) - 0.5)
    if upright:
        ax.set_xticks(range(len(names)), names)
        ax.set_xlim(ends)
    else:
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(ends[::-1])
        ax.margins(x=0.12)
    ax.grid(False, axis="x" if upright else "y")
    ax.tick_params(axis="x" if upright else "y", length=0)


@style.styled
def differences(decided: pd.DataFrame, title: str = "") -> Figure:
    """Claims as paired differences with 95 % intervals beside the paper's own, a line a claim: right of zero it holds.

    decided: `text`, `difference`, `low`, `high`, `published`, `verdict`, as `claims.decide` returns; fractions. Where it has
    `column`, a claim has a line a column.
    """
    parts = [(text, part) for text, part in decided.groupby("text", sort=False)]
    single = all(len(part) == 1 for _, part in parts)
    fig, ax = plt.subplots(figsize=(8.6, 1.1 + 0.235 * sum(1.3 + len(part) for _, part in parts)))
    y, ticks = 0.0, {}
    for text, part in parts:
        said = ax.text(0, y, text, transform=ax.get_yaxis_transform(), fontsize=8, weight="bold", va="center")
        said.set_in_layout(False)  # the axes are as wide as the figure, however long a claim is
        for line in part.itertuples():
            y += 1
            ax.hlines(y, 100 * line.low, 100 * line.high, color=style.OURS, lw=2.2)
            ax.plot(100 * line.difference, y, "o", color=style.OURS)
            ax.plot(100 * line.published, y, "s", color=style.PAPER, mfc="white", ms=4.5)
            ax.annotate(line.verdict, (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=8)
            ticks[y] = "" if single else column_head(line.column)
        y += 1.3
    ax.axvline(0, color=style.REFERENCE, lw=1, zorder=1)
    ax.set_yticks(list(ticks), list(ticks.values()))
    ax.set(ylim=(y - 0.3, -0.7), xlabel="difference in percentage points: right of zero speaks for the claim")
    ax.set_xlim(*(np.array([-1.08, 1.08]) * max(np.abs(ax.get_xlim()))))
    ax.grid(False, axis="y")
    ax.tick_params(axis="y", length=0)
    paper = style.key("the paper", style.PAPER, "s", "", hollow=True)
    style.legend(fig, [style.key("here, paired, 95 % interval", style.OURS, "o"), paper])
    return fig
