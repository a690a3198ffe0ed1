"""Where independent work is done: here, or on a Dask cluster; what is told when processes or a cluster fail."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from joblib import cpu_count

from covid_study.errors import StudyError
from covid_study.runtime.disk import writing

ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx|inproc)://\S+")
IN_FLIGHT = 4  # pieces a worker thread that wait at the cluster: enough to be busy, few enough to stop soon
PATIENCE = 10  # seconds for a scheduler to answer
Task = tuple[Any, tuple[str, ...]]  # key, names of the inputs


def is_executor(name: str) -> bool:
    """Is this in_process, dask (a local cluster) or the address of a Dask scheduler?

    >>> is_executor("tcp://cluster:8786"), is_executor("dusk")
    (True, False)
    """
    return name in {"in_process", "dask"} or bool(ADDRESS.fullmatch(name))


def completed(
    function: Callable,
    inputs: Mapping[str, Any],
    tasks: Iterable[Task],
    executor: str = "in_process",
    workers: int | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Do `function(key, *inputs)` for every task and yield (key, result) as they end, in any order.

    Args:
        function: can be pickled; on a cluster its workers must have this package.
        inputs: by name; on a cluster each is sent once, however many tasks need it.
        executor: "in_process" (one after the other: `function` may use all cores itself), "dask" (a local cluster of one
            process a core) or the address of a scheduler, e.g. "tcp://10.0.0.1:8786".
        workers: processes of a local cluster; None: one a core.

    Raises:
        StudyError: no such executor, no scheduler at the address, the cluster is lost or lacks this package. What `function`
            raises goes through.

    >>> dict(completed(lambda key, x, y: x + y, {"a": 1, "b": 2}, [("ab", ("a", "b")), ("bb", ("b", "b"))]))
    {'ab': 3, 'bb': 4}
    """
    tasks = list(tasks)
    if not tasks:  # no cluster for nothing
        return
    if executor == "in_process":
        for key, names in tasks:
            yield key, function(key, *(inputs[name] for name in names))
        return
    with dask_client(executor, workers) as client:
        yield from _on_cluster(client, function, inputs, tasks)


@contextmanager
def dask_client(executor: str, workers: int | None = None):
    """A client of the cluster that the name of an executor stands for; a local one ends with it."""
    if not is_executor(executor) or executor == "in_process":
        raise StudyError(
            f"'{executor}' is no Dask cluster. Write dask, or a scheduler's address (tcp://host:8786)."
        )
    from distributed import Client, LocalCluster

    if executor == "dask":
        with (
            LocalCluster(
                n_workers=workers or cpu_count(), threads_per_worker=1, dashboard_address=":0", memory_limit=0
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(executor, timeout=PATIENCE)
    except OSError as error:  # TimeoutError is one
        raise StudyError(
            f"No Dask scheduler answers at {executor} ({type(error).__name__}). Start one there with `dask scheduler` and "
            "its workers with `dask worker ... --nthreads 1`, both in this project's environment, or write dask or in_process."
        ) from None
    with client:
        if not client.scheduler_info(n_workers=-1)["workers"]:
            raise StudyError(
                f"The Dask scheduler at {executor} has no workers: start some with `dask worker {executor} --nworkers -1 "
                "--nthreads 1`."
            )
        yield client


def _on_cluster(client, function: Callable, inputs: Mapping[str, Any], tasks: list[Task]):
    # Not joblib's: with one thread in the whole cluster it does the work in this process, and says nothing.
    from distributed import CancelledError, as_completed
    from distributed.scheduler import KilledWorker

    waiting = iter(tasks)
    try:
        sent = {name: client.scatter(value, broadcast=True) for name, value in inputs.items()}

        def submitted(most: int) -> list:
            given = ((key, *(sent[n] for n in names)) for key, names in islice(waiting, most))
            return [client.submit(_keyed, function, *values, pure=False) for values in given]

        running = as_completed(submitted(IN_FLIGHT * sum(client.nthreads().values())))
        for future in running:
            running.update(submitted(1))
            yield future.result()
    except (KilledWorker, CancelledError, OSError) as error:
        raise StudyError(
            f"The Dask cluster was lost in the middle of the work ({type(error).__name__}: {error}). What had been finished "
            "is kept: run the same again."
        ) from error
    except RuntimeError as error:
        if "deserialization" not in str(error):
            raise
        raise StudyError(
            "The Dask cluster does not know this package, or another version of it: start its scheduler and workers in this "
            "project's environment, from its folder."
        ) from error


def _keyed(function: Callable, key: Any, *values: Any) -> tuple[Any, Any]:
    return key, function(key, *values)


@contextmanager
def told(work: str, kept: str, folder: Path, workers: int, needs: str = "") -> Iterator[None]:
    """Turn a process that died and a disk that cannot be written into errors that say what to do; all else passes.

    Args:
        work: what the processes did, e.g. "cut slices". kept: what is not lost, e.g. "the slices".
        folder: that is written. workers: processes. needs: how much disk, e.g. " needs about 3 MB"; "" where not known.

    Raises:
        StudyError: a process died, or the disk is full or read-only.

    >>> import errno
    >>> with told("cut slices", "the slices", Path("build/x"), 2):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    ...
    covid_study.errors.StudyError: the disk is full: build/x. Free some space and call again; what was done so far is kept.
    """
    try:
        with writing(folder, needs=needs):
            yield
    except BrokenProcessPool:  # joblib's TerminatedWorkerError is one
        raise StudyError(
            f"a process that {work} died, most often because the memory was used up ({workers} worked at once). "
            f"Set study.workers to a smaller number in the profile and call again; {kept} done so far are kept."
        ) from None
