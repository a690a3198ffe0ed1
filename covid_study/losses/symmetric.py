"""Symmetric cross-entropy (Wang et al. 2019): robust to wrong labels (paper B, eq. 8 and Table 5)."""

import torch
from torch.nn import functional as F


def reverse_cross_entropy(logits: torch.Tensor, labels: torch.Tensor, log_zero: float = -4.0) -> torch.Tensor:
    """Reverse cross-entropy of each slice (paper B, eq. 8; Wang et al. 2019): -sum p(n) log q(n), log 0 taken for `log_zero`.

    Args:
        logits: float (B, classes). labels: int64 (B,).

    Returns:
        float (B,): -log_zero times the probability of all classes but the true one.

    >>> reverse_cross_entropy(torch.zeros(1, 4), torch.tensor([2]))
    tensor([3.])
    """
    return reverse_of_each(logits, labels, log_zero).sum(1)


def reverse_of_each(logits: torch.Tensor, labels: torch.Tensor, log_zero: float) -> torch.Tensor:
    """-p(n) log q(n) for each class (B, classes): 0 for the true one, whose log q is log 1."""
    return -log_zero * logits.softmax(1).scatter(1, labels[:, None], 0.0)


def symmetric_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, alpha: float = 0.1, beta: float = 1.0, log_zero: float = -4.0
) -> torch.Tensor:
    """Symmetric cross-entropy of each slice (SCE; Wang et al. 2019, eq. 7; paper B, Table 5): alpha CE + beta RCE, float (B,).

    >>> symmetric_cross_entropy(torch.zeros(1, 2), torch.tensor([0])).round(decimals=4)  # ln 2 / 10 + 4 / 2
    tensor([2.0693])
    """
    forward = F.cross_entropy(logits, labels, reduction="none")
    return alpha * forward + beta * reverse_cross_entropy(logits, labels, log_zero)
