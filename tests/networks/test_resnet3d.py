"""The 3-D ResNet-18: its sizes by formula, its features and its gradients."""

import pytest
import torch

from covid_study.networks.resnet3d import Classifier, encoder, n_features

SHAPE = (16, 24, 32)


def parameters_of_a_resnet(kind: str, blocks: list[int]) -> int:
    """By hand, He et al. 2016, table 1, in three dimensions: one grey channel, no last layer, shortcuts with a bias (MONAI)."""

    def layer(size: int, inputs: int, outputs: int) -> int:
        return size**3 * inputs * outputs + 2 * outputs  # a convolution and its normalisation

    total, inputs = layer(7, 1, 64), 64
    for stage, n in enumerate(blocks):
        planes = 64 * 2**stage
        outputs = planes * (4 if kind == "bottleneck" else 1)
        for block in range(n):
            if kind == "basic":
                total += layer(3, inputs, planes) + layer(3, planes, planes)
            else:
                total += layer(1, inputs, planes) + layer(3, planes, planes) + layer(1, planes, outputs)
            if block == 0 and (inputs != outputs or stage):
                total += layer(1, inputs, outputs) + outputs
            inputs = outputs
    return total


@pytest.mark.parametrize(
    "depth, kind, blocks", [(18, "basic", [2, 2, 2, 2]), (50, "bottleneck", [3, 4, 6, 3])]
)
def test_parameters_of_both_depths(depth, kind, blocks):
    with torch.device("meta"):  # nothing of it hangs on the weights
        net = encoder(depth=depth).eval()
        assert net(torch.zeros(1, 1, *SHAPE)).shape == (1, n_features(1.0, depth))
    assert sum(p.numel() for p in net.parameters()) == parameters_of_a_resnet(kind, blocks)


@pytest.mark.parametrize("stride, sizes", [(2, [(4, 6, 8), (1, 1, 1)]), (1, [(8, 12, 16), (1, 2, 2)])])
def test_stem_stride_sets_the_resolution(stride, sizes):
    net, seen = encoder(0.125, stride).eval(), []
    for layer in (net.layer1, net.layer4):
        layer.register_forward_hook(lambda _module, _args, out: seen.append(tuple(out.shape[2:])))
    with torch.inference_mode():
        net(torch.rand(1, 1, *SHAPE))
    assert seen == sizes


def test_features_are_averages_of_what_the_last_layer_lets_through():
    torch.manual_seed(0)
    net, maps = encoder(0.25, stem_stride=1).eval(), []
    net.layer4.register_forward_hook(lambda _module, _args, out: maps.append(out))
    with torch.inference_mode():
        features = net(torch.randn(3, 1, *SHAPE))
    assert (features >= 0).all() and (features > 0).any()
    torch.testing.assert_close(features, maps[0].mean((2, 3, 4)))


def test_the_classifier_is_one_linear_layer_on_the_features():
    net = Classifier(encoder(0.0625), 32).eval()
    volumes = torch.rand(2, 1, *SHAPE)
    with torch.inference_mode():
        expected = net.encoder(volumes) @ net.head.weight.T + net.head.bias
        torch.testing.assert_close(net(volumes), expected)
    assert net.head.weight.shape == (2, 32)


@pytest.mark.parametrize("depth", [5, 6, 7, 8])
def test_gradient_of_the_stem_is_that_of_the_convolution(depth):
    torch.manual_seed(0)
    stem = encoder(0.25).conv1
    plain = torch.nn.Conv3d(1, 16, 7, 2, 3, bias=False).double()
    plain.weight.data = stem.weight.data.double()
    inputs = torch.rand(4, 1, depth, 18, 24)
    expected = plain(inputs.double())
    outputs = stem(inputs)
    torch.testing.assert_close(outputs, expected.float(), rtol=1e-4, atol=1e-4)
    weights = torch.rand_like(expected)
    expected.backward(weights)
    outputs.backward(weights.float())
    torch.testing.assert_close(stem.weight.grad, plain.weight.grad.float(), rtol=1e-3, atol=1e-2)
