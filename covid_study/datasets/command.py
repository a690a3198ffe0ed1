"""The data sets from the command line: what there is, is it whole, where does it come from.

covid-study datasets list [--json]
covid-study datasets check NAME|PATH [--at PATH] [--read] [--json]
covid-study datasets fetch NAME [--to PATH] [--from ZIP ...] [--most N] [--sha256 HASH] [--json]
covid-study datasets cards
"""

import argparse
import json
import re
import sys
import textwrap
from contextlib import nullcontext, redirect_stdout
from pathlib import Path

import pandas as pd

from covid_study.datasets import catalogue
from covid_study.datasets.catalogue import DataSet
from covid_study.datasets.check import Checked, check, look
from covid_study.datasets.fetch import fetch, unpack
from covid_study.errors import StudyError
from covid_study.runtime.manifest import sha256_of
from covid_study.runtime.progress import progress

WIDTH = 110
AGAINST = {
    "given": "its SHA-256 is the one given",
    "kept": "its SHA-256 is that of the first fetch",
    "nothing": "no SHA-256 is published; its own is kept beside it and checked from now on",
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 where all is well, 1 with everything that is wrong on stderr."""
    options = _parser().parse_args(arguments)
    try:
        with redirect_stdout(sys.stderr) if options.json else nullcontext():
            code, found = options.run(options)
        if options.json:
            print(json.dumps(found, default=str))
        return code
    except StudyError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"{error.filename or 'a file'} cannot be used ({error.strerror or error}).", file=sys.stderr)
    except KeyboardInterrupt:
        print("Stopped. Run the same command again: what has been fetched is kept.", file=sys.stderr)
        return 130
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="covid-study datasets", description="The data sets that the study can read."
    )
    commands = parser.add_subparsers(required=True, metavar="list | check | fetch | cards")

    def command(name: str, run, what: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=what)
        one.set_defaults(run=run, json=False)
        if run is not _cards:
            one.add_argument(
                "--json", action="store_true", help="one JSON object on stdout, all else goes to stderr"
            )
        return one

    command("list", _list, "what each is, its terms, how to get it, and whether it is there and whole")
    one = command("check", _check, "count a data set, open and hash every file, say what is wrong")
    one.add_argument(
        "what", metavar="NAME|PATH", help="a name that `list` shows, or any folder, table or file"
    )
    one.add_argument("--at", help="where the data set of that name lies")
    one.add_argument(
        "--read", action="store_true", help="open every file of a PATH too (for a NAME that is done anyway)"
    )
    one = command("fetch", _fetch, "fetch a data set where its terms allow it; else say how to get it")
    one.add_argument("name")
    one.add_argument("--to", help="where to; the default is where it is expected")
    got = "archives that you got: files or addresses"
    one.add_argument("--from", dest="sources", nargs="+", metavar="ZIP", help=got)
    one.add_argument("--most", type=int, help="fetch only so many exams")
    one.add_argument("--sha256", help="the hash of the one archive given with --from")
    command("cards", _cards, "print docs/data.md")
    return parser


# ------------------------------------------------------------------------------------------------ list, cards


Told = tuple[int, dict]  # the exit code, and what --json prints


def _list(options: argparse.Namespace) -> Told:
    sets = catalogue.catalogue()
    for dataset in sets.values():
        print(describe(dataset))
    return 0, {name: {"title": dataset.title, **facts(dataset)} for name, dataset in sets.items()}


def facts(dataset: DataSet) -> dict[str, str]:
    """What is said of a data set, its place on this machine looked at."""
    found = {"what": dataset.what, "for": dataset.used_for}
    if dataset.kind != "own":
        where = catalogue.place(dataset)
        found |= {"size": dataset.size, "terms": dataset.terms, "get it": "; ".join(dataset.obtain)}
        found |= {"home": dataset.home, "place": str(where), "now": look(where, dataset)}
    return found


def describe(dataset: DataSet) -> str:
    """What `list` shows of one data set, its place on this machine looked at.

    >>> print(describe(catalogue.find("csv")))
    csv: Your own table
      what    Exams: exam_id, patient_id, path, finding ... Slices: path, finding ...
      for     every notebook (EXAMS=table.csv, DATA=table.csv)
    """
    lines = [f"{dataset.name}: {dataset.title}"]
    for name, text in facts(dataset).items():
        indent = {"initial_indent": f"  {name:8}", "subsequent_indent": " " * 10}
        lines += textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False, **indent)
    return "\n".join(lines) + "\n"


def _cards(options: argparse.Namespace) -> Told:
    print(catalogue.cards(), end="")
    return 0, {}


# ------------------------------------------------------------------------------------------------ check


def _check(options: argparse.Namespace) -> Told:
    named = options.what in catalogue.catalogue()
    if named or not Path(options.what).expanduser().exists() and not re.search(r"[/\\.]", options.what):
        dataset = catalogue.find(options.what)
        if dataset.kind == "own":
            raise StudyError(
                f"{dataset.name} stands for data of your own: give their path, e.g. check ./my-data."
            )
        where = catalogue.place(dataset, options.at)
        if not where.exists():
            raise StudyError(
                f"{dataset.name} is not at {where}. What to do: put it there, give its place with --at or name the folder"
                f" that holds the sets in {catalogue.FOLDER}. How to get it:\n{_how(dataset)}"
            )
        found = check(where, dataset)
    else:
        found = check(options.what, read=options.read)
        if found.kind == "exams" and found.table is not None:
            print(found.table.to_csv(index=False, sep="\t"), end="")
    print(summary(found))
    print("\n".join(found.problems), file=sys.stderr, end="\n" if found.problems else "")
    counts = found.counts.to_dict("index") if found.table is not None else {}
    said = {"path": found.path, "kind": found.kind, "counts": counts, "sha256": found.digest}
    return int(bool(found.problems)), {**said, "problems": found.problems, "remarks": found.remarks}


def summary(found: Checked) -> str:
    """What a check prints on stdout: counts, what was opened, the digest, the remarks."""
    lines = []
    if found.table is not None:
        counts = found.counts.rename(index={"": "no split"})
        counts = counts.loc[[s for s in ("no split", "train", "validation", "test") if s in counts.index]]
        totals = ", ".join(f"{n:,} {finding}" for finding, n in counts.sum().items())
        patients = found.table["patient_id"]
        alone = found.kind == "slices" and (patients == found.table["slice_id"]).all()
        known = "patients that are not known" if alone else f"{patients.nunique():,} patients"
        lines.append(f"{found.path}: {len(found.table):,} {found.kind} of {known}: {totals}")
        if len(counts) > 1:
            lines.append(counts.rename_axis(index=None, columns=None).to_string())
    lines += found.opened
    if found.digest:
        lines.append(f"SHA-256 over names and contents: {found.digest}")
    lines += [f"To know: {remark}" for remark in found.remarks]
    count = len(found.problems)
    lines.append(f"{count:,} problem{'s' * (count > 1)}:" if count else "Nothing wrong was found.")
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------------ fetch


def _fetch(options: argparse.Namespace) -> Told:
    dataset = catalogue.find(options.name)
    if dataset.kind == "own":
        raise StudyError(f"{dataset.name} stands for data of your own: there is nothing to fetch.")
    if options.sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", options.sha256):
        raise StudyError(f"--sha256 {options.sha256}: a SHA-256 has 64 hexadecimal digits.")
    if options.sha256 and len(options.sources or ()) != 1:
        raise StudyError("--sha256 is the hash of one archive: give exactly one with --from.")
    if options.most is not None and options.most < 1:
        raise StudyError(f"--most {options.most}: at least one exam.")
    where = catalogue.place(dataset, options.to)
    if options.sources:
        unpack([_archive(source, where, options.sha256) for source in options.sources], where)
    elif dataset.files:
        _fetch_files(dataset, where, options.most)
    else:
        raise StudyError(
            f"{dataset.name} is not fetched by this command. Terms: {dataset.terms}\nHow to get it:\n{_how(dataset)}\nThen put"
            f" it at {where}, or let `fetch {dataset.name} --from ARCHIVE.zip` unpack it there."
        )
    now = look(where, dataset)
    print(f"{where}: {now}")
    return 0, {"path": where, "now": now}


def _how(dataset: DataSet) -> str:
    return "\n".join(f"- {step}" for step in (*dataset.obtain, f"home page: {dataset.home}"))


def _archive(source: str, where: Path, sha256: str | None) -> Path:
    """An archive on this machine: as it lies there, or fetched to the folder in which the data set will lie."""
    if re.match(r"https?://", source):
        name = re.sub(r"[?#].*", "", source).rstrip("/").rpartition("/")[2] or "archive.zip"
        got = fetch(source, where.parent / name, sha256)
        print(f"{got.file}: {AGAINST[got.against]}")
        return got.file
    file = Path(source).expanduser()
    if not file.is_file():
        raise StudyError(f"--from {source}: there is no such file.")
    if sha256 and sha256_of(file) != sha256.lower():
        raise StudyError(
            f"--from {source}: its SHA-256 is {sha256_of(file)}, not the one given. What to do: get it again."
        )
    return file


def _fetch_files(dataset: DataSet, where: Path, most: int | None) -> None:
    """The files of a data set, then those that its table lists; what is whole already is not fetched again."""
    for file in dataset.files:
        got = fetch(file.url, where / file.name, file.sha256)
        print(f"{file.name}: {AGAINST[got.against]}")
    if listed := dataset.listed:
        table = pd.read_csv(where / listed.table, dtype=str, keep_default_na=False)
        names = table.get(listed.column, pd.Series(dtype=str))
        bad = names[~names.str.fullmatch(r"[\w-]+")]
        if names.empty or len(bad):
            raise StudyError(
                f"{where / listed.table} has no column {listed.column} with the names of files"
                f"{f', but {bad.iloc[0]!r}' if len(bad) else ''}. What to do: delete it and fetch again."
            )
        for name in progress(list(names[:most]), f"fetching {dataset.name}"):
            fetch(listed.url.format(name), where / listed.name.format(name))
