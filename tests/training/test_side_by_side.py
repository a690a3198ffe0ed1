"""Runs side by side: the same bits however many at once, in any order and after a kill; shared memory; who is told what."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from tiny_runs import NETWORK, PRETEXT, TRAINING, Dies, a_run, noise

from covid_study.errors import StudyError
from covid_study.pretext.train import RubiksCube
from covid_study.runtime.workers import first_free
from covid_study.training import sweep as module, time_left
from covid_study.training.run import timing
from covid_study.training.sweep import mapped, of_file, places, sweep
from covid_study.training.time_left import Left
from covid_study.training.volume_classifier import VolumeClassifier

FILES = ("weights.safetensors", "predictions.parquet")


class Fails(VolumeClassifier):
    def fit(self, *_, **__):
        raise FloatingPointError("it broke")


def four(kind=VolumeClassifier, number=3, **training):
    """Runs of four seeds, one of them of another method."""
    run = a_run(training=TRAINING | {"epochs": 4} | training)
    runs = {f"seed {seed}": replace(run, seed=seed) for seed in range(4)}
    name = f"seed {number}"
    return runs | {name: replace(runs[name], method=kind(**vars(run.method)))}


@pytest.fixture
def at_once(monkeypatch):
    """However short they are, runs are trained side by side."""
    monkeypatch.setattr(module, "start_up", lambda workers: -1e9)


def written(runs, folder):
    return {name: [(run.folder(folder) / f).read_bytes() for f in FILES] for name, run in runs.items()}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What they leave when they are trained one after the other in this process."""
    folder = tmp_path_factory.mktemp("one")
    sweep(four(), noise(), folder, workers=1)
    assert {timing(run.folder(folder))["beside"] for run in four().values()} == {0}
    return written(four(), folder)


def test_the_same_bits_two_at_once_and_in_any_order(tmp_path, expected, at_once, trainings):
    backwards = dict(reversed(four().items()))
    sweep(backwards, noise(), tmp_path, workers=2)
    assert written(four(), tmp_path) == expected and not trainings  # in other processes
    assert {timing(run.folder(tmp_path))["beside"] for run in backwards.values()} == {1}
    assert not list(tmp_path.glob(".samples-*.bin"))


def test_pre_trainings_are_runs_like_others(tmp_path, at_once, trainings):
    method = RubiksCube(
        "pro", masking=True, epochs=2, permutation_set="optimal", network=NETWORK, pretext=PRETEXT
    )
    probed = tuple(noise().table.query("split == 'train'").index)
    run = replace(a_run(), training_ids=("covid-0", "covid-1"), test_ids=probed, sizes=(2, 0), method=method)
    runs = {f"seed {seed}": replace(run, seed=seed) for seed in range(3)}
    saved = {}
    for workers in (1, 2):
        folders = sweep(runs, noise(), tmp_path / str(workers), workers=workers)
        saved[workers] = {name: (f / "encoder.safetensors").read_bytes() for name, f in folders.items()}
        took = [timing(folder) for folder in folders.values()]
        assert {t["beside"] for t in took} == {workers - 1} and {t["exams_seen"] for t in took} == {4}
        assert all(t["train_seconds"] > 0 and 1e6 < t["flops"] < 1e12 for t in took)
    assert saved[1] == saved[2] and len(set(saved[1].values())) == 3
    measured = pd.read_csv(folders["seed 0"] / "history.csv")
    assert measured["epoch"].tolist() == [0, 1, 2] and measured["probe_covid"].notna().tolist() == [
        True,
        False,
        True,
    ]


def test_a_run_that_fails_is_told_after_the_others(tmp_path, expected, at_once):
    with pytest.raises(StudyError, match=r"(?s)1 of 4 runs failed.*seed 0:\nTraceback.*in fit.*it broke"):
        sweep(four(Fails, 0), noise(), tmp_path, workers=2)
    runs = {name: run for name, run in four().items() if name != "seed 0"}
    assert written(runs, tmp_path) == {name: expected[name] for name in runs}


def test_a_worker_that_is_killed_is_told_and_its_run_goes_on_to_the_same_bits(tmp_path, expected, at_once):
    with pytest.raises(StudyError, match="was training died.*study.workers.*the runs done so far are kept"):
        sweep(four(Dies), noise(), tmp_path, workers=2)
    there = {run.folder(tmp_path) for run in four().values() if run.folder(tmp_path).is_dir()}
    assert len(there) >= 2  # the killed one is the last of four
    times = {folder: folder.stat().st_mtime_ns for folder in there}
    (killed,) = tmp_path.glob(f".partial-{four()['seed 3'].folder(tmp_path).name}*")
    assert len(torch.load(killed / "checkpoint.pt", weights_only=True)["history"]) == 2
    sweep(four(Dies), noise(), tmp_path, workers=1)
    assert written(four(), tmp_path) == expected
    assert times == {folder: folder.stat().st_mtime_ns for folder in there}
    assert timing(four()["seed 3"].folder(tmp_path))["beside"] == 1  # of its first session


def test_what_a_killed_sweep_left_of_the_samples_goes_with_the_next(tmp_path):
    file = tmp_path / ".samples-0.bin"
    file.touch()
    with first_free(tmp_path, "samples"):  # another's, at work
        sweep({}, noise(), tmp_path)
        assert file.exists()
    sweep({}, noise(), tmp_path)
    assert not file.exists()


def test_short_sweeps_start_no_workers(tmp_path, trainings):
    sweep(four(epochs=1), noise(), tmp_path, workers=2)
    assert len(trainings) == 4


THREADS = torch.get_num_threads()


class Tells(VolumeClassifier):
    def fit(self, *_, **__):
        raise FloatingPointError(f"{torch.get_num_threads()} of its own")


def test_the_last_run_of_a_sweep_has_one_thread_too(tmp_path):
    torch.set_num_threads(3)
    try:
        with pytest.raises(StudyError, match="1 of its own"):
            sweep({"last": four(Tells)["seed 3"]}, noise(), tmp_path)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(THREADS)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux says what is mapped")
def test_workers_read_the_pages_of_one_file(tmp_path):
    samples = noise()
    with mapped(samples.data, tmp_path) as file, mapped(samples.data, tmp_path) as other:
        assert file != other
        found = replace(samples, data=of_file(file, samples.data.to("meta")))
        assert torch.equal(found.data, samples.data)
        assert [part.data_ptr() for part in (found.data, found.chosen(["covid-1"]).data)] == [
            found.data.data_ptr()
        ] * 2
        lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
        spans = {line[0]: line[-1] for line in lines if line[-1] == str(file)}
        first, last = (int(end, 16) for span in spans for end in span.split("-"))
        assert first <= found.data.data_ptr() and found.data.data_ptr() + found.data.nbytes <= last
    assert not list(tmp_path.glob("*.bin"))


def test_each_process_takes_a_gpu_of_its_own_and_several_share_one_where_they_may(tmp_path, monkeypatch):
    cuda = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [
        places(cuda),
        places(cuda, 3),
        places(torch.device("cuda:1"), 3),
        places(torch.device("mps")),
    ] == [2, 6, 3, 1]
    with ExitStack() as others:
        for n in range(3):
            assert others.enter_context(first_free(tmp_path, "worker")) == n
        with ExitStack() as claimed:
            monkeypatch.setattr(module, "_claimed", claimed)
            monkeypatch.setattr(module, "_number", [])
            found = [module.own_device(cuda, tmp_path) for _ in range(2)]  # kept from one run to the next
            assert found == [torch.device("cuda:1")] * 2  # the fourth process, on the second GPU
        assert module.own_device(torch.device("cuda:0"), tmp_path) == torch.device("cuda:0")
        assert module.own_device(torch.device("cpu"), tmp_path) == torch.device("cpu")


def test_all_gpus_are_used_though_the_samples_lie_on_one(tmp_path, monkeypatch):
    """What was sent to "cuda" lies on cuda:0, and which was asked for must be said."""
    used = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(module, "find_device", torch.device)
    monkeypatch.setattr(module, "_here", lambda todo, samples, folder, *how: used.append(how) or iter(()))
    runs = four(epochs=500)
    for asked, place, at_once in (("cuda", "cuda", 4), ("cuda:2", "cuda:2", 1), (None, "cpu", 2)):
        monkeypatch.setattr(module, "cpu_count", lambda: 2)
        sweep(runs, noise(), tmp_path, device=asked)
        where, _, number, _ = used.pop()
        assert (where, number) == (torch.device(place), at_once)


def test_the_time_left_is_counted_in_samples(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(time_left.time, "monotonic", lambda: clock[0])
    run = a_run()  # six exams an epoch
    wide = replace(run, method=replace(run.method, network=run.method.network | {"width": 0.125}))
    todo = {
        f"{e}": replace(run, method=replace(run.method, training=TRAINING | {"epochs": e})) for e in (1, 4, 5)
    }
    left, mixed = Left(todo, {}, at_once=2), Left(todo | {"wide": wide}, {}, at_once=2)
    assert left() is None
    clock[0] = 112.0  # two seconds to start, then ten for the six exams of "1": 1 2/3 a sample
    for one in (left, mixed):
        one.ended("1", 10.0)
    assert left() == pytest.approx(max(40, 10 + 50) - 10)
    assert mixed() is None  # what a wide network takes is not known yet
    clock[0] = 142.0
    mixed.ended("4", 40.0)
    mixed.ended("wide", 60.0)
    assert mixed() == pytest.approx(max(40 + 60, 60) - 40)
    known = Left({"wide": wide}, {wide.kind: 0.5}, at_once=2)
    assert known() == pytest.approx(3.0)
