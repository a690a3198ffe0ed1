"""What else picks negatives from the same features on the same budget: other people's rules, none of them in the papers.

All are called alike, (negatives, positives, size, seed, difficulty, centre), and return exam ids in the order in which they
were picked. How the archive is listed plays no role.

Choice: distances between features are Euclidean, as in each rule's own paper. Only the difficulty is the paper's (eq. 5).
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covid_study.ranking.sampling import check_size

Rows = NDArray[np.intp]
Rival = Callable[..., list[Any]]
NEAREST = 3  # positives that NearMiss-1 looks at: imbalanced-learn's
CLUSTERS = 10
STRATA, CUT = 50, 0.1  # of difficulty; the share of the hardest that is left out
NEIGHBOURS = 10  # in the graph of D2


def _rule(pick: Callable[..., Rows]) -> Rival:
    """A rule on arrays as one on data frames.

    negatives (M, D), positives (N, D): features by exam id. difficulty, centre: by exam id of the negatives. Raises CohortError
    where the archive cannot fill the selection.
    """

    @wraps(pick)
    def rule(
        negatives: pd.DataFrame,
        positives: pd.DataFrame,
        size: int,
        seed: int = 0,
        difficulty: pd.Series | None = None,
        centre: pd.Series | None = None,
    ) -> list[Any]:
        archive, near = negatives.sort_index(), positives.sort_index()
        check_size(size, len(archive))
        about = [
            None if known is None else known.loc[archive.index].to_numpy() for known in (difficulty, centre)
        ]
        picked = pick(archive.to_numpy(float), near.to_numpy(float), size, seed, *about)
        return list(archive.index[picked])

    return rule


def _from_strata(stratum: NDArray[Any], takes: Rows, rng: np.random.Generator) -> Rows:
    """Rows drawn at random, `takes[k]` of those whose stratum is k."""
    return np.concatenate(
        [rng.choice(np.flatnonzero(stratum == k), take, replace=False) for k, take in enumerate(takes)]
    )


def in_proportion(counts: Rows, size: int) -> Rows:
    """How many to take of each stratum for every one to keep its share; the largest remainders are rounded up.

    >>> in_proportion(np.array([6, 3, 1]), 5).tolist()
    [3, 2, 0]
    """
    takes, rest = np.divmod(size * counts, counts.sum())
    takes[np.argsort(-rest, kind="stable")[: size - takes.sum()]] += 1
    return takes


def equally(counts: Rows, size: int, rng: np.random.Generator) -> Rows:
    """How many to take of each stratum for all to give the same number; what small ones lack, larger ones give.

    Choice: where they cannot all give the same, which of those alike give more is drawn.

    >>> equally(np.array([1, 9, 5]), 9, np.random.default_rng(0)).tolist()
    [1, 4, 4]
    """
    takes, drawn = np.zeros_like(counts), rng.permutation(len(counts))
    for done, k in enumerate(drawn[np.argsort(counts[drawn], kind="stable")]):
        takes[k] = min(counts[k], (size - takes.sum()) // (len(counts) - done))
    return takes


@_rule
def stratified(negatives: Any, positives: Any, size: int, seed: int, difficulty: Any, centre: Any) -> Rows:
    """At random, every centre with its share of the archive (stratified sampling, Neyman 1934).

    Choice: without centres all exams are one stratum.

    >>> archive, centre = pd.DataFrame({"f": [1.0, 2.0, 3.0, 4.0]}, list("abcd")), pd.Series(list("xxyy"), list("abcd"))
    >>> sorted(centre[stratified(archive, archive, 2, centre=centre)])
    ['x', 'y']
    """
    names = np.full(len(negatives), "") if centre is None else centre.astype(str)
    _, stratum, counts = np.unique(names, return_inverse=True, return_counts=True)
    return _from_strata(stratum, in_proportion(counts, size), np.random.default_rng(seed))


@_rule
def near_miss(negatives: Any, positives: Any, size: int, seed: int, difficulty: Any, centre: Any) -> Rows:
    """Those with the smallest mean distance to their three nearest positives (NearMiss-1, Zhang and Mani 2003).

    The same as imbalanced-learn's, which takes the smaller class for the positives and so needs an archive larger than theirs.

    >>> archive = pd.DataFrame({"f": [5.0, 1.0, 9.0]}, list("abc"))
    >>> near_miss(archive, pd.DataFrame({"f": [0.0]}, ["p"]), 2)
    ['b', 'a']
    """
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=min(NEAREST, len(positives))).fit(positives)
    return np.argsort(nearest.kneighbors(negatives)[0].mean(axis=1), kind="stable")[:size]


@_rule
def k_center(negatives: Any, positives: Any, size: int, seed: int, difficulty: Any, centre: Any) -> Rows:
    """Again and again the one that is farthest from all picked so far (k-center greedy, Sener and Savarese 2018, algorithm 1).

    Choice: it starts from a random negative. Distances are computed row by row, never all M x M at once.

    >>> archive = pd.DataFrame({"f": [0.0, 1.0, 10.0]}, list("abc"))
    >>> k_center(archive, archive, 3, seed=1)
    ['b', 'c', 'a']
    """
    picked, nearest = (
        [int(np.random.default_rng(seed).integers(len(negatives)))],
        np.full(len(negatives), np.inf),
    )
    while len(picked) < size:
        nearest = np.minimum(nearest, np.linalg.norm(negatives - negatives[picked[-1]], axis=1))
        nearest[picked[-1]] = -1  # not again, though others lie as near
        picked.append(int(nearest.argmax()))
    return np.array(picked)


@_rule
def cluster_balanced(
    negatives: Any, positives: Any, size: int, seed: int, difficulty: Any, centre: Any
) -> Rows:
    """At random, as many of each cluster of the archive (Yen and Lee 2009; clusters by mini-batch k-means, Sculley 2010).

    Choice: ten clusters, fewer where fewer negatives are asked for; a small cluster is taken whole, and larger ones give more.
    """
    from sklearn.cluster import MiniBatchKMeans

    k = min(CLUSTERS, size)
    cluster = MiniBatchKMeans(k, n_init=3, random_state=seed).fit_predict(negatives)
    rng = np.random.default_rng(seed)
    return _from_strata(cluster, equally(np.bincount(cluster, minlength=k), size, rng), rng)


@_rule
def moderate(negatives: Any, positives: Any, size: int, seed: int, difficulty: Any, centre: Any) -> Rows:
    """Those whose distance to the mean of their class is nearest to the median of these (Moderate coreset, Xia et al. 2023).

    Choice: the mean is the class's centre, as in that paper's text; all negatives are one class.

    >>> archive = pd.DataFrame({"f": [-1.0, 1.0, 2.0, -6.0, 4.0]}, list("abcde"))
    >>> moderate(archive, archive, 2)
    ['c', 'a']
    """
    distance = np.linalg.norm(negatives - negatives.mean(axis=0), axis=1)
    return np.argsort(np.abs(distance - np.median(distance)), kind="stable")[:size]


@_rule
def ccs(negatives: Any, positives: Any, size: int, seed: int, difficulty: Any, centre: Any) -> Rows:
    """At random, as many of each stratum of difficulty, without the hardest (CCS, Zheng et al. 2023, algorithm 1).

    Choice: 50 strata of equal width, as there, but no more than exams are asked for; the hardest tenth is cut (there a share is
    tuned for each size), or less where fewer would be left than are asked for. Difficulty is eq. 5 of paper A: small is hard.
    """
    easy = np.sort(
        np.argsort(difficulty, kind="stable")[min(int(CUT * len(negatives)), len(negatives) - size) :]
    )
    strata, rng = min(STRATA, size), np.random.default_rng(seed)
    edges = np.linspace(difficulty[easy].min(), difficulty[easy].max(), strata + 1)
    stratum = np.searchsorted(edges[1:-1], difficulty[easy], side="right")
    return easy[_from_strata(stratum, equally(np.bincount(stratum, minlength=strata), size, rng), rng)]


@_rule
def d2(negatives: Any, positives: Any, size: int, seed: int, difficulty: Any, centre: Any) -> Rows:
    """The highest score first, where neighbours add to a score and a pick takes from theirs (D2 pruning, Maharana et al. 2024).

    Choice: hardness is one less the difficulty of eq. 5 scaled to [0, 1]; ten neighbours; edges exp(-d^2 / mean d^2), which is
    that paper's with both gammas 1, distances in units of the graph's own.
    """
    from sklearn.neighbors import NearestNeighbors

    if len(negatives) == 1:
        return np.array([0])
    graph = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(negatives) - 1)).fit(negatives)
    distance, near = graph.kneighbors()
    edge = np.exp(-(distance**2) / (np.mean(distance**2) or 1.0))
    hard = (difficulty.max() - difficulty) / (np.ptp(difficulty) or 1.0)
    score, picked = hard + (edge * hard[near]).sum(axis=1), []
    for _ in range(size):
        best = int(score.argmax())
        picked.append(best)
        score[near[best]] -= edge[best] * score[best]
        score[best] = -np.inf
    return np.array(picked)


RIVALS: dict[str, Rival] = {
    rule.__name__: rule for rule in (stratified, near_miss, k_center, cluster_balanced, moderate, ccs, d2)
}
WITHOUT_CHANCE = ("near_miss", "moderate", "d2")  # the seed plays no role
