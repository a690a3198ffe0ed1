"""Where an interval lies, in a word: until the tables of paper B show verdicts of `scores.claims`."""

import numpy as np

from covid_study.report.words import listed, percent, with_interval  # noqa: F401 - for the same tables


def side(row, reference: float = 0.0) -> str:
    """Where an interval lies: "above" the reference, "below" it, "on" it, or "unknown" without an interval.

    >>> side({"value": 0.6, "low": 0.52, "high": 0.7}, 0.5), side({"value": 0.6, "low": np.nan, "high": np.nan}, 0.5)
    ('above', 'unknown')
    """
    if np.isnan([row["value"], row["low"], row["high"]]).any():
        return "unknown"
    return "above" if row["low"] > reference else "below" if row["high"] < reference else "on"
