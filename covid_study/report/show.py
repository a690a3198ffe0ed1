"""Every table of a page in one look (pandas Styler): any frame, a table beside the paper's, and the verdicts."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from covid_study.report.results import KEY, join_published
from covid_study.report.words import (
    COUNTS,
    column_head,
    counted,
    metric_head,
    value_text,
)
from covid_study.scores import published as papers

OURS, BETWEEN, PAPER = "here", "95 %", "paper"  # the lines of a row
LOOK = {
    "": "border-collapse: collapse; font-size: 12.5px; line-height: 1.3; font-variant-numeric: tabular-nums; margin: 0 0 1em; "
    "border-bottom: 1.5px solid",
    "caption": "caption-side: top; text-align: left; white-space: pre-line; padding: 0 0 .5em; color: inherit",
    "caption::first-line": "font-weight: 600",
    "th": "border: 0; padding: 2px 8px; vertical-align: top; text-align: left; background: none",
    "td": "border: 0; padding: 2px 8px; vertical-align: top; text-align: right; background: none",
    "thead th": "border: 0; text-align: center; font-weight: 600",
    "thead th.blank": "border: 0",
    "thead tr:first-child th": "border-top: 1.5px solid currentColor",
    "thead tr:last-child th": "border-bottom: 1px solid currentColor",
    "tbody tr": "background: none",
    "tbody th": "font-weight: 600; max-width: 16em",
    "tbody th.level1": "font-weight: 400; font-size: 10.5px; white-space: nowrap; opacity: .68",
    ".top": "border-top: 1px solid rgba(128,128,128,.28)",
    ".ours": "font-weight: 600",
    ".words": "text-align: left; white-space: normal; min-width: 12em; max-width: 30em",
    ".between": "font-size: 10.5px; opacity: .68; white-space: nowrap",
    ".paper": "color: #0072b2; white-space: nowrap",
    ".holds": "color: #00704f; font-weight: 600",
    ".fails": "color: #b34700; font-weight: 600",
    ".no-effect": "color: #0072b2; font-weight: 600",
    ".open": "opacity: .68",
}


def table(
    frame: pd.DataFrame, title: str = "", notes: Sequence[str] = (), *, index: bool = True, **form
) -> Styler:
    """Any frame in the look of the study, its text escaped: opens offline, prints in black and white.

    Args:
        frame: as it is to be read; its index and columns may have levels. Numbers have the digits that `form` says.
        title: the first line of the caption. notes: the lines after it.
        index: whether to show it. form: of `Styler.format`, e.g. formatter or precision.

    >>> shown = table(pd.DataFrame({"AUC": [0.613, None]}, index=["a", "<b>"]), "Probes", precision=2)
    >>> [text in shown.to_html() for text in (">0.61<", ">–<", "&lt;b&gt;", ">Probes<")]
    [True, True, True, True]
    """
    look = [{"selector": where, "props": props} for where, props in LOOK.items()]
    styler = frame.style.format(**{"na_rep": "–", "escape": "html", "thousands": ",", **form}).format_index(
        escape="html"
    )
    styler = styler.format_index(escape="html", axis="columns").set_table_styles(look)
    if title or notes:
        styler = styler.set_caption(escape("\n".join(filter(None, [title, *notes])), quote=False))
    long = [
        max((len(x) for x in column if isinstance(x, str)), default=0) > 24 for _, column in frame.items()
    ]
    words = [["words" if wide else "" for wide in long]] * len(frame)
    styler = styler.set_td_classes(pd.DataFrame(words, index=frame.index, columns=frame.columns))
    return styler if index else styler.hide(axis="index")


def claims_table(decided: pd.DataFrame, title: str = "") -> Styler:
    """A line a claim: what the paper says and by how much, the difference here, the verdict, and what would close an open one.

    decided: of `scores.claims.decide`. Differences are in percentage points, ratios and counts as they are.
    """
    lines = decided.to_dict("records")
    shown = pd.DataFrame(
        {
            "claim": [line["text"] for line in lines],
            "in": [f"{line['table']}, {line['place']}" for line in lines],
            "by": [metric_head(line["score"]) for line in lines],
            "paper": [amount_text(line, "published") for line in lines],
            "here": [amount_text(line, "difference") for line in lines],
            "95 %": [
                " to ".join(filter(None, [amount_text(line, "low"), amount_text(line, "high")]))
                for line in lines
            ],
            "seeds": [line["seeds"] for line in lines],
            "patients": [line["fewest"] for line in lines],
            "verdict": [line["verdict"] for line in lines],
            "to close it": [line["needs"] or "" for line in lines],
        }
    )
    classes = pd.DataFrame("", index=shown.index, columns=shown.columns)
    classes[["claim", "to close it"]], classes["paper"], classes["95 %"] = "words", "paper", "between"
    classes["verdict"] = shown["verdict"].astype(str).str.replace(" ", "-")  # an empty table has no text
    return table(shown, title, index=False).set_td_classes(classes)


def amount_text(line: Mapping, of: str) -> str:
    """A difference in points with its sign, an AUC, a ratio or a count as it is; nothing where it is not known.

    >>> kinds = {"difference": -0.042, "auc": 0.1, "ratio": 2.0}  # an AUC is compared with one half
    >>> [amount_text({"score": "f1", "kind": kind, "x": x}, "x") for kind, x in kinds.items()]
    ['-4.2', '0.60', '2.00 ×']
    """
    value = line.get(of, np.nan)
    if pd.isna(value):
        return ""
    if line["kind"] == "count":
        return value_text(line["score"], value)
    if line["kind"] in ("auc", "ratio"):
        return f"{0.5 + value:.2f}" if line["kind"] == "auc" else f"{value:.2f} ×"
    text = f"{100 * value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def side_by_side(
    results: pd.DataFrame,
    published: str | None,
    *,
    metrics: Sequence[str] | None = None,
    sizes: Mapping[str, int] | None = None,
    title: str | None = None,
    notes: Sequence[str] = (),
    decimals: int | None = None,
    over: str = "test exams",
    not_run: str = "",
) -> Styler:
    """A table of the paper with ours above each value: a line ours (± deviation over seeds), its interval, the paper's.

    Rows and columns are the paper's; rows that it lacks follow and are marked. What was not run has a dash.

    Args:
        results: as for `join_published`, or what it returned.
        published: e.g. "A.III", or None where the paper has no such table.
        metrics: which scores to show; the paper's unless given.
        sizes: number of negatives of ours in each column, shown in the head beside the paper's.
        title, notes: lines of the caption.
        decimals: of scores as fractions; as the paper prints them unless given, per cent where it prints per cent. The
            paper's own keep the decimals that it prints.
        over: what the interval is over.
        not_run: what a row is marked with that only the paper has; it then has no line of ours.

    >>> ours = pd.DataFrame({"row": ["random"], "column": ["14%"], "metric": ["f1"], "mean": [0.701]})
    >>> side_by_side(ours, "A.III").data.xs("Random").iloc[:, 2].tolist()  # here and in the paper
    ['70.1', '73.9']
    """
    frame = results if "published" in results else join_published(results, published)
    if frame.empty:
        return table(pd.DataFrame(), title or "", ["There is nothing to show.", *notes])
    known = set(frame.loc[frame["in_paper"], "row"]) | set(
        papers.table(published)["row"] if published else ()
    )
    frame = frame[frame["row"] != "negatives"]
    if ranges := bool({"low", "high"} & set(frame["metric"])):
        metrics = ["range"]
    elif metrics is None:
        basis = frame[frame["in_paper"]] if frame["in_paper"].any() else frame
        metrics = list(dict.fromkeys(basis.loc[basis["row"] != "training_period", "metric"]))
    wanted = frame["metric"].isin(["low", "high"] if ranges else metrics)
    if frame.loc[wanted, "in_paper"].any():  # beside scores of ours alone stands no time
        wanted |= frame["row"] == "training_period"
    frame = frame[wanted].sort_values("row", key=lambda row: row == "training_period", kind="stable")
    printed = papers.decimals(published) if published else None
    decimals = printed if decimals is None else decimals
    cells = _cells(frame, metrics, decimals, decimals if printed is None else printed)
    lines = _lines(cells, not_run)
    columns = list(dict.fromkeys(cells["column"]))
    lines = lines.reindex(columns=pd.MultiIndex.from_product([columns, metrics]), fill_value="")
    labels = cells.drop_duplicates("row").set_index("row")["label"].to_dict()
    ran = set(cells.loc[cells[OURS] != "–", "row"])
    marks = {row: "not in the paper" for row in labels if known and row not in known} | {
        row: not_run for row in labels if row not in ran
    }
    labels = {row: f"{label} ({marks[row]})" if marks.get(row) else label for row, label in labels.items()}
    classes = {OURS: "ours", BETWEEN: "between", PAPER: "paper"}
    look = pd.DataFrame([[classes[line] + " top" * bool(first)] * lines.shape[1] for (_, line), first in zip(
        lines.index, ~lines.index.get_level_values(0).duplicated(), strict=True)])  # fmt: skip
    lines.index = lines.index.set_levels([labels[row] for row in lines.index.levels[0]], level=0)
    heads = [_head(column, published, sizes or {}, ranges) for column in columns]
    if ranges or metrics == ["count"]:
        lines.columns = pd.Index(heads)
    else:
        lines.columns = pd.MultiIndex.from_product([heads, map(metric_head, metrics)])
    look.index, look.columns = lines.index, lines.columns
    return table(lines, title or "", [_legend(frame, over, decimals), *notes]).set_td_classes(look)


def _cells(frame: pd.DataFrame, metrics: Sequence[str], decimals, printed) -> pd.DataFrame:
    """The three lines of each cell as text."""

    def text(value: str, sd: str, digits) -> list[str]:
        parts = frame[["metric", value, sd]].itertuples(index=False)
        return [
            (value_text(m, x, decimals=digits) or "–")
            + (
                f" ±{value_text(m, s, decimals=digits)}"
                if pd.notna(s) and pd.notna(x) and m != "hours"
                else ""
            )
            for m, x, s in parts
        ]

    two = None if decimals is None else 2
    ends = [
        [value_text(m, x, 0, two) for x in ends]
        for m, *ends in frame[["metric", "low", "high"]].itertuples(index=False)
    ]
    between = [
        f"{low}{' to ' if '-' in low else '–'}{high}"
        if low and high and m != "hours"
        else ""  # times: a machine's moods
        for (low, high), m in zip(ends, frame["metric"], strict=True)
    ]
    cells = frame.assign(
        **{
            OURS: text("mean", "sd", decimals),
            BETWEEN: between,
            PAPER: text("published", "published_sd", printed),
        }
    )
    cells.loc[~cells["in_paper"], PAPER] = ""
    if metrics == ["range"]:  # both ends in one cell, once where they are equal
        join = {
            line: lambda ends: "–".join(e for e in dict.fromkeys(ends) if e != "–") or "–"
            for line in (OURS, PAPER)
        }
        cells.loc[~cells["row"].isin(cells.loc[cells["in_paper"], "row"]), PAPER] = "–"
        cells = (
            cells.groupby(["row", "label", "column"], sort=False)
            .agg({**join, BETWEEN: "first", "in_paper": "any"})
            .reset_index()
        )
        return cells.assign(metric="range")
    period = cells["row"] == "training_period"  # one value a column, under its first score
    return cells.assign(metric=cells["metric"].mask(period, metrics[0]))


def _lines(cells: pd.DataFrame, not_run: str) -> pd.DataFrame:
    """A line of text a row and kind of line, those left out that say nothing."""
    long = cells.melt(id_vars=KEY, value_vars=[OURS, BETWEEN, PAPER], var_name="line")
    lines = long.pivot(index=["row", "line"], columns=["column", "metric"], values="value")
    order = [(row, line) for row in dict.fromkeys(cells["row"]) for line in (OURS, BETWEEN, PAPER)]
    lines = lines.reindex(pd.MultiIndex.from_tuples(order)).fillna("")
    said = (lines != "").any(axis=1) & (
        (lines.index.get_level_values(1) != OURS) | ~lines.isin(["", "–"]).all(axis=1) | (not not_run)
    )
    return lines[said]


def _head(column: str, published: str | None, sizes: Mapping[str, int], ranges: bool) -> str:
    paper = papers.sizes(published).to_dict() if published else {}
    if ranges and published:
        under = papers.table(published).drop_duplicates("column").set_index("column")["unit"].get(column, "")
    else:
        counts = (("paper", paper), ("here", sizes))
        under = ", ".join(f"{name} {of[column]:,}" for name, of in counts if column in of)
    return f"{column_head(column)} ({under})" if under else column_head(column)


def _legend(frame: pd.DataFrame, over: str, decimals) -> str:
    """What the lines of a cell are, said of those that there are."""
    ran = frame[frame["mean"].notna()]
    if ran.empty:
        return "Nothing of this table has been run yet; the numbers are the paper's."
    scored = ran[~ran["metric"].isin(COUNTS)]
    least, most = (0, 0) if scored.empty else (int(scored["seeds"].min()), int(scored["seeds"].max()))
    many = f" ({f'{least} to ' * (least < most)}{counted(most, 'seed')})" if most else ""
    unit = (
        ""
        if set(ran["metric"]) <= {*COUNTS, "hours"}
        else f"Scores {'in per cent' if decimals is None else 'as fractions'}. "
    )
    between = (
        f"; 95 %: interval over {over}{' and seeds' * (most > 1)}"
        if scored.loc[scored["metric"] != "hours", "low"].notna().any()
        else ""
    )
    star = (
        " * at the threshold chosen on the validation split."
        if ran["metric"].str.contains("validation").any()
        else ""
    )
    return f"{unit}Here: this run{many}{between}.{star}"
