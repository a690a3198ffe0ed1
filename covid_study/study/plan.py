"""What a run consists of: its profile, its notebooks, and what each of them depends on. Nothing is run here."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError

from covid_study import paths
from covid_study.cohort.splits import some
from covid_study.errors import StudyError
from covid_study.params.profiles import changed, check, load_profile, profile_file, put
from covid_study.params.sections import Profile, sections_of
from covid_study.runtime import artefacts, manifest
from covid_study.study import dependencies

# What the command line may say in place of the profile.
OPTIONS = {
    "exams": "cohort.exams",
    "images": "slices.images",
    "device": "study.device",
    "executor": "study.executor",
    "processes": "study.processes",
    "name": "study.name",
}
# What names a file or folder, and what it may be.
PLACES = {
    "cohort.exams": "EXAMS={}: there is no such file or folder. Name a CSV exam table, the folder of a public data set, or "
    "a folder with a folder for each finding (covid, cap, non_pneumonia, other).",
    "cohort.phantom.background": "cohort.phantom.background is {}: there is no such file or folder. Name exams without "
    "pneumonia to put the phantom's lesions into, in any layout that EXAMS may have, or null.",
    "slices.images": "DATA={}: there is no such file or folder. Name the folder of a public data set, a folder with a folder "
    "of images for each class, or a CSV with the columns path, finding and, where known, patient_id and split.",
}


class _Metadata(BaseModel):
    tags: list[str] = []


class _Cell(BaseModel):
    cell_type: str
    source: str | list[str]
    metadata: _Metadata = _Metadata()


class _Content(BaseModel):
    """What the runner itself reads of a notebook."""

    cells: list[_Cell] = Field(min_length=1)


class _Facts(BaseModel, extra="allow"):
    __pydantic_extra__: dict[str, str]
    commit: str
    processor: str


class _Said(BaseModel, extra="allow"):
    headline: dict[str, str | None] | None = None
    left_out: list[dict[str, str]] | None = None


class _Record(BaseModel, extra="allow"):
    """What a run keeps of a notebook (see `reproduce`)."""

    status: Literal["done", "failed"]
    parts: dict[str, str]
    seconds: float = Field(ge=0, allow_inf_nan=False)
    finished: str
    facts: _Facts
    error: str | None = None
    for_people: bool = False
    said: _Said | None = None
    artefacts: list[str] = []


@dataclass
class Notebook:
    """One notebook of a run: what it depends on and where its results lie."""

    stem: str
    source: Path
    content: dict[str, Any]
    sections: tuple[str, ...]  # of the profile, that it reads
    parts: dict[str, str]  # what it depends on, a fingerprint each
    folder: Path  # of the executed notebooks
    page: Path
    record: dict[str, Any] | None  # of its last run

    @property
    def title(self) -> str:
        """Its first heading."""
        texts = ("".join(c["source"]) for c in self.content["cells"] if c["cell_type"] == "markdown")
        lines = (line for text in texts for line in text.splitlines())
        return next((line[2:].strip() for line in lines if line.startswith("# ")), self.stem)

    @property
    def executed(self) -> Path:
        return self.folder / f"{self.stem}.ipynb"

    @property
    def failed(self) -> Path:
        return self.folder / f"{self.stem}.failed.ipynb"

    @property
    def said(self) -> dict[str, Any]:
        """What it said when it last ran: headline, cohort, left_out."""
        return (self.record or {}).get("said") or {}

    def write(self, record: dict[str, Any]) -> None:
        """Keep the record of a run: with it, and only with it, the notebook counts as run."""
        self.record, text = record, json.dumps(record, indent=1)
        self.__dict__.pop("lost", None)
        artefacts.write_atomically(self.folder / f"{self.stem}.json", lambda p: p.write_text(text, "utf-8"))

    def changes(self) -> list[str]:
        """What has changed since it last ran; empty where nothing has."""
        old = (self.record or {}).get("parts", {})
        return [name for name, key in self.parts.items() if old.get(name) != key]

    def status(self) -> str:
        """One of done, stale, failed, not-run."""
        if self.record is None:
            return "not-run"
        if self.record["status"] == "failed":
            return "failed"
        whole = self.page.is_file() and self._is_whole() and not self.lost
        return "done" if whole and not self.changes() else "stale"

    def _is_whole(self) -> bool:
        """Is the executed notebook there, in the size that was written?"""
        size = self.record.get("executed", [None])[0]
        return self.executed.is_file() and size in (None, self.executed.stat().st_size)

    @cached_property
    def lost(self) -> list[str]:
        """Which of the artefacts and results that it used or made, `<step>/<name>` each, have been removed or damaged since."""
        return [name for name in (self.record or {}).get("artefacts", []) if not self._holds(name)]

    def _holds(self, name: str) -> bool:
        try:
            (manifest.check_file if name.endswith(".parquet") else manifest.check)(self.folder.parent / name)
        except StudyError:
            return False
        return True

    def why_stale(self) -> str:
        """What a person is told of a notebook that is no longer true."""
        changed = ", ".join(self.changes())
        if changed:
            return f"Out of date: changed since it ran: {changed}."
        if self.lost:
            return f"What it was made from was removed or is damaged: {some(self.lost)}. Run it again."
        return "A part of its results is missing or was changed: run it again."


@dataclass
class Plan:
    """A profile as it was resolved, and the notebooks and folders of a run."""

    profile: dict[str, dict]
    kernel: str | None
    root: Path

    @property
    def name(self) -> str:
        return self.profile["study"]["name"]

    @property
    def build(self) -> Path:
        return self.root / "build" / self.name

    @property
    def reports(self) -> Path:
        return self.root / "reports" / self.name

    @property
    def exams(self) -> str | None:
        return self.profile["cohort"]["exams"]

    @property
    def images(self) -> str | None:
        return self.profile["slices"]["images"]

    @property
    def background(self) -> str | None:
        return self.profile["cohort"]["phantom"]["background"]

    @property
    def cohort(self) -> str:
        """Its exams in words: their path, or what the synthetic cohort is made of."""
        synthetic = f"synthetic lesions in {self.background}" if self.background else "synthetic cohort"
        return self.exams or synthetic

    def freeze(self) -> dict[str, dict]:
        """The profile for the kernels: written down as it is now, `study.profile` the path of that file from the root.

        `params.load` reads there what a notebook's parameters cell does not name, also in an executed notebook that is
        opened by hand; an edit of `params/` in the middle of a run changes nothing of it.
        """
        text = yaml.safe_dump(self.profile, sort_keys=False)
        file = self.build / f"profile-{artefacts.fingerprint(self.profile)}.yaml"
        artefacts.write_atomically(file, lambda p: p.write_text(text, "utf-8"))
        return put(self.profile, "study.profile", file.relative_to(self.root).as_posix())

    @cached_property
    def notebooks(self) -> list[Notebook]:
        """In their order, each with what it depends on."""
        files = sorted((self.root / "notebooks").glob("[0-9][0-9]_*.ipynb"))
        if not files:
            raise StudyError(
                f"there are no notebooks in {self.root / 'notebooks'} (looked for 00_name.ipynb and so on)."
            )
        exams = dependencies.exams_key(self.exams or self.background)
        images = dependencies.exams_key(self.images)
        environment = dependencies.environment_key(self.root)
        folder, found, before = self.build / "notebooks", [], set()
        for path in files:
            content, sections = read_notebook(path), sections_of(path.stem)
            modules = dependencies.imported(content)
            # It shows the text of every module, and computes nothing for those after it.
            guide = path.stem.startswith("00_")
            parts = {
                "the notebook": dependencies.notebook_key(content),
                "its parameters": artefacts.fingerprint({name: self.profile[name] for name in sections}),
                "the code": dependencies.text_key(self.root) if guide else dependencies.code_key(modules),
                # what it finds computed: the numbers of the notebooks before it, not how they are drawn
                "the code of the notebooks before it": "" if guide else artefacts.source_key(before),
                "exams": "" if guide else exams,
                "environment": environment,
                "kernel": self.kernel or "",
                "the images": images if self.images and "slices" in sections else "",
            }
            page, record = self.reports / f"{path.stem}.html", read_record(folder / f"{path.stem}.json")
            found.append(Notebook(path.stem, path, content, sections, parts, folder, page, record))
            before |= set() if guide else modules
        return found

    def choose(self, wanted: str | None) -> list[Notebook]:
        """The notebooks that `wanted` names: numbers or beginnings of names, apart by commas or spaces; all without it.

        Raises:
            StudyError: one of them fits no notebook.
        """
        if not wanted:
            return self.notebooks
        chosen = []
        for part in wanted.replace(",", " ").split():
            beginning = part.removesuffix(".ipynb").split("/")[-1]
            fitting = [n for n in self.notebooks if n.stem.startswith(beginning)]
            if not fitting:
                names = ", ".join(n.stem for n in self.notebooks)
                raise StudyError(f"no notebook is called '{part}'. There are: {names}.")
            chosen += fitting
        return [n for n in self.notebooks if n in chosen]


def plan(
    profile: str,
    assignments: str = "",
    kernel: str | None = None,
    root: Path | None = None,
    **options: Any,
) -> Plan:
    """Read the profile and the notebooks, and find out what each notebook depends on; nothing is run or written.

    Args:
        profile: a name below params/, or the path of a file.
        assignments: other values, see `params.profiles.changed`.
        options: keys of OPTIONS; None or empty: what the profile says.

    Raises:
        StudyError: a profile, notebook or exam folder that is not there, or a wrong parameter.
    """
    root = Path(root or paths.root())
    is_file = profile.endswith(".yaml")  # is named from where one stands
    file = Path(os.path.expanduser(profile)).resolve() if is_file else profile_file(profile, root)
    values = load_profile(file)
    for key, value in {"study.profile": file.stem, "study.name": file.stem}.items():
        values = put(values, key, value)
    for option, value in options.items():
        values = values if value in (None, "") else put(values, OPTIONS[option], value)
    check(Profile, values, str(file))
    values = changed(values, assignments)
    for key, wanted in PLACES.items():
        given = values
        for step in key.split("."):
            given = given[step]
        values = put(values, key, str(_existing(given, root, wanted))) if given else values
    found = Plan(values, kernel, root)
    paths.build(found.name)  # refuses a name that cannot be a folder
    found.notebooks  # noqa: B018  read now: what is wrong with them is told before anything runs
    return found


def _existing(given: str, root: Path, wanted: str) -> Path:
    path = Path(os.path.expanduser(given))
    for place in (Path.cwd() / path, root / path):  # an absolute path stays what it is
        if place.exists():
            return place.resolve()
    raise StudyError(wanted.format(given))


def read_notebook(path: Path) -> dict[str, Any]:
    """The JSON of a notebook file.

    Raises:
        StudyError: it is none.
    """
    content = _read_json(path)
    try:
        _Content.model_validate(content)
    except ValidationError:
        raise StudyError(
            f"{path} is not a Jupyter notebook. Restore it: git checkout -- {short(path)}"
        ) from None
    return content


def read_record(path: Path) -> dict[str, Any] | None:
    """The record of a notebook's last run; None where there is none or a damaged one: the notebook is then run again."""
    record = _read_json(path)
    try:
        _Record.model_validate(record)
    except ValidationError:
        return None
    return record


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def short(path: Path) -> str:
    """A path as a person would type it here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
