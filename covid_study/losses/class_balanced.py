"""Classes weighted by the inverse effective number of their samples (Cui et al. 2019; paper B, eq. 5 and Table 5)."""

import torch
from torch.nn import functional as F


def effective_number(log_alpha: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Effective number of samples of each class (paper B, eq. 5): (1 - alpha^k) / (1 - alpha).

    Computed from log alpha: near alpha = 1, where 1 - alpha^k loses all digits in float32, it stays exact, and its limit at
    alpha = 1 is k (eq. 6).

    Args:
        log_alpha: float (), not above 0. counts: float (classes,), samples of each class, k.

    >>> effective_number(torch.tensor(0.5).log(), torch.tensor([1.0, 2.0, 50.0]))
    tensor([1.0000, 1.5000, 2.0000])
    >>> effective_number(torch.tensor(-1e-12), torch.tensor([1256.0, 2674.0, 980.0]))  # 1 - 1e-12 is 1 in float32
    tensor([1256., 2674.,  980.])
    """
    rate = (-log_alpha).clamp_min(torch.finfo(log_alpha.dtype).tiny)  # never 0 / 0
    return torch.expm1(-rate * counts) / torch.expm1(-rate)


def class_balanced_weights(counts: torch.Tensor, beta: float) -> torch.Tensor:
    """Class weights of Cui et al. 2019 (paper B, Table 5): inverse effective numbers that sum to the number of classes.

    At the counts of COVID19-Diag a beta of 0.99 or less changes nothing: the effective number has reached its end.

    >>> class_balanced_weights(torch.tensor([1256.0, 2674.0, 980.0]), 0.99)
    tensor([1.0000, 1.0000, 1.0000])
    >>> class_balanced_weights(torch.tensor([1256.0, 2674.0, 980.0]), 0.9999)
    tensor([1.0840, 0.5453, 1.3706])
    """
    log_beta = torch.log1p(torch.tensor(beta - 1.0, dtype=torch.float64))
    weights = 1 / effective_number(log_beta, counts.double())
    return (weights / weights.sum() * len(counts)).float()


def class_balanced_loss(weights: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each slice times the weight of its class: float (B,).

    Args:
        weights: of `class_balanced_weights`. logits: float (B, classes). labels: int64 (B,).
    """
    # not F.cross_entropy(weight=...): that divides by the sum of the weights in the batch
    return weights[labels] * F.cross_entropy(logits, labels, reduction="none")
