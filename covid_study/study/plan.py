"""What a run consists of: its profile, its notebooks, and what each of them depends on. Nothing is run here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from covid_study import paths
from covid_study.errors import StudyError
from covid_study.params.profiles import changed, check, load_profile, profile_file, put
from covid_study.params.sections import Profile, sections_of
from covid_study.runtime import artefacts
from covid_study.study import dependencies
from covid_study.study.notebook import Notebook, read_notebook, read_record

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

    @property
    def studied(self) -> str:
        """Its exams or pictures in words, without where they lie."""
        if given := self.images or self.exams:
            return Path(given).name
        return f"synthetic lesions in {Path(self.background).name}" if self.background else self.cohort

    def freeze(self) -> dict[str, dict]:
        """The profile for the kernels: written down as it is now, `study.profile` the path of that file from the root.

        `params.load` reads there what a notebook's parameters cell does not name, also in an executed notebook that is
        opened by hand; an edit of `params/` in the middle of a run changes nothing of it.
        """
        text = yaml.safe_dump(self.profile, sort_keys=False)
        file = self.build / f"profile-{artefacts.fingerprint(self.profile)}.yaml"
        artefacts.write_text(file, text)
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

    @property
    def done(self) -> list[Notebook]:
        """Those that are up to date."""
        return [n for n in self.notebooks if n.status() == "done"]

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
            beginning = beginning.zfill(2) if beginning.isdigit() else beginning
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
    if paths.build(found.name).name == "reference":  # also refuses a name that cannot be a folder
        raise StudyError(
            "reports/reference/ keeps what measured runs said: give the run another name, NAME=..."
        )
    found.notebooks  # noqa: B018  read now: what is wrong with them is told before anything runs
    return found


def _existing(given: str, root: Path, wanted: str) -> Path:
    path = Path(os.path.expanduser(given))
    for place in (Path.cwd() / path, root / path):  # an absolute path stays what it is
        if place.exists():
            return place.resolve()
    raise StudyError(wanted.format(given))
