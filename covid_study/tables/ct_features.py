"""Features of exams by the chest-CT encoder of others: computed once for a cohort, exam by exam (beside paper A, IV-C)."""

import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from covid_study import paths
from covid_study.networks import ct_encoder
from covid_study.runtime.artefacts import artefact, write_atomically
from covid_study.runtime.progress import progress
from covid_study.samples.cohorts import cohort, loader
from covid_study.samples.samples import Samples


def computed(p, v: Samples, exams: list[str]) -> Path:
    """The folder with the features of these exams; killed, it goes on with those that are missing.

    The exams are read again: the encoder is shown HU of all that lies in the box around the lungs, which volumes have lost.

    Raises:
        StudyError: the encoder is not installed, or is not what it should be; what it says cannot be right.
    """
    weights = ct_encoder.required()
    config = {"volumes": v.key, "exams": sorted(exams), "weights": weights.sha256}

    def compute(folder: Path) -> None:
        rows = cohort(p).set_index("exam_id", drop=False).loc[config["exams"]]
        files = [folder / f"{n}.npz" for n in range(len(rows))]  # an id may hold what a file's name may not
        missing = [
            (row, file) for row, file in zip(rows.itertuples(), files, strict=True) if not file.is_file()
        ]
        with torch.device("meta"):
            model = ct_encoder.build()
        ct_encoder.load(model, weights).to(v.device)
        read_exam = loader(p)
        for row, file in progress(missing, "features by the chest-CT encoder", len(missing)):
            started = time.perf_counter()
            volume, _ = read_exam(row)
            shown = ct_encoder.to_input(volume.hu, volume.spacing_mm, row.exam_id)
            values = ct_encoder.features(model, shown)
            told = {"exam": row.exam_id, "values": values, "seconds": time.perf_counter() - started}
            write_atomically(file, partial(_save, told))
        ct_encoder.sane(read(folder)[0].to_numpy())

    modules = ["networks.ct_encoder", "samples.cohorts"]
    return artefact(paths.build(p.study.name) / "ct_features", "astra", config, modules, compute)


def read(folder: Path) -> tuple[pd.DataFrame, float]:
    """Features float32 (n, D) by exam id, and the seconds that they took, reading the exams included."""
    found = [dict(np.load(file)) for file in folder.glob("*.npz")]
    table = pd.DataFrame({str(each["exam"]): each["values"] for each in found}).T.rename_axis("exam_id")
    return table.sort_index(), float(sum(each["seconds"] for each in found))


def _save(told: dict, path: Path) -> None:
    with open(path, "wb") as file:  # np.savez adds an ending to a name
        np.savez(file, **told)
