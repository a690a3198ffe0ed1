"""An archive at random that a linear classifier is asked about, for the tests of the referee and of the sliders."""

import numpy as np
import pandas as pd

from covid_study.analysis.linear_referee import Frozen
from covid_study.ranking.rank import rank_negatives, soft_labels


def frozen(centre=None, seed: int = 0, mass: str = "partial") -> Frozen:
    """12 positives, 40 negatives, ranked, and 30 exams of the test."""
    rng = np.random.default_rng(seed)
    ids = [f"p{i:02}" for i in range(12)] + [f"n{i:02}" for i in range(40)] + [f"t{i:02}" for i in range(30)]
    features = pd.DataFrame(rng.gamma(2.0, size=(len(ids), 6)), ids)
    ranking = rank_negatives(soft_labels(features.iloc[:12], features.iloc[12:52], mass), mass=mass)
    return Frozen(features, ids[:12], ranking, ids[52:], centre)
