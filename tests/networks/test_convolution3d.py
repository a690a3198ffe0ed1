"""The trimmed convolution and the stem on cells against torch's own, forward and backward, at even, odd and tiny sizes."""

from itertools import product

import pytest
import torch
from monai.networks.nets.resnet import resnet18
from torch.nn import functional as F

from covid_study.networks.convolution3d import Stem, Trimmed, on_cells
from covid_study.networks.resnet3d import encoder
from covid_study.training.loop import counted_flops


def with_gradients(convolve, *leaves: torch.Tensor) -> list[torch.Tensor]:
    """What it gives, and the gradients of a weighted sum of it."""
    leaves = [leaf.detach().clone().requires_grad_() for leaf in leaves]
    result = convolve(*leaves)
    weights = torch.linspace(-1, 2, result.numel(), dtype=result.dtype).view(result.shape)
    return [result, *torch.autograd.grad((result * weights).sum(), leaves)]


@pytest.mark.parametrize("stride", [1, 2])
def test_trimmed_is_the_convolution(stride):
    torch.manual_seed(0)
    layer = Trimmed(4, 6, 3, stride, padding=1, bias=False).double()

    def trimmed(volumes, weight):
        return torch.func.functional_call(layer, {"weight": weight}, volumes)

    for size in product((1, 2, 3, 5), repeat=3):
        given = torch.randn(2, 4, *size, dtype=torch.double), layer.weight
        expected = with_gradients(lambda v, w: F.conv3d(v, w, None, stride, 1), *given)
        for ours, theirs in zip(with_gradients(trimmed, *given), expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_trimmed_leaves_out_what_only_padding_meets():
    layer = Trimmed(4, 6, 3, padding=1, bias=False).to(memory_format=torch.channels_last_3d)
    volumes = torch.rand(1, 4, 1, 5, 5)
    assert (
        counted_flops(layer, lambda: layer(volumes).sum()) == 2 * 2 * 25 * 6 * 4 * 9
    )  # 9 of 27; no gradient of volumes
    layer(volumes).sum().backward()
    assert layer.weight.grad.stride() == layer.weight.stride()  # so nothing is copied into the weights' order


@pytest.mark.parametrize("size", product((1, 5, 6, 7, 16), (1, 8, 9), (2, 13)))
def test_cells_give_the_stem(size):
    torch.manual_seed(0)
    given = torch.rand(2, 1, *size, dtype=torch.double), torch.randn(3, 1, 7, 7, 7, dtype=torch.double)
    expected = with_gradients(lambda v, w: F.conv3d(v, w, None, 2, 3), *given)
    for ours, theirs in zip(with_gradients(on_cells, *given), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("stride, by_cells", [(2, True), (1, False)])
def test_the_stem_takes_cells_in_bf16_alone(monkeypatch, stride, by_cells):
    torch.manual_seed(0)
    asked = []
    monkeypatch.setattr(
        "covid_study.networks.convolution3d.on_cells", lambda *given: asked.append(1) or on_cells(*given)
    )
    stem, volumes = Stem(1, 4, 7, stride, padding=3, bias=False), torch.rand(2, 1, 9, 12, 8)
    plain = stem(volumes)
    assert not asked
    with torch.autocast("cpu", torch.bfloat16):
        rounded = stem(volumes)
    assert rounded.dtype == torch.bfloat16 and bool(asked) == by_cells
    torch.testing.assert_close(rounded.float(), plain, rtol=0.02, atol=0.02)


def test_weights_are_monais():
    """By name and shape, so that its files fit; and it answers the same."""
    theirs = resnet18(
        spatial_dims=3, n_input_channels=1, conv1_t_stride=2, feed_forward=False, widen_factor=0.125
    )
    ours = encoder(0.125).eval()
    ours.load_state_dict(theirs.state_dict())
    volumes = torch.rand(2, 1, 16, 24, 33)
    with torch.inference_mode():
        torch.testing.assert_close(ours(volumes), theirs.eval()(volumes), rtol=1e-4, atol=1e-5)
