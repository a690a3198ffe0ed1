"""Exams that a classifier of some skill has scored, for the tests of scores."""

import numpy as np
import pandas as pd

from covid_study.report.results import from_scored
from covid_study.scores import binary, claims


def cohort(n=518, positives=50, seed=0, separation=1.5):
    """Labels, the positives first, and probabilities."""
    rng = np.random.default_rng(seed)
    y = np.r_[np.ones(positives, int), np.zeros(n - positives, int)]
    return y, 1 / (1 + np.exp(-(rng.normal(size=n) + separation * y - 2)))


def intervals(y, p, patients=None, n=1000, seed=0):
    """Scores of one classifier with their intervals, as its table has them: index metric; mean, low, high."""
    names = np.char.mod("e%05d", np.arange(len(y)))
    said = pd.DataFrame(
        {"exam_id": names, "patient_id": names, "label": y, "probability": p, "split": "test"}
    )
    said = said if patients is None else said.assign(patient_id=patients)
    of = claims.scored({("a", "b", 0): said}, n=n, seed=seed)
    return from_scored(of, binary.SCORES).set_index("metric")
