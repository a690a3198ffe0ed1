"""The trimmed convolution and each way of the stem against torch's own, forward and backward, at even, odd and tiny sizes."""

from functools import partial
from itertools import product

import pytest
import torch
from monai.networks.nets.resnet import resnet18
from torch.nn import functional as F

from covid_study.networks.convolution3d import Stem, Trimmed, as_it_is, on_cells, on_shifts, way
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


DEPTHS = (1, *range(5, 10), 16)
SIZES = list(product(DEPTHS, (1, 8, 9), (2, 13)))


@pytest.mark.parametrize("stride, convolve, size", [
    *((2, on_cells, size) for size in SIZES), *((1, on_shifts, size) for size in SIZES),
    *((s, partial(as_it_is, stride=(s,) * 3), (z, 9, 13)) for s in (1, 2) for z in DEPTHS),
])  # fmt: skip
def test_every_way_gives_the_stem(stride, convolve, size):
    torch.manual_seed(0)
    given = torch.rand(2, 1, *size, dtype=torch.double), torch.randn(3, 1, 7, 7, 7, dtype=torch.double)
    expected = with_gradients(lambda v, w: F.conv3d(v, w, None, stride, 3), *given)
    for ours, theirs in zip(with_gradients(convolve, *given), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("convolve", [on_cells, on_shifts])
def test_matrix_units_get_eight_channels_with_the_channels_last(convolve, monkeypatch):
    taken, convolution = [], F.conv3d
    monkeypatch.setattr(F, "conv3d", lambda *given, **how: taken.append(given) or convolution(*given, **how))
    convolve(torch.rand(2, 1, 9, 12, 11), torch.randn(16, 1, 7, 7, 7))
    for values in taken[0]:
        assert values.shape[1] == 8 and values.is_contiguous(memory_format=torch.channels_last_3d)


def test_a_gpu_takes_neither_stem_as_it_is():
    for autocast in (False, True):
        assert way("cuda", 2, autocast) == "cells" and way("cuda", 1, autocast) == "shifts"
        assert {way("mps", s, autocast) for s in (1, 2)} == {way("cpu", 1, autocast)} == {"as it is"}


@pytest.mark.parametrize("stride, by_cells", [(2, True), (1, False)])
def test_the_stem_takes_cells_on_a_cpu_in_bf16_alone(monkeypatch, stride, by_cells):
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


@pytest.mark.parametrize("stride", [1, 2])
def test_the_stem_of_a_gpu_answers_as_that_of_a_cpu(monkeypatch, stride):
    """The whole network, in bf16 and in float32, with the way that a GPU takes."""
    torch.manual_seed(0)
    model, volumes = encoder(0.0625, stride).eval(), torch.rand(2, 1, 9, 24, 33)
    expected = model(volumes)
    monkeypatch.setattr("covid_study.networks.convolution3d.way", lambda _, *given: way("cuda", *given))
    torch.testing.assert_close(model(volumes), expected, rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(model(volumes).float(), expected, rtol=0.05, atol=0.05)


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
