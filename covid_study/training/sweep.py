"""A sweep: many runs in one call, in this process or on a Dask cluster; what is there is shown, what fails is told."""

import contextlib
import io
import traceback
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from html import escape
from pathlib import Path

import pandas as pd
import torch
from IPython.display import HTML

from covid_study.errors import StudyError
from covid_study.runtime.artefacts import is_there
from covid_study.runtime.executors import completed
from covid_study.runtime.progress import duration, progress
from covid_study.samples.samples import Samples
from covid_study.training.run import Run, timing

_held: dict[tuple[str, str], Samples] = {}  # on a worker: the samples on its device, moved there once


def sweep(
    runs: Mapping[str, Run],
    samples: Samples,
    folder: Path,
    executor: str = "in_process",
    processes: int = 1,
) -> dict[str, Path]:
    """Train all runs that are not there yet; a run that fails is told with its traceback and takes no other along.

    Args:
        runs: by a name for the display; runs of the same configuration are trained once.
        folder: `build/P/runs`; on a cluster its workers must see the same folder.
        executor: see `executors.completed`. A local cluster has one worker a GPU, without GPUs one a core.
        processes: that train each run together, one run after the other (see `processes`).

    Returns:
        Name to result folder.

    Raises:
        ValueError: several processes on a cluster.
        StudyError: after all runs, naming those that failed.
    """
    if processes > 1 and executor != "in_process":
        raise ValueError("a run is trained by several processes here, or as a whole on a cluster")
    plan = planned(runs, folder)
    todo = {name: runs[name] for name in plan.index[plan["state"] == "to compute"]}
    device = samples.data.device
    if executor == "in_process":
        attempt, given = partial(_attempt, todo, folder, processes=processes), samples
    else:
        given = replace(samples, data=samples.data.cpu())
        attempt = partial(_attempt_on_worker, todo, Path(folder).resolve(), device.type)
    workers = torch.cuda.device_count() if device.type == "cuda" else None
    ending = completed(
        attempt, {"samples": given}, [(name, ("samples",)) for name in todo], executor, workers
    )
    failed = {name: trouble for name, trouble in progress(ending, "classifiers", len(todo)) if trouble}
    if failed:
        told = "\n\n".join(f"{name}:\n{trouble}" for name, trouble in failed.items())
        raise StudyError(f"{len(failed)} of {len(todo)} runs failed, the others are kept.\n\n{told}")
    return {name: run.folder(folder) for name, run in runs.items()}


def planned(runs: Mapping[str, Run], folder: Path) -> pd.DataFrame:
    """What a sweep would do: a row a run, with its state and an estimate of its time.

    Choice: a run takes as long an exam seen as the median of the runs in `folder` with the same network and samples.

    Returns:
        Index: name. `state` ("there", "to compute", or "same as <name>"), `exams_seen`, `seconds`: what it took, or the
        estimate, NaN where nothing like it has run.
    """
    paces = _paces(folder)
    rows, first = {}, {}
    for name, run in runs.items():
        result = run.folder(folder)
        state, seconds = "to compute", paces.get(run.kind, float("nan")) * run.seen
        if is_there(result):
            state, seconds = "there", timing(result)["train_seconds"]
        elif result in first:
            state, seconds = f"same as {first[result]}", 0.0
        first.setdefault(result, name)
        rows[name] = {"state": state, "exams_seen": run.seen, "seconds": seconds}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["state", "exams_seen", "seconds"])


def plan_sentence(plan: pd.DataFrame) -> str:
    """A plan in one sentence.

    >>> plan_sentence(pd.DataFrame({"state": ["there", "to compute"], "seconds": [9.0, 61.0]}))
    '2 runs: 1 there, 1 to compute, about 1:01 one after the other'
    """
    todo = plan.loc[plan["state"] == "to compute", "seconds"]
    text = f"{len(plan)} run{'s' * (len(plan) != 1)}: {(plan['state'] == 'there').sum()} there, {len(todo)} to compute"
    if todo.empty:
        return text
    return f"{text}, {'time not known yet' if todo.isna().any() else f'about {duration(todo.sum())} one after the other'}"


def plan_table(plan: pd.DataFrame) -> HTML:
    """The plan for a reader: one sentence, the runs folded behind it."""
    about = {True: "", False: "about "}
    times = [
        "not known yet" if pd.isna(row.seconds) else about[row.state == "there"] + duration(row.seconds)
        for row in plan.itertuples()
    ]
    shown = plan.assign(seconds=times).rename(columns={"exams_seen": "exams seen", "seconds": "time"})
    table = (
        shown.rename_axis("run").reset_index().to_html(index=False, border=0, classes="plain", justify="left")
    )
    return HTML(f"<details><summary>{escape(plan_sentence(plan))}</summary>{table}</details>")


def _paces(folder: Path) -> dict[str, float]:
    """Seconds an exam seen of the runs that are there, by what they have in common."""
    found: dict[str, list[float]] = {}
    for record in sorted(Path(folder).glob("*/timing.json")):
        took = timing(record.parent)
        found.setdefault(took["kind"], []).append(took["train_seconds"] / max(1, took["exams_seen"]))
    return {kind: float(pd.Series(values).median()) for kind, values in found.items()}


def _attempt(runs: Mapping[str, Run], folder: Path, name: str, samples: Samples, processes: int = 1) -> str:
    """Train one run; returns the traceback of what went wrong, or nothing."""
    try:
        runs[name].train(samples, folder, name, processes)
    except Exception:  # whatever it is, it is told after the others
        return traceback.format_exc()
    return ""


def _attempt_on_worker(
    runs: Mapping[str, Run], folder: Path, device: str, name: str, samples: Samples
) -> str:
    """The same on a worker of a cluster, on a GPU of its own where the machine has several."""
    from distributed import get_worker

    number = get_worker().name
    if device == "cuda" and isinstance(number, int):  # a local cluster numbers its workers
        device = f"cuda:{number % max(1, torch.cuda.device_count())}"
    if (samples.key, device) not in _held:
        _held.clear()
        _held[samples.key, device] = replace(samples, data=samples.data.to(device))
    with contextlib.redirect_stdout(io.StringIO()):  # its lines belong to no cell
        return _attempt(runs, folder, name, _held[samples.key, device])
