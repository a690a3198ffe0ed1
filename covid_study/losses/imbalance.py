"""Losses against class imbalance: online strategies (paper A, V-F), SAAL and those beside it (paper B, 3.3 and 5.2)."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn
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
    weight = torch.where(labels == POSITIVE, log_p.new_tensor(alpha), log_p.new_tensor(1.0 - alpha))
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


# Paper B: losses of a list of logits, one a stage


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


def reverse_cross_entropy(logits: torch.Tensor, labels: torch.Tensor, log_zero: float = -4.0) -> torch.Tensor:
    """Reverse cross-entropy of each slice (paper B, eq. 8; Wang et al. 2019): -sum p(n) log q(n), log 0 taken for `log_zero`.

    Args:
        logits: float (B, classes). labels: int64 (B,).

    Returns:
        float (B,): -log_zero times the probability of all classes but the true one.

    >>> reverse_cross_entropy(torch.zeros(1, 4), torch.tensor([2]))
    tensor([3.])
    """
    return _reverse(logits, labels, log_zero).sum(1)


def _reverse(logits: torch.Tensor, labels: torch.Tensor, log_zero: float) -> torch.Tensor:
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


class SelfAdaptiveAuxiliaryLoss(nn.Module):
    """SAAL (paper B, 3.3 and 3.4, eq. 10): both cross-entropies weighted by the inverse effective number of samples.

    alpha = sigmoid(raw_alpha), one for the network; beta_i = sigmoid(raw_betas[i]), one a stage; both are trained with the
    network's weights. The sum over stages (eq. 2) of the mean over the batch.

    Choice: both start from a standard normal variate, so that the factors start around one half ("random initialisation",
    Algorithm 1). Choice: log 0 = -4, as in the paper that the term comes from (Wang et al. 2019).

    Args:
        class_counts: training slices of each class, in the order of the labels.
        stages: lengths of the list of logits, the final ones last.
        log_zero: A < 0, what log 0 is taken for.

    Raises:
        ValueError: a count below 1, `log_zero` not below 0, or another number of stages than announced.

    >>> loss = SelfAdaptiveAuxiliaryLoss([30, 60, 40], stages=2)
    >>> with torch.no_grad():
    ...     _ = loss.raw_alpha.zero_(), loss.raw_betas.fill_(-30)  # alpha = 1/2, beta = 0: cross-entropy at half weight
    >>> logits = torch.zeros(4, 3)
    >>> loss([logits, logits], torch.tensor([0, 1, 2, 0])) / F.cross_entropy(logits, torch.tensor([0, 1, 2, 0]))
    tensor(1., grad_fn=<DivBackward0>)
    """

    def __init__(self, class_counts: Sequence[int], stages: int = 6, log_zero: float = -4.0):
        super().__init__()
        counts = torch.as_tensor(class_counts).long()  # whole numbers: `.to(bfloat16)` leaves them alone
        if counts.ndim != 1 or not bool((counts >= 1).all()):
            raise ValueError(f"class_counts: one count of at least 1 for each class, got {class_counts}")
        if not log_zero < 0:
            raise ValueError(f"log_zero stands for log 0 and must be below 0, got {log_zero}")
        self.register_buffer("class_counts", counts)
        self.log_zero = log_zero
        self.raw_alpha = nn.Parameter(torch.randn(()))
        self.raw_betas = nn.Parameter(torch.randn(stages))

    @property
    def alpha(self) -> torch.Tensor:
        """The effective sample factor, in (0, 1)."""
        return self.raw_alpha.sigmoid()

    @property
    def betas(self) -> torch.Tensor:
        """The weight of the reverse cross-entropy at each stage, in (0, 1)."""
        return self.raw_betas.sigmoid()

    def class_weights(self) -> torch.Tensor:
        """(1 - alpha) / (1 - alpha^k) of each class (eq. 7), in float32 at least."""
        raw = self.raw_alpha.to(torch.promote_types(self.raw_alpha.dtype, torch.float32))
        return 1 / effective_number(F.logsigmoid(raw), self.class_counts.to(raw.dtype))

    def forward(self, logits: Sequence[torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        """The loss of a batch.

        Args:
            logits: of each stage (B, classes), the final ones last. labels: int64 (B,).
        """
        if len(logits) != len(self.raw_betas):
            raise ValueError(f"{len(logits)} lists of logits, but {len(self.raw_betas)} stages")
        with torch.autocast(labels.device.type, enabled=False):  # expm1 in half precision is what must not be
            weights = self.class_weights()
            total = weights.new_zeros(())
            for stage, beta in zip(logits, self.betas.to(weights.dtype), strict=True):
                stage = stage.to(weights.dtype)
                forward = weights[labels] * F.cross_entropy(stage, labels, reduction="none")
                reverse = (weights * _reverse(stage, labels, self.log_zero)).sum(1)
                total = total + (forward + beta * reverse).mean()
        return total


class StagewiseLoss(nn.Module):
    """Another loss summed over the stages of a deeply supervised network (paper B, eq. 2), the mean over the batch of each.

    Args:
        loss: from logits float (B, classes) and labels int64 (B,) to float (B,).
    """

    def __init__(self, loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]):
        super().__init__()
        self.loss = loss

    def forward(self, logits: Sequence[torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        """The loss of a batch: as `SelfAdaptiveAuxiliaryLoss.forward`."""
        return sum(self.loss(stage.float(), labels).mean() for stage in logits)


def slice_loss(name: str, settings: dict, class_counts: Sequence[int], stages: int) -> nn.Module:
    """The loss of a row of Table 5 (paper B): ce, focal, class_balanced, sce or saal; called with a list of logits and labels.

    Args:
        settings: section `slice_losses` of the parameters. class_counts: training slices of each class.
        stages: 1 without deep supervision.
    """
    if name == "saal":
        return SelfAdaptiveAuxiliaryLoss(class_counts, stages, settings["log_zero"])
    if name == "class_balanced":
        weights = class_balanced_weights(torch.tensor(class_counts), settings["class_balanced_beta"])
        return StagewiseLoss(partial(_weighted_cross_entropy, weights))
    if name == "focal":
        gamma, alpha = settings["focal_gamma"], settings["focal_alpha"]
        return StagewiseLoss(partial(focal_loss, gamma=gamma, alpha=alpha))
    if name == "sce":
        known = {
            "alpha": settings["sce_alpha"],
            "beta": settings["sce_beta"],
            "log_zero": settings["log_zero"],
        }
        return StagewiseLoss(partial(symmetric_cross_entropy, **known))
    return StagewiseLoss(partial(F.cross_entropy, reduction="none"))


def _weighted_cross_entropy(
    weights: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    # not F.cross_entropy(weight=...): that divides by the sum of the weights in the batch
    return weights.to(logits.device)[labels] * F.cross_entropy(logits, labels, reduction="none")
