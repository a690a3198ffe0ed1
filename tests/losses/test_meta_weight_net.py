"""Meta-Weight-Net: the meta-gradient in closed form, what stays untouched, resuming, and what it does to wrong labels."""

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_runs import BF16, CPU, Killed
from torch import nn
from torch.nn import functional as F

from covid_study.errors import StudyError
from covid_study.losses.meta_weight_net import MetaWeighted, meta_set, meta_weighted_loss
from covid_study.samples.batch import to_input
from covid_study.training import loop

SIDE = 4


def small_network(seed: int = 0, classes: int = 2) -> nn.Module:
    torch.manual_seed(seed)
    body = [nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*body, nn.Linear(4 * SIDE * SIDE, classes))


def problem(n: int, seed: int = 0, wrong: float = 0.0, positives: float = 0.5):
    """Slices of noise, the positives brighter on the left; a share of the labels is wrong."""
    generator = torch.Generator().manual_seed(seed)
    truth = (torch.arange(n) < n * positives).long()
    slices = torch.randint(0, 80, (n, SIDE, SIDE), generator=generator)
    slices[truth == 1, :, :2] += 150
    flipped = torch.rand(n, generator=generator) < wrong
    return slices.to(torch.uint8), torch.where(flipped, 1 - truth, truth), flipped


def train(folder, model, *, epochs=4, wrong=0.0, n=24, step=1e-2, **settings) -> pd.DataFrame:
    folder.mkdir(exist_ok=True)
    slices, labels, _ = problem(n, wrong=wrong)
    meta_slices, meta_labels, _ = problem(40, seed=1)
    settings = {"batch_size": 8, "learning_rate": 1e-2, "seed": 3, "device": CPU} | settings
    loss_of = meta_weighted_loss(slices, labels, meta_slices, meta_labels, step=step)
    return loop.fit(model, n, loss_of, epochs=epochs, folder=folder, **settings)


def test_the_meta_gradient_in_closed_form():
    """d meta / d V = -step / n * (gradient on the meta set after the trial step) . (gradient of the sample's loss)."""
    rng, n, m, step = np.random.default_rng(0), 6, 5, 0.7
    x, y = rng.normal(size=(n, 3)), rng.integers(0, 2, n)
    meta_x, meta_y = rng.normal(size=(m, 3)), rng.integers(0, 2, m)
    torch.manual_seed(1)
    model = MetaWeighted(nn.Linear(3, 2))
    theta = np.column_stack([p.detach().double().numpy() for p in model.network.parameters()])  # (2, 4)
    w1, b1, w2, b2 = (p.detach().double().numpy() for p in model.weight_net.parameters())

    def of(theta, x, y):  # losses (n,) and their gradients (n, 2, 4) of softmax regression
        x = np.column_stack([x, np.ones(len(x))])
        p = np.exp(x @ theta.T)
        p /= p.sum(1, keepdims=True)
        return -np.log(p[np.arange(len(y)), y]), (p - np.eye(2)[y])[:, :, None] * x[:, None, :]

    losses, gradients = of(theta, x, y)
    hidden = np.maximum(losses[:, None] * w1[:, 0] + b1, 0)
    v = 1 / (1 + np.exp(-(hidden @ w2[0] + b2)))
    tried = theta - step * (v[:, None, None] * gradients).mean(0)
    meta_losses, meta_gradients = of(tried, meta_x, meta_y)
    towards = -step / n * np.einsum("jab,ab->j", gradients, meta_gradients.mean(0)) * v * (1 - v)
    active = (hidden > 0) * w2[0]
    expected = [
        ((towards * losses) @ active)[:, None],
        towards @ active,
        (towards @ hidden)[None],
        [towards.sum()],
    ]

    batches = [torch.tensor(a, dtype=torch.float32) for a in (x, meta_x)]
    loss = model.meta_loss(batches[0], torch.tensor(y), batches[1], torch.tensor(meta_y), step=step)
    assert loss.item() == pytest.approx(meta_losses.mean(), rel=1e-5)
    ours = torch.autograd.grad(loss, tuple(model.weight_net.parameters()))
    assert max(np.abs(e).max() for e in expected) > 1e-3
    for gradient, e in zip(ours, expected, strict=True):
        np.testing.assert_allclose(gradient.numpy(), e, rtol=1e-3, atol=1e-7)


def test_a_meta_step_moves_the_weighing_network_downhill_and_leaves_the_classifier_alone():
    slices, labels, _ = problem(12, wrong=0.4)
    meta_slices, meta_labels, _ = problem(8, seed=1)
    inputs, meta_inputs = to_input(slices), to_input(meta_slices)
    model = MetaWeighted(small_network()).train()
    before = {name: values.clone() for name, values in model.network.state_dict().items()}
    weights = [p.clone() for p in model.weight_net.parameters()]
    batches = (inputs, labels, meta_inputs, meta_labels)
    losses = [float(model.learn_weights(*batches, step=1.0)) for _ in range(20)]
    assert losses[-1] < losses[0]
    for name, values in model.network.state_dict().items():  # running statistics too
        assert torch.equal(values, before[name]), name
    assert not any(torch.equal(a, b) for a, b in zip(weights, model.weight_net.parameters(), strict=True))
    assert all(p.grad is None for p in model.parameters())


def test_the_loss_is_weighted_by_the_weights_just_learnt_and_trains_the_classifier_alone():
    slices, labels, _ = problem(9, positives=0.4)  # 4 of 9
    meta_slices, meta_labels, _ = problem(8, seed=1)
    model = MetaWeighted(small_network()).eval()  # so that the network can be asked twice
    loss_of = meta_weighted_loss(slices, labels, meta_slices, meta_labels, step=0.1)
    untrained = model.weight_net.layers[0].weight.clone()
    logged, weights = {"weight_0": 0.0, "weight_1": 0.0}, torch.zeros(9)
    for index in torch.arange(9).split(6):
        loss, measures = loss_of(model, index, torch.Generator().manual_seed(0))
        losses = F.cross_entropy(model(to_input(slices[index])), labels[index], reduction="none")
        weights[index] = model.weight_net(losses).detach()
        torch.testing.assert_close(loss, (weights[index] * losses).mean())
        for name in logged:  # as `fit` adds up
            logged[name] += float(measures[name]) * len(index) / 9
    assert logged["weight_0"] == pytest.approx(float(weights[labels == 0].mean()), rel=1e-5)
    assert logged["weight_1"] == pytest.approx(float(weights[labels == 1].mean()), rel=1e-5)
    assert not torch.equal(untrained, model.weight_net.layers[0].weight)
    loss.backward()
    assert all(p.grad is None for p in model.weight_net.parameters())
    assert all(p.grad is not None for p in model.network.parameters())


@pytest.mark.parametrize("precision", ["float32", BF16])
def test_killed_and_resumed_with_the_state_of_the_weighing_network(tmp_path, monkeypatch, precision):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    whole = MetaWeighted(small_network())
    expected = train(tmp_path / "whole", whole, precision=precision)

    def kill(epoch, model):
        if epoch == 3:
            raise Killed
        return {}

    with pytest.raises(Killed):
        train(tmp_path / "killed", MetaWeighted(small_network()), after_epoch=kill, precision=precision)
    resumed = MetaWeighted(small_network(seed=99))
    history = train(tmp_path / "killed", resumed, precision=precision)
    ours, theirs = resumed.state_dict(), whole.state_dict()
    adam = [s.pop("_extra_state")["optimiser"]["state"] for s in (ours, theirs)]
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert adam[0][0]["step"] == 12  # 4 epochs of 3 batches
    assert all(torch.equal(adam[0][i][k], adam[1][i][k]) for i in adam[1] for k in adam[1][i])
    pd.testing.assert_frame_equal(history.drop(columns="seconds"), expected.drop(columns="seconds"))


def test_wrong_labels_get_smaller_weights(tmp_path):
    """A quarter of the labels is wrong; the meta set's are right."""
    torch.manual_seed(0)
    model = MetaWeighted(nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 2)), learning_rate=1e-2)
    settings = {"epochs": 25, "batch_size": 16, "learning_rate": 2e-2, "step": 0.1}
    history = train(tmp_path / "a", model, n=96, wrong=0.25, **settings)
    slices, labels, flipped = problem(96, wrong=0.25)
    assert 16 <= int(flipped.sum()) <= 32
    with torch.no_grad():
        losses = F.cross_entropy(model(to_input(slices)), labels, reduction="none")
        weights = model.weight_net(losses)
    assert weights[flipped].mean() < 0.5 * weights[~flipped].mean()  # 0.05 to 0.27 over four seeds
    assert history["meta_loss"].iloc[-1] < 0.7 * history["meta_loss"].iloc[0]


def test_the_meta_set_is_balanced_disjoint_and_takes_whole_patients_first():
    labels = np.repeat([0, 1, 2], [40, 20, 30])
    patients = np.arange(90) // 5  # five slices each
    train_rows, meta = meta_set(labels, patients, share=0.5, seed=0)
    assert np.bincount(labels[meta]).tolist() == [10, 10, 10]
    assert sorted([*train_rows, *meta]) == list(range(90))
    assert not set(patients[meta]) & set(patients[train_rows])  # ten slices are two whole patients
    assert len({tuple(meta_set(labels, patients, 0.5, seed)[1]) for seed in range(5)}) > 1
    assert np.array_equal(
        meta_set(labels, patients.astype(str), 0.5, 0)[1], meta_set(labels, patients.astype(str), 0.5, 0)[1]
    )


@pytest.mark.parametrize("share, taken", [(0.001, 1), (0.34, 1), (1.0, 2)])
def test_the_meta_set_leaves_a_slice_of_every_class_to_train_on(share, taken):
    labels = np.array([0, 0, 0, 0, 2, 2, 2])  # no slice of class 1
    train_rows, meta = meta_set(labels, list("abcdefg"), share, seed=0)
    assert np.bincount(labels[meta]).tolist() == [taken, 0, taken]
    assert set(labels[train_rows]) == {0, 2}


def test_a_class_with_one_slice_is_an_error_for_people():
    with pytest.raises(StudyError, match="two training slices.*comparison.meta_share: 0"):
        meta_set(np.array([0, 0, 1]), ["a", "b", "c"], share=0.1, seed=0)


def test_the_weighing_network_may_learn_at_every_third_step_alone(monkeypatch):
    model, stepped = MetaWeighted(small_network()), []
    slices, labels, _ = problem(24)
    meta_slices, meta_labels, _ = problem(40, seed=1)
    learn = MetaWeighted.learn_weights

    def counted(self, *batches, step):
        stepped.append(int(self.steps))
        return learn(self, *batches, step=step)

    monkeypatch.setattr(MetaWeighted, "learn_weights", counted)
    loss_of = meta_weighted_loss(slices, labels, meta_slices, meta_labels, step=1e-2, every=3)
    logged = [loss_of(model, torch.arange(8), torch.Generator())[1]["meta_loss"].item() for _ in range(7)]
    assert stepped == [0, 3, 6] and int(model.steps) == 7
    assert logged[0] == logged[1] == logged[2] != logged[3] == logged[5] != logged[6]
