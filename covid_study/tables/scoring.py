"""How what a run said is scored: volumes by exam (paper A, V-B), slices by slice and by patient (paper B, 4.2)."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from covid_study.report.results import from_scored
from covid_study.scores import slices
from covid_study.scores.binary import AT_THRESHOLD, SCORES
from covid_study.scores.claims import Scored


@dataclass(frozen=True)
class Scoring:
    """What differs between the tables of paper A and of paper B."""

    case: str  # the column of the predictions that names a case
    over: str  # what an interval is over, in words
    metrics: tuple[str, ...]  # of `claims.scored`, that a table shows
    variants: Callable[[str], tuple[str, ...]]  # the score of a claim -> others that it may be asked by
    shown: tuple[str, ...] | None = None  # scores of a table that the paper lacks; None: those of the paper
    by_patient: bool = False  # patients are counted too, not cases alone


def _of_exams(score: str) -> tuple[str, ...]:
    return (f"{score}_validation",) if score in AT_THRESHOLD else ()


def _of_slices(score: str) -> tuple[str, ...]:
    known = ("acc", "f1", "gmean")  # a claim about something else would be another claim by them
    return tuple(other for other in known if other != score) if score in known else ()


EXAMS = Scoring("exam_id", "test patients", (*SCORES, *(f"{m}_validation" for m in AT_THRESHOLD)), _of_exams)
SLICES = Scoring("slice_id", "test patients", slices.OF_SLICES, _of_slices, ("acc", "f1", "gmean"), True)
SCORINGS = {scoring.case: scoring for scoring in (EXAMS, SLICES)}


def scores_of(scored: Callable[..., Scored], scoring: Scoring) -> pd.DataFrame:
    """Means over seeds with their intervals, as `from_scored`; scores that count patients end in `_patient`.

    scored: `claims.scored` of some runs, which takes `per_patient`.
    """
    found = from_scored(scored(), (*scoring.metrics, "hours"))
    if not scoring.by_patient:
        return found
    of_patients = from_scored(scored(per_patient=True), slices.OF_SLICES)
    of_patients["metric"] += slices.PATIENT
    return pd.concat([found, of_patients], ignore_index=True)
