"""SAAL, the self-adaptive auxiliary loss (paper B, 3.3 and 3.4)."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from covid_study.losses.class_balanced import effective_number
from covid_study.losses.symmetric import reverse_of_each


class SelfAdaptiveAuxiliaryLoss(nn.Module):
    """SAAL (paper B, 3.3 and 3.4, eq. 10): both cross-entropies weighted by the inverse effective number of samples.

    alpha = sigmoid(raw_alpha), one for the network; beta_i = sigmoid(raw_betas[i]), one a stage; both are trained with the
    network's weights. The sum over stages (eq. 2) of the mean over the batch.

    Deviation: Algorithm 1 sets the loss to 0 once, before its epochs, and so would add up all batches; here it is of one batch.
    Section 3.3 calls the factor E / k in words; eq. 7 has 1 / E, which is taken.

    Choice: both start from a standard normal variate, so that the factors start around one half ("random initialisation",
    Algorithm 1). Choice: log 0 = -4, as in the paper that the term comes from (Wang et al. 2019).

    Args:
        class_counts: training slices of each class, in the order of the labels.
        stages: lengths of the list of logits, the final ones last.
        log_zero: A < 0, what log 0 is taken for.
        reverse: without it every beta is 0 and the reverse term is gone. one_beta: for all stages, in place of one each.

    Raises:
        ValueError: a count below 1, `log_zero` not below 0, or another number of stages than announced.

    >>> loss = SelfAdaptiveAuxiliaryLoss([30, 60, 40], stages=2)
    >>> with torch.no_grad():
    ...     _ = loss.raw_alpha.zero_(), loss.raw_betas.fill_(-30)  # alpha = 1/2, beta = 0: cross-entropy at half weight
    >>> logits = torch.zeros(4, 3)
    >>> loss([logits, logits], torch.tensor([0, 1, 2, 0])) / F.cross_entropy(logits, torch.tensor([0, 1, 2, 0]))
    tensor(1., grad_fn=<DivBackward0>)
    """

    def __init__(
        self,
        class_counts: Sequence[int],
        stages: int = 6,
        log_zero: float = -4.0,
        *,
        reverse: bool = True,
        one_beta: bool = False,
    ):
        super().__init__()
        counts = torch.as_tensor(class_counts).long()  # whole numbers: `.to(bfloat16)` leaves them alone
        if counts.ndim != 1 or not bool((counts >= 1).all()):
            raise ValueError(f"class_counts: one count of at least 1 for each class, got {class_counts}")
        if not log_zero < 0:
            raise ValueError(f"log_zero stands for log 0 and must be below 0, got {log_zero}")
        self.class_counts: torch.Tensor
        self.register_buffer("class_counts", counts)
        self.log_zero, self.stages, self.reverse = log_zero, stages, reverse
        self.raw_alpha = nn.Parameter(torch.randn(()))
        self.raw_betas = nn.Parameter(torch.randn(1 if one_beta else stages))

    @property
    def alpha(self) -> torch.Tensor:
        """The effective sample factor, in (0, 1)."""
        return self.raw_alpha.sigmoid()

    @property
    def betas(self) -> torch.Tensor:
        """The weight of the reverse cross-entropy at each stage, in (0, 1)."""
        return self.raw_betas.sigmoid().expand(self.stages) * self.reverse

    def class_weights(self) -> torch.Tensor:
        """(1 - alpha) / (1 - alpha^k) of each class (eq. 7), in float32 at least."""
        raw = self.raw_alpha.to(torch.promote_types(self.raw_alpha.dtype, torch.float32))
        return 1 / effective_number(F.logsigmoid(raw), self.class_counts.to(raw.dtype))

    def forward(self, logits: Sequence[torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        """The loss of a batch.

        Args:
            logits: of each stage (B, classes), the final ones last. labels: int64 (B,).
        """
        if len(logits) != self.stages:
            raise ValueError(f"{len(logits)} lists of logits, but {self.stages} stages")
        with torch.autocast(labels.device.type, enabled=False):  # expm1 in half precision is what must not be
            weights = self.class_weights()
            every = torch.cat(tuple(logits)).to(weights.dtype)  # of all stages at once
            labels = labels.repeat(len(logits))
            forward = weights[labels] * F.cross_entropy(every, labels, reduction="none")
            reverse = (weights * reverse_of_each(every, labels, self.log_zero)).sum(1)
            forward, reverse = (part.view(len(logits), -1).mean(1) for part in (forward, reverse))
            return (forward + self.betas.to(weights.dtype) * reverse).sum()
