"""Stages of other people's networks: those of paper B's are found again, and deep supervision works around any of them."""

import pytest
import torch
from monai.networks.nets import densenet121, resnet18
from torch import nn

from covid_study.errors import ParameterError
from covid_study.losses import SelfAdaptiveAuxiliaryLoss
from covid_study.networks import DeepSupervision
from covid_study.networks.backbones import STAGES, build
from covid_study.networks.find_stages import find_stages
from covid_study.networks.torchvision_compat import torchvision

models = torchvision.models


@pytest.mark.parametrize("name", ["resnet50", "resnext50_32x4d", "googlenet", "thin_resnet"])
def test_the_layers_of_table_4_are_found_again(name):
    with torch.device("meta"):
        assert find_stages(build(name), torch.zeros(1, 1, 64, 64)) == STAGES[name]


def test_maps_of_one_size_stand_for_one_stage():
    """A block's own layers do not, nor what pools, nor a gate that looks at one pixel."""

    class Gate(nn.Module):
        def __init__(self):
            super().__init__()
            self.narrow = nn.Conv2d(4, 4, 1)

        def forward(self, maps):
            return maps * self.narrow(maps.mean((2, 3), keepdim=True)).sigmoid()

    block = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 3, stride=2, padding=1), nn.ReLU())
    model = nn.Sequential(
        nn.Conv2d(1, 1, 1), block, Gate(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 16, 2)
    )
    assert find_stages(model, torch.zeros(1, 1, 16, 16)) == [["0"], ["2"]]
    assert model.training and not any(module._forward_hooks for module in model.modules())


OTHERS = {
    "resnet18": (lambda: models.resnet18(num_classes=3), 3, 5),
    "vgg16_bn": (lambda: models.vgg16_bn(num_classes=3), 3, 5),
    "efficientnet_b0": (lambda: models.efficientnet_b0(num_classes=3), 3, 5),
    "mobilenet_v3_small": (lambda: models.mobilenet_v3_small(num_classes=3), 3, 5),
    "convnext_tiny": (lambda: models.convnext_tiny(num_classes=3), 3, 4),
    "shufflenet_v2_x0_5": (lambda: models.shufflenet_v2_x0_5(num_classes=3), 3, 5),
    "squeezenet1_1": (lambda: models.squeezenet1_1(num_classes=3), 3, None),
    "MONAI's resnet18": (lambda: resnet18(spatial_dims=2, n_input_channels=1, num_classes=3), 1, 5),
    "MONAI's densenet121": (lambda: densenet121(spatial_dims=2, in_channels=1, out_channels=3), 1, 5),
}


@pytest.mark.parametrize("name", OTHERS)
def test_anybodys_classifier_is_supervised_stage_by_stage(name):
    make, channels, stages = OTHERS[name]
    with torch.device("meta"):  # shapes and gradients, no values
        model = make()
        network = DeepSupervision(model)
        logits = network(torch.zeros(2, channels, 96, 96))
        assert [tuple(part.shape) for part in logits] == [(2, 3)] * (1 + len(network.names))
        assert stages is None or len(network.names) == stages
        sum(part.sum() for part in logits).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_stages_can_be_given():
    with torch.device("meta"):
        plain = models.vgg16_bn(num_classes=2)
        papers = DeepSupervision(plain, stages=STAGES["vgg16_bn"])
        assert papers.names == STAGES["vgg16_bn"]
        assert [len(auxiliary.sides) for auxiliary in papers.auxiliaries] == [2, 2, 3, 3, 3]
        two = DeepSupervision(models.resnet18(), stages=[["layer2"], ["layer3", "layer3.0"]])
        assert len(two(torch.zeros(1, 3, 64, 64))) == 3


def test_a_network_of_one_size_of_image_says_so_with_its_images():
    class Fixed(nn.Sequential):
        def forward(self, images):
            assert images.shape[2] == 48
            return super().forward(images)

    model = Fixed(
        nn.Conv2d(2, 4, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    assert len(DeepSupervision(model, images=torch.zeros(1, 2, 48, 48))(torch.zeros(3, 2, 48, 48))) == 2


def test_a_network_without_maps_is_refused():
    with pytest.raises(ParameterError, match="stages"):
        find_stages(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), torch.zeros(1, 1, 8, 8))


def test_it_learns_with_its_loss():
    torch.manual_seed(0)
    convolutions = [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2), nn.ReLU()]
    network = DeepSupervision(
        nn.Sequential(*convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    )
    loss = SelfAdaptiveAuxiliaryLoss([6, 2], stages=len(network.names) + 1)
    optimiser = torch.optim.Adam([*network.parameters(), *loss.parameters()], 3e-2)
    labels = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1])
    images = torch.rand(8, 1, 16, 16) * 0.1 + labels.view(-1, 1, 1, 1)
    for _ in range(60):
        optimiser.zero_grad()
        loss(network(images), labels).backward()
        optimiser.step()
    assert all((logits.argmax(1) == labels).all() for logits in network(images))
