"""A table beside the paper's: a line ours, its interval, the paper's."""

from collections.abc import Mapping, Sequence

import pandas as pd
from pandas.io.formats.style import Styler

from covid_study.report.results import KEY, join_published
from covid_study.report.show import table
from covid_study.report.words import COUNTS, column_head, counted, metric_head, value_text
from covid_study.scores import published as papers

OURS, BETWEEN, PAPER = "here", "95 %", "paper"  # the lines of a row


def side_by_side(
    results: pd.DataFrame,
    published: str | None,
    *,
    metrics: Sequence[str] | None = None,
    sizes: Mapping[str, int] | None = None,
    title: str | None = None,
    notes: Sequence[str] = (),
    decimals: int | None = None,
    over: str = "test patients",
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
    known = {*frame.loc[frame["in_paper"], "row"], *(papers.table(published)["row"] if published else ())}
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
    marks = {row: "not in the paper" for row in labels if known and row not in known}
    marks |= {row: not_run for row in labels if row not in ran}
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

    def text(metric: str, value: float, sd: float, digits) -> str:
        said = value_text(metric, value, decimals=digits) or "–"
        spread = metric != "hours" and pd.notna(value) and pd.notna(sd)
        return said + (f" ±{value_text(metric, sd, decimals=digits)}" if spread else "")

    def between(metric: str, *ends: float) -> str:
        low, high = (value_text(metric, end, 0, None if decimals is None else 2) for end in ends)
        known = low and high and metric != "hours"  # times: a machine's moods
        return f"{low}{' to ' if '-' in low else '–'}{high}" if known else ""

    lines = list(frame.itertuples())
    cells = frame.assign(
        **{
            OURS: [text(r.metric, r.mean, r.sd, decimals) for r in lines],
            BETWEEN: [between(r.metric, r.low, r.high) for r in lines],
            PAPER: [text(r.metric, r.published, r.published_sd, printed) for r in lines],
        }
    )
    cells.loc[~cells["in_paper"], PAPER] = ""
    if metrics == ["range"]:  # both ends in one cell, once where they are equal

        def ends(texts: pd.Series) -> str:
            return "–".join(text for text in dict.fromkeys(texts) if text != "–") or "–"

        cells.loc[~cells["row"].isin(cells.loc[cells["in_paper"], "row"]), PAPER] = "–"
        by = cells.groupby(["row", "label", "column"], sort=False)
        joined = by.agg({OURS: ends, PAPER: ends, BETWEEN: "first", "in_paper": "any"})
        return joined.reset_index().assign(metric="range")
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
    scored, said = ran[~ran["metric"].isin(COUNTS)], ""
    if not set(ran["metric"]) <= {*COUNTS, "hours"}:
        said = f"Scores {'in per cent' if decimals is None else 'as fractions'}. "
    said += "Here: this run"
    if len(scored):
        least, most = int(scored["seeds"].min()), int(scored["seeds"].max())
        said += f" ({f'{least} to ' * (least < most)}{counted(most, 'seed')})" * bool(most)
        if scored.loc[scored["metric"] != "hours", "low"].notna().any():
            said += f"; 95 %: interval over {over}{' and seeds' * (most > 1)}"
        said += "; ±: deviation over seeds" * (most > 1)
    star = " * at the threshold chosen on the validation split."
    return f"{said}.{star if ran['metric'].str.contains('validation').any() else ''}"
