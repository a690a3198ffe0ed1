"""Scores of a classifier of several classes, one class against the rest.

For paper A's future work (VI-4: COVID-19, CAP and non-pneumonia) and for paper B, whose slices have three classes.
An exam is called what the network finds most likely. Scores are fractions, not per cent.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from sklearn import metrics as sk

from covid_study.scores.binary import checked, weighted_scores
from covid_study.scores.resamples import FEWEST, Resamples

OVERALL = "all"  # the row of the scores that are of no single class
OF_ALL = ("accuracy", "balanced_accuracy", "macro_f1")
OF_EACH = ("precision", "recall", "f1", "auc")


def called(p: np.ndarray) -> np.ndarray:
    """The class that each exam is called: the most likely, of equally likely ones the first.

    >>> called(np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]]))
    array([1, 0])
    """
    return np.asarray(p).argmax(axis=1)


def confusion(y: Sequence[int], p: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """Exams of each class (rows) by what they are called (columns).

    Args:
        y: (n,) number of the class. p: float (n, classes). classes: their names.

    Raises:
        StudyError: the shapes do not fit, a label is no class, or a score is not finite.

    >>> confusion([0, 0, 1], [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]], ["covid", "cap"]).to_numpy().tolist()
    [[1, 1], [0, 1]]
    """
    y, p = checked(y, p, classes)
    counts = sk.confusion_matrix(y, called(p), labels=range(len(classes)))
    return pd.DataFrame(
        counts, index=pd.Index(classes, name="true"), columns=pd.Index(classes, name="called")
    )


def mean_confusion(runs: Iterable[tuple[Sequence[int], np.ndarray, Sequence[str]]]) -> pd.DataFrame:
    """The mean of several runs' confusion matrices. runs: of each what `confusion` takes, y, p and classes; one at least.

    >>> mean_confusion([([0, 1], np.eye(2), list("ab")), ([0, 0], np.eye(2), list("ab"))]).to_numpy().tolist()
    [[1.0, 0.5], [0.0, 0.5]]
    """
    matrices = [confusion(*run) for run in runs]
    return sum(matrices) / len(matrices)


def point_scores(y: Sequence[int], p: np.ndarray, classes: Sequence[str]) -> pd.Series:
    """Accuracy, balanced accuracy and macro F1; precision, recall, F1 and AUC of each class against the rest.

    Choice: as in `binary`, precision is NaN where no exam is called a class and F1 is then 0; recall, F1 and AUC of a class
    that no exam has are NaN. Balanced accuracy and macro F1 are means over the classes that have exams.

    Returns:
        Index (row, metric); rows are "all" and the classes.

    >>> point_scores([0, 0, 1], [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]], ["covid", "cap"])["covid"].round(2).tolist()
    [1.0, 0.5, 0.67, 1.0]
    """
    y, p = checked(y, p, classes)
    names = [(OVERALL, m) for m in OF_ALL] + [(name, m) for name in classes for m in OF_EACH]
    found = weighted(y, p, classes, np.ones((1, len(y)))) if len(y) else dict.fromkeys(names, [np.nan])
    return pd.Series({name: float(found[name][0]) for name in names}).rename_axis(["row", "metric"])


def weighted(y: np.ndarray, p: np.ndarray, classes: Sequence[str], weights: np.ndarray) -> dict:
    """The scores of `point_scores` under each row of exam weights (resamples, exams), all rows at once.

    >>> w = np.array([[1.0, 1.0, 1.0], [2.0, 1.0, 0.0]])
    >>> p = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    >>> weighted(np.array([0, 0, 1]), p, ["covid", "cap"], w)["all", "accuracy"].round(2)
    array([0.67, 0.67])
    """
    told, found = called(p), {}
    with np.errstate(invalid="ignore", divide="ignore"):
        for k, name in enumerate(classes):
            right = weights[:, (y == k) & (told == k)].sum(axis=1)
            true, said = weights[:, y == k].sum(axis=1), weights[:, told == k].sum(axis=1)
            f1 = np.where(true > 0, 2 * right / (true + said), np.nan)
            auc = weighted_scores((y == k).astype(float), p[:, k], 0.5, weights)["auc"]
            found |= zip(((name, m) for m in OF_EACH), (right / said, right / true, f1, auc), strict=True)
    recall, f1 = (np.array([found[name, m] for name in classes]) for m in ("recall", "f1"))
    there = np.isfinite(recall)
    found[OVERALL, "accuracy"] = weights[:, y == told].sum(axis=1) / weights.sum(axis=1)
    for metric, of_each in (("balanced_accuracy", recall), ("macro_f1", f1)):
        found[OVERALL, metric] = np.where(there, of_each, 0.0).sum(axis=0) / there.sum(axis=0)
    return found


def intervals(
    y: Sequence[int], p: np.ndarray, classes: Sequence[str], patients=None, n: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Every score of `point_scores` with its interval over the patients, drawn within their class.

    Args:
        y, p, classes: as in `confusion`. patients, n, seed: as in `Resamples`.

    Returns:
        row ("all" or a class), metric, value, low, high, note. Where a class has fewer than two patients its spread is not
        known: its intervals and those over all classes are NaN, and the note says why.

    >>> table = intervals([0, 0, 1, 1], [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]], ["covid", "cap"], n=100)
    >>> table[["value", "low", "high"]].iloc[0].tolist()
    [0.75, 0.5, 1.0]
    """
    y, p = checked(y, p, classes)
    drawn = Resamples(y, patients, n, seed, classes=len(classes))
    few = [name for name, s in zip(classes, drawn.strata, strict=True) if len(s) < FEWEST]
    enough = 0 if len(few) < len(classes) else FEWEST
    table = drawn.table(point_scores(y, p, classes), lambda w: weighted(y, p, classes, w), enough)
    table.index = pd.MultiIndex.from_tuples(table.index, names=["row", "metric"])
    table = table.reset_index()
    unknown = table["row"].isin([*few, *[OVERALL] * bool(few)])
    table.loc[unknown, ["low", "high"]] = np.nan
    table.loc[unknown, "note"] = f"no interval: too few patients of {', '.join(few)}, {FEWEST} needed"
    return table
