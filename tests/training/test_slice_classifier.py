"""One classifier of slices from its configuration to its predictions (paper B, Algorithm 1)."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_runs import with_method
from tiny_study import parameters

from covid_study.cohort.findings import outputs
from covid_study.losses.saal import SelfAdaptiveAuxiliaryLoss
from covid_study.networks.weights import Weights
from covid_study.samples.samples import Samples
from covid_study.tables import slice_steps
from covid_study.training import loop, slice_classifier, sweep
from covid_study.training.loop import in_batches
from covid_study.training.run import Spent
from covid_study.training.slice_classifier import Final, load

FINDINGS = ["covid", "cap", "non_pneumonia"]


@pytest.fixture(scope="module")
def q(root):
    return parameters(root, slice_network={"weights": "none"}, slice_training={"epochs": 2})


@pytest.fixture(scope="module")
def s():
    """Slices of noise, two a patient."""
    table = pd.DataFrame(
        {"patient_id": [f"P-{n // 2}" for n in range(36)], "finding": np.repeat(FINDINGS, 12)},
        index=pd.Index([f"{n:02}" for n in range(36)], name="slice_id"),
    )
    data = torch.randint(0, 256, (36, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    return Samples(table.assign(split=np.tile(["train"] * 8 + ["test"] * 4, 3)), data, "store-1")


@pytest.fixture(scope="module")
def runs(q, s):
    return {"ce": slice_steps.run(q, s, 0), "dsn_saal": slice_steps.dsn_saal(q, s, 0)}


@pytest.fixture(scope="module")
def folders(runs, s, tmp_path_factory):
    return sweep.sweep(runs, s, tmp_path_factory.mktemp("runs"))


def test_what_a_run_leaves(folders, runs, s):
    for name, folder in folders.items():
        table = pd.read_parquet(folder / "predictions.parquet").set_index("slice_id")
        assert list(table.index) == list(runs[name].test_ids)
        p = table[[f"p_{c}" for c in runs[name].classes]]
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
        np.testing.assert_array_equal(table["probability"], table["p_covid"])
        assert (table["label"] == (s.table.loc[table.index, "finding"] == "covid")).all()
        timing = json.loads((folder / "timing.json").read_text())
        assert timing["exams_seen"] == 2 * len(runs[name].training_ids) and timing["flops"] > 0
        assert not (folder / "checkpoint.pt").exists()


def test_the_loaded_network_says_what_was_predicted(folders, runs, s):
    for name, folder in folders.items():
        run = runs[name]
        logits = torch.from_numpy(in_batches(Final(load(run, folder)), s.of(run.test_ids)))
        at = outputs(run.classes).index("covid")
        known = pd.read_parquet(folder / "predictions.parquet")["probability"]
        np.testing.assert_allclose(logits.softmax(1)[:, at], known, atol=1e-5)


def test_alpha_and_the_betas_are_trained_and_written_down(folders):
    history = pd.read_csv(folders["dsn_saal"] / "history.csv")
    factors = ["alpha", *(f"beta_{i}" for i in range(1, 7))]
    assert ((history[factors] > 0) & (history[factors] < 1)).all(axis=None)
    assert (history[factors].diff().iloc[1:] != 0).all(axis=None)
    assert "alpha" not in pd.read_csv(folders["ce"] / "history.csv")


def test_decay_leaves_alpha_and_beta_alone(tmp_path):
    """With no gradient on them, weight decay alone would pull both raw values towards 0."""
    loss = SelfAdaptiveAuxiliaryLoss([5, 5, 5], 1)
    start = [loss.raw_alpha.item(), *loss.raw_betas.tolist()]
    model = slice_classifier.WithLoss(torch.nn.Linear(4, 3), loss)

    def loss_of(model, index, generator):
        return sum(
            x.sum() for x in model(torch.ones(len(index), 4))
        ) + 0 * loss.raw_alpha + 0 * loss.raw_betas.sum(), {}

    known = {"epochs": 3, "batch_size": 4, "learning_rate": 0.1, "seed": 0, "device": torch.device("cpu")}
    loop.fit(model, 8, loss_of, folder=tmp_path, optimiser="sgd", weight_decay=0.5, **known)
    assert [loss.raw_alpha.item(), *loss.raw_betas.tolist()] == start
    assert model.network.weight.abs().max() < 100


def test_a_killed_run_goes_on_with_the_same_numbers(runs, folders, s, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    factors, calls = slice_classifier._factors, []

    def killed(epoch, model):
        calls.append(epoch)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return factors(epoch, model)

    monkeypatch.setattr(slice_classifier, "_factors", killed)
    with pytest.raises(KeyboardInterrupt):
        runs["dsn_saal"].train(s, tmp_path)
    monkeypatch.setattr(slice_classifier, "_factors", factors)
    resumed = pd.read_csv(runs["dsn_saal"].train(s, tmp_path) / "history.csv")
    whole = pd.read_csv(folders["dsn_saal"] / "history.csv")
    pd.testing.assert_frame_equal(resumed.drop(columns="seconds"), whole.drop(columns="seconds"), rtol=1e-4)


def test_the_key_holds_the_weights_content_and_not_what_was_spent(runs, tmp_path):
    run = runs["ce"]
    here, there = (Weights("x", tmp_path / place, "abc", "") for place in ("a", "b"))
    folder = with_method(run, weights=here).folder(tmp_path)
    assert folder == replace(with_method(run, weights=there), before=Spent(9.0, 3)).folder(tmp_path)
    assert folder != run.folder(tmp_path)


def test_augmented_slices_are_changed_and_the_plain_ones_are_not(s):
    data, labels = s.data[:4], torch.tensor([0, 1, 0, 1])
    seen = []

    class Keeps(torch.nn.Module):
        def forward(self, inputs):
            seen.append(inputs)
            return [torch.zeros(len(inputs), 2, requires_grad=True)]

        loss = staticmethod(lambda logits, labels: logits[0].sum())

    index, generator = torch.arange(4), torch.Generator().manual_seed(0)
    for augment in (False, True, True):
        slice_classifier.slices_loss(data, labels, augment)(Keeps(), index, generator)
    plain, first, second = seen
    torch.testing.assert_close(plain, data[:, None].float() / 255)
    assert first.shape == plain.shape and first.min() >= 0 and first.max() <= 1
    assert not torch.equal(first, plain) and not torch.equal(first, second)


def test_a_network_that_learnt_from_mirrored_slices_is_asked_about_both(runs, folders, s):
    run, network = runs["ce"], load(runs["ce"], folders["ce"])
    asked = s.of(run.test_ids)
    p = [torch.from_numpy(in_batches(Final(network), view)).softmax(1) for view in (asked, asked.flip(2))]
    at = outputs(run.classes).index("covid")
    said = slice_classifier.probabilities(network, asked, True, "float32")[:, at]
    np.testing.assert_allclose(said, (p[0][:, at] + p[1][:, at]) / 2, atol=1e-6)
    plain = slice_classifier.probabilities(network, asked, False, "float32")[:, at]
    np.testing.assert_allclose(plain, p[0][:, at], atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 1.0])
def test_so_many_labels_are_wrong_and_no_other(share):
    """By another class, each as likely; the wrong ones of a smaller share are wrong in a larger one too."""
    labels = torch.arange(3000) % 3
    changed = slice_classifier.mislabelled(labels, share, 3, seed=1)
    wrong = changed != labels
    assert wrong.sum() == round(share * 3000) and set(changed.tolist()) == {0, 1, 2}
    assert (labels == torch.arange(3000) % 3).all()  # those given stay as they are
    assert torch.equal(slice_classifier.mislabelled(labels, 1.0, 3, seed=1)[wrong], changed[wrong])
    if share:
        steps = ((changed - labels) % 3)[wrong]
        assert (steps == 1).double().mean().item() == pytest.approx(0.5, abs=2.25 / wrong.sum().item() ** 0.5)
        assert not torch.equal(slice_classifier.mislabelled(labels, share, 3, seed=2), changed)


def test_wrong_labels_train_another_network_and_are_asked_by_the_right_ones(q, s, folders, tmp_path):
    wrong = slice_steps.run(q, s, 0, wrong_labels=0.5)
    folder = sweep.sweep({"wrong": wrong}, s, tmp_path)["wrong"]
    found, right = (pd.read_parquet(f / "predictions.parquet") for f in (folder, folders["ce"]))
    assert found["label"].tolist() == right["label"].tolist()
    assert not np.allclose(found["probability"], right["probability"])
