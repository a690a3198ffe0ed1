"""Which precision a network trains in where `precision: auto` leaves it open; `benchmarks/precision.py` measures the gain."""

import math

import torch

from covid_study.errors import StudyError

# From how many voxels or pixels a side on (the longest) bf16 was faster every time, on one thread of a CPU with AMX; smaller
# ones were not measured or not always. Networks that are not here have a convolution for each channel (MobileNet,
# EfficientNet), or updating their weights takes longer than the passes (AlexNet): casts cost more than the products save.
GAIN = {
    "resnet3d": 48,
    "vgg16_bn": 96,
    "resnet50": 64,
    "densenet169": 96,
    "densenet121": 64,
    "resnext50_32x4d": 64,
    "googlenet": 64,
    "thin_resnet": 96,
}


def settled(asked: str, network: str, side: int, device: torch.device) -> str:
    """The precision to train in, "float32" or "bf16": the one asked for; of "auto" bf16 where device and network gain.

    Choice: by rule, not by a measurement at run time: the same machine gives the same numbers every time. A result's key
    holds what is settled here, so that machines that settle otherwise share no result.

    Args:
        asked: float32, bf16 or auto. network: "resnet3d" or a name of `backbones.NAMES`.
        side: the longest of its input, in voxels or pixels.

    Raises:
        StudyError: bf16 is asked of a CPU without matrix units for it. There it gains nothing, and is wrong: on an AMD EPYC
            with AVX-512 (torch 2.13) weight gradients of 3-D convolutions over small maps, and of 2-D ones over a single
            pixel, held what lay in memory before.

    >>> settled("auto", "mobilenet_v2", 96, torch.device("cpu")), settled("bf16", "mobilenet_v2", 96, torch.device("mps"))
    ('float32', 'bf16')
    """
    if asked == "bf16" and device.type == "cpu" and not multiplies_bf16(device):
        raise StudyError(
            "precision: bf16 was asked for, and this processor has no matrix units for it (AMX): there it is slower, and some "
            "gradients are wrong. What to do: set precision to auto or float32."
        )
    if asked != "auto":
        return asked
    return "bf16" if side >= GAIN.get(network, math.inf) and multiplies_bf16(device) else "float32"


def multiplies_bf16(device: torch.device) -> bool:
    """Has the device matrix units for bfloat16: AMX of a CPU, tensor cores of a GPU from compute capability 8 on?

    Not so a CPU with vector instructions for bfloat16 alone, nor one that a torch before `get_capabilities` cannot ask.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    asks = getattr(torch.cpu, "get_capabilities", dict)
    return device.type == "cpu" and bool(asks().get("amx_bf16"))
