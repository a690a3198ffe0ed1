"""Work side by side on this machine: processes that are kept, and the numbers and cores that they hold."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager, nullcontext, suppress
from itertools import count, islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cloudpickle
from filelock import FileLock, Timeout
from joblib import cpu_count
from threadpoolctl import threadpool_limits

from covid_study.runtime.progress import silent

CORES = "COVID_STUDY_CORES"  # the runner's: where the trainings of notebooks beside each other take turns
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
# How many workers are there, and the end of the pipe that they end with.
_kept: list[tuple[int, ProcessPoolExecutor, Connection]] = []


def can_fork() -> bool:
    """On Linux without a GPU: what a driver holds, and what macOS's libraries do, does not outlive a fork."""
    return sys.platform == "linux" and not any(Path(p).exists() for p in ("/dev/nvidiactl", "/dev/kfd"))


# Not forked from this process, which has threads; in a kernel of the runner from one that has imported torch (`kernels`).
CONTEXT = multiprocessing.get_context("forkserver" if can_fork() else "spawn")


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
    if not _are_there(workers):
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
    return 0.0 if _are_there(workers) else 0.5 if multiprocessing.parent_process() else 7.0


def _silently(function: Callable[[Any], Any], task: Any) -> Any:
    """One task; the display is its caller's."""
    with silent():
        return function(task)


def _called(work: bytes) -> Any:
    return _silently(*cloudpickle.loads(work))


def limit_threads(count: int) -> None:
    """So many threads for every library of this forked process: those that are loaded have read other variables."""
    threadpool_limits(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
    if "numba" in sys.modules:
        sys.modules["numba"].config.reload_config()


def _are_there(workers: int) -> bool:
    return bool(_kept) and _kept[0][0] >= workers


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
    limit_threads(1)


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
def core() -> Iterator[None]:
    """One of this machine's cores for a training: where notebooks run beside each other, no other has it."""
    folder = os.environ.get(CORES)
    with first_free(Path(folder), "core", cpu_count()) if folder else nullcontext():
        yield
