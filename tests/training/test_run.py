"""Runs: trained once, keyed by what they are and by their method's code, never read half-written."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from safetensors.torch import load_file, save_file
from tiny_runs import BF16_IS_RIGHT, CPU, NETWORK, TRAINING, Killed, a_run, noise, with_method

from covid_study.networks.resnet3d import Classifier, encoder
from covid_study.rivals.feature_classifiers import FeatureClassifier
from covid_study.runtime.closure import closure
from covid_study.training import run as runs, volume_classifier
from covid_study.training.loop import in_batches
from covid_study.training.run import Spent, predictions, timing
from covid_study.training.slice_classifier import SliceClassifier
from covid_study.training.volume_classifier import VolumeClassifier


def reversed_ids(run):
    return replace(run, training_ids=run.training_ids[::-1])


def test_trained_once_then_loaded_whatever_the_order(tmp_path, volumes, trainings):
    run = a_run()
    first = run.train(volumes, tmp_path)
    before = {p.name: p.read_bytes() for p in first.iterdir()}
    assert set(before) == {
        "beside.json", "config.json", "history.csv", "predictions.parquet", "timing.json", "weights.safetensors",
    }  # fmt: skip
    again = reversed_ids(run).train(volumes, tmp_path, "other title")
    assert again == first == run.folder(tmp_path) and trainings == ["classifier"]
    assert {p.name: p.read_bytes() for p in first.iterdir()} == before
    elsewhere = reversed_ids(run).train(volumes, tmp_path / "b")
    for name, values in load_file(first / "weights.safetensors").items():
        assert torch.equal(values, load_file(elsewhere / "weights.safetensors")[name])


def test_the_key_holds_what_changes_the_result_and_nothing_else(tmp_path):
    run = a_run()

    def key(**changes):
        return replace(run, **changes).folder(tmp_path)

    def of_method(**changes):
        return with_method(run, **changes).folder(tmp_path)

    different = {
        "one less": key(training_ids=run.training_ids[:-1]),
        "another": key(training_ids=(*run.training_ids[:-1], "non-0")),
        "test": key(test_ids=run.test_ids[:-1]),
        "validation": key(validation_ids=()),
        "seed": key(seed=1),
        "store": key(samples="store-2"),
        "findings": key(labels="others"),
        "three classes": key(classes=("covid", "cap", "non_pneumonia")),
        "online": of_method(online={"strategy": "ohem", "ohem_share": 0.5}),
        "online's setting": of_method(online={"strategy": "ohem", "ohem_share": 0.25}),
        "encoder": of_method(encoder="somewhere/pretext-abc"),
        "another encoder": of_method(encoder="somewhere/pretext-def"),
        **{f"network {k}": of_method(network=NETWORK | {k: "other"}) for k in NETWORK},
        **{f"training {k}": of_method(training=TRAINING | {k: "other"}) for k in TRAINING},
    }
    folders = [key(), *different.values()]
    assert len(set(folders)) == len(folders)
    assert key(before=Spent(7.0, 3, 1e9)) == key()  # what was spent before is no part of what it is
    assert key(classes=("covid", "cap")) == key()  # two are COVID-19 and the rest, whatever the name
    assert of_method(encoder="elsewhere/pretext-abc") == different["encoder"]  # nor is where the study lies


def test_a_key_follows_the_code_of_its_method_and_of_no_other():
    """An edit of the 3-D network trains nothing of paper B anew; one of the loop or of a loss that it uses does."""
    of = {
        m: closure(["training.run", m.module]) for m in (VolumeClassifier, SliceClassifier, FeatureClassifier)
    }
    for method in of:
        assert {"training.run", method.module, "training.loop", "samples.samples"} <= set(of[method])
    volume, slices, features = of.values()
    assert {"networks.resnet3d", "losses.focal", "losses.ohem", "samples.batch"} <= set(volume)
    assert {"networks.backbones", "losses.saal", "losses.by_stage", "samples.batch"} <= set(slices)
    assert not {"networks.resnet3d", "training.volume_classifier"} & (set(slices) | set(features))
    assert not {"losses.saal", "networks.backbones", "training.slice_classifier"} & set(volume)
    assert not any(
        name.split(".")[0] in ("phantom", "ct", "pretext", "tables")
        for found in of.values()
        for name in found
    )
    assert not any(name.startswith("networks") for name in closure(["training.run"]))


def test_another_source_is_another_run(tmp_path, monkeypatch):
    before = a_run().folder(tmp_path)
    monkeypatch.setattr("covid_study.runtime.artefacts.source_key", lambda modules: "edited")
    assert a_run().folder(tmp_path) != before


def test_predictions_are_those_of_the_weights(tmp_path, volumes):
    run = a_run()
    folder = run.train(volumes, tmp_path)
    table = predictions(folder)
    assert list(table) == ["exam_id", "patient_id", "finding", "split", "probability", "label"]
    assert table["exam_id"].tolist() == [*run.validation_ids, *run.test_ids]
    assert table["split"].tolist() == ["validation"] * 2 + ["test"] * 4
    assert table["patient_id"].tolist() == [f"P-{i}" for i in table["exam_id"]]
    assert table["label"].tolist() == [1, 0, 1, 0, 0, 0]
    model = Classifier(encoder(NETWORK["width"]), 32)
    model.load_state_dict(load_file(folder / "weights.safetensors"))
    logits = in_batches(model, volumes.of(table["exam_id"]))
    expected = np.exp(logits[:, 1]) / np.exp(logits).sum(1)
    np.testing.assert_allclose(table["probability"], expected, rtol=1e-4)
    took = timing(folder)
    assert took["exams_seen"] == 6 and took["flops"] > 6 * 3 * 1e5 and took["train_seconds"] > 0
    assert "CPU" in took["device"] and took["kind"] == run.kind
    recorded = json.loads((folder / "config.json").read_text())["config"]
    assert recorded["training_ids"] == sorted(run.training_ids)


@BF16_IS_RIGHT
def test_a_run_is_evaluated_in_its_precision(tmp_path, volumes):
    folder = a_run(network=NETWORK | {"precision": "bf16"}).train(volumes, tmp_path)
    model = Classifier(encoder(NETWORK["width"]), 32)
    model.load_state_dict(load_file(folder / "weights.safetensors"))
    table = predictions(folder)
    for split, found in table.groupby("split"):
        logits = in_batches(model, volumes.of(found["exam_id"]), "bf16")
        p = torch.from_numpy(logits).softmax(1)[:, 1].numpy()
        np.testing.assert_array_equal(found["probability"], p, err_msg=split)


def test_a_deeper_network_or_an_online_strategy_is_another_training(tmp_path, volumes):
    plain = a_run(negatives=("cap-0", "non-0", "non-1", "non-2"), positives=1)
    head = load_file(plain.train(volumes, tmp_path) / "weights.safetensors")["head.weight"]
    for online, seen in (({"strategy": "oversampling"}, 8), ({"strategy": "ohem", "ohem_share": 0.5}, 5)):
        other = with_method(plain, online=online)
        folder = other.train(volumes, tmp_path)
        assert timing(folder)["exams_seen"] == other.seen == seen
        assert not torch.equal(load_file(folder / "weights.safetensors")["head.weight"], head)
    deep = with_method(plain, network=NETWORK | {"depth": 50}).train(volumes, tmp_path)
    assert load_file(deep / "weights.safetensors")["head.weight"].shape == (2, 128)
    assert timing(deep)["flops"] > timing(plain.folder(tmp_path))["flops"]


def test_positives_come_first_and_are_labelled_one(tmp_path, volumes, monkeypatch):
    seen = {}

    def loss(data, labels, *settings):
        seen.update(data=data, labels=labels)
        raise Killed

    monkeypatch.setattr(volume_classifier, "classifier_loss", loss)
    with pytest.raises(Killed):
        reversed_ids(a_run()).train(volumes, tmp_path)
    assert seen["labels"].tolist() == [1, 1, 1, 0, 0, 0]
    assert torch.equal(
        seen["data"][:], volumes.of(["covid-0", "covid-1", "covid-2", "cap-0", "non-1", "non-2"])
    )


def test_starts_from_the_encoder_it_is_given(tmp_path, volumes, monkeypatch):
    torch.manual_seed(77)
    pretrained = encoder(NETWORK["width"]).state_dict()
    (tmp_path / "pretext-abc").mkdir()
    save_file(pretrained, tmp_path / "pretext-abc" / "encoder.safetensors")
    started = []

    def fit(model, *_, **__):
        started.append({k: v.clone() for k, v in model.encoder.state_dict().items()})
        raise Killed

    monkeypatch.setattr(volume_classifier, "fit", fit)
    for start in (str(tmp_path / "pretext-abc"), None):
        with pytest.raises(Killed):
            a_run(encoder=start).train(volumes, tmp_path / "runs")
    assert all(torch.equal(started[0][k], pretrained[k]) for k in pretrained)
    assert not torch.equal(started[1]["conv1.weight"], pretrained["conv1.weight"])


@pytest.mark.parametrize("killed_at", ["to_parquet", "save_file", "write_atomically"])
def test_killed_while_writing_leaves_no_result_and_goes_on(tmp_path, volumes, monkeypatch, killed_at):
    run = a_run()
    expected = run.train(volumes, tmp_path / "whole")

    def kill(*_, **__):
        raise Killed

    with monkeypatch.context() as patch:
        places = {"to_parquet": pd.DataFrame, "save_file": safetensors.torch, "write_atomically": runs}
        patch.setattr(places[killed_at], killed_at, kill)
        with pytest.raises(Killed):
            run.train(volumes, tmp_path / "runs")
    assert not run.folder(tmp_path / "runs").exists()
    torch.manual_seed(4321)
    folder = run.train(volumes, tmp_path / "runs")
    assert not (folder / "checkpoint.pt").exists()
    pd.testing.assert_frame_equal(predictions(folder), predictions(expected), check_exact=True)
    ours, theirs = (load_file(f / "weights.safetensors") for f in (folder, expected))
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)


def test_a_half_written_folder_is_never_a_result(tmp_path, volumes, trainings):
    final = a_run().folder(tmp_path)
    partial = final.with_name(f".partial-{final.name}")
    partial.mkdir(parents=True)
    for name in ("predictions.parquet", "weights.safetensors", "timing.json", "history.csv", "config.json"):
        (partial / name).write_bytes(b"half of ")
    assert a_run().train(volumes, tmp_path) == final and trainings == ["classifier"]
    assert len(predictions(final)) == 6 and timing(final)["exams_seen"] == 6
    assert not partial.exists()


def test_volumes_that_stay_on_the_host_give_the_same_bits(tmp_path):
    there = a_run().train(noise(), tmp_path / "there")
    host = a_run().train(replace(noise(), at=CPU), tmp_path / "host")
    assert (host / "weights.safetensors").read_bytes() == (there / "weights.safetensors").read_bytes()
    pd.testing.assert_frame_equal(predictions(host), predictions(there))
