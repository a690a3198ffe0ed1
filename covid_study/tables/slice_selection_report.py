"""What notebook 14 says: what was chosen, whether the ranking means anything, and the answer to its question."""

from collections.abc import Mapping
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import HTML

from covid_study.analysis.slice_ranking_meaning import QUESTIONS
from covid_study.report import show
from covid_study.report.show import column_head
from covid_study.report.verdicts import listed, percent, side, with_interval
from covid_study.report.words import finding_name
from covid_study.scores.old_claims import FAILS, HOLDS, MEAN, TOO_FEW
from covid_study.scores.resamples import Interval
from covid_study.tables.ablation import Cell
from covid_study.tables.ablation_report import NAMES, in_points
from covid_study.tables.selection_and_supervision import ROWS, SCORES
from covid_study.tables.slice_ranking import SOURCES, Labelled
from covid_study.training.run import Run, timing

SETS = {"all": "All negatives", "random": "Random", "dual_track": "Dual-track"}
ASKED = {
    "cap": "CAP before non-pneumonia",
    "mistaken": "patients who look like COVID-19 to a probe before those who do not",
}


def archive_sentence(p, given: Labelled) -> str:
    """What the slices are ranked by, how many distances the ranking rests on, and what they took."""
    negatives, positives = given.soft_labels.shape
    return (
        f"Ranked by the {SOURCES[p.slice_selection.features]}, {given.features.shape[1]:,} values a slice: "
        f"{negatives:,} negative and {positives:,} COVID-19 training slices, {negatives * positives:,} distances in "
        f"{show.duration(given.seconds / 3600)}, features included."
    )


def taken_table(taken: pd.DataFrame) -> HTML:
    """`selection_and_supervision.taken` for a reader, means over seeds."""
    counts = ("negatives", "column", "seed", "positives", "slices", "patients")
    findings = [name for name in taken if name not in counts]
    findings = findings if len(findings) > 1 else []  # one is all of them
    body = ""
    for (column, negatives), part in taken.groupby(["column", "negatives"], sort=False):
        mean = part.drop(columns=["negatives", "column"]).mean()
        cells = [column_head(column), f"{mean['positives']:,.0f}", f"{mean['slices']:,.0f}"]
        cells += [f"{mean['patients']:,.0f}", f"{mean['slices'] / mean['positives']:.1f}"]
        cells += [percent(mean[finding]) for finding in findings]
        body += f"<tr><th class='row'>{SETS[negatives]}</th>"
        body += "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    heads = ["", "share of the COVID-19 slices", "COVID-19 slices", "negative slices", "of patients"]
    heads += ["negatives a COVID-19 slice", *[f"{finding_name(finding)} of them" for finding in findings]]
    head = "".join(f"<th class='wrap'>{escape(name)}</th>" for name in heads)
    return show.framed("<b>What the classifiers are trained on</b>", f"<tr>{head}</tr>", body)


def taken_sentence(taken: pd.DataFrame) -> str:
    """Where CAP is known: does the selection hold more of it than the archive? As a description, without a test."""
    if "cap" not in taken:
        return "The pictures are COVID-19 or not: what the chosen negatives are beyond that is not known."
    mean = taken.groupby(["column", "negatives"], sort=False)["cap"].mean().unstack("negatives", sort=False)
    said = [
        f"{percent(row['dual_track'])} of the chosen negatives at {column_head(column)}"
        for column, row in mean.iterrows()
    ]
    return (
        f"CAP, which looks like COVID-19, is {percent(mean['all'].iloc[0])} of all negatives, {listed(said)}."
    )


def probe_sentence(found: Interval) -> str:
    """What the word of the probe is worth; of `slice_ranking_meaning.probe_auc`."""
    row = found._asdict()
    where = side(row, 0.5)
    if where == "unknown":
        return "There are too few patients for a probe, or to know what its word is worth."
    worth = {"above": "so that its word counts", "on": "which may be chance: its word counts for little"}
    return (
        f"The probe tells COVID-19 from other training slices with an AUC of {with_interval(row)}, "
        f"{worth.get(where, 'which is worse than chance: its word does not count')}."
    )


def evidence_table(found: pd.DataFrame) -> pd.DataFrame:
    """`slice_ranking_meaning.evidence` with the words that `charts.forest` draws: label and group."""
    names = found["source"].map(SOURCES) + ", " + found["share"].map(column_head)
    return found.assign(label=names, group=found["question"].map(QUESTIONS))


def evidence_sentences(found: pd.DataFrame) -> str:
    """What each question of `slice_ranking_meaning.evidence` says about the rankings, a paragraph a question."""
    if found.empty:
        return "Whether the ranking means anything cannot be asked here: too few patients."
    words = {
        "above": "more often than a coin",
        "on": "no better than a coin as far as these slices can show",
        "below": "less often than a coin",
        "unknown": "too few patients for an interval, so that nothing follows",
    }
    said = []
    for question, rows in evidence_table(found).groupby("question", sort=False):
        parts = [
            f"By the {row['label']}: AUC {with_interval(row)}, {words[side(row, 0.5)]}"
            for row in rows.to_dict("records")
        ]
        said.append(f"Does difficulty put {ASKED[question]}? " + ". ".join(parts) + ".")
    return "\n\n".join(said)


def means_something(found: pd.DataFrame, source: str) -> bool:
    """Whether difficulty by this source was shown to mean something at every share, by one of the questions at least."""
    here = found[found["source"] == source]
    above = here[here["low"] > 0.5]
    return bool(len(here)) and set(above["share"]) == set(here["share"])


def spent_table(runs: Mapping[Cell, Run], folders: Mapping[Cell, Path]) -> HTML:
    """What each classifier took: slices seen, training, and the ranking behind it; means over seeds."""
    rows = [
        (column, row, run.seen, timing(folders[cell])["train_seconds"], run.before.seconds)
        for cell, run in runs.items()
        for row, column, _ in [cell]
    ]
    frame = pd.DataFrame(rows, columns=["column", "row", "seen", "seconds", "before"])
    body = ""
    for (column, row), part in frame.groupby(["column", "row"], sort=False):
        mean = part[["seen", "seconds", "before"]].mean()
        ranking = show.duration(mean["before"] / 3600) if mean["before"] else "none"
        cells = [f"{mean['seen']:,.0f}", show.duration(mean["seconds"] / 3600), ranking]
        body += f"<tr><th class='row'>{column_head(row)}</th><td>{column_head(column)}</td>"
        body += "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    heads = ["", "COVID-19 slices", "Slices seen", "Training", "Ranking"]
    head = "".join(f"<th class='wrap'>{name}</th>" for name in heads)
    times = "Slices seen are counted and the same on every machine, times are this machine's."
    return show.framed(f"<b>What each classifier took</b><br>{times}", f"<tr>{head}</tr>", body)


def spent_sentence(runs: Mapping[Cell, Run]) -> str:
    """How many fewer slices pass through the network with chosen negatives than with all."""
    seen = {name: np.mean([run.seen for (row, _, _), run in runs.items() if row == name]) for name in ROWS}
    fewer = 1 - seen["dual_track_ce"] / seen["all_ce"]
    return f"On average over the shares {percent(fewer)} fewer slices pass through a network whose negatives are a part of all."


def answer(effects: pd.DataFrame, scored: pd.DataFrame, metric: str = SCORES[0]) -> str:
    """Does choosing negatives help a loss that already rebalances? In words, or why it cannot be said.

    Args:
        effects: of `selection_and_supervision.effects`. scored: of `slice_ablation.results`.
    """
    last = effects.groupby(["claim", "metric"]).tail(1)  # the mean, where there is one
    last = last.set_index(["claim", "metric"])
    lines = last.xs(metric, level="metric")
    if not {"choosing_saal", "choosing_ce", "interaction"} <= set(lines.index):
        return "The question cannot be answered: the classifiers that it compares were not trained."
    saal, ce, more = (lines.loc[key] for key in ("choosing_saal", "choosing_ce", "interaction"))
    if saal["verdict"] == TOO_FEW:
        return (
            "The question cannot be answered here: too few patients are tested, or the score is not defined."
        )
    ranked = scored[(scored["metric"] == "auc") & scored["row"].isin(ROWS)]
    if not (ranked["low"] > 0.5).any():
        return "The question cannot be answered here: no classifier was shown to rank COVID-19 better than a coin."
    over = ", on average over the shares" if saal["column"] == MEAN else ""
    name, seeds = NAMES[metric], int(saal["seeds"])
    runs = f"{seeds} seed{'s' * (seeds != 1)}"
    start = {HOLDS: "Choosing negatives helps SAAL", FAILS: "Choosing negatives harms SAAL"}
    first = start.get(saal["verdict"], "Whether choosing negatives helps SAAL cannot be told")
    second = {HOLDS: "more than", FAILS: "less than"}.get(more["verdict"], "not told apart from")
    ranking = last.loc[("choosing_saal", "auc")]
    auc = f"; the AUC, which does not feel where the line lies, differs by {_points(ranking)} points ({_interval(ranking)})"
    gained = (
        f"what SAAL gains by it is {second} what CE gains (difference {_points(more)}, {_interval(more)})"
    )
    return (
        f"{first}: {name} differs by {_points(saal)} points from that with as many random ones{over} "
        f"({_interval(saal)}, {runs}){auc}. With CE it differs by {_points(ce)} points ({_interval(ce)}); {gained}."
    )


def caveat(found: pd.DataFrame, source: str) -> str:
    """What weakens the answer where the ranking was not shown to mean anything; else nothing. As `means_something`."""
    if means_something(found, source):
        return ""
    return (
        f"The ranking by the {SOURCES[source]} was not shown to mean anything at every share, so that this is no test of "
        "choosing well."
    )


def _points(line: pd.Series) -> str:
    return in_points(line["difference"])


def _interval(line: pd.Series) -> str:
    if pd.isna(line["low"]):
        return "no interval"
    return f"95 % interval {in_points(line['low'])} to {in_points(line['high'])}"
