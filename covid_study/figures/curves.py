"""Lines over epochs, shares, thresholds and weights; ROC and precision-recall; scores against what they cost.

Frames are long, a line a point: the column `x`, the column `y`, and columns that name the panel, the colour and the run.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator
from sklearn import metrics as sk

from covid_study.figures import style
from covid_study.report.words import column_head
from covid_study.scores.slices import Called

FEW = 10  # points of a line that are marked one by one
UNITS = (
    (2.0, 1.0, "hours"),
    (2 / 60, 60.0, "minutes"),
    (0.0, 3600.0, "seconds"),
)  # from so many hours on, times, name


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
    most: int = 4,
    title: str = "",
) -> Figure:
    """Lines, a panel each value of `panel`, a colour each of `colour`, a line each of `run`; bands where there are intervals.

    Args:
        x, y: columns of the frame; where it has `published`, that is drawn dotted and hollow beside y.
        panels, labels: panels and colours in words, in their order; what is not named is not drawn.
        axes: what is on the two axes, with units. levels, places: panel -> words -> a dashed line across, or upright there.
        ticks: words -> x. limits: of y. log: "x", "y" or "xy". shared: one vertical axis for all panels.
    """
    if frame.empty:
        return style.nothing("There is nothing to draw yet.")
    names = style.ordered(frame[panel], panels) if panel else [""]
    kinds = style.ordered(frame[colour], labels) if colour else [None]
    looks = style.looks(kinds) if colour else {None: {"color": style.OURS, "marker": "o", "ls": "-"}}
    few = frame[x].nunique() < FEW
    looks = {kind: look | {"marker": look["marker"] * few} for kind, look in looks.items()}
    fig, found = style.panels(
        len(names), 2.9 if len(names) > 1 else 5.0, 2.7, most=most, sharey=shared, sharex=shared
    )
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
        ax.set_title((panels or {}).get(name, style.head(panel, name)) if panel else "")
        _axes(ax, axes, ticks, log)
    for ax in (
        found if limits else ()
    ):  # once all are drawn: a limit that is set stops a shared axis from growing
        ax.set_ylim(limits)
    if colour:
        keys = [
            style.key((labels or {}).get(k, style.head(colour, k)), v["color"], v["marker"], v["ls"])
            for k, v in looks.items()
        ]
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
        ax.plot(
            there[x], there["published"], marker="s", color=look["color"], mfc="white", ls=":", lw=1, ms=4.5
        )


def _axes(ax, names: tuple[str, str], ticks: Mapping[str, float] | None, log: str) -> None:
    ax.set_xlabel(names[0])
    if ax.get_subplotspec().is_first_col():
        ax.set_ylabel(names[1])
    for letter, axis, move in (("x", ax.xaxis, ax.set_xscale), ("y", ax.yaxis, ax.set_yscale)):
        if letter in log:
            move("log")
            axis.set_major_formatter("{x:,g}")
    if ticks:
        ax.set_xticks(list(ticks.values()), list(ticks))
    elif names[0].startswith("epoch"):
        style.whole_numbers(ax)


def melted(
    history: pd.DataFrame, panels: Mapping[str, str | Mapping[str, str]], by: str = "variant"
) -> pd.DataFrame:
    """A history with a column a curve as a long frame for `lines`: epoch, panel, line, value.

    Args:
        panels: title -> column of the history, or label of a line -> column; one that it lacks is left out.
        by: column whose values tell the lines apart where it is there and has several; a label is then added in words.

    >>> melted(pd.DataFrame({"epoch": [0, 1], "loss": [3.0, 2.0]}), {"Loss": "loss"})["value"].tolist()
    [3.0, 2.0]
    """
    parts = []
    for title, columns in panels.items():
        for label, column in (columns if isinstance(columns, Mapping) else {"": columns}).items():
            if column in history:
                one = history[["epoch"]].assign(panel=title, line=label, value=history[column])
                if by in history and (history[by].nunique() > 1 or not label):
                    one["line"] = history[by] + f", {label}" * bool(label)
                parts.append(one)
    return pd.concat(parts, ignore_index=True)


def losses(
    history: pd.DataFrame, labels: Mapping[str, str] | None = None, shared: bool = True, **options
) -> Figure:
    """Training loss over the epochs of every run: a panel a column, shares from small to large, a colour a row, a line a seed.

    history: `row`, `column`, `seed`, `epoch`, `loss`. labels: row -> words. shared: one axis for all panels.
    """
    panel = options.pop("panel", "column")
    order = sorted(dict.fromkeys(history[panel]), key=lambda c: float(c[:-1]) if c.endswith("%") else 101)
    panels = {name: (labels or {}).get(name, style.head(panel, name)) for name in order}
    look = {"axes": ("epoch", "training loss"), "limits": (0, None) if shared else None, "panels": panels}
    colour = "row" if panel != "row" else None
    return lines(
        history, "epoch", "loss", panel, colour, "seed", labels=labels, shared=shared, **look | options
    )


def periods(results: pd.DataFrame, shares: Mapping[str, float]) -> Figure:
    """Training period against the share of the negatives, relative to training on all: ours and the paper's, and in proportion.

    results: a results table with the row `training_period`. shares: column -> share of the archive.
    """
    found = results[(results["row"] == "training_period") & (results["metric"] == "hours")]
    found = found[found["column"].isin(shares)].assign(share=found["column"].map(shares))
    parts = [pd.DataFrame({"share": [0.0, 1.0], "relative": [0.0, 1.0], "whose": "in proportion"})]
    for column, whose in (("mean", "here"), ("published", "the paper")):
        part = found[found[column].notna()].assign(whose=whose)
        whole = part.loc[part["share"].idxmax(), [column, "share"]] if len(part) else None
        if len(part):
            parts.append(part.assign(relative=part[column].astype(float) * whole["share"] / whole[column]))
    frame = pd.concat(parts)[["share", "relative", "whose"]]
    ticks = {column_head(column): share for column, share in shares.items()}
    names = ("share of the negatives", "training period, ALL = 1")
    labels = {"here": "here", "the paper": "the paper", "in proportion": "in proportion"}
    return lines(
        frame, "share", "relative", colour="whose", axes=names, ticks=ticks, labels=labels, limits=(0, None)
    )


@style.styled
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
        metric: which score. reference: row repeated in grey in every panel. axis: the score in words.
    """
    frame = results[(results["metric"] == metric) & results["column"].isin(shares)]
    frame = frame.assign(share=frame["column"].map(shares).astype(float)).sort_values("share", kind="stable")
    shown = frame[frame["mean"].notna() | frame["published"].notna()]
    rows = [row for row in dict.fromkeys(results["row"]) if row in set(shown["row"])]
    fig, axes = style.panels(len(rows), 3.0, 2.4, most=3, sharex=True, sharey=True)
    base, known = frame[frame["row"] == reference], set(results.loc[results["in_paper"], "row"])
    for ax, row in zip(axes, rows, strict=False):
        part = frame[frame["row"] == row]
        if row != reference:
            _line(
                ax, base[["share", "mean"]], "share", "mean", {"color": "#AAAAAA", "marker": ".", "ls": "-"}
            )
        _line(
            ax,
            part.drop(columns="published"),
            "share",
            "mean",
            {"color": style.OURS, "marker": "o", "ls": "-"},
        )
        paper = part[part["published"].notna()]
        ax.plot(paper["share"], paper["published"], "s:", color=style.PAPER, mfc="white", lw=1, ms=4.5)
        ax.set_title(part["label"].iloc[0], fontsize=8.5)
        if row not in known:
            ax.text(
                0.98,
                0.03,
                "not in the paper",
                transform=ax.transAxes,
                ha="right",
                fontsize=style.SMALL,
                color="#B35C00",
            )
        _axes(ax, ("share of the negatives", axis), {column_head(c): s for c, s in shares.items()}, "")
    named = next(iter(results.loc[results["row"] == reference, "label"]), reference)
    keys = [
        style.key("here, 95 % interval", style.OURS, "o"),
        style.key("the paper", style.PAPER, "s", ":", hollow=True),
    ]
    style.legend(fig, [*keys, style.key(f"here, {named[:1].lower()}{named[1:]}", "#AAAAAA", ".")])
    return fig


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
            i = place[label]
            look = {
                "color": colours[i % len(colours)],
                "lw": 1.3,
                "ls": "-" if i < len(colours) else "--",
                "zorder": 2,
            }
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
            hollow = (
                {"mfc": "white", "ms": 11, "zorder": 3}
                if end == start
                else {"mec": "white", "ms": 7, "zorder": 4}
            )
            ax.plot(*point, marks[end]["marker"], color=colour, **hollow)
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
    """Lines of equal F1, named where they leave the window at the right or at the top."""
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    step = 0.1 if right - left > 0.5 else 0.05
    for f1 in np.arange(step, 1, step):
        recall = np.linspace(max(left, f1 / 2 + 1e-3), min(right, 1.0), 2000)
        precision = f1 * recall / (2 * recall - f1)
        shown = (precision >= bottom) & (precision <= min(top, 1.0))
        if shown.sum() > 1:
            ax.plot(recall[shown], precision[shown], color="#D0D0D0", lw=0.8, zorder=1)
            ax.annotate(
                f"F1 {f1:.2f}",
                (recall[shown][-1], precision[shown][-1]),
                fontsize=7,
                color=style.REFERENCE,
                ha="right",
            )


@style.styled
def pareto(
    cells: pd.DataFrame,
    costs: Mapping[str, str],
    front: Callable[[pd.DataFrame, str, str], pd.DataFrame],
    score: str = "f1",
    title: str = "",
    named: int = 7,
) -> Figure:
    """A score against cost, a point a cell, a colour a table, a marker a column; the Pareto front, its points named.

    Args:
        cells: `table`, `label`, `column`, the score (with `f1_low`, `f1_high`) and the costs, as `cost.together` returns.
        costs: column -> words with the unit, a panel each, on a log axis; hours are shown in a unit that reads well.
        front: `cost.front`. named: most names in a panel.
    """
    shown = cells[cells[score].notna()]
    tables = style.looks(list(dict.fromkeys(shown["table"])))
    marks = style.looks(sorted(dict.fromkeys(shown["column"]), key=lambda c: c == "all"))
    fig, axes = style.panels(len(costs), 4.8, 4.6, sharey=True)
    for ax, (cost, words) in zip(axes, costs.items(), strict=True):
        if cost == "hours" and len(shown):
            factor, unit = next((f, name) for least, f, name in UNITS if shown[cost].max() >= least)
            shown, words = shown.assign(hours=factor * shown[cost]), words.replace("hours", unit)
        for cell in shown.to_dict("records"):
            colour, x = tables[cell["table"]]["color"], cell[cost]
            if score == "f1":
                ax.vlines(
                    x, 100 * cell["f1_low"], 100 * cell["f1_high"], color=colour, lw=0.8, alpha=0.25, zorder=1
                )
            ax.plot(x, 100 * cell[score], marks[cell["column"]]["marker"], color=colour, mec="white", mew=0.5)
        best = front(shown, cost, score)
        _front(ax, best, cost, score, named)
        _log_axis(ax, shown[cost])
        ax.set_xlabel(words)
    axes[0].set_ylabel(f"{score.upper()}, %")
    keys = [
        style.key(f"Table {name.split('.')[-1]}", look["color"], "o", "") for name, look in tables.items()
    ]
    keys += [style.key(column_head(name), "#777777", look["marker"], "") for name, look in marks.items()]
    style.legend(fig, [*keys, style.key("Pareto front", style.REFERENCE)], 8)
    return fig


def _front(ax, best: pd.DataFrame, cost: str, score: str, named: int) -> None:
    """The front as a staircase; its points ringed and numbered, their names in a list."""
    if best.empty:
        return
    x, y = best[cost].tolist(), (100 * best[score]).tolist()
    ax.step(
        [*x, 1.3 * max(ax.dataLim.x1, x[-1])],
        [*y, y[-1]],
        where="post",
        color=style.REFERENCE,
        lw=1.2,
        zorder=0.9,
    )
    ax.plot(x, y, "o", mfc="none", mec="#222222", ms=10, mew=0.9, ls="", zorder=4)
    names = []
    for number, (_, alike) in enumerate(best.groupby([cost, score], sort=False), start=1):
        first = alike.iloc[0]
        ax.annotate(str(number), (first[cost], 100 * first[score]), xytext=(-7, 6), textcoords="offset points", fontsize=8,
                    weight="bold", ha="right")  # fmt: skip
        names += [f"{number}  {cell.label}, {column_head(cell.column)}" for cell in alike.itertuples()]
    if len(names) > named:
        names = [*names[: named - 1], f"and {len(names) - named + 1} more"]
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
