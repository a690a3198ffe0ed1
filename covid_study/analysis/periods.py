"""Training periods of the runs of a table, and whether they fall with the number of negatives (paper A, V-D1)."""

from collections.abc import Mapping
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import HTML

from covid_study.report import show
from covid_study.samples.samples import Samples
from covid_study.tables import volume_steps
from covid_study.tables.ablation_report import labels
from covid_study.training.run import Run, timing


def periods(runs: Mapping[tuple, Run], folders: Mapping[tuple, Path]) -> pd.DataFrame:
    """What each cell of a table cost: before the classifier and the classifier itself, means over seeds.

    Returns:
        row, column, before (pre-training and ranking), classifier, seconds (both), exams_seen (over all epochs), seeds.
    """
    rows = []
    for (row, column, seed), folder in folders.items():
        took = timing(folder)
        rows.append(
            (
                row,
                column,
                runs[row, column, seed].before.seconds,
                took["train_seconds"],
                took["exams_seen"],
                seed,
            )
        )
    frame = pd.DataFrame(rows, columns=["row", "column", "before", "classifier", "exams_seen", "seed"])
    found = frame.groupby(["row", "column"], sort=False).agg(
        before=("before", "mean"), classifier=("classifier", "mean"), exams_seen=("exams_seen", "mean"),
        seeds=("seed", "nunique"),
    )  # fmt: skip
    return found.assign(seconds=found["before"] + found["classifier"]).reset_index()


def periods_table(frame: pd.DataFrame, name: str, sizes: Mapping[str, int]) -> HTML:
    """Training periods of every row and size, and how much of each was spent before the classifier."""
    columns = [c for c in sizes if c in set(frame["column"])]
    cells, words = frame.set_index(["row", "column"]), labels(name)
    heads = "".join(
        f"<th>{show.column_head(c)}<br><span class='small'>{sizes[c]:,}</span></th>" for c in columns
    )
    body = ""
    for row in dict.fromkeys(frame["row"]):
        body += f"<tr><th class='row'>{escape(words.get(row, row))}</th>"
        for column in columns:
            if (row, column) not in cells.index:
                body += "<td></td>"
                continue
            cell = cells.loc[(row, column)]
            total, before = (show.duration(cell[k] / 3600) for k in ("seconds", "before"))
            extra = f"{before} before" if cell["before"] else "nothing before"
            body += f"<td><b>{total}</b><br><span class='small'>{extra}<br>{cell['exams_seen']:,.0f} exams seen</span></td>"
        body += "</tr>"
    caption = (
        "<b>Training periods here</b><br>From preprocessed volumes on: pre-training and ranking where the row needs them "
        "(“before”), and the classifier; exams seen by the classifier over all its epochs."
    )
    return show.framed(caption, f"<tr><th></th>{heads}</tr>", body)


def proportion_sentence(frame: pd.DataFrame, sizes: Mapping[str, int], row: str = "both") -> str:
    """Does the training period fall in proportion to the negatives? With and without what comes before the classifier.

    Choice: "in proportion" allows a tenth more than the share of the negatives.
    """
    cells = frame.set_index(["row", "column"])
    columns = [c for c in sizes if (row, c) in cells.index]
    if ("random", "all") not in cells.index or not columns:
        return "Training on all negatives was not run: nothing to compare the periods with."
    whole = cells.loc[("random", "all")]
    share = np.array([sizes[c] / sizes["all"] for c in columns])
    total = np.array([cells.loc[(row, c), "seconds"] / whole["seconds"] for c in columns])
    alone = np.array([cells.loc[(row, c), "classifier"] / whole["classifier"] for c in columns])
    seen = np.array([cells.loc[(row, c), "exams_seen"] / whole["exams_seen"] for c in columns])
    word = "does not hold here: a selection takes longer than all negatives"
    if (total <= 1.1 * share).all():
        word = "holds here"
    elif (total < 1).all():
        word = (
            "holds in part here: every selection is faster than all negatives, but by less than in proportion"
        )
    elif (total < 1).any():
        word = "does not hold at every size here: not every selection is faster than all negatives"
    return (
        f"That the training period falls in proportion to the negatives {word}. Relative to training on all, "
        f"{_listed(share)} of the negatives take {_listed(total)} of the time, pre-training and ranking included, "
        f"and {_listed(alone)} for the classifier alone; it sees {_listed(seen)} of the exams, since all positives "
        "are kept."
    )


def pretraining_sentence(p, v: Samples) -> str:
    """What pre-training on all samples costs beside pre-training on the positives only (paper A, V-E1)."""
    seeds = p.study.seeds
    few, many = (
        float(
            np.mean(
                [volume_steps.pretext_seconds(volume_steps.pretext(p, v, variant, seed)) for seed in seeds]
            )
        )
        for variant in ("rubiks_cube_pro", "rubiks_cube_pro_all")
    )
    positives, everything = len(volume_steps.ids(v, "train", True)), len(volume_steps.ids(v, "train"))
    return (
        f"Pre-training on {positives} positive{'s' * (positives != 1)} takes {show.duration(few / 3600)} here "
        f"({_epochs(p.pretext.epochs)}), "
        f"on all {everything} training exams {show.duration(many / 3600)} ({_epochs(p.pretext.all_samples_epochs)}): "
        f"{(many / p.pretext.all_samples_epochs) / (few / p.pretext.epochs):.1f} times as long an epoch, for "
        f"{everything / positives:.1f} times as many exams."
    )


def _epochs(n: int) -> str:
    return f"{n} epoch{'s' * (n != 1)}"


def _listed(values: np.ndarray) -> str:
    texts = [f"{100 * x:.0f} %" for x in values]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
