"""CSV files as people write them, and words as people spell them."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from covid_study.errors import CohortError


def read_csv(
    file: Path, what: str = "", needed: Sequence[str] = (), optional: Sequence[str] = (), encoding_errors: str = "strict"
) -> pd.DataFrame:  # fmt: skip
    """A CSV file as stripped text, its columns in the study's spelling ("Exam ID" is exam_id).

    Separators are commas, semicolons or tabs. Where columns are named only those are kept, optional ones empty where they are
    missing; one that looks like a mistyped name is an error.

    Args:
        what: the file in the words of its user, for errors: "the exam table".

    Raises:
        CohortError: not there, not CSV, a column missing, mistyped or there twice.
    """
    said = f"{what} {file}".strip()
    try:
        head = file.read_text(encoding="utf-8-sig", errors=encoding_errors).lstrip().partition("\n")[0]
        table = pd.read_csv(
            file, sep=max(",;\t", key=head.count), dtype=str, keep_default_na=False, skipinitialspace=True,
            encoding="utf-8-sig", encoding_errors=encoding_errors
        )  # fmt: skip
    except FileNotFoundError as error:
        raise CohortError(f"{said} does not exist. What to do: correct the path.") from error
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, OSError) as error:
        columns = f" with the columns {', '.join((*needed, *optional))}" if needed else ""
        raise CohortError(
            f"{said} cannot be read as CSV: {error}. What to do: save it as CSV in UTF-8{columns}."
        ) from error
    table.columns = [re.sub(r"[\s-]+", "_", str(name).strip().lower()) for name in table.columns]
    if needed:
        _check_columns(table, said, needed, optional)
        table = table.reindex(columns=[*needed, *optional], fill_value="")
    return table.fillna("").apply(lambda column: column.str.strip())


def _check_columns(table: pd.DataFrame, said: str, needed: Sequence[str], optional: Sequence[str]) -> None:
    wanted = (*needed, *optional)
    absent = [name for name in wanted if name not in table]
    near = {name: difflib.get_close_matches(name, absent, 1, 0.75) for name in table if name not in wanted}
    problems = [f"column '{name}' is unknown (did you mean '{c[0]}'?)" for name, c in near.items() if c]
    problems += [
        f"column '{name}' is missing" for name in needed if name in absent and [name] not in near.values()
    ]
    twice = table.columns[table.columns.duplicated()]
    problems += [f"column '{name}' stands there twice" for name in dict.fromkeys(twice)]
    if problems:
        more = f" ({' and '.join(optional)} may be left out)" if optional else ""
        raise CohortError(
            f"{said}: {'; '.join(problems)}. What to do: give the columns {', '.join(wanted)}{more}."
        )


def spelled(text: str, spellings: Mapping[str, str]) -> str | None:
    """The word that a text means, whatever its case, blanks and dashes; None where it means none.

    Args:
        spellings: word -> how it may be spelled, separated by blanks.

    >>> spelled("Val.", {"train": "train training", "validation": "validation val"})
    'validation'
    """
    plain = re.sub(r"[^a-z0-9]", "", text.lower())
    return next((word for word, spelt in spellings.items() if plain in spelt.split()), None)


def nearest(text: str, names: Iterable[str]) -> str:
    """A question that ends an error message, or an empty string.

    >>> nearest("covd", ["covid", "cap"])
    ' (did you mean covid?)'
    """
    close = difflib.get_close_matches(str(text).strip().lower(), list(names), 1, 0.6)
    return f" (did you mean {close[0]}?)" if close else ""
