"""Deep supervision: five auxiliary classifiers beside a backbone, one a stage (paper B, 3.2)."""

from functools import reduce
from typing import ClassVar

import torch
from torch import nn

from covid_study.networks import backbones
from covid_study.networks.find_stages import find_stages

SIDE_CHANNELS = 21  # of the convolution beside each watched layer
POOLED = 7  # pixels a side of the map that an auxiliary classifier sees


class Auxiliary(nn.Module):
    """One stage's classifier (paper B, 3.2, Fig. 2): 21 channels beside each layer, summed, fused, pooled, classified.

    Choice: the sum over the stage is fused to one channel, as in the network for edges that the paper cites (Liu et al.
    2017). Left at 21 channels, the linear layers over 7 x 7 pixels would make it more than 0.1 M for VGG-16 and miss the
    counts of Table 4 for the others.

    All of it is linear, so that maps larger than what is classified are averaged first: the same sums, of fewer pixels.

    Args:
        channels: of each watched layer of the stage.
        classes: how many logits.

    >>> Auxiliary([64, 64], classes=3)([torch.zeros(2, 64, 32, 32)] * 2).shape
    torch.Size([2, 3])
    """

    def __init__(self, channels: list[int], classes: int):
        super().__init__()
        self.sides = nn.ModuleList(nn.Conv2d(n, SIDE_CHANNELS, 1) for n in channels)
        self.fuse = nn.Conv2d(SIDE_CHANNELS, 1, 1)
        self.pool = nn.AdaptiveAvgPool2d(POOLED)
        self.classifier = nn.Linear(POOLED * POOLED, classes)

    def forward(self, maps: list[torch.Tensor]) -> torch.Tensor:
        if min(maps[0].shape[2:]) > POOLED:
            maps = [self.pool(part) for part in maps]
        fused = self.fuse(
            reduce(torch.add, (side(part) for side, part in zip(self.sides, maps, strict=True)))
        )
        return self.classifier(self.pool(fused).flatten(1))


class DeepSupervision(nn.Module):
    """A backbone and its auxiliary classifiers (paper B, 3.2, eq. 1); the diagnosis is the last of the logits.

    It adds 0.08 M parameters to ResNet-50 and ResNeXt-50 and 0.005 M to DenseNet-169, as Table 4 prints. To VGG-16 it adds
    0.09 M, as 3.2 describes it, where Table 4 prints 0.04 M; watching only the last layer of each stage would add 0.03 M.

    Args:
        model: a network of `backbones.build`, or any 2-D classifier; with its weights, if it has any.
        stages: names of the layers to watch, stage by stage, shallow to deep; None: those of `backbones`, or what
            `find_stages` finds in a network that is not from there.
        images: a batch like those to come, for a network that does not take one of 64 x 64 pixels.

    Returns:
        Of an image batch float (N, 1, y, x) in [0, 1] a list of six logits float (N, classes): five stages from shallow to
        deep, then the backbone's own.

    >>> network = DeepSupervision(backbones.build("mobilenet_v2", classes=2)).eval()
    >>> [logits.shape[1] for logits in network(torch.zeros(1, 1, 64, 64))]
    [2, 2, 2, 2, 2, 2]
    """

    traces: ClassVar[bool] = False  # by torch.compile: hooks stop it

    def __init__(
        self, model: nn.Module, stages: list[list[str]] | None = None, images: torch.Tensor | None = None
    ):
        super().__init__()
        self.backbone = model
        training, device = model.training, next(model.parameters()).device
        if images is None:
            images = torch.zeros(1, backbones.first_convolution(model).in_channels, 64, 64, device=device)
        if stages is None and getattr(model, "backbone", None) not in backbones.STAGES:
            stages = find_stages(model, images)
        self.names = backbones.stages(model) if stages is None else stages
        with torch.no_grad():  # an image says how many channels each layer has
            kept, final = _watch(model.eval(), sum(self.names, []), images)
        model.train(training)
        self.auxiliaries = nn.ModuleList(
            Auxiliary([kept[name].shape[1] for name in stage], final.shape[1]) for stage in self.names
        )

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        kept, final = _watch(self.backbone, sum(self.names, []), images)
        stages = zip(self.auxiliaries, self.names, strict=True)
        return [*(auxiliary([kept[name] for name in stage]) for auxiliary, stage in stages), final]


def _watch(
    model: nn.Module, names: list[str], images: torch.Tensor
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """What the named layers give on the way, and what the model gives at the end.

    The hooks last for one call, so that a copy of the network never writes into the original's maps.
    """
    kept: dict[str, torch.Tensor] = {}
    handles = [
        model.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: kept.__setitem__(name, output)
        )
        for name in names
    ]
    try:
        return kept, model(images)
    finally:
        for handle in handles:
            handle.remove()


def n_parameters(model: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in model.parameters())


def sizes(name: str, classes: int = 3) -> dict[str, int]:
    """The parameters of a backbone without and with deep supervision (paper B, Table 4); nothing is allocated for it.

    >>> sizes("resnet50")
    {'baseline': 23507907, 'dsn': 23590856}
    """
    with torch.device("meta"):
        model = backbones.build(name, classes)
        return {"baseline": n_parameters(model), "dsn": n_parameters(DeepSupervision(model))}
