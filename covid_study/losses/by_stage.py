"""A loss of paper B by its name, of a list of logits, one a stage (paper B, eq. 2 and Table 5).

Apart from `online`, so that an edit of SAAL trains no classifier of volumes anew.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from covid_study.losses.class_balanced import class_balanced_loss, class_balanced_weights
from covid_study.losses.focal import focal_loss
from covid_study.losses.saal import SelfAdaptiveAuxiliaryLoss
from covid_study.losses.symmetric import symmetric_cross_entropy


class StagewiseLoss(nn.Module):
    """Another loss summed over the stages of a deeply supervised network (paper B, eq. 2), the mean over the batch of each.

    Args:
        loss: from logits float (B, classes) and labels int64 (B,) to float (B,).
        weights: float (classes,), that it takes first where they are given; they move to a device with this module.
    """

    def __init__(self, loss: Callable[..., torch.Tensor], weights: torch.Tensor | None = None):
        super().__init__()
        self.loss = loss
        self.weights: torch.Tensor | None
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, logits: Sequence[torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        """The loss of a batch: as `SelfAdaptiveAuxiliaryLoss.forward`."""
        first = () if self.weights is None else (self.weights,)
        every = torch.cat(tuple(logits)).float()  # of all stages at once: each has as many slices
        return self.loss(*first, every, labels.repeat(len(logits))).mean() * len(logits)


def slice_loss(name: str, settings: Mapping[str, Any], class_counts: Sequence[int], stages: int) -> nn.Module:
    """The loss of a row of Table 5 (paper B): ce, focal, class_balanced, sce or saal; called with a list of logits and labels.

    And of what the paper says of its parts: inverse_frequency weighs the cross-entropy by 1 / k_n in place of 1 / E_n (3.3.2);
    saal_no_reverse is SAAL with beta = 0 (3.3.3), saal_one_beta with one beta for all stages (3.4).

    Args:
        settings: section `slice_losses` of the parameters. class_counts: training slices of each class.
        stages: 1 without deep supervision.
    """
    if name.startswith("saal"):
        how = {"reverse": name != "saal_no_reverse", "one_beta": name == "saal_one_beta"}
        return SelfAdaptiveAuxiliaryLoss(class_counts, stages, settings["log_zero"], **how)
    if name in ("class_balanced", "inverse_frequency"):
        beta = settings["class_balanced_beta"] if name == "class_balanced" else 1.0  # eq. 6: then E_n is k_n
        weights = class_balanced_weights(torch.tensor(class_counts), beta)
        return StagewiseLoss(class_balanced_loss, weights)
    if name == "focal":
        gamma, alpha = settings["focal_gamma"], settings["focal_alpha"]
        return StagewiseLoss(partial(focal_loss, gamma=gamma, alpha=alpha))
    if name == "sce":
        alpha, beta, log_zero = (settings[key] for key in ("sce_alpha", "sce_beta", "log_zero"))
        return StagewiseLoss(partial(symmetric_cross_entropy, alpha=alpha, beta=beta, log_zero=log_zero))
    return StagewiseLoss(partial(F.cross_entropy, reduction="none"))
