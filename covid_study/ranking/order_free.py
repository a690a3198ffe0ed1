"""Rankings that do not depend on the order in which channels and positives are listed (paper A, IV-C and D).

|i - j| puts the channels of a network in a row, and in eq. 6 the positives. Here channels that rise and fall together over
exams are near each other, and positives that look alike are. Each distance is then a linear programme.
"""

import time
from collections.abc import Callable
from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from covid_study.ranking.blocks import Blocks
from covid_study.ranking.emd import Mass, pairwise_emd
from covid_study.ranking.emd_ground import channel_distance
from covid_study.ranking.rank import DIVERSITY_PAIRS, rank_negatives, soft_labels

if TYPE_CHECKING:
    import torch

# Which order a variant does without: (that of the channels in eq. 3, that of the positives in eq. 6).
VARIANTS = {
    "listed": (False, False),
    "channels": (True, False),
    "positives": (False, True),
    "both": (True, True),
}
FEWEST = 36  # negatives to compare rankings on; positives are left out before there are fewer


class OrderFree:
    """Rankings of the same negatives with and without an order; what two of them share is computed once.

    Choice: two channels are as far apart as `emd_ground.channel_distance` says, over all the exams given, whatever their
    finding; two positives as far as eq. 3 says, with the same ground distance (paper A, eq. 3 and 6).

    Args:
        positives: (N, D) features, not negative, indexed by exam id. negatives: (M, D).
        features: the exams over which channels are compared; None: the positives and the negatives.
        mass, alpha, beta, diversity_pairs: of `rank.rank_negatives`.
        device, blocks: of `emd.pairwise_emd`.

    >>> near, far = pd.DataFrame([[3.0, 1, 0], [0, 2, 1]]), pd.DataFrame([[1.0, 0, 1], [2, 2, 0]], index=["a", "b"])
    >>> mirrored = near.iloc[::-1, ::-1], far.iloc[:, ::-1]
    >>> np.allclose(OrderFree(near, far).without("both"), OrderFree(*mirrored).without("both"))
    True
    """

    def __init__(
        self,
        positives: pd.DataFrame,
        negatives: pd.DataFrame,
        features: pd.DataFrame | None = None,
        *,
        mass: Mass = "partial",
        alpha: float = 0.5,
        beta: float = 0.5,
        diversity_pairs: int = DIVERSITY_PAIRS,
        device: "str | torch.device" = "cpu",
        blocks: Blocks | None = None,
    ):
        self.positives, self.negatives = positives, negatives
        self.features = pd.concat([positives, negatives]) if features is None else features
        self.mass = mass
        self.rule = {"alpha": alpha, "beta": beta, "mass": mass, "diversity_pairs": diversity_pairs}
        self.how: dict[str, Any] = {"device": device, "blocks": blocks}
        self._steps: dict[
            tuple[str, object], tuple[Any, float]
        ] = {}  # (step, kind) -> (what it gave, seconds)

    def without(self, variant: str) -> pd.DataFrame:
        """The ranking without the order of the "channels", the "positives", "both", or as "listed".

        Returns:
            What `rank.rank_negatives` returns.
        """
        channels, positives = VARIANTS[variant]
        between = None
        if positives:
            apart = (self.positives, self.mass, self._ground(channels))
            between = self._step(("apart", channels), positives_apart, *apart)
        how = self.rule | self.how
        return self._step(("ranking", variant), rank_negatives, self.labels(variant), ground=between, **how)

    def labels(self, variant: str) -> pd.DataFrame:
        """The soft labels of that ranking: what `rank.soft_labels` returns."""
        channels, _ = VARIANTS[variant]
        given = (self.positives, self.negatives, self.mass)
        return self._step(
            ("labels", channels), soft_labels, *given, ground=self._ground(channels), **self.how
        )

    def _ground(self, channels: bool) -> np.ndarray | None:
        return channel_distance(self.features) if channels else None

    def seconds(self, variant: str) -> dict[str, float]:
        """What the steps of a ranking took that was asked for: "labels" (eq. 3), "apart" (of positives), "ranking" (eq. 6)."""
        channels, positives = VARIANTS[variant]
        keys = [("labels", channels), *[("apart", channels)] * positives, ("ranking", variant)]
        return {key[0]: self._steps[key][1] for key in keys}

    def _step(self, key: tuple[str, object], compute: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if key not in self._steps:
            started = time.perf_counter()
            self._steps[key] = compute(*args, **kwargs), time.perf_counter() - started
        return self._steps[key][0]


def positives_apart(
    positives: pd.DataFrame, mass: Mass = "partial", ground: ArrayLike | None = None
) -> np.ndarray:
    """How far the positives lie apart: their distances by eq. 3 (paper A, IV-C), float64 (N, N), symmetric, zero diagonal.

    Args:
        positives: (N, D) features. mass, ground: of `emd.pairwise_emd`.

    >>> positives_apart(pd.DataFrame([[1, 0, 0], [0, 0, 1], [0, 1, 0]]))
    array([[0., 2., 1.],
           [2., 0., 1.],
           [1., 1., 0.]])
    """
    values = positives.to_numpy(dtype=np.float64)
    apart = np.zeros((len(values), len(values)))
    for i in range(1, len(values)):
        apart[i, :i] = pairwise_emd(values[:i], values[i : i + 1], mass, ground=ground)[:, 0]
    return apart + apart.T


def pairs(positives: int, negatives: int) -> dict[str, int]:
    """Distances of each step of a ranking: negatives to positives, positives and negatives among themselves.

    >>> pairs(3, 4)
    {'labels': 12, 'apart': 3, 'ranking': 6}
    """
    return {
        "labels": positives * negatives,
        "apart": positives * (positives - 1) // 2,
        "ranking": negatives * (negatives - 1) // 2,
    }


def programmes(variant: str, positives: int, negatives: int) -> int:
    """Linear programmes that a ranking takes.

    >>> [programmes(variant, 3, 4) for variant in VARIANTS]
    [0, 12, 6, 21]
    """
    no_channels, no_positives = VARIANTS[variant]
    count = pairs(positives, negatives)
    return (
        no_channels * count["labels"]
        + (no_channels and no_positives) * count["apart"]
        + no_positives * count["ranking"]
    )


def thinned(positives: int, negatives: int, most: int, fewest: int = FEWEST) -> tuple[np.ndarray, np.ndarray]:
    """Which exams are left when no step of a ranking may take more than `most` pairs: positions, evenly spread.

    Negatives are left out first, positives only where fewer than `fewest` negatives would remain.

    >>> near, far = thinned(60, 160, 4000)
    >>> len(near), len(far), far[:4].tolist()
    (60, 66, [0, 2, 4, 7])
    """
    side = (1 + isqrt(1 + 8 * most)) // 2  # so many have no more than `most` pairs among themselves
    n_positives = max(1, min(positives, side, most // max(1, min(negatives, fewest))))
    n_negatives = max(1, min(negatives, side, most // n_positives))
    return evenly(positives, n_positives), evenly(negatives, n_negatives)


def evenly(total: int, kept: int) -> np.ndarray:
    """Positions of `kept` of `total` exams, evenly spread.

    >>> evenly(5, 3).tolist(), evenly(2, 9).tolist()
    ([0, 1, 3], [0, 1])
    """
    kept = min(total, kept)
    return np.arange(kept) * total // max(1, kept)
