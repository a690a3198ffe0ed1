"""Where independent work is done: here, in processes side by side, on a Dask cluster; what is told when that fails."""

import multiprocessing
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from itertools import count, islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cloudpickle
from filelock import FileLock, Timeout
from joblib import cpu_count

from covid_study.errors import StudyError
from covid_study.runtime.disk import writing
from covid_study.runtime.progress import silent

ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx|inproc)://\S+")
IN_FLIGHT = 4  # pieces a worker thread that wait at the cluster: enough to be busy, few enough to stop soon
PATIENCE = 10  # seconds for a scheduler to answer
CORES = "COVID_STUDY_CORES"  # the runner's: where the trainings of notebooks beside each other take turns
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
Task = tuple[Any, tuple[str, ...]]  # key, names of the inputs
# How many workers are there, and the end of the pipe that they end with.
_kept: list[tuple[int, ProcessPoolExecutor, Connection]] = []


def can_fork() -> bool:
    """On Linux without a GPU: what a driver holds, and what macOS's libraries do, does not outlive a fork."""
    return sys.platform == "linux" and not any(Path(p).exists() for p in ("/dev/nvidiactl", "/dev/kfd"))


# Not forked from this process, which has threads; in a kernel of the runner from one that has imported torch (`kernels`).
CONTEXT = multiprocessing.get_context("forkserver" if can_fork() else "spawn")


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
        StudyError: no such executor, no scheduler at the address, or the cluster is lost. What `function` raises goes through.

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


def side_by_side(function: Callable[[Any], Any], tasks: Iterable, workers: int) -> Iterator:
    """Do `function(task)` for every task, in so many processes of one thread each; results as they end, in any order.

    A single one is this process, with the threads that it has.

    The processes are kept for the next call that needs no more of them, so that what they have imported is there. They end
    with this one, and where it leaves before all is done.

    Args:
        function, tasks: can be pickled; what is large lies in a file that they map into memory.

    Raises:
        BrokenProcessPool: a process died. What `function` raises goes through, and ends what runs beside it.
    """
    if workers == 1:
        yield from (_silently(function, task) for task in tasks)
        return
    if not _kept or _kept[0][0] < workers:
        _end()
        _kept.append(_begun(workers))
    _, pool, _ = _kept[0]
    waiting = iter(tasks)

    def submitted(most: int) -> set:
        return {pool.submit(_called, cloudpickle.dumps((function, task))) for task in islice(waiting, most)}

    try:
        running = submitted(workers)
        while running:
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            running |= submitted(len(ended))
            yield from (future.result() for future in ended)
    except BaseException:  # of a caller that goes no further, too
        _end()
        raise


def start_up(workers: int) -> float:
    """Seconds until so many processes have begun and imported torch and MONAI, on two cores."""
    there = bool(_kept) and _kept[0][0] >= workers
    return 0.0 if there else 0.5 if multiprocessing.parent_process() else 7.0


def _silently(function: Callable[[Any], Any], task: Any) -> Any:
    """One task; the display is its caller's."""
    with silent():
        return function(task)


def _called(work: bytes) -> Any:
    return _silently(*cloudpickle.loads(work))


def _end() -> None:
    while _kept:
        _, pool, mine = _kept.pop()
        mine.close()
        pool.shutdown(wait=False, cancel_futures=True)


def _begun(workers: int) -> tuple[int, ProcessPoolExecutor, Connection]:
    """Processes, and the end of a pipe that they wait at: closed, or gone with this process, it ends them."""
    theirs, mine = multiprocessing.Pipe(duplex=False)
    environment = dict(os.environ) | dict.fromkeys(ONE_THREAD, "1")
    begin = (theirs, environment, Connection(os.dup(2), readable=False))
    return workers, ProcessPoolExecutor(workers, CONTEXT, _begin, begin), mine


def _begin(caller: Connection, environment: dict[str, str], errors: Connection) -> None:
    """A process begins, as a child of whoever it was forked from: with the variables and the stderr of its caller."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the caller
    threading.Thread(target=_end_with, args=(caller,), daemon=True).start()
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(errors.fileno(), 2)
    if "torch" in sys.modules:  # it has read the old ones
        sys.modules["torch"].set_num_threads(1)
    if "numba" in sys.modules:
        sys.modules["numba"].config.reload_config()


def _end_with(caller: Connection) -> None:
    with suppress(EOFError):
        caller.recv()
    os._exit(1)


@contextmanager
def first_free(folder: Path, name: str, most: int | None = None) -> Iterator[int]:
    """The first number that no other process holds under this name in `folder`; a process that dies gives its own back.

    most: numbers there are; where none is free it waits.
    """
    for number in count() if most is None else _again_and_again(most):
        lock = FileLock(Path(folder) / f".{name}-{number}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            continue
        with lock:
            lock.release()  # once of twice: the block holds it still
            yield number
        return


def _again_and_again(most: int) -> Iterator[int]:
    while True:
        yield from range(most)
        time.sleep(0.05)


@contextmanager
def cores(number: int = 1) -> Iterator[None]:
    """So many of this machine's cores for a training: where notebooks run beside each other, no other has them."""
    folder = os.environ.get(CORES)
    if folder is None:
        yield
        return
    with ExitStack() as held:
        with FileLock(Path(folder) / ".cores.lock"):  # in turn: two that wait for each other's never end
            for _ in range(min(number, cpu_count())):
                held.enter_context(first_free(Path(folder), "core", cpu_count()))
        yield


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
            "its workers with `dask worker`, both in this project's environment, or write dask or in_process."
        ) from None
    with client:
        if not client.scheduler_info(n_workers=-1)["workers"]:
            raise StudyError(
                f"The Dask scheduler at {executor} has no workers: start some with `dask worker {executor}`."
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
