"""The 2-D networks: grey like the coloured original, what they are asked to hand out, what class activation maps need."""

import builtins
from functools import cache
from typing import get_args

import pytest
import torch
from monai.visualize import GradCAM

from covid_study.errors import ParameterError
from covid_study.networks import torchvision_compat  # noqa: F401
from covid_study.networks.backbones import NAMES, build, classifier_name, features, last_convolution, stages
from covid_study.params.sections import Backbone


@cache
def network(name):
    """Built once, for tests that leave it as it is."""
    torch.manual_seed(0)
    return build(name).eval()


def unallocated(name, **settings):
    """The network without its numbers: for what follows from its shape alone."""
    with torch.device("meta"):
        return build(name, **settings).eval()


def test_the_parameters_know_the_same_names():
    assert set(get_args(Backbone)) == set(NAMES)


def test_a_grey_network_answers_as_the_original_to_grey_on_three_channels():
    from torchvision.models import mobilenet_v2

    torch.manual_seed(3)
    original = mobilenet_v2(weights=None, num_classes=3)
    torch.manual_seed(3)
    grey = build("mobilenet_v2")
    images = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        ours, theirs = grey.features(images), original.features(images.repeat(1, 3, 1, 1))
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    assert theirs.std() > 0.1
    torch.testing.assert_close(grey.classifier[1].weight, original.classifier[1].weight)


@pytest.mark.parametrize("name", ["resnet50", "densenet121"])
def test_features_are_what_the_classifier_multiplies(name):
    model, images = network(name), torch.rand(2, 1, 64, 64)
    classifier = model.get_submodule(classifier_name(model))
    with torch.no_grad():
        logits = model(images)
        torch.testing.assert_close(classifier(features(model, images)), logits)
        assert (logits - classifier.bias).abs().max() > 0.01
    assert not classifier._forward_pre_hooks  # nothing is left behind


@pytest.mark.parametrize("name", NAMES)
def test_logits_of_the_classes_and_each_stage_with_half_the_resolution_of_the_one_before(name):
    model, sides = unallocated(name, classes=2), []
    for stage in stages(model):
        model.get_submodule(stage[-1]).register_forward_hook(
            lambda _module, _inputs, output: sides.append(output.shape[-1])
        )
    assert model(torch.zeros(2, 1, 224, 224, device="meta")).shape == (2, 2)
    assert model.get_submodule(classifier_name(model)).out_features == 2
    if name != "alexnet":  # its pools are wider
        assert sides == ([224, 112, 56, 28, 14] if name == "vgg16_bn" else [112, 56, 28, 14, 7])


def test_vgg_is_watched_behind_each_of_its_13_convolutions():
    model = unallocated("vgg16_bn")
    watched = [int(name.split(".")[1]) for stage in stages(model) for name in stage]
    convolutions = [i for i, module in enumerate(model.features) if isinstance(module, torch.nn.Conv2d)]
    assert watched == [i + 2 for i in convolutions]
    assert all(isinstance(model.features[i], torch.nn.ReLU) for i in watched)


def test_a_class_activation_map_is_the_gradient_times_the_maps():
    """Selvaraju et al. (2017), eq. 1 and 2, by hand on the maps that `last_convolution` names."""
    torch.manual_seed(0)
    model, images = unallocated("vgg16_bn"), torch.rand(1, 1, 32, 32)
    model.classifier = torch.nn.Linear(512 * 7 * 7, 3)  # one small layer for three of 120 million weights
    model.features.to_empty(device="cpu").apply(
        lambda m: hasattr(m, "reset_parameters") and m.reset_parameters()
    )
    maps = model.features[:43](images)
    logits = model.classifier(model.avgpool(model.features[43:](maps)).flatten(1))
    (gradient,) = torch.autograd.grad(logits[0, 1], maps)
    by_hand = (gradient.mean((2, 3), keepdim=True) * maps).sum(1, keepdim=True).relu()
    drawn = GradCAM(model, last_convolution(model), upsampler=None, postprocessing=None).compute_map(
        images, 1
    )
    torch.testing.assert_close(drawn / by_hand.max(), by_hand / by_hand.max(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_lite0", "googlenet"])
def test_batch_normalisation_follows_short_trainings(name):
    momenta = {m.momentum for m in unallocated(name).modules() if isinstance(m, torch.nn.BatchNorm2d)}
    assert momenta == {0.1}


def test_an_unknown_network_and_a_missing_package_are_said(monkeypatch):
    with pytest.raises(ParameterError, match="resnet18.*choose one of vgg16_bn"):
        build("resnet18")
    found = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("efficientnet_lite"):
            raise ImportError(name)
        return found(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ParameterError, match="pip install efficientnet-lite-pytorch"):
        build("efficientnet_lite0")
