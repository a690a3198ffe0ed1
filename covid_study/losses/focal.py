"""The focal loss (Lin et al. 2017): exams that are already told apart count less (paper A, V-F; paper B, Table 5)."""

import torch
from torch.nn import functional as F

from covid_study.cohort.findings import POSITIVE


def focal_loss(
    logits: torch.Tensor, labels: torch.Tensor, gamma: float = 2.0, alpha: float = 0.25
) -> torch.Tensor:
    """Focal loss of each exam (Lin et al. 2017, eq. 5; paper A, V-F): -alpha_t (1 - p_t)^gamma log(p_t).

    Choice: `alpha` weighs COVID-19, output 1 (see `findings.outputs`), and 1 - alpha every other class; the paper has two.

    Args:
        logits: float (B, classes). labels: int64 (B,).
        gamma: 0 is cross-entropy. alpha: weight of the positive class.

    Returns:
        float (B,).

    >>> focal_loss(torch.zeros(2, 2), torch.tensor([0, 1])).round(decimals=4)  # p = 1/2: 0.75 or 0.25 of ln 2 / 4
    tensor([0.1300, 0.0433])
    """
    log_p = F.log_softmax(logits, dim=1).gather(1, labels[:, None])[:, 0]
    weight = torch.full_like(log_p, 1.0 - alpha).masked_fill(labels == POSITIVE, alpha)
    # 1 - p without losing its digits; never quite 0, where a power below one has no gradient
    wrong = (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).tiny)
    return -weight * wrong**gamma * log_p
