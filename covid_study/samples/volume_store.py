"""The preprocessed volumes of a cohort as samples (paper A, IV-F2)."""

import pandas as pd
import torch

from covid_study.cohort.findings import numbers, outputs
from covid_study.errors import CohortError
from covid_study.runtime.device import find_device
from covid_study.samples.cohorts import cohort, notes_on, store
from covid_study.samples.samples import Samples


def volumes(p) -> Samples:
    """The volumes in memory, on the device of the run; exams that were left out are not among them.

    Raises:
        CohortError: the exams cannot be used, or a split has no exam of a class.
        StudyError: the disk is full, or a process died.
    """
    kept = store(p)
    split = cohort(p).set_index("exam_id")[["patient_id", "finding", "split"]]
    table = split.loc[kept.table["exam_id"]]
    check_splits(table, kept.left_out, p.cohort.classes)
    data = torch.from_numpy(kept.load(list(table.index))).to(find_device(p.study.device))
    return Samples(table, data, kept.folder.name, kept.folder, tuple(notes_on(p)))


def check_splits(table: pd.DataFrame, left_out: pd.DataFrame, classes: list[str]) -> None:
    """Every class to train on and to test with; the validation split may be empty (see exams.split_exams)."""
    words = ("negative", "positive") if len(classes) == 2 else outputs(classes)
    for split in ("train", "test"):
        there = numbers(table.loc[table["split"] == split, "finding"], classes)
        for number, what in enumerate(words):
            if number not in there:
                lines = "".join(
                    f"\n- exam {row.exam_id} was left out: {row.problem}"
                    for row in left_out.head(5).itertuples()
                )
                raise CohortError(
                    f"the {split} split holds no {what} exam that can be used. What to do: add such exams, or mend those "
                    f"that were left out ({len(left_out)}).{lines}"
                )
