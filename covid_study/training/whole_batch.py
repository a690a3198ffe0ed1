"""One network in several processes that trains as one process would with the whole batch (Lightning Fabric, DDP).

Every process draws the same batch and the same augmentation, from the same generator. The network takes its part of the
batch, one process after the other, and hands all outputs to all processes: whatever is done with them, a loss, the
hardest examples, an accuracy, is then done on the whole batch, everywhere alike. Preparing a batch costs every process
the whole of it, a few per cent of a training step; the passes through the network are what is shared.
"""

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes; its gradient is the sum of theirs.

    Fabric's `all_reduce` has no gradient, and torch's function that has one is deprecated.
    """

    @staticmethod
    def forward(ctx, values: torch.Tensor) -> torch.Tensor:
        values = values.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(values)
        return values

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> torch.Tensor:
        return _Sum.apply(gradient)


def _exact(values: torch.Tensor) -> torch.Tensor:
    """At least float32: sums over many values lose their digits in bfloat16."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def part(n: int, rank: int, processes: int) -> slice:
    """Which of the n exams of a batch a process takes; parts differ by one exam at most and may be empty.

    >>> [part(7, rank, 3) for rank in range(3)]
    [slice(0, 2, None), slice(2, 4, None), slice(4, 7, None)]
    """
    return slice(n * rank // processes, n * (rank + 1) // processes)


class WholeBatch(nn.Module):
    """Takes a whole batch, computes a process's part of it, and returns the outputs of all, in order.

    Each process holds the whole loss, so that the gradient of an output comes back once a process; DDP takes the mean of the
    parameters' gradients over the processes. The two cancel: what is left is the gradient of the whole batch.
    """

    def __init__(self, network: nn.Module, rank: int, processes: int):
        super().__init__()
        self.network, self.rank, self.processes = network, rank, processes

    def forward(self, inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        mine = part(len(inputs), self.rank, self.processes)
        outputs = self.network(inputs[mine])
        if isinstance(outputs, tuple):
            return tuple(self._of_all(output, mine, len(inputs)) for output in outputs)
        return self._of_all(outputs, mine, len(inputs))

    def _of_all(self, outputs: torch.Tensor, mine: slice, n: int) -> torch.Tensor:
        """Outputs (part, ...) of this process at their place among zeros, summed over all: (n, ...)."""
        around = (0, 0) * (outputs.ndim - 1) + (mine.start, n - mine.stop)
        return _Sum.apply(F.pad(_exact(outputs), around))


class WholeBatchNorm(_BatchNorm):
    """Batch normalisation over the parts of all processes; torch's own SyncBatchNorm knows GPUs only."""

    def _check_input_dim(self, inputs: torch.Tensor) -> None:
        """Any number of axes after the channels."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(inputs)
        values, over = _exact(inputs), (0, *range(2, inputs.ndim))
        shape = (1, -1, *(1 for _ in over[1:]))
        count = values.new_full((1,), values.numel() / values.shape[1])
        total = _Sum.apply(torch.cat([values.sum(over), count]))
        count, mean = total[-1].detach(), total[:-1] / total[-1].detach()
        centred = values - mean.view(shape)
        variance = _Sum.apply(centred.square().sum(over)) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale.view(shape) + self.bias.view(shape)).to(inputs.dtype)


def normalise_whole_batches(module: nn.Module) -> None:
    """Put `WholeBatchNorm` in the place of every batch normalisation; weights, statistics and names stay."""
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            ours = WholeBatchNorm(child.num_features, child.eps, child.momentum)
            for kept, values in [*child.named_parameters(), *child.named_buffers()]:
                setattr(ours, kept, values)
            setattr(module, name, ours)
        else:
            normalise_whole_batches(child)


def set_up(
    fabric, model: nn.Module, optimiser: torch.optim.Optimizer
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """`model` and `optimiser` as the processes of `fabric` train them together.

    Args:
        fabric: a launched `lightning_fabric.Fabric` with the DDP strategy.
        model: on this process's device; its batch normalisations are replaced in place.

    Returns:
        A network that takes a whole batch and trains the parameters of `model`, and its optimiser.
    """
    if fabric.device.type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(
            model
        )  # in place: a network is no normalisation itself
    else:
        normalise_whole_batches(model)
    return fabric.setup(WholeBatch(model, fabric.global_rank, fabric.world_size), optimiser)
