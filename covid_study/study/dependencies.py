"""What a notebook depends on, as fingerprints, and the facts of a run that a report states."""

from __future__ import annotations

import ast
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from covid_study.cohort.csv_files import read_csv, resolved
from covid_study.cohort.folders import states
from covid_study.errors import CohortError
from covid_study.report import say
from covid_study.runtime import artefacts, closure, provenance


def imported(notebook: dict[str, Any]) -> set[str]:
    """The modules of this package that a notebook's cells import; all of them where a cell cannot be parsed.

    >>> sorted(imported({"cells": [{"cell_type": "code", "source": "%time 1\\nfrom covid_study.ranking import emd"}]}))
    ['', 'ranking', 'ranking.emd']
    """
    found: set[str] = set()
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        lines = "".join(cell["source"]).splitlines()
        text = "\n".join("" if line.lstrip().startswith(("%", "!", "?")) else line for line in lines)
        try:
            found |= closure.imports(ast.parse(text))
        except (SyntaxError, MemoryError, RecursionError):  # the last two: nested too deep for the parser
            return set(closure.modules_inside())
    return found


def code_key(modules: set[str]) -> str:
    """Fingerprint of the code of modules and of all that they import, comments and docstrings aside.

    Unlike `artefacts.source_key` it counts figures and tables in: they change what a notebook shows.
    """
    return artefacts.fingerprint([list(closure.closure(modules).items()), _data_key()])


def text_key(root: Path) -> str:
    """Fingerprint of every module as it is written, docstrings included, and of the notebooks' names."""
    files = [*sorted(closure.PACKAGE.rglob("*.py")), *sorted((root / "params").glob("*.yaml"))]
    texts = [[p.name, p.read_text(encoding="utf-8")] for p in files]
    return artefacts.fingerprint(
        [texts, sorted(p.name for p in (root / "notebooks").glob("*.ipynb")), _data_key()]
    )


def _data_key() -> list[list[str]]:
    """The data files that come with the package, e.g. the papers' numbers."""
    files = sorted(p for p in (closure.PACKAGE / "data").rglob("*") if p.is_file())
    return [[p.name, artefacts.fingerprint(p.read_bytes().hex())] for p in files]


def notebook_key(notebook: dict[str, Any]) -> str:
    """Fingerprint of a notebook's cells: their kind, text and tags; outputs and counts do not matter."""
    cells = [
        [c["cell_type"], "".join(c["source"]), c.get("metadata", {}).get("tags", [])]
        for c in notebook["cells"]
    ]
    return artefacts.fingerprint(cells)


def exams_key(exams: str | None) -> str:
    """Fingerprint of a file or folder of exams: relative paths, sizes and times of change; the files that a CSV names."""
    if not exams:
        return "synthetic"
    path = Path(exams)
    if path.is_dir():
        return artefacts.fingerprint(_listing(path))
    try:
        table = read_csv(path)
        # each once, and an empty cell names nothing
        names = filter(None, dict.fromkeys(table.get("path", ())))
        entries = [(name, Path(resolved(name, path))) for name in names]
    except CohortError:  # said when it is read
        return artefacts.fingerprint(path.read_bytes().hex())
    named = [[name, _listing(entry)] for name, entry in entries]
    return artefacts.fingerprint([path.read_bytes().hex(), named])


def _listing(path: Path) -> list:
    return [[str(file.relative_to(path)), s.st_size, s.st_mtime_ns] for file, s in states(path)]


def environment_key(root: Path) -> str:
    """Fingerprint of the lock file, the Python version and the installed versions that move numbers."""
    lock = root / "requirements.lock"
    text = lock.read_text(encoding="utf-8") if lock.is_file() else ""
    return artefacts.fingerprint([text, sys.version_info[:2], provenance.versions()])


def facts(root: Path) -> dict[str, str]:
    """Where and with what a run was made: commit, date, versions, machine."""
    gpu = provenance.output("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "commit": provenance.commit(root),
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "python": platform.python_version(),
        **provenance.versions(),
        "system": platform.platform(aliased=True, terse=True),
        "processor": say.cpu(),
        "memory": f"{pages * size / 2**30:.0f} GiB",
        "GPU": gpu.replace("\n", "; ") or "none",
        **({"cuDNN": provenance.cudnn()} if gpu else {}),
    }
