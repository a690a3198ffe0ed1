"""What notebook 11 says beside Table 6: how few slices are left, what declines, and whether line or ranking is lost."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from IPython.display import HTML

from covid_study.report import show
from covid_study.report.verdicts import listed, percent
from covid_study.report.words import finding_name
from covid_study.scores import published as papers
from covid_study.scores.old_claims import FAILS, HOLDS, MEAN, TOO_FEW, UNCLEAR
from covid_study.scores.slice_claims import ALL, WHOLE
from covid_study.tables.ablation_report import NAMES, STYLE, in_points
from covid_study.tables.b6_fewer_positives import METHODS, MOVED

CLAIMED = {"decline_baseline": "the baseline", "decline": "DSN-SAAL"}
NO_SHARE = "No share below 100 % was run."
NOTHING = 0.05  # a sensitivity below it is next to nothing
VERBS = {  # of the claim that a score declines: of one score, of several
    HOLDS: ("declines", "decline"),
    FAILS: ("rises", "rise"),
    UNCLEAR: 2 * ("cannot be told from no change",),
}


def _head(row: str) -> str:
    return show.column_head(row).replace(" ", "\N{NO-BREAK SPACE}")


def _range(values: pd.Series, text=str) -> str:
    return " to ".join(dict.fromkeys(text(x) for x in (values.min(), values.max())))


def counts_table(counts: pd.DataFrame) -> pd.DataFrame:
    """`b6_fewer_positives.kept` for a reader; ranges over seeds."""
    lines = {}
    for row, part in counts.groupby("row", sort=False):
        lines[_head(row)] = {
            "COVID-19 slices": _range(part["slices"]),
            "of patients": _range(part["patients"]),
            "other slices": _range(part["others"]),
            "COVID-19 among all": _range(part["share"], percent),
            "COVID-19 slices in the paper": f"{part['published'].iloc[0]:,}",
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis(columns="share of the COVID-19 slices")


def counts_sentence(counts: pd.DataFrame) -> str:
    """Which shares leave the same slices, and how few patients the smallest one rests on."""
    first = counts[counts["seed"] == counts["seed"].iloc[0]]
    said = []
    for n, part in first.groupby("slices", sort=False):
        if len(part) > 1:
            shares = listed([_head(row) for row in part["row"]])
            said.append(
                f"{shares} are the same {_count(n, 'slice')} here: one run, shown in each of these lines."
            )
    few = counts.sort_values("slices").iloc[0]
    if few["patients"] < 5:
        said.append(
            f"At {_head(few['row'])} COVID-19 is {_count(few['slices'], 'slice')} of {_count(few['patients'], 'patient')}: "
            "what is learnt there depends on whose slices they are, which no interval over test patients shows."
        )
    return " ".join(said)


def slices_in_words(counts: pd.DataFrame) -> dict[str, str]:
    """How many COVID-19 slices each share is, for the axis of a figure."""
    most = counts.groupby("row", sort=False)["slices"].max()  # as many for every seed
    return {row: _count(n, "slice") for row, n in most.items()}


def training_sentence(p) -> str:
    """For how long and on what the classifiers are trained."""
    epochs, size = p.slice_training.epochs, p.slices.size
    return f"Each classifier is trained for {_count(epochs, 'epoch')} on images of {size} x {size} pixels."


def _count(n: int, of: str) -> str:
    return f"{n:,} {of}{'' if n == 1 else 's'}"


def paper_decline_sentence() -> str:
    """What in the paper's own Table 6 does not decline, while its Section 5.3 says that all indicators do."""
    paper = papers.table("B.6")
    said = []
    for method in METHODS:
        for metric in ALL:
            part = paper[(paper["column"] == method) & (paper["metric"] == metric)].set_index("row")["value"]
            whole, fewer = part[WHOLE], part.drop(WHOLE)
            up = fewer[fewer > whole]
            if len(up) == len(fewer):
                where = (
                    f"at every share, from {whole:.3f} to {fewer.iloc[-1]:.3f} at {_head(fewer.index[-1])}"
                )
            elif len(up):
                where = listed([f"at {_head(row)}, {x:.3f} after {whole:.3f}" for row, x in up.items()])
            else:
                continue
            said.append(f"{NAMES[metric]} of {_called(method)} rises {where}")
    return f"Section 5.3 says that all indicators decline. Its own table says otherwise: {listed(said)}."


def _called(method: str) -> str:
    return "the baseline" if method == METHODS[0] else show.column_head(method)


def decline_sentence(checked: pd.DataFrame) -> str:
    """Which scores decline here, on average over the shares, and which rise; of `slice_claims.check` for "B.6"."""
    if not set(CLAIMED) & set(checked["claim"]):
        return NO_SHARE
    said = []
    for claim, method in CLAIMED.items():
        of = checked[checked["claim"] == claim]
        lines = of.groupby("metric", sort=False).last()  # the mean, where there is one
        if lines.empty or (lines["verdict"] == TOO_FEW).all():
            continue
        parts = []
        for verdict, (one, several) in VERBS.items():
            names = [NAMES[metric] for metric in lines.index[lines["verdict"] == verdict]]
            parts += [f"{listed(names)} {several if len(names) > 1 else one}"] if names else []
        said.append(f"of {method}, {listed(parts)}")
    if not said:
        return "Here too few patients are tested to say what declines."
    over = ", on average over the shares" if (checked["column"] == MEAN).any() else ""
    return f"Here{over}: {'; '.join(said)}."


def floor_sentence(joined: pd.DataFrame) -> str:
    """Where both classifiers find next to nothing, so that the fall says only where each started."""
    sen = joined[(joined["metric"] == "sen") & joined["mean"].notna()]
    sen = sen.pivot(index="row", columns="column", values="mean").reindex(dict.fromkeys(sen["row"])).dropna()
    lost = sen.index[(sen < NOTHING).all(axis=1) & (sen.index != WHOLE)]
    if not len(lost):
        return ""
    return (
        f"At {listed([_head(row) for row in lost])} both find less than {percent(NOTHING)} of the COVID-19 slices: the one "
        "that found more with all slices has then fallen further, which says nothing about how well either keeps what it knows."
    )


def line_table(changed: pd.DataFrame) -> HTML:
    """`b6_fewer_positives.changes` for a reader: sensitivity as called and with the line moved back, specificity, AUC."""
    heads = ["SEN", "SEN, line moved back", "AUC", "SPE", "SPE, line moved back"]
    keys = [("sen", ""), ("sen", MOVED), ("auc", ""), ("spe", ""), ("spe", MOVED)]
    lines = changed.set_index(["row", "column", "metric"])
    rows = dict.fromkeys(changed["row"])
    body = ""
    for method in METHODS:
        for row in rows:
            if (row, method, "sen") not in lines.index:
                continue
            cells = "".join(_change(lines.loc[(row, method + end, metric)]) for metric, end in keys)
            name = f"{show.column_head(method)}, {show.column_head(row)}"
            body += f"<tr><th class='row'>{name}</th>{cells}</tr>"
    if not body:
        return HTML(f"<p>{NO_SHARE}</p>")
    head = "".join(f"<th class='wrap'>{h}</th>" for h in ["", *heads])
    caption = (
        "<b>What is lost against all COVID-19 slices</b><br>Each cell: the score, its change in percentage points, and the "
        "95 % interval of the change over the same resampled test patients."
    )
    return show.framed(caption, f"<tr>{head}</tr>", body, STYLE)


def _change(line: pd.Series) -> str:
    value = "–" if np.isnan(line["value"]) else f"{line['value']:.3f}"
    between = (
        f"{in_points(line['low'])} to {in_points(line['high'])}" if pd.notna(line["low"]) else "no interval"
    )
    return (
        f"<td><b>{value}</b><br>{in_points(line['difference'])}<br><span class='small'>{between}</span></td>"
    )


def line_sentence(changed: pd.DataFrame) -> str:
    """Is it the line between the classes that is lost, or the ranking? One method after the other."""
    said = [_lost(changed[changed["column"].isin([method, method + MOVED])], method) for method in METHODS]
    return " ".join(filter(None, said)) or NO_SHARE


def _lost(part: pd.DataFrame, method: str) -> str:
    verdicts = part[(part["column"] == method) & part["metric"].isin(["sen", "auc"])]
    verdicts = verdicts.pivot(index="row", columns="metric", values="verdict")
    name = _called(method)
    if verdicts.empty or (verdicts == TOO_FEW).all(axis=None):
        return f"Of {name} nothing can be said: too few test patients." if len(verdicts) else ""
    verdicts = verdicts.reindex(dict.fromkeys(part["row"]))
    fell, ranking = verdicts["sen"] == HOLDS, verdicts["auc"] == HOLDS
    groups = {
        "sensitivity falls and the AUC with it: the ranking is lost": fell & ranking,
        "sensitivity falls while no fall of the AUC can be shown: it may be the line alone": fell & ~ranking,
        "the AUC falls, but no fall of sensitivity can be shown": ~fell & ranking,
        "neither fall can be told from chance": ~fell & ~ranking,
    }
    said = [
        f"at {listed([_head(r) for r in rows.index[rows]])} {what}"
        for what, rows in groups.items()
        if rows.any()
    ]
    value = part.pivot(index="row", columns=["column", "metric"], values="difference")
    back = {m: (value[method + MOVED, m] - value[method, m]).mean() for m in ("sen", "spe")}
    over = ", on average over the shares," if len(verdicts) > 1 else ""
    return (
        f"{name[:1].upper()}{name[1:]}: {'; '.join(said)}. Moving its line back changes the sensitivity{over} by "
        f"{in_points(back['sen'])} points and the specificity by {in_points(back['spe'])}."
    )


def missed_sentence(matrices: Mapping[str, pd.DataFrame]) -> str:
    """What the COVID-19 slices that are missed are called, at the smallest share; of `b6_fewer_positives.confusions`."""
    if not matrices:
        return NO_SHARE
    row, matrix = list(matrices.items())[-1]
    line = matrix.loc["covid"]
    missed = line.drop("covid")
    start = f"At {_head(row)} DSN-SAAL finds {percent(line['covid'] / line.sum())} of the COVID-19 slices."
    if not missed.sum():
        return start
    called = [
        f"{percent(n / missed.sum())} are called {finding_name(name)}"
        for name, n in missed[missed > 0].items()
    ]
    return f"{start} Of those that it misses, {listed(called)}."
