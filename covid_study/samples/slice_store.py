"""The slices of a run as samples: cut out of the exams of its cohort, or read from pictures (paper B, 4.1)."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from covid_study import paths
from covid_study.cohort.bad_exams import BadExams
from covid_study.cohort.findings import studied
from covid_study.cohort.identity import Names, unnamed
from covid_study.cohort.picture_layouts import find_data_set
from covid_study.cohort.slices import AMOUNTS, at_most, check_slices, split_patients
from covid_study.runtime.artefacts import artefact
from covid_study.runtime.device import find_device
from covid_study.samples import cohorts
from covid_study.samples.samples import Samples, key_on
from covid_study.samples.slice_parts import build_slices, of_exam, of_images

BATCH = 64  # images a part


def slices(p) -> Samples:
    """The slices of the run in memory, on its device: of the user's images, or of the exams of `cohort` (paper B, 4.1).

    Choice: the phantom's exams are split 7 to 3 anew, by patient; paper A's split of them is 54:9:37. An exam table or a
    list of images that brings its own split keeps it, and so does a phantom in real bodies, for they are split with it.

    Choice: `slices.exams` limits the exams of a finding. Images are not limited by exam, for few data sets say which
    exam an image is of: at most exams x per_exam of a class are taken.

    Raises:
        CohortError: the exams or images cannot be used, or a finding has no slice to train on or to test with.
        StudyError: the disk is full, or a process died.
    """
    images = p.slices.images is not None
    name, table, notes = images_of(p) if images else ("", exams_of(p), cohorts.notes_on(p))
    public = bool(name) if images else p.cohort.exams is None
    folder = _build(p, table, images, cohorts.bad_exams(p, public))
    kept = pd.read_parquet(folder / "slices.parquet")
    source = "slice_id" if images else "exam_id"
    facts = table.set_index(source, drop=False).loc[
        kept["source"], ["exam_id", "patient_id", "finding", "split", "path"]
    ]
    joined = pd.concat([kept[["slice_id", *AMOUNTS]], facts.reset_index(drop=True)], axis=1)
    left_out = pd.read_csv(folder / "left_out.csv", dtype=str)
    reasons = [f"{bad}: {why}" for bad, why in zip(left_out["name"], left_out["problem"], strict=True)]
    checked = check_slices(joined, reasons, published_split=bool(name)).set_index("slice_id")
    data = torch.from_numpy(np.load(folder / "images.npy")).to(find_device(p.study.device))
    return Samples(checked, data, key_on(folder.name, data.device), folder, tuple(notes), name)


def exams_of(p) -> pd.DataFrame:
    """The exams to cut slices from, split into train and test."""
    table = studied(cohorts.all_exams(p), p.cohort.classes)
    if p.cohort.exams is None and p.cohort.phantom.background is None:
        table = table.assign(split="")
    table = split_patients(
        table.sort_values("exam_id", ignore_index=True), p.slices.train_share, p.cohort.split_seed
    )
    return cohorts.hidden(p, at_most(table, p.slices.exams, p.cohort.split_seed))


def images_of(p) -> tuple[str, pd.DataFrame, list[str]]:
    """The data set's name, the images to read, split into train and test, and what a reader must know about them."""
    path = paths.root() / Path(p.slices.images).expanduser()
    with unnamed(path, p.study.show_patient_ids):
        name, table, notes = find_data_set(path, p.study.show_patient_ids)
    table = split_patients(table, p.slices.train_share, p.cohort.split_seed)
    limits = (p.slices.exams, p.slices.per_exam)
    taken = at_most(table, None if None in limits else limits[0] * limits[1], p.cohort.split_seed)
    if len(taken) < len(table):
        notes.append(
            f"Of {len(table):,} images {len(taken):,} are taken, at most {limits[0] * limits[1]:,} of a class "
            "(slices.exams x slices.per_exam, or public.pictures, of the parameters; null takes all)."
        )
    if name or p.study.show_patient_ids:
        return name, taken, notes
    names = Names(table)
    return name, names.hidden(taken), [names.hide(note) for note in notes]


def _build(p, table: pd.DataFrame, images: bool, bad: BadExams) -> Path:
    """The artefact that holds the slices of these exams or images. Neither finding nor split is part of its key."""
    size, per_exam, crop = p.slices.size, p.slices.per_exam, p.slices.crop
    how = {"overlap": p.slices.overlap}
    if p.cohort.exams is None and p.slices.choose == "diseased":  # what a reader would see is known
        how["label_noise"] = p.slices.label_noise
    name = "slice_id" if images else "exam_id"
    synthetic = not images and p.cohort.exams is None
    boxes = table["box"].tolist() if images and crop and (table["box"] != "").any() else None
    config = {
        name: table[name].tolist(),
        "files": [cohorts.files_of(path) for path in table["path"]] if images else cohorts.sources(p, table),
        "phantom": None if images else cohorts.made_as(p),
        "size": size,
        "crop": boxes if images else crop,
        "per_exam": None if images else per_exam,
        "how": None if images else how,
        "on_bad_exam": p.cohort.on_bad_exam,
    }
    if images:
        table = table if boxes else table.assign(box="")
        groups = [table.iloc[start : start + BATCH] for start in range(0, len(table), BATCH)]
        parts = [partial(of_images, list(group.itertuples()), size, bad) for group in groups]
    else:
        load = cohorts.loader(p)
        parts = [partial(of_exam, row, load, per_exam, size, crop, how, bad) for row in table.itertuples()]
    return artefact(
        paths.build(p.study.name) / "slices",
        "images" if images else "phantom" if synthetic else "exams",
        config,
        ["samples.slice_parts", *([] if images else ["samples.cohorts"] if synthetic else ["ct.files"])],
        lambda folder: build_slices(parts, folder, size, p.study.workers, threads=images),
    )
