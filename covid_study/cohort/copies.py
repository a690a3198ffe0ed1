"""The same file in two places of a cohort, found by its content: copies make scores look better than they are."""

import os
from collections import defaultdict
from pathlib import Path

import pandas as pd

from covid_study.cohort.folders import below
from covid_study.cohort.splits import some
from covid_study.runtime.manifest import sha256_of

MOST = 50_000  # files of a size with another: to open more takes longer than a table should
ENDS = 4096  # bytes at each end of a file
CONTRADICTIONS = {"finding": "findings", "patient_id": "patients", "split": "splits"}


def notes_on_copies(table: pd.DataFrame, name: str) -> list[str]:
    """A sentence on files or folders that are the same byte for byte, and stand under two findings, patients or splits.

    Choice: first sizes are compared, then both ends, and what is still equal as a whole: hardly a file is read that is no copy.

    Args:
        table: path, finding, patient_id, split, and the column `name`, by which its rows are named.
    """
    places = {row.Index: Path(row.path) for row in table[["path"]].itertuples()}
    groups = [
        [row for row, path in places.items() if os.path.exists(path) and any(_size(path))]
    ]  # False for a name that no file can have
    for measure in (_size, _ends, _content):
        equal = defaultdict(list)
        for n, rows in enumerate(groups):
            for row in rows:
                equal[n, measure(places[row])].append(row)
        groups = [rows for rows in equal.values() if len(rows) > 1]
        if (count := sum(map(len, groups))) > MOST:
            return [
                f"Copies are not looked for, {count:,} files are of a size with another; `datasets check` names them."
            ]
    under = []
    for column, words in CONTRADICTIONS.items():
        differ = [table.loc[rows].drop_duplicates(column)[name] for rows in groups]
        if pairs := [" = ".join(names[:2]) for names in differ if len(names) > 1]:
            under.append(f"under two {words} {some(pairs)}")
    return [
        f"The same byte for byte, {'; '.join(under)}. What is trained on may be tested on, or be called two things."
    ] if under else []  # fmt: skip


def _files(path: Path) -> list[Path]:
    return below(path).files if path.is_dir() else [path]


def _size(path: Path) -> tuple[int, ...]:
    return tuple(sorted(file.stat().st_size for file in _files(path)))


def _ends(path: Path) -> bytes:
    """Of the file, or of the one in the middle of a folder: a header is often shared, the last pixels are not."""
    if not (files := _files(path)):
        return b""
    try:
        with files[len(files) // 2].open("rb") as opened:
            start = opened.read(ENDS)
            opened.seek(max(0, opened.seek(0, 2) - ENDS))
            return start + opened.read()
    except OSError:  # the reader's business
        return str(path).encode()


def _content(path: Path) -> tuple[str, ...]:
    hashes = []
    for file in _files(path):
        try:
            hashes.append(sha256_of(file))
        except OSError:
            hashes.append(str(file))
    return tuple(sorted(hashes))
