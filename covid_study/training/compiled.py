"""A network compiled for its training on a GPU, whose kernels are else over before Python has started the next ones."""

import copy
import warnings
from collections.abc import Callable

import torch
from torch import nn

LARGE = 2**24  # voxels or pixels a batch: see `mode`
# Steps of a training that is compiled: 8 ms saved a step are a tenth of the minute that compiling takes, which the other
# trainings of the same network in this process share.
STEPS = 1000
REHEARSALS = 3  # a CUDA graph is warmed up, recorded, and replayed


class Compiled:
    """Stands for a network where a batch is passed through it, and is the network in all else.

    It is no module: `state_dict`, checkpoints and parameters are the network's own.
    """

    def __init__(self, model: nn.Module):
        self.model = model
        self.fast: Callable | None = None

    def __call__(self, inputs: torch.Tensor):
        if self.fast is None:
            how = {"mode": mode(inputs.numel()), "dynamic": False, "fullgraph": True}
            self.fast = torch.compile(self.model, **how)
        return self.fast(inputs)

    def __getattr__(self, name: str):
        return getattr(self.model, name)


def mode(values: int) -> str:
    """How batches of so many voxels or pixels are compiled: as a CUDA graph while launching them takes longer than they do.

    Choice: by an estimate, until it is measured: at 128 x 96 x 28 and batches of 8, 2.8 million values, a step of ResNet-18 is
    2 ms of work and 10 ms of Python. Steps of `LARGE` values are work alone: what they gain comes from fused kernels.

    >>> mode(8 * 128 * 96 * 28), mode(8 * 256 * 192 * 56)
    ('reduce-overhead', 'default')
    """
    return "reduce-overhead" if values < LARGE else "default"


def worthwhile(model: nn.Module, device: torch.device, steps: int) -> bool:
    """Is a training of so many steps compiled? On a GPU, where it is long enough and the network can be traced.

    On a CPU a network gains 15 % from a minute of compiling. A module that torch cannot trace says so by `traces`.
    """
    return (
        device.type == "cuda" and steps >= STEPS and all(getattr(m, "traces", True) for m in model.modules())
    )


def compiled(
    model: nn.Module, rehearse: Callable[[nn.Module], None], device: torch.device, steps: int
) -> nn.Module | Compiled:
    """`model` compiled for batches of one size, or `model` where that is not worthwhile, or fails: a warning says so.

    It is rehearsed before the training begins, so that whatever fails fails here, and takes no part of what is timed;
    weights and running statistics are put back.

    Args:
        rehearse: a forward and a backward pass of a batch through what it is given, on `model`'s device.
    """
    if not worthwhile(model, device, steps):
        return model
    kept, fast = copy.deepcopy(model.state_dict()), Compiled(model)
    model.train()
    try:
        for _ in range(REHEARSALS):
            rehearse(fast)
        return fast
    except Exception as error:  # whatever it is, the training needs none of it
        reason = next(iter(str(error).strip().splitlines()), "")
        warnings.warn(
            f"The network is trained without torch.compile, which failed: {type(error).__name__}: {reason}",
            stacklevel=3,
        )
        return model
    finally:
        model.load_state_dict(kept)
        model.zero_grad(set_to_none=True)
