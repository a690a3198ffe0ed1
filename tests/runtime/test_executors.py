"""Executors: the same results in this process, on a local Dask cluster and on an existing one; a lost one is told."""

import os
import subprocess
import sys
import time
from functools import partial

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster

from covid_study.errors import ParameterError, StudyError
from covid_study.params import profiles, sections
from covid_study.runtime import executors
from covid_study.runtime.executors import completed


def scaled(factor, key, x, y):
    return factor * key[0] + float((x - y).sum())


def who(key, x):
    return os.getpid()


def wrong(key, x):
    raise ValueError(f"row {key} is empty")


INPUTS = {"a": np.arange(4.0), "b": np.ones(4)}
TASKS = [((i, name), (name, "b")) for i in range(30) for name in INPUTS]


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as found:
        yield found


def test_an_existing_scheduler_gives_what_this_process_gives(cluster):
    function = partial(scaled, 2.0)
    here = dict(completed(function, INPUTS, TASKS))
    there = dict(completed(function, INPUTS, TASKS, cluster.scheduler_address))
    assert here == there and len(here) == 60
    assert here[3, "a"] == 6.0 + 2.0
    pids = set(dict(completed(who, INPUTS, [(1, ("a",))], cluster.scheduler_address)).values())
    assert os.getpid() not in pids


def test_the_existing_cluster_is_left_running_and_clean(cluster):
    list(completed(partial(scaled, 1.0), INPUTS, TASKS, cluster.scheduler_address))
    with Client(cluster.scheduler_address) as client:
        assert len(client.scheduler_info(n_workers=-1)["workers"]) == 1
        for _ in range(1200):  # what was sent is released when the client says goodbye
            if not client.has_what() or not any(client.has_what().values()):
                break
            time.sleep(0.05)
        assert not any(client.has_what().values())


def test_nothing_to_do_starts_no_cluster(monkeypatch):
    monkeypatch.setattr(executors, "dask_client", lambda *_: pytest.fail("a cluster was started"))
    assert list(completed(who, INPUTS, [], "dask")) == []


def test_what_a_task_raises_goes_through(cluster):
    for executor in ("in_process", cluster.scheduler_address):
        with pytest.raises(ValueError, match="row 7 is empty"):
            list(completed(wrong, INPUTS, [(7, ("a",))], executor))


class OfAnotherPackage:
    def __reduce__(self):
        return __import__, ("no_such_package",)

    def __call__(self, key, x):
        return key


def test_a_cluster_that_lacks_the_package_is_said(cluster):
    with pytest.raises(StudyError, match="does not know this package"):
        list(completed(OfAnotherPackage(), INPUTS, [(1, ("a",))], cluster.scheduler_address))


def test_no_scheduler_at_the_address_is_said(monkeypatch):
    monkeypatch.setattr(executors, "PATIENCE", 1)
    with pytest.raises(StudyError, match="No Dask scheduler answers at tcp://127.0.0.1:9"):
        list(completed(who, INPUTS, [(1, ("a",))], "tcp://127.0.0.1:9"))


def test_a_scheduler_without_workers_is_said():
    with (
        LocalCluster(n_workers=0, dashboard_address=":0") as empty,
        pytest.raises(StudyError, match="has no workers: start some with `dask worker"),
    ):
        list(completed(who, INPUTS, [(1, ("a",))], empty.scheduler_address))


@pytest.mark.parametrize("names", [("a",), ()])
def test_workers_that_die_are_said_and_what_had_ended_is_there(names):
    found = []  # with what was sent to them, which may be missed before the worker is, or without
    once = dask.config.set(
        {"distributed.scheduler.allowed-failures": 0}
    )  # not four workers, one after the other
    with (
        once,
        pytest.raises(
            StudyError, match="cluster was lost in the middle .*(Cancelled|KilledWorker).*run the same again"
        ),
    ):
        for key, _ in completed(die_on_ten, INPUTS, [(i, names) for i in range(12)], "dask", workers=1):
            found.append(key)
    assert len(found) >= 6 and 10 not in found  # four are in flight


def die_on_ten(key, *inputs):
    return os._exit(1) if key == 10 else key


@pytest.mark.parametrize("executor", ["dask", "tcp://cluster:8786"])
def test_several_processes_a_run_or_a_cluster_but_not_both(executor):
    values = {"profile": "x", "name": "x", "seeds": [0], "executor": executor}
    assert profiles.check(sections.Study, values | {"processes": 1}, "mine.yaml").processes == 1
    with pytest.raises(ParameterError, match=f"'processes'.*EXECUTOR, here {executor}.*set processes: 1"):
        profiles.check(sections.Study, values | {"processes": 2}, "mine.yaml")


@pytest.mark.parametrize("name", ["dusk", "localhost:8786", "http://x:1", ""])
def test_names_that_are_no_executor_are_refused(name):
    assert not executors.is_executor(name)
    with pytest.raises(ParameterError, match="EXECUTOR is in_process, dask, or the address"):
        profiles.check(
            sections.Study, {"profile": "x", "name": "x", "seeds": [0], "executor": name}, "mine.yaml"
        )
    with pytest.raises(StudyError, match="is no Dask cluster"):
        list(completed(who, INPUTS, [(1, ("a",))], name))


def test_a_partial_distance_imports_neither_dask_nor_torch_nor_pot():
    code = (
        "import sys; from covid_study.ranking.emd import emd; emd([1, 0], [0, 1]); "
        "sys.exit(bool({'distributed', 'dask', 'torch', 'ot'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
