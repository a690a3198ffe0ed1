"""Exams on disk, and one of them as the network's input: by the very functions that fill a run's stores."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from covid_study.cohort.bad_exams import LISTED
from covid_study.cohort.exam_layouts import exams_of
from covid_study.cohort.file_kinds import is_dicom, is_picture, is_volume
from covid_study.cohort.folders import below
from covid_study.ct.pictures import size_and_mode
from covid_study.errors import ExamError, StudyError
from covid_study.samples import slice_parts, volume_parts

TOLERANCE = 0.05  # Choice in unusual
STRETCHED = 1.25  # sides of a picture beyond this ratio are told
WORDS = {
    "lung_ml": ("the lungs have", "ml"),
    "mean_hu": ("the lungs' mean is", "HU"),
    "cut_off": ("the share of the lungs outside the network's view is", ""),
    "spacing_z_mm": ("neighbouring slices lie apart by", "mm"),
    "spacing_xy_mm": ("a pixel has", "mm"),
}


class Row(NamedTuple):
    """An exam or picture as the stores' functions want it."""

    exam_id: str
    path: str
    slice_id: str = ""
    box: str = ""


@dataclass(frozen=True)
class Prepared:
    """One exam as the network sees it: uint8 (n, ...), n 1 for a volume or picture, else its slices.

    odd: what about it is unlike the training exams, in sentences. facts: as the store measures them.
    """

    data: np.ndarray
    facts: dict = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)


def found_at(paths: Iterable[str | os.PathLike[str]]) -> list[Row]:
    """The exams and pictures at some paths, each once, by a name that tells them apart.

    A path is one exam: a file, or a folder with a DICOM series or a volume in it or anywhere below. A folder that has neither
    itself stands for what it holds, an exam each; a folder of pictures for every picture below it.

    Raises:
        StudyError: a path is not there, or nothing is in it.
    """
    rows: dict[str, Row] = {}
    for given in paths:
        place = Path(os.path.abspath(os.path.expanduser(given)))
        if not place.exists():
            raise StudyError(f"{given} does not exist. What to do: correct the path.")
        found = _at(place)
        if not found:
            raise StudyError(
                f"{given} holds no exam and no picture. What to do: give a folder with a DICOM series, a file (NIfTI, "
                "NRRD, MHA), a folder of such, or pictures (PNG, JPEG, TIFF, BMP)."
            )
        for name, path in found.items():
            rows.setdefault(str(path), Row(name, str(path), slice_id=name))
    return _named_apart(list(rows.values()))


def _at(place: Path) -> dict[str, Path]:
    """Name -> path of what lies at a place."""
    if place.is_file():
        return {place.name: place}
    files = below(place).files
    scans = any(is_volume(file) or is_dicom(file) for file in files)
    found = exams_of(place).values() if scans else filter(is_picture, files)
    return {path.relative_to(place.parent).as_posix(): path for path in found}


def _named_apart(rows: Sequence[Row]) -> list[Row]:
    """The rows, those of the same name by their paths."""
    names = Counter(row.exam_id for row in rows)
    return [
        row if names[row.exam_id] == 1 else row._replace(exam_id=row.path, slice_id=row.path) for row in rows
    ]


def prepare(about: dict, row: Row, load: Callable[[Row], tuple]) -> Prepared:
    """An exam or picture as the network of a model sees it.

    Args:
        about: model.json, of which `kind`, `input` and `usual` are read.
        load: reads an exam: (Volume, None), as `cohorts.load_exam` does.

    Raises:
        ExamError: it cannot be used.
    """
    kind, wanted = about["kind"], about["input"]
    picture = is_picture(Path(row.path)) and kind != "volume"
    if kind == "volume":
        sizes = tuple(wanted["shape_xyz"]), tuple(wanted["spacing_mm_xyz"])
        done = _unless_left_out(row, volume_parts.of_exam(row, *sizes, load, LISTED))
        facts = done["measured"]
        return Prepared(done["image"][None], facts, [*unusual(facts, about["usual"]), *_passed_over(facts)])
    if picture:
        done = _unless_left_out(row, slice_parts.of_images([row], wanted["size"], LISTED))
        return Prepared(done["images"], {}, _of_picture(row, kind, wanted))
    if kind == "picture":
        raise ExamError(
            row.exam_id,
            "the model reads pictures of slices, as it was trained on, and this is none",
            "give pictures, or a model that was trained on exams",
        )
    how = {"overlap": wanted["overlap"]}
    args = load, wanted["per_exam"], wanted["size"], wanted["crop"], how, LISTED
    done = _unless_left_out(row, slice_parts.of_exam(row, *args))
    count, most = len(done["images"]), wanted["per_exam"]
    few = [f"only {count} of {most} slices show enough lung"] if most and count < most else []
    return Prepared(done["images"], {}, few)


def _unless_left_out(row: Row, done: dict) -> dict:
    for bad in done["left_out"]:
        raise ExamError(row.exam_id, bad["problem"], bad["remedy"])
    return done


def unusual(facts: dict, usual: dict[str, list[float]]) -> list[str]:
    """What is beyond anything in the training exams, in sentences.

    Choice: by more than a twentieth of what the training exams span: the next exam of the same kind may lie a little outside.

    >>> unusual({"lung_ml": 900.0, "mean_hu": -800.0}, {"lung_ml": [2000.0, 6000.0], "mean_hu": [-850.0, -700.0]})
    ['the lungs have 900 ml, in the training exams 2000 to 6000']
    """
    said = []
    for name, (low, high) in usual.items():
        here, spare = facts.get(name), TOLERANCE * (high - low)
        if here is not None and not low - spare <= here <= high + spare:
            words, unit = WORDS[name]
            said.append(
                f"{words} {_short(here)} {unit}".rstrip()
                + f", in the training exams {_short(low)} to {_short(high)}"
            )
    return said


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _passed_over(facts: dict) -> list[str]:
    count = facts.get("passed_over") or 0
    return (
        [f"{count:.0f} files of its folder are no slices of this CT (scouts, reports) and were passed over"]
        if count
        else []
    )


def _of_picture(row: Row, kind: str, wanted: dict) -> list[str]:
    """What is odd about a picture, or about giving one."""
    said = []
    sides, mode = size_and_mode(row.path)
    if max(sides) > STRETCHED * min(sides):
        said.append("it is far from square, and is stretched to one")
    if mode == "I" or mode == "F" or mode.startswith("I;"):
        said.append(
            "its grey values are scaled from its own least to its own greatest: its window is not known"
        )
    if kind == "slice":
        said.append(
            "a picture cannot be cut to the lungs in HU, as the slices were that the network was trained on"
        )
    if wanted.get("boxes"):
        said.append("the training pictures were cropped to the box of the lungs, this one is taken whole")
    return said
