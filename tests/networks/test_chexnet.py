"""Files of ChestX-ray weights as their makers name things, what fits of them, and the errors."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from covid_study.errors import ParameterError
from covid_study.networks import torchvision_compat
from covid_study.networks.backbones import build
from covid_study.networks.chexnet import find, load
from covid_study.networks.weights import IMAGENET

CLASSES = 14


@pytest.fixture(scope="module")
def original() -> nn.Module:
    """A network of the makers: three channels, 14 findings of ChestX-ray14, statistics that are not 0 and 1."""
    torch.manual_seed(0)
    model = torchvision_compat.torchvision.models.densenet121(weights=None, num_classes=CLASSES)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model.eval()


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """Ours, into which each test loads what it has."""
    return build("densenet121", classes=3)


def old_name(name: str) -> str:
    return re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name)


def check_same_answer(original: nn.Module, model: nn.Module) -> None:
    grey = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    mean, deviation = (torch.tensor(part).view(1, 3, 1, 1) for part in IMAGENET)
    with torch.no_grad():  # before the first ReLU, inside the rim that zero padding reaches
        expected = original.features.norm0(original.features.conv0((grey - mean) / deviation))
        ours = model.eval().features.norm0(model.features.conv0(grey))
    torch.testing.assert_close(ours[..., 2:-2, 2:-2], expected[..., 2:-2, 2:-2], atol=2e-5, rtol=1e-4)
    for name, values in original.features.named_parameters():
        if name != "conv0.weight":
            assert torch.equal(model.features.get_parameter(name), values), name


def test_a_checkpoint_as_chexnet_s_with_old_names(tmp_path, original, model):
    state = {f"module.densenet121.{old_name(name)}": values for name, values in original.state_dict().items()}
    state = {
        name.replace("classifier", "classifier.0"): v
        for name, v in state.items()
        if "num_batches" not in name
    }
    assert "module.densenet121.features.denseblock1.denselayer1.norm.1.weight" in state
    file = tmp_path / "model.pth.tar"
    beside = {"epoch": 7, "best_loss": np.float64(0.15), "loss": np.float32(0.2), "auc": 0.8, "optimizer": {}}
    torch.save(beside | {"state_dict": state}, file)
    weights, sentence = find(file)
    assert "model.pth.tar" in sentence and weights.sha256[:12] in sentence
    assert (weights.name, weights.origin) == ("densenet121", "chexnet")
    head = model.classifier.weight.clone()
    assert "604 of 604" in load(model, weights)
    check_same_answer(original, model)
    assert torch.equal(model.classifier.weight, head) and head.shape == (3, 1024)


def test_one_channel_is_taken_as_it_is_and_what_is_missing_is_said(tmp_path, original, model):
    grey = original.features.conv0.weight[:, :1].detach().clone()
    state = original.state_dict() | {"features.conv0.weight": grey}
    for name in ("features.norm5.weight", "features.norm5.bias"):
        del state[name]
    torch.save(state, tmp_path / "grey.pth")
    report = load(model, find(tmp_path / "grey.pth")[0])
    assert "602 of 604" in report and "features.norm5.weight" in report
    assert torch.equal(model.features.conv0.weight, grey)


def test_no_file_is_a_reason_and_a_wrong_path_an_error(tmp_path):
    weights, reason = find(None)
    assert weights is None and "left out" in reason and "comparison.chexnet" in reason
    with pytest.raises(ParameterError, match="no file .*gone.pth; give its path, or null"):
        find(tmp_path / "gone.pth")


def test_files_that_hold_something_else(tmp_path, model):
    torch.save({"state_dict": {"layer1.0.conv1.weight": torch.ones(3)}}, tmp_path / "resnet.pth")
    with pytest.raises(ParameterError, match="no weights of DenseNet-121.*layer1.0.conv1.weight.*null"):
        load(model, find(tmp_path / "resnet.pth")[0])
    torch.save(nn.Linear(2, 2), tmp_path / "whole.pth")  # a pickled network could run any code
    (tmp_path / "text.safetensors").write_text("not weights")
    for name in ("whole.pth", "text.safetensors"):
        with pytest.raises(ParameterError, match=f"{name} cannot be read as weights.*state dict"):
            load(model, find(tmp_path / name)[0])
