"""COVIDx-CT 1, 2A, 2B and 3A (Gunraj et al. 2020, 2022): lists with a class and a bounding box a line (paper B, 4.1.2)."""

import csv
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd

from covid_study.cohort.csv_files import only_a_name
from covid_study.cohort.file_kinds import PICTURE_SUFFIXES
from covid_study.cohort.splits import against_files, both_sides, listed_once, parse_split, some
from covid_study.errors import CohortError

VERSIONS = ("1", "2A", "2B", "3A")
CLASSES = {"0": "non_pneumonia", "1": "cap", "2": "covid"}  # Normal, Pneumonia, COVID-19
COLUMNS = ("name", "class", "xmin", "ymin", "xmax", "ymax")
_LISTS = ("train", "val", "test")
_LIST = re.compile(r"(train|val|test)_COVIDx[-_]CT(?:[-_]v?([123])([AB])?)?\.txt", re.I)
_FOLDER = re.compile(r"[123][AB]_images|COVIDx[-_]CT|images", re.I)
_PATIENT = (  # of each source, in the names of its files
    r"(?:NCP|CP|Normal)_\d+|HUST-Patient\d+|STOIC-\d+|COVIDCTMD-[A-Za-z]+\d+|volume-covid-?19-A-\d+|study_\d+"
    r"|coronacases_\d+|radiopaedia[-_]\d+|LIDC-IDRI-\d+|\w*?patient\d+|normal\d+|A\d{6}"
)


def find(path: Path, version: str) -> tuple[pd.DataFrame, list[str]] | None:
    """The pictures of one version, and what a reader must know; None where the newest lists at `path` are of another.

    2B has a training list of its own and tests on what 2A tests on, from the same folder of images.

    Choice: where the lists of several versions lie side by side the newest is read.

    Raises:
        CohortError: a list is missing or has a line that cannot be read; lists without images, images without lists.
    """
    if not path.is_dir():
        return None
    names = sorted(os.listdir(path))
    lists = _lists(path, names)
    if not lists:
        folder = next((name for name in names if re.fullmatch(r"[123][AB]_images", name)), None)
        if folder is None or not folder.startswith(version):
            return None
        raise CohortError(
            f"slices.images: {path} has {folder}, but none of the lists train_, val_ and test_COVIDx_CT-{folder[:2]}.txt. What "
            "to do: put the three lists of the release beside the folder."
        )
    if max(lists) != version:
        return None
    of_2a = lists.get("2A", {}) if version == "2B" else {}
    of_version = of_2a | lists[version]
    lacking = [short for short in _LISTS if short not in of_version]
    if lacking:
        name = "COVIDx-CT" if version == "1" else f"COVIDx_CT-{version}"
        raise CohortError(
            f"slices.images: {path} lacks the list {' and '.join(lacking)} of COVIDx-CT-{version} (such as {lacking[0]}_{name}"
            f".txt{', or that of 2A' * (version == '2B')}). What to do: put the lists of the release into that folder."
        )
    table = pd.concat(
        [_read(of_version[short], parse_split(short) or short) for short in _LISTS], ignore_index=True
    )
    table, notes = listed_once(table)
    there, listed = _files(path, names), table["slice_id"]
    folder = "COVIDx-CT" if version == "1" else f"{version[0]}A_images"
    if not there.keys() & set(listed):
        raise CohortError(
            f"slices.images: {path} has the lists of COVIDx-CT-{version}, but none of their {len(listed):,} images; the first "
            f"is {listed.iloc[0]}. What to do: put the folder {folder} of the release beside the lists."
        )
    table["path"] = [f"{there.get(name, path / folder)}{os.sep}{name}" for name in listed]
    table["patient_id"], unusual = patients(listed)
    if unusual:
        notes.append(
            f"Names that follow no known source: {some(unusual)}. All but their last number is taken for the patient."
        )
    others = set(lists) - {version} - ({"2A"} if version == "2B" and len(of_2a) < len(_LISTS) else set())
    if others:
        also = ", ".join(sorted(others))
        notes.append(
            f"There are lists of COVIDx-CT {also} as well; {version} is read. Move its lists away to read the other."
        )
    return table, notes + against_files(listed, there) + both_sides(table)


def patients(names: pd.Series) -> tuple[pd.Series, list[str]]:
    """The patient of each file name, and the names that follow no known source.

    >>> known, unusual = patients(pd.Series(["NCP_96_1328_0032.png", "volume-covid19-A-0001-0012.png", "x-7-0012.png"]))
    >>> known.tolist(), unusual
    (['NCP_96', 'volume-covid19-A-0001', 'x-7'], ['x-7-0012.png'])
    """
    found = names.str.extract(rf"^({_PATIENT})(?![0-9])", expand=False)
    unusual = found.isna()
    rest = names[unusual].str.replace(r"(?:[-_. ]?\d+)?\.\w+$", "", regex=True)
    return found.fillna(rest), names[unusual].tolist()


def _lists(path: Path, names: list[str]) -> dict[str, dict[str, Path]]:
    """Version -> train, val, test -> its list."""
    found: dict[str, dict[str, Path]] = {}
    for name in names:
        if match := _LIST.fullmatch(name):
            split, number, letter = match.groups()
            version = "1" if number in (None, "1") else number + (letter or "A").upper()
            if version in VERSIONS:
                found.setdefault(version, {})[split.lower()] = path / name
    return found


def _files(path: Path, names: list[str]) -> dict[str, str]:
    """File name -> its folder, by one listing a folder: there may be 400,000 files."""
    folders = [path, *(path / name for name in names if _FOLDER.fullmatch(name) and (path / name).is_dir())]
    return {
        name: str(folder)
        for folder in folders
        for name in os.listdir(folder)
        if name.lower().endswith(PICTURE_SUFFIXES)
    }


def _read(file: Path, split: str) -> pd.DataFrame:
    """One list: slice_id, finding, split, box.

    Raises:
        CohortError: names the first line that is not "name class xmin ymin xmax ymax".
    """
    try:
        table = pd.read_csv(
            file, sep=r"\s+", header=None, names=[*COLUMNS, "more"], dtype=str, keep_default_na=False, na_values=[""],
            quoting=csv.QUOTE_NONE, skip_blank_lines=False, index_col=False, encoding="utf-8-sig"
        )  # fmt: skip
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise CohortError(
            f"{file} cannot be read as a list of COVIDx-CT: {error}. What to do: copy it again."
        ) from error
    table = table.dropna(how="all")
    for name in table["name"].dropna():
        only_a_name(name, str(file))
    numbers = table[list(COLUMNS[2:])].apply(lambda column: column.str.fullmatch(r"\d+", na=False))
    bad = ~(table["class"].isin(CLASSES) & numbers.all(axis=1) & table["more"].isna())
    if bad.any():
        line = int(np.flatnonzero(bad)[0])
        shown = " ".join(table.iloc[line].dropna())[:80]
        raise CohortError(
            f"{file}, line {table.index[line] + 1}: '{shown}' is not 'name class xmin ymin xmax "
            f"ymax' with a class of 0 (normal), 1 (pneumonia) or 2 (COVID-19); {bad.sum():,} such lines. What to do: copy the "
            "list again."
        )
    box = table["xmin"].str.cat([table[side] for side in COLUMNS[3:]], sep=" ")
    found = {"slice_id": table["name"], "finding": table["class"].map(CLASSES), "split": split, "box": box}
    return pd.DataFrame(found)
