"""The convolutions of the 3-D ResNet without the work that nobody needs; weights, their names and results as MONAI's."""

from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

LAST = (0, 2, 3, 4, 1)  # channels last: so the weights lie in memory while they train


class Trimmed(nn.Conv3d):
    """A convolution without the part of its kernel that only ever meets padding; equal to `nn.Conv3d` but for rounding.

    Along an axis with a single output voxel the kernel stands still: what hangs over is multiplied by zeros, two thirds of a
    3 x 3 x 3 kernel where one voxel is left, and costs its products, its gradient and copies of both.

    >>> layer = Trimmed(4, 2, 3, padding=1, bias=False)
    >>> volumes = torch.rand(1, 4, 1, 5, 5)
    >>> torch.allclose(layer(volumes), nn.functional.conv3d(volumes, layer.weight, padding=1), atol=1e-6)
    True
    """

    def forward(self, volumes: torch.Tensor) -> torch.Tensor:
        # cut with the channels last, so that the gradient comes in the weights' own order and is not copied
        kernel, padding = self.weight.permute(LAST), list(self.padding)
        for axis, (n, k, step) in enumerate(
            zip(volumes.shape[2:], self.kernel_size, self.stride, strict=True)
        ):
            before = padding[axis]
            if before and (n + 2 * before - k) // step == 0:
                kernel, padding[axis] = kernel.narrow(axis + 1, before, min(n, k - before)), 0
        return F.conv3d(volumes, kernel.permute(0, 4, 1, 2, 3), self.bias, self.stride, tuple(padding))


class Stem(nn.Conv3d):
    """The 7 x 7 x 7 convolution of one grey channel, with the same result on three ways: see `way`."""

    def forward(self, volumes: torch.Tensor) -> torch.Tensor:
        device = volumes.device.type
        cast = device in ("cpu", "cuda") and torch.is_autocast_enabled(device)
        taken = way(device, self.stride[0], cast)
        if taken == "as it is":
            return as_it_is(volumes, self.weight, self.stride)
        if cast:  # before it is copied
            volumes = volumes.to(torch.get_autocast_dtype(device))
        return on_cells(volumes, self.weight) if taken == "cells" else on_shifts(volumes, self.weight)


def way(device: str, stride: int, autocast: bool) -> Literal["cells", "shifts", "as it is"]:
    """How the stem is computed: matrix units take many channels only, and eight are made of the one.

    On a GPU always, where float32 is TF32: `on_cells` at stride 2, `on_shifts` at stride 1. On a CPU cells in bf16 alone:
    in float32 they take twice as long.

    >>> way("cuda", 1, autocast=False), way("cpu", 2, autocast=False)
    ('shifts', 'as it is')
    """
    if device == "cuda":
        return "cells" if stride == 2 else "shifts"
    return "cells" if device == "cpu" and stride == 2 and autocast else "as it is"


def as_it_is(volumes: torch.Tensor, weight: torch.Tensor, stride: tuple[int, ...]) -> torch.Tensor:
    """A convolution of one channel with a kernel of 7 and padding 3.

    It is padded along z beforehand: the CPU backend of torch 2.13 reads memory that is not its own in the weight
    gradient of a 7 x 7 x 7 convolution of stride 2 and padding 3 on inputs 5 to 7 voxels deep, as small cubes are:
    gradients of 1e30, NaN, or a crash.
    """
    return F.conv3d(F.pad(volumes, (0, 0, 0, 0, 3, 3)), weight, None, stride, (0, 3, 3))


def on_shifts(volumes: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """A convolution of one channel with a kernel of 7, stride 1 and padding 3, on eight channels: the volume shifted along x.

    The kernel grows by a zero to 8 along x, whose values become those of the channels: 7 x 7 x 1 is left of it.

    Args:
        volumes: float (N, 1, z, y, x). weight: float (C, 1, 7, 7, 7).

    Returns:
        float (N, C, z, y, x).
    """
    shifted = F.pad(volumes, (3, 4, 0, 0, 3, 3)).unfold(4, 8, 1)  # (N, 1, z, y, x, 8), no copy yet
    channels, kernel = (
        values.transpose(1, 5)[..., 0].contiguous(memory_format=torch.channels_last_3d)
        for values in (shifted, F.pad(weight, (0, 1)).unsqueeze(4))
    )
    return F.conv3d(channels, kernel, padding=(0, 3, 0))


def on_cells(volumes: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """A convolution of one channel with a kernel of 7, stride 2 and padding 3, on cells of 2 x 2 x 2 voxels (space to depth).

    The kernel grows by a zero to 8 x 8 x 8 and becomes one of 4 x 4 x 4 cells, of stride 1, on eight channels.

    Args:
        volumes: float (N, 1, z, y, x). weight: float (C, 1, 7, 7, 7).

    Returns:
        float (N, C, ceil(z / 2), ceil(y / 2), ceil(x / 2)).
    """
    sizes = [-(-n // 2) for n in volumes.shape[2:]]  # of the result
    around = [
        side for size, n in zip(sizes, volumes.shape[2:], strict=True) for side in (2 * size + 3 - n, 3)
    ]
    cells, kernel = _cells(F.pad(volumes, around[::-1])), _cells(F.pad(weight, (0, 1) * 3))
    layout = torch.channels_last_3d
    return F.conv3d(cells.contiguous(memory_format=layout), kernel.contiguous(memory_format=layout))


def _cells(values: torch.Tensor) -> torch.Tensor:
    """Values (N, 1, 2 z, 2 y, 2 x) by cells: (N, 8, z, y, x)."""
    z, y, x = (n // 2 for n in values.shape[2:])
    return values.view(-1, z, 2, y, 2, x, 2).permute(0, 2, 4, 6, 1, 3, 5).reshape(-1, 8, z, y, x)


def trim(module: nn.Module) -> None:
    """Put `Trimmed` in the place of every padded convolution; weights and names stay."""
    for name, child in module.named_children():
        if type(child) is nn.Conv3d and any(child.padding):
            ours = Trimmed(1, 1, child.kernel_size, child.stride, child.padding, bias=False)
            ours.in_channels, ours.out_channels = child.in_channels, child.out_channels
            ours.weight, ours.bias = child.weight, child.bias
            setattr(module, name, ours)
        else:
            trim(child)
