"""The loss of an online strategy of paper A (V-F, Table VI), by its name."""

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional as F

from covid_study.losses.focal import focal_loss
from covid_study.losses.ohem import hardest


def online_loss(
    logits: torch.Tensor, labels: torch.Tensor, online: Mapping[str, Any] | None = None
) -> torch.Tensor:
    """The classifier's loss under an online strategy (paper A, Table VI): a number.

    Args:
        logits: float (B, classes). labels: int64 (B,).
        online: None or {"strategy": "none" | "oversampling" | "ohem" | "focal"} and the strategy's own settings:
            ohem_share, focal_gamma, focal_alpha. Oversampling changes which exams come, not the loss.
    """
    online = online or {"strategy": "none"}
    strategy = online["strategy"]
    if strategy == "focal":
        return focal_loss(logits, labels, online["focal_gamma"], online["focal_alpha"]).mean()
    if strategy == "ohem":
        return hardest(F.cross_entropy(logits, labels, reduction="none"), online["ohem_share"]).mean()
    return F.cross_entropy(logits, labels)
