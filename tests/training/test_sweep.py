"""Sweeps: each configuration once, the plan before, failures told and kept apart, the same on a cluster, a kill survived."""

import dataclasses
import multiprocessing
import os
import signal
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import NETWORK, TRAINING, Dies, a_run, noise, with_method

from covid_study.errors import StudyError
from covid_study.training import sweep as module, volume_classifier
from covid_study.training.run import predictions, timing
from covid_study.training.sweep import sweep
from covid_study.training.time_left import plan_sentence, plan_table, planned


@pytest.fixture
def run():
    return a_run()


def seeds(run, *numbers):
    return {f"seed {n}": dataclasses.replace(run, seed=n) for n in numbers}


def test_a_sweep_trains_each_configuration_once(tmp_path, run, volumes, trainings):
    runs = {
        "III random": run,
        "V random": dataclasses.replace(run, training_ids=run.training_ids[::-1]),
        "seed 1": dataclasses.replace(run, seed=1),
    }
    assert plan_sentence(planned(runs, tmp_path)) == "3 runs: 0 there, 2 to compute, time not known yet"
    folders = sweep(runs, volumes, tmp_path)
    assert list(folders) == list(runs)
    assert folders["III random"] == folders["V random"] != folders["seed 1"]
    assert trainings == ["III random", "seed 1"]
    assert sweep(runs, volumes, tmp_path) == folders and len(trainings) == 2
    assert plan_sentence(planned(runs, tmp_path)) == "3 runs: 3 there, 0 to compute"


def test_the_plan_says_what_is_there_and_estimates_the_rest(tmp_path, run, volumes):
    runs = seeds(run, 0, 1) | {"again": dataclasses.replace(run, seed=1)}
    runs["oversampled"] = a_run(negatives=("cap-0",), online={"strategy": "oversampling"})
    runs["other network"] = with_method(run, network=NETWORK | {"width": 0.125})
    before = planned(runs, tmp_path)
    assert before["seconds"].drop("again").isna().all() and (before["state"] == "to compute").sum() == 4
    folder = sweep({"seed 0": run}, volumes, tmp_path)["seed 0"]
    plan = planned(runs, tmp_path)
    assert plan["state"].tolist() == ["there", "to compute", "same as seed 1", "to compute", "to compute"]
    took = timing(folder)["train_seconds"]
    assert plan.loc["seed 0", "seconds"] == took
    assert plan.loc["seed 1", "seconds"] == pytest.approx(took)  # as many exams, the same network
    assert plan.loc["again", "seconds"] == 0 and pd.isna(plan.loc["other network", "seconds"])
    assert plan["exams_seen"].tolist() == [6, 6, 6, 6, 6]
    html = plan_table(plan).data
    assert "seed 0" in html and "same as seed 1" in html and "not known yet" in html
    known = plan.drop(index="other network")
    assert plan_sentence(known).startswith("4 runs: 1 there, 2 to compute, about ")
    known = known.assign(seconds=[9.0, 40.0, 0.0, 50.0])
    assert plan_sentence(known).endswith("about 1:30 one after the other")
    assert plan_sentence(known, 2).endswith("about 0:50, 2 at once")
    result = sweep({"oversampled": runs["oversampled"]}, volumes, tmp_path)["oversampled"]
    assert timing(result)["exams_seen"] == plan.loc["oversampled", "exams_seen"]


def test_a_run_that_fails_is_told_and_does_not_take_the_others_along(tmp_path, run, volumes, monkeypatch):
    original = volume_classifier.fit

    def fit(*args, seed, **kwargs):
        if seed == 1:
            raise FloatingPointError("it broke")
        return original(*args, seed=seed, **kwargs)

    runs = seeds(run, 0, 1, 2)
    with monkeypatch.context() as patch:
        patch.setattr(volume_classifier, "fit", fit)
        with pytest.raises(StudyError, match=r"(?s)1 of 3 runs failed.*seed 1:\nTraceback.*in fit.*it broke"):
            sweep(runs, volumes, tmp_path)
    assert [r.folder(tmp_path).is_dir() for r in runs.values()] == [True, False, True]
    assert set(sweep(runs, volumes, tmp_path)) == set(runs)  # nothing but the failed one is left to do


def test_a_run_has_several_processes_or_a_cluster(tmp_path, run, volumes):
    with pytest.raises(ValueError, match="by several processes here, or as a whole on a cluster"):
        sweep({"a": run}, volumes, tmp_path, executor="dask", processes=2)
    assert not list(tmp_path.iterdir())


def test_processes_reach_the_training(tmp_path, run, volumes, monkeypatch):
    seen = []

    def spread(function, folder, run, volumes, title, *, processes, device):
        seen.append((processes, device.type, len(volumes.data), title))
        function(folder, run, volumes, title)

    monkeypatch.setattr("covid_study.training.processes.spread", spread)
    sweep({"a": run}, volumes, tmp_path, processes=3)
    needed = {*run.training_ids, *run.asked_ids}  # and no other exam of the cohort
    assert seen == [(3, "cpu", len(needed), "a")] and len(needed) < len(volumes.data)


def test_on_a_cluster_a_failed_run_is_told_and_a_killed_worker_loses_nothing_and_moves_no_bit(
    tmp_path, volumes
):
    plain = seeds(a_run(training=TRAINING | {"epochs": 3}), 0, 1)
    dying = {n: dataclasses.replace(r, method=Dies(**vars(r.method))) for n, r in plain.items()}
    fails = {"no such exam": dataclasses.replace(plain["seed 0"], test_ids=("covid-99",))}
    with pytest.raises(StudyError, match=r"(?s)1 of 3 runs failed.*no such exam:\nTraceback.*'covid-99'"):
        sweep(dying | fails, volumes, tmp_path / "dask", executor="dask", workers=2)
    assert (tmp_path / "dask" / "died").exists()
    for name, folder in sweep(plain, volumes, tmp_path / "here").items():
        there = dying[name].folder(tmp_path / "dask")
        assert there.name == folder.name
        assert (there / "weights.safetensors").read_bytes() == (folder / "weights.safetensors").read_bytes()
        pd.testing.assert_frame_equal(predictions(there), predictions(folder))


def test_a_worker_of_a_cluster_keeps_the_samples_of_one_sweep_and_no_longer(volumes, monkeypatch):
    monkeypatch.setattr("distributed.get_worker", lambda: SimpleNamespace(name="far"))
    monkeypatch.setattr(module, "_attempt", lambda run, samples, *_, **__: samples)
    other = dataclasses.replace(volumes, table=volumes.table[::-1])  # other labels, the same store
    seen = [
        module._attempt_on_worker(of, {"a": None}, None, "cpu", 0, "a", samples)
        for of, samples in (("one", volumes), ("one", volumes), ("two", other))
    ]
    assert seen[0] is seen[1] and seen[0].table.equals(volumes.table) and seen[2].table.equals(other.table)


def four():
    return seeds(a_run(), *range(4))


def killed_in_the_third(folder):
    whole, begun = volume_classifier.fit, []

    def fit(*arguments, **how):
        begun.append(1)
        if len(begun) == 3:
            how["after_epoch"] = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        return whole(*arguments, **how)

    volume_classifier.fit = fit
    sweep(four(), noise(), folder, workers=1)


def test_a_killed_sweep_goes_on_where_it_was(tmp_path):
    first = multiprocessing.get_context("fork").Process(
        target=killed_in_the_third, args=(tmp_path,)
    )  # has imported torch
    first.start()
    first.join(240)
    assert first.exitcode == -signal.SIGKILL
    there = {f.name: f.stat().st_mtime_ns for f in tmp_path.glob("run-*")}
    assert len(there) == 2
    plan = planned(four(), tmp_path)
    assert (plan["state"] == "there").sum() == len(there) and plan["seconds"].notna().all()
    folders = sweep(four(), noise(), tmp_path, workers=1).values()
    after = {f.name: f.stat().st_mtime_ns for f in tmp_path.glob("run-*")}
    assert there.items() <= after.items() and set(after) == {f.name for f in folders} and len(after) == 4
    weights = [load_file(f / "weights.safetensors")["head.weight"] for f in folders]
    assert all(not torch.equal(weights[0], other) for other in weights[1:])
