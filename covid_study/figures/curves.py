"""Lines over epochs, shares of the archive and weights.

Frames are long, a line a point: the column `x`, the column `y`, and columns that name the panel, the colour and the run.
"""

from collections.abc import Mapping
from textwrap import fill

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator

from covid_study.figures import style
from covid_study.report.words import column_head

FEW = 10  # points of a line that are marked one by one


@style.styled
def lines(
    frame: pd.DataFrame,
    x: str = "epoch",
    y: str = "loss",
    panel: str | None = None,
    colour: str | None = None,
    run: str | None = None,
    *,
    panels: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    axes: tuple[str, str] = ("epoch", ""),
    levels: Mapping[str, Mapping[str, float]] | None = None,
    places: Mapping[str, Mapping[str, float]] | None = None,
    ticks: Mapping[str, float] | None = None,
    limits: tuple | None = None,
    log: str = "",
    shared: bool = True,
    marked: bool = False,
    most: int = 4,
    title: str = "",
) -> Figure:
    """Lines, a panel each value of `panel`, a colour each of `colour`, a line each of `run`; bands where there are intervals.

    Args:
        x, y: columns of the frame; where it has `published`, that is drawn dotted and hollow beside y.
        panels, labels: panels and colours in words, in their order; what is not named is not drawn.
        axes: what is on the two axes, with units. levels, places: panel -> words -> a dashed line across, or upright there.
        ticks: words -> x. limits: of y. log: "x", "y" or "xy". shared: one vertical axis for all panels.
        marked: every point is, as where there are few.
    """
    if frame.empty:
        return style.nothing("There is nothing to draw yet.")
    names = style.ordered(frame[panel], panels) if panel else [""]
    kinds = style.ordered(frame[colour], labels) if colour else [None]
    looks = style.looks(kinds) if colour else {None: {"color": style.OURS, "marker": "o", "ls": "-"}}
    few = marked or frame[x].nunique() < FEW
    looks = {kind: look | {"marker": look["marker"] * few} for kind, look in looks.items()}
    wide = 2.9 if len(names) > 1 else 5.0
    fig, found = style.panels(len(names), wide, 2.7, most=most, sharey=shared, sharex=shared)
    for ax, name in zip(found, names, strict=True):
        part = frame[frame[panel] == name] if panel else frame
        for kind in kinds:
            of = part[part[colour] == kind] if colour else part
            for _, one in of.groupby(run, sort=False) if run else [(None, of)]:
                _line(ax, one.sort_values(x), x, y, looks[kind])
        for text, level in (levels or {}).get(name, {}).items():
            style.reference(ax, level, text)
        for text, place in (places or {}).get(name, {}).items():
            style.reference(ax, place, text, upright=True)
        # a long name of a row would run into the next panel's
        ax.set_title(fill((panels or {}).get(name, style.head(panel, name)), 34) if panel else "")
        _axes(ax, axes, ticks, log)
    for ax in found if limits else ():  # not before: a limit that is set stops a shared axis from growing
        ax.set_ylim(limits)
    if colour:
        words = {kind: style.head(colour, kind) for kind in kinds} | dict(labels or {})
        keys = [style.key(words[k], v["color"], v["marker"], v["ls"]) for k, v in looks.items()]
        if "published" in frame and frame["published"].notna().any():
            keys.append(style.key("the paper", "#444444", "s", ":", hollow=True))
        style.legend(fig, keys)
    return fig


def _line(ax, one: pd.DataFrame, x: str, y: str, look: Mapping) -> None:
    """One line with its band, and the paper's beside it."""
    known = one[one[y].notna()]
    if len(known):
        ax.plot(known[x], known[y], **look, lw=1.5, ms=4)
    if {"low", "high"} <= set(known):
        low, high = known["low"].astype(float), known["high"].astype(float)
        ax.fill_between(known[x], low, high, color=look["color"], alpha=0.15, lw=0)
    if "published" in one:
        there = one[one["published"].notna()]
        ax.plot(there[x], there["published"], "s:", color=look["color"], mfc="white", lw=1, ms=4.5)


def _axes(ax, names: tuple[str, str], ticks: Mapping[str, float] | None, log: str) -> None:
    ax.set_xlabel(names[0])
    if ax.get_subplotspec().is_first_col():
        ax.set_ylabel(names[1])
    for letter, axis, move in (("x", ax.xaxis, ax.set_xscale), ("y", ax.yaxis, ax.set_yscale)):
        if letter in log:
            move("log")
            axis.set_major_formatter("{x:,g}")
            axis.set_minor_formatter(LogFormatter())
    if ticks:
        ax.set_xticks(list(ticks.values()), list(ticks))
    elif names[0].startswith("epoch"):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))


def melted(history: pd.DataFrame, panels: Mapping[str, str | Mapping[str, str]]) -> pd.DataFrame:
    """A history with a column a curve as a long frame for `lines`: epoch, panel, line, value.

    Args:
        panels: title -> column of the history, or label of a line -> column; one that it lacks is left out. Where there are
            several variants, they tell the lines apart, and a label is added in words.

    >>> melted(pd.DataFrame({"epoch": [0, 1], "loss": [3.0, 2.0]}), {"Loss": "loss"})["value"].tolist()
    [3.0, 2.0]
    """
    parts = []
    for title, columns in panels.items():
        for label, column in (columns if isinstance(columns, Mapping) else {"": columns}).items():
            if column in history:
                one = history[["epoch"]].assign(panel=title, line=label, value=history[column])
                if "variant" in history and (history["variant"].nunique() > 1 or not label):
                    one["line"] = history["variant"] + f", {label}" * bool(label)
                parts.append(one)
    return pd.concat(parts, ignore_index=True)


def losses(
    history: pd.DataFrame, labels: Mapping[str, str] | None = None, shared: bool = True, **options
) -> Figure:
    """Training loss over the epochs of every run: a panel a column, shares from small to large, a colour a row, a line a seed.

    history: `row`, `column`, `seed`, `epoch`, `loss`. labels: row -> words. shared: one axis for all panels. panel: "row" for a
    panel a row, and a colour a column.
    """
    panel = options.pop("panel", "column")
    colour = "row" if panel == "column" else "column"
    order = sorted(dict.fromkeys(history[panel]), key=lambda c: float(c[:-1]) if c.endswith("%") else 101)
    panels = {name: (labels or {}).get(name, style.head(panel, name)) for name in order}
    look = {"axes": ("epoch", "training loss"), "limits": (0, None) if shared else None, "panels": panels}
    look |= {"labels": labels if colour == "row" else None, "shared": shared, **options}
    return lines(history, "epoch", "loss", panel, colour, "seed", **look)


def periods(results: pd.DataFrame, shares: Mapping[str, float]) -> Figure:
    """Training period against the share of the negatives, relative to training on all: ours and the paper's, and in proportion.

    results: a results table with the row `training_period`. shares: column -> share of the archive.
    """
    found = results[(results["row"] == "training_period") & (results["metric"] == "hours")]
    found = found[found["column"].isin(shares)].assign(share=found["column"].map(shares))
    parts = [pd.DataFrame({"share": [0.0, 1.0], "relative": [0.0, 1.0], "whose": "in proportion"})]
    for column, whose in (("mean", "here"), ("published", "the paper")):
        part = found[found[column].notna()].assign(whose=whose)
        if len(part):
            whole = part.loc[part["share"].idxmax(), [column, "share"]]
            parts.append(part.assign(relative=part[column].astype(float) * whole["share"] / whole[column]))
    frame = pd.concat(parts)[["share", "relative", "whose"]]
    look = {"axes": ("share of the negatives", "training period, ALL = 1"), "limits": (0, None)}
    look["ticks"] = {column_head(column): share for column, share in shares.items()}
    look["labels"] = {name: name for name in ("here", "the paper", "in proportion")}
    return lines(frame, "share", "relative", colour="whose", **look)


def by_size(
    results: pd.DataFrame,
    shares: Mapping[str, float],
    metric: str = "f1",
    reference: str = "random",
    axis: str = "",
    title: str = "",
) -> Figure:
    """A score against the share of the negatives trained on, a panel a row of the table, with the paper's values.

    Args:
        results: a results table with `published` and `in_paper`. shares: column -> share of the archive.
        metric: which score. reference: row that is repeated in every panel. axis: the score in words.
    """
    frame = results[(results["metric"] == metric) & results["column"].isin(shares)]
    frame = frame[frame[["mean", "published"]].notna().any(axis=1)]
    frame = frame.assign(share=frame["column"].map(shares), whose="here, 95 % interval")
    labels, known = (
        results.drop_duplicates("row").set_index("row")["label"],
        results.loc[results["in_paper"], "row"],
    )
    panels = {
        row: labels[row] + " (not in the paper)" * (row not in set(known)) for row in frame["row"].unique()
    }
    base = frame[frame["row"] == reference].drop(columns=["low", "high", "published"])
    base = base.assign(whose=f"here, {labels.get(reference, reference)}")
    frame = pd.concat([frame, *(base.assign(row=row) for row in panels if row != reference)])
    look = {"panels": panels, "most": 3, "axes": ("share of the negatives", axis), "title": title}
    look["ticks"] = {column_head(column): share for column, share in shares.items()}
    return lines(frame, "share", "mean", "row", "whose", **look)


def reliability(bins: pd.DataFrame, title: str = "") -> Figure:
    """How many cases are COVID-19 against how probable it was called, a panel a classifier; dashed where the two agree.

    bins: of `calibration.reliability`.
    """
    panels = {name: name for name in bins["label"]}
    look = {"panels": panels, "axes": ("mean probability of COVID-19", "share with COVID-19"), "title": title}
    plain = bins.drop(
        columns=["low", "high"]
    )  # intervals are bars: where all say the same, a band has no width
    fig = lines(plain, "predicted", "observed", "label", limits=(-0.03, 1.03), marked=True, most=3, **look)
    for ax, name in zip(fig.axes, panels, strict=True):
        of = bins[bins["label"] == name]
        ax.vlines(of["predicted"], of["low"], of["high"], color=style.OURS, lw=2.0, alpha=0.5)
        ax.plot([0, 1], [0, 1], color=style.REFERENCE, lw=1, ls=(0, (4, 3)), zorder=1)
        ax.set_xlim(-0.03, 1.03)
    fig.drawn_from = bins
    return fig


def decisions(found: pd.DataFrame, title: str = "") -> Figure:
    """Decision curves (Vickers and Elkin 2006): net benefit against the probability from which on a case is called COVID-19.

    found: of `calibration.net_benefit`.
    """
    top = found["benefit"].max()
    axes = ("called COVID-19 from this probability on", "net benefit")
    look = {"axes": axes, "limits": (-0.3 * top, 1.1 * top), "title": title}
    return lines(found, "threshold", "benefit", colour="label", **look)
