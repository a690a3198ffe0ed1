"""What was written is checked when it is read: an artefact's `config.json` lists its files, their sizes and hashes."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from covid_study.errors import StudyError

RECORD = "config.json"


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file, read in pieces."""
    with Path(file).open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def listed(folder: Path) -> dict[str, list]:
    """Size and SHA-256 of every file of a folder, by its path in it; the record itself aside."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    names = {file.relative_to(folder).as_posix(): file for file in files}
    return {name: [file.stat().st_size, sha256_of(file)] for name, file in names.items() if name != RECORD}


def record(folder: Path) -> dict:
    """What is recorded of an artefact.

    Raises:
        StudyError: the record is missing or damaged.
    """
    try:
        kept = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return {"files": {}} | kept
    except (OSError, ValueError, TypeError):
        raise damaged(folder, [f"{RECORD} is missing or damaged"]) from None


def check(folder: Path, whole: bool = False) -> None:
    """Are all files of an artefact there, in their sizes? `whole`: and with their hashes, which reads them all.

    Artefacts that were made before there were manifests pass.

    Raises:
        StudyError: names the artefact, what is missing or changed, and how it is made again.
    """
    found = [
        problem
        for name, kept in record(folder)["files"].items()
        if (problem := _of(folder, name, *kept, whole))
    ]
    if found:
        raise damaged(folder, found)


def with_file(file: Path) -> dict:
    """The record of a file's folder, with the file as it is now; a record that is damaged is begun anew."""
    try:
        kept = record(file.parent)
    except StudyError:
        kept = {"files": {}}
    return kept | {"files": kept["files"] | {file.name: [file.stat().st_size, sha256_of(file)]}}


def check_file(file: Path) -> None:
    """Is a file that stands alone what its folder's record says?

    Raises:
        StudyError: names the file and what is wrong with it.
    """
    kept = record(file.parent)["files"].get(file.name)
    if problem := _of(file.parent, file.name, *kept, True) if kept else f"{file.name} is not listed":
        raise damaged(file, [problem])


def _of(folder: Path, name: str, size: int, sha256: str, whole: bool) -> str:
    file = folder / name
    if not file.is_file():
        return f"{name} is missing"
    if (now := file.stat().st_size) != size:
        return f"{name} has {now:,} bytes where {size:,} were written"
    return f"{name} holds other bytes than were written" if whole and sha256_of(file) != sha256 else ""


def damaged(folder: Path, problems: Iterable[str]) -> StudyError:
    """The error of an artefact that is not what was written.

    >>> str(damaged(Path("build/x/runs/a-1"), ["history.csv is missing"]))[:85]
    'build/x/runs/a-1 is damaged: history.csv is missing. What to do: rm -r build/x/runs/a'
    """
    problems = list(problems)
    said = "; ".join(problems[:3]) + (f"; and {len(problems) - 3} more" if len(problems) > 3 else "")
    place = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    return StudyError(
        f"{place} is damaged: {said[:250]}. What to do: rm -r {place}, then call the same again: "
        "it is computed anew, the rest is kept."
    )
