"""How what a run said is scored: volumes by exam (paper A, V-B), slices by slice and by patient (paper B, 4.2)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from covid_study.scores import slices
from covid_study.scores.binary import AT_THRESHOLD, best_f1_threshold
from covid_study.scores.claims import Cell
from covid_study.scores.resamples import bootstrap_intervals
from covid_study.scores.seeds import over_seeds


@dataclass(frozen=True)
class Scoring:
    """What differs between the tables of paper A and of paper B."""

    case: str  # the column of the predictions that names a case
    over: str  # what an interval is over, in words
    scores: Callable[[pd.DataFrame, int], pd.DataFrame]  # of predictions: metric, value, low, high, note
    variants: Callable[[str], tuple[str, ...]]  # the score of a claim -> others that it may be asked by
    shown: tuple[str, ...] | None = None  # scores of a table that the paper lacks; None: those of the paper


def exam_scores(predictions: pd.DataFrame, n: int = 1000) -> pd.DataFrame:
    """Scores of one run on the test split with intervals over patients (paper A, V-B).

    At 0.5 and, with the suffix `_validation`, at the threshold that has the best F1 on the validation split; AUC and average
    precision need none.

    Args:
        predictions: of `run.predictions`. n: resamples.

    Returns:
        metric, value, low, high, note.
    """
    validation, test = (predictions[predictions["split"] == name] for name in ("validation", "test"))
    chosen = best_f1_threshold(validation["label"], validation["probability"])
    arguments = test["label"], test["probability"], test["patient_id"]
    fixed = bootstrap_intervals(*arguments, threshold=0.5, n=n)
    moved = bootstrap_intervals(*arguments, threshold=chosen.threshold, n=n, only_at=True)
    moved = moved.add_suffix("_validation", axis=0)
    if chosen.note:
        moved["note"] = chosen.note
    return pd.concat([fixed, moved]).rename_axis("metric").reset_index()


def _of_exams(score: str) -> tuple[str, ...]:
    return (f"{score}_validation", *(("auc",) if score == "f1" else ())) if score in AT_THRESHOLD else ()


def _of_slices(score: str) -> tuple[str, ...]:
    return tuple(other for other in ("acc", "f1", "gmean", "auc") if other != score)


EXAMS = Scoring("exam_id", "test exams", exam_scores, _of_exams)
SLICES = Scoring("slice_id", "test patients", slices.run_scores, _of_slices, ("acc", "f1", "gmean"))


def scores_of(
    said: Mapping[Cell, pd.DataFrame], scoring: Scoring, n: int, hours: Mapping[Cell, float] | None = None
) -> pd.DataFrame:
    """Means over seeds with intervals of what the runs of some cells said, and their hours where known: `Table.scores`."""
    parts = [pd.DataFrame(columns=["row", "column", "metric", "seed", "value", "low", "high"])] * (not said)
    for cell, predictions in said.items():
        found = scoring.scores(predictions, n)
        if hours:
            spent = {"metric": "hours", "value": hours[cell], "low": np.nan, "high": np.nan, "note": ""}
            found = pd.concat([found, pd.DataFrame([spent])], ignore_index=True)
        parts.append(found.assign(row=cell[0], column=cell[1], seed=cell[2]))
    table = over_seeds(pd.concat(parts, ignore_index=True))
    ends = ["low", "high"]
    table[ends] = table[ends].clip(0, 1)
    table.loc[table["metric"] == "hours", ends] = np.nan  # a machine's moods are no interval of the method
    return table
