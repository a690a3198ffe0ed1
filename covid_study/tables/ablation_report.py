"""How paper B's notebooks still show claims; `report.decided` has taken it over for paper A."""

from html import escape

import pandas as pd
from IPython.display import HTML

from covid_study.report import show
from covid_study.scores.old_claims import FEWEST, MEAN, TOO_FEW, UNCLEAR, overall

NAMES = {metric: head for metric, head in show.HEADS.items() if metric != "hours"} | {
    "precision": "Precision",
    "average_precision": "Average precision",
    "precision_validation": "Precision*",
}
STYLE = """<style>
.study-table tr.claim td{text-align:left!important;font-weight:600;border-top:1px solid rgba(128,128,128,.5);
 white-space:normal;padding-top:8px}
.study-table .verdict{font-weight:600;white-space:nowrap}
.study-table .holds{color:#00785a}.study-table .fails{color:#b33c00}.study-table .open{opacity:.7}
</style>"""


def in_points(x: float, sign: bool = True) -> str:
    """A fraction in percentage points; a true minus.

    >>> in_points(0.0421), in_points(-0.031), in_points(0.0001)
    ('+4.2', '−3.1', '0.0')
    """
    if pd.isna(x):
        return "–"
    text = f"{100 * x:+.1f}" if sign and abs(x) >= 5e-4 else f"{100 * x:.1f}"
    return "0.0" if text in ("-0.0", "0.0") else text.replace("-", "−")


def badge(word: str) -> str:
    """A verdict in its colour."""
    kind = "holds" if word.startswith("holds") else "fails" if word == "does not hold" else "open"
    return f"<span class='verdict {kind}'>{word}</span>"


def claims_table(checked: pd.DataFrame, title: str, over: str = "sizes", of: str = "exams") -> HTML:
    """What `claims.check` found, a block a claim, a line a score: differences in points, intervals and a verdict.

    over: what the columns are, in words. of: what was classified, in words.
    """
    if checked.empty:
        return HTML("<p>None of the rows that the paper's claims compare was run.</p>")
    columns = sorted((c for c in dict.fromkeys(checked["column"]) if c != MEAN), key=_share)
    columns += [MEAN] * (MEAN in set(checked["column"]))
    heads = [f"mean over {over}" if c == MEAN else show.column_head(c) for c in columns]
    head = "".join(f"<th class='wrap'>{escape(h)}</th>" for h in ["", "", *heads, f"On these {of} the claim"])
    body = ""
    for _, claim in checked.groupby("claim", sort=False):
        text, where = claim["text"].iloc[0], claim["where"].iloc[0]
        section = f" <span class='small'>(Section {where})</span>" if where else ""  # ours have none
        body += f"<tr class='claim'><td colspan='{len(columns) + 3}'>{escape(text)}{section}</td></tr>"
        for metric, lines in claim.groupby("metric", sort=False):
            by_column = {r["column"]: r for r in lines.to_dict("records")}
            paper = bool(lines["published"].notna().any())
            key = "<br>".join(["ours", "95 %", *["<span class='paper'>paper</span>"] * paper])
            cells = "".join(difference_cell(by_column.get(c), paper) for c in columns)
            name = NAMES.get(metric, metric)
            body += f"<tr><th class='row'>{name}</th><td class='key'>{key}</td>{cells}"
            body += f"<td>{badge(overall(lines))}</td></tr>"
    starred = checked["metric"].str.endswith("_validation").any()
    starred = " * at the threshold chosen on the validation split." if starred else ""
    caption = (
        f"<b>{escape(title)}</b><br>Differences in percentage points; positive ones speak for the claim. "
        f"{escape(seeds_sentence(checked))}{starred}"
    )
    return show.framed(caption, f"<tr>{head}</tr>", body, STYLE)


def _share(column: str) -> float:
    """Columns that are no share keep the order in which they come."""
    return float(column.rstrip("%")) if column.endswith("%") else 100.0


def difference_cell(line: dict | None, paper: bool) -> str:
    """A difference, its interval and, where there is one, the paper's, as a cell of a table of claims."""
    if line is None:
        return "<td></td>"
    known = pd.notna(line["low"])
    interval = f"{in_points(line['low'])} to {in_points(line['high'])}" if known else "no interval"
    parts = [f"<b>{in_points(line['difference'])}</b>", f"<span class='small'>{interval}</span>"]
    if paper:
        parts.append(f"<span class='paper'>{in_points(line['published'])}</span>")
    return f"<td>{'<br>'.join(parts)}</td>"


def seeds_sentence(checked: pd.DataFrame) -> str:
    """What the intervals cover, by the number of seeds."""
    seeds = int(checked["seeds"].max())
    pair = "Intervals of 95 %, paired: the same resampled test patients for both"
    if seeds > 1:
        return f"{pair}, and the spread of {seeds} seeds."
    return f"{pair}. One seed: what another training run would have given is not in them."


def claim_sentence(checked: pd.DataFrame, claim: str, metric: str, over: str = "the sizes") -> str:
    """One claim by one score as a sentence, on average over the sizes (or what `over` says) where there are several."""
    lines = checked[(checked["claim"] == claim) & (checked["metric"] == metric)]
    if lines.empty:
        return f"The rows of the claim '{claim}' were not run."
    line, seeds = lines.iloc[-1], int(lines["seeds"].max())
    where = "with all negatives" if line["column"] == "all" else f"at {show.column_head(line['column'])}"
    where = f"on average over {over}" if line["column"] == MEAN else where
    text, word, name = f"“{line['text']}”", overall(lines), NAMES.get(metric, metric)
    if pd.isna(line["difference"]):
        return f"{text} cannot be judged here: {name} is not defined."
    known = pd.notna(line["low"])
    interval = f"95 % interval {in_points(line['low'])} to {in_points(line['high'])}, " if known else ""
    at = ", at the threshold from the validation split" if metric.endswith("_validation") else ""
    said = f"{name.rstrip('*')} differs by {in_points(line['difference'])} points {where}{at} "
    said += f"({interval}{seeds} seed{'s' * (seeds != 1)})"
    if word == TOO_FEW:
        return (
            f"{text} cannot be judged on fewer than {FEWEST} test patients with or without COVID-19: {said}."
        )
    judged = "is neither borne out nor refuted" if word == UNCLEAR else word
    return f"{text} {judged} here: {said}."
