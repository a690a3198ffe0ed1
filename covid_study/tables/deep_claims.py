"""What notebook 09 says of the claims of paper B, 5.1 and 5.2: which networks may be compared, and what came out."""

from collections.abc import Mapping
from html import escape

import pandas as pd
from IPython.display import HTML

from covid_study.report import show
from covid_study.report.verdicts import listed
from covid_study.scores.old_claims import FAILS, FEWEST, HOLDS, MEAN, TOO_FEW, UNCLEAR, overall
from covid_study.scores.slice_claims import OURS
from covid_study.tables import ablation_report as report
from covid_study.tables.ablation import Cell
from covid_study.tables.slice_ablation import labels
from covid_study.training.run import Run

TOLD = {
    HOLDS: "a gain",
    FAILS: "a loss",
    UNCLEAR: "not to be told from none",
    TOO_FEW: "too few test patients to judge",
}


def learnt_sentence(results: pd.DataFrame, fewest: int) -> str:
    """Whose AUC is above one half with its whole interval: the others have not been shown to have learnt anything.

    results: of `slice_ablation.results`. fewest: test patients in the smaller class.
    """
    areas = results[(results["metric"] == "auc") & results["mean"].notna()]
    if fewest < FEWEST:
        return "Too few test patients: nothing shows that a network has learnt to find COVID-19."
    above = areas[areas["low"] > 0.5]
    if len(above) == len(areas):
        return f"The AUC of each of the {len(areas)} networks is above one half with its whole interval."
    behind = listed(list(areas.loc[~areas.index.isin(above.index), "label"]))
    return (
        f"The AUC of {len(above) or 'none'} of {len(areas)} networks is above one half with its whole interval. Nothing shows "
        f"that {behind} learnt to find COVID-19."
    )


def trained_alike(runs: Mapping[Cell, Run]) -> tuple[list[str], list[str]]:
    """The rows of Table 3 that had what DSN-SAAL has, epochs, slices, and weights to start from, and those that had not.

    Choice: other weights than ImageNet's, and more pre-training, are what some rows are about, and count as weights.
    """

    def length(run: Run) -> tuple:
        return (
            run.method.weights is None,
            run.method.training["epochs"],
            len(run.training_ids) + len(run.method.meta_ids),
        )

    ours = length(_ours(runs))
    alike = {row: length(run) == ours for (row, *_), run in runs.items() if row != OURS}
    names = labels("B.3")
    return [names[row] for row in alike if alike[row]], [names[row] for row in alike if not alike[row]]


def _ours(runs: Mapping[Cell, Run]) -> Run:
    return next(run for (row, *_), run in runs.items() if row == OURS)


def fair_sentence(runs: Mapping[Cell, Run]) -> str:
    """Which networks of Table 3 are a measure of DSN-SAAL, and which are not."""
    alike, others = trained_alike(runs)
    start = "given" if _ours(runs).weights else "random"
    text = f"Trained like DSN-SAAL, from {start} weights, for as many epochs and on as many slices: {listed(alike)}."
    if not others:
        return text
    them = "those" if len(others) > 1 else "that"
    return f"{text} Not so: {listed(others)}. A difference from {them} may be one of training alone."


def headline(
    p, runs: Mapping[Cell, Run], checked_3: pd.DataFrame, checked_4: pd.DataFrame, metric: str = "gmean"
) -> str:
    """What deep supervision and DSN-SAAL change on the study's backbone, and Table 3's claim where it is fair to all.

    runs: of Table 3. checked_3, checked_4: of `slice_claims.check`.
    """
    own = p.slice_network.backbone
    said = []
    for name, checked, claim in (("deep supervision", checked_4, "dsn"), ("DSN-SAAL", checked_3, "all")):
        line = checked.set_index(["claim", "column", "metric"]).loc[(claim, own, metric)]
        ends = f"{report.in_points(line['low'])} to {report.in_points(line['high'])}"
        interval = f"95 % interval {ends}, " if pd.notna(line["low"]) else ""
        points = f"{report.in_points(line['difference'])} points"
        said.append(f"{name} changes {report.NAMES[metric]} by {points} ({interval}{TOLD[line['verdict']]})")
    seeds = int(checked_3["seeds"].max())
    text = (
        f"Beside plain {show.column_head(own)} {listed(said)}, {seeds} seed{'s' * (seeds != 1)}, per slice."
    )
    if trained_alike(runs)[1]:
        return f"{text} The networks of Table 3 that were trained otherwise are no measure of it."
    return f"{text} {report.claim_sentence(checked_3, 'all', metric, 'the networks')}"


def networks_table(checked: pd.DataFrame, title: str, apart: str | None = None) -> HTML:
    """`ablation_report.claims_table` turned round, for many networks: a line a network, a column a score.

    checked: of `slice_claims.check`. apart: how the keys begin of what is shown beside the claims and has no verdict.
    """
    if checked.empty:
        return HTML("<p>None of the networks that the paper's claims compare was run.</p>")
    scores = list(dict.fromkeys(checked["metric"]))
    head = "".join(f"<th>{h}</th>" for h in ["", "", *(report.NAMES.get(m, m) for m in scores)])
    body = ""
    for key, claim in checked.groupby("claim", sort=False):
        text, where = claim[["text", "where"]].iloc[0]
        section = f"<span class='small'>(Section {where})</span>"
        body += f"<tr class='claim'><td colspan='{len(scores) + 2}'>{escape(text)} {section}</td></tr>"
        for column, lines in claim.groupby("column", sort=False):
            by, paper = lines.set_index("metric").to_dict("index"), bool(lines["published"].notna().any())
            heads = "<br>".join(["ours", "95 %", *["<span class='paper'>paper</span>"] * paper])
            name = "Mean over networks" if column == MEAN else show.column_head(column)
            cells = "".join(report.difference_cell(by.get(m), paper) for m in scores)
            body += f"<tr><th class='row'>{escape(name)}</th><td class='key'>{heads}</td>{cells}</tr>"
        if apart and key.startswith(apart):
            continue
        words = (overall(claim[claim["metric"] == m]).replace("sizes", "rows") for m in scores)
        verdicts = "".join(f"<td>{report.badge(word)}</td>" for word in words)
        body += f"<tr><th class='row'>On these slices the claim</th><td></td>{verdicts}</tr>"
    caption = (
        f"<b>{escape(title)}</b><br>Differences in percentage points; positive ones speak for the claim. "
        f"{escape(report.seeds_sentence(checked))}"
    )
    return show.framed(caption, f"<tr>{head}</tr>", body, report.STYLE)
