"""Does an interpreter hold what the study needs? `python -m covid_study.study.environment` says what it lacks.

Used where the user brings the environment (conda, PYTHON=...): only the standard library is imported, because the
rest may be missing. The ranges are those of pyproject.toml, the tested versions those of requirements.lock.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

from covid_study import paths

if sys.version_info < (3, 11):  # noqa: UP036  an interpreter that the user named may well be older
    sys.exit(f"{sys.executable} is Python {sys.version.split()[0]}; 3.11 or newer is needed.")
import tomllib  # noqa: E402

ROOT = paths.PACKAGE.parent
LOCKED = ("test", "images")  # extras


def canonical(name: str) -> str:
    """A package's name as indexes compare it.

    >>> canonical("Jupyter_Core")
    'jupyter-core'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def direct(root: Path = ROOT) -> dict[str, str]:
    """The direct dependencies in pyproject.toml that the lock holds, tests included: canonical name to version range."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    more = project.get("optional-dependencies", {})
    lines = [*project["dependencies"], *(line for extra in LOCKED for line in more.get(extra, ()))]
    parsed = [re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*(.*)", line).groups() for line in lines]
    return {canonical(name): versions for name, versions in parsed}


def locked(root: Path = ROOT) -> dict[str, str]:
    """The tested versions in requirements.lock: canonical name to version."""
    lines = (root / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("#")[0].strip().split("==") for line in lines if line.split("#")[0].strip()]
    return {canonical(name): version for name, version in pairs}


def missing(root: Path = ROOT) -> list[str]:
    """The direct dependencies that this interpreter lacks, or has in a version older than the range allows."""
    lacking = []
    for name, versions in direct(root).items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            lacking.append(name)
            continue
        lowest = re.search(r">=\s*([0-9.]+)", versions)
        if lowest and _numbers(found) < _numbers(lowest.group(1)):
            lacking.append(f"{name}{versions} (has {found})")
    return lacking


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(n) for n in re.match(r"[0-9.]*", version).group().strip(".").split(".") if n]
    return tuple(numbers + [0] * (4 - len(numbers)))


def main() -> int:
    """Say what is missing; the exit code is 1 where something is."""
    lacking = missing()
    if not lacking:
        return 0
    print(
        f"{sys.executable} lacks {len(lacking)} of the packages that the study needs: {', '.join(lacking)}.\n"
        f"Install them there:              {sys.executable} -m pip install -r requirements.lock\n"
        "or make a conda environment:     conda env create -f environment.yml && conda activate covid-study\n"
        "or let make build its own .venv: leave PYTHON= away, conda deactivate",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
