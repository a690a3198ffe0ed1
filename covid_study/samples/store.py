"""How a store is filled: part by part, over all cores, resumed where it stopped; volumes and slices alike."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, cpu_count, delayed

from covid_study.runtime.artefacts import write_atomically
from covid_study.runtime.executors import told
from covid_study.runtime.progress import progress
from covid_study.runtime.workers import side_by_side

Part = Callable[[], dict]  # its work: arrays by name, and facts, `left_out` among them


def fill(
    folder: Path,
    parts: Sequence[Part],
    title: str,
    workers: int | None = None,
    *,
    threads: bool = False,
    needs: str = "",
) -> list[dict]:
    """Do every part that is not done yet; the facts of all, in their order.

    The facts of a part, what JSON can hold, are written after its arrays, see `arrays_of`: with them it counts as done. Where
    something was left out of it, it is done again: what kept it out may be gone by now.

    Args:
        title: e.g. "cutting slices".
        workers: processes; None for one a core.
        threads: threads instead; enough for images, whose decoding leaves Python free.
        needs: how much disk, for the error.

    Raises:
        ExamError: of a part that stops at what it cannot use.
        StudyError: the disk cannot be written, or a process died.
    """
    (folder / "parts").mkdir(parents=True, exist_ok=True)
    missing = [n for n in range(len(parts)) if not is_done(folder, n)]
    workers = min(workers or cpu_count(), max(len(missing), 1))
    jobs = ((parts[n], folder, n) for n in missing)
    if threads:
        parallel = Parallel(n_jobs=workers, return_as="generator_unordered", backend="threading")
        done = parallel(delayed(_do)(job) for job in jobs)
    else:
        done = side_by_side(_do, jobs, workers)
    with told(f"was {title}", f"the {title.split()[-1]}", folder, workers, needs):
        for _ in progress(done, title, len(missing)):
            pass
    return [json.loads(facts_of(folder, n).read_text()) for n in range(len(parts))]


def facts_of(folder: Path, number: int) -> Path:
    """The file with the facts of a part."""
    return folder / "parts" / f"{number}.json"


def arrays_of(folder: Path, number: int) -> Path:
    """The file with the arrays of a part, for `np.load`."""
    return folder / "parts" / f"{number}.npz"


def is_done(folder: Path, number: int) -> bool:
    """Is a part in the store, with its arrays and nothing left out?"""
    facts, whole = facts_of(folder, number), arrays_of(folder, number).is_file()
    return whole and facts.is_file() and not json.loads(facts.read_text())["left_out"]


def write_facts(folder: Path, number: int, facts: dict) -> None:
    """Last of all that is written of a part."""
    text = json.dumps(facts, default=float)
    write_atomically(facts_of(folder, number), lambda path: path.write_text(text))


def _do(job: tuple[Part, Path, int]) -> None:
    """One part, in a worker process."""
    part, folder, number = job
    facts = part()
    arrays = {name: facts.pop(name) for name in list(facts) if isinstance(facts[name], np.ndarray)}

    def write(path: Path) -> None:
        with path.open("wb") as opened:
            np.savez_compressed(opened, **arrays)

    if arrays:
        write_atomically(arrays_of(folder, number), write)
    write_facts(folder, number, facts)


def list_left_out(folder: Path, facts: Sequence[dict]) -> None:
    """Write left_out.csv: what could not be used of all parts."""
    rows = [row for part in facts for row in part["left_out"]]
    pd.DataFrame(rows, columns=["name", "problem", "remedy"]).to_csv(folder / "left_out.csv", index=False)
