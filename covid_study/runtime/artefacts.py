"""Computed once: artefacts keyed by their configuration and by the source of the code that makes them.

An artefact is a folder `build/P/<step>/<label>-<key>`. It is computed in `.partial-<key>` beside its final place,
where a killed computation finds its own work again, and renamed when it is whole: a folder that has its
final name is complete, whatever happened to the machine. Its files are listed in `config.json` and looked for when it is
asked for again (`manifest`): what was lost since is an error.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from filelock import FileLock

from covid_study.runtime import manifest
from covid_study.runtime.closure import ONLY_LOOKS, WITHOUT_INFLUENCE, closure
from covid_study.runtime.provenance import made_with

# Set by the runner for the kernels it starts, and so for their workers: the file that lists the artefacts a notebook asks for.
USED_FILE = "COVID_STUDY_USED_FILE"


def source_key(modules: Iterable[str]) -> str:
    """Fingerprint of modules of this package and of all that they import from it, comments and docstrings aside.

    >>> source_key(["ranking.emd"]) == source_key(["ranking.emd"]) != source_key(["ranking.rank"])
    True
    """
    return fingerprint(list(closure(modules, WITHOUT_INFLUENCE + ONLY_LOOKS).items()))


def fingerprint(value) -> str:
    """A short, stable hash of anything JSON can hold.

    >>> fingerprint({"a": 1, "b": [2, 3]}) == fingerprint({"b": (2, 3), "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _plain(value):
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be part of a cache key")


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it there in one step."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text, whole or not at all."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_listed(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file that is no artefact's, whole or not at all, and list it: in its folder, and as what this notebook made."""
    write_atomically(path, write)
    with FileLock(path.with_name(f".lock-{manifest.RECORD}")):
        text = json.dumps(manifest.with_file(path), indent=1, sort_keys=True)
        write_text(path.with_name(manifest.RECORD), text)
    _tell(os.environ.get(USED_FILE, ""), path)


def artefact_path(step_folder: Path, label: str, config: dict, modules: Iterable[str]) -> Path:
    """Where the artefact of this configuration and this code lies, or will lie."""
    key = fingerprint({"config": config, "source": source_key(modules)})
    return Path(step_folder) / f"{label}-{key}"


def is_there(folder: Path) -> bool:
    """Has the artefact that belongs at `folder` been computed?

    Raises:
        StudyError: it has, and files of it are missing or cut short.
    """
    if not folder.is_dir():
        return False
    manifest.check(folder)
    _tell(os.environ.get(USED_FILE, ""), folder)
    return True


@cache
def _tell(file: str, folder: Path) -> None:
    """That it was asked for, once a process; nobody where no file is given."""
    if file:
        with open(file, "a", encoding="utf-8") as opened:
            opened.write(f"{folder.parent.name}/{folder.name}\n")


def artefact(
    step_folder: Path, label: str, config: dict, modules: Iterable[str], compute: Callable[[Path], object]
) -> Path:
    """The folder of an artefact: found where it was computed before, computed now otherwise.

    `compute(folder)` writes into `folder`; killed, it is called again with the same folder and what it had
    written, so it can go on. Two processes that ask for the same artefact at once compute it once.

    Args:
        step_folder: e.g. `build/demo/runs`.
        label: the readable part of the name.
        config: what the result depends on, the fingerprints of its inputs among it; goes to `config.json`.
        modules: the modules of this package whose code makes it (what they import is counted in).
        compute: called with the folder to fill.

    Raises:
        StudyError: it was computed, and files of it are missing or cut short.
    """
    modules = sorted(modules)
    final = artefact_path(step_folder, label, config, modules)
    if is_there(final):
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".partial-{final.name}")
    with FileLock(final.with_name(f".lock-{final.name}")):
        if is_there(final):  # another process has just finished it
            return final
        partial.mkdir(exist_ok=True)
        for leftover in partial.rglob(".*.tmp"):  # of a process that was killed while it wrote
            leftover.unlink()
        started = time.perf_counter()
        compute(partial)
        record = {
            "config": config,
            "modules": modules,
            "made_with": made_with(),
            "files": manifest.listed(partial),
            "seconds_last_session": round(time.perf_counter() - started, 3),
        }
        text = json.dumps(record, indent=1, sort_keys=True, default=_plain)
        write_text(partial / manifest.RECORD, text)
        os.replace(partial, final)
    _tell(os.environ.get(USED_FILE, ""), final)
    return final
