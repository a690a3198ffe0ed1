"""Exams: the table of a cohort, its checks, its splits by patient."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from covid_study.cohort.csv_files import nearest, read_csv
from covid_study.cohort.finding_names import unclear
from covid_study.cohort.findings import FINDINGS, parse_finding
from covid_study.cohort.splits import SPLITS, allocate, parse_split
from covid_study.errors import CohortError, ParameterError

COLUMNS = ("exam_id", "patient_id", "path", "finding", "centre", "split")
SHOWN = 8  # problems of one table
PHANTOM = "phantom"  # the path of an exam that is computed, not read


def read_table(file: str | os.PathLike[str]) -> pd.DataFrame:
    """The exam table of a CSV file, unchecked: findings and splits in the study's words, paths as written.

    Needed: exam_id, patient_id, path, finding; centre and split may be absent. Other columns are left out.

    Raises: CohortError (unreadable, empty, columns missing or mistyped).
    """
    table = read_csv(Path(file), "the exam table", COLUMNS[:4], COLUMNS[4:])
    for column, parse in {"finding": parse_finding, "split": parse_split}.items():
        table[column] = (
            table[column].map({text: parse(text) or text for text in set(table[column])}).astype(str)
        )
    return table


def check_exams(table: pd.DataFrame, both: bool = True) -> pd.DataFrame:
    """The table with its columns in order, or one error that lists all that is wrong with the cohort.

    A file that is missing or damaged is the reader's business (ExamError, `on_bad_exam`), unless none is
    there at all. both: whether positives and negatives must be there; a background needs negatives only.

    Raises: CohortError (no exams, columns, unknown finding or split, an exam twice, a patient on two sides of
    a split, a split for some exams only, no positives, no negatives, no file found).
    """
    missing = [c for c in COLUMNS[:4] if c not in table]
    if missing:
        raise CohortError(
            f"the exam table has no column {', '.join(missing)}. Columns: {', '.join(COLUMNS)}."
        )
    if not len(table):
        raise CohortError("the exam table has no exams. What to do: give a CSV or a folder that holds some.")
    table = table.reset_index(drop=True).reindex(columns=list(COLUMNS)).astype(object).fillna("").astype(str)
    if problems := _cell_problems(table) or _cohort_problems(table, both):
        more = f"\n- and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        wrong: Any = CohortError("the exam table cannot be used:\n- " + "\n- ".join(problems[:SHOWN]) + more)
        wrong.table = table
        raise wrong
    return table


def _cell_problems(table: pd.DataFrame) -> list[str]:
    """What is wrong with single cells, and what to do."""
    where = [f"exam {exam}" if exam.strip() else f"row {n}" for n, exam in enumerate(table.exam_id, start=1)]
    problems = []
    for column in ("exam_id", "patient_id", "path"):
        hint = " (where the patient is not known, repeat the exam_id)" * (column == "patient_id")
        empty = np.flatnonzero(table[column].str.strip() == "")
        problems += [f"{where[n]} has no {column}: fill it in{hint}" for n in empty]
    again = table[table.exam_id.duplicated(keep=False) & (table.exam_id.str.strip() != "")]
    for exam, paths in again.groupby("exam_id", sort=False).path:
        listed = f"exam {exam} is listed {len(paths)} times ({', '.join(paths[:3])})"
        problems.append(f"{listed}: give each exam an exam_id of its own, once")
    for n, name in table.finding[~table.finding.isin(FINDINGS)].items():
        problems.append(f"{where[n]} has the finding {name!r}{unclear(name)}: use {', '.join(FINDINGS)}")
    for n, name in table.split[~table.split.isin(("", *SPLITS))].items():
        problems.append(f"{where[n]} has the split {name!r}{nearest(name, SPLITS)}: use {', '.join(SPLITS)}")
    return problems


def _cohort_problems(table: pd.DataFrame, both: bool) -> list[str]:
    """What is wrong with a table whose cells are sound."""
    problems = []
    files = table[table.path != PHANTOM]
    places = files.path.map(os.path.realpath)
    twice = places.duplicated(keep=False)
    for place, ids in files.exam_id[twice].groupby(places[twice], sort=False):
        problems.append(f"exams {', '.join(ids)} are the same file or folder, {place}: list it once")
    if len(files) and not any(map(os.path.exists, places)):
        problems.append(
            f"none of the {len(files)} paths exists (the first is {files.path.iloc[0]}): correct the paths; in a CSV they are "
            "relative to the CSV"
        )
    sides = table[table.split != ""].groupby("patient_id").split.unique()
    ids = table.exam_id.groupby(table.patient_id).agg(list) if (sides.map(len) > 1).any() else {}
    for patient, splits in sides[sides.map(len) > 1].items():
        exams = ", ".join(ids[patient][:4])
        where = ", ".join(s for s in SPLITS if s in list(splits))
        problems.append(
            f"patient {patient} is on both sides of a split ({where}): put all exams ({exams}) on one"
        )
    unset = table.exam_id[table.split == ""]
    if 0 < len(unset) < len(table):
        named = ", ".join(unset[:4])
        problems.append(
            f"{len(unset)} of {len(table)} exams have no split ({named}): fill in all of the column, or none"
        )
    positive = table.finding == "covid"
    if both and not positive.any():
        problems.append("there are no positives: at least two patients with the finding covid are needed")
    if both and positive.all():
        problems.append(
            "there are no negatives: exams with the finding cap, non_pneumonia or other are needed"
        )
    return problems


def split_exams(
    table: pd.DataFrame, fractions: tuple[float, float, float] = (0.75, 0.05, 0.20), seed: int = 0
) -> pd.DataFrame:
    """The table with `split` filled: by patient, 75 : 5 : 20 (paper A, V-A).

    Choice: stratified by finding. The positives of the paper's Table II are 80 : 4 : 16, which speaks against it there.

    All exams of a patient lie on one side (`splits.allocate`); the order of the rows does not matter. A split
    column that is already filled is checked and kept. Validation may be empty, or hold one class only, where
    a finding has fewer than five patients: the threshold must then be chosen another way (0.5).

    Raises: CohortError (fewer than two patients with positives or with negatives), ParameterError
    (fractions).
    """
    sound = len(fractions) == 3 and min(fractions) >= 0 and abs(sum(fractions) - 1) <= 1e-6
    if not sound or not fractions[0] * fractions[2]:
        raise ParameterError(
            f"fractions = {fractions}: give the shares of {', '.join(SPLITS)}, which sum to 1, e.g. (0.75, 0.05, 0.20)"
        )
    table = check_exams(table)
    if (table.split != "").all():
        return table
    positive = table.finding == "covid"
    for name, rows in (("positives (covid)", positive), ("negatives (cap, non_pneumonia, other)", ~positive)):
        if table.patient_id[rows].nunique() < 2:
            raise CohortError(
                f"only patient {table.patient_id[rows].iloc[0]} has {name}: at least two patients with {name} are needed, "
                "one to train and one to test. What to do: add exams of another patient."
            )
    ranks = table.finding.map(FINDINGS.index)
    for attempt in range(100):  # another draw helps where patients have exams of both kinds
        sides = allocate(table.patient_id, ranks, fractions, f"{seed}/{attempt}")
        table["split"] = table.patient_id.map(sides)
        if table[table.split.isin(("train", "test"))].groupby(["split", positive]).ngroups == 4:
            return table
    raise CohortError("no split by patient leaves both classes in train and test. What to do: add patients.")
