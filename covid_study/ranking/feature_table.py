"""Features of anybody's in a file: Parquet, CSV, or NPY with a table of ids; read in pieces, what is wrong named by its row.

What a table holds besides the ids is a feature where it is a number; the rest (finding, centre, ...) goes along.
"""

import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from covid_study.cohort.csv_files import separator
from covid_study.errors import CohortError
from covid_study.ranking.emd import bad_row

PIECE = 65_536  # rows read at a time
ID_NAMES = ("exam_id", "slice_id", "exam", "id")
KINDS = "Parquet (.parquet), CSV (.csv, .tsv) or NumPy (.npy, with a table of ids)"


@dataclass(frozen=True)
class FeatureTable:
    """A file of features, and what of it fits into memory.

    Args:
        about: what is known besides the features, indexed by exam id, in the order of the file.
        columns: names of the features, (D,). file, ids: where they lie.
    """

    about: pd.DataFrame
    columns: list[str]
    file: Path
    ids: Path | None = None

    def pieces(self) -> Iterator[tuple[int, np.ndarray]]:
        """The features, float64 (rows, D), some rows at a time, each with the number of its first row, from 0.

        Raises:
            CohortError: names the row and the exam that has no feature but zero, or one missing, negative or not finite.
        """
        start = 0
        for piece in _pieces(self.file, self.columns):
            # what is no number, where the first rows had numbers, is missing
            values = np.ascontiguousarray(piece.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64))
            if bad := bad_row(values):
                raise self._wrong(start, values, *bad)
            yield start, values
            start += len(values)

    def rows(self, exams: Sequence[str]) -> pd.DataFrame:
        """Features of these exams, in their order; the others are read and let go."""
        wanted = self.about.index.get_indexer(pd.Index(exams))
        found = np.empty((len(wanted), len(self.columns)))
        for start, values in self.pieces():
            here = np.flatnonzero((wanted >= start) & (wanted < start + len(values)))
            found[here] = values[wanted[here] - start]
        return pd.DataFrame(found, index=pd.Index(exams, name=self.about.index.name), columns=self.columns)

    def positives(self, given: str) -> list[str]:
        """The exams of the disease, sorted: those that a file lists, or that have a value in a column of this table.

        Args:
            given: a text or CSV file with an id a line (in its first column), or "column=value".

        Raises:
            CohortError: there is no such file or column, it lists nothing, or an exam that the table lacks; names its line.
        """
        file, (column, _, value) = Path(given).expanduser(), given.partition("=")
        if not file.is_file():
            if column not in self.about or not value:
                known = ", ".join(self.about.columns) or "none besides its features"
                raise CohortError(
                    f"positives {given}: neither a file nor column=value of {self.known_by} (its columns: {known}). What to "
                    "do: name a file with an exam id a line, or for example finding=covid."
                )
            found = self.about.index[self.about[column].astype(str) == value]
            if found.empty:
                some = ", ".join(map(str, self.about[column].unique()[:10]))
                raise CohortError(f"positives {given}: no row of {self.known_by} has it. {column} is {some}.")
            return sorted(found)
        lines = [
            line.split(",")[0].strip().strip('"')
            for line in file.read_text("utf-8-sig", errors="replace").splitlines()
        ]
        listed = {line: number for number, line in enumerate(lines, 1) if line}
        if lines and lines[0].lower() in {*ID_NAMES, str(self.about.index.name).lower()}:
            listed.pop(lines[0], None)
        lost = [exam for exam in listed if exam not in self.about.index]
        if lost or not listed:
            first = (
                f"line {listed[lost[0]]}: {lost[0]} is not in {self.known_by}" if lost else "lists nothing"
            )
            count = f" ({len(lost)} of {len(listed)} are not)" if lost else ""
            raise CohortError(f"{file}, {first}{count}. What to do: list ids of the table, one a line.")
        return sorted(listed)

    @property
    def known_by(self) -> str:
        """The file that holds the ids."""
        return str(self.ids or self.file)

    def _wrong(self, start: int, values: np.ndarray, row: int, problem: str) -> CohortError:
        at = f"row {start + row + 1} of {self.file} (exam {self.about.index[start + row]})"
        odd = np.flatnonzero(~np.isfinite(values[row]) | (values[row] < 0))
        if not len(odd):
            return CohortError(f"{at} {problem}. What to do: leave it out: it has no distance to others.")
        value, column = values[row, odd[0]], self.columns[odd[0]]
        said = "is missing or no number" if np.isnan(value) else f"is {value:g}"
        return CohortError(
            f"{at}: feature {column} {said}. What to do: features are finite and not negative; mend it, leave the row out, or "
            "name other columns."
        )


def open_features(
    file: Path,
    ids: Path | None = None,
    id_column: str | None = None,
    columns: Sequence[str] = (),
    aside: Sequence[str] = (),
) -> FeatureTable:
    """A file of features, its ids read, its features not yet.

    Args:
        file: Parquet or CSV, a row an exam; or NPY (n, D), to which `ids` is the table, a row a row.
        id_column: None: the index that pandas wrote, else exam_id, slice_id, exam or id, else the first column.
        columns: names or patterns ("pc_*") of the features; none: every other column of numbers.
        aside: columns that are no features though they hold numbers.

    Raises:
        CohortError: it cannot be read; it has no features; an id is missing or there twice; names the rows.
    """
    for named in filter(None, (file, ids)):
        if not named.is_file():
            raise CohortError(f"{named} does not exist. What to do: correct the path.")
    if file.suffix == ".npy":
        if ids is None:
            raise CohortError(
                f"{file} names no exams. What to do: give a table with a row for each of its rows (--ids)."
            )
        shape = _npy(file).shape
        names = [str(number) for number in range(shape[1] if len(shape) == 2 else 0)]
        about = _about(ids, id_column, None, aside)[0]
        if len(shape) != 2 or len(about) != shape[0]:
            raise CohortError(
                f"{file} has the shape {shape}, {ids} has {len(about)} rows. What to do: give a row of features for every id."
            )
        return FeatureTable(about, _chosen(names, columns, file), file, ids)
    about, numbers = _about(file, id_column, columns, aside)
    return FeatureTable(about, _chosen(numbers, columns, file), file)


def _chosen(numbers: list[str], patterns: Sequence[str], file: Path) -> list[str]:
    for pattern in patterns:
        if pattern not in numbers and not fnmatch.filter(numbers, pattern):
            raise CohortError(f"{file} has no column of numbers {pattern}. It has {', '.join(numbers[:10])}.")
    found = _named(numbers, patterns)
    if not found:
        raise CohortError(f"{file} has no column of numbers besides its ids. What to do: give features.")
    return found


def _named(numbers: list[str], patterns: Sequence[str]) -> list[str]:
    """Those that are named, or match; all where no pattern is given."""
    return [
        n for n in numbers if not patterns or n in patterns or any(fnmatch.fnmatch(n, p) for p in patterns)
    ]


def _about(
    file: Path, id_column: str | None, patterns: Sequence[str] | None, aside: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """What is known of the exams by their ids, and which columns are numbers; patterns None: a table without features."""
    head = _head(file)
    name = id_column or next((n for n in ("__index_level_0__", *ID_NAMES) if n in head), str(head.columns[0]))
    if name not in head:
        raise CohortError(f"{file} has no column {name}. It has {', '.join(map(str, head.columns[:10]))}.")
    kinds = {str(n): is_numeric_dtype(kind) and not is_bool_dtype(kind) for n, kind in head.dtypes.items()}
    numbers = [n for n, number in kinds.items() if number and n not in (name, *aside)]
    features = [] if patterns is None else _named(numbers, patterns)
    known = [n for n in kinds if n not in (name, *features)]
    about = pd.concat(list(_pieces(file, [name, *known], as_text=True)), ignore_index=True)
    ids = about.pop(name)
    missing = np.flatnonzero(ids.isna() | (ids.astype(str).str.strip() == ""))
    if len(missing):
        raise CohortError(
            f"row {missing[0] + 1} of {file} has no id in column {name}. What to do: name every exam."
        )
    about.index = pd.Index(ids.astype(str), name=ID_NAMES[0] if name == "__index_level_0__" else name)
    if about.index.has_duplicates:
        twice = about.index[about.index.duplicated()][0]
        rows = " and ".join(str(row + 1) for row in np.flatnonzero(about.index == twice)[:2])
        raise CohortError(
            f"exam {twice} is listed twice in {file}, in rows {rows}. What to do: leave one of them."
        )
    return about, numbers


def _head(file: Path) -> pd.DataFrame:
    """The first rows, whose types say which columns are numbers."""
    for piece in _pieces(file, None, rows=1000):
        return piece
    raise CohortError(f"{file} is empty. What to do: give a row an exam.")


def _pieces(
    file: Path, columns: Sequence[str] | None, as_text: bool = False, rows: int = PIECE
) -> Iterator[pd.DataFrame]:
    """Some rows at a time of these columns."""
    try:
        if file.suffix == ".npy":
            whole = _npy(file)
            for start in range(0, len(whole), rows):
                part = _npy(file)[start : start + rows]  # mapped anew: what was read before is let go
                yield pd.DataFrame(part).rename(columns=str)[list(columns or [])]
        elif file.suffix == ".parquet":
            from pyarrow.parquet import ParquetFile

            with ParquetFile(file) as opened:
                for batch in opened.iter_batches(rows, columns=columns):
                    yield pd.DataFrame(
                        {n: c.to_pandas() for n, c in zip(batch.schema.names, batch.columns, strict=True)}
                    )
        elif file.suffix.lower() in (".csv", ".tsv", ".txt"):
            with file.open(encoding="utf-8-sig") as opened:
                line = opened.readline()
            how = {"sep": separator(line), "usecols": columns, "dtype": str if as_text else None}
            for piece in pd.read_csv(file, chunksize=rows, encoding="utf-8-sig", low_memory=False, **how):
                if not isinstance(piece.index, pd.RangeIndex):  # pandas takes a field too many for the index
                    raise ValueError("its rows have more fields than its first line has names")
                yield piece if columns is None else piece[list(columns)]
        else:
            raise CohortError(f"{file} is no table that is read here. What to do: save it as {KINDS}.")
    except (OSError, ValueError) as error:  # pyarrow's and pandas' are ValueErrors
        raise CohortError(f"{file} cannot be read ({error}). What to do: save it as {KINDS}.") from error


def _npy(file: Path) -> np.ndarray:
    try:
        return np.load(file, mmap_mode="r")
    except ValueError as error:
        raise CohortError(
            f"{file} cannot be read ({error}). What to do: save numbers with numpy.save."
        ) from error
