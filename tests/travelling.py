"""A small study on exams and pictures that lie on disk, and its classifiers as models: what the tests of `models` share."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from chest_pictures import chest
from dicom_factory import write_series
from PIL import Image
from tiny_study import parameters

from covid_study import paths
from covid_study.models.export import export
from covid_study.phantom import cohort as phantom
from covid_study.samples import slice_store, volume_store
from covid_study.tables import slice_steps, volume_steps
from covid_study.tables.scoring import SLICES
from covid_study.tables.table import Table

COUNTS = {
    "train": {"covid": 2, "cap": 2, "non_pneumonia": 2},
    "validation": {"covid": 1, "cap": 1},
    "test": {"covid": 2, "cap": 2, "non_pneumonia": 1},
}
SLICED = {"images": None, "size": 32, "crop": True, "per_exam": 3, "exams": None, "train_share": 0.7}


def exams_on_disk(folder: Path) -> Path:
    """Exams of the phantom as files, every third a DICOM series, and their table; returns the table's file."""
    table = phantom.cohort(7, COUNTS)
    folder.mkdir(parents=True)
    for n, exam in enumerate(table["exam_id"]):
        volume = phantom.make_exam(exam, 7, 64, (10.0, 10.0)).volume
        if n % 3 == 0:
            write_series(folder / exam, volume.hu, volume.spacing_mm)
            continue
        image = sitk.GetImageFromArray(volume.hu)
        image.SetSpacing(volume.spacing_mm[::-1])
        sitk.WriteImage(image, str(folder / f"{exam}.mha"))
    table["path"] = [exam if (folder / exam).is_dir() else f"{exam}.mha" for exam in table["exam_id"]]
    table.to_csv(folder / "exams.csv", index=False)
    return folder / "exams.csv"


def pictures_on_disk(folder: Path, each: int = 6) -> Path:
    """Pictures of two classes, one of them brighter."""
    for n, name in enumerate(("COVID", "Non-COVID")):
        (folder / name).mkdir(parents=True)
        for k in range(each):
            image = np.clip(chest(10 * n + k, 64).astype(int) + 20 * n, 0, 255).astype(np.uint8)
            Image.fromarray(image).save(folder / name / f"{k}.png")
    return folder


def volumes_run(p, seeds=(0, 1)) -> Table:
    """A cell of Table III, trained and written down as a notebook does."""
    v = volume_store.volumes(p)
    negatives = volume_steps.ids(v, "train", False)
    runs = {("both", "56%", seed): volume_steps.run(p, v, negatives, seed) for seed in seeds}
    table = Table("A.III", runs, v, p.study)
    table.results()
    return table


def slices_run(p, name: str = "B.6", row: str = "dsn_saal") -> Table:
    """A cell of a table of paper B, trained and written down."""
    s = slice_store.slices(p)
    runs = {(row, "100%", seed): slice_steps.dsn_saal(p, s, seed) for seed in (0, 1)}
    table = Table(name, runs, s, p.study, scoring=SLICES)
    table.results()
    return table


def own_exams(root, csv: Path, **changed):
    """Parameters of a study of these exams."""
    return parameters(
        root,
        cohort={"exams": str(csv)},
        slices=SLICED,
        slice_network={"weights": "none"},
        slice_training={"epochs": 1, "augment": True},
        training={"epochs": 1},
        **changed,
    )


def predictions_of(table: Table, seed: int, index: str) -> pd.DataFrame:
    """What the run of a seed wrote down."""
    ((_, said),) = ((cell, said) for cell, said in table.predictions().items() if cell[2] == seed)
    return said.set_index(index)


@pytest.fixture(scope="session")
def travelled(tmp_path_factory):
    """A study on exams and pictures on disk, trained once: of volumes, slices and pictures the table and the model."""
    folder = tmp_path_factory.mktemp("travelling")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "build", lambda name: folder / "build" / name)
        csv, pictures = exams_on_disk(folder / "exams"), pictures_on_disk(folder / "pictures")
        p = own_exams(folder, csv)
        volumes, slices = volumes_run(p), slices_run(p)
        images = p.model_copy(update={"slices": p.slices.model_copy(update={"images": str(pictures)})})
        seen = slices_run(images, "B.3")
        models = {
            "volumes": export("tiny", "A.III", "both", "56%", folder / "volumes"),
            "slices": export("tiny", "B.6", "dsn_saal", None, folder / "slices"),
            "pictures": export("tiny", "B.3", "dsn_saal", None, folder / "of-pictures"),
        }
    tables = {"volumes": volumes, "slices": slices, "pictures": seen}
    return SimpleNamespace(
        folder=folder, exams=folder / "exams", images=pictures, models=models, tables=tables
    )
