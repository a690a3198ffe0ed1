"""Steps on a device other than the CPU: nothing is left behind on the host, and nothing there waits for a value.

PyTorch's device "meta" stands for a GPU, on any machine: it refuses operands that lie elsewhere, and has no values to read.
"""

from types import SimpleNamespace

import pytest
import torch
from tiny_runs import Killed
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from covid_study.losses.by_stage import slice_loss
from covid_study.losses.meta_weight_net import MetaWeighted, meta_weighted_loss
from covid_study.networks import backbones
from covid_study.networks.deep_supervision import DeepSupervision
from covid_study.pretext import contrastive, train
from covid_study.training import volume_classifier
from covid_study.training.slice_classifier import WithLoss, augmented, slices_loss
from covid_study.training.volume_classifier import Classifier, classifier_loss

DEVICE = torch.device("meta")
NETWORK = {"depth": 18, "width": 0.25, "stem_stride": 2, "precision": "float32"}
LOSSES = {
    "log_zero": -4.0,
    "focal_gamma": 2.0,
    "focal_alpha": 0.25,
    "class_balanced_beta": 0.99,
    "sce_alpha": 0.1,
    "sce_beta": 1.0,
}
PRETEXT = {
    "permutations": 10,
    "heads": "siamese",
    "gap": [2, 2, 2],
    "batch_size": 4,
    "learning_rate": 1e-3,
    "probe_every": 1,
}


class OnTheHost(torch.Generator):
    def __new__(cls, device=None):
        return super().__new__(cls)


class Without(torch.autocast):
    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    """What "meta" lacks of a GPU: random numbers and autocast of its own."""
    monkeypatch.setattr(torch, "Generator", OnTheHost)
    monkeypatch.setattr(torch, "autocast", Without)


class Copies(TorchDispatchMode):
    """Operations that took a tensor of the host, a number among them, to the device."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        made = operation(*args, **(kwargs or {}))
        given, out = (
            [x.device.type for x in tree_leaves(o) if isinstance(x, torch.Tensor)] for o in (args, made)
        )
        if "cpu" in given and DEVICE.type in out:
            self.found.append(operation)
        return made


def step(model: nn.Module, loss_of) -> None:
    """One step of `loop.fit`: nothing is copied to the device, and whatever is logged stays there."""
    model.to(DEVICE).train()
    index, generator = torch.arange(4, device=DEVICE), torch.Generator()
    with Copies() as copies:
        loss, measures = loss_of(model, index, generator)
        loss.backward()
    assert copies.found == []
    assert {value.device for value in (loss, *measures.values())} == {DEVICE}
    assert {p.grad.device for p in model.parameters() if p.grad is not None} == {DEVICE}


def one_step(model: nn.Module, n: int, loss_of, **_):
    """In place of `loop.fit`."""
    step(model, loss_of)
    raise Killed


def volumes(n: int = 6) -> torch.Tensor:
    return torch.zeros((n, 16, 16, 16), dtype=torch.uint8, device=DEVICE)


def slices(n: int = 6) -> torch.Tensor:
    return torch.zeros((n, 32, 32), dtype=torch.uint8, device=DEVICE)


def small() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )


def labels(n: int = 6) -> torch.Tensor:
    return torch.zeros(n, dtype=torch.long, device=DEVICE)


@pytest.mark.parametrize("strategy", ["none", "oversampling", "ohem", "focal"])
def test_a_classifier_of_volumes(strategy):
    online = {"strategy": strategy, "ohem_share": 0.5, "focal_gamma": 2.0, "focal_alpha": 0.25}
    model = Classifier(*volume_classifier.build(NETWORK), 2)
    step(model, classifier_loss(volumes(), labels(), (0.9, 1.1), True, online))


@pytest.mark.parametrize("loss", ["ce", "focal", "class_balanced", "sce", "saal"])
def test_a_classifier_of_slices(loss):
    model = WithLoss(small(), slice_loss(loss, LOSSES, [3, 2, 1], 1))
    step(model, slices_loss(slices(), labels(), augment=loss == "ce"))


def test_dsn_saal():
    model = WithLoss(
        DeepSupervision(backbones.build("mobilenet_v2", 3)), slice_loss("saal", LOSSES, [3, 2, 1], 6)
    )
    step(model, slices_loss(slices(), labels()))


@pytest.mark.parametrize("masking", [False, True])
def test_pre_training(masking, monkeypatch, tmp_path):
    monkeypatch.setattr(train, "fit", one_step)
    monkeypatch.setattr(train, "_validate", lambda *_: {})
    probe = SimpleNamespace(measure=lambda _: {})
    given = {
        "network": NETWORK,
        "pretext": PRETEXT,
        "masking": masking,
        "seed": 0,
        "probe": probe,
        "device": DEVICE,
        "epochs": 1,
    }
    with pytest.raises(Killed):
        train.train_pretext(tmp_path, volumes(), volumes(2), **given)


def test_self_trans(monkeypatch, tmp_path):
    monkeypatch.setattr(contrastive, "fit", one_step)
    with pytest.raises(Killed):
        contrastive.train_contrastive(tmp_path, slices(), small(), epochs=1, batch_size=4, seed=0)


@pytest.mark.parametrize("prepare", [None, augmented], ids=["as they are", "augmented"])
def test_meta_weights_in_two_steps(prepare, monkeypatch):
    """What is read of the labels before training may wait; a step of the weighing network may not."""
    classes = torch.tensor([0, 0, 1, 1, 2, 2])
    loss_of = meta_weighted_loss(slices(), classes, slices(), classes, step=0.1, every=2, prepare=prepare)
    cells = dict(zip(loss_of.__code__.co_freevars, loss_of.__closure__, strict=True))
    for name in ("labels", "meta_labels", "counts", "numbers"):
        cells[name].cell_contents = cells[name].cell_contents.to(DEVICE)
    model = MetaWeighted(small()).to(DEVICE)
    monkeypatch.setattr(model, "optimiser", torch.optim.Adam(model.weight_net.parameters()))
    step(model, loss_of)
    step(model, loss_of)
    assert model.steps == 2


def test_what_the_stand_in_refuses():
    """Or the tests above could not fail."""
    with pytest.raises(RuntimeError, match="device"):
        torch.zeros(3, device=DEVICE) + torch.zeros(3)
    with pytest.raises(RuntimeError, match="item"):
        bool(torch.zeros((), device=DEVICE) > 0)
    with pytest.raises(NotImplementedError):
        torch.bincount(labels())
    with Copies() as copies:
        torch.zeros(3).to(DEVICE)
    assert len(copies.found) == 1
