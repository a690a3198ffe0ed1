"""One notebook of a run: what it depends on, the record of its last run, and whether that is still true."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from covid_study.cohort.splits import some
from covid_study.errors import StudyError
from covid_study.runtime import artefacts, manifest


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
        artefacts.write_text(self.folder / f"{self.stem}.json", text)

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
