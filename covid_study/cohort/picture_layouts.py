"""Layouts of the public data sets of slices -> slice table: COVID-CT, SARS-CoV-2 CT-scan, COVIDx-CT, COVID19-Diag.

A further data set is one more `Layout` in LAYOUTS: its name in the catalogue, a sentence for people, and a function that
returns the table and what a reader must know, or None where the path does not look like it. A folder that looks like a
data set and is broken is an error: it never falls through to the folders named by class.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from covid_study.cohort import covidx_ct
from covid_study.cohort.exams import SPLIT_SPELLINGS
from covid_study.cohort.official_lists import against_files, both_sides, listed_once
from covid_study.errors import CohortError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
Found = tuple[pd.DataFrame, list[str]] | None


@dataclass(frozen=True)
class Layout:
    """One way the pictures of a public data set lie on disk.

    `find` gives slice_id, patient_id ("" where it is not known), finding, split ("" where there is none), path, and box
    where the data set has bounding boxes: "xmin ymin xmax ymax" in pixels of the file.
    """

    name: str
    looks_like: str
    find: Callable[[Path], Found]


def pictures(folder: Path) -> dict[str, Path]:
    """The pictures of a folder itself by name; none where there is no such folder."""
    files = folder.iterdir() if folder.is_dir() else ()
    return {f.name: f for f in files if f.suffix.lower() in SUFFIXES and not f.name.startswith(".")}


# ------------------------------------------------------------------------------------------------ COVID-CT

_CLASSES = {"COVID": "covid", "NonCOVID": "non_covid"}
_COVID_CT_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_NAMES = ("filename", "imagename", "image", "imagefile")
_PATIENTS = ("patientid", "patient")


def _covid_ct(path: Path) -> Found:
    """COVID-CT (Zhao et al. 2020): the authors' lists, patients from their meta-information, pictures in their folders.

    Raises:
        CohortError: lists without pictures, pictures without lists, a list that is missing.
    """
    lists = {
        (kind, short): path / "Data-split" / kind / f"{short}CT_{kind}.txt"
        for kind in _CLASSES
        for short in _COVID_CT_SPLITS
    }
    there = {kind: _covid_ct_pictures(path, kind) for kind in _CLASSES}
    absent = [file for file in lists.values() if not file.is_file()]
    if len(absent) == len(lists):
        if not (path / "Images-processed").is_dir() or not any(there.values()):
            return None
        raise CohortError(
            f"slices.images: {path} has the pictures of COVID-CT, but not its lists Data-split/COVID/trainCT_COVID.txt and so "
            f"on. What to do: put the release's folder Data-split there, or give DATA={path / 'Images-processed'} "
            "to split anew."
        )
    if absent:
        raise CohortError(
            f"slices.images: {path} has the lists of COVID-CT, but not "
            f"{', '.join(str(f.relative_to(path)) for f in absent)}. What to do: put the release's "
            "folder Data-split there again."
        )
    rows = [
        (f"CT_{kind}/{name}", name, kind, _CLASSES[kind], _COVID_CT_SPLITS[short])
        for (kind, short), file in lists.items()
        for name in map(str.strip, file.read_text(encoding="utf-8-sig", errors="replace").splitlines())
        if name
    ]
    table, notes = listed_once(pd.DataFrame(rows, columns=["slice_id", "name", "kind", "finding", "split"]))
    held = {f"CT_{kind}/{name}": file for kind, files in there.items() for name, file in files.items()}
    for kind, finding in _CLASSES.items():
        wanted = table.loc[table["finding"] == finding, "slice_id"]
        if not held.keys() & set(wanted):
            zips = [str(z.relative_to(path)) for z in path.rglob(f"CT_{kind}.zip")]
            hint = f"unpack {zips[0]} where it lies" if zips else f"put Images-processed/CT_{kind} there"
            raise CohortError(
                f"slices.images: {path} has the lists of COVID-CT, but none of the {len(wanted):,} images of "
                f"CT_{kind}. What to do: {hint}."
            )
    expected = path / "Images-processed"
    table["path"] = [str(held.get(slice_id, expected / slice_id)) for slice_id in table["slice_id"]]
    known, more = _covid_ct_patients(path)
    stem = table["name"].str.replace(r"\.\w+$", "", regex=True)
    table["patient_id"] = [
        known.get((kind, name), known.get((kind, bare), ""))
        for kind, name, bare in zip(table["kind"], table["name"], stem, strict=True)
    ]
    notes += more + against_files(table["slice_id"], held) + both_sides(table)
    return table.drop(columns=["name", "kind"]), notes


def _covid_ct_pictures(path: Path, kind: str) -> dict[str, Path]:
    """Wherever the release's archive was unpacked: Images-processed/CT_COVID, CT_COVID, or one inside the other."""
    places = [path, path / "Images-processed"]
    folders = [inner for p in places for inner in (p / f"CT_{kind}" / f"CT_{kind}", p / f"CT_{kind}")]
    return {name: file for folder in folders for name, file in pictures(folder).items()}


def _covid_ct_patients(path: Path) -> tuple[dict[tuple[str, str], str], list[str]]:
    """(class, file name) -> patient, from CSV files of meta-information; what could not be read, in sentences.

    The two published files do not name their columns alike, and some names in them have no suffix.
    """
    known, notes = {}, []
    files = [f for folder in (path / "Meta-data", path) if folder.is_dir() for f in sorted(folder.iterdir())]
    files = [f for f in files if "metainfo" in f.name.lower()]
    for kind in _CLASSES:
        own = [f for f in files if f.name.lower().startswith("non") == (kind == "NonCOVID")]
        tables = [f for f in own if f.suffix.lower() == ".csv"]
        if not tables:
            sheet = next((f.name for f in own if f.suffix.lower() in (".xlsx", ".xls")), None)
            hint = (
                f"Save {sheet} as CSV beside it"
                if sheet
                else f"Put the release's {kind}-CT-MetaInfo there as CSV"
            )
            notes.append(f"The patients of CT_{kind} are not known. {hint}, and they will be.")
            continue
        table = _columns(tables[0])
        known |= {((kind, name), patient) for name, patient in zip(*table, strict=True) if patient}
    return known, notes


def _columns(file: Path) -> tuple[list[str], list[str]]:
    """The columns of file names and of patients of one CSV.

    Raises:
        CohortError: it has no such columns.
    """
    try:
        head = file.read_text(encoding="utf-8-sig", errors="replace").partition("\n")[0]
        table = pd.read_csv(
            file, sep=max(",;\t", key=head.count), dtype=str, keep_default_na=False,
            encoding="utf-8-sig", encoding_errors="replace"
        )  # fmt: skip
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise CohortError(
            f"{file} cannot be read as CSV: {error}. What to do: copy it again, or remove it."
        ) from error
    plain = {re.sub(r"[^a-z]", "", str(name).lower()): name for name in table.columns}
    names = next((plain[n] for n in _NAMES if n in plain), None)
    patients = next((plain[n] for n in _PATIENTS if n in plain), None)
    if names is None or patients is None:
        raise CohortError(
            f"{file} needs a column with the file name and one with the patient id; it has {', '.join(table.columns)}. What "
            "to do: call them 'File name' and 'Patient ID'."
        )
    return table[names].str.strip().tolist(), table[patients].str.strip().tolist()


# ------------------------------------------------------------------------------------------------ SARS-CoV-2 CT-scan

_SOARES = re.compile(r"(non[-_ ]?)?covid ?\(\d+\)\.\w+", re.I)


def _sars_cov_2(path: Path) -> Found:
    """SARS-CoV-2 CT-scan (Soares et al. 2020): two folders, no patients, no split.

    Raises:
        CohortError: one of the two folders is missing or empty.
    """
    held = {}
    for folder in sorted(path.iterdir()) if path.is_dir() else ():
        if kind := re.fullmatch(r"(non[-_ ]?)?covid", folder.name, re.I):
            held["non_covid" if kind[1] else "covid"] = pictures(folder)
    named = sum(bool(_SOARES.fullmatch(name)) for files in held.values() for name in files)
    if not named or named < 0.5 * sum(map(len, held.values())):
        return None
    empty = [
        folder for folder, kind in (("COVID", "covid"), ("non-COVID", "non_covid")) if not held.get(kind)
    ]
    if empty:
        raise CohortError(
            f"slices.images: {path} looks like SARS-CoV-2 CT-scan, but has no images in {empty[0]}. What to do: put both "
            "folders of the release there, COVID and non-COVID."
        )
    rows = [
        (f"{file.parent.name}/{name}", "", finding, "", str(file))
        for finding, files in held.items()
        for name, file in files.items()
    ]
    note = (
        "SARS-CoV-2 CT-scan comes without a split and does not say which images are of one patient: any split is by image, and "
        "images of one patient may lie on both sides."
    )
    return pd.DataFrame(rows, columns=["slice_id", "patient_id", "finding", "split", "path"]), [note]


# ------------------------------------------------------------------------------------------------ COVID19-Diag


def _diag_finding(name: str) -> str | None:
    plain = name.lower()
    kinds = {"cap": r"bacterial|\bbp\b", "covid": r"covid", "non_pneumonia": r"normal|healthy"}
    return next((finding for finding, words in kinds.items() if re.search(words, plain)), None)


def _covid19_diag(path: Path) -> Found:
    """COVID19-Diag (paper B, 4.1.1): a folder a class, in it cases; train and test may come above.

    Choice: its authors hand it out on request and do not say how its files lie. A case is a folder, or what comes before
    the last number of a file's name; it is told from other folders by a class of bacterial pneumonia.

    Raises:
        CohortError: there is bacterial pneumonia, but no COVID-19 or no normal cases.
    """
    if not path.is_dir():
        return None
    splits = {_split(d.name): d for d in path.iterdir() if d.is_dir() and _split(d.name)}
    classes = [
        (split, d, _diag_finding(d.name))
        for split, above in (splits or {"": path}).items()
        for d in sorted(above.iterdir())
        if d.is_dir() and _diag_finding(d.name)
    ]
    if "cap" not in {finding for _, _, finding in classes}:
        return None
    rows = []
    for split, folder, finding in classes:
        for file in sorted(folder.rglob("*")):
            if file.suffix.lower() in SUFFIXES and not file.name.startswith("."):
                case = "/".join(file.relative_to(folder).parts[:-1]) or _prefix(file.stem)
                patient = f"{finding} {case}" if case else ""
                rows.append((file.relative_to(path).as_posix(), patient, finding, split, str(file)))
    table = pd.DataFrame(rows, columns=["slice_id", "patient_id", "finding", "split", "path"])
    lacking = [name for name in ("covid", "cap", "non_pneumonia") if name not in set(table["finding"])]
    if lacking:
        raise CohortError(
            f"slices.images: {path} looks like COVID19-Diag, but has no images of {', '.join(lacking)}. What to do: put its "
            "three classes there: COVID-19, normal, bacterial pneumonia."
        )
    return table, both_sides(table)


def _split(name: str) -> str:
    """The split a folder is named after, or an empty string."""
    return next((s for s, words in SPLIT_SPELLINGS.items() if name.lower() in words.split()), "")


def _prefix(stem: str) -> str:
    """What comes before the last number: the case.

    >>> _prefix("case12_005"), _prefix("005")
    ('case12', '')
    """
    found = re.fullmatch(r"(.*[^\W_].*?)[\W_]+\d+", stem)
    return found[1] if found else ""


LAYOUTS = (
    Layout(
        "covid-ct",
        "COVID-CT: Images-processed/CT_COVID and CT_NonCOVID, Data-split/COVID/trainCT_COVID.txt and so on, Meta-data/*.csv",
        _covid_ct,
    ),
    *(
        Layout(
            f"covidx-ct-{version.lower()}",
            f"COVIDx-CT-{version}: lists train_, val_ and test_COVIDx..., beside them a folder of images",
            partial(covidx_ct.find, version=version),
        )
        for version in covidx_ct.VERSIONS
    ),
    Layout(
        "sars-cov-2",
        'SARS-CoV-2 CT-scan: COVID/"Covid (1).png", non-COVID/"Non-Covid (1).png" and so on',
        _sars_cov_2,
    ),
    Layout(
        "covid19-diag",
        "COVID19-Diag: folders COVID-19, Normal and Bacterial Pneumonia (train and test may come above), in each the cases",
        _covid19_diag,
    ),
)
