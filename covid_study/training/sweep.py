"""A sweep: many runs in one call, side by side here or on a Dask cluster; what is there is shown, what fails is told."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import torch
from filelock import FileLock, Timeout
from joblib import cpu_count

from covid_study import paths
from covid_study.errors import StudyError
from covid_study.runtime.device import find_device, limited_threads
from covid_study.runtime.executors import completed, told
from covid_study.runtime.progress import makespan, progress, silent
from covid_study.runtime.workers import first_free, side_by_side, start_up
from covid_study.samples.samples import Samples
from covid_study.training.run import Run
from covid_study.training.time_left import Left, paces, planned

if TYPE_CHECKING:
    from covid_study.params.sections import Study

VALUES = 1e6  # voxels or pixels trained on a second where nothing has been measured: a slow case
Ended = tuple[str, str, float]  # name, traceback of what went wrong or "", seconds
_held: dict[tuple[str, str], Samples] = {}  # on a cluster's worker: the samples of one sweep on its device
_alone = threading.Lock()
_claimed = ExitStack()  # on a worker: the GPU that it has taken, until it ends
_number: list[int] = []


def sweep(
    runs: Mapping[str, Run],
    samples: Samples,
    folder: Path,
    *,
    device: str | None = None,
    executor: str = "in_process",
    processes: int = 1,
    workers: int | None = None,
    per_gpu: int = 1,
    title: str = "classifiers",
) -> dict[str, Path]:
    """Train all runs that are not there yet; a run that fails is told with its traceback and takes no other along.

    On a CPU so many are trained side by side as there are cores, on GPUs one on each or several, in processes that read
    the samples from one file mapped into memory. On a CPU a run of a sweep always has one thread, the last one too: its bits
    depend neither on how many run at once, nor on the order, nor on a kill.

    Args:
        runs: by a name for the display; runs of the same configuration are trained once.
        folder: `build/P/runs` or `build/P/pretext`; on a cluster its workers must see the same folder.
        device: see `find_device`; "cuda" is all GPUs, whichever the samples lie on. None: where the samples are used.
        executor: "in_process", on this machine, or see `executors.completed`. A local cluster has one worker a GPU, without
            GPUs one a core.
        processes: that train each run together, one run after the other (see `processes`).
        workers: runs at once, at most; None: one a core, or `per_gpu` on each GPU.
        title: what the runs are, for the display.

    Returns:
        Name to result folder.

    Raises:
        ValueError: several processes on a cluster.
        StudyError: a process died; or, after all runs, naming those that failed.
    """
    if processes > 1 and executor != "in_process":
        raise ValueError("a run is trained by several processes here, or as a whole on a cluster")
    folder = Path(folder).resolve()
    for left in folder.glob(".samples-*.bin"):  # by a process that was killed
        with suppress(Timeout), FileLock(left.with_suffix(".lock"), timeout=0):
            left.unlink(missing_ok=True)  # another may have been as quick
    found, plan = {name: run.folder(folder) for name, run in runs.items()}, planned(runs, folder)
    todo = {name: runs[name] for name in plan.index[plan["state"] == "to compute"]}
    if not todo:
        return found
    where = find_device(device) if device else samples.device
    most = workers or places(where, per_gpu)
    at_once = 1 if processes > 1 else min(most, len(todo))
    values = samples.data[0].numel() if len(samples.data) else 1
    guess = plan["seconds"].fillna(plan["exams_seen"] * values / VALUES)
    if executor == "in_process":
        if makespan(guess[list(todo)], at_once) + start_up(at_once) > guess[list(todo)].sum():
            at_once = 1
        ending = _here(todo, samples, folder, where, processes, at_once, most - 1)
    else:
        number = torch.cuda.device_count() if where.type == "cuda" else None
        at_once = (workers or number or cpu_count()) if executor == "dask" else len(todo)
        attempt = partial(_attempt_on_worker, uuid4().hex, todo, folder, where.type, at_once - 1)
        given = {"samples": replace(samples, data=samples.data.cpu())}
        tasks = [(name, ("samples",)) for name in todo]
        ending = (ended for _, ended in completed(attempt, given, tasks, executor, workers or number))
    failed, left = {}, Left(todo, paces(folder), at_once)
    with told("was training", "the runs", folder, at_once):
        here = executor in ("in_process", "dask")  # nobody here knows how large another cluster is
        alone = executor == "in_process" and len(todo) == 1  # its own epochs are shown
        shown = ending if alone else progress(ending, title, len(todo), left if here else None)
        for name, trouble, seconds in shown:
            left.ended(name, seconds)
            if trouble:
                failed[name] = trouble
    if failed:
        told_of = "\n\n".join(f"{name}:\n{trouble}" for name, trouble in failed.items())
        raise StudyError(f"{len(failed)} of {len(todo)} runs failed, the others are kept.\n\n{told_of}")
    return found


def pretrained(
    study: Study, samples: Samples, runs: Mapping[tuple[str, int], Run]
) -> dict[tuple[str, int], Path]:
    """Pre-trainings, side by side where they are not there yet: the folders with encoder.safetensors and history.csv.

    Args:
        runs: by what they are called and seed.
    """
    named = {f"{name.replace('_', ' ')}, seed {seed}": run for (name, seed), run in runs.items()}
    found = sweep(
        named, samples, paths.build(study.name) / "pretext", **study.sweeps(), title="pre-trainings"
    )
    return dict(zip(runs, found.values(), strict=True))


def places(device: torch.device, per_gpu: int = 1) -> int:
    """How many runs this machine can train at once: one a core, or so many on each GPU that is meant.

    >>> places(torch.device("cuda:1"), 3)
    3
    """
    if device.type == "cpu":
        return cpu_count()
    return per_gpu * (torch.cuda.device_count() if device == torch.device("cuda") else 1)


def _here(
    todo: Mapping[str, Run],
    samples: Samples,
    folder: Path,
    where: torch.device,
    processes: int,
    at_once: int,
    beside: int,
) -> Iterator[Ended]:
    """Train them on this machine: one after the other in this process, or several at once in others.

    beside: others at once where there are enough of them: all are marked so, lest what is left of a sweep or a short one
    could not be compared with others in time.
    """
    if at_once == 1:
        with limited_threads(1 if samples.device.type == "cpu" and processes == 1 else None):
            for name, run in todo.items():
                yield _attempt(run, samples, folder, name, processes=processes)
        return
    with mapped(samples.data, folder) as file:
        bare = replace(samples, data=samples.data.to("meta"))
        attempt = partial(_attempt_beside, bare, file, folder, where, beside)
        yield from side_by_side(attempt, todo.items(), at_once)


@contextmanager
def mapped(data: torch.Tensor, folder: Path) -> Iterator[Path]:
    """The values of samples in a file of `folder`, which several processes map into memory; gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    with first_free(folder, "samples") as number:
        file = folder / f".samples-{number}.bin"
        try:
            data.cpu().contiguous().numpy().tofile(file)
            yield file
        finally:
            file.unlink(missing_ok=True)


def of_file(file: Path, like: torch.Tensor) -> torch.Tensor:
    """What `mapped` wrote, in pages of the file that all who read it share. like: of that shape and dtype, on "meta"."""
    return torch.from_file(str(file), size=like.numel(), dtype=like.dtype).view(like.shape)


def _attempt(run: Run, samples: Samples, folder: Path, name: str, **how: int) -> Ended:
    """Train one run, and say what went wrong. how: of `Run.train`."""
    started, trouble = time.perf_counter(), ""
    try:
        run.train(samples, folder, name, **how)
    except Exception:  # whatever it is, it is told after the others
        trouble = traceback.format_exc()
    return name, trouble, time.perf_counter() - started


def _attempt_beside(
    bare: Samples, file: Path, folder: Path, device: torch.device, beside: int, named: tuple[str, Run]
) -> Ended:
    """The same in a process beside others, on one thread or on the GPU that it has taken for itself."""
    name, run = named
    with limited_threads(1):
        samples = replace(bare, data=of_file(file, bare.data)).placed(own_device(device, folder))
        return _attempt(run, samples, folder, name, beside=beside)


def own_device(device: torch.device, folder: Path) -> torch.device:
    """Where all GPUs are meant, one of them for this process, which keeps it: they are dealt out in turn."""
    if device != torch.device("cuda"):
        return device
    if not _number:
        _number.append(_claimed.enter_context(first_free(folder, "worker")))
    return torch.device("cuda", _number[0] % torch.cuda.device_count())


def _attempt_on_worker(
    of: str, runs: Mapping[str, Run], folder: Path, device: str, beside: int, name: str, samples: Samples
) -> Ended:
    """The same on a worker of a cluster, on a GPU of its own where the machine has several.

    of: the sweep; two may have other labels for the same volumes, and a cluster outlives both.
    """
    from distributed import get_worker

    number = get_worker().name
    if device == "cuda" and isinstance(number, int):  # a local cluster numbers its workers
        device = f"cuda:{number % max(1, torch.cuda.device_count())}"
    with _alone:  # a worker has as many threads as it was given, and torch one generator for all of them
        if (of, device) not in _held:
            _held.clear()
            _held[of, device] = samples.placed(torch.device(device))
        with silent(), limited_threads(1):  # its lines belong to no cell
            return _attempt(runs[name], _held[of, device], folder, name, beside=beside)
