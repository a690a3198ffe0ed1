"""Is a data set there and whole? Its counts beside the published ones, every file opened, one hash over all of it."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import joblib
import pandas as pd
from PIL import Image

from covid_study.cohort import file_kinds
from covid_study.cohort.exam_layouts import find_exams
from covid_study.cohort.exams import PHANTOM
from covid_study.cohort.file_kinds import PICTURE_SUFFIXES as SUFFIXES
from covid_study.cohort.picture_layouts import find_images
from covid_study.ct import files as readers
from covid_study.ct.pictures import read_image
from covid_study.datasets.catalogue import DataSet
from covid_study.datasets.fetch import sha256_of
from covid_study.errors import CohortError, ExamError, StudyError
from covid_study.runtime.progress import progress

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
AT_ONCE = 4  # exams in memory; a large one takes a gigabyte while it is read
MOST = 100  # missing files that are named


@dataclass
class Checked:
    """What a check found: `problems` make the set unusable or not the published one, `remarks` are to be known.

    `table` is the slice or exam table (None where none could be made), `counts` splits by findings, `missing` how many of
    the table are not there, `digest` the SHA-256 over names and contents (empty where files were not opened), `opened` a line
    for each exam that could be read.
    """

    path: Path
    kind: str
    table: pd.DataFrame | None = None
    counts: pd.DataFrame = field(default_factory=pd.DataFrame)
    missing: int = 0
    digest: str = ""
    opened: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def check(path: str | os.PathLike, dataset: DataSet | None = None, read: bool = True) -> Checked:
    """Check the data set at a path: what it counts, and, where `read`, what opening and hashing every file says.

    With a `dataset` of the catalogue the counts are held against the published ones. What is wrong never stops the check:
    it is a problem among the others.

    Choice: the digest covers the pictures or exams that the table names, under their names below the folder that holds them
    all, in the format of `sha256sum`: it stays the same wherever the set lies, and changes with each byte of an image.
    """
    path = Path(os.path.abspath(Path(path).expanduser()))
    kind = dataset.kind if dataset else kind_of(path)
    found = Checked(path, kind)
    if not path.exists():
        found.problems.append(f"{path} does not exist. What to do: correct the path.")
        return found
    _count(found)
    if dataset:
        _compare(found, dataset)
    if read:
        _open_all(found)
        if dataset and dataset.digest and found.digest and not found.problems:
            same = "the same" if found.digest == dataset.digest else "not the same"
            found.remarks.append(f"The images are {same} byte for byte as {dataset.digest_of}.")
    return found


def look(path: str | os.PathLike, dataset: DataSet) -> str:
    """A light look by names only: "not there", "there: 746 slices, whole", "there, 3 of 746 slices missing"."""
    path = Path(path)
    if not path.is_file() and not any(f.is_file() and not f.name.startswith(".") for f in path.rglob("*")):
        return "not there"
    found = Checked(path, dataset.kind)
    _count(found)
    if found.table is None:
        return f"there, but not as published: {found.problems[0].splitlines()[0]}"
    there = len(found.table) - found.missing
    if there < dataset.total:
        return f"there, {dataset.total - there:,} of {dataset.total:,} {dataset.kind} missing"
    _compare(found, dataset)
    if found.problems:
        return f"there: {there:,} {dataset.kind}, not as published: {found.problems[0]}"
    return f"there: {there:,} {dataset.kind}, whole"


def kind_of(path: Path) -> str:
    """Slices or exams, by the first file that is one: volumes and DICOM are exams, pictures are slices.

    A table is one of exams where it has a column exam_id.
    """
    if path.is_file() and not file_kinds.is_volume(path):
        with path.open("rb") as opened:
            return "exams" if b"exam_id" in opened.readline().lower() else "slices"
    kind = "exams"
    for folder, _, names in os.walk(path):
        for file in (Path(folder, name) for name in names):
            if file.suffix.lower() in SUFFIXES:
                kind = "slices"
            elif file_kinds.is_volume(file) or file_kinds.is_dicom(file):
                return "exams"
    return kind


def digest(hashes: dict[str, str]) -> str:
    """One SHA-256 over names and hashes: that of what `sha256sum` prints for the files in the order of their names.

    >>> digest({"b": "1" * 64, "a": "0" * 64}) == digest({"a": "0" * 64, "b": "1" * 64})
    True
    """
    lines = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


# ------------------------------------------------------------------------------------------------ counts


def _count(found: Checked) -> None:
    """The table and its counts, or the one problem that there is none."""
    try:
        if found.kind == "exams":
            found.table = find_exams(found.path)
        else:
            found.table, notes = find_images(found.path)
            found.remarks += notes
    except CohortError as error:
        found.problems.append(str(error))
        return
    found.counts = pd.crosstab(found.table["split"], found.table["finding"])
    gone = [row for row in found.table.itertuples() if row.path != PHANTOM and not os.path.exists(row.path)]
    found.missing = len(gone)
    found.problems += [f"{row[1]}: {row.path} does not exist" for row in gone[:MOST]]
    if len(gone) > MOST:
        found.problems.append(f"{len(gone) - MOST:,} more do not exist")


def _compare(found: Checked, dataset: DataSet) -> None:
    """Published counts that were not found."""
    if found.table is None:
        return
    split = "" not in dataset.counts
    if split and (found.table["split"] == "").all():
        found.problems.append(
            "the published split is missing: without its lists the counts are compared by class only"
        )
    by_split = split and (found.table["split"] != "").any()
    published, there = Counter(), Counter()
    for name, findings in dataset.counts.items():
        published.update({(name if by_split else "", f): n for f, n in findings.items()})
    for (name, finding), n in found.table.groupby(["split", "finding"]).size().items():
        there[name if by_split else "", finding] += n
    for name, finding in sorted(published.keys() | there.keys()):
        here, wanted = there[name, finding], published[name, finding]
        if here != wanted:
            where = f"{name}, {finding}" if name else finding
            found.problems.append(f"{where}: {here:,} {dataset.kind}, published are {wanted:,}")


# ------------------------------------------------------------------------------------------------ every file


def _open_all(found: Checked) -> None:
    """Open and hash what the table names; without a table every picture or volume below the path."""
    work = _exam if found.kind == "exams" else _picture
    if found.table is not None:
        there = found.table[[p != PHANTOM and os.path.exists(p) for p in found.table["path"]]]
        items = [(row[1], Path(row.path), getattr(row, "box", "")) for row in there.itertuples()]
    else:
        wanted = file_kinds.VOLUME_SUFFIXES if found.kind == "exams" else SUFFIXES
        files = sorted(f for f in found.path.rglob("*") if f.name.lower().endswith(wanted))
        items = [(f.relative_to(found.path).as_posix(), f, "") for f in files]
    workers = min(joblib.cpu_count(), AT_ONCE)
    run = joblib.Parallel(n_jobs=workers, prefer="threads", return_as="generator")
    results = run(joblib.delayed(work)(*item) for item in items)
    hashes: dict[Path, str] = {}
    formats = Counter()
    with (
        warnings.catch_warnings()
    ):  # of headers that do not matter here; around all threads, which share the filters
        warnings.simplefilter("ignore", UserWarning)
        opened = progress(results, f"opening {len(items):,} {found.kind}", len(items))
        for (name, file, _), (read, line, problem) in zip(items, opened, strict=True):
            hashes |= read
            if problem:
                found.problems.append(problem)
            elif found.kind == "exams":
                found.opened.append(f"{name} {line}")
            elif line != FORMATS[file.suffix.lower()]:
                formats[file.suffix, line] += 1
    found.remarks += [
        f"Files that end in {s} and hold {f} (they are read as such): {n}." for (s, f), n in formats.items()
    ]
    if hashes:
        above = os.path.commonpath([file.parent for file in hashes])
        found.digest = digest({os.path.relpath(f, above).replace(os.sep, "/"): h for f, h in hashes.items()})
        found.remarks += _twins(hashes.items())


def _twins(hashes: Iterable[tuple[Path, str]]) -> list[str]:
    """Files that are the same byte for byte."""
    groups: dict[str, list[str]] = {}
    for file, sha256 in hashes:
        groups.setdefault(sha256, []).append(file.name)
    twins = [names for names in groups.values() if len(names) > 1]
    if not twins:
        return []
    more = sum(len(names) - 1 for names in twins)
    return [
        f"Files that are copies of another, byte for byte: {more}, the first {' and '.join(twins[0][:2])}."
    ]


def _picture(name: str, file: Path, box: str) -> tuple[dict[Path, str], str, str]:
    """A picture's hash, its format, and what is wrong with it."""
    hashes: dict[Path, str] = {}
    try:
        raw = file.read_bytes()
        hashes[file] = hashlib.sha256(raw).hexdigest()
        with Image.open(BytesIO(raw)) as image:
            kind = image.format
            image.verify()
        read_image(file, name, box)
    except ExamError as error:
        return hashes, "", str(error)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        return hashes, "", f"{name}: {file} cannot be read as an image ({error})"
    return hashes, kind, ""


def _exam(name: str, path: Path, _box: str) -> tuple[dict[Path, str], str, str]:
    """The hashes of an exam's files, its voxels in words, and what is wrong with it."""
    hashes: dict[Path, str] = {}
    try:
        files = sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]
        hashes = {file: sha256_of(file) for file in files}
        volume = readers.read_volume(path, name)
    except StudyError as error:
        return hashes, "", str(error)
    except OSError as error:
        return hashes, "", f"exam {name}: {path} cannot be read ({error.strerror})"
    voxels = " x ".join(f"{s:.3g}" for s in volume.spacing_mm)
    return hashes, f"{volume.hu.shape} voxels of {voxels} mm (z, y, x)", ""
