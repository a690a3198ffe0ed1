"""Contrastive pre-training: what a view is, the loss against a formula of its own, files, resuming, learning."""

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import Killed
from torch import nn
from torch.nn import functional as F

from covid_study.networks.backbones import build, features
from covid_study.networks.weights import load_body
from covid_study.pretext import contrastive as module
from covid_study.pretext.contrastive import found, train_contrastive, view
from covid_study.samples.batch import to_input
from covid_study.training import loop

SIDE = 16
STRENGTH = (module.AREA, module.CHANGE)


def small_backbone(seed: int = 0, classes: int = 3) -> nn.Module:
    torch.manual_seed(seed)
    body = [nn.Conv2d(1, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten()]
    return nn.Sequential(*body, nn.Linear(128, classes))


def slices(n: int = 12) -> torch.Tensor:
    """Each slice has its own coarse pattern, which crops keep."""
    coarse = torch.rand((n, 1, 3, 3), generator=torch.Generator().manual_seed(0))
    return (F.interpolate(coarse, SIDE, mode="bilinear")[:, 0] * 255).to(torch.uint8)


def pretrain(folder, backbone, **settings) -> pd.DataFrame:
    folder.mkdir(exist_ok=True)
    settings = {"epochs": 3, "batch_size": 4, "learning_rate": 1e-2, "seed": 1} | settings
    return train_contrastive(folder, slices(), backbone, **settings)


def test_the_loss_is_nt_xent(monkeypatch, tmp_path):
    kept = {}

    def keep(model, n, loss_of, **_):
        kept.update(model=model.eval(), loss_of=loss_of)
        raise Killed

    monkeypatch.setattr(module, "fit", keep)
    with pytest.raises(Killed):
        pretrain(tmp_path, small_backbone(), temperature=0.3)
    index, generator = torch.tensor([7, 2, 5]), torch.Generator().manual_seed(4)
    loss, measures = kept["loss_of"](kept["model"], index, torch.Generator().manual_seed(4))
    images = to_input(slices()[index])
    views = [view(images, generator, *STRENGTH) for _ in range(2)]
    z = F.normalize(kept["model"](torch.cat(views)), dim=1)
    total = 0.0
    for i in range(6):  # Chen et al. 2020, eq. 1
        partner = (i + 3) % 6
        others = [k for k in range(6) if k != i]
        similarity = z[i] @ z[others].T / 0.3
        total = total - similarity[others.index(partner)] + torch.logsumexp(similarity, 0)
    torch.testing.assert_close(loss, total / 6)
    torch.testing.assert_close(measures["found"], found(z))


def test_found():
    first = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert found(torch.cat([first, 5 * first])) == 1.0
    assert found(torch.cat([first, first.roll(1, 0)])) == 0.0


def test_the_encoder_serves_a_network_with_other_classes(tmp_path):
    torch.manual_seed(0)
    backbone = build("mobilenet_v2", classes=3)
    pretrain(tmp_path, backbone, epochs=1, batch_size=12)
    other = build("mobilenet_v2", classes=2)
    head = other.classifier[1].weight.clone()
    images = to_input(slices(2))
    with torch.no_grad():
        before = features(other.eval(), images)
        load_body(other, tmp_path)
        after, expected = features(other.eval(), images), features(backbone.eval(), images)
    torch.testing.assert_close(after, expected)
    assert not torch.allclose(before, after) and torch.equal(other.classifier[1].weight, head)


def test_killed_and_resumed_gives_the_same_encoder(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    expected = pretrain(tmp_path / "whole", small_backbone())
    views = []

    def dying(images, generator, *strength):
        views.append(len(images))
        if len(views) == 9:  # in the second of three epochs of three batches, two views each
            raise Killed
        return view(images, generator, *strength)

    with monkeypatch.context() as patch:
        patch.setattr(module, "view", dying)
        with pytest.raises(Killed):
            pretrain(tmp_path / "killed", small_backbone())
    assert (tmp_path / "killed" / "checkpoint.pt").is_file()
    history = pretrain(tmp_path / "killed", small_backbone(seed=99))
    ours, theirs = (load_file(tmp_path / name / "encoder.safetensors") for name in ("killed", "whole"))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)
    pd.testing.assert_frame_equal(history.drop(columns="seconds"), expected.drop(columns="seconds"))


def test_a_backbone_that_is_moved_to_a_device_can_still_be_trained(monkeypatch, tmp_path):
    """The first move copies, as one to a GPU does: no copy may be made where gradients are off for good."""
    arrived, move = set(), torch.Tensor.to

    def to(tensor, *where, **how):
        tensor = move(tensor, *where, **how)
        tensor = tensor if tensor.data_ptr() in arrived else tensor.clone()
        arrived.add(tensor.data_ptr())
        return tensor

    monkeypatch.setattr(torch.__future__, "get_overwrite_module_params_on_conversion", lambda: True)
    monkeypatch.setattr(torch.Tensor, "to", to)
    assert len(pretrain(tmp_path, small_backbone(), epochs=1)) == 1
