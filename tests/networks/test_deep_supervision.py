"""Deep supervision: its side classifiers, its arithmetic, its gradients, and that it leaves the backbone as it is."""

import copy

import pytest
import torch
from torch import nn

from covid_study.networks import backbones
from covid_study.networks.backbones import NAMES, build, stages
from covid_study.networks.deep_supervision import Auxiliary, DeepSupervision, sizes


def test_the_side_classifiers_of_vgg_are_as_3_2_describes_them():
    """13 convolutions beside 4224 channels; the paper prints 134.32 M (all sizes of Table 4: tests/tables/test_paper_b.py)."""
    ours = sizes("vgg16_bn", classes=3)
    side = 21 * 4224 + 13 * 21
    assert ours["dsn"] - ours["baseline"] == side + 5 * (21 + 1) + 5 * (49 * 3 + 3)


def test_an_auxiliary_classifier_by_hand():
    torch.manual_seed(0)
    auxiliary = Auxiliary([4, 6], classes=3)
    maps = [torch.rand(2, 4, 14, 14), torch.rand(2, 6, 14, 14)]
    summed = sum(
        torch.einsum("oc,ncyx->noyx", side.weight[:, :, 0, 0], part) + side.bias.view(1, -1, 1, 1)
        for side, part in zip(auxiliary.sides, maps, strict=True)
    )
    fused = torch.einsum("c,ncyx->nyx", auxiliary.fuse.weight[0, :, 0, 0], summed) + auxiliary.fuse.bias
    pooled = fused.view(2, 7, 2, 7, 2).mean((2, 4))
    logits = pooled.view(2, 49) @ auxiliary.classifier.weight.T + auxiliary.classifier.bias
    torch.testing.assert_close(auxiliary(maps), logits)


@pytest.fixture
def tiny(monkeypatch):
    """A network of five convolutions, one a stage, under deep supervision."""
    monkeypatch.setitem(backbones.STAGES, "tiny", [["0"], ["2"], ["4"], ["6"], ["8"]])
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(inplace=True)]
    for _ in range(4):
        layers += [nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.ReLU(inplace=True)]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    model.backbone = "tiny"
    return DeepSupervision(model)


def test_the_diagnosis_is_the_backbones_own(tiny):
    images = torch.rand(2, 1, 32, 32)
    logits = tiny(images)
    assert [tuple(part.shape) for part in logits] == [(2, 2)] * 6
    torch.testing.assert_close(logits[-1], tiny.backbone(images))


def test_each_stage_is_classified_from_its_own_maps(tiny):
    images, maps, logits = torch.rand(2, 1, 32, 32), None, []
    for i, layer in enumerate(tiny.backbone[:10]):
        maps = layer(images if maps is None else maps)
        if i % 2:  # what stands in the watched layer's output when the ReLU behind it has worked in place
            logits.append(tiny.auxiliaries[i // 2]([maps]))
    for ours, by_hand in zip(tiny(images)[:5], logits, strict=True):
        torch.testing.assert_close(ours, by_hand)


def leaves_of(output: torch.Tensor) -> set[int]:
    """The ids of the parameters that get a gradient from it."""
    found, seen, ahead = set(), set(), [output.grad_fn]
    while ahead:
        if (node := ahead.pop()) is not None and node not in seen:
            seen.add(node)
            found.add(id(getattr(node, "variable", None)))
            ahead += [before for before, _ in node.next_functions]
    return found


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"densenet169", "resnext50_32x4d"}))  # one of each kind
def test_a_loss_reaches_its_own_classifier_and_the_stages_before_it(name):
    with torch.device("meta"):  # which gradients there are does not hang on their values
        model = DeepSupervision(build(name, classes=2))
        reached = leaves_of(model(torch.zeros(2, 1, 64, 64))[2])
    of = [id(auxiliary.fuse.weight) in reached for auxiliary in model.auxiliaries]
    assert of == [False, False, True, False, False]
    parameters = list(model.backbone.parameters())
    assert id(parameters[0]) in reached  # of the first convolution
    assert id(parameters[-1]) not in reached  # of the backbone's classifier, behind the third stage


def test_the_watched_maps_are_rectified_in_resnet():
    torch.manual_seed(0)
    model, lowest = build("resnet50").eval(), []
    for layer in sum(stages(model), []):
        model.get_submodule(layer).register_forward_hook(
            lambda _module, _inputs, output: lowest.append(float(output.min()))
        )
    with torch.no_grad():
        model(torch.rand(1, 1, 64, 64))
    assert lowest == [0.0] * 5


def test_a_copy_does_not_write_into_the_original(tiny):
    twin, images = copy.deepcopy(tiny), torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(0.1)
        before, other, after = tiny(images), twin(images), tiny(images)
    for a, b, c in zip(before, after, other, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
        assert not torch.allclose(a, c, atol=0.01)
    assert not any(module._forward_hooks for module in tiny.modules())
