"""Scores of a classifier of slices, of all three classes (paper B, 4.2, eq. 11 to 16).

A slice is called what the network finds most likely. The accuracy is over all classes; every other score is COVID-19
against the rest, as in the paper, whose Table 6 agrees with itself only so. Scores are fractions, not per cent.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from covid_study.errors import StudyError
from covid_study.scores import multiclass
from covid_study.scores.binary import weighted_scores
from covid_study.scores.resamples import Resamples

OF_SLICES = ("acc", "f1", "gmean", "sen", "spe", "pre", "auc")
COVID = "covid"
PATIENT = "_patient"  # after the name of a score that counts patients instead of slices


class Called(NamedTuple):
    """What was predicted, as arrays: `multiclass.confusion(*called[:3])` and the like take them."""

    y: np.ndarray  # int (n,), 0 is COVID-19
    p: np.ndarray  # float64 (n, classes)
    classes: list[str]  # COVID-19 first
    patients: np.ndarray  # (n,)


def read(table: pd.DataFrame) -> Called:
    """The arrays of a table of predictions.

    Args:
        table: one row a slice (or patient): `patient_id`, `finding`, and `p_<class>` for each class.

    Raises:
        StudyError: a column is missing, a finding has no column, a probability is not finite.

    >>> t = pd.DataFrame({"patient_id": ["a", "b"], "finding": ["cap", "covid"], "p_cap": [0.7, 0.6], "p_covid": [0.3, 0.4]})
    >>> read(t).y.tolist(), read(t).p[0].tolist(), read(t).classes
    ([1, 0], [0.3, 0.7], ['covid', 'cap'])
    """
    names = [c.removeprefix("p_") for c in table if c.startswith("p_")]
    wanted = {"patient_id", "finding", f"p_{COVID}"}
    if missing := sorted(wanted - set(table)):
        raise StudyError(f"The predictions lack the columns {', '.join(missing)}: train the run anew.")
    classes = [COVID, *(name for name in names if name != COVID)]
    if unknown := sorted(set(table["finding"]) - set(classes)):
        raise StudyError(f"No probability of {', '.join(unknown)}: the run knows only {', '.join(classes)}.")
    p = table[[f"p_{name}" for name in classes]].to_numpy(dtype=float)
    if not np.isfinite(p).all():
        where = table.index[~np.isfinite(p).all(axis=1)][0]
        name = table["slice_id"].loc[where] if "slice_id" in table else where
        raise StudyError(f"The probabilities of slice {name} are not finite: training diverged.")
    return Called(pd.Index(classes).get_indexer(table["finding"]), p, classes, table["patient_id"].to_numpy())


def by_patient(table: pd.DataFrame) -> pd.DataFrame:
    """The predictions of patients: the mean probability over their slices.

    Choice: slices of one patient are no independent cases, so the study counts patients too; paper B, 4.2 counts slices.
    A patient with slices of several findings counts once for each finding.

    Returns:
        `patient_id`, `finding`, `slices` (how many) and the mean of each `p_<class>`, sorted by patient.

    >>> t = pd.DataFrame({"patient_id": ["a", "a"], "finding": "covid", "p_covid": [0.25, 0.75], "p_cap": [0.75, 0.25]})
    >>> by_patient(t).to_numpy().tolist()
    [['a', 'covid', 2, 0.5, 0.5]]
    """
    groups = table.groupby(["patient_id", "finding"], sort=True, observed=True)
    means = groups[[c for c in table if c.startswith("p_")]].mean()
    means.insert(0, "slices", groups.size())
    return means.reset_index()


def weighted(y: np.ndarray, p: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """The seven scores under each row of weights, all rows at once (paper B, eq. 11 to 16).

    Choice: where nothing is called COVID-19 the precision is undefined (NaN) and F1 is 0; without COVID-19, or with nothing
    else, what needs both is NaN.

    Args:
        y: int (n,), 0 is COVID-19. p: float (n, classes). weights: float (resamples, n), n at least 1.

    >>> p = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.7, 0.3]])
    >>> scores = weighted(np.array([0, 0, 1, 1]), p, np.array([[1.0, 1, 1, 1], [3, 1, 1, 1]]))
    >>> scores["sen"].tolist(), scores["spe"].tolist(), scores["acc"].round(2).tolist()
    ([0.5, 0.75], [0.5, 0.5], [0.5, 0.67])
    """
    told = multiclass.called(p)
    parts = np.stack([told == y, (y == 0) & (told == 0), y == 0, told == 0, np.ones(len(y), bool)], axis=1)
    right, tp, positives, said, all_of_them = (weights @ parts.astype(float)).T
    with np.errstate(invalid="ignore", divide="ignore"):
        sen = tp / positives
        spe = 1 - (said - tp) / (all_of_them - positives)
        return {
            "acc": right / all_of_them,
            "f1": np.where(positives > 0, 2 * tp / (said + positives), np.nan),
            "gmean": np.sqrt(sen * spe),
            "sen": sen,
            "spe": spe,
            "pre": tp / said,
            "auc": weighted_scores((y == 0).astype(float), p[:, 0], 0.5, weights)["auc"],
        }


def of_classes(called: Called, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Sensitivity and precision of each class against the rest, `sen_cap` and the like (paper B, Table 7), under weights.

    weights: float (resamples, n). NaN where no slice is of a class, or none is called it.

    >>> called = Called(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]]), ["covid", "cap"], np.arange(3))
    >>> {name: value.tolist() for name, value in of_classes(called, np.ones((1, 3))).items()}
    {'sen_covid': [1.0], 'pre_covid': [0.5], 'sen_cap': [0.5], 'pre_cap': [1.0]}
    """
    told, found = multiclass.called(called.p), {}
    for k, name in enumerate(called.classes):
        is_it, said = called.y == k, told == k
        right, there, so_called = (weights @ part.astype(float) for part in (is_it & said, is_it, said))
        with np.errstate(invalid="ignore", divide="ignore"):
            found |= {f"sen_{name}": right / there, f"pre_{name}": right / so_called}
    return found


def point_scores(table: pd.DataFrame) -> pd.Series:
    """The seven scores of a table of predictions (paper B, 4.2), NaN where one is not defined.

    >>> t = pd.DataFrame({"patient_id": list("abc"), "finding": ["covid", "covid", "cap"]})
    >>> t = t.assign(p_covid=[0.9, 0.2, 0.1], p_cap=[0.1, 0.8, 0.9])
    >>> point_scores(t)[["acc", "sen", "spe", "auc"]].round(2).tolist()
    [0.67, 0.5, 1.0, 1.0]
    """
    called = read(table)
    if not len(called.y):
        return pd.Series(np.nan, index=pd.Index(OF_SLICES, name="metric"))
    found = weighted(called.y, called.p, np.ones((1, len(called.y))))
    return pd.Series({m: float(found[m][0]) for m in OF_SLICES}).rename_axis("metric")


def drawn(called: Called, n: int = 1000, seed: int = 0) -> Resamples:
    """Resamples of the patients of some slices. A patient with COVID-19 on any slice belongs to COVID-19."""
    return Resamples(called.y, called.patients, n, seed, classes=len(called.classes))
