"""Whose exams they are stays with their owner: what the study writes has salted hashes for the ids of people and their files.

Off where `study.show_patient_ids` is set, for the phantom, and for public data sets, whose ids are published.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from filelock import FileLock

from covid_study.cohort.exams import COLUMNS
from covid_study.cohort.finding_names import is_known
from covid_study.cohort.folders import below
from covid_study.errors import CohortError, ExamError, StudyError

SALT = "COVID_STUDY_SALT"
KEPT = "covid-study/salt"  # below $XDG_CONFIG_HOME or ~/.config: it outlives `make clean`, so that ids stay the same
SHOW = "SET=study.show_patient_ids=true shows the names"


def salt() -> bytes:
    """What makes the hashes ours alone: $COVID_STUDY_SALT, else a file that is made once for this user.

    Choice: one salt a user, so that ids, and with them the order of exams, are the same in every study and after `make
    clean`. The same numbers on another machine need the same salt.

    Raises: StudyError (neither can be had).
    """
    if given := os.environ.get(SALT):
        return given.encode()
    file = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / KEPT
    try:
        if not _is_whole(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(file.with_name(".salt.lock")):
                if not _is_whole(file):  # another has not made it meanwhile
                    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as opened:
                        opened.write(secrets.token_hex(32))
        return file.read_bytes()
    except OSError as error:
        raise StudyError(
            f"{file}, the salt of the hashes that stand for patients, cannot be kept ({error.strerror}). What to do: set "
            f"{SALT} to a secret of your own."
        ) from error


def _is_whole(salt: Path) -> bool:
    """A full disk leaves an empty file, whose hashes anybody could make."""
    return salt.is_file() and salt.stat().st_size > 0


def alias(name: str, kind: str, key: bytes | None = None) -> str:
    """The salted hash of an id: HMAC-SHA-256, 48 bits of it.

    >>> import unittest.mock
    >>> with unittest.mock.patch.dict(os.environ, {SALT: "pepper"}):
    ...     alias("Mueller 1950", "patient")
    'patient-63c93d57030c'
    """
    return f"{kind}-{hmac.new(key or salt(), name.encode(), hashlib.sha256).hexdigest()[:12]}"


class Names:
    """The names in a table of exams or images, and what stands for each."""

    def __init__(self, table: pd.DataFrame):
        """table: `exam_id` or `slice_id`, and where known `finding`, `patient_id`, `path`."""
        self.of = "slice_id" if "slice_id" in table else "exam_id"
        kinds = table["finding"] if "finding" in table else pd.Series("exam", index=table.index)
        kinds = kinds.where(kinds.astype(str).str.fullmatch("[a-z_]+"), "exam")
        key = salt()  # once: a cohort may have a hundred thousand ids
        self.aliases = {
            str(name): alias(str(name), kind, key) for name, kind in zip(table[self.of], kinds, strict=True)
        }
        for path, name in zip(table.get("path", []), table[self.of], strict=False):
            self.aliases.setdefault(str(path), self.aliases[str(name)])
        for patient in table.get("patient_id", []):  # where the patient is not known, the exam stands for him
            if str(patient) and str(patient) not in self.aliases:
                self.aliases[str(patient)] = alias(str(patient), "patient", key)

    def hide(self, text: str) -> str:
        """The text with every name in it replaced.

        >>> table = pd.DataFrame({"exam_id": ["A. Meyer"], "patient_id": ["4711"], "path": ["/ct/meyer"]})
        >>> "Meyer" in Names(table).hide("exam A. Meyer of 4711 is listed twice")
        False
        """
        return _replaced(text, {name: said for name, said in self.aliases.items() if name and name in text})

    def hidden(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table with aliases for its ids; its paths are needed to read the files, and are written nowhere."""
        columns = [c for c in ("slice_id", "exam_id", "patient_id") if c in table]
        return table.assign(**{c: [self.aliases.get(str(v), v) for v in table[c]] for c in columns})


@contextmanager
def unnamed(given: Path, named: bool) -> Iterator[None]:
    """Turn a CohortError on what was given into one without names: of its table, else of all that lies or is listed there.

    Choice: names of which every word is known (findings, "cases", "images") stay, and the path that was given.
    """
    try:
        yield
    except CohortError as error:
        if named:
            raise
        said = Names(_names_at(given)).hide(error.whole)
        said = said if error.table is None else Names(error.table).hide(said)
        raise CohortError(f"{said} ({SHOW})") from None


def _names_at(given: Path) -> pd.DataFrame:
    """The names of all files and folders there, or the cells of a table and the steps of their paths, as exam ids."""
    if given.is_dir():
        found = {part for file in below(given).files for part in file.relative_to(given).parts}
        found |= {place.name for place in given.rglob("*")}
    else:
        text = given.read_bytes().decode("utf-8", "replace") if given.is_file() else ""
        found = {part.strip() for cell in re.split(r'[,;\t\r\n"]', text) for part in (cell, *cell.split("/"))}
    found |= (
        {Path(name).stem for name in found} | {name[:80] for name in found} | {name[:100] for name in found}
    )
    kept = ("", *COLUMNS)  # of a table, which name nobody
    return pd.DataFrame(
        {
            "exam_id": sorted(
                n for n in found if n not in kept and not n.isdigit() and not is_known(Path(n).stem)
            )
        }
    )


def anonymous(error: ExamError, path: str) -> ExamError:
    """The error without the names of the exam's folder and files: they are counted instead, in the order of their names."""
    place = Path(path)
    files = below(place).files if place.is_dir() else [place]
    said = {str(f): f"file {k} of {len(files)}" for k, f in enumerate(files, 1)} | {str(place): "its folder"}
    if place.is_file() or not place.exists():
        said |= {str(place): "its file", str(place.parent): "its folder"}
    said |= {f.name: said[str(f)] for f in files} | {place.name: "it"}
    said = {
        name: text for name, text in said.items() if not (name.isdigit() and len(name) < 5)
    }  # counts of slices
    return ExamError(error.exam_id, _replaced(error.problem, said), _replaced(error.remedy, said))


def _replaced(text: str, said: dict[str, str]) -> str:
    """Whole names only, the longest first."""
    for name in sorted(said, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", lambda found: said[found[0]], text)
    return text
