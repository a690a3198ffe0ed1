"""What a run consists of: its profile, its notebooks, and what each of them depends on. Nothing is run here."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from covid_study import paths
from covid_study.errors import StudyError
from covid_study.params.profiles import changed, check, load_profile, profile_file
from covid_study.params.sections import Profile, sections_of
from covid_study.runtime import artefacts
from covid_study.study import dependencies


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
    record: dict[str, Any] | None = field(default=None)

    @property
    def title(self) -> str:
        """Its first heading."""
        for cell in self.content["cells"]:
            for line in "".join(cell["source"]).splitlines():
                if cell["cell_type"] == "markdown" and line.startswith("# "):
                    return line[2:].strip()
        return self.stem

    @property
    def executed(self) -> Path:
        return self.folder / f"{self.stem}.ipynb"

    @property
    def failed(self) -> Path:
        return self.folder / f"{self.stem}.failed.ipynb"

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
        whole = self.executed.is_file() and self.page.is_file()
        return "done" if whole and not self.changes() else "stale"


EXAMS = (
    "EXAMS={}: there is no such file or folder. Name a CSV exam table, the folder of a public data set, or a folder "
    "with a folder for each finding (covid, cap, non_pneumonia, other)."
)
BACKGROUND = (
    "cohort.phantom.background is {}: there is no such file or folder. Name exams without pneumonia to put the phantom's "
    "lesions into, in any layout that EXAMS may have, or null."
)
DATA = (
    "DATA={}: there is no such file or folder. Name the folder of a public data set, a folder with a folder of images "
    "for each class, or a CSV with the columns path, finding and, where known, patient_id and split."
)


@dataclass
class Run:
    """A profile, the exams and the folders they are worked in."""

    name: str
    profile: dict[str, dict]
    kernel: str | None
    root: Path
    notebooks: list[Notebook]

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
    def cohort(self) -> str:
        """Its exams in words: their path, or what the synthetic cohort is made of."""
        background = self.profile["cohort"]["phantom"]["background"]
        return self.exams or (f"synthetic lesions in {background}" if background else "synthetic cohort")

    def freeze(self) -> str:
        """Write the profile as this run resolved it, for `params.load` in its kernels; its path from the project's root."""
        text = yaml.safe_dump(self.profile, sort_keys=False)
        file = self.build / f"profile-{artefacts.fingerprint(self.profile)}.yaml"
        artefacts.write_atomically(file, lambda p: p.write_text(text, encoding="utf-8"))
        return file.relative_to(self.root).as_posix()

    @property
    def images(self) -> str | None:
        return self.profile["slices"]["images"]


def plan(
    profile: str,
    exams: str | None = None,
    device: str | None = None,
    kernel: str | None = None,
    name: str | None = None,
    root: Path | None = None,
    executor: str | None = None,
    processes: int | None = None,
    images: str | None = None,
    assignments: str = "",
) -> Run:
    """Read the profile and the notebooks, and find out what each notebook depends on; nothing is run or written.

    Raises:
        StudyError: a profile, notebook or exam folder that is not there, or a wrong parameter.
    """
    root = Path(root or paths.root())
    given = Path(profile).expanduser()  # a file is named from where one stands
    file = given.resolve() if profile.endswith(".yaml") else profile_file(profile, root)
    values = load_profile(file)
    name = name or file.stem
    asked = {"device": device, "executor": executor, "processes": processes}
    values["study"].update(
        profile=file.stem,
        name=name,
        **{key: value for key, value in asked.items() if value not in (None, "")},
    )
    values = changed(values, assignments)
    name = values["study"]["name"]
    paths.build(name)  # refuses a name that cannot be a folder
    if exams or values["cohort"]["exams"]:
        values["cohort"]["exams"] = str(_existing(exams or values["cohort"]["exams"], root, EXAMS))
    background = values["cohort"]["phantom"]["background"]
    if background:
        values["cohort"]["phantom"]["background"] = str(_existing(background, root, BACKGROUND))
    if images or values["slices"]["images"]:
        values["slices"]["images"] = str(_existing(images or values["slices"]["images"], root, DATA))
    check(Profile, values, str(file))

    files = sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    if not files:
        raise StudyError(
            f"there are no notebooks in {root / 'notebooks'} (looked for 00_name.ipynb and so on)."
        )
    run = Run(name, values, kernel, root, [])
    of_all = {
        "exams": dependencies.exams_key(
            values["cohort"]["exams"] or values["cohort"]["phantom"]["background"]
        ),
        "environment": dependencies.environment_key(root),
    }
    of_slices = {"the images": dependencies.exams_key(values["slices"]["images"])} if run.images else {}
    of_all["kernel"] = kernel or ""
    before: set[str] = set()
    for path in files:
        content = read_notebook(path)
        sections = sections_of(path.stem)
        modules = dependencies.imported(content)
        guide = path.stem.startswith(
            "00_"
        )  # it shows the text of every module, and computes nothing for those after it
        parts = {
            "the notebook": dependencies.notebook_key(content),
            "its parameters": artefacts.fingerprint({name: values[name] for name in sections}),
            "the code": dependencies.text_key(root) if guide else dependencies.code_key(modules),
            # what it finds computed: the numbers of the notebooks before it, not how they are drawn
            **({} if guide else {"the code of the notebooks before it": artefacts.source_key(before)}),
            **{k: v for k, v in of_all.items() if not (guide and k == "exams")},
            **(of_slices if "slices" in sections else {}),
        }
        folder = run.build / "notebooks"
        notebook = Notebook(
            path.stem, path, content, sections, parts, folder, run.reports / f"{path.stem}.html"
        )
        notebook.record = _read_json(folder / f"{path.stem}.json")
        run.notebooks.append(notebook)
        before |= set() if guide else modules
    return run


def choose(notebooks: list[Notebook], wanted: str | None) -> list[Notebook]:
    """The notebooks that `wanted` names: numbers or beginnings of names, apart by commas or spaces; all without it.

    Raises:
        StudyError: one of them fits no notebook.
    """
    if not wanted:
        return notebooks
    chosen = []
    for part in wanted.replace(",", " ").split():
        fitting = [n for n in notebooks if n.stem.startswith(part.removesuffix(".ipynb").split("/")[-1])]
        if not fitting:
            raise StudyError(
                f"no notebook is called '{part}'. There are: {', '.join(n.stem for n in notebooks)}."
            )
        chosen += fitting
    return [n for n in notebooks if n in chosen]


def _existing(given: str, root: Path, wanted: str) -> Path:
    path = Path(given).expanduser()
    path = (
        path if path.is_absolute() else (Path.cwd() / path if (Path.cwd() / path).exists() else root / path)
    )
    if not path.exists():
        raise StudyError(wanted.format(given))
    return path.resolve()


def read_notebook(path: Path) -> dict[str, Any]:
    """The JSON of a notebook file.

    Raises:
        StudyError: it is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["cells"][0]["source"]
    except (ValueError, KeyError, IndexError, TypeError):
        raise StudyError(
            f"{path} is not a Jupyter notebook. Restore it: git checkout -- {short(path)}"
        ) from None
    return content


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def short(path: Path) -> str:
    """A path as a person would type it here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
