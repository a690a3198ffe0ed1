"""Exams: the table of a cohort, its checks, its splits by patient."""

from __future__ import annotations

import difflib
import os
import re
from functools import cache
from pathlib import Path

import pandas as pd

from covid_study.cohort.splits import SPLITS, allocate
from covid_study.errors import CohortError, ParameterError

FINDINGS = ("covid", "cap", "non_pneumonia", "other")  # other: not COVID-19, and no more is known
COLUMNS = ("exam_id", "patient_id", "path", "finding", "centre", "split")
PHANTOM = "phantom"  # the path of an exam that is computed, not read


# ------------------------------------------------------------------------------------------------ the table

FINDING_SPELLINGS = {
    "covid": "covid covid19 covid19pneumonia covidpneumonia coronavirus sarscov2 ncov",
    "cap": "cap communityacquiredpneumonia pneumonia otherpneumonia",
    "non_pneumonia": "nonpneumonia nopneumonia nonpneumonic normal healthy control controls",
    "other": "other noncovid notcovid nocovid noncovid19 notcovid19 nocovid19 covidnegative covid19negative negative",
}
SPLIT_SPELLINGS = {
    "train": "train training",
    "validation": "validation valid val dev",
    "test": "test testing",
}


def parse_finding(text: str) -> str | None:
    """The finding a person means, or None.

    >>> [parse_finding(t) for t in ("COVID-19 subjects", "Cap", "Non pneumonia", "tumour")]
    ['covid', 'cap', 'non_pneumonia', None]
    """
    return _spelling(
        re.sub(r"[\s_-]+(subjects|patients|cases|exams|scans)$", "", str(text).strip(), flags=re.I),
        FINDING_SPELLINGS,
    )


def _spelling(text: str, table: dict[str, str]) -> str | None:
    plain = re.sub(r"[^a-z0-9]", "", text.lower())
    return next((name for name, words in table.items() if plain in words.split()), None)


def nearest(text: str, names) -> str:
    """A question that ends an error message, or an empty string.

    >>> nearest("covd", FINDINGS)
    ' (did you mean covid?)'
    """
    close = difflib.get_close_matches(str(text).strip().lower(), list(names), 1, 0.6)
    return f" (did you mean {close[0]}?)" if close else ""


def read_table(file: str | os.PathLike) -> pd.DataFrame:
    """The exam table of a CSV file, unchecked: findings and splits in the study's words, paths as written.

    Needed: exam_id, patient_id, path, finding; centre and split may be absent. Other columns are left out,
    unless one looks like a mistyped name. Separators may be commas, semicolons or tabs.

    Raises: CohortError (unreadable, empty, columns missing or mistyped).
    """
    file = Path(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
        header = text.lstrip().partition("\n")[0]
        separator = max(",;\t", key=header.count)
        table = pd.read_csv(
            file, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True
        )
    except FileNotFoundError as error:
        raise CohortError(f"the exam table {file} does not exist. What to do: correct the path.") from error
    except pd.errors.EmptyDataError as error:
        raise CohortError(
            f"the exam table {file} is empty. It needs the columns exam_id, patient_id, path and finding."
        ) from error
    except (UnicodeDecodeError, pd.errors.ParserError, OSError) as error:
        raise CohortError(
            f"the exam table {file} cannot be read as CSV: {error}. What to do: save it as CSV in UTF-8."
        ) from error
    table.columns = [re.sub(r"[\s-]+", "_", str(c).strip().lower()) for c in table.columns]
    absent = [c for c in COLUMNS if c not in table]
    typos = {c: difflib.get_close_matches(c, absent, 1, 0.75) for c in table if c not in COLUMNS}
    problems = [f"column {c!r} is unknown (did you mean {near[0]!r}?)" for c, near in typos.items() if near]
    problems += [
        f"column {c!r} is missing"
        for c in absent
        if c not in ("centre", "split") and [c] not in typos.values()
    ]
    problems += [
        f"column {c!r} stands there twice" for c in dict.fromkeys(table.columns[table.columns.duplicated()])
    ]
    if problems:
        raise CohortError(
            f"the exam table {file}: {'; '.join(problems)}. Columns: {', '.join(COLUMNS)} (centre and split"
            " may be left out)."
        )
    table = (
        table.reindex(columns=list(COLUMNS), fill_value="")
        .fillna("")
        .apply(lambda column: column.str.strip())
    )
    table["finding"] = [parse_finding(f) or f for f in table.finding]
    table["split"] = [_spelling(s, SPLIT_SPELLINGS) or s for s in table.split]
    return table


def write_table(table: pd.DataFrame, file: str | os.PathLike) -> Path:
    """Write an exam table as CSV, whole or not at all."""
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    table.to_csv(temporary, index=False)
    os.replace(temporary, file)
    return file


# ------------------------------------------------------------------------------------------------ checks


@cache
def schema():
    """The pandera schema of an exam table (issue each failure once, all of them together)."""
    import pandera.pandas as pa

    filled = pa.Check(lambda s: s.str.strip() != "", name="empty")
    return pa.DataFrameSchema(
        {
            "exam_id": pa.Column(
                str, [filled, pa.Check(lambda s: ~s.duplicated(keep=False), name="twice")], coerce=True
            ),
            "patient_id": pa.Column(str, filled, coerce=True),
            "path": pa.Column(str, filled, coerce=True),
            "finding": pa.Column(str, pa.Check.isin(FINDINGS), coerce=True),
            "centre": pa.Column(str, coerce=True),
            "split": pa.Column(str, pa.Check.isin(("", *SPLITS)), coerce=True),
        }
    )


def check_exams(table: pd.DataFrame, both: bool = True) -> pd.DataFrame:
    """The table with its columns in order, or one error that lists all that is wrong with the cohort.

    A file that is missing or damaged is the reader's business (ExamError, `on_bad_exam`), unless none is
    there at all. both: whether positives and negatives must be there; a background needs negatives only.

    Raises: CohortError (no exams, columns, unknown finding or split, an exam twice, a patient on two sides of
    a split, a split for some exams only, no positives, no negatives, no file found).
    """
    import pandera.errors

    missing = [c for c in COLUMNS[:4] if c not in table]
    if missing:
        raise CohortError(
            f"the exam table has no column {', '.join(missing)}. Columns: {', '.join(COLUMNS)}."
        )
    if not len(table):
        raise CohortError("the exam table has no exams. What to do: give a CSV or a folder that holds some.")
    table = table.reset_index(drop=True).reindex(columns=list(COLUMNS)).astype(object).fillna("")
    try:
        table = schema().validate(table, lazy=True)
        problems = []
    except pandera.errors.SchemaErrors as error:
        problems = [_sentence(row, table) for row in error.failure_cases.itertuples()]
        problems = list(dict.fromkeys(problems))
    problems = problems or _cohort_problems(table, both)
    if problems:
        more = f"\n- and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise CohortError("the exam table cannot be used:\n- " + "\n- ".join(problems[:8]) + more)
    return table


def _sentence(failure, table: pd.DataFrame) -> str:
    row = table.loc[failure.index]
    where = f"exam {row.exam_id}" if str(row.exam_id).strip() else f"row {int(failure.index) + 1}"
    if failure.check == "twice":
        paths = table.path[table.exam_id == row.exam_id]
        return (
            f"exam {row.exam_id} is listed {len(paths)} times ({', '.join(paths[:3])}): give each exam an"
            " exam_id of its own, once"
        )
    if failure.check == "empty":
        hint = (
            " (where the patient is not known, repeat the exam_id)" if failure.column == "patient_id" else ""
        )
        return f"{where} has no {failure.column}: fill it in{hint}"
    names = FINDINGS if failure.column == "finding" else SPLITS
    return (
        f"{where} has the {failure.column} {failure.failure_case!r}{nearest(failure.failure_case, names)}:"
        f" use {', '.join(names)}"
    )


def _cohort_problems(table: pd.DataFrame, both: bool) -> list[str]:
    problems = []
    files = table[table.path != PHANTOM]
    places = files.path.map(os.path.realpath)
    for place in places[places.duplicated()].unique():
        same = files.exam_id[places == place]
        problems.append(f"exams {', '.join(same)} are the same file or folder, {place}: list it once")
    if len(files) and not any(os.path.exists(p) for p in places):
        problems.append(
            f"none of the {len(files)} paths exists (the first is {files.path.iloc[0]}): correct the paths; "
            "in a CSV they are relative to the CSV"
        )
    sides = table[table.split != ""].groupby("patient_id").split.unique()
    for patient, splits in sides[sides.map(len) > 1].items():
        problems.append(
            f"patient {patient} is on both sides of a split ({', '.join(s for s in SPLITS if s in splits)}):"
            f" put all of the patient's exams ({', '.join(table.exam_id[table.patient_id == patient][:4])})"
            " on one"
        )
    unset = table.exam_id[table.split == ""]
    if 0 < len(unset) < len(table):
        problems.append(
            f"{len(unset)} of {len(table)} exams have no split ({', '.join(unset[:4])}): fill in all of the"
            " column, or none"
        )
    positive = table.finding == "covid"
    if both and not positive.any():
        problems.append("there are no positives: at least two patients with the finding covid are needed")
    if both and positive.all():
        problems.append(
            "there are no negatives: exams with the finding cap, non_pneumonia or other are needed"
        )
    return problems


def missing_files(table: pd.DataFrame) -> pd.Series:
    """Paths of the table that do not exist, indexed by exam id."""
    paths = table.set_index("exam_id").path
    return paths[[p != PHANTOM and not os.path.exists(p) for p in paths]]


# ------------------------------------------------------------------------------------------------ splits


def split_exams(
    table: pd.DataFrame, fractions: tuple[float, float, float] = (0.75, 0.05, 0.20), seed: int = 0
) -> pd.DataFrame:
    """The table with `split` filled: by patient, stratified by finding. (Paper A, V-A.)

    All exams of a patient lie on one side (`splits.allocate`); the order of the rows does not matter. A split
    column that is already filled is checked and kept. Validation may be empty, or hold one class only, where
    a finding has fewer than five patients: the threshold must then be chosen another way (0.5).

    Raises: CohortError (fewer than two patients with positives or with negatives), ParameterError
    (fractions).
    """
    if (
        len(fractions) != 3
        or min(fractions) < 0
        or abs(sum(fractions) - 1) > 1e-6
        or not fractions[0] * fractions[2]
    ):
        raise ParameterError(
            f"fractions = {fractions}: give the shares of {', '.join(SPLITS)}, which sum to 1, e.g. (0.75,"
            " 0.05, 0.20)"
        )
    table = check_exams(table)
    if (table.split != "").all():
        return table
    positive = table.finding == "covid"
    for name, rows in (("positives (covid)", positive), ("negatives (cap, non_pneumonia, other)", ~positive)):
        if table.patient_id[rows].nunique() < 2:
            raise CohortError(
                f"only patient {table.patient_id[rows].iloc[0]} has {name}: at least two patients with {name}"
                " are needed, one to train and one to test. What to do: add exams of another patient."
            )
    ranks = table.finding.map(FINDINGS.index)
    for attempt in range(100):  # another draw helps where patients have exams of both kinds
        table["split"] = table.patient_id.map(
            allocate(table.patient_id, ranks, fractions, f"{seed}/{attempt}")
        )
        if table[table.split.isin(("train", "test"))].groupby(["split", positive]).ngroups == 4:
            return table
    raise CohortError("no split by patient leaves both classes in train and test. What to do: add patients.")
