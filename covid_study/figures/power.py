"""What can be told apart: charts of `power.Measured`, and the table of differences with their marks."""

from html import escape

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import HTML
from matplotlib.figure import Figure

from covid_study.figures.charts import CYCLE, PAPER, REFERENCE, chance_line, styled
from covid_study.report import show
from covid_study.scores import power
from covid_study.scores.power import APART, CHANCE, EXAMS, TRAINING, UNKNOWN, UNLIKE, Measured
from covid_study.scores.power_spread import Spread
from covid_study.tables.ablation_report import NAMES, in_points, seeds_sentence

LOOKS = {UNLIKE: (REFERENCE, ":"), EXAMS: (REFERENCE, "--")}
HEADS = {
    "A.III": "Table III",
    "A.IV": "Table IV, against the same selection in Table III",
    "A.V": "Table V",
    "A.VI": "Table VI, the rows",
    "A.VI, online": "Table VI, each online strategy against none",
    "A.VII": "Table VII",
    "A.III, claims": "What the claims about Table III compare",
    "A.V, claims": "What the claims about Table V compare",
}
KINDS = {APART: "holds", TRAINING: "training", CHANCE: "open", UNKNOWN: "open"}
STYLE = """<style>
.study-table tr.part td,.study-table tr.part th{font-weight:600;border-top:1px solid rgba(128,128,128,.5);padding-top:8px}
.study-table tr.part td{text-align:left!important}
.study-table .mark{font-size:10.5px}.study-table .mark.holds{color:#00785a;font-weight:600}
.study-table .mark.training{color:#b35c00}.study-table .mark.open{opacity:.68}
.study-table .mark.paper{opacity:.95}
.study-table .against{display:block;font-size:10.5px;opacity:.68;font-weight:400}
</style>"""


def _looks(frame: pd.DataFrame) -> dict[str, tuple]:
    """Colour and line of each case, from one seed to many."""
    seeds = [case for case in dict.fromkeys(frame["case"]) if case not in LOOKS]
    return {case: look for case, look in LOOKS.items() if case in set(frame["case"])} | {
        case: (CYCLE[i + 1], "-") for i, case in enumerate(seeds)
    }


@styled
def power_by_difference(found: Measured, spread: Spread | None) -> Figure:
    """The share of tests that find a difference of F1, against that difference: the paper's test and ours.

    found: of `power.measured`. spread: at the largest selection, for our test; None: only the paper's is drawn.
    """
    tests = {"paper": ("The paper's test", *power.paper_test())}
    if spread is not None:
        tests["ours"] = "This run's test", spread.positives, spread.negatives
    fig, axes = plt.subplots(1, len(tests), figsize=(4.8 * len(tests), 3.6), sharey=True, squeeze=False)
    looks = _looks(found.curves)
    for ax, (test, (name, positives, negatives)) in zip(axes[0], tests.items(), strict=True):
        for case, (colour, line) in looks.items():
            part = found.curves[(found.curves["test"] == test) & (found.curves["case"] == case)]
            ax.plot(100 * part["difference"], part["power"], color=colour, ls=line, label=case)
        chance_line(ax, power.POWER, f"{100 * power.POWER:.0f} %")
        ax.set_title(f"{name}: {positives:,} positives, {negatives:,} negatives")
        ax.set(ylim=(0, 1.02), xlabel="true difference of F1, points")
    axes[0][0].set_ylabel("share of tests that find it")
    fig.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower left", ncols=3)
    return fig


@styled
def positives_needed(found: Measured, gains: list[float]) -> Figure:
    """Test positives against the smallest difference that 80 % of the tests find, at the paper's class ratio.

    found: of `power.measured`; points are simulated, lines fitted (`power.fit`). gains: that the paper's text gives, marked.
    """
    fig, ax = plt.subplots(figsize=(7.4, 4.0))
    counts = np.geomspace(power.POSITIVES[0], power.POSITIVES[-1], 200)
    for case, (colour, line) in _looks(found.sizes).items():
        part = found.sizes[found.sizes["case"] == case]
        a, b = power.fit(part)
        ax.plot(100 * np.sqrt(a / counts + b), counts, color=colour, ls=line, label=case)
        ax.plot(100 * part["smallest"], part["positives"], ".", color=colour, ms=5)
    most = max(20.0, 103 * found.sizes["smallest"].max())
    ax.set(xscale="log", yscale="log", xlim=(1, most), ylim=(14, 40_000))
    ax.set(xlabel="smallest difference of F1 that 80 % of the tests find, points", ylabel="test positives")
    positives = power.paper_test()[0]
    ax.axhline(positives, color=PAPER, lw=1, zorder=1)
    ax.annotate(f"the paper's {positives}", (0.01, positives), xycoords=("axes fraction", "data"), xytext=(0, 3),
                textcoords="offset points", fontsize=7.5, color=PAPER)  # fmt: skip
    ax.axvspan(100 * min(gains) - 0.02, 100 * max(gains) + 0.02, color=PAPER, alpha=0.25, lw=0)
    text = " to ".join(dict.fromkeys(f"{100 * gain:.1f}" for gain in (min(gains), max(gains))))
    ax.annotate(f"gains in its text: {text}", (100 * max(gains), 0.02), xycoords=("data", "axes fraction"), xytext=(4, 0),
                textcoords="offset points", fontsize=7.5, color=PAPER)  # fmt: skip
    for axis, ticks in (
        (ax.xaxis, [t for t in (1, 2, 3, 5, 10, 20, 50) if t <= most]),
        (ax.yaxis, [25, 50, 100, 200, 500, 1000, 5000, 25000]),
    ):
        axis.set_ticks(ticks, [f"{t:,}" for t in ticks])
        axis.set_minor_locator(plt.NullLocator())
    ax.set_title("Test positives needed, by the difference to be found")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig


def marks_table(marked: pd.DataFrame, title: str) -> HTML:
    """Differences of F1 with their marks, a line a pair of rows, a block a table.

    marked: what `verdicts_power.of_published` returns.
    """
    width = max(marked.groupby("table")["column"].nunique(), default=1)
    body = ""
    for table, part in marked.groupby("table", sort=False):
        columns = list(dict.fromkeys(part["column"]))
        columns = (
            sorted(columns, key=lambda c: float(c[:-1])) if all(c.endswith("%") for c in columns) else columns
        )
        heads = "".join(f"<th>{escape(show.column_head(c))}</th>" for c in columns)
        body += f"<tr class='part'><td>{escape(HEADS.get(table, table))}</td>{heads}{'<td></td>' * (width - len(columns))}</tr>"
        for (row, above), line in part.groupby(["row", "above"], sort=False):
            cells = {r["column"]: r for r in line.to_dict("records")}
            label = f"{escape(row)}<span class='against'>against {escape(above)}</span>"
            body += f"<tr><th class='row'>{label}</th>{''.join(_cell(cells.get(c)) for c in columns)}</tr>"
    caption = (
        f"<b>{escape(title)}</b><br>Differences of F1 in percentage points. Below each, how far chance alone carries a "
        "difference in 19 of 20 tests: with other test exams · and other trainings. <span class='mark holds'>Told "
        "apart</span>: it is larger than both."
    )
    return show.framed(caption, "", body, STYLE)


def _cell(record: dict | None) -> str:
    if record is None:
        return "<td></td>"
    return (
        f"<td><b>{in_points(record['difference'])}</b><br><span class='small'>{_chance(record)}</span><br>"
        f"{_mark(record['mark'])}</td>"
    )


def above_table(found: pd.DataFrame, title: str) -> HTML:
    """Each row against the row above it: differences in points with paired intervals and marks, the paper's below ours.

    found: what `row_above.compare` returns.
    """
    if found.empty:
        return HTML("<p>No two rows of this table were run in the same column.</p>")
    columns, body = list(dict.fromkeys(found["column"])), ""
    known = bool((found["mark"].dropna() != UNKNOWN).any())
    head = "".join(f"<th>{escape(show.column_head(c))}</th>" for c in columns)
    for _, pair in found.groupby(["row", "above"], sort=False):
        first = pair.iloc[0]
        against = f"<span class='small'>against {escape(first['above_label'])}</span>"
        body += (
            f"<tr class='part'><td colspan='{len(columns) + 2}'>{escape(first['label'])} {against}</td></tr>"
        )
        for metric, part in pair.groupby("metric", sort=False):
            cells, key = {r["column"]: r for r in part.to_dict("records")}, ["ours", "95 %"]
            key += ["chance", "&nbsp;"] * (known and metric == "f1")
            key += ["<span class='paper'>paper</span>"] * bool(part["published"].notna().any())
            body += (
                f"<tr><th class='row'>{NAMES.get(metric, metric)}</th><td class='key'>{'<br>'.join(key)}</td>"
            )
            body += "".join(f"<td>{_above(cells.get(c), known)}</td>" for c in columns) + "</tr>"
    caption = f"<b>{escape(title)}</b><br>Differences in percentage points. {escape(seeds_sentence(found))}"
    if known:
        caption += (
            " Chance, for F1 at 0.5: how far it alone carries a difference in 19 of 20 tests with as many exams and seeds, "
            "with other test exams · and with other trainings; <span class='mark holds'>told apart</span> is what is larger "
            "than both. The <span class='paper'>paper's difference</span> is marked for its own test and one run a row."
        )
    elif found["published"].notna().any():
        caption += " In each cell last <span class='paper'>the paper's difference</span>."
    return show.framed(caption, f"<tr><th></th><th></th>{head}</tr>", body, STYLE)


def _above(record: dict | None, marked: bool) -> str:
    """Ours, its interval, and for F1 what chance does, the mark, and the paper's difference with its mark.

    marked: False where of no difference anything is known; then there is no mark to show.
    """
    if record is None:
        return ""
    interval = "no interval"
    if pd.notna(record["low"]):
        interval = f"{in_points(record['low'])} to {in_points(record['high'])}"
    lines = [f"<b>{in_points(record['difference'])}</b>", f"<span class='small'>{interval}</span>"]
    if record["metric"] == "f1":
        lines += [f"<span class='small'>{_chance(record)}</span>", _mark(record["mark"])] * marked
        if pd.notna(record["published"]):
            lines.append(f"<span class='paper'>{in_points(record['published'])}</span>")
            lines += [f"<span class='mark paper'>{record['published_mark']}</span>"] * marked
    return "<br>".join(lines)


def _mark(mark: str) -> str:
    return f"<span class='mark {KINDS[mark]}'>{mark}</span>"


def _chance(record: dict) -> str:
    """What chance does with other test exams, and with other trainings, in points."""
    if record["mark"] == UNKNOWN:
        return "–"
    return f"±{100 * record['of_test']:.1f} · ±{100 * record['of_all']:.1f}"
