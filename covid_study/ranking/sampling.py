"""Drawing a selection of negatives from their ranking (paper A, IV-E and V-E)."""

from typing import Any, Literal

import numpy as np
import pandas as pd

from covid_study.errors import CohortError

Strategy = Literal["random", "normal", "top", "long_tail"]
STRATEGIES: tuple[Strategy, ...] = ("random", "normal", "top", "long_tail")


def weights(ranks: np.ndarray, strategy: Strategy, exponent: float = 1.0, width: float = 0.3) -> np.ndarray:
    """How likely each rank is drawn first, up to a factor (paper A, IV-E).

    Choice: the paper names the shapes only. Long tail: rank^-exponent (a power law, its reference 42); normal: a bell around
    the middle of the ranking, its deviation `width` of the archive, so that the long tail takes harder and more diverse cases
    (V-E), as half a bell from the best rank would not; random: the same for all.

    Args:
        ranks: int (M,), 1 is best.
        strategy: "random", "normal" or "long_tail".

    >>> weights(np.array([1, 2, 4]), "long_tail").tolist()
    [1.0, 0.5, 0.25]
    """
    ranks = np.asarray(ranks, dtype=float)
    if strategy == "random":
        return np.ones_like(ranks)
    if strategy == "long_tail":
        return ranks**-exponent
    if strategy == "normal":
        return np.exp(-0.5 * ((ranks - (len(ranks) + 1) / 2) / (width * len(ranks))) ** 2)
    raise ValueError(f"unknown sampling strategy {strategy!r}; the strategies are {', '.join(STRATEGIES)}")


def check_size(size: int, archive: int) -> None:
    """Refuse a selection that the archive cannot fill, or of nothing.

    >>> check_size(3, archive=3)
    """
    if not 1 <= size <= archive:
        raise CohortError(
            f"a selection of {size} negatives was asked for, the archive holds {archive}: "
            f"choose a size between 1 and {archive}"
        )


def select(
    ranking: pd.DataFrame,
    strategy: Strategy,
    size: int,
    seed: int = 0,
    by: Literal["joint", "difficulty", "diversity"] = "joint",
    exponent: float = 1.0,
    width: float = 0.3,
) -> list[Any]:
    """Draw `size` negatives without replacement (paper A, IV-E; Tables III and V).

    Args:
        ranking: what `rank.rank_negatives` returns.
        strategy: "long_tail" (the paper's), "normal", "top" (the first `size`) or "random".
        size: how many.
        seed: of the draw; "top" needs none.
        by: the track whose ranks count.
        exponent, width: see `weights`.

    Returns:
        Exam ids, best rank first.

    Raises:
        CohortError: more negatives are asked for than the archive holds, or none.
        ValueError: unknown strategy or track.

    >>> ranking = pd.DataFrame({"joint_rank": [2, 1, 3]}, index=["a", "b", "c"])
    >>> select(ranking, "top", 2)
    ['b', 'a']
    """
    if strategy not in STRATEGIES:
        raise ValueError(
            f"unknown sampling strategy {strategy!r}; the strategies are {', '.join(STRATEGIES)}"
        )
    if f"{by}_rank" not in ranking:
        raise ValueError(f"the ranking has no track {by!r}; its columns are {', '.join(ranking.columns)}")
    check_size(size, len(ranking))
    ranked = ranking[f"{by}_rank"].sort_values()
    if strategy == "top":
        return list(ranked.index[:size])
    # The floor keeps ranks whose weight is too small for a double in the draw: last, but not impossible.
    w = np.maximum(weights(ranked.to_numpy(), strategy, exponent, width), 1e-300)
    drawn = np.random.default_rng(seed).choice(len(ranked), size, replace=False, p=w / w.sum())
    return list(ranked.index[np.sort(drawn)])
