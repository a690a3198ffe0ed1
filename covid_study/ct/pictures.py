"""Slices that lie on disk as pictures, as most public data sets publish them: their table, and how one is read."""

import os
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from covid_study.cohort.exams import SPLIT_SPELLINGS, nearest
from covid_study.cohort.picture_layouts import LAYOUTS, SUFFIXES
from covid_study.errors import CohortError, ExamError

COLUMNS = ("slice_id", "exam_id", "patient_id", "finding", "split", "path", "box")
SMALLEST = 32  # pixels a side
_COVID = r"(covid|corona|ncov|sars[\W_]*cov|\bncp\b)"


def parse_class(name: str) -> str:
    """The finding that the name of a class means: covid, non_covid, or the name as it is.

    >>> [parse_class(n) for n in ("CT_COVID", "CT_NonCOVID", "COVID-19 negative", "covid_positive", "Normal")]
    ['covid', 'non_covid', 'non_covid', 'covid', 'Normal']
    """
    plain = name.strip().lower()
    if not re.search(_COVID, plain):
        return name.strip()
    without = re.search(r"(non|not|no|without)[\W_]*" + _COVID, plain) or re.search(r"neg(ative)?\b", plain)
    return "non_covid" if without else "covid"


def find_images(path: str | os.PathLike) -> tuple[pd.DataFrame, list[str]]:
    """The pictures at `path`, a row each, and what a reader must know about them, in sentences; see `find_data_set`."""
    return find_data_set(path)[1:]


def find_data_set(path: str | os.PathLike) -> tuple[str, pd.DataFrame, list[str]]:
    """Which public data set lies at `path` ("" where it is none), its pictures, a row each, and what a reader must know.

    The root of a data set is read in its own layout (`picture_layouts.LAYOUTS`), with its authors' split. Else a folder holds
    a folder a class, below it pictures, or a folder a patient; train, val and test folders may come first. A CSV has the
    columns path and finding, and patient_id and split where they are known; paths are relative to it.

    Choice: where the patients are not known each picture is a patient of its own; slices of one patient may then lie on
    both sides of the split, which makes the scores too good.

    Choice: a patient on both sides is refused where the user made the split, and said aloud where its authors did, whose
    split is kept (`official_lists.both_sides`).

    Returns:
        The layout's name; a table with slice_id (the path below the folder, or as the CSV has it), exam_id, patient_id,
        finding, split ("" where none is given), path, box ("", or "xmin ymin xmax ymax" in pixels of the file); sentences.

    Raises:
        CohortError: nothing there, a data set that is not whole, a column missing, no class of COVID-19, one class only, a
            split that is not known.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise CohortError(f"slices.images: {path} does not exist. What to do: correct the path.")
    for layout in LAYOUTS:
        if (found := layout.find(path)) is not None:
            source, (table, notes) = layout.name, found
            break
    else:
        source, table, notes = "", _of_folder(path) if path.is_dir() else _of_csv(path), []
    if not source and path.name == "Images-processed" and (path.parent / "Data-split").is_dir():
        notes.append(
            "These are the images of COVID-CT without its authors' split and patients, which lie beside their folder. Give the "
            "folder above to use them."
        )
    alone = table["patient_id"] == ""
    if alone.any():
        notes.append(
            f"The patients of {alone.sum():,} of {len(table):,} images are not known: each counts as a patient of its own. "
            "Slices of one patient may lie in training and test alike, which makes scores look better than they are."
        )
        table["patient_id"] = table["patient_id"].where(~alone, table["slice_id"])
    table["exam_id"] = table["patient_id"]
    _check(table, path, own_split=not source)
    columns = table.reindex(columns=list(COLUMNS), fill_value="")
    return source, columns.sort_values("slice_id", ignore_index=True), notes


def _of_folder(folder: Path) -> pd.DataFrame:
    rows = []
    for file in sorted(folder.rglob("*")):
        inner = file.relative_to(folder)
        if file.suffix.lower() not in SUFFIXES or any(part.startswith(".") for part in inner.parts):
            continue
        above = list(inner.parts[:-1])
        split = _split(above[0]) if above else ""
        above = above[1:] if split in ("train", "validation", "test") else above
        if above:  # pictures beside the folders of the classes belong to none
            split = split if len(above) < len(inner.parts) - 1 else ""
            rows.append((inner.as_posix(), "/".join(above[1:]), parse_class(above[0]), split, str(file)))
    return pd.DataFrame(rows, columns=["slice_id", "patient_id", "finding", "split", "path"])


def _split(text: str) -> str:
    plain = text.strip().lower()
    return next((name for name, words in SPLIT_SPELLINGS.items() if plain in words.split()), text.strip())


def _of_csv(file: Path) -> pd.DataFrame:
    try:
        header = file.read_text(encoding="utf-8-sig").lstrip().partition("\n")[0]
        table = pd.read_csv(
            file, sep=max(",;\t", key=header.count), dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise CohortError(
            f"slices.images: {file} cannot be read as CSV: {error}. What to do: give a folder with a folder of images a "
            "class, or a CSV in UTF-8 with the columns path, finding, patient_id, split."
        ) from error
    table.columns = [re.sub(r"[\s-]+", "_", str(name).strip().lower()) for name in table.columns]
    wanted = ("path", "finding", "patient_id", "split")
    lacking = [name for name in wanted if name not in table]
    absent = [name for name in wanted[:2] if name in lacking]
    near = [
        f"{name}{nearest(name, lacking)}" for name in table if name not in wanted and nearest(name, lacking)
    ]
    if absent or near:
        raise CohortError(
            f"slices.images: {file} "
            + (f"lacks the column {' and '.join(absent)}" if absent else f"has a column {near[0]}")
            + f". Its columns: {', '.join(table)}; wanted: path, finding, and patient_id and split where they are known."
        )
    table = (
        table.reindex(columns=list(wanted), fill_value="").fillna("").apply(lambda column: column.str.strip())
    )
    table["finding"] = [parse_class(name) for name in table["finding"]]
    table["split"] = [_split(name) for name in table["split"]]
    names = table["path"]
    if len(names) and all(os.path.isabs(name) for name in names):  # an id tells nothing of the machine
        above = os.path.commonpath([os.path.dirname(name) for name in names])
        names = [os.path.relpath(name, above) for name in names]
    return table.assign(slice_id=names, path=[str(file.parent / name) for name in table["path"]])


def _check(table: pd.DataFrame, path: Path, own_split: bool) -> None:
    """Say in one error what keeps the images from being used."""
    problems = []
    classes = ", ".join(dict.fromkeys(table["finding"])) or "none"
    if not len(table):
        problems.append(
            "no images were found; expected a folder a class with images in it "
            f"({', '.join(SUFFIXES)}), e.g. COVID and Non-COVID"
        )
    elif not (table["finding"] == "covid").any():
        problems.append(f"no class of COVID-19 was found; the classes are {classes}: {_hint(path)}")
    elif table["finding"].nunique() == 1:
        problems.append("there is one class only, covid: another one is needed to tell it from")
    twice = table.loc[table["slice_id"].duplicated(), "slice_id"]
    if len(twice):
        problems.append(f"{len(twice)} images are listed twice, the first is {twice.iloc[0]}")
    unknown = table.loc[~table["split"].isin(("", *SPLIT_SPELLINGS)), "split"]
    if len(unknown):
        problems.append(f"split {unknown.iloc[0]!r} is not known: use {', '.join(SPLIT_SPELLINGS)}")
    empty = table["split"] == ""
    if 0 < empty.sum() < len(table):
        problems.append(
            f"{empty.sum()} of {len(table)} images have no split: fill in all of the column, or none"
        )
    sides = table["split"].replace("validation", "train").groupby(table["patient_id"]).nunique()
    if own_split and len(table) and (sides > 1).any():
        problems.append(f"patient {sides.idxmax()} is on both sides of the split")
    if problems:
        raise CohortError(f"slices.images: {path}: {'; '.join(problems)}.")


def _hint(path: Path) -> str:
    """What to do where no class is COVID-19: often the folder above was given."""
    folders = [d for d in sorted(path.glob("*/*")) if d.is_dir() and parse_class(d.name) == "covid"]
    if folders:
        return f"{folders[0].parent} looks like the folder to give"
    return "name its folder COVID, or write covid in the CSV's column finding"


def read_image(path: str | os.PathLike, slice_id: str = "", box: str = "") -> np.ndarray:
    """One picture as grey values, cropped to its box where one is given: uint8 (y, x).

    Whatever its suffix says; grey, colour and palette, with transparency (laid on black) or without; 16 bit is brought to
    8 from its own least to its own greatest value, for such files know no window.

    Raises:
        ExamError: not there, not a picture, damaged, smaller than 32 pixels a side, all of one value, a box that does not
            lie inside it.
    """
    name = slice_id or Path(path).name
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of metadata that do not matter here
            image = Image.open(path)
            image.load()
    except FileNotFoundError:
        raise ExamError(name, f"{path} does not exist", "correct the path, or remove the image") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise ExamError(
            name,
            f"{path} cannot be read as an image ({error})",
            "copy it again from its source, or remove it",
        ) from error
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        values = np.nan_to_num(np.asarray(image, np.float32))
        low, high = float(values.min()), float(values.max())
        grey = np.round(255 * (values - low) / max(high - low, 1e-9)).astype(np.uint8)
    else:
        clear = "A" in image.getbands() or "transparency" in image.info
        if clear:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
        grey = np.asarray(image.convert("L"))
    grey = _cropped(grey, box, name, path) if box else grey
    if min(grey.shape) < SMALLEST:
        raise ExamError(
            name,
            f"{path} has {grey.shape[1]} x {grey.shape[0]} pixels; a CT slice has at least {SMALLEST} a side",
            "give the image in its full size, or remove it",
        )
    if grey.min() == grey.max():
        raise ExamError(
            name, f"every pixel of {path} is {grey.min()}", "copy it again from its source, or remove it"
        )
    return grey


def _cropped(grey: np.ndarray, box: str, name: str, path: str | os.PathLike) -> np.ndarray:
    """The part of a picture inside "xmin ymin xmax ymax", the last two not included."""
    left, top, right, bottom = map(int, box.split())
    if not (0 <= left < right <= grey.shape[1] and 0 <= top < bottom <= grey.shape[0]):
        raise ExamError(
            name,
            f"its box {box} (xmin ymin xmax ymax) does not lie inside {path}, which has "
            f"{grey.shape[1]} x {grey.shape[0]} pixels",
            "correct the box in the list, or set slices.crop to false",
        )
    return grey[top:bottom, left:right]
