"""The preprocessed volumes of a cohort as samples (paper A, IV-F2)."""

from pathlib import Path

import pandas as pd
import torch

from covid_study import paths
from covid_study.cohort.findings import numbers, outputs
from covid_study.errors import CohortError
from covid_study.runtime.artefacts import artefact, fingerprint, source_key
from covid_study.runtime.device import find_device, fits
from covid_study.samples.cohorts import bad_exams, cohort, loader, made_as, notes_on, sources
from covid_study.samples.samples import Samples, key_on
from covid_study.samples.volume_parts import VolumeStore, build_volumes


def volumes(p) -> Samples:
    """The volumes in memory, on the device of the run; exams that were left out are not among them.

    Raises:
        CohortError: the exams cannot be used, or a split has no exam of a class.
        StudyError: the disk is full, or a process died.
    """
    kept = store(p)
    split = cohort(p).set_index("exam_id")[["patient_id", "finding", "centre", "split"]]
    table = split.loc[kept.table["exam_id"]]
    check_splits(table, kept.left_out, p.cohort.classes)
    data, device = torch.from_numpy(kept.load(list(table.index))), find_device(p.study.device)
    at = None if fits(data.nbytes, device) else device
    notes = (*notes_on(p), *kept.notes)
    return Samples(table, data, key_on(kept.folder.name, device), kept.folder, notes, at=at).placed(device)


def check_splits(table: pd.DataFrame, left_out: pd.DataFrame, classes: list[str]) -> None:
    """Every class to train on and to test with; the validation split may be empty (see exams.split_exams)."""
    words = ("negative", "positive") if len(classes) == 2 else outputs(classes)
    for split in ("train", "test"):
        there = numbers(table.loc[table["split"] == split, "finding"], classes)
        for number, what in enumerate(words):
            if number not in there:
                lines = "".join(
                    f"\n- exam {row.name} was left out: {row.problem}"
                    for row in left_out.head(5).itertuples(index=False)
                )
                raise CohortError(
                    f"the {split} split holds no {what} exam that can be used. What to do: add such exams, or mend those "
                    f"that were left out ({len(left_out)}).{lines}"
                )


def store(p) -> VolumeStore:
    """The preprocessed volumes of the cohort (paper A, IV-F2)."""
    table = cohort(p)
    made_from = sources(p, table)
    synthetic = p.cohort.exams is None
    settings = p.preprocessing
    # Neither the split nor the classes are part of the key: another split, or three classes, needs no volume anew.
    config = {
        "exams": table[["exam_id", "finding"]].sort_values("exam_id").to_numpy().tolist(),
        "files": made_from and dict(zip(table["exam_id"], made_from, strict=True)),
        "phantom": made_as(p),
        "preprocessing": settings.model_dump(),
        "on_bad_exam": p.cohort.on_bad_exam,
    }
    modules = ["samples.volume_parts", "samples.cohorts" if synthetic else "ct.files"]
    of_all = [config["preprocessing"], config["phantom"], source_key(modules)]

    def key(row) -> str:
        return fingerprint([row.exam_id, row.path, (config["files"] or {}).get(row.exam_id), *of_all])

    def compute(folder: Path) -> None:
        build_volumes(
            table,
            folder,
            shape=tuple(settings.shape),
            working_spacing_mm=tuple(settings.working_spacing_mm),
            load=loader(p),
            bad=bad_exams(p, public=p.cohort.exams is None),
            workers=p.study.workers,
            keys={row.exam_id: key(row) for row in table.itertuples()},
        )

    place, label = paths.build(p.study.name) / "volumes", "phantom" if synthetic else "exams"
    return VolumeStore(artefact(place, label, config, modules, compute))
