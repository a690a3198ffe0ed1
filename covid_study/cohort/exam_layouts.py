"""Layouts on disk -> exam table: a CSV, the public data sets as published, folders named by finding.

A further public data set is one more `Layout` in LAYOUTS: a sentence for people and a function that returns
the table, or None where the path does not look like it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from covid_study.cohort import exams, file_kinds
from covid_study.errors import CohortError


@dataclass(frozen=True)
class Layout:
    """One way exams may lie on disk."""

    name: str
    looks_like: str
    find: Callable[[Path], pd.DataFrame | None]


def find_exams(path: str | os.PathLike, both: bool = True) -> pd.DataFrame:
    """The checked exam table (exam_id, patient_id, path, finding, centre, split) of what lies at `path`.

    Ids are stable: they come from names, not from counting, so an exam that is added renames no other.

    Choice: the patient is the folder (or file) name, not the header's PatientID: de-identification leaves
    that empty, shared or random often enough (in COVID-CT-MD it holds the patient's folder in some exams and
    a file prefix in others). One name under two findings is taken for one patient: the worst that does is
    keep two people on one side.

    both: see check_exams.

    Raises: CohortError (no such path, none of the layouts, a folder or finding that is not known, see
    check_exams).
    """
    path = Path(os.path.abspath(Path(path).expanduser()))
    if not path.exists():
        raise CohortError(
            f"EXAMS={path} does not exist. What to do: correct the path (a CSV exam table or a folder)."
        )
    for layout in LAYOUTS:
        table = layout.find(path)
        if table is not None:
            return exams.check_exams(table, both)
    raise CohortError(_not_known(path))


# ------------------------------------------------------------------------------------------------ layouts


def _csv(path: Path) -> pd.DataFrame | None:
    """A CSV exam table; its paths are relative to it."""
    if not path.is_file() or path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        return None
    table = exams.read_table(path)
    table["path"] = [
        p and (p if p == exams.PHANTOM else str(path.parent / Path(p).expanduser())) for p in table.path
    ]
    return table


def _covid_ct_md(path: Path) -> pd.DataFrame | None:
    """COVID-CT-MD (Afshar et al. 2021): "COVID-19 subjects/P001/*.dcm", "CAP subjects/cap001" and so on.

    Its tables and label arrays lie beside these folders and are not read. Copies whose folders are called "COVID-19 Cases"
    and so on are read as folders named by finding.
    """
    folders = {
        d: exams.parse_finding(d.name) for d in _folders(path) if re.search(r" subjects$", d.name, re.I)
    }
    if not folders or None in folders.values():
        return None
    rows = [
        (p.name, p.name, str(p), finding, "COVID-CT-MD", "")
        for d, finding in folders.items()
        for p in _folders(d)
    ]
    return pd.DataFrame(rows, columns=list(exams.COLUMNS))


def _mosmeddata(path: Path) -> pd.DataFrame | None:
    """MosMedData COVID19_1110 (Morozov et al. 2020): "studies/CT-0/study_0001.nii.gz" to CT-4, one study a patient.

    Choice: CT-0, without signs of viral pneumonia, is non_pneumonia; CT-1 to CT-4, which say how much of the lungs shows
    findings related to COVID-19, are COVID-19. The label is what the CT shows, not the result of a test.

    Raises: CohortError (a category is missing).
    """
    studies = path / "studies"
    held = {d.name: d for d in _folders(studies) if re.fullmatch(r"CT-[0-4]", d.name)}
    if not held:
        return None
    rows = [
        (_stem(f), _stem(f), str(f), "non_pneumonia" if name == "CT-0" else "covid", "MosMedData", "")
        for name, folder in held.items()
        for f in sorted(folder.iterdir())
        if file_kinds.is_volume(f)
    ]
    if "CT-0" not in held or len(held) < 2:
        raise CohortError(
            f"EXAMS={path} looks like MosMedData, but {studies} holds {', '.join(held)} only. What to do: unpack CT-0 and at"
            " least one of CT-1 to CT-4 there."
        )
    return pd.DataFrame(rows, columns=list(exams.COLUMNS))


def _stoic(path: Path) -> pd.DataFrame | None:
    """STOIC's public training set (Revel et al. 2021): "data/mha/<PatientID>.mha", "metadata/reference.csv".

    Choice: a positive RT-PCR (probCOVID 1) is COVID-19. A negative one is `other`, not non_pneumonia: these patients came
    to hospital with what might have been COVID-19, and what else their lungs show is not published.

    Raises: CohortError (no reference, or one without its columns; no volumes; a volume that it does not list, an
    answer that is neither 0 nor 1). A patient whose volume is not there is the reader's business.
    """
    reference, volumes = path / "metadata" / "reference.csv", path / "data" / "mha"
    if not reference.is_file():
        if not volumes.is_dir():
            return None
        raise CohortError(
            f"EXAMS={path} has the volumes of STOIC, but not {reference}. What to do: put the release's file there."
        )
    try:
        table = pd.read_csv(reference, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise CohortError(
            f"{reference} cannot be read as CSV: {error}. What to do: copy it again."
        ) from error
    if not {"PatientID", "probCOVID"} <= set(table):
        raise CohortError(
            f"{reference} has the columns {', '.join(table)}; PatientID and probCOVID were expected. What to do: copy it"
            " again."
        )
    there = (
        {_stem(f): f for f in sorted(volumes.iterdir()) if file_kinds.is_volume(f)}
        if volumes.is_dir()
        else {}
    )
    unlisted = sorted(there.keys() - set(table["PatientID"]))
    positive = pd.to_numeric(table["probCOVID"], errors="coerce")
    odd = table.loc[~positive.isin((0, 1)), "PatientID"]
    if not there or unlisted or len(odd):
        wrong = (
            f"there are no volumes in {volumes}"
            if not there
            else f"{there[unlisted[0]]} is not in {reference} ({len(unlisted)} such)"
            if unlisted
            else f"{reference}: patient {odd.iloc[0]} has a probCOVID that is neither 0 nor 1 ({len(odd)} such)"
        )
        raise CohortError(
            f"EXAMS={path} looks like STOIC, but {wrong}. What to do: download what is missing again."
        )
    findings = positive.map({1: "covid", 0: "other"})
    rows = [
        (
            f"stoic-{patient}",
            patient,
            str(there.get(patient, volumes / f"{patient}.mha")),
            finding,
            "STOIC",
            "",
        )
        for patient, finding in zip(table["PatientID"], findings, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(exams.COLUMNS))


def _by_finding(path: Path) -> pd.DataFrame | None:
    """Folders named by finding: in each one folder or file an exam, or one folder a patient, exams below."""
    folders = {d: exams.parse_finding(d.name) for d in _folders(path)}
    if not any(folders.values()):
        return None
    for folder, finding in folders.items():
        if finding is None and any(_is_scan(f) for f in folder.rglob("*")):
            words = [w for spellings in exams.FINDING_SPELLINGS.values() for w in spellings.split()]
            raise CohortError(
                f"the folder {folder} holds exams, but its name is no"
                f" finding{exams.nearest(folder.name, words)}. What to do: name it covid, cap,"
                f" non_pneumonia or other, or move it out of {path}."
            )
    rows = []
    for folder, finding in folders.items():
        if finding is None:
            continue
        for entry in sorted(folder.iterdir()):
            if file_kinds.is_volume(entry):
                rows.append((f"{finding}-{_stem(entry)}", _stem(entry), str(entry), finding))
            elif entry.is_dir() and not entry.name.startswith("."):
                rows += [
                    (f"{finding}-{name}", entry.name, str(exam), finding) for name, exam in _exams_of(entry)
                ]
    return pd.DataFrame(rows, columns=list(exams.COLUMNS[:4])).assign(centre="", split="")


LAYOUTS = (
    Layout(
        "csv", "a CSV exam table with the columns exam_id, patient_id, path, finding (centre, split)", _csv
    ),
    Layout(
        "covid-ct-md",
        'COVID-CT-MD: "COVID-19 subjects/P001/*.dcm", "Cap subjects/cap001", "Normal subjects/normal001"',
        _covid_ct_md,
    ),
    Layout(
        "mosmeddata",
        'MosMedData: "studies/CT-0/study_0001.nii.gz" and so on to CT-4',
        _mosmeddata,
    ),
    Layout(
        "stoic",
        'STOIC: "data/mha/<PatientID>.mha" and metadata/reference.csv',
        _stoic,
    ),
    Layout(
        "by-finding",
        "folders named covid, cap, non_pneumonia, other (or COVID-19, CAP, normal, non-COVID ...), in each one folder of DICOM"
        " or one volume file (.nii.gz, .nrrd, .mha ...) an exam, or a folder a patient with such exams in it",
        _by_finding,
    ),
)


def _folders(path: Path) -> list[Path]:
    return (
        sorted(d for d in path.iterdir() if d.is_dir() and not d.name.startswith("."))
        if path.is_dir()
        else []
    )


def _is_scan(file: Path) -> bool:
    return file_kinds.is_volume(file) or file_kinds.is_dicom(file)


def _stem(file: Path) -> str:
    """A volume's name without its suffix, which may be double."""
    return re.sub(r"\.(nii\.gz|[^.]+)$", "", file.name, flags=re.I)


def _exams_of(patient: Path) -> list[tuple[str, Path]]:
    """(name, path) of the exams of one folder: itself where slices lie in it, else each thing it holds."""
    entries = [e for e in sorted(patient.iterdir()) if not e.name.startswith(".")]
    if not any(e.is_file() and file_kinds.is_dicom(e) for e in entries):
        nested = [e for e in entries if e.is_dir() or file_kinds.is_volume(e)]
        if nested:
            return [(f"{patient.name}-{_stem(e) if e.is_file() else e.name}", e) for e in nested]
    return [(patient.name, patient)]  # an empty folder stays an exam: its reader says what is wrong


def _not_known(path: Path) -> str:
    """What was found instead of a layout, and the layouts."""
    if path.is_file():
        found, hint = f"a file of type {path.suffix or 'unknown'}", ""
    else:
        entries = sorted(e.name + "/" * e.is_dir() for e in path.iterdir() if not e.name.startswith("."))
        found = ", ".join(entries[:8]) or "nothing"
        found += f" and {len(entries) - 8} more" if len(entries) > 8 else ""
        tables = [e for e in entries if e.lower().endswith(".csv")]
        named = [s for d in _folders(path) for s in _folders(d) if exams.parse_finding(s.name)]
        inside = [s.parent for s in named if any(_is_scan(f) for f in s.rglob("*"))]
        hint = f" It holds {tables[0]}: give EXAMS={path / tables[0]}." if tables else ""
        hint = f" {inside[0]} looks like one: give EXAMS={inside[0]}." if inside else hint
        if not hint and any(e.lower().endswith(file_kinds.PICTURE_SUFFIXES) for e in entries):
            hint = " Pictures are no volumes: exams are DICOM series or volume files in HU."
    listing = "\n- ".join(layout.looks_like for layout in LAYOUTS)
    return (
        f"EXAMS={path} holds no exams in a layout that is known; found: {found}.{hint} What to do: give one"
        f" of\n- {listing}"
    )
