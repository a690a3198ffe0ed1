"""Do the probabilities of a classifier move between centres? (paper A, I and IV-B: masking makes features robust to that)"""

import numpy as np
import pandas as pd

from covid_study.scores import binary, claims
from covid_study.scores.resamples import Resamples
from covid_study.tables.table import Table


def scored(table: Table) -> claims.Scored:
    """The AUC of every run, among exams of one centre, and how much is lost where exams of different centres are compared.

    Choice: the paper names no measure. The AUC is the chance that a random positive gets a higher score than a random negative;
    asked of pairs within a centre, a shift of all scores of that centre changes nothing. What all pairs have less is what the
    shifts cost.

    Returns:
        The cells of the table with `auc` (all pairs), `auc_within` (pairs of one centre) and `auc_lost` (their difference), on
        resamples of the test patients; no cells where no centre has exams with and without COVID-19.
    """
    values, draws, fewest = {}, {}, 0
    for cell, said in table.predictions().items():
        test = said[said["split"] == "test"]
        centres = table.samples.table.loc[test[table.scoring.case], "centre"].to_numpy()
        y, p = binary.checked(test["label"], test["probability"])
        if not len(both(y, centres)):
            continue
        drawn = Resamples(y, test["patient_id"], table.resamples)
        fewest = drawn.fewest
        values[cell] = {name: float(v[0]) for name, v in within(y, p, centres, np.ones((1, len(y)))).items()}
        draws[cell] = drawn.draws(lambda weights, y=y, p=p, of=centres: within(y, p, of, weights))
    return claims.Scored(values, draws, fewest)


def both(y: np.ndarray, centres: np.ndarray) -> list[str]:
    """The centres that have positives and negatives; "" is none that is known.

    >>> both(np.array([1, 0, 1]), np.array(["a", "a", "b"]))
    ['a']
    """
    kinds = pd.Series(y).groupby(centres).nunique().drop("", errors="ignore")
    return [str(centre) for centre in kinds.index[kinds == 2]]


def within(y: np.ndarray, p: np.ndarray, centres: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """`auc`, `auc_within` and `auc_lost` under each row of exam weights (resamples, exams).

    >>> y, p = np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.2, 0.1])  # right in both centres, which are apart
    >>> {name: v.tolist() for name, v in within(y, p, np.array(list("aabb")), np.ones((1, 4))).items()}
    {'auc': [0.75], 'auc_within': [1.0], 'auc_lost': [0.25]}
    """
    pairs = right = np.zeros(len(weights))
    for centre in both(y, centres):
        of = centres == centre
        auc = binary.weighted_scores(y[of], p[of], 0.5, weights[:, of])["auc"]
        n = (weights[:, of] @ y[of]) * (weights[:, of] @ (1 - y[of]))
        pairs, right = pairs + n, right + np.where(n > 0, n * auc, 0)
    auc = binary.weighted_scores(y, p, 0.5, weights)["auc"]
    with np.errstate(invalid="ignore", divide="ignore"):
        alike = right / pairs
    return {"auc": auc, "auc_within": alike, "auc_lost": alike - auc}
