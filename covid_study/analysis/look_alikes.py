"""Does choosing negatives help, and when? The referee on data that every machine has: digits and breast cancer of scikit-learn.

A class of each is made rare and told from all others, among them those that look like it, as COVID-19 is from CAP.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import minmax_scale

from covid_study.analysis import linear_referee
from covid_study.ranking.rank import rank_negatives, soft_labels
from covid_study.scores import claims

TASKS = {  # name -> positives and negatives of a training set
    "digit 8": (40, 800),
    "digit 3": (40, 800),
    "digit 1": (40, 800),
    "breast cancer": (15, 200),
}


def cases(task: str) -> tuple[pd.DataFrame, pd.Series]:
    """Features (n, D), not negative, and whether each case is positive, by case.

    Choice: 64 pixels of a digit; 30 measures of the nuclei of a tumour, each scaled to [0, 1], where malignant is positive.

    >>> [int(cases(task)[1].sum()) for task in ("digit 8", "breast cancer")]
    [174, 212]
    """
    if task == "breast cancer":
        values, kind = load_breast_cancer(return_X_y=True)
        values, positive = minmax_scale(values), kind == 0
    else:
        values, digit = load_digits(return_X_y=True)
        positive = digit == int(task.split()[1])
    index = [f"case-{i:04}" for i in range(len(values))]
    return pd.DataFrame(values, index), pd.Series(positive, index)


def scored(p) -> dict[str, claims.Scored]:
    """The referee on every task; a draw is a new training set, ranked anew, and a selection of each kind from it.

    Choice: a third of the cases, the same in every draw, is the test. The distance is the paper's over features as listed.
    """
    found = {}
    for task, (ones, zeros) in TASKS.items():
        features, positive = cases(task)
        pool, test = train_test_split(
            list(features.index), test_size=1 / 3, stratify=positive, random_state=0
        )
        rule = p.ranking.model_dump(include={"mass", "alpha", "beta"})
        sample = sampler(features, positive, pool, test, (ones, zeros), rule)
        config = {"task": task, "cases": [ones, zeros], **rule}
        sizes = linear_referee.sizes(p, zeros)
        said = linear_referee.kept(p, task, config, lambda sample=sample: sample, sizes, p.referee.samples)
        found[task] = linear_referee.scored(said, positive[test].astype(int), test, p.study.bootstrap)
    return found


def sampler(
    features: pd.DataFrame,
    positive: pd.Series,
    pool: pd.Index,
    test: list[str],
    counts: tuple[int, int],
    rule: dict,
) -> Callable[[int], linear_referee.Frozen]:
    """What makes the training set of a draw: so many positives and negatives of the pool, ranked by the paper's rule."""

    def sample(seed: int) -> linear_referee.Frozen:
        rng = np.random.default_rng(seed)
        ones, zeros = (
            sorted(rng.choice([case for case in pool if positive[case] == kind], count, replace=False))
            for kind, count in zip((True, False), counts, strict=True)
        )
        distances = soft_labels(features.loc[ones], features.loc[zeros], rule["mass"])
        return linear_referee.Frozen(features, ones, rank_negatives(distances, **rule), test)

    return sample
