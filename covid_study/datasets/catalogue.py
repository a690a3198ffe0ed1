"""The public data sets: what each is, its terms, how to get it, where it is expected, what is known to be wrong with it.

The facts lie in `data/datasets.yaml`; docs/data.md is the same facts as cards.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

from covid_study import paths
from covid_study.cohort.csv_files import nearest
from covid_study.errors import StudyError

FILE = paths.PACKAGE / "data" / "datasets.yaml"
FOLDER = "COVID_STUDY_DATA"  # the environment variable for a folder that holds the sets by name


@dataclass(frozen=True)
class File:
    """A file of a data set that may be fetched: its name below the set's folder, its address, its SHA-256 if published."""

    name: str
    url: str
    sha256: str | None = None


@dataclass(frozen=True)
class Listed:
    """Files named by a column of a table that is fetched first; `{}` in name and url stands for its values."""

    table: str
    column: str
    name: str
    url: str


@dataclass(frozen=True)
class DataSet:
    """A data set as its authors describe it; kind is "slices", "exams" or "own".

    `counts`: split ("" where there is none) -> finding -> slices or exams, as published. `files` and `listed` name what
    `fetch` may fetch; both are empty where the terms do not let it.
    """

    name: str
    title: str
    kind: str
    what: str
    used_for: str
    origin: str = ""
    size: str = ""
    terms: str = ""
    obtain: tuple[str, ...] = ()
    home: str = ""
    cite: str = ""
    sources: tuple[str, ...] = ()
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    digest: str = ""
    digest_of: str = ""
    known_faults: tuple[str, ...] = ()
    files: tuple[File, ...] = ()
    listed: Listed | None = None

    @property
    def total(self) -> int:
        """Slices or exams, as published."""
        return sum(sum(findings.values()) for findings in self.counts.values())


@cache
def catalogue() -> dict[str, DataSet]:
    """All data sets, by name.

    >>> list(catalogue())[:3], catalogue()["covid-ct"].total
    (['covid-ct', 'sars-cov-2', 'covidx-ct-1'], 746)
    """
    sets = {}
    for name, facts in yaml.safe_load(FILE.read_text(encoding="utf-8")).items():
        facts |= {key: tuple(facts.get(key, ())) for key in ("obtain", "sources", "known_faults")}
        facts["files"] = tuple(File(**file) for file in facts.get("files", ()))
        facts["listed"] = Listed(**facts["listed"]) if "listed" in facts else None
        sets[name] = DataSet(name, **facts)
    return sets


def find(name: str) -> DataSet:
    """The data set of a name.

    Raises:
        StudyError: there is none; it names the nearest and all.
    """
    sets = catalogue()
    if name not in sets:
        raise StudyError(
            f"there is no data set {name!r}{nearest(name, sets)}; there are {', '.join(sets)}. For a place on disk write its"
            " path, e.g. ./my-data."
        )
    return sets[name]


def place(dataset: DataSet, at: str | os.PathLike | None = None) -> Path:
    """Where a data set is expected: `at`, else below the folder that COVID_STUDY_DATA names, else `data/<name>`.

    >>> place(find("covid-ct"), "mine/covid-ct").as_posix()
    'mine/covid-ct'
    """
    if at:
        return Path(at).expanduser()
    if folder := os.environ.get(FOLDER):
        return Path(folder).expanduser() / dataset.name
    return paths.root() / "data" / dataset.name


# ------------------------------------------------------------------------------------------------ data cards


def cards() -> str:
    """docs/data.md: a card for each data set, in Markdown.

    >>> "| test | 98 | 105 | 203 |" in cards()
    True
    """
    sets = [dataset for dataset in catalogue().values() if dataset.kind != "own"]
    own = [dataset for dataset in catalogue().values() if dataset.kind == "own"]
    index = [f"- [{d.title}](#{d.name}): {d.used_for}" for d in sets]
    return "\n".join(
        [INTRODUCTION, *index, "", *map(card, sets), "## Your own data", "", *map(_own, own), ""]
    )


INTRODUCTION = f"""# Data cards

The data sets that the study can read, each as its authors describe it, and what is known to be wrong with it. None of them
comes with this project. This page is written from `covid_study/data/datasets.yaml`: change that, then
`covid-study datasets cards > docs/data.md`.

```sh
covid-study datasets list             # what each is, and whether it is there and whole
covid-study datasets check covid-ct   # count it, open and hash every file, say what is wrong
covid-study datasets fetch stoic      # where the terms allow it; else how to get it
covid-study datasets fetch covid-ct --from archive.zip    # what you got yourself, put where it belongs
make reproduce DATA=data/covid-ct               # slices for paper B; EXAMS=data/covid-ct-md for exams
```

A set is expected in `data/<name>`; the variable `{FOLDER}` may name another folder that holds the sets by name, and
`--at` a place. Nothing is ever written there but by `fetch`. The numbers are the authors'; `check` compares with them. A
published number of a score on one of these sets says little while its faults are not known to be harmless: notebook 13
looks for leaks in what is there, and puts what it found beside the scores. The SHA-256 of a set is that of what
`sha256sum` prints for its images, in the order of their names below the folder that holds them all.
"""


def card(dataset: DataSet) -> str:
    """The card of one data set, in Markdown."""
    findings = list(dict.fromkeys(f for row in dataset.counts.values() for f in row))
    rows = [
        f"| {split or 'no split'} | {' | '.join(f'{row[f]:,}' for f in findings)} | {sum(row.values()):,} |"
        for split, row in dataset.counts.items()
    ]
    if len(rows) > 1:
        sums = [sum(row[f] for row in dataset.counts.values()) for f in findings]
        rows.append(f"| all | {' | '.join(f'{n:,}' for n in sums)} | {dataset.total:,} |")
    variable = "DATA" if dataset.kind == "slices" else "EXAMS"
    digest = f"SHA-256 over names and contents of {dataset.digest_of}: `{dataset.digest}`."
    return "\n".join(
        [
            f'## <a id="{dataset.name}"></a>{dataset.title}',
            "",
            dataset.what,
            "",
            f"- **Origin**: {dataset.origin}",
            f"- **Terms**: {dataset.terms}",
            f"- **Size**: {dataset.size}",
            f"- **How to get it**: {'; '.join(dataset.obtain)}",
            f"- **Home**: <{dataset.home}>",
            f"- **Where to put it**: `data/{dataset.name}`; then `covid-study datasets check {dataset.name}`",
            f"- **Used for**: {dataset.used_for} (`{variable}=data/{dataset.name}`)",
            f"- **Cite**: {dataset.cite}",
            "",
            f"| {dataset.kind} | {' | '.join(findings)} | all |",
            f"| --- | {'---: | ' * len(findings)}---: |",
            *rows,
            "",
            "Known to be wrong with it:",
            "",
            *(f"- {fault}" for fault in dataset.known_faults),
            "",
            *([digest, ""] if dataset.digest else []),
            f"Sources of this card: {'; '.join(dataset.sources)}.",
            "",
        ]
    )


def _own(dataset: DataSet) -> str:
    return f"- **{dataset.title}**: {dataset.what}"
