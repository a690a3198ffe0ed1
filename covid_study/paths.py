"""Where things lie: the project's root and its folders, found from the package, wherever a notebook runs.

papermill runs a notebook in the caller's folder and Jupyter in the notebook's, so nothing here is relative to either.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path

from covid_study.errors import StudyError

PACKAGE = Path(__file__).resolve().parent


@lru_cache(maxsize=1)
def root() -> Path:
    """The project's root: the folder that holds `params/`, beside the package or above the current folder.

    Raises:
        StudyError: there is none; the package was installed away from the project and called from elsewhere.

    >>> (root() / "params").is_dir()
    True
    """
    for folder in (PACKAGE.parent, Path.cwd(), *Path.cwd().parents):
        if (folder / "params").is_dir() and (folder / "pyproject.toml").is_file():
            return folder
    raise StudyError(
        f"the project's root (with params/ and pyproject.toml) is neither beside the package nor above "
        f"{Path.cwd()}. "
        f"Run this in the cloned repository, or in a copy of {sys.prefix}/share/covid-study."
    )


def build(name: str) -> Path:
    """The folder of everything that the run `name` computed; safe to delete.

    >>> build("demo").relative_to(root()).as_posix()
    'build/demo'
    """
    return root() / "build" / _checked(name)


def reports(name: str) -> Path:
    """The folder of the rendered pages of the run `name`."""
    return root() / "reports" / _checked(name)


def reference(name: str) -> Path:
    """The folder of what the run `name` said, committed for those who have not run it."""
    return reports("reference") / _checked(name)


def _checked(name: str) -> str:
    if not name or name.startswith(".") or not all(c.isalnum() or c in "._-" for c in name):
        raise StudyError(
            f"the run's name '{name}' becomes a folder: give it letters, digits, dots, dashes and underscores only, such as "
            "'my-exams'."
        )
    return name
