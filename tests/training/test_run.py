"""Runs: trained once, keyed by what they are, never read half-written."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from covid_study.errors import StudyError
from covid_study.networks.resnet3d import Classifier, encoder
from covid_study.samples.samples import Volumes
from covid_study.training import run as experiments
from covid_study.training.loop import in_batches
from covid_study.training.run import Run, predictions, timing

NETWORK = {"width": 0.0625, "stem_stride": 2, "depth": 18, "precision": "float32"}
TRAINING = {"epochs": 1, "batch_size": 4, "learning_rate": 1e-3, "intensity": [0.9, 1.1], "flips": True}


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def volumes() -> Volumes:
    return noise()


@pytest.fixture
def run() -> Run:
    return a_run()


def noise() -> Volumes:
    ids = [f"covid-{i}" for i in range(6)] + [f"cap-{i}" for i in range(6)] + [f"non-{i}" for i in range(6)]
    findings = ["covid"] * 6 + ["cap"] * 6 + ["non_pneumonia"] * 6
    split = ["train", "train", "train", "validation", "test", "test"] * 3
    data = torch.randint(0, 256, (18, 16, 24, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    table = pd.DataFrame(
        {"patient_id": [f"P-{i}" for i in ids], "finding": findings, "split": split},
        index=pd.Index(ids, name="exam_id"),
    )
    return Volumes(table, data, "store-1")


def a_run() -> Run:
    return Run(
        volumes="store-1",
        positives=("covid-0", "covid-1", "covid-2"),
        negatives=("cap-0", "non-1", "non-2"),
        validation=("covid-3", "cap-3"),
        test=("covid-4", "cap-4", "non-4", "non-5"),
        network=NETWORK,
        training=TRAINING,
        seed=0,
    )


@pytest.fixture
def trainings(monkeypatch) -> list:
    """The titles of all trainings that really happen."""
    happened, original = [], experiments.fit

    def fit(*args, title, **kwargs):
        happened.append(title)
        return original(*args, title=title, **kwargs)

    monkeypatch.setattr(experiments, "fit", fit)
    return happened


def test_trained_once_then_loaded(tmp_path, run, volumes, trainings):
    first = run.train(volumes, tmp_path)
    before = {p.name: p.read_bytes() for p in first.iterdir()}
    assert set(before) == {
        "config.json", "history.csv", "predictions.parquet", "timing.json", "weights.safetensors",
    }  # fmt: skip
    assert trainings == ["classifier"]
    again = dataclasses.replace(run, negatives=("non-2", "cap-0", "non-1"))
    again = again.train(volumes, tmp_path, "other title")
    assert again == first == run.folder(tmp_path) and trainings == ["classifier"]
    assert {p.name: p.read_bytes() for p in first.iterdir()} == before


def test_the_key_ignores_order_and_nothing_else(tmp_path, run):
    def key(**changes):
        return dataclasses.replace(run, **changes).folder(tmp_path)

    assert key(negatives=run.negatives[::-1]) == key(positives=run.positives[::-1]) == key()
    different = {
        "one negative less": key(negatives=run.negatives[:-1]),
        "another negative": key(negatives=("cap-0", "non-1", "non-0")),
        "one positive less": key(positives=run.positives[:-1]),
        "test": key(test=run.test[:-1]),
        "validation": key(validation=()),
        "seed": key(seed=1),
        "store": key(volumes="store-2"),
        "online": key(online={"strategy": "ohem", "ohem_share": 0.5}),
        "online's setting": key(online={"strategy": "ohem", "ohem_share": 0.25}),
        "encoder": key(encoder="somewhere/pretext-abc"),
        "another encoder": key(encoder="somewhere/pretext-def"),
        **{f"network {k}": key(network=NETWORK | {k: "other"}) for k in NETWORK},
        **{f"training {k}": key(training=TRAINING | {k: "other"}) for k in TRAINING},
    }
    assert key(before=7.0) == key()  # what it took before is no part of what it is
    folders = [key(), *different.values()]
    assert len(set(folders)) == len(folders)
    # where the study lies is no part of what it is
    assert key(encoder="elsewhere/pretext-abc") == different["encoder"]


def test_another_source_is_another_run(tmp_path, run, monkeypatch):
    before = run.folder(tmp_path)
    monkeypatch.setattr("covid_study.runtime.artefacts.source_key", lambda modules: "edited")
    assert run.folder(tmp_path) != before


def test_predictions_are_those_of_the_weights(tmp_path, run, volumes):
    folder = run.train(volumes, tmp_path)
    table = predictions(folder)
    assert list(table.columns) == ["exam_id", "patient_id", "finding", "split", "probability", "label"]
    assert table["exam_id"].tolist() == [*run.validation, *run.test]
    assert table["split"].tolist() == ["validation"] * 2 + ["test"] * 4
    assert table["patient_id"].tolist() == [f"P-{i}" for i in table["exam_id"]]
    assert table["label"].tolist() == [1, 0, 1, 0, 0, 0]
    assert table["finding"].tolist() == ["covid", "cap", "covid", "cap", "non_pneumonia", "non_pneumonia"]
    model = Classifier(encoder(NETWORK["width"]), 32)
    model.load_state_dict(load_file(folder / "weights.safetensors"))
    places = [list(volumes.table.index).index(exam) for exam in table["exam_id"]]
    logits = in_batches(model, volumes.data[places])
    expected = np.exp(logits[:, 1]) / np.exp(logits).sum(1)
    np.testing.assert_allclose(table["probability"], expected, rtol=1e-4)
    times = timing(folder)
    assert (
        times["exams_seen"] == 6
        and times["flops"] > 6 * 3 * 1e5
        and times["train_seconds"] > 0
        and "CPU" in times["device"]
    )
    assert json.loads((folder / "config.json").read_text())["config"]["negatives"] == sorted(run.negatives)


def test_the_order_of_negatives_does_not_change_the_weights(tmp_path, run, volumes):
    a = run.train(volumes, tmp_path / "a")
    b = dataclasses.replace(run, negatives=run.negatives[::-1]).train(volumes, tmp_path / "b")
    for name, values in load_file(a / "weights.safetensors").items():
        assert torch.equal(values, load_file(b / "weights.safetensors")[name])


@pytest.mark.parametrize(
    "online, seen", [({"strategy": "oversampling"}, 8), ({"strategy": "ohem", "ohem_share": 0.5}, 5)]
)
def test_an_online_strategy_trains_another_network(tmp_path, run, volumes, online, seen):
    run = dataclasses.replace(run, positives=run.positives[:1], negatives=(*run.negatives, "non-0"))
    plain = run.train(volumes, tmp_path)
    other = dataclasses.replace(run, online=online).train(volumes, tmp_path)
    assert timing(other)["exams_seen"] == seen and timing(plain)["exams_seen"] == 5
    a, b = (load_file(folder / "weights.safetensors")["head.weight"] for folder in (plain, other))
    assert not torch.equal(a, b)


def test_a_deeper_network_is_another_run_and_costs_more(tmp_path, run, volumes):
    deep = dataclasses.replace(run, network=NETWORK | {"depth": 50})
    folder = deep.train(volumes, tmp_path)
    assert load_file(folder / "weights.safetensors")["head.weight"].shape == (2, 128)
    assert timing(folder)["flops"] > timing(run.train(volumes, tmp_path))["flops"]


def test_positives_are_labelled_one(tmp_path, run, volumes, monkeypatch):
    seen = {}

    def loss(data, labels, *settings):
        seen.update(data=data, labels=labels)
        raise Killed

    monkeypatch.setattr(experiments, "classifier_loss", loss)
    with pytest.raises(Killed):
        run.train(volumes, tmp_path)
    assert seen["labels"].tolist() == [1, 1, 1, 0, 0, 0]
    names = list(volumes.table.index)
    for place, exam in enumerate(["covid-0", "covid-1", "covid-2", "cap-0", "non-1", "non-2"]):
        assert torch.equal(seen["data"][place], volumes.data[names.index(exam)])


def test_starts_from_the_encoder_it_is_given(tmp_path, run, volumes, monkeypatch):
    torch.manual_seed(77)
    pretrained = encoder(NETWORK["width"])
    (tmp_path / "pretext-abc").mkdir()
    save_file(pretrained.state_dict(), tmp_path / "pretext-abc" / "encoder.safetensors")
    started = []

    def fit(model, *_, **__):
        started.append({k: v.clone() for k, v in model.encoder.state_dict().items()})
        raise Killed

    monkeypatch.setattr(experiments, "fit", fit)
    for start in (str(tmp_path / "pretext-abc"), None):
        with pytest.raises(Killed):
            dataclasses.replace(run, encoder=start).train(volumes, tmp_path / "runs")
    weights = pretrained.state_dict()
    assert all(torch.equal(started[0][k], weights[k]) for k in weights)
    assert not torch.equal(started[1]["conv1.weight"], weights["conv1.weight"])


@pytest.mark.parametrize("killed_at", ["to_parquet", "save_file", "write_atomically"])
def test_killed_while_writing_leaves_no_result_and_goes_on(tmp_path, run, volumes, monkeypatch, killed_at):
    expected = run.train(volumes, tmp_path / "whole")

    def kill(*_, **__):
        raise Killed

    with monkeypatch.context() as patch:
        if killed_at == "to_parquet":
            patch.setattr(pd.DataFrame, "to_parquet", kill)
        else:
            patch.setattr(experiments, killed_at, kill)
        with pytest.raises(Killed):
            run.train(volumes, tmp_path / "runs")
    assert not run.folder(tmp_path / "runs").exists()
    torch.manual_seed(4321)
    folder = run.train(volumes, tmp_path / "runs")
    assert "checkpoint.pt" not in {p.name for p in folder.iterdir()}
    pd.testing.assert_frame_equal(predictions(folder), predictions(expected), check_exact=True)
    ours, theirs = (load_file(f / "weights.safetensors") for f in (folder, expected))
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)


def test_a_half_written_folder_is_never_a_result(tmp_path, run, volumes, trainings):
    final = run.folder(tmp_path)
    partial = final.with_name(f".partial-{final.name}")
    partial.mkdir(parents=True)
    for name in ("predictions.parquet", "weights.safetensors", "timing.json", "history.csv", "config.json"):
        (partial / name).write_bytes(b"half of ")
    assert run.train(volumes, tmp_path) == final and trainings == ["classifier"]
    assert len(predictions(final)) == 6 and timing(final)["exams_seen"] == 6
    assert not partial.exists()


def test_volumes_come_in_the_order_asked_for(volumes):
    names = list(volumes.table.index)
    asked = ["non-5", "covid-0", "cap-3"]
    assert volumes.rows(asked).tolist() == [names.index(exam) for exam in asked]
    assert torch.equal(volumes.of(asked)[1], volumes.data[0])
    assert volumes.of([]).shape == (0, 16, 24, 32)


def test_an_exam_that_is_not_in_the_store_is_an_error(volumes):
    with pytest.raises(StudyError, match="2 exams.*'covid-99'"):
        volumes.of(["cap-1", "covid-99", "cap-77"])
