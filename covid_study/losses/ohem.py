"""Online hard example mining (Shrivastava et al. 2016): only the largest losses of a batch count (paper A, V-F)."""

import torch


def hardest(losses: torch.Tensor, share: float) -> torch.Tensor:
    """The largest losses of a batch, at least one: online hard example mining (Shrivastava et al. 2016, 3.2; paper A, V-F).

    The others add nothing to the gradient.

    Args:
        losses: float (B,), one an exam. share: of the batch that is kept.

    >>> hardest(torch.tensor([0.1, 3.0, 0.2, 2.0]), 0.5)
    tensor([3., 2.])
    """
    return losses.topk(max(1, round(share * len(losses)))).values
