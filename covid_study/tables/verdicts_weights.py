"""The sentences and tables of notebook 08: what masking, the set of permutations and pre-trained weights change."""

from collections.abc import Iterable
from html import escape

import numpy as np
import pandas as pd
from IPython.display import HTML

from covid_study.pretext.probes import TARGETS
from covid_study.report.show import duration, framed
from covid_study.report.verdicts import listed, percent, side
from covid_study.samples.samples import Samples
from covid_study.scores import published as papers
from covid_study.tables import volume_steps
from covid_study.tables.a7_weights import Contrast, pretrained
from covid_study.tables.ablation_report import in_points

MEASURES = {
    "permutation": "the accuracy of the permutation",
    "horizontal": "the accuracy of horizontal turns",
    "vertical": "the accuracy of vertical turns",
    **{words: f"the AUC of a probe for {words}" for words in TARGETS.values()},
}
HEADS = {
    "permutation": "Permutation",
    "horizontal": "Horizontal<br>turns",
    "vertical": "Vertical<br>turns",
    **{words: f"Probe: {words.replace(' against', '<br>against')}" for words in TARGETS.values()},
}
GRADES = {"learnt": "learnt", "barely": "barely", "no": "not learnt", "unknown": "unknown"}


def change_sentences(changes: pd.DataFrame, contrasts: Iterable[Contrast]) -> str:
    """What each contrast changes, a paragraph each: decided by the intervals alone.

    changes: of `a7_weights.accuracy_changes` and `a7_weights.probe_changes`, one below the other.
    """
    return "\n\n".join(_change_sentence(changes[changes["contrast"] == c.label], c) for c in contrasts)


def _change_sentence(changes: pd.DataFrame, contrast: Contrast) -> str:
    rows = changes.to_dict("records")
    told = {s: [_told(row) for row in rows if side(row) == s] for s in ("above", "below")}
    verbs = {"above": "raises", "below": "lowers"}
    said = [f"{verbs[s]} {listed(things)}" for s, things in told.items() if things]
    open_, silent = ([MEASURES[row["measure"]] for row in rows if side(row) == s] for s in ("on", "unknown"))
    if not said and not silent:
        return f"{contrast.subject} changes nothing, in the pretext task or in the probe, that these exams could show."
    sentences = [f"{contrast.subject} {' and '.join(said)}."] if said else []
    if open_:
        start = "It changes" if said else f"{contrast.subject} changes"
        sentences.append(f"{start} {listed(open_)} by nothing that these exams could show.")
    if silent:
        start = contrast.subject[0].lower() + contrast.subject[1:]
        sentences.append(f"What {start} changes in {listed(silent)} is unknown: there are too few exams.")
    return " ".join(sentences)


def _told(row: dict) -> str:
    pair = " against ".join(_value(row, k) for k in ("one", "other"))
    interval = f"{in_points(row['low'])} to {in_points(row['high'])}"
    return f"{MEASURES[row['measure']]} ({pair}, {in_points(row['value'])} points, {interval})"


def _value(row: dict, key: str) -> str:
    if np.isnan(row[key]):
        return "–"
    return f"{row[key]:.2f}" if row["measure"] in TARGETS.values() else f"{100 * row[key]:.0f} %"


def changes_table(changes: pd.DataFrame, title: str) -> HTML:
    """The same numbers, a row a comparison and a column a measure: both values, their difference in points, its interval."""
    measures = list(dict.fromkeys(changes["measure"]))
    cells = {(row["contrast"], row["measure"]): row for row in changes.to_dict("records")}
    body = ""
    for contrast in dict.fromkeys(changes["contrast"]):
        body += f"<tr><th class='row'>{escape(contrast).replace(chr(10), '<br>')}</th>"
        for measure in measures:
            row = cells[contrast, measure]
            pair = " · ".join(_value(row, k) for k in ("one", "other"))
            known = np.isfinite([row["low"], row["high"]]).all()
            interval = f"{in_points(row['low'])} to {in_points(row['high'])}" if known else "no interval"
            difference = (
                f"<b>{in_points(row['value'])}</b>"
                if side(row) in ("above", "below")
                else in_points(row["value"])
            )
            body += f"<td>{pair}<br>{difference}<br><span class='small'>{interval}</span></td>"
        body += "</tr>"
    head = "".join(f"<th>{h}</th>" for h in ["", *(HEADS[m] for m in measures)])
    seeds = int(changes["seeds"].max())
    caption = (
        f"<b>{escape(title)}</b><br>Each cell: with it · without it, the difference in percentage points and its 95 % interval "
        f"({seeds} seed{'s' * (seeds != 1)}), bold where the interval excludes zero. Shares of right answers on validation "
        "exams with COVID-19; AUC of a linear probe on exams that no pre-training has seen."
    )
    return framed(caption, f"<tr>{head}</tr>", body)


def learnt_table(tests: pd.DataFrame) -> pd.DataFrame:
    """Of `pretext_learnt.pretext_tests`: a row a variant, a column a part, its accuracy and whether it was learnt."""
    words = [
        "unknown" if row.learnt == "unknown" else f"{percent(row.accuracy)}, {GRADES[row.learnt]}"
        for row in tests.itertuples()
    ]
    wide = tests.assign(words=words).pivot(index="variant", columns="part", values="words")
    chance = tests.drop_duplicates("part").set_index("part")["chance"]
    wide = wide.loc[list(dict.fromkeys(tests["variant"])), list(chance.index)]
    wide.columns = [f"{part} (chance {percent(chance[part])})" for part in wide.columns]
    return wide.rename_axis(None)


def learnt_sentence(tests: pd.DataFrame) -> str:
    """Can a difference between the pre-trainings be put down to how they were done? Not where they have learnt nothing."""
    if (tests["learnt"] == "unknown").all():
        return "No validation exam with COVID-19: it is not known whether any of these pre-trainings has learnt the task."
    learnt = tests.loc[tests["learnt"].isin(["learnt", "barely"]), "variant"]
    missing = [f"“{name}”" for name in dict.fromkeys(tests["variant"]) if name not in set(learnt)]
    if not missing:
        return "All of these pre-trainings do some part of the task better than by guessing."
    if len(missing) == tests["variant"].nunique():
        return (
            "None of these pre-trainings does any part of the task better than by guessing: where they differ below, in the "
            "probe too, it cannot be put down to what they were meant to learn."
        )
    return (
        f"{listed(missing)} does no part of the task better than by guessing: what differs from it below says more about "
        "whether the task was learnt at all in these epochs than about what was learnt."
    )


def sets_sentence(table: pd.DataFrame) -> str:
    """How near the nearest permutations of each set lie, of `a7_weights.sets_table`.

    >>> names = ["smallest distance", "mean distance", "pairs at the smallest", "pairs"]
    >>> sets_sentence(pd.DataFrame([[6, 7.0, 3, 9], [2, 7.0, 1, 9]], index=["ours", "greedy"], columns=names))
    'The nearest pairs lie 6 apart in the set “ours” (3 of 9 pairs) and 2 apart in the set “greedy” (1 of 9 pairs).'
    """
    said = [
        f"{row['smallest distance']:.0f} apart in the set “{name}” ({row['pairs at the smallest']:,.0f} of {row['pairs']:,.0f} "
        "pairs)"
        for name, row in table.to_dict("index").items()
    ]
    return f"The nearest pairs lie {listed(said)}."


def paper_uncertainty(row: str = "rubiks_cube_pro") -> str:
    """How wide the paper's own F1 of a row of Table VII would have been, beside the gain that it reports."""
    found = papers.intervals("A.VII").query("row == @row and metric == 'f1'").iloc[0]
    value = papers.table("A.VII").query("metric == 'f1'").set_index("row")["value"]
    return (
        f"The paper gives no intervals. With its {papers.TEST_POSITIVES['A']} positive test exams, its F1 of "
        f"{100 * value[row]:.1f} % has a 95 % interval of {100 * found['low']:.0f} to {100 * found['high']:.0f} %; the gain "
        f"over training from scratch that it reports is {in_points(value[row] - value['scratch'], sign=False)} points."
    )


def cost_sentence(p, v: Samples, cost: pd.DataFrame) -> str:
    """What pre-training on the whole training set adds to the classifier, in time and in exams seen.

    cost: of `cost.costs`, Table VII.
    """
    exams, epochs = len(volume_steps.ids(v, "train")), p.pretext.all_samples_epochs
    seconds = np.mean([volume_steps.pretext_seconds(folder) for folder in pretrained(p, v).values()])
    scratch = cost[cost["row"] == "scratch"].iloc[0]
    return (
        f"Pre-training goes {epochs} time{'s' * (epochs != 1)} through the {exams} training exams, {exams * epochs:,} exams "
        f"seen in {duration(seconds / 3600)}; the classifier from scratch sees {scratch['exams_seen']:,.0f} in "
        f"{duration(scratch['compute_seconds'] / 3600)}. With the pre-training, the whole takes "
        f"{1 + seconds / scratch['compute_seconds']:.1f} times as long as from scratch."
    )
