"""One training loop for every network of the study, what a network says, and what an epoch costs."""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from covid_study.runtime.artefacts import write_atomically
from covid_study.runtime.device import ready
from covid_study.runtime.manifest import damaged
from covid_study.runtime.progress import progress
from covid_study.samples.batch import to_input
from covid_study.samples.samples import Chosen
from covid_study.training.compiled import compiled
from covid_study.training.optimisers import optimiser_of
from covid_study.training.whole_batch import set_up

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# Input voxels or pixels a batch, at most: a GPU's kernels count what a tensor holds in 32 bits, and the widest layer at the
# input's own size has 64 channels (the stem at stride 1; VGG-16's first stage).
VALUES = 2**31 // 64 - 1
CHECKPOINT_SECONDS = 30.0  # between two: writing one takes as long as a step or more
LossOf = Callable[[nn.Module, torch.Tensor, torch.Generator], tuple[torch.Tensor, dict[str, float]]]
OrderOf = Callable[[torch.Generator], torch.Tensor]  # the samples of an epoch, by number, as they come


def fit(
    model: nn.Module,
    n: int,
    loss_of: LossOf,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    device: torch.device,
    folder: Path,
    optimiser: str = "adam",
    weight_decay: float = 0.0,
    precision: str = "float32",
    after_epoch: Callable[[int, nn.Module], dict[str, float]] | None = None,
    order_of: OrderOf | None = None,
    coming: Callable[[Sequence[torch.Tensor]], Iterable[torch.Tensor]] = iter,
    title: str = "training",
    clip: float | None = None,
    fabric: Fabric | None = None,
) -> pd.DataFrame:
    """Train `model` in place; killed, it goes on from its last checkpoint with the same numbers.

    A checkpoint is written after an epoch when the last one is `CHECKPOINT_SECONDS` old, and after the last epoch: a kill
    costs at most so long and the epoch it falls in.

    Choice: the last epoch is the result, so that no choice looks at the validation split.

    Args:
        n: exams of an epoch; `loss_of(model, index, generator)` gets a batch of their numbers and returns the loss
            and what to log of it.
        order_of: which n exams come in an epoch and in which order; None: the exams 0 to n - 1, each once, at random.
        seed: of the order of exams and of all that is drawn on the way; each epoch has its own stream.
        folder: keeps `checkpoint.pt` while it runs.
        coming: goes through the batches of an epoch, see `Chosen.coming`.
        optimiser: adam, sgd or adamw, see `optimisers.optimiser_of`.
        clip: a gradient of all weights longer than this is cut to it; None: none is.
        precision: see `cast`.
        after_epoch: called with the number of epochs done and the model; returns further columns of the history.
        fabric: of the processes that train together, each of which calls this (see `processes`); None: this one alone.
            Losses and weights are those of one process, rounding aside. The first process alone writes the checkpoint
            and calls `after_epoch`.

    Returns:
        One row an epoch: epoch (from 1), loss, what `loss_of` and `after_epoch` report, seconds.

    Raises:
        FloatingPointError: the loss is no longer finite.
    """
    in_3d = any(p.ndim == 5 for p in model.parameters())
    model.to(ready(device), memory_format=torch.channels_last_3d if in_3d else torch.channels_last)
    sizes = _batch_sizes(n, batch_size)
    stepper, scheduler = optimiser_of(
        model, optimiser, learning_rate, weight_decay, epochs * len(sizes), device
    )
    checkpoint, history, done = Path(folder) / "checkpoint.pt", [], 0
    if checkpoint.is_file():
        try:
            state = torch.load(checkpoint, map_location=device, weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError):
            raise damaged(checkpoint, ["it cannot be read"]) from None
        for part, values in zip((model, stepper, scheduler), state["parts"], strict=True):
            part.load_state_dict(values)
        history, done = state["history"], len(state["history"])
    network, backward, first = model, torch.Tensor.backward, True
    if fabric is not None:
        network, stepper = set_up(fabric, model, stepper)
        backward, first = fabric.backward, fabric.is_global_zero

    def step(network: nn.Module, index: torch.Tensor, generator: torch.Generator):
        with cast(precision, device):
            return loss_of(network, index, generator)

    def rehearse(network: nn.Module) -> None:
        batch, generator = torch.zeros(sizes[0], dtype=torch.long, device=device), torch.Generator(device)
        step(network, batch, generator.manual_seed(seed))[0].backward()

    # several processes pass parts of a batch through it, whose sizes differ
    alone = fabric is None and done < epochs
    fast = compiled(model, rehearse, device, epochs * len(sizes)) if alone else network
    written = time.perf_counter()
    for epoch in progress(range(done + 1, epochs + 1), title, epochs - done):
        started = time.perf_counter()
        generator = torch.Generator(device).manual_seed(seed * 1_000_003 + epoch)
        torch.manual_seed(seed * 1_000_003 + epoch)  # what dropout draws from
        order = order_of(generator) if order_of else torch.randperm(n, generator=generator, device=device)
        network.train()
        logged: dict[str, float] = {}
        for index in coming(order.split(sizes)):
            # before the pass: a CUDA graph writes the next gradients into the same memory
            stepper.zero_grad(set_to_none=True)
            loss, measures = step(fast if len(index) == sizes[0] else network, index, generator)
            backward(loss)
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            stepper.step()
            scheduler.step()
            for name, value in {"loss": loss.detach(), **measures}.items():
                logged[name] = logged.get(name, 0.0) + value * len(index) / n
        row = {"epoch": epoch, **{name: float(value) for name, value in logged.items()}}
        if not np.isfinite(row["loss"]):
            raise FloatingPointError(
                f"{title}: the loss is {row['loss']} in epoch {epoch}; lower the learning rate (now {learning_rate:g})"
            )
        row["seconds"] = time.perf_counter() - started  # training alone, without what `after_epoch` measures
        if after_epoch and first:
            # plain floats: a number from numpy would make the checkpoint unreadable
            row.update({k: float(v) for k, v in after_epoch(epoch, model).items()})
        history.append(row)
        if first and (epoch == epochs or time.perf_counter() - written >= CHECKPOINT_SECONDS):
            parts = [part.state_dict() for part in (model, stepper, scheduler)]
            state = {"parts": parts, "history": history}
            write_atomically(checkpoint, lambda path, state=state: torch.save(state, path))
            written = time.perf_counter()
    return pd.DataFrame(history)


def _batch_sizes(n: int, batch_size: int) -> list[int]:
    """Full batches and a rest; a rest of one joins the batch before it, because batch normalisation needs two."""
    sizes = [batch_size] * (n // batch_size) + [n % batch_size] * (n % batch_size > 0)
    if len(sizes) > 1 and sizes[-1] == 1 < batch_size:
        sizes[-2:] = [batch_size + 1]
    return sizes


def cast(precision: str, device: torch.device) -> torch.autocast:
    """Where a network computes in this precision, "float32" or "bf16"; its weights are float32 either way."""
    return torch.autocast(device.type, torch.bfloat16, enabled={"float32": False, "bf16": True}[precision])


def fitting(shape: Sequence[int], most: int) -> int:
    """How many samples of this shape are evaluated at once: `most`, fewer where they are large.

    >>> fitting((16, 48, 64), most=16), fitting((56, 192, 256), most=16)
    (16, 12)
    """
    return max(1, min(most, VALUES // math.prod(shape)))


@torch.inference_mode()
def in_batches(
    model: nn.Module, stored: torch.Tensor | Chosen, precision: str = "float32", most: int = 16
) -> np.ndarray:
    """What `model` says of stored samples uint8 (n, ...), in evaluation mode: float32 (n, outputs).

    Args:
        precision: that it was trained in, see `cast`. most: samples at once, see `fitting`.
    """
    device = next(model.parameters()).device
    model.eval()
    parts = stored.split(fitting(stored.data.shape[1:], most))
    with cast(precision, device):
        outputs = [model(to_input(part.to(device))).float().cpu() for part in parts if len(part)]
    return torch.cat(outputs).numpy() if outputs else np.empty((0, 0), dtype=np.float32)


def training_flops(model: nn.Module, sample: torch.Tensor) -> float:
    """Floating-point operations of one sample's training step: forward and backward pass, counted and not measured.

    A multiplication and an addition count as two; only convolutions and matrix products are counted.

    Args:
        sample: uint8 (1, ...).
    """
    return counted_flops(model, lambda: model(to_input(sample)).sum())


def _convolution_backward(gradient, inputs, weight, *rest, **_) -> int:
    """Each of the two gradients costs what the forward pass does; torch 2.13 counts those of grouped convolutions too often."""
    *_, transposed, _, _, wanted = rest  # which of the gradients: of the inputs, the weight, the bias
    return sum(wanted[:2]) * conv_flop_count(inputs, weight, gradient, transposed)


CONVOLUTIONS = {torch.ops.aten.convolution_backward: _convolution_backward}


def counted_flops(model: nn.Module, loss: Callable[[], torch.Tensor]) -> float:
    """Floating-point operations of `loss()` and its backward pass; `model` is left in evaluation mode, without gradients."""
    model.eval()  # batch normalisation cannot train on one exam; it is not counted
    with FlopCounterMode(display=False, custom_mapping=CONVOLUTIONS) as counter:
        loss().backward()
    model.zero_grad(set_to_none=True)
    return float(counter.get_total_flops())
