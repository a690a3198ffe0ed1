"""Does choosing negatives help, and when? The referee on data that every machine has: digits and breast cancer of scikit-learn.

A class of each is made rare and told from all others, among them those that look like it, as COVID-19 is from CAP. Slices and
pictures can be asked too.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import minmax_scale

from covid_study.analysis import linear_referee
from covid_study.ranking.rank import rank_negatives, soft_labels
from covid_study.samples.samples import Samples
from covid_study.scores import claims
from covid_study.tables import slice_ranking, slice_steps

TASKS = {  # name -> positives and negatives of a training set
    "digit 8": (40, 800),
    "digit 3": (40, 800),
    "digit 1": (40, 800),
    "breast cancer": (15, 200),
}


class Task(NamedTuple):
    """A class to be told from all others: features (n, D), not negative, and who is who, by case."""

    features: pd.DataFrame
    positive: pd.Series  # bool
    patients: pd.Series
    pool: list[str]  # what training sets are drawn from
    test: list[str]
    counts: tuple[int, int]  # positives and negatives of a training set


def of_scikit_learn(name: str) -> Task:
    """A task of TASKS; a third of the cases, the same in every draw, is the test.

    Choice: 64 pixels of a digit; 30 measures of the nuclei of a tumour, each scaled to [0, 1], where malignant is positive.

    >>> [int(of_scikit_learn(name).positive.sum()) for name in ("digit 8", "breast cancer")]
    [174, 212]
    """
    if name == "breast cancer":
        values, kind = load_breast_cancer(return_X_y=True)
        values, positive = minmax_scale(values), kind == 0
    else:
        values, digit = load_digits(return_X_y=True)
        positive = digit == int(name.split()[1])
    index = [f"case-{i:04}" for i in range(len(values))]
    pool, test = train_test_split(index, test_size=1 / 3, stratify=positive, random_state=0)
    of = pd.Series(positive, index)
    return Task(pd.DataFrame(values, index), of, pd.Series(index, index), pool, test, TASKS[name])


def of_slices(p, s: Samples) -> Task:
    """Slices or pictures by their own split: COVID-19 against the rest.

    Choice: features are those of the backbone before any training, from ImageNet where its weights are known; 40 positives are
    a training set's, or as many as there are, with all negatives.
    """
    table, backbone = s.table.sort_index(), p.slice_network.backbone
    values = slice_ranking.pooled(backbone, slice_steps.weights(p, backbone), s.of(list(table.index)))
    positive, test = table["finding"] == "covid", table["split"] == "test"
    counts = min(40, int((positive & ~test).sum())), int((~positive & ~test).sum())
    sides = (list(table.index[side]) for side in (~test, test))
    return Task(pd.DataFrame(values, table.index), positive, table["patient_id"], *sides, counts)


def scored(p, tasks: Mapping[str, Task]) -> dict[str, claims.Scored]:
    """The referee on every task; a draw is a new training set, ranked anew, and a selection of each kind from it.

    Choice: the distance is the paper's over features as listed.
    """
    found, rule = {}, p.ranking.model_dump(include={"mass", "alpha", "beta"})
    for name, task in tasks.items():
        sizes = linear_referee.sizes(p, task.counts[1])
        config = {"task": name, "cases": list(task.counts), "features": joblib.hash(task.features), **rule}
        said = linear_referee.kept(
            p, name, config, lambda task=task: sampler(task, rule), sizes, p.referee.samples
        )
        labels, patients = task.positive[task.test].astype(int), task.patients[task.test]
        found[name] = linear_referee.scored(said, labels, patients, p.study.bootstrap)
    return found


def sampler(task: Task, rule: dict) -> Callable[[int], linear_referee.Frozen]:
    """What makes the training set of a draw: so many positives and negatives of the pool, ranked by the paper's rule."""
    features = task.features

    def sample(seed: int) -> linear_referee.Frozen:
        rng = np.random.default_rng(seed)
        ones, zeros = (
            sorted(rng.choice([c for c in task.pool if task.positive[c] == kind], count, replace=False))
            for kind, count in zip((True, False), task.counts, strict=True)
        )
        distances = soft_labels(features.loc[ones], features.loc[zeros], rule["mass"])
        return linear_referee.Frozen(features, ones, rank_negatives(distances, **rule), task.test)

    return sample
