"""COVID-CT, SARS-CoV-2 CT-scan and COVID19-Diag as they lie on disk: their pictures, classes, patients and splits.

Each function returns the table (slice_id, patient_id, finding, split, path; "" where a fact is not known) and notes for a
reader, or None where the path does not look like its data set.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from covid_study.cohort.csv_files import only_a_name, read_csv
from covid_study.cohort.file_kinds import is_picture
from covid_study.cohort.finding_names import unclear
from covid_study.cohort.findings import parse_finding
from covid_study.cohort.folders import below
from covid_study.cohort.splits import against_files, both_sides, listed_once, parse_split
from covid_study.errors import CohortError

COLUMNS = ["slice_id", "patient_id", "finding", "split", "path"]
Found = tuple[pd.DataFrame, list[str]] | None


def pictures(folder: Path) -> dict[str, Path]:
    """The pictures of a folder itself by name; none where there is no such folder."""
    return {f.name: f for f in (folder.iterdir() if folder.is_dir() else ()) if is_picture(f)}


# ------------------------------------------------------------------------------------------------ COVID-CT

_CLASSES = {"COVID": "covid", "NonCOVID": "non_covid"}


def covid_ct(path: Path) -> Found:
    """COVID-CT (Zhao et al. 2020): the authors' lists, patients from their meta-information, pictures in their folders.

    Raises:
        CohortError: lists without pictures, pictures without lists, a list that is missing.
    """
    lists = {
        (kind, short): path / "Data-split" / kind / f"{short}CT_{kind}.txt"
        for kind in _CLASSES
        for short in ("train", "val", "test")
    }
    there = {
        f"CT_{kind}/{name}": f for kind in _CLASSES for name, f in _covid_ct_pictures(path, kind).items()
    }
    absent = [str(file.relative_to(path)) for file in lists.values() if not file.is_file()]
    expected = path / "Images-processed"
    if len(absent) == len(lists) and not (expected.is_dir() and there):
        return None
    if absent:
        anew = f", or give DATA={expected} to split anew" if expected.is_dir() else ""
        raise CohortError(
            f"slices.images: {path} looks like COVID-CT, but lacks {', '.join(absent)}. What to do: put the release's folder "
            f"Data-split there{anew}."
        )
    rows = [
        (f"CT_{kind}/{only_a_name(name, str(file))}", name, kind, _CLASSES[kind], parse_split(short))
        for (kind, short), file in lists.items()
        for name in map(str.strip, file.read_text(encoding="utf-8-sig", errors="replace").splitlines())
        if name
    ]
    table, notes = listed_once(pd.DataFrame(rows, columns=["slice_id", "name", "kind", "finding", "split"]))
    for kind in _CLASSES:
        wanted = table.loc[table["kind"] == kind, "slice_id"]
        if not there.keys() & set(wanted):
            zips = [str(z.relative_to(path)) for z in path.rglob(f"CT_{kind}.zip")]
            hint = f"unpack {zips[0]} where it lies" if zips else f"put Images-processed/CT_{kind} there"
            raise CohortError(
                f"slices.images: {path} has the lists of COVID-CT, but none of the {len(wanted):,} images of CT_{kind}. What "
                f"to do: {hint}."
            )
    table["path"] = [str(there.get(slice_id, expected / slice_id)) for slice_id in table["slice_id"]]
    known, more = _covid_ct_patients(path)
    bare = table["name"].str.replace(r"\.\w+$", "", regex=True)  # some names in them have no suffix
    both = zip(table["kind"], table["name"], bare, strict=True)
    table["patient_id"] = [known.get((kind, name), known.get((kind, stem), "")) for kind, name, stem in both]
    return table[COLUMNS], notes + more + against_files(table["slice_id"], there) + both_sides(table)


def _covid_ct_pictures(path: Path, kind: str) -> dict[str, Path]:
    """Wherever the release's archive was unpacked: Images-processed/CT_COVID, CT_COVID, or one inside the other."""
    places = [path, path / "Images-processed"]
    folders = [inner for p in places for inner in (p / f"CT_{kind}" / f"CT_{kind}", p / f"CT_{kind}")]
    return {name: file for folder in folders for name, file in pictures(folder).items()}


def _covid_ct_patients(path: Path) -> tuple[dict[tuple[str, str], str], list[str]]:
    """(class, file name) -> patient, from CSV files of meta-information; notes where there are none."""
    known: dict[tuple[str, str], str] = {}
    notes: list[str] = []
    files = [f for folder in (path / "Meta-data", path) if folder.is_dir() for f in sorted(folder.iterdir())]
    for kind in _CLASSES:
        own = [
            f for f in files
            if "metainfo" in f.name.lower() and f.name.lower().startswith("non") == (kind == "NonCOVID")
        ]  # fmt: skip
        tables = [f for f in own if f.suffix.lower() == ".csv"]
        if tables:
            known |= {(kind, name): patient for name, patient in _columns(tables[0]) if patient}
        else:
            sheet = next((f.name for f in own if f.suffix.lower() in (".xlsx", ".xls")), None)
            hint = f"Save {sheet} as CSV beside it" if sheet else f"Put {kind}-CT-MetaInfo there as CSV"
            notes.append(f"The patients of CT_{kind} are not known. {hint}, and they will be.")
    return known, notes


def _columns(file: Path) -> Iterable[tuple[str, str]]:
    """File name and patient, a row each; the two published files do not name their columns alike.

    Raises:
        CohortError: it has no such columns.
    """
    table = read_csv(file, encoding_errors="replace")
    plain = {name.replace("_", ""): name for name in table}
    names = [plain[n] for n in ("filename", "imagename", "image", "imagefile") if n in plain]
    patients = [plain[n] for n in ("patientid", "patient") if n in plain]
    if not names or not patients:
        raise CohortError(
            f"{file} needs a column with the file name and one with the patient id; it has {', '.join(table)}. What to do: "
            "call them 'File name' and 'Patient ID'."
        )
    return zip(table[names[0]], table[patients[0]], strict=True)


# ------------------------------------------------------------------------------------------------ SARS-CoV-2 CT-scan


def sars_cov_2(path: Path) -> Found:
    """SARS-CoV-2 CT-scan (Soares et al. 2020): two folders, no patients, no split.

    Raises:
        CohortError: one of the two folders is missing or empty.
    """
    held = {}
    for folder in sorted(path.iterdir()) if path.is_dir() else ():
        if kind := re.fullmatch(r"(non[-_ ]?)?covid", folder.name, re.I):
            held["non_covid" if kind[1] else "covid"] = pictures(folder)
    names = [name for files in held.values() for name in files]
    named = sum(bool(re.fullmatch(r"(non[-_ ]?)?covid ?\(\d+\)\.\w+", name, re.I)) for name in names)
    if not named or named < 0.5 * len(names):
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
    return pd.DataFrame(rows, columns=COLUMNS), [note]


# ------------------------------------------------------------------------------------------------ COVID19-Diag

_BACTERIAL = re.compile(r"bacterial|(?<![a-z])bp(?![a-z])", re.I)


def covid19_diag(path: Path) -> Found:
    """COVID19-Diag (paper B, 4.1.1): a folder a class, in it cases; train and test may come above.

    Choice: its authors hand it out on request and do not say how its files lie. A case is a folder, or what comes before
    the last number of a file's name; it is told from other folders by a class of bacterial pneumonia.

    Raises:
        CohortError: there is bacterial pneumonia, but no COVID-19 or no normal cases.
    """
    if not path.is_dir():
        return None
    splits = {split: d for d in path.iterdir() if d.is_dir() and (split := parse_split(d.name))}
    folders = [
        (s, d) for s, above in (splits or {"": path}).items() for d in sorted(above.iterdir()) if d.is_dir()
    ]
    findings = {d: parse_finding(d.name) for _, d in folders}
    if not any(finding == "cap" and _BACTERIAL.search(d.name) for d, finding in findings.items()):
        return None
    rows = []
    for split, folder in folders:
        files = list(filter(is_picture, below(folder).files))
        finding = findings[folder]
        if files and finding not in ("covid", "cap", "non_pneumonia"):
            raise CohortError(
                f"slices.images: {path} looks like COVID19-Diag, but its folder {folder.name} holds images and is none of its "
                f"classes{unclear(folder.name)}. What to do: name it COVID-19, normal or bacterial pneumonia, or move it away."
            )
        for file in files:
            case = "/".join(file.relative_to(folder).parts[:-1]) or _prefix(file.stem)
            patient = f"{finding} {case}" if case else ""
            rows.append((file.relative_to(path).as_posix(), patient, finding, split, str(file)))
    table = pd.DataFrame(rows, columns=COLUMNS)
    lacking = [name for name in ("covid", "cap", "non_pneumonia") if name not in set(table["finding"])]
    if lacking:
        raise CohortError(
            f"slices.images: {path} looks like COVID19-Diag, but has no images of {', '.join(lacking)}. What to do: put its "
            "three classes there: COVID-19, normal, bacterial pneumonia."
        )
    return table, both_sides(table)


def _prefix(stem: str) -> str:
    """What comes before the last number: the case.

    >>> _prefix("case12_005"), _prefix("005")
    ('case12', '')
    """
    found = re.fullmatch(r"(.*[^\W_].*?)[\W_]+\d+", stem)
    return found[1] if found else ""
