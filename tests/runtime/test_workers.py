"""Workers: one thread each, kept, gone with their caller; numbers and cores that are given back however a process ends."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from filelock import FileLock, Timeout

from covid_study.runtime import workers
from covid_study.runtime.workers import first_free, side_by_side


def who_alone(task):
    return task, os.getpid(), os.environ["OMP_NUM_THREADS"]


def test_processes_side_by_side_have_one_thread_each_and_are_kept():
    first, again = (list(side_by_side(who_alone, range(6), 2)) for _ in range(2))
    assert sorted(task for task, *_ in first) == list(range(6))
    assert {threads for *_, threads in first} == {"1"}
    pids = [{pid for _, pid, _ in found} for found in (first, again)]
    assert os.getpid() not in pids[0] and len(pids[0] | pids[1]) <= 2
    assert list(side_by_side(lambda task: (task, os.getpid()), [5], 1)) == [(5, os.getpid())]


def slow_but_first(task):
    time.sleep(600 if task else 0)
    return os.getpid()


def test_processes_end_where_their_caller_goes_no_further_and_others_begin():
    found = side_by_side(slow_but_first, range(3), 2)
    worker = psutil.Process(next(found))
    assert worker.is_running() and workers.start_up(2) == 0
    found.close()
    assert not psutil.wait_procs([worker], 60)[1] and workers.start_up(2) > 0
    assert sorted(side_by_side(abs, [-1, 2], 2)) == [1, 2]


def test_a_training_has_a_core_that_no_other_notebook_has(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "cpu_count", lambda: 2)
    with workers.core(), workers.core(), workers.core():  # of a notebook alone: whatever it asks for
        pass
    monkeypatch.setenv(workers.CORES, str(tmp_path))
    with workers.core():
        free = []
        for number in range(2):
            with suppress(Timeout), FileLock(tmp_path / f".core-{number}.lock", timeout=0):
                free.append(number)
        assert free == [1]


def at_work(task):
    with workers.core():
        began = time.monotonic()
        time.sleep(0.3)
        return began, time.monotonic()


@pytest.fixture
def two_cores(tmp_path, monkeypatch):
    """Of processes that begin with these variables, and that no later test finds."""
    workers._end()
    monkeypatch.setenv(workers.CORES, str(tmp_path))
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")  # joblib's
    yield
    workers._end()


def test_four_of_two_notebooks_take_turns_on_two_cores(two_cores):
    there = workers.cpu_count()
    spans = list(side_by_side(at_work, range(3 * there), 2 * there))
    assert all(sum(start <= began < end for start, end in spans) <= there for began, _ in spans)


def test_a_number_is_free_again_when_its_process_ends(tmp_path):
    code = (
        "import sys, time; from covid_study.runtime.workers import first_free\n"
        "with first_free(sys.argv[1], 'gpu') as n: print(n, flush=True); time.sleep(60)"
    )
    with first_free(tmp_path, "gpu") as mine:
        other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        assert (mine, int(other.stdout.readline())) == (0, 1)
        with first_free(tmp_path, "gpu") as third:
            assert third == 2
        other.kill()
        other.communicate()
        with first_free(tmp_path, "gpu") as third:
            assert third == 1
    with pytest.raises(ZeroDivisionError), first_free(tmp_path, "gpu") as again:
        assert again == 0
        raise ZeroDivisionError


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_processes_side_by_side_end_with_their_caller(tmp_path, number):
    begun = [tmp_path / "a", tmp_path / "b"]
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in the background
        "from test_workers import wait, side_by_side; import sys; list(side_by_side(wait, sys.argv[1:], 2))"
    )
    path = os.pathsep.join(filter(None, [os.path.dirname(__file__), os.getcwd(), *sys.path]))
    caller = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, begun)],
        env=os.environ | {"PYTHONPATH": path},
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 120
        while not all(file.exists() for file in begun):
            assert caller.poll() is None and time.monotonic() < until
            time.sleep(0.05)
        workers = psutil.Process(caller.pid).children(recursive=True)
        assert len(workers) >= 2
        caller.send_signal(number)
        caller.wait(60)
        assert not psutil.wait_procs(workers, 60)[1]
    finally:
        caller.kill()
        caller.wait()


def wait(name):
    Path(name).touch()
    time.sleep(600)
