"""Several trainings of the same row: their mean, and Student's t for it joined to the interval over the test patients."""

import numpy as np
import pandas as pd
from scipy import stats

from covid_study.errors import StudyError
from covid_study.scores import binary
from covid_study.scores.resamples import LEVEL, Resamples


def half_width(values) -> float:
    """Half the width of Student's t interval for the mean over seeds; 0 with one seed, of which nothing is known.

    >>> round(half_width([0.6, 0.7, 0.8]), 4)  # t, 2 degrees of freedom
    0.2484
    """
    k = len(values)
    return float(stats.t.ppf(0.5 + LEVEL / 2, k - 1) * np.std(values, ddof=1) / np.sqrt(k)) if k > 1 else 0.0


def over_seeds(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean, deviation and interval over seeds of runs that have an interval each; of runs on the same draws: `joined`.

    Args:
        frame: tidy, one row a run and score: `seed`, `value` and, where known, `low` and `high` (of that run) and `note`; all
            other columns say of what (`row`, `column`, `metric`). Scores are fractions.

    Returns:
        The other columns, then `mean`, `sd` (NaN for one seed), `low`, `high`, `seeds`.

    Choice: the interval joins two sources: which patients are in the test split (the mean half-width of the runs, which
    more seeds do not shrink) and the seed (Student's t for the mean); the half-widths are added in quadrature.

    >>> runs = pd.DataFrame({"row": "random", "metric": "f1", "seed": [0, 1], "value": [0.7, 0.8]})
    >>> over_seeds(runs)[["row", "mean", "seeds"]].values.tolist()
    [['random', 0.75, 2]]
    """
    keys = [c for c in frame if c not in ("seed", "value", "low", "high", "note")]
    twice = frame.duplicated([*keys, "seed"])
    if twice.any():
        first = frame.loc[twice, [*keys, "seed"]].iloc[0].to_dict()
        raise StudyError(f"Two values for the same run and score, {first}: average a seed's runs first.")
    rows = []
    for key, runs in frame.groupby(keys, sort=False, dropna=False):
        runs = runs[runs["value"].notna()]  # precision has no value where nothing is called positive
        value, k = runs["value"], len(runs)
        mean, half = value.mean(), half_width(value)
        below = above = 0.0 if k > 1 else np.nan
        if {"low", "high"} <= set(runs) and runs[["low", "high"]].notna().all(axis=1).any():
            below, above = (value - runs["low"]).mean(), (runs["high"] - value).mean()
        low, high = mean - np.hypot(half, below), mean + np.hypot(half, above)
        metric = str(runs["metric"].iloc[0]) if "metric" in runs and k else ""
        if metric.startswith((*binary.SCORES, "rho")):  # the last is a correlation
            low, high = np.clip([low, high], -1 if metric == "rho" else 0, 1)
        rows.append((*key, mean, value.std(ddof=1) if k > 1 else np.nan, low, high, k))
    return pd.DataFrame(rows, columns=[*keys, "mean", "sd", "low", "high", "seeds"])


def joined(values, draws) -> tuple[float, float, float, float]:
    """The mean over seeds of a difference, half-widths below and above it over the patients, and that over the seeds.

    Choice: seeds are averaged before the percentiles are taken, so that what other test patients would change stands once.

    Args:
        values: (seeds,). draws: (seeds, n), on the same resamples; n may be 0.
    """
    mean, (low, high) = float(np.mean(values)), Resamples.interval(np.mean(draws, axis=0))
    return mean, float(np.maximum(0, mean - low)), float(np.maximum(0, high - mean)), half_width(values)
