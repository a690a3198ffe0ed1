"""Each row against the one above it: the pairs, their differences and intervals."""

import numpy as np
import pandas as pd
import pytest

from covid_study.scores import power, row_above
from covid_study.scores.claims import Scored
from tests.scores.test_power import FIXED

SCORES = ("precision", "recall", "f1", "auc")
F1 = {"random": 0.50, "hard": 0.90, "ours": 0.88}
PAPER = {"random": 0.739, "hard": 0.754}


def scored(seeds=(0, 1), n=200):
    """F1 as given, a little higher in the second seed; resamples differ by the same noise for all rows, and a little more."""
    rng = np.random.default_rng(0)
    shared, values, draws = rng.normal(0, 0.1, n), {}, {}
    for row, f1 in F1.items():
        for column in ("14%", "56%"):
            if (row, column) == ("hard", "56%"):
                continue  # not run there: what lies below is compared with what lies above
            for seed in seeds:
                values[row, column, seed] = dict.fromkeys(SCORES, f1 + 0.01 * seed)
                draws[row, column, seed] = {m: f1 + shared + rng.normal(0, 0.01, n) for m in SCORES}
    return Scored(values, draws, 50)


def joined():
    lines = [
        {
            "table": "A.III",
            "row": row,
            "label": row.upper(),
            "column": c,
            "metric": m,
            "published": PAPER.get(row),
        }
        for row in F1
        for c in ("14%", "56%")
        for m in ("precision", "recall", "f1", "auc")
    ]
    frame = pd.DataFrame(lines)
    frame.loc[frame["metric"] == "auc", "published"] = np.nan
    return frame


def test_each_row_is_compared_with_the_row_above_that_was_run():
    found = row_above.compare(scored(), joined(), {"14%": None, "56%": FIXED}, n=200)
    f1 = found[found["metric"] == "f1"]
    assert f1[["row", "above", "column"]].values.tolist() == [
        ["hard", "random", "14%"],
        ["ours", "hard", "14%"],
        ["ours", "random", "56%"],
    ]
    assert f1["difference"].tolist() == pytest.approx([0.40, -0.02, 0.38])
    assert f1["published"].tolist() == pytest.approx([0.015, np.nan, np.nan], nan_ok=True)
    assert f1["mark"].tolist() == [power.UNKNOWN, power.UNKNOWN, power.APART]
    assert f1["published_mark"].iloc[0] == power.CHANCE and f1["published_mark"][1:].isna().all()
    assert (f1["seeds"] == 2).all() and (f1["label"].str.lower() == f1["row"]).all()
    assert found.loc[found["metric"] == "auc", ["mark", "published", "of_test"]].isna().all(axis=None)


def test_the_interval_is_paired():
    found = row_above.compare(scored(), joined(), {"14%": None}, n=50)
    width = found["high"] - found["low"]
    assert (width < 0.06).all()  # unpaired, the noise that both rows share would make it 0.5
    assert ((found["low"] < found["difference"]) & (found["difference"] < found["high"])).all()


def test_another_order_turns_the_difference_round():
    found = row_above.compare(scored(), joined(), {"14%": None}, n=50, rows=["hard", "random"])
    line = found[(found["metric"] == "f1") & (found["column"] == "14%")]
    assert line[["row", "above"]].values.tolist() == [["random", "hard"]]
    assert line["difference"].item() == pytest.approx(-0.40)
    assert line["published"].item() == pytest.approx(-0.015)


def test_one_row_has_nothing_above_it():
    assert row_above.compare(scored(), joined(), {"14%": FIXED}, n=50, rows=["hard"]).empty
