"""The backbones: MONAI's 3-D ResNet-18 and 50 at a width, a stem stride and one grey channel (paper A, IV-F and V-D2)."""

import torch
from torch import nn

from covid_study.networks.convolution3d import Stem, trim

LAYERS = {18: ("basic", [2, 2, 2, 2]), 50: ("bottleneck", [3, 4, 6, 3])}
FEATURES = {18: 512, 50: 2048}  # channels of the last convolutional layer at width 1


class Encoder(nn.Module):
    """MONAI's ResNet up to its pooled features, also of no exams: one of several processes may have none of a batch."""

    def __init__(self, resnet: nn.Module):
        super().__init__()
        for name, part in resnet.named_children():
            self.add_module(name, part)

    def forward(self, volumes: torch.Tensor) -> torch.Tensor:
        features = self.maxpool(self.act(self.bn1(self.conv1(volumes))))
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            features = layer(features)
        return self.avgpool(features).flatten(1)


def encoder(width: float = 1.0, stem_stride: int = 2, depth: int = 18) -> Encoder:
    """3-D ResNet that ends in the pooled features of its last convolutional layer (paper A, IV-C).

    Choice: stem stride 2, as in ResNet-18 for images; the paper does not say, MONAI's default of 1 costs 4 to 12 times more.
    Choice: `width` scales all channels, so that small profiles train on two cores; 1 is the paper's.

    Args:
        width: factor on the channels; 1.0 gives 512 features, 0.25 gives 128 (four times that at depth 50).
        stem_stride: of the 7 x 7 x 7 stem, 1 or 2.
        depth: 18, or 50 (paper A, Table IV).

    Returns:
        A module from (N, 1, z, y, x) float to (N, n_features) float, not negative (after the last ReLU, averaged).

    >>> net = encoder(width=0.25)
    >>> net(torch.zeros(2, 1, 16, 24, 32)).shape
    torch.Size([2, 128])
    """
    from monai.networks.nets.resnet import ResNet, get_inplanes  # takes seconds to import

    block, layers = LAYERS[depth]
    resnet = ResNet(
        block=block,
        layers=layers,
        block_inplanes=get_inplanes(),
        spatial_dims=3,
        n_input_channels=1,
        conv1_t_size=7,
        conv1_t_stride=stem_stride,
        shortcut_type="B",  # type A stops the gradients
        widen_factor=width,
        feed_forward=False,
    )
    net = Encoder(resnet)
    weight = net.conv1.weight
    net.conv1 = Stem(1, len(weight), 7, stem_stride, padding=3, bias=False)
    net.conv1.weight = weight
    trim(net)
    return net


def n_features(width: float, depth: int = 18) -> int:
    """Length of the feature vector at this width and depth.

    >>> n_features(0.25), n_features(1.0, depth=50)
    (128, 2048)
    """
    return int(FEATURES[depth] * width)


def build(network: dict) -> tuple[Encoder, int]:
    """The encoder that the section `network` of the parameters describes, and the length of its features.

    >>> build({"width": 0.25, "stem_stride": 2, "depth": 18, "precision": "float32"})[1]
    128
    """
    width, depth = network["width"], network["depth"]
    return encoder(width, network["stem_stride"], depth), n_features(width, depth)


class Classifier(nn.Module):
    """Encoder and one linear layer (paper A, IV-F2).

    >>> Classifier(encoder(0.25), 128)(torch.zeros(2, 1, 16, 24, 32)).shape
    torch.Size([2, 2])
    """

    def __init__(self, backbone: nn.Module, features: int, classes: int = 2):
        super().__init__()
        self.encoder = backbone
        self.head = nn.Linear(features, classes)

    def forward(self, volumes: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(volumes))
