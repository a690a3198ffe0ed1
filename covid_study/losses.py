"""Losses and online strategies against class imbalance (paper A, V-F)."""

import torch
from torch.nn import functional as F


def focal_loss(
    logits: torch.Tensor, labels: torch.Tensor, gamma: float = 2.0, alpha: float = 0.25
) -> torch.Tensor:
    """Focal loss of each exam (Lin et al. 2017, eq. 5; paper A, V-F): -alpha_t (1 - p_t)^gamma log(p_t).

    Choice: for more than two classes `alpha` weighs class 1 and up, 1 - alpha class 0; the paper has two.

    Args:
        logits: float (B, classes). labels: int64 (B,).
        gamma: 0 is cross-entropy. alpha: weight of the positive class.

    Returns:
        float (B,).

    >>> focal_loss(torch.zeros(2, 2), torch.tensor([0, 1])).round(decimals=4)  # p = 1/2: 0.75 or 0.25 of ln 2 / 4
    tensor([0.1300, 0.0433])
    """
    log_p = F.log_softmax(logits, dim=1).gather(1, labels[:, None])[:, 0]
    weight = torch.where(labels > 0, log_p.new_tensor(alpha), log_p.new_tensor(1.0 - alpha))
    # 1 - p without losing its digits; never quite 0, where a power below one has no gradient
    wrong = (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).tiny)
    return -weight * wrong**gamma * log_p


def hardest(losses: torch.Tensor, share: float) -> torch.Tensor:
    """The largest losses of a batch, at least one: online hard example mining (Shrivastava et al. 2016, 3.2; paper A, V-F).

    The others add nothing to the gradient.

    Args:
        losses: float (B,), one an exam. share: of the batch that is kept.

    >>> hardest(torch.tensor([0.1, 3.0, 0.2, 2.0]), 0.5)
    tensor([3., 2.])
    """
    return losses.topk(max(1, round(share * len(losses)))).values


def online_loss(logits: torch.Tensor, labels: torch.Tensor, online: dict | None = None) -> torch.Tensor:
    """The classifier's loss under an online strategy (paper A, Table VI): a number.

    Args:
        logits: float (B, classes). labels: int64 (B,).
        online: None or {"strategy": "none" | "oversampling" | "ohem" | "focal"} and the strategy's own settings:
            ohem_share, focal_gamma, focal_alpha. Oversampling changes which exams come, not the loss.
    """
    strategy = online["strategy"] if online else "none"
    if strategy == "focal":
        return focal_loss(logits, labels, online["focal_gamma"], online["focal_alpha"]).mean()
    if strategy == "ohem":
        return hardest(F.cross_entropy(logits, labels, reduction="none"), online["ohem_share"]).mean()
    return F.cross_entropy(logits, labels)
