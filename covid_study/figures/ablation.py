"""Charts of notebooks 04 and 05: the loss of every run, the paper's claims as differences, what was selected."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from covid_study.figures.charts import CYCLE, PAPER, REFERENCE, styled
from covid_study.figures.results import SHORT
from covid_study.report.show import column_head
from covid_study.scores.old_claims import MEAN, overall


def _place(column: str) -> float:
    """Columns that are no share keep the order in which they come."""
    return float(column.rstrip("%")) if column.endswith("%") else 101.0


@styled
def losses(history: pd.DataFrame, labels: Mapping[str, str], sharey: bool = True) -> Figure:
    """Training loss over the epochs of every run, a panel a column, a colour a row of the table.

    history: what `ablation.learning_curves` returns; several seeds are drawn as several thin lines. labels: row -> words.
    sharey: one axis for all panels; not where each has a loss of its own.
    """
    columns = sorted(dict.fromkeys(history["column"]), key=_place)
    rows = list(dict.fromkeys(history["row"]))
    rows.sort(key=lambda r: list(labels).index(r) if r in labels else len(labels))
    fig, axes = plt.subplots(
        1, len(columns), figsize=(2.5 * len(columns), 2.6), sharey=sharey, sharex=True, squeeze=False
    )
    for ax, column in zip(axes[0], columns, strict=True):
        for (row, _), run in history[history["column"] == column].groupby(["row", "seed"], sort=False):
            ax.plot(
                run["epoch"],
                run["loss"],
                **_look(rows.index(row)),
                lw=1.1,
                marker="o" if len(run) < 3 else "",
            )
        ax.set_title(column_head(column))
        ax.set_xlabel("epoch")
        ax.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 0].set_xlim(0, 1.05 * history["epoch"].max())
    axes[0, 0].set_ylabel("training loss")
    for ax in axes[0]:
        ax.set_ylim(0, 1.05 * max(other.dataLim.y1 for other in (axes[0] if sharey else [ax])))
    handles = [Line2D([], [], **_look(i), label=labels.get(r, r)) for i, r in enumerate(rows)]
    fig.legend(handles=handles, loc="outside lower left", ncols=3)
    return fig


def _look(i: int) -> dict:
    """Colours, then the same colours dashed, hollow where they are dots."""
    again = i >= len(CYCLE)
    return {"color": CYCLE[i % len(CYCLE)], "ls": "--" if again else "-"} | (
        {"mfc": "white"} if again else {}
    )


@styled
def differences(
    checked: pd.DataFrame, metric: str | None = None, title: str = "", over: str = "sizes"
) -> Figure:
    """The paper's claims as paired differences with 95 % intervals, beside the paper's own; right of zero they hold.

    checked: what `claims.check` returns. metric: which score; the one that the paper judges by unless given.
    over: what the columns are, in words.
    """
    parts = [(text, claim) for text, claim in checked.groupby("text", sort=False)]
    if metric is None:
        parts = [(text, claim[claim["metric"] == claim["metric"].iloc[0]]) for text, claim in parts]
    else:
        parts = [(text, claim[claim["metric"] == metric]) for text, claim in parts]
    parts = [(text, claim) for text, claim in parts if len(claim)]
    lines = sum(len(claim) for _, claim in parts) + 1.25 * len(parts)
    fig, ax = plt.subplots(figsize=(8.6, 1.05 + 0.235 * max(lines, 2)))
    y, ticks, names = 0.0, [], []
    for text, claim in parts:
        score = SHORT.get(claim["metric"].iloc[0], claim["metric"].iloc[0])
        heading = f"{text} ({score}): {overall(claim)}"
        said = ax.text(
            0, y, heading, transform=ax.get_yaxis_transform(), fontsize=8, weight="bold", va="center"
        )
        said.set_in_layout(False)  # the axes are as wide as the figure, however long a claim is
        y += 1
        for line in claim.itertuples():
            colour = CYCLE[1] if line.column == MEAN else "#E8A06A"
            ax.plot([100 * line.low, 100 * line.high], [y, y], color=colour, lw=2.2, solid_capstyle="butt")
            ax.plot(100 * line.difference, y, "o", color=colour)
            ax.plot(100 * line.published, y, "s", color=PAPER, mfc="white", ms=4.5)
            ticks.append(y)
            names.append(f"mean over {over}" if line.column == MEAN else column_head(line.column))
            y += 1
        y += 0.25
    ax.axvline(0, color=REFERENCE, lw=1, zorder=1)
    ax.set_yticks(ticks, names)
    ax.set(ylim=(y - 0.2, -0.7), xlabel="difference in percentage points: right of zero speaks for the claim")
    ax.set_xlim(*(np.array([-1.08, 1.08]) * max(np.abs(ax.get_xlim()))))
    ax.grid(False, axis="y")
    ax.tick_params(axis="y", length=0)
    ax.set_title(title, loc="left")
    handles = [
        Line2D([], [], color=CYCLE[1], marker="o", label="here, paired, 95 % interval"),
        Line2D([], [], ls="", color=PAPER, marker="s", mfc="white", label="the paper"),
    ]
    fig.legend(handles=handles, loc="outside lower left", ncols=2)
    return fig


@styled
def composition(frame: pd.DataFrame) -> Figure:
    """Share of CAP in what each strategy selects, and how high in the two tracks the selected exams stand.

    frame: what `ablation_report.composition` returns.
    """
    archive, drawn = frame[frame["strategy"] == "archive"], frame[frame["strategy"] != "archive"]
    columns, strategies = list(dict.fromkeys(drawn["column"])), list(dict.fromkeys(drawn["strategy"]))
    panels = {
        "cap": "CAP in the selection",
        "difficulty": "mean rank (0 %: hardest)",
        "diversity": "mean rank (0 %: most diverse)",
    }
    fig, axes = plt.subplots(1, 3, figsize=(9.6, 3.1))
    width = 0.8 / len(strategies)
    for ax, (value, title) in zip(axes, panels.items(), strict=True):
        for i, strategy in enumerate(strategies):
            part = drawn[drawn["strategy"] == strategy].set_index("column").loc[columns, value]
            x = np.arange(len(columns)) + (i - (len(strategies) - 1) / 2) * width
            ax.bar(x, 100 * part, width=0.9 * width, color=CYCLE[i], label=strategy.replace("_", " "))
        level = 100 * archive[value].item()
        ax.axhline(level, color=REFERENCE, lw=1, ls=(0, (4, 3)), zorder=3)
        ax.annotate("archive", (1, level), xycoords=("axes fraction", "data"), xytext=(0, 2), ha="right",
                    textcoords="offset points", fontsize=7.5, color="#666666")  # fmt: skip
        ax.set_xticks(range(len(columns)), [column_head(c) for c in columns])
        ax.set_title(title)
        ax.grid(False, axis="x")
    axes[0].set_ylabel("% of the selected exams")
    axes[1].set_ylabel("difficulty rank, % of the archive")
    axes[2].set_ylabel("diversity rank, % of the archive")
    fig.supxlabel("share of the negatives selected", fontsize=9)
    handles, names = axes[0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside upper right", ncols=len(names))
    return fig
