"""A selection in which every centre, or whatever else is known of exams, keeps its share of the archive."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from covid_study.ranking.rivals import in_proportion

Draw = Callable[[pd.DataFrame, int, int], list[Any]]  # (rows of a ranking, size, seed) -> exam ids


def select_by_stratum(
    draw: Draw, ranking: pd.DataFrame, stratum: pd.Series | None, size: int, seed: int = 0
) -> list[Any]:
    """What `draw` selects in each stratum, as many as keep its share (stratified sampling, Neyman 1934).

    Choice: in a stratum ranks count anew, from 1, and it has a seed of its own.

    Args:
        draw: `sampling.select` or a rule of `rivals`, with its settings. ranking: what `rank.rank_negatives` returns.
        stratum: by exam id; None: all are one, and `draw` is asked once.

    Returns:
        Exam ids, stratum by stratum.

    >>> ranking = pd.DataFrame({"joint_rank": [1, 2, 3, 4, 5, 6]}, index=list("abcdef"))
    >>> first = lambda part, size, seed: list(part["joint_rank"].nsmallest(size).index)
    >>> select_by_stratum(first, ranking, pd.Series(list("xxxxyy"), index=ranking.index), 3)
    ['a', 'b', 'e']
    """
    if stratum is None:
        return draw(ranking, size, seed)
    names, place, counts = np.unique(stratum.loc[ranking.index], return_inverse=True, return_counts=True)
    chosen: list[Any] = []
    for k, take in enumerate(in_proportion(counts, size)):
        part = ranking[place == k]
        anew = {
            name: part[name].rank(method="first").astype(int) for name in part if str(name).endswith("_rank")
        }
        own = int(np.random.SeedSequence([seed, k]).generate_state(1)[0])
        chosen += draw(part.assign(**anew), int(take), own) if take else []
    return chosen
