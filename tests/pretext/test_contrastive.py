"""Contrastive pre-training: what a view is, the loss against a formula of its own, files, resuming, learning."""

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from covid_study.networks.backbones import build, features
from covid_study.pretext import contrastive as module
from covid_study.pretext.contrastive import ContrastiveNet, found, load_encoder, train_contrastive, view
from covid_study.training import loop

SIDE = 16


class Killed(Exception):
    pass


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


def ramps(n: int) -> torch.Tensor:
    """(2 n, 1, 64, 64): n slices that rise from left to right, and n from top to bottom; the value is the place."""
    ramp = ((torch.arange(64.0) + 0.5) / 64).expand(n, 1, 64, 64)
    return torch.cat([ramp, ramp.transpose(2, 3)])


def test_a_view_is_a_crop_of_the_area_and_shape_that_are_said():
    n = 300
    across, down = (view(part, torch.Generator().manual_seed(3), change=0.0) for part in ramps(n).chunk(2))
    step_x = across[:, 0, 32, 40] - across[:, 0, 32, 24]  # sixteen pixels of the crop
    step_y = down[:, 0, 40, 32] - down[:, 0, 24, 32]
    width, height = step_x.abs() * 4, step_y.abs() * 4
    area = width * height
    assert area.min() > 0.19 and area.max() < 1.001
    # a crop that would be wider than the slice is cut at its sides, so the smallest area is not always reached by both
    inside = (width < 0.999) & (height < 0.999)
    assert area[inside].min() < 0.25 and area[inside].max() > 0.8
    shape = (width / height)[inside]
    assert 0.749 < shape.min() < 0.8 and 1.25 < shape.max() < 1.334
    assert (step_y > 0).all() and 0.4 < float(
        (step_x < 0).float().mean()
    ) < 0.6  # never upside down, half are mirrored
    centre = across[:, 0, 32, 31:33].mean(1)  # the crop lies anywhere inside the slice
    assert (centre >= width / 2 - 0.01).all() and (centre <= 1 - width / 2 + 0.01).all()
    assert centre.std() > 0.05


def test_the_whole_slice_unchanged_or_mirrored(monkeypatch):
    monkeypatch.setattr(module, "ASPECT", (1.0, 1.0))
    images = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    views = view(images, torch.Generator().manual_seed(1), area=(1.0, 1.0), change=0.0)
    same = [torch.allclose(a, b, atol=1e-5) for a, b in zip(views, images, strict=True)]
    mirrored = [torch.allclose(a, b.flip(2), atol=1e-5) for a, b in zip(views, images, strict=True)]
    assert all(a != b for a, b in zip(same, mirrored, strict=True)) and 5 < sum(same) < 35


def test_brightness_and_contrast():
    grey = view(torch.full((400, 1, 4, 4), 0.5), torch.Generator().manual_seed(0))
    level = grey[:, 0, 0, 0]
    assert torch.allclose(
        grey, level[:, None, None, None].expand_as(grey), atol=1e-6
    )  # contrast leaves one grey alone
    assert 0.3 <= level.min() < 0.32 and 0.68 < level.max() <= 0.7
    views = view(
        torch.rand(50, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.Generator().manual_seed(0)
    )
    assert views.min() >= 0 and views.max() <= 1


def test_the_loss_is_nt_xent(monkeypatch, tmp_path):
    kept = {}

    def keep(model, n, loss_of, **_):
        kept.update(model=model.eval(), loss_of=loss_of)
        raise Killed

    monkeypatch.setattr(module, "fit", keep)
    with pytest.raises(Killed):
        train_contrastive(
            tmp_path,
            slices(),
            small_backbone(),
            epochs=1,
            batch_size=4,
            learning_rate=1,
            seed=0,
            temperature=0.3,
        )
    index, generator = torch.tensor([7, 2, 5]), torch.Generator().manual_seed(4)
    loss, measures = kept["loss_of"](kept["model"], index, torch.Generator().manual_seed(4))
    images = loop.to_input(slices()[index])
    z = F.normalize(kept["model"](torch.cat([view(images, generator), view(images, generator)])), dim=1)
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


def test_files_and_history(tmp_path):
    backbone = small_backbone()
    head = backbone[5].weight.clone()
    history = pretrain(tmp_path / "a", backbone)
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["encoder.safetensors", "history.csv"]
    assert list(history) == ["epoch", "loss", "found", "seconds"]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "a" / "history.csv"), history)
    assert torch.equal(backbone[5].weight, head)  # the last linear layer is not trained, nor kept
    assert not any(name.startswith("5.") for name in load_file(tmp_path / "a" / "encoder.safetensors"))


def test_the_encoder_serves_a_network_with_other_classes(tmp_path):
    torch.manual_seed(0)
    backbone = build("mobilenet_v2", classes=3)
    pretrain(tmp_path, backbone, epochs=1, batch_size=12)
    other = build("mobilenet_v2", classes=2)
    head = other.classifier[1].weight.clone()
    images = loop.to_input(slices(2))
    with torch.no_grad():
        before = features(other.eval(), images)
        load_encoder(other, tmp_path)
        after, expected = features(other.eval(), images), features(backbone.eval(), images)
    torch.testing.assert_close(after, expected)
    assert not torch.allclose(before, after) and torch.equal(other.classifier[1].weight, head)


def test_killed_and_resumed_gives_the_same_encoder(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    expected = pretrain(tmp_path / "whole", small_backbone())
    views = []

    def dying(images, generator):
        views.append(len(images))
        if len(views) == 9:  # in the second of three epochs of three batches, two views each
            raise Killed
        return view(images, generator)

    with monkeypatch.context() as patch:
        patch.setattr(module, "view", dying)
        with pytest.raises(Killed):
            pretrain(tmp_path / "killed", small_backbone())
    assert (tmp_path / "killed" / "checkpoint.pt").is_file()
    history = pretrain(tmp_path / "killed", small_backbone())
    ours, theirs = (load_file(tmp_path / name / "encoder.safetensors") for name in ("killed", "whole"))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)
    pd.testing.assert_frame_equal(history.drop(columns="seconds"), expected.drop(columns="seconds"))


def test_it_learns_to_tell_slices_apart(tmp_path):
    history = pretrain(tmp_path, small_backbone(), epochs=60, batch_size=12, learning_rate=3e-3)
    first, last = history.iloc[:3].mean(), history.iloc[-20:].mean()
    assert last["found"] > first["found"] + 0.15  # a guess is right in 1 of 23
    assert last["loss"] < 0.75 * first["loss"]


def test_the_projection_head_of_a_wide_backbone_stays_small():
    head = ContrastiveNet(nn.Linear(1, 1), 4096).head
    assert [tuple(layer.weight.shape) for layer in (head[0], head[2])] == [(2048, 4096), (128, 2048)]
