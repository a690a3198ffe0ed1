"""Layouts on disk -> exam table: a CSV, the public data sets as published, folders named by finding.

A further public data set is one more entry of LAYOUTS: a sentence for people and a function that returns the table, or None
where the path does not look like it.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from covid_study.cohort import exams
from covid_study.cohort.copies import notes_on_copies
from covid_study.cohort.csv_files import only_a_name, read_csv, resolved
from covid_study.cohort.file_kinds import is_dicom, is_picture, is_volume
from covid_study.cohort.finding_names import meanings, unclear
from covid_study.cohort.findings import parse_finding
from covid_study.cohort.folders import below
from covid_study.errors import CohortError


def find_exams(path: str | os.PathLike[str], both: bool = True) -> pd.DataFrame:
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
    path = Path(os.path.abspath(Path(os.path.expanduser(path))))
    if not path.exists():
        raise CohortError(
            f"EXAMS={path} does not exist. What to do: correct the path (a CSV exam table or a folder)."
        )
    for _, find in LAYOUTS.values():
        if (table := find(path)) is not None:
            return exams.check_exams(table, both)
    raise CohortError(_not_known(path))


def notes_on_exams(path: str | os.PathLike[str], table: pd.DataFrame, named: bool = True) -> list[str]:
    """What a reader must know of the exams found at `path`: files that take no part, and the same exam in two places.

    Choice: in the folder of an exam its DICOM files take part, and a volume file only where there are none, as they are read.
    """
    path, notes = Path(os.path.abspath(Path(os.path.expanduser(path)))), notes_on_copies(table, "exam_id")
    if not path.is_dir():
        return notes
    places, taken = set(table["path"]), []
    within: dict[Path, list[Path]] = {}
    for file in (held := below(path)).files:
        if str(file) in places:
            taken.append(file)
        elif exam := next((p for p in file.parents if str(p) in places), None):
            within.setdefault(exam, []).append(file)
    for files in within.values():
        taken += list(filter(is_dicom, files)) or list(filter(is_volume, files))
    return held.passed_over(taken, named) + notes


# ------------------------------------------------------------------------------------------------ layouts


def _table(rows: Sequence[tuple[str | None, ...]], centre: str = "") -> pd.DataFrame:
    """Rows of exam, patient, path, finding."""
    return pd.DataFrame(rows, columns=list(exams.COLUMNS[:4])).assign(centre=centre, split="")


def _csv(path: Path) -> pd.DataFrame | None:
    """A CSV exam table; its paths are relative to it."""
    if not path.is_file() or path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        return None
    table = exams.read_table(path)
    kept = ("", exams.PHANTOM)
    table["path"] = [p if p in kept else resolved(p, path) for p in table["path"]]
    return table


def _covid_ct_md(path: Path) -> pd.DataFrame | None:
    """COVID-CT-MD (Afshar et al. 2021): "COVID-19 subjects/P001/*.dcm", "CAP subjects/cap001" and so on.

    Its tables and label arrays lie beside these folders and are not read. Copies whose folders are called "COVID-19 Cases"
    and so on are read as folders named by finding.
    """
    findings = {d: parse_finding(d.name) for d in _folders(path) if d.name.lower().endswith(" subjects")}
    if not findings or None in findings.values():
        return None
    return _table(
        [(p.name, p.name, str(p), f) for d, f in findings.items() for p in _folders(d)], "COVID-CT-MD"
    )


def _mosmeddata(path: Path) -> pd.DataFrame | None:
    """MosMedData COVID19_1110 (Morozov et al. 2020): "studies/CT-0/study_0001.nii.gz" to CT-4, one study a patient.

    Choice: CT-0, without signs of viral pneumonia, is non_pneumonia; CT-1 to CT-4, which say how much of the lungs shows
    findings related to COVID-19, are COVID-19. The label is what the CT shows, not the result of a test.

    Raises: CohortError (a category is missing).
    """
    held = {d.name: d for d in _folders(path / "studies") if re.fullmatch(r"CT-[0-4]", d.name)}
    if not held:
        return None
    if "CT-0" not in held or len(held) < 2:
        raise CohortError(
            f"EXAMS={path} looks like MosMedData, but {path / 'studies'} holds {', '.join(held)} only. What to do: unpack CT-0 "
            "and at least one of CT-1 to CT-4 there."
        )
    findings = {name: "non_pneumonia" if name == "CT-0" else "covid" for name in held}
    rows = [
        (stem, stem, str(f), findings[name]) for name, d in held.items() for stem, f in _volumes(d).items()
    ]
    return _table(rows, "MosMedData")


def _stoic(path: Path) -> pd.DataFrame | None:
    """STOIC's public training set (Revel et al. 2021): "data/mha/<PatientID>.mha", "metadata/reference.csv".

    Choice: a positive RT-PCR (probCOVID 1) is COVID-19. A negative one is `other`, not non_pneumonia: these patients came
    to hospital with what might have been COVID-19, and what else their lungs show is not published.

    Raises: CohortError (no reference, or one without its columns; no volumes; a volume that it does not list, an
    answer that is neither 0 nor 1). A patient whose volume is not there is the reader's business.
    """
    reference, folder = path / "metadata" / "reference.csv", path / "data" / "mha"
    if not reference.is_file():
        if not folder.is_dir():
            return None
        raise CohortError(
            f"EXAMS={path} has the volumes of STOIC, but not {reference}. What to do: put the release's file there."
        )
    table = read_csv(reference, "STOIC's", ("patientid", "probcovid"))
    for patient in table["patientid"]:
        only_a_name(patient, str(reference))
    there, patients = _volumes(folder), table["patientid"]
    unlisted = sorted(there.keys() - set(patients))
    positive = pd.to_numeric(table["probcovid"], errors="coerce")
    odd = patients[~positive.isin((0, 1))]
    wrong = ""
    if not there:
        wrong = f"there are no volumes in {folder}"
    elif unlisted:
        wrong = f"{there[unlisted[0]]} is not in {reference} ({len(unlisted)} such)"
    elif len(odd):
        wrong = (
            f"{reference}: patient {odd.iloc[0]} has a probCOVID that is neither 0 nor 1 ({len(odd)} such)"
        )
    if wrong:
        raise CohortError(
            f"EXAMS={path} looks like STOIC, but {wrong}. What to do: download what is missing again."
        )
    rows = [
        (f"stoic-{patient}", patient, str(there.get(patient, folder / f"{patient}.mha")), finding)
        for patient, finding in zip(patients, positive.map({1: "covid", 0: "other"}), strict=True)
    ]
    return _table(rows, "STOIC")


def _by_finding(path: Path) -> pd.DataFrame | None:
    """Folders named by finding: in each one folder or file an exam, or one folder a patient, exams below."""
    findings = {d: parse_finding(d.name) for d in _folders(path)}
    if not any(meanings(d.name) for d in findings):
        return None
    rows = []
    for folder, finding in findings.items():
        if finding is None:
            if any(map(_is_scan, below(folder).files)):
                raise CohortError(
                    f"the folder {folder} holds exams, but its name is no finding{unclear(folder.name)}. What to do: "
                    f"name it covid, cap, non_pneumonia or other, or move it out of {path}."
                )
            continue
        for entry in sorted(folder.iterdir()):
            if is_volume(entry):
                rows.append((f"{finding}-{_stem(entry)}", _stem(entry), str(entry), finding))
            elif entry.is_dir() and not entry.name.startswith("."):
                found = exams_of(entry).items()
                rows += [(f"{finding}-{name}", entry.name, str(exam), finding) for name, exam in found]
    return _table(rows)


LAYOUTS = {
    "csv": ("a CSV exam table with the columns exam_id, patient_id, path, finding", _csv),
    "covid-ct-md": ('COVID-CT-MD: "COVID-19 subjects/P001/*.dcm"', _covid_ct_md),
    "mosmeddata": ('MosMedData: "studies/CT-0/study_0001.nii.gz" to CT-4', _mosmeddata),
    "stoic": ('STOIC: "data/mha/<PatientID>.mha", metadata/reference.csv', _stoic),
    "by-finding": (
        "folders named covid, cap, non_pneumonia, other, in each a DICOM folder or a volume file (.nii.gz, .mha ...) an exam",
        _by_finding,
    ),
}


def _folders(path: Path) -> list[Path]:
    inside = path.iterdir() if path.is_dir() else ()
    return sorted(d for d in inside if d.is_dir() and not d.name.startswith("."))


def _is_scan(file: Path) -> bool:
    return is_volume(file) or is_dicom(file)


def _stem(file: Path) -> str:
    """A volume's name without its suffix, which may be double."""
    return re.sub(r"\.(nii\.gz|[^.]+)$", "", file.name, flags=re.I)


def _volumes(folder: Path) -> dict[str, Path]:
    return {_stem(f): f for f in (sorted(folder.iterdir()) if folder.is_dir() else ()) if is_volume(f)}


def exams_of(patient: Path) -> dict[str, Path]:
    """Name -> path of the exams of one folder: itself where slices lie in it, else each thing it holds."""
    entries = [e for e in sorted(patient.iterdir()) if not e.name.startswith(".")]
    nested = [e for e in entries if e.is_dir() or is_volume(e)]
    if not nested or any(e.is_file() and is_dicom(e) for e in entries):
        return {patient.name: patient}  # an empty folder stays an exam: its reader says what is wrong
    return {f"{patient.name}-{_stem(e) if e.is_file() else e.name}": e for e in nested}


def _not_known(path: Path) -> str:
    """What was found instead of a layout, and the layouts."""
    found, hint = f"a file of type {path.suffix or 'unknown'}", ""
    if path.is_dir():
        entries = sorted(e for e in path.iterdir() if not e.name.startswith("."))
        found = ", ".join(e.name + "/" * e.is_dir() for e in entries[:8]) or "nothing"
        found += f" and {len(entries) - 8} more" if len(entries) > 8 else ""
        tables = [e for e in entries if e.suffix.lower() == ".csv"]
        named = [s for d in _folders(path) for s in _folders(d) if parse_finding(s.name)]
        inside = [s.parent for s in named if any(map(_is_scan, below(s).files))]
        if inside or tables:
            hint = f" Did you mean EXAMS={(inside or tables)[0]}?"
        elif any(map(is_picture, entries)):
            hint = " Pictures are no volumes: exams are DICOM series or volume files in HU."
    listing = "\n- ".join(sentence for sentence, _ in LAYOUTS.values())
    return (
        f"EXAMS={path} holds no exams in a layout that is known; found: {found}.{hint} What to do: give one of"
        f"\n- {listing}"
    )
