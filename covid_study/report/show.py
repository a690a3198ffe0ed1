"""Result tables: ours beside the paper's, from data, as tidy parquet and as HTML for a report."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import HTML

from covid_study.errors import StudyError
from covid_study.runtime.artefacts import write_atomically
from covid_study.scores import published as papers
from covid_study.scores.slices import PATIENT

KEY = ["row", "column", "metric"]
COLUMNS = [
    "table",
    "row",
    "label",
    "column",
    "metric",
    "mean",
    "sd",
    "low",
    "high",
    "seeds",
    "published",
    "published_sd",
    "in_paper",
]
HEADS = {
    "precision": "Prec.",
    "recall": "Recall",
    "f1": "F1",
    "auc": "AUC",
    "average_precision": "Av. prec.",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "hours": "Training",
    "count": "Exams",
    "range": "Range",
    "precision_validation": "Prec.*",
    "recall_validation": "Recall*",
    "f1_validation": "F1*",
    "acc": "ACC",
    "gmean": "G-mean",
    "sen": "SEN",
    "sen_fall": "Change of SEN",
    "spe": "SPE",
    "pre": "PRE",
    "params": "Parameters",
    "cases": "Cases",
    "images": "Slices",
}
COUNTS = ("count", "low", "high", "cases", "images", "params")  # metrics that are no scores
COLUMN_HEADS = {
    "all": "ALL",
    "none": "No strategy",
    "ohem": "OHEM",
    "focal": "Focal loss",
    "covid": "COVID-19",
    "cap": "CAP",
    "non_pneumonia": "Non-pneumonia",
    "other": "Other or unknown",
    "slices": "Test slices",
    "slices_of_exam": "Slices",
    "baseline": "Baseline",
    "dsn": "DSN",
    "dsn_saal": "DSN-SAAL",
    "self_trans": "Self-Trans",
    "transfer_chexnet": "Transfer-CheXNet",
    "meta_weight_net": "Meta-Weight-Net",
    "ce": "CE",
    "class_balanced": "Class-balanced loss",
    "sce": "SCE",
    "saal": "SAAL",
    "vgg16_bn": "VGG-16",
    "resnet50": "ResNet-50",
    "densenet169": "DenseNet-169",
    "densenet121": "DenseNet-121",
    "mobilenet_v2": "MobileNet-V2",
    "resnext50_32x4d": "ResNeXt-50",
    "alexnet": "AlexNet",
    "googlenet": "GoogLeNet",
    "efficientnet_lite0": "EfficientNet-Lite0",
    "resnet": "ResNet",
    "adaboost": "AdaBoost",
    "decision_tree": "Decision tree",
    "xdnn": "xDNN",
    "all_ce": "All negatives, CE",
    "random_ce": "Random, CE",
    "dual_track_ce": "Dual-track, CE",
    "all_saal": "All negatives, SAAL",
    "random_saal": "Random, SAAL",
    "dual_track_saal": "Dual-track, SAAL",
}
STYLE = """<style>
.study-table{overflow-x:auto;margin:0 0 1.2em}
.study-table table{border-collapse:collapse;font-size:12.5px;line-height:1.3;font-variant-numeric:tabular-nums;
 margin:0;width:auto;table-layout:auto;border:0}
.study-table .caption{font-size:12.5px;padding:0 0 .5em;max-width:70em}
.study-table th,.study-table td{padding:4px 6px;border:0;text-align:center!important;white-space:nowrap;background:none;
 vertical-align:top!important;max-width:none}
.study-table thead th{font-weight:600;vertical-align:bottom!important}
.study-table thead tr:first-child th{border-top:1.5px solid currentColor}
.study-table thead tr:last-child th{border-bottom:1px solid currentColor}
.study-table tbody tr{background:none!important;border-bottom:1px solid rgba(128,128,128,.28)}
.study-table tbody tr:last-child{border-bottom:1.5px solid currentColor}
.study-table th.row{text-align:left!important;font-weight:600;white-space:normal;min-width:8.5em;max-width:13em}
.study-table .key{text-align:left!important;font-size:10.5px;opacity:.68;line-height:1.56}
.study-table th.wrap{white-space:normal}
.study-table .first{border-left:1px solid rgba(128,128,128,.28)}
.study-table .small,.study-table .paper{font-size:10.5px;opacity:.68;font-weight:400}
.study-table .paper{opacity:.95;color:#0072b2}
.study-table .extra{display:inline-block;font-size:10px;font-weight:400;padding:0 4px;border-radius:3px;
 border:1px solid #b35c00;color:#b35c00}
</style>"""


def join_published(results: pd.DataFrame, name: str | None, table: str | None = None) -> pd.DataFrame:
    """Our results beside the published values, tidy: what `build/P/results/<table>.parquet` holds.

    Args:
        results: `row`, `column`, `metric`, `mean` (or `value`; scores as fractions), and where known `sd`,
            `low`, `high`, `seeds`, `label`.
        name: published table, e.g. "A.III"; None where the paper has no such table.
        table: what to call ours; `name` unless given.

    Returns:
        Rows in the paper's order, then ours that the paper lacks (`in_paper` False). What we did not run has NaN
        in `mean`. Where the paper gives one training period a column and `results` one a row, ours is the
        mean over the rows that the paper has.

    Raises:
        StudyError: a column is missing, or a value is given twice.

    >>> ours = pd.DataFrame({"row": ["random"], "column": ["14%"], "metric": ["f1"], "mean": [0.7]})
    >>> joined = join_published(ours, "A.III").dropna(subset="mean")
    >>> print(joined[["label", "mean", "published", "in_paper"]].to_string(index=False, header=False))
    Random   0.7      0.739     True
    """
    ours = _checked(results)
    if name is None:
        joined = ours.assign(published=np.nan, published_sd=np.nan, in_paper=False)
    else:
        paper = _with_deviations(papers.table(name).rename(columns={"value": "published"}))
        ours = pd.concat([ours, _training_periods(ours, paper)], ignore_index=True)
        paper = paper[[*KEY, "label", "published", "published_sd"]].assign(in_paper=True)
        joined = paper.merge(ours, on=KEY, how="outer", suffixes=("", "_ours"))
        joined["label"] = joined["label"].fillna(joined["label_ours"])
        joined["in_paper"] = joined["in_paper"].eq(True)
        order = pd.concat([paper[KEY], ours[KEY]], ignore_index=True).drop_duplicates()
        joined = order.merge(joined, on=KEY)
    labels = joined["row"].str.replace("_", " ").str.capitalize()
    first = joined.dropna(subset="label").drop_duplicates("row").set_index("row")["label"]
    joined["label"] = [first.get(row, label) for row, label in zip(joined["row"], labels, strict=True)]
    return joined.assign(table=table or name or "")[COLUMNS]


def _with_deviations(paper: pd.DataFrame) -> pd.DataFrame:
    """The deviation of a score, a row of its own in the published table, beside the score it belongs to."""
    deviation = paper["metric"].str.endswith("_sd")
    of = paper[deviation].assign(metric=paper["metric"].str.removesuffix("_sd"))
    of = of.rename(columns={"published": "published_sd"})[[*KEY, "published_sd"]]
    return paper[~deviation].merge(of, on=KEY, how="left")


def _checked(results: pd.DataFrame) -> pd.DataFrame:
    ours = results.rename(columns={"value": "mean"}) if "mean" not in results else results.copy()
    if missing := sorted({*KEY, "mean"} - set(ours)):
        raise StudyError(f"Results lack the columns {missing}; they need row, column, metric and mean.")
    twice = ours.duplicated(KEY)
    if twice.any():
        raise StudyError(
            f"Two results for {ours.loc[twice, KEY].iloc[0].to_dict()}: put seeds together first."
        )
    for column, default in (("sd", np.nan), ("low", np.nan), ("high", np.nan), ("seeds", 1), ("label", None)):
        if column not in ours:
            ours[column] = default
    return ours[[*KEY, "mean", "sd", "low", "high", "seeds", "label"]]


def _training_periods(ours: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """One training period a column, where the paper has such a row and the results have one a run."""
    wanted = "training_period" in set(paper["row"]) and "training_period" not in set(ours["row"])
    hours = ours[(ours["metric"] == "hours") & ours["row"].isin(paper["row"])]
    if not wanted or hours.empty:
        return ours.iloc[:0]
    mean = (
        hours.groupby("column", sort=False).agg(mean=("mean", "mean"), seeds=("seeds", "max")).reset_index()
    )
    return mean.assign(row="training_period", metric="hours").reindex(columns=ours.columns)


def duration(hours: float) -> str:
    """A training period in the unit that suits it.

    >>> [duration(h) for h in (19.6, 0.75, 0.01, 0.0005)]
    ['19.6 h', '45 min', '36 s', '1.8 s']
    """
    seconds = 3600 * hours
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 60:.0f} min" if hours < 1 else f"{hours:.1f} h"


def _text(metric: str, value, digits: int = 1, decimals: float | None = None) -> str:
    """A value for a cell; scores in per cent, or as fractions with so many decimals where those are given."""
    if value is None or pd.isna(value):
        return ""
    if metric == "hours":
        return duration(value)
    if metric == "params":
        return f"{value / 1e6:.2f} M"
    if metric in COUNTS:
        return f"{value:,g}" if value < 1e6 else f"{value:,.0f}"
    if decimals is not None and pd.notna(decimals):
        return f"{value:.{int(decimals)}f}"
    return f"{100 * value:.{digits}f}"


def column_head(column: str) -> str:
    """The heading of a column.

    >>> column_head("56%"), column_head("all"), column_head("ohem")
    ('56 %', 'ALL', 'OHEM')
    """
    if column in COLUMN_HEADS:
        return COLUMN_HEADS[column]
    return column.replace("%", " %") if column.endswith("%") else column.replace("_", " ").capitalize()


def metric_head(metric: str) -> str:
    """The heading of a score.

    >>> metric_head("f1"), metric_head("gmean_patient"), metric_head("sen_cap")
    ('F1', 'G-mean by patient', 'SEN CAP')
    """
    if metric.endswith(PATIENT):
        return f"{metric_head(metric.removesuffix(PATIENT))} by patient"
    score, _, finding = metric.partition("_")
    if score in ("sen", "pre") and finding in COLUMN_HEADS:
        return f"{HEADS[score]} {COLUMN_HEADS[finding]}"
    return HEADS.get(metric, metric.replace("_", " "))


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
) -> HTML:
    """A table of the paper with ours beside each value, for a notebook.

    Each cell has our value (in per cent, or as fractions where the paper prints them so; mean and deviation over seeds),
    its 95 % interval, and the paper's value with its deviation, where it has one.
    Rows and columns are the paper's; rows that it lacks follow and are marked. What was not run has a dash.

    Args:
        results: as for `join_published`, or what it returned.
        published: e.g. "A.III", or None where the paper has no such table.
        metrics: which scores to show; the paper's unless given.
        sizes: number of negatives of ours in each column, shown in the head beside the paper's.
        title: said first in the caption. notes: sentences below the table.
        decimals: of scores as fractions; as the paper prints them unless given, per cent where it prints per cent. The
            paper's own keep the decimals that it prints.
        over: what the interval is over.
        not_run: what a row is marked with that only the paper has; it then has no line of ours.
    """
    own = [*KEY, "mean", "value", "sd", "low", "high", "seeds", "label"]
    ours = results[[c for c in own if c in results]]
    if "published" in results:  # already joined: what the paper alone has comes from the paper again
        ours = ours[ours["mean"].notna()]
    frame = join_published(ours, published)
    if "published" in results:
        frame = _from_other_tables(frame, results)
    hours = frame["metric"] == "hours"
    frame.loc[hours, ["low", "high"]] = np.nan  # a machine's moods are no interval of the method
    known = set(frame.loc[frame["in_paper"], "row"])
    counts = papers.sizes(published).to_dict() if published else {}
    shown = frame[frame["row"] != "negatives"]
    if {"low", "high"} & set(shown["metric"]):
        metrics = ["range"]
    elif metrics is None:
        basis = shown[shown["in_paper"]] if shown["in_paper"].any() else shown
        metrics = list(dict.fromkeys(basis.loc[basis["row"] != "training_period", "metric"]))
    if not shown.loc[shown["metric"].isin([*metrics, "low", "high"]), "in_paper"].any():
        shown = shown[shown["row"] != "training_period"]  # only scores of ours: no time beside them
    relevant = shown[shown["metric"].isin([*metrics, "low", "high"]) | (shown["row"] == "training_period")]
    if decimals is None and published:
        decimals = papers.decimals(published)
    printed = decimals if decimals is None or not published else papers.decimals(published) or decimals
    relevant = relevant.assign(decimals=decimals, printed=printed)
    columns = list(dict.fromkeys(relevant["column"]))
    cells = {tuple(r[k] for k in KEY): r for r in relevant.to_dict("records")}
    units = {}
    if published and metrics == ["range"]:
        units = papers.table(published).drop_duplicates("column").set_index("column")["unit"].to_dict()
    head = _head(columns, metrics, counts, sizes or {}, units)
    body = "".join(
        _row(r, label, columns, metrics, cells, bool(known) and r not in known, not_run)
        for r, label in _rows(relevant)
    )
    said = _legend(relevant, over) if known & set(relevant["row"]) or relevant["mean"].notna().any() else ""
    caption = "<br>".join(filter(None, [f"<b>{escape(title)}</b>" if title else "", said]))
    below = "".join(f"<div class='small'>{escape(note)}</div>" for note in notes)
    return framed(caption, head, body, below=below)


def framed(caption: str, head: str, body: str, style: str = "", below: str = "") -> HTML:
    """A table as all of them look: its caption above, a frame that scrolls where it is wider than the page.

    Args:
        caption, body, below: HTML; `body` the rows. head: the rows of the head, "" for none.
        style: a <style> of its own, which goes before.
    """
    top = f"<thead>{head}</thead>" if head else ""
    return HTML(
        f"{STYLE}{style}<div class='study-table'><div class='caption'>{caption}</div><table>{top}<tbody>{body}</tbody></table>"
        f"{below}</div>"
    )


def _from_other_tables(frame: pd.DataFrame, joined: pd.DataFrame) -> pd.DataFrame:
    """With the values that `joined` has from the paper and the published table has not, e.g. a row of another table."""
    there = pd.MultiIndex.from_frame(frame.loc[frame["in_paper"], KEY])
    more = joined[joined["published"].notna() & ~pd.MultiIndex.from_frame(joined[KEY]).isin(there)]
    if more.empty:
        return frame
    replaced = pd.MultiIndex.from_frame(frame[KEY]).isin(pd.MultiIndex.from_frame(more[KEY]))
    return pd.concat([frame[~replaced], more], ignore_index=True)


def _rows(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Rows in order, the training period last, as in the paper."""
    rows = frame[["row", "label"]].drop_duplicates("row")
    last = rows["row"] == "training_period"
    return list(pd.concat([rows[~last], rows[last]]).itertuples(index=False, name=None))


def _legend(frame: pd.DataFrame, over: str) -> str:
    ran = frame[frame["mean"].notna()]
    if ran.empty:
        return "Nothing of this table has been run yet; the numbers are the paper's."
    scored = ran[~ran["metric"].isin(COUNTS)]
    of = (scored if len(scored) else ran)["seeds"]
    low, high = int(of.min()), int(of.max())
    seeds = f" ({high} seed{'s' * (high > 1)})"
    if low < high:
        seeds = f" ({low} to {high} seeds: those in which a score is defined)"
    interval = f"95 % interval over {over}" + (" and seeds" if high > 1 else "")
    value = "mean ± deviation" if frame["published_sd"].notna().any() else "value"
    paper = (
        f", the {value} printed in <span class='paper'>the paper</span>" if frame["in_paper"].any() else ""
    )
    if scored.empty:
        seeds = ""  # what the exams are depends on no seed
    unit = "in per cent" if frame["decimals"].isna().all() else "as fractions"
    scores = f"Scores {unit}. " if set(ran["metric"]) - {*COUNTS, "hours"} else ""
    below = f", {interval}" if ran[["low", "high"]].notna().all(axis=1).any() else ""
    starred = (
        " * at the threshold chosen on the validation split."
        if any("validation" in m for m in ran["metric"])
        else ""
    )
    return f"{scores}Each cell: this run{seeds}{below}{paper}.{starred}"


def _head(columns, metrics, counts, sizes, units) -> str:
    width = len(metrics)
    groups = ""
    for column in columns:
        known = [
            f"paper {counts[column]:,}" if column in counts else "",
            f"here {sizes[column]:,}" if column in sizes else "",
        ]
        under = units.get(column) or " · ".join(filter(None, known))
        under = f"<br><span class='small'>{under}</span>" if under else ""
        look = "first wrap" if metrics == ["range"] else "first"
        groups += f"<th class='{look}' colspan='{width}'>{escape(column_head(column))}{under}</th>"
    top = f"<tr><th></th><th></th>{groups}</tr>"
    if metrics == ["range"] or metrics == ["count"]:
        return top
    names = "".join(
        f"<th class='{'first wrap' if i == 0 else 'wrap'}'>{escape(metric_head(m))}</th>"
        for _ in columns
        for i, m in enumerate(metrics)
    )
    return f"{top}<tr><th></th><th></th>{names}</tr>"


def _row(row, label, columns, metrics, cells, added: bool, not_run: str) -> str:
    in_row = [r for r in cells.values() if r["row"] == row]
    in_paper = any(r["in_paper"] for r in in_row)
    interval = any(pd.notna(r["low"]) for r in in_row)
    absent = not_run if in_row and all(pd.isna(r["mean"]) for r in in_row) else ""
    mark = "not in the paper" if added else absent
    extra = f"<br><span class='extra'>{escape(mark)}</span>" if mark else ""
    own = [] if absent else ["ours", *["95 %"] * interval]
    key = "<br>".join([*own, *["<span class='paper'>paper</span>"] * in_paper])
    out = f"<tr><th class='row'>{escape(str(label))}{extra}</th><td class='key'>{key}</td>"
    for column in columns:
        if row == "training_period":
            cell = _cell(cells.get((row, column, "hours")), interval, in_paper, bool(absent))
            out += f"<td class='first' colspan='{len(metrics)}'>{cell}</td>"
            continue
        for i, metric in enumerate(metrics):
            if metric == "range":
                cell = _range(cells.get((row, column, "low")), cells.get((row, column, "high")), in_paper)
            else:
                cell = _cell(cells.get((row, column, metric)), interval, in_paper, bool(absent))
            out += f"<td class='{'first' if i == 0 else ''}'>{cell}</td>"
    return out + "</tr>"


def _cell(record: dict | None, interval: bool, in_paper: bool, absent: bool) -> str:
    """Up to three lines: ours unless it is absent, its interval, the paper's; the same lines in all cells of a row."""
    if record is None:
        return ""
    metric, decimals = record["metric"], record["decimals"]
    ours = f"<b>{_text(metric, record['mean'], decimals=decimals) or '–'}</b>"
    if pd.notna(record["sd"]) and pd.notna(record["mean"]) and metric != "hours":
        ours += f"<span class='small'> ±{_text(metric, record['sd'], decimals=decimals)}</span>"
    lines = [] if absent else [ours]
    if interval:
        low, high = (
            _text(metric, record[end], 0, None if pd.isna(decimals) else 2) for end in ("low", "high")
        )
        dash = " to " if "-" in low else "–"
        lines.append(f"<span class='small'>{low}{dash}{high}</span>" if low and high else "&nbsp;")
    if in_paper:
        paper = _text(metric, record["published"], decimals=record["printed"]) or "–"
        if pd.notna(record["published_sd"]):
            paper += f" ±{_text(metric, record['published_sd'], decimals=record['printed'])}"
        lines.append(f"<span class='paper'>{paper}</span>")
    return "<br>".join(lines)


def _range(low: dict | None, high: dict | None, in_paper: bool) -> str:
    """The two ends of a range, once where they are equal."""
    if low is None or high is None:
        return ""
    lines = []
    for key in ("mean", *["published"] * in_paper):
        ends = list(dict.fromkeys(_text("low", end[key]) for end in (low, high)))
        text = "–".join(e for e in ends if e) or "–"
        lines.append(f"<b>{text}</b>" if key == "mean" else f"<span class='paper'>{text}</span>")
    return "<br>".join(lines)


def write_results(path: str | Path, frame: pd.DataFrame) -> Path:
    """Write a tidy result table (what `join_published` returns) as parquet, whole or not at all."""
    path = Path(path)
    write_atomically(path, lambda temporary: frame.to_parquet(temporary, index=False))
    return path


def read_results(path: str | Path) -> pd.DataFrame:
    """Read a tidy result table.

    Raises:
        StudyError: there is none; the message says which notebook to run.
    """
    path = Path(path)
    if not path.is_file():
        raise StudyError(f"No results at {path}: run the notebook that makes {path.stem} first.")
    return pd.read_parquet(path)
