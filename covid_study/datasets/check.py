"""Is a data set there and whole? Its counts beside the published ones, every file opened, one hash over all of it."""

import hashlib
import os
import warnings
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import joblib
import pandas as pd
from PIL import Image, UnidentifiedImageError

from covid_study.cohort.exam_layouts import find_exams, notes_on_exams
from covid_study.cohort.exams import PHANTOM
from covid_study.cohort.file_kinds import PICTURE_SUFFIXES, VOLUME_SUFFIXES, is_dicom, is_picture, is_volume
from covid_study.cohort.folders import below
from covid_study.cohort.picture_layouts import find_images
from covid_study.ct.files import read_volume
from covid_study.ct.pictures import read_image
from covid_study.datasets.catalogue import DataSet
from covid_study.errors import CohortError, ExamError, StudyError
from covid_study.runtime.manifest import sha256_of
from covid_study.runtime.progress import progress

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
    found = Checked(path, dataset.kind if dataset else kind_of(path))
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
    if not path.is_file() and not below(path).files:
        return "not there"
    found = Checked(path, dataset.kind)
    _count(found)
    if found.table is None:
        return f"there, but not as published: {found.problems[0].splitlines()[0]}"
    there = len(found.table) - found.missing
    if there < dataset.total:
        return f"there, {dataset.total - there:,} of {dataset.total:,} {dataset.kind} missing"
    _compare(found, dataset)
    end = f"not as published: {found.problems[0]}" if found.problems else "whole"
    return f"there: {there:,} {dataset.kind}, {end}"


def kind_of(path: Path) -> str:
    """Slices or exams, by the first file that is one: volumes and DICOM are exams, pictures are slices.

    A table is one of exams where it has a column exam_id.
    """
    if path.is_file() and path.suffix.lower() in (".csv", ".tsv", ".txt"):
        with path.open("rb") as opened:
            return "exams" if b"exam_id" in opened.readline().lower() else "slices"
    kind = "exams"
    for file in below(path).files:
        if is_picture(file):
            kind = "slices"
        elif is_volume(file) or is_dicom(file):
            return "exams"
    return kind


# ------------------------------------------------------------------------------------------------ counts


def _count(found: Checked) -> None:
    """The table and its counts, or the one problem that there is none."""
    try:
        if found.kind == "exams":
            found.table = find_exams(found.path)
            found.remarks += notes_on_exams(found.path, found.table)
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
    given = (found.table["split"] != "").any()
    if "" not in dataset.counts and not given:
        found.problems.append(
            "the published split is missing: without its lists the counts are compared by class only"
        )
    by_split = "" not in dataset.counts and given
    published, there = Counter(), Counter()
    for split, findings in dataset.counts.items():
        published.update({(split if by_split else "", f): n for f, n in findings.items()})
    for (split, finding), n in found.table.groupby(["split", "finding"]).size().items():
        there[split if by_split else "", finding] += n
    for key in sorted(published.keys() | there.keys()):
        if there[key] != published[key]:
            where = ", ".join(filter(None, key))
            found.problems.append(f"{where}: {there[key]:,} {dataset.kind}, published are {published[key]:,}")


# ------------------------------------------------------------------------------------------------ every file


def _open_all(found: Checked) -> None:
    """Open and hash what the table names; without a table every picture or volume below the path."""
    if found.table is not None:
        there = found.table[[p != PHANTOM and os.path.exists(p) for p in found.table["path"]]]
        items = [(row[1], Path(row.path), getattr(row, "box", "")) for row in there.itertuples()]
    else:
        wanted = VOLUME_SUFFIXES if found.kind == "exams" else PICTURE_SUFFIXES
        files = [f for f in below(found.path).files if f.name.lower().endswith(wanted)]
        items = [(f.relative_to(found.path).as_posix(), f, "") for f in files]
    work = _exam if found.kind == "exams" else _picture
    run = joblib.Parallel(min(joblib.cpu_count(), AT_ONCE), prefer="threads", return_as="generator")
    results = run(joblib.delayed(work)(*item) for item in items)
    hashes: dict[Path, str] = {}
    formats = Counter()
    with warnings.catch_warnings():  # of headers; around all threads, which share the filters
        warnings.simplefilter("ignore", UserWarning)
        opened = progress(results, f"opening {len(items):,} {found.kind}", len(items))
        for (name, file, _), (read, line, problem) in zip(items, opened, strict=True):
            hashes |= read
            if problem:
                found.problems.append(problem)
            elif found.kind == "exams":
                found.opened.append(f"{name} {line}")
            elif line != Image.registered_extensions().get(file.suffix.lower(), line):
                formats[file.suffix, line] += 1
    found.remarks += [
        f"Files that end in {s} and hold {f} (they are read as such): {n}." for (s, f), n in formats.items()
    ]
    if hashes:
        above = os.path.commonpath([file.parent for file in hashes])
        names = {os.path.relpath(f, above).replace(os.sep, "/"): h for f, h in hashes.items()}
        lines = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(names.items()))
        found.digest = hashlib.sha256(lines.encode()).hexdigest()
        found.remarks += _twins(hashes)


def _twins(hashes: dict[Path, str]) -> list[str]:
    """Files that are the same byte for byte."""
    files = pd.Series({file.as_posix(): sha256 for file, sha256 in hashes.items()})
    more = files[files.duplicated()]
    if more.empty:
        return []
    first, second = (Path(name).name for name in files.index[files == more.iloc[0]][:2])
    return [f"Files that are copies of another, byte for byte: {len(more)}, the first {first} and {second}."]


def _picture(name: str, file: Path, box: str) -> tuple[dict[Path, str], str, str]:
    """A picture's hash, its format, and what is wrong with it."""
    hashes: dict[Path, str] = {}
    try:
        raw = file.read_bytes()
        hashes[file] = hashlib.sha256(raw).hexdigest()
        try:
            with Image.open(BytesIO(raw)) as image:
                kind = image.format
                image.verify()
        except UnidentifiedImageError:  # it may be of a kind that tifffile reads
            kind = "TIFF"
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
        files = below(path).files if path.is_dir() else [path]
        hashes = {file: sha256_of(file) for file in files}
        volume = read_volume(path, name)
    except StudyError as error:
        return hashes, "", str(error)
    except OSError as error:
        return hashes, "", f"exam {name}: {path} cannot be read ({error.strerror})"
    voxels = " x ".join(f"{s:.3g}" for s in volume.spacing_mm)
    return hashes, f"{volume.hu.shape} voxels of {voxels} mm (z, y, x)", ""
