"""Exams that a classifier of some skill has scored, for the tests of scores."""

import numpy as np


def cohort(n=518, positives=50, seed=0, separation=1.5):
    """Labels, the positives first, and probabilities."""
    rng = np.random.default_rng(seed)
    y = np.r_[np.ones(positives, int), np.zeros(n - positives, int)]
    return y, 1 / (1 + np.exp(-(rng.normal(size=n) + separation * y - 2)))
