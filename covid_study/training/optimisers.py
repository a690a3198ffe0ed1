"""How weights are updated and how the learning rate falls: paper A's Adam, paper B's SGD, and AdamW for short trainings."""

import torch
from torch import nn
from torch.optim import lr_scheduler

MOMENTUM = 0.9  # paper B, 4.3


def optimiser_of(
    model: nn.Module, name: str, learning_rate: float, weight_decay: float, steps: int, device: torch.device
) -> tuple[torch.optim.Optimizer, lr_scheduler.LRScheduler]:
    """The optimiser of a training and the schedule of its learning rate, stepped once a batch.

    adam: paper A, IV-F1. Choice: its rate of 1e-3 falls to zero along a cosine; the paper is silent.
    sgd: paper B, 4.3: momentum 0.9, weight decay, the rate divided by 10 after one and two thirds (every 40 of 120 epochs).
    adamw: Choice: one cycle of the rate, up to its greatest and down to zero, for fine-tuning in few epochs.
    Choice: the loss's own parameters (SAAL's alpha and betas) are not decayed: a decay would pull both factors to one half.

    Args:
        steps: of the whole training.

    >>> linear, cpu = nn.Linear(1, 1), torch.device("cpu")
    >>> optimiser, schedule = optimiser_of(linear, "sgd", 1e-3, 5e-4, 3, cpu)
    >>> rates = []
    >>> for _ in range(3):
    ...     rates += schedule.get_last_lr()
    ...     optimiser.step(), schedule.step()
    (None, None)
    (None, None)
    (None, None)
    >>> [f"{rate:.0e}" for rate in rates]
    ['1e-03', '1e-04', '1e-05']
    """
    of_loss = {id(p) for n, p in model.named_parameters() if n.startswith("loss.")}
    groups = [{"params": [p for p in model.parameters() if id(p) not in of_loss]}]
    if of_loss:
        groups.append({"params": [p for p in model.parameters() if id(p) in of_loss], "weight_decay": 0.0})
    common = {"lr": learning_rate, "weight_decay": weight_decay, "fused": device.type != "mps"}
    if name == "sgd":
        optimiser = torch.optim.SGD(groups, momentum=MOMENTUM, **common)
        thirds = [round(steps / 3), round(2 * steps / 3)]
        return optimiser, lr_scheduler.MultiStepLR(optimiser, thirds, gamma=0.1)
    if name == "adamw":
        optimiser = torch.optim.AdamW(groups, **common)
        return optimiser, lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=max(2, steps))
    optimiser = torch.optim.Adam(groups, **common)
    return optimiser, lr_scheduler.CosineAnnealingLR(optimiser, T_max=steps)
