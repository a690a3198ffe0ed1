"""Pictures of slices on disk -> their table: the public data sets as published, folders named by class, a CSV.

A further data set is one more entry of LAYOUTS, by its name in the catalogue. A folder that looks like a data set and is
broken is an error: it never falls through to the folders named by class.
"""

import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import pandas as pd
import tifffile

from covid_study.cohort import covidx_ct, public_pictures
from covid_study.cohort.copies import notes_on_copies
from covid_study.cohort.csv_files import read_csv, resolved
from covid_study.cohort.file_kinds import PICTURE_SUFFIXES, is_picture
from covid_study.cohort.finding_names import unclear
from covid_study.cohort.findings import parse_class
from covid_study.cohort.folders import below
from covid_study.cohort.splits import SPLITS, parse_split
from covid_study.errors import CohortError

LAYOUTS: dict[str, Callable[[Path], public_pictures.Found]] = {
    "covid-ct": public_pictures.covid_ct,
    **{f"covidx-ct-{v.lower()}": partial(covidx_ct.find, version=v) for v in covidx_ct.VERSIONS},
    "sars-cov-2": public_pictures.sars_cov_2,
    "covid19-diag": public_pictures.covid19_diag,
}
WITHOUT_LISTS = (
    "",
    "sars-cov-2",
    "covid19-diag",
)  # all their pictures take part; the others note what is in no list
COLUMNS = ("slice_id", "exam_id", "patient_id", "finding", "split", "path", "box")


def find_images(path: str | os.PathLike[str]) -> tuple[pd.DataFrame, list[str]]:
    """The pictures at `path`, a row each, and what a reader must know about them, in sentences; see `find_data_set`."""
    return find_data_set(path)[1:]


def pages(file: str) -> int:
    """Of a TIFF file; 1 for every other kind, and for one that cannot be opened, which is its reader's business."""
    if not file.lower().endswith((".tif", ".tiff")):
        return 1
    try:
        with tifffile.TiffFile(file) as opened:
            return max(len(opened.pages), 1)
    except (OSError, ValueError, tifffile.TiffFileError):
        return 1


def find_data_set(path: str | os.PathLike[str], named: bool = True) -> tuple[str, pd.DataFrame, list[str]]:
    """Which public data set lies at `path` ("" where it is none), its pictures, a row each, and what a reader must know.

    The root of a data set is read in its own layout (LAYOUTS), with its authors' split. Else a folder holds a folder a class,
    below it pictures, or a folder a patient; train, val and test folders may come first. A CSV has the columns path and
    finding, and patient_id and split where they are known; paths are relative to it.

    Choice: where the patients are not known each picture is a patient of its own; slices of one patient may then lie on
    both sides of the split, which makes the scores too good.

    Choice: a patient on both sides is refused where the user made the split, and said aloud where its authors did, whose
    split is kept (`splits.both_sides`).

    Args:
        named: whether sentences on what takes no part may name files, see `Below.passed_over`.

    Returns:
        The layout's name; a table with slice_id (the path below the folder, or as the CSV has it), exam_id, patient_id,
        finding, split ("" where none is given), path, box ("", or "xmin ymin xmax ymax" in pixels of the file); sentences.

    Raises:
        CohortError: nothing there, a data set that is not whole, a column missing, no class of COVID-19, one class only, a
            split that is not known.
    """
    path = Path(os.path.expanduser(path))
    if not path.exists():
        raise CohortError(f"slices.images: {path} does not exist. What to do: correct the path.")
    read = ((name, found) for name, find in LAYOUTS.items() if (found := find(path)) is not None)
    source, (table, notes) = next(read, ("", (pd.DataFrame(), [])))
    if not source:
        table = _of_folder(path) if path.is_dir() else _of_csv(path)
        if path.name == "Images-processed" and (path.parent / "Data-split").is_dir():
            notes.append(
                "These are the images of COVID-CT without its authors' split and patients, which lie beside their folder. Give "
                "the folder above to use them."
            )
    alone = table["patient_id"] == ""
    if alone.any():
        notes.append(
            f"The patients of {alone.sum():,} of {len(table):,} images are not known: each counts as a patient of its own. "
            "Slices of one patient may lie in training and test alike, which makes scores look better than they are."
        )
        table["patient_id"] = table["patient_id"].where(~alone, table["slice_id"])
    if more := sum(pages(file) - 1 for file in table["path"]):
        notes.append(f"TIFF files of several pages: the first is read, {more:,} others are not.")
    table["exam_id"] = table["patient_id"]
    if path.is_dir() and source in WITHOUT_LISTS:
        notes += below(path).passed_over(list(map(Path, table["path"])), named)
    if problems := _problems(table, path, own_split=not source):
        raise CohortError(f"slices.images: {path}: {'; '.join(problems)}.")
    notes += notes_on_copies(table, "slice_id")
    columns = table.reindex(columns=list(COLUMNS), fill_value="")
    return source, columns.sort_values("slice_id", ignore_index=True), notes


def _of_folder(folder: Path) -> pd.DataFrame:
    rows = []
    for file in filter(is_picture, below(folder).files):
        inner = file.relative_to(folder)
        above = list(inner.parts[:-1])
        split = parse_split(above[0]) if above else None
        above = above[1:] if split else above
        if above:  # pictures beside the folders of the classes belong to none
            patient = "/".join(above[1:])
            rows.append((inner.as_posix(), patient, _class(above[0], folder), split or "", str(file)))
    return pd.DataFrame(rows, columns=public_pictures.COLUMNS)


@cache
def _class(name: str, path: Path) -> str:
    """The class of pictures that a name means.

    Raises:
        CohortError: it is not clear whether the name is for or against COVID-19.
    """
    if (found := parse_class(name)) is None:
        raise CohortError(
            f"slices.images: {path}: the class {name[:80]!r} speaks of COVID-19, but not clearly for or against it"
            f"{unclear(name)}. What to do: name it covid, non_covid, or without COVID-19 in its name."
        )
    return found


def _of_csv(file: Path) -> pd.DataFrame:
    table = read_csv(file, "slices.images:", ("path", "finding"), ("patient_id", "split"))
    table["finding"] = [_class(name, file) for name in table["finding"]]
    table["split"] = [parse_split(name) or name for name in table["split"]]
    names = table["path"]
    if len(names) and all(map(os.path.isabs, names)):  # an id tells nothing of the machine
        above = os.path.commonpath([os.path.dirname(name) for name in names])
        names = [os.path.relpath(name, above) for name in names]
    return table.assign(slice_id=names, path=[resolved(name, file) for name in table["path"]])


def _problems(table: pd.DataFrame, path: Path, own_split: bool) -> list[str]:
    """What keeps the images from being used."""
    if not len(table):
        suffixes = ", ".join(PICTURE_SUFFIXES)
        stray = sum(map(is_picture, below(path).files)) if path.is_dir() else 0
        found = (
            f"{stray:,} images were found, none of them in the folder of a class"
            if stray
            else "no images were found"
        )
        return [
            f"{found}; expected a folder a class with images in it ({suffixes}), e.g. COVID and Non-COVID"
        ]
    for column in ("path", "finding"):
        if (empty := table["slice_id" if column == "path" else column] == "").any():
            row = int(empty.to_numpy().argmax()) + 1
            return [f"{empty.sum():,} images have no {column}, the first in row {row}: fill it in"]
    problems, classes = [], list(dict.fromkeys(table["finding"]))
    if "covid" not in classes:
        # often the folder above was given
        inner = [d for d in sorted(path.glob("*/*")) if d.is_dir() and parse_class(d.name) == "covid"]
        hint = "name its folder COVID, or write covid in the CSV's column finding"
        hint = f"{inner[0].parent} looks like the folder to give" if inner else hint
        problems.append(f"no class of COVID-19 was found; the classes are {', '.join(classes)}: {hint}")
    elif len(classes) == 1:
        problems.append("there is one class only, covid: another one is needed to tell it from")
    twice = table.loc[table["slice_id"].duplicated(), "slice_id"]
    if len(twice):
        problems.append(f"{len(twice)} images are listed twice, the first is {twice.iloc[0]}: list each once")
    unknown = table.loc[~table["split"].isin(("", *SPLITS)), "split"]
    if len(unknown):
        problems.append(f"split {unknown.iloc[0]!r} is not known: use {', '.join(SPLITS)}")
    empty = (table["split"] == "").sum()
    if 0 < empty < len(table):
        problems.append(f"{empty} of {len(table)} images have no split: fill in all of the column, or none")
    sides = table["split"].replace("validation", "train").groupby(table["patient_id"]).nunique()
    if own_split and (sides > 1).any():
        problems.append(f"patient {sides.idxmax()} is on both sides of the split: put all its images on one")
    return problems
