"""The stages of anybody's 2-D classifier, found by the size of its maps; those of paper B's networks stand in `backbones`."""

import torch
from torch import nn

from covid_study.errors import ParameterError

MOST = 5  # stages, as in paper B, 3.2


def find_stages(model: nn.Module, images: torch.Tensor) -> list[list[str]]:
    """A layer for each resolution at which the network convolves, shallow to deep (paper B, 3.2 and Table 4).

    Choice: of the layers with maps of one size the last among those that are nested least, so that a whole block stands for its
    stage; of more than five sizes the five smallest; maps of one pixel count for nothing. For ResNets and GoogLeNet these are
    the layers of `backbones.STAGES`.

    Args:
        model: a classifier of torchvision, MONAI (2-D) or one's own.
        images: a batch that it takes, square: one of one image will do.

    Returns:
        What `DeepSupervision` takes for its `stages`; names are those of `named_modules`.

    Raises:
        ParameterError: no layer has maps (N, C, y, x).

    >>> layers = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3)
    >>> find_stages(nn.Sequential(*layers), torch.zeros(1, 1, 32, 32))
    [['1'], ['3']]
    """
    ended: list[tuple[int, str]] = []
    convolved = set()

    def note(name: str, module: nn.Module, output: object) -> None:
        if isinstance(output, torch.Tensor) and output.ndim == 4 and output.shape[2] == output.shape[3] > 1:
            ended.append((output.shape[2], name))
            if isinstance(module, nn.Conv2d):
                convolved.add(output.shape[2])

    handles = [
        module.register_forward_hook(lambda module, _inputs, output, name=name: note(name, module, output))
        for name, module in model.named_modules()
        if name
    ]
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(images)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    last: dict[int, str] = {}
    for side, name in ended:
        if side in convolved and name.count(".") <= last.get(side, name).count("."):
            last[side] = name
    if not last:
        raise ParameterError(
            f"{type(model).__name__}: no layer gives maps (N, C, y, x), which deep supervision classifies; "
            "name layers that do with `stages`"
        )
    return [[last[side]] for side in sorted(last, reverse=True)[-MOST:]]
