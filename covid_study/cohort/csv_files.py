"""CSV files as people write them, and words as people spell them."""

import codecs
import csv
import difflib
import io
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from covid_study.errors import CohortError

SEEN = 200  # columns among which a mistyped name is looked for


def read_csv(
    file: Path, what: str = "", needed: Sequence[str] = (), optional: Sequence[str] = (), encoding_errors: str = "strict"
) -> pd.DataFrame:  # fmt: skip
    """A CSV file as stripped text, its columns in the study's spelling ("Exam ID" is exam_id).

    Separators are commas, semicolons or tabs; blank rows and empty fields behind the last column are passed over. Where columns
    are named only those are kept, optional ones empty where they are missing; one that looks like a mistyped name is an error.

    Args:
        what: the file in the words of its user, for errors: "the exam table".

    Raises:
        CohortError: not there, not CSV, a row with more fields than columns, a column missing, mistyped or there twice.
    """
    said = f"{what} {file}".strip()
    try:
        raw = file.read_bytes()
        wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # "Unicode text" of spreadsheets
        text = raw.decode("utf-16" if wide else "utf-8-sig", encoding_errors)
        if "\0" in text:
            raise csv.Error("it holds NUL, which no text does")
        reader = csv.reader(io.StringIO(text), delimiter=separator(text), skipinitialspace=True, strict=True)
        rows = [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
        if not rows:
            raise csv.Error("it is empty")
        head = rows.pop(0)[1]
        for line, row in rows:
            if any(map(str.strip, row[len(head) :])):
                raise csv.Error(f"line {line} has {len(row)} fields for {len(head)} columns")
    except FileNotFoundError as error:
        raise CohortError(f"{said} does not exist. What to do: correct the path.") from error
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        columns = f" with the columns {', '.join((*needed, *optional))}" if needed else ""
        raise CohortError(
            f"{said} cannot be read as CSV: {error}. What to do: save it as CSV in UTF-8{columns}."
        ) from error
    names = [re.sub(r"[\s-]+", "_", name.strip().lower()) for name in head]
    _check_columns(names, said, needed, optional)
    fields = [[field.strip() for field in row] + [""] * (len(names) - len(row)) for _, row in rows]
    found = {name: [row[place] for row in fields] for place, name in enumerate(names) if name}
    kept = (*needed, *optional) or tuple(found)
    return pd.DataFrame({name: found.get(name, [""] * len(rows)) for name in kept}, dtype=str)


def separator(text: str) -> str:
    """What stands most often in the first line."""
    head = text.lstrip().partition("\n")[0]
    return max(",;\t", key=head.count)


def _check_columns(names: Sequence[str], said: str, needed: Sequence[str], optional: Sequence[str]) -> None:
    wanted = (*needed, *optional)
    absent = [name for name in wanted if name not in names]
    others = [name for name in names if name not in wanted] if absent else []
    near = {name: difflib.get_close_matches(name, absent, 1, 0.75) for name in others[:SEEN]}
    problems = [f"column '{name}' is unknown (did you mean '{c[0]}'?)" for name, c in near.items() if c]
    problems += [
        f"column '{name}' is missing" for name in needed if name in absent and [name] not in near.values()
    ]
    twice = wanted or filter(None, dict.fromkeys(names))  # where none are named any may be used
    problems += [f"column '{name}' stands there twice" for name in twice if names.count(name) > 1]
    if problems and not wanted:
        raise CohortError(f"{said}: {'; '.join(problems)}. What to do: leave one of them.")
    if problems:
        more = f" ({' and '.join(optional)} may be left out)" if optional else ""
        raise CohortError(
            f"{said}: {'; '.join(problems)}. What to do: give the columns {', '.join(wanted)}{more}."
        )


def resolved(cell: str, table: Path) -> str:
    """The path in a cell of a table: whole, or relative to the table and below its folder.

    Raises:
        CohortError: steps up lead out of the table's folder, to what nobody sees in the table; the folder that the table
            itself lies in, or one around it.

    >>> resolved("scans/../a.mha", Path("/ct/exams.csv")), resolved("/elsewhere/a.mha", Path("/ct/exams.csv"))
    ('/ct/scans/../a.mha', '/elsewhere/a.mha')
    """
    path = os.path.expanduser(cell)
    if not os.path.isabs(path) and os.path.normpath(path).split(os.sep)[0] == os.pardir:
        raise CohortError(
            f"{table}: the path {cell[:100]!r} leads out of the table's folder. What to do: give the whole path, from "
            f"{os.sep}, or put the table above what it lists."
        )
    # "//", which POSIX lets stand at the beginning, is "/" here
    above, whole = (os.path.abspath(p).replace("//", "/") for p in (table.parent, table.parent / path))
    if cell and os.path.commonpath([above, whole]) == whole:
        raise CohortError(
            f"{table}: the path {cell[:100]!r} is a folder around the table itself, not of one exam or picture. What to do: "
            "correct the path."
        )
    return str(table.parent / path)


def only_a_name(name: str, said: str) -> str:
    """A file's name from a public data set's own list, which has no business outside of its folder.

    Raises:
        CohortError: a whole path, or steps up that lead out.

    >>> only_a_name("a/../b %.png", "list.txt")
    'a/../b %.png'
    """
    steps = os.path.normpath(name.replace("\\", "/")).split("/")
    if steps[0] in ("", ".."):
        raise CohortError(
            f"{said}: {name[:100]!r} leads out of the data set's folder. What to do: get the list again from its authors."
        )
    return name


def nearest(text: str, names: Iterable[str]) -> str:
    """A question that ends an error message, or an empty string.

    >>> nearest("covd", ["covid", "cap"])
    ' (did you mean covid?)'
    """
    close = difflib.get_close_matches(str(text).strip().lower(), list(names), 1, 0.6)
    return f" (did you mean {close[0]}?)" if close else ""
