"""`covid-study datasets`: what data sets there are, is one whole, where does it come from."""

import re
import textwrap
from contextlib import nullcontext
from pathlib import Path

import click
import pandas as pd

from covid_study.cli.output import answer, as_json as json_too, working
from covid_study.datasets import catalogue, check as checks, fetch as fetches
from covid_study.datasets.catalogue import DataSet
from covid_study.errors import StudyError
from covid_study.runtime.artefacts import fingerprint
from covid_study.runtime.manifest import sha256_of
from covid_study.runtime.progress import progress

WIDTH = 110
AGAINST = {
    "given": "its SHA-256 is the one given",
    "kept": "its SHA-256 is that of the first fetch",
    "nothing": "no SHA-256 is published; its own is kept beside it and checked from now on",
}


@click.group()
def datasets() -> None:
    """List the public data sets that can be read, check one, fetch one.

    \b
    Examples:
      covid-study datasets list
      covid-study datasets check covid-ct --at data/covid-ct
      covid-study datasets fetch stoic --most 200
      covid-study datasets fetch covid-ct --from archive.zip
    """


@datasets.command("list")
@json_too
def listed(as_json: bool) -> None:
    """What each is, its terms, how to get it, and whether it is there and whole."""
    sets = catalogue.catalogue()
    found = {name: {"title": dataset.title, **facts(dataset)} for name, dataset in sets.items()}
    answer(found, "\n".join(describe(name, **said) for name, said in found.items()), as_json)


@datasets.command()
def cards() -> None:
    """Print docs/data.md."""
    click.echo(catalogue.cards(), nl=False)


@datasets.command()
@click.argument("what", metavar="NAME|PATH")
@click.option("--at", help="Where the data set of that name lies.")
@click.option("--read", is_flag=True, help="Open every file of a PATH too; for a NAME that is done anyway.")
@json_too
@click.pass_context
def check(ctx: click.Context, what: str, at: str | None, read: bool, as_json: bool) -> None:
    """Count a data set, open and hash every file, say what is wrong.

    It is a NAME that `list` shows, or the PATH of any folder, table or file. The status is 1 where anything is wrong.
    """
    with working() if as_json else nullcontext():
        found = _checked(what, at, read)
        if found.kind == "exams" and found.table is not None and what not in catalogue.catalogue():
            print(found.table.to_csv(index=False, sep="\t"), end="")
    counts = found.counts.to_dict("index") if found.table is not None else {}
    said = {"path": found.path, "kind": found.kind, "counts": counts, "sha256": found.digest}
    answer({**said, "problems": found.problems, "remarks": found.remarks}, summary(found), as_json)
    for problem in found.problems:
        click.echo(problem, err=True)
    ctx.exit(int(bool(found.problems)))


@datasets.command()
@click.argument("name")
@click.option("--to", help="Where to; the default is where it is expected.")
@click.option(
    "--from",
    "sources",
    multiple=True,
    metavar="ZIP",
    help="An archive that you got, a file or an address. Repeatable.",
)
@click.option("--most", type=int, help="Fetch only so many exams.")
@click.option("--sha256", help="The hash of the one archive given with --from.")
@json_too
def fetch(
    name: str, to: str | None, sources: tuple[str, ...], most: int | None, sha256: str | None, as_json: bool
) -> None:
    """Fetch a data set where its terms allow it; else say how to get it. It goes on where it stopped."""
    dataset = catalogue.find(name)
    with working() if as_json else nullcontext():
        where = _fetched(dataset, to, sources, most, sha256)
    now = checks.look(where, dataset)
    answer({"path": where, "now": now}, f"{where}: {now}", as_json)


def facts(dataset: DataSet) -> dict[str, str]:
    """What is said of a data set, its place on this machine looked at."""
    found = {"what": dataset.what, "for": dataset.used_for}
    if dataset.kind != "own":
        where = catalogue.place(dataset)
        found |= {"size": dataset.size, "terms": dataset.terms, "get it": "; ".join(dataset.obtain)}
        found |= {"home": dataset.home, "place": str(where), "now": checks.look(where, dataset)}
    return found


def describe(name: str, title: str, **said: str) -> str:
    """What `list` shows of one data set. said: its `facts`.

    >>> own = catalogue.find("csv")
    >>> print(describe(own.name, own.title, **facts(own)))
    csv: Your own table
      what    Exams: exam_id, patient_id, path, finding ... Slices: path, finding ...
      for     every notebook (EXAMS=table.csv, DATA=table.csv)
    """
    lines = [f"{name}: {title}"]
    for head, text in said.items():
        indent = {"initial_indent": f"  {head:8}", "subsequent_indent": " " * 10}
        lines += textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False, **indent)
    return "\n".join(lines) + "\n"


def _checked(what: str, at: str | None, read: bool) -> checks.Checked:
    named = what in catalogue.catalogue()
    if not named and (Path(what).expanduser().exists() or re.search(r"[/\\.]", what)):
        return checks.check(what, read=read)
    dataset = catalogue.find(what)
    if dataset.kind == "own":
        raise StudyError(
            f"{dataset.name} stands for data of your own: give their path, e.g. check ./my-data."
        )
    where = catalogue.place(dataset, at)
    if not where.exists():
        raise StudyError(
            f"{dataset.name} is not at {where}. What to do: put it there, give its place with --at or name the folder"
            f" that holds the sets in {catalogue.FOLDER}. How to get it:\n{_how(dataset)}"
        )
    return checks.check(where, dataset)


def summary(found: checks.Checked) -> str:
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


def _fetched(
    dataset: DataSet, to: str | None, sources: tuple[str, ...], most: int | None, sha256: str | None
) -> Path:
    if dataset.kind == "own":
        raise StudyError(f"{dataset.name} stands for data of your own: there is nothing to fetch.")
    if sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise StudyError(f"--sha256 {sha256}: a SHA-256 has 64 hexadecimal digits.")
    if sha256 and len(sources) != 1:
        raise StudyError("--sha256 is the hash of one archive: give exactly one with --from.")
    if most is not None and most < 1:
        raise StudyError(f"--most {most}: at least one exam.")
    where = catalogue.place(dataset, to)
    if sources:
        fetches.unpack([_archive(source, where, sha256) for source in sources], where)
    elif dataset.files:
        _fetch_files(dataset, where, most)
    else:
        raise StudyError(
            f"{dataset.name} is not fetched by this command. Terms: {dataset.terms}\nHow to get it:\n{_how(dataset)}\nThen put"
            f" it at {where}, or let `fetch {dataset.name} --from ARCHIVE.zip` unpack it there."
        )
    return where


def _how(dataset: DataSet) -> str:
    return "\n".join(f"- {step}" for step in (*dataset.obtain, f"home page: {dataset.home}"))


def _archive(source: str, where: Path, sha256: str | None) -> Path:
    """An archive on this machine: as it lies there, or fetched to the folder in which the data set will lie."""
    if re.match(r"https?://", source):
        name = re.sub(r"[?#].*", "", source).rstrip("/").rpartition("/")[2] or "archive.zip"
        # archives of other addresses often have the same name: master.zip, download
        got = fetches.fetch(source, where.parent / f"{fingerprint(source)}-{name}", sha256)
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
        got = fetches.fetch(file.url, where / file.name, file.sha256)
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
            fetches.fetch(listed.url.format(name), where / listed.name.format(name))
