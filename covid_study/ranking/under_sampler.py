"""The ranking, and other people's rules, as under-samplers of imbalanced-learn: in its pipelines, in scikit-learn's searches.

The smallest class are the positives; of every other class that is to be thinned, each against the smallest, a selection stays.
"""

from abc import abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import pandas as pd
from imblearn.under_sampling.base import BaseUnderSampler
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from covid_study.ranking.emd import Mass
from covid_study.ranking.rank import DIVERSITY_PAIRS, Distance, rank_negatives, soft_labels
from covid_study.ranking.rivals import RIVALS
from covid_study.ranking.sampling import STRATEGIES, Strategy, select

RULES = ("k_center", "cluster_balanced", "moderate", "ccs", "d2")  # imbalanced-learn has NearMiss itself
NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
Seed = int | np.random.RandomState | None


def histograms(X: Any) -> np.ndarray:
    """Anybody's features as histograms, which have a distance (paper A, IV-C): float64 (n, D).

    Choice: a column with values below zero is moved up until its smallest is zero; what is not negative stays as it is. A row
    of zeros then weighs next to nothing, the same in every column.

    Args:
        X: (n, D), an array or a sparse matrix of SciPy.

    >>> histograms(np.array([[-1.0, 2.0], [1.0, 3.0]])).tolist()
    [[0.0, 2.0], [2.0, 3.0]]
    """
    F = X.toarray().astype(float) if issparse(X) else np.array(X, dtype=float)
    F -= np.minimum(F.min(axis=0), 0)
    F[~F.any(axis=1)] = np.finfo(float).tiny
    return F


class _AgainstTheSmallest(BaseUnderSampler):  # type: ignore[misc]  # imbalanced-learn has no types
    """Each class that is thinned, against the smallest one; who stays is said by `_pick`."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseUnderSampler._parameter_constraints,
        "distance": [StrOptions(set(get_args(Distance)))],
        "mass": [StrOptions(set(get_args(Mass)))],
        "random_state": ["random_state"],
    }

    @abstractmethod
    def _pick(self, negatives: pd.DataFrame, positives: pd.DataFrame, size: int, seed: int) -> list[int]:
        """Which `size` of the negatives stay: labels of their index, the number of a row of X."""

    def _fit_resample(self, X: Any, y: np.ndarray) -> tuple[Any, Any]:
        F, random = pd.DataFrame(histograms(X)), check_random_state(self.random_state)
        classes, counts = np.unique(y, return_counts=True)
        smallest, kept = classes[counts.argmin()], list[np.ndarray]()
        for name in classes:
            rows = np.flatnonzero(y == name)
            size, seed = self.sampling_strategy_.get(name), int(random.randint(2**31 - 1))
            if size is not None and name != smallest:
                rows = np.array(self._pick(F.loc[rows], F.loc[y == smallest], int(size), seed))
            elif size is not None and size < len(rows):  # by name alone: no other way thins the positives
                rows = np.random.default_rng(seed).choice(rows, size, replace=False)
            kept.append(rows)
        self.sample_indices_ = np.concatenate(kept)
        return _safe_indexing(X, self.sample_indices_), _safe_indexing(y, self.sample_indices_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.sampler_tags.sample_indices = True
        return tags


class DualTrackUnderSampler(_AgainstTheSmallest):
    """Keeps the negatives that are hard and diverse: a draw from their dual-track ranking (paper A, IV-C to E, eq. 3 to 7).

    The earth mover's distance takes the columns, and then the positives in the order of their rows, for bins on a line, one
    apart; "euclidean", "cosine" and "hellinger" know no order of either. A column weighs as much as there is in it: where
    columns have units of their own, scale them first, to [0, 1] say. `histograms` tells what becomes of values below zero.

    Choice: where `sampling_strategy` names the smallest class itself with fewer rows than it has, those that stay are drawn at
    random; nothing else leaves a positive out.

    Args:
        sampling_strategy: of imbalanced-learn's under-samplers: "auto", a ratio, a dict of class and number, ...
        strategy, by, exponent, width: of `sampling.select`. alpha, beta, diversity_pairs: of `rank.rank_negatives`.
        distance, mass: of `rank.soft_labels` and `rank.rank_negatives`. Partial masses are paired one by one; "normalised" is
            for archives of a hundred thousand and more.
        random_state: of the draws.

    Attributes:
        sample_indices_: the rows of X that stayed, class by class, the best rank first.
        ranking_: what `rank.rank_negatives` returns, for every row of X that was ranked, indexed by its number; ranks are
            within a class.

    Raises:
        ValueError: a parameter is not one of those; X is no table of finite numbers.

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import minmax_scale
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> few = np.concatenate([np.flatnonzero(y == 0)[:20], np.flatnonzero(y == 1)])  # 20 malignant, 357 benign
    >>> X, y = minmax_scale(X[few]), y[few]
    >>> sampler = DualTrackUnderSampler(sampling_strategy=0.5, random_state=0)
    >>> np.bincount(sampler.fit_resample(X, y)[1]).tolist()
    [20, 40]
    >>> len(sampler.ranking_), len(sampler.sample_indices_)
    (357, 60)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_AgainstTheSmallest._parameter_constraints,
        "strategy": [StrOptions(set(STRATEGIES))],
        "by": [StrOptions({"joint", "difficulty", "diversity"})],
        "alpha": [NOT_NEGATIVE],
        "beta": [NOT_NEGATIVE],
        "exponent": [NOT_NEGATIVE],
        "width": [Interval(Real, 0, None, closed="neither")],
        "diversity_pairs": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        strategy: Strategy = "long_tail",
        by: Literal["joint", "difficulty", "diversity"] = "joint",
        alpha: float = 0.5,
        beta: float = 0.5,
        distance: Distance = "emd",
        mass: Mass = "partial",
        exponent: float = 1.0,
        width: float = 0.3,
        diversity_pairs: int = DIVERSITY_PAIRS,
        random_state: Seed = None,
    ):
        super().__init__(sampling_strategy=sampling_strategy)
        self.strategy, self.by, self.alpha, self.beta = strategy, by, alpha, beta
        self.distance, self.mass, self.exponent, self.width = distance, mass, exponent, width
        self.diversity_pairs, self.random_state = diversity_pairs, random_state

    def _fit_resample(self, X: Any, y: np.ndarray) -> tuple[Any, Any]:
        self._rankings: list[pd.DataFrame] = []
        found = super()._fit_resample(X, y)
        self.ranking_ = pd.concat(self._rankings) if self._rankings else pd.DataFrame()
        del self._rankings
        return found

    def _pick(self, negatives: pd.DataFrame, positives: pd.DataFrame, size: int, seed: int) -> list[int]:
        labels = soft_labels(positives, negatives, self.mass, distance=self.distance)
        ranking = rank_negatives(
            labels,
            self.alpha,
            self.beta,
            self.mass,
            distance=self.distance,
            diversity_pairs=self.diversity_pairs,
            seed=seed,
        )
        self._rankings.append(ranking)
        return select(ranking, self.strategy, size, seed, self.by, self.exponent, self.width)


class RivalUnderSampler(_AgainstTheSmallest):
    """Keeps the negatives that one of other people's rules picks, those that imbalanced-learn lacks (`rivals`).

    Args:
        sampling_strategy, random_state: as of `DualTrackUnderSampler`.
        rule: "k_center", "cluster_balanced", "moderate", "ccs" or "d2".
        distance, mass: of the difficulty (paper A, eq. 5) that "ccs" and "d2" go by; the rules' own distance is Euclidean.

    Attributes:
        sample_indices_: the rows of X that stayed, class by class, in the order in which they were picked.

    >>> X, y = np.array([[0.0], [1.0], [2.0], [9.0], [5.0]]), [0, 0, 0, 0, 1]
    >>> sampler = RivalUnderSampler(rule="moderate", sampling_strategy={0: 2})
    >>> sampler.fit_resample(X, y)[0].ravel().tolist()  # 3, 2, 1 and 6 from the mean of the four, which is 2.5 in the middle
    [0.0, 1.0, 5.0]
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_AgainstTheSmallest._parameter_constraints,
        "rule": [StrOptions(set(RULES))],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        rule: str = "k_center",
        distance: Distance = "emd",
        mass: Mass = "partial",
        random_state: Seed = None,
    ):
        super().__init__(sampling_strategy=sampling_strategy)
        self.rule, self.distance, self.mass, self.random_state = rule, distance, mass, random_state

    def _pick(self, negatives: pd.DataFrame, positives: pd.DataFrame, size: int, seed: int) -> list[int]:
        difficulty = None
        if self.rule in ("ccs", "d2"):
            difficulty = soft_labels(positives, negatives, self.mass, distance=self.distance).mean(axis=1)
        return RIVALS[self.rule](negatives, positives, size, seed, difficulty)
