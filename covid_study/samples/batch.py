"""Stored samples as the input of a network, and how they are changed at random, for a whole batch at once on its device."""

from math import log

import torch
from torch.nn import functional as F

ASPECT = (3 / 4, 4 / 3)  # height to width of a crop


def to_input(stored: torch.Tensor) -> torch.Tensor:
    """Stored samples uint8 (B, ...) as the network's input: float32 (B, 1, ...) in [0, 1]."""
    return stored.unsqueeze(1).float().div_(255)


def augment(
    inputs: torch.Tensor, intensity: tuple[float, float], flips: bool, generator: torch.Generator
) -> torch.Tensor:
    """Scale the intensity of each exam and flip it (paper A, IV-F2), on the device and for the whole batch at once.

    Choice: what the factor lifts above 1 is cut off there, the window's upper end.

    Choice: flips are left-right and front-back, each with a chance of one half; head-foot is left out, because the lung
    bases are where COVID-19 lies.

    Args:
        inputs: (B, 1, z, y, x) in [0, 1].
        intensity: range of the factor.
    """
    low, high = intensity
    rand = torch.rand((3, len(inputs), 1, 1, 1, 1), generator=generator, device=inputs.device)
    inputs = (inputs * (low + (high - low) * rand[0])).clamp_(0, 1)
    if flips:
        inputs = flipped(inputs, rand[1:].flatten(1) < 0.5, one_by_one=inputs.device.type == "cpu")
    return inputs


def flipped(inputs: torch.Tensor, drawn: torch.Tensor, one_by_one: bool) -> torch.Tensor:
    """Exams flipped left-right where the first row of `drawn` bool (2, B) says so, front-back where the second does.

    one_by_one: in place, without a copy of any other exam; else nothing waits for the device.
    """
    if not one_by_one:
        for axis, chosen in zip((4, 3), drawn, strict=True):
            inputs = torch.where(chosen.view(-1, 1, 1, 1, 1), inputs.flip(axis), inputs)
        return inputs
    for exam, chosen in zip(inputs, drawn.T.tolist(), strict=True):
        if axes := [axis for axis, here in zip((3, 2), chosen, strict=True) if here]:
            exam.copy_(exam.flip(axes))
    return inputs


def view(
    images: torch.Tensor, generator: torch.Generator, area: tuple[float, float], change: float
) -> torch.Tensor:
    """A random view of each slice: cropped and resized, flipped left-right, brighter or darker, of more or less contrast.

    Choice: of MoCo's augmentations those that mean something on a grey slice (paper B, 5.1: the settings of the official
    codes).

    Args:
        images: float (B, 1, y, x) in [0, 1].
        area: of the slice that a crop shows, from and to. change: of brightness and of contrast, at most.

    Returns:
        The same shape, in [0, 1].

    >>> generator = torch.Generator().manual_seed(0)
    >>> view(torch.full((2, 1, 8, 8), 0.5), generator, (0.2, 1.0), 0.4).shape
    torch.Size([2, 1, 8, 8])
    """
    rand = torch.rand((7, len(images)), generator=generator, device=images.device)
    shown = area[0] + (area[1] - area[0]) * rand[0]
    aspect = torch.exp(log(ASPECT[0]) + log(ASPECT[1] / ASPECT[0]) * rand[1])
    height, width = (shown / aspect).sqrt().clamp(max=1), (shown * aspect).sqrt().clamp(max=1)
    top, left = (1 - height) * (2 * rand[2] - 1), (1 - width) * (2 * rand[3] - 1)  # centre of it in [-1, 1]
    mirrored, zero = torch.where(rand[4] < 0.5, -width, width), torch.zeros_like(width)
    theta = torch.stack([mirrored, zero, left, zero, height, top], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    cropped = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    bright, contrast = (1 + change * (2 * rand[5:, :, None, None, None] - 1)).unbind()
    bright = (cropped * bright).clamp(0, 1)
    mean = bright.mean((1, 2, 3), keepdim=True)
    return ((bright - mean) * contrast + mean).clamp(0, 1)
