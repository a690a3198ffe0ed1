"""A small data set with one fault of each kind, so that a reader sees how each is found, and a test that it is."""

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from covid_study import paths
from covid_study.analysis.leaks import report
from covid_study.runtime.artefacts import artefact
from covid_study.samples import slice_store
from covid_study.samples.samples import Samples

FAULTS = {  # fault -> the check of `report.CHECKS` that must find it
    "duplicate": "split",
    "patient": "patients",
    "mode": "header",
    "text": "text",
}
EACH = {"train": 7, "test": 4}  # pictures of a class, each of a patient of its own
SIZE, LETTERS = 256, 16  # pixels
SOME = 8  # slices of a class and side that a trial takes, at most
PLACES = {True: ("CT_COVID", "COVID"), False: ("CT_NonCOVID", "NonCOVID")}


def trial(p, s: Samples) -> tuple[Samples, report.Leaks]:
    """A small data set made of slices of s with one fault of each kind, read as any other, and what is found in it.

    Choice: the first slices of as many patients as there are, each given a patient of its own, so that a few slices are
    patients enough for every check.
    """
    turn = s.table.groupby("patient_id").cumcount()
    table = s.table.assign(turn=turn).sort_values("turn", kind="stable")
    table = table.groupby([table["split"], table["finding"] == "covid"]).head(SOME).drop(columns="turn")
    few = replace(s, table=table.assign(patient_id=table.index), data=s.of(table.index))
    place = artefact(
        paths.build(p.study.name) / "planted",
        "trial",
        {"slices": s.key, "labels": s.labels},
        ["analysis.leaks.planted"],
        lambda folder: planted(folder / "pictures", few),
    )
    place /= "pictures"
    for file in place.rglob("*.*"):
        os.utime(file, (0, 0))  # the key of pictures holds their time: that of one run is that of another
    here = p.slices.model_copy(update={"images": str(place), "exams": None, "per_exam": None})
    small = slice_store.slices(p.model_copy(update={"slices": here}))
    return small, report.find(small, p.public.near)


def found_of(leaks: report.Leaks) -> pd.DataFrame:
    """Each planted fault, the check that must find it, and its verdict. leaks: the second of `trial`."""
    rows = [
        (fault, report.CHECKS[check][0], leaks.checks.loc[check, "verdict"])
        for fault, check in FAULTS.items()
    ]
    return pd.DataFrame(rows, columns=["planted", "check", "verdict"])


def planted(folder: Path, s: Samples, faults: Collection[str] = tuple(FAULTS)) -> Path:
    """Write a handful of slices as COVID-CT is laid out, with faults: what they are, `report.find` must find.

    duplicate: a COVID-19 slice of the test list trains too, scaled by 0.7 and as JPEG, under another patient's name.
    patient: a slice of the training list belongs to a patient of the test list.
    mode: COVID-19 is stored as RGBA, the rest as grey, as SARS-CoV-2 CT-scan's classes differ.
    text: words are burnt into half of the COVID-19 slices.

    Args:
        folder: to write to; made where it is missing. s: at least one slice of each class on each side.

    Returns:
        folder, for `slices.images`.
    """
    folder = Path(folder)
    for covid, (pictures, name) in PLACES.items():
        (folder / "Images-processed" / pictures).mkdir(parents=True, exist_ok=True)
        (folder / "Data-split" / name).mkdir(parents=True, exist_ok=True)
        people = []
        lists = {"train": [], "val": [], "test": []}
        for split, most in EACH.items():
            chosen = s.table.index[(s.table["split"] == split) & ((s.table["finding"] == "covid") == covid)][
                :most
            ]
            for n, image in enumerate(s.of(chosen).cpu().numpy()):
                file = f"{name.lower()}_{split}_{n}.png"
                picture = Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
                if "text" in faults and covid and n % 2 == 0:
                    _write_on(picture, f"No. {n + 1}")
                patient = f"{name} {split} {n}"
                lists[split].append(file)
                if "duplicate" in faults and covid and split == "test" and n == 1:
                    _again(picture, folder / "Images-processed" / pictures / "again.jpg", "mode" in faults)
                    lists["train"].append("again.jpg")
                    people.append(("again.jpg", "another patient"))
                if "mode" in faults and covid:
                    picture = picture.convert("RGBA")
                picture.save(folder / "Images-processed" / pictures / file)
                people.append((file, patient))
        if "patient" in faults and not covid:
            tested = next(patient for file, patient in people if file == lists["test"][0])
            people = [(file, tested if file == lists["train"][0] else patient) for file, patient in people]
        for split, files in lists.items():
            (folder / "Data-split" / name / f"{split}{pictures}.txt").write_text("\n".join(files) + "\n")
        _write_people(folder / "Meta-data", name, people)
    return folder


def _write_on(picture: Image.Image, text: str) -> None:
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(LETTERS)
    left, top, right, bottom = draw.textbbox((4, 4), text, font=font)
    draw.rectangle((left - 4, top - 4, right + 4, bottom + 4), fill=0)  # as a scanner writes it: on black
    draw.text((4, 4), text, fill=255, font=font)


def _again(picture: Image.Image, file: Path, colour: bool) -> None:
    size = round(0.7 * SIZE)
    small = picture.resize((size, size), Image.Resampling.BILINEAR)
    (small.convert("RGB") if colour else small).save(file, quality=70)


def _write_people(folder: Path, name: str, people: list[tuple[str, str]]) -> None:
    """Whose picture each is; the two published files do not name their columns alike."""
    folder.mkdir(parents=True, exist_ok=True)
    if name == "COVID":
        lines = ["File name,Patient ID", *(f"{file},{patient}" for file, patient in people)]
    else:
        lines = [
            ",image name,patient id",
            *(f"{n},{file},{patient}" for n, (file, patient) in enumerate(people)),
        ]
    (folder / f"{name}-CT-MetaInfo.csv").write_text("\n".join(lines) + "\n")
