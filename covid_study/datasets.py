"""Layouts on disk -> exam table: a CSV, COVID-CT-MD as published, folders named by finding.

A further public data set is one more `Layout` in LAYOUTS: a sentence for people and a function that returns
the table, or None where the path does not look like it.

    python -m covid_study.datasets list
    python -m covid_study.datasets check PATH [--read]
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from . import dicom, exams, readers
from .errors import CohortError, StudyError


@dataclass(frozen=True)
class Layout:
    """One way exams may lie on disk."""

    name: str
    looks_like: str
    find: Callable[[Path], pd.DataFrame | None]


def find_exams(path: str | os.PathLike) -> pd.DataFrame:
    """The checked exam table (exam_id, patient_id, path, finding, centre, split) of what lies at `path`.

    Ids are stable: they come from names, not from counting, so an exam that is added renames no other.

    Choice: the patient is the folder (or file) name, not the header's PatientID: de-identification leaves
    that empty, shared or random often enough (in COVID-CT-MD it holds the patient's folder in some exams and
    a file prefix in others). One name under two findings is taken for one patient: the worst that does is
    keep two people on one side.

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
            return exams.check_exams(table)
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
    """COVID-CT-MD (Afshar et al. 2021): "COVID-19 subjects/P001/*.dcm", "Cap subjects/cap001" ..."""
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
                f" finding{exams.nearest(folder.name, words)}. What to do: name it covid, cap or"
                f" non_pneumonia, or move it out of {path}."
            )
    rows = []
    for folder, finding in folders.items():
        if finding is None:
            continue
        for entry in sorted(folder.iterdir()):
            if readers.is_volume(entry):
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
        "by-finding",
        "folders named covid, cap, non_pneumonia (or COVID-19, CAP, normal ...), in each one folder of DICOM"
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
    return readers.is_volume(file) or dicom.is_dicom(file)


def _stem(file: Path) -> str:
    """A volume's name without its suffix, which may be double."""
    return re.sub(r"\.(nii\.gz|[^.]+)$", "", file.name, flags=re.I)


def _exams_of(patient: Path) -> list[tuple[str, Path]]:
    """(name, path) of the exams of one folder: itself where slices lie in it, else each thing it holds."""
    entries = [e for e in sorted(patient.iterdir()) if not e.name.startswith(".")]
    if not any(e.is_file() and dicom.is_dicom(e) for e in entries):
        nested = [e for e in entries if e.is_dir() or readers.is_volume(e)]
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
        if not hint and any(e.lower().endswith(readers.PICTURE_SUFFIXES) for e in entries):
            hint = " Pictures are no volumes: exams are DICOM series or volume files in HU."
    listing = "\n- ".join(layout.looks_like for layout in LAYOUTS)
    return (
        f"EXAMS={path} holds no exams in a layout that is known; found: {found}.{hint} What to do: give one"
        f" of\n- {listing}"
    )


# ------------------------------------------------------------------------------------------------ command line


def main(arguments: list[str] | None = None) -> int:
    """Print the table at a path, or what is wrong with it; 0 where all is well."""
    parser = argparse.ArgumentParser(
        prog="python -m covid_study.datasets", description="Look for chest CT exams."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the layouts that are known")
    check = commands.add_parser("check", help="print the exam table of a path, or what is wrong with it")
    check.add_argument("path")
    check.add_argument("--read", action="store_true", help="also read every exam")
    options = parser.parse_args(arguments)
    if options.command == "list":
        print("\n".join(f"{layout.name:12} {layout.looks_like}" for layout in LAYOUTS))
        return 0
    try:
        table = find_exams(options.path)
    except StudyError as error:
        print(error, file=sys.stderr)
        return 1
    print(table.to_csv(index=False, sep="\t"), end="")
    print(
        f"{len(table)} exams of {table.patient_id.nunique()} patients: "
        + ", ".join(f"{(table.finding == finding).sum()} {finding}" for finding in exams.FINDINGS)
    )
    problems = [f"exam {exam}: {path} does not exist" for exam, path in exams.missing_files(table).items()]
    for row in table.itertuples() if options.read else ():
        try:
            if row.path != exams.PHANTOM and os.path.exists(row.path):
                volume = readers.read_volume(row.path, row.exam_id)
                print(
                    row.exam_id,
                    volume.hu.shape,
                    "voxels of",
                    " x ".join(f"{s:.3g}" for s in volume.spacing_mm),
                    "mm (z, y, x)",
                )
        except StudyError as error:
            problems.append(str(error))
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
