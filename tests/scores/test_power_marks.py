"""Marks follow the simulation: large differences are told apart, small ones are not, and of the unknown nothing is said."""

import numpy as np
import pandas as pd
import pytest

from covid_study.scores import power, power_marks
from covid_study.scores.old_claims import MEAN, Resampled
from tests.scores.test_power import FIXED, TRAINED

ROWS = {"a": (25, 25), "b": (46, 4), "c": (45, 5)}  # true and false positives


def scores(tp, fp, positives=50):
    return {"precision": tp / (tp + fp), "recall": tp / positives, "f1": 2 * tp / (tp + fp + positives)}


def test_marks_tell_small_from_large_differences():
    on = power_marks.Scored(50, 468)
    pairs = [
        ("t", "far", "low", "56%", scores(46, 4), scores(25, 25)),
        ("t", "near", "low", "56%", scores(41, 9), scores(40, 9)),
        ("t", "no precision", "low", "56%", {"precision": np.nan, "recall": 0, "f1": 0}, scores(40, 9)),
        ("t", "elsewhere", "low", "28%", scores(46, 4), scores(25, 25)),
    ]
    found = power_marks.marks(pairs, on, {"56%": TRAINED, "28%": None}, n=500).set_index("row")
    assert found["mark"].to_dict() == {
        "far": power.APART,
        "near": power.CHANCE,
        "no precision": power.UNKNOWN,
        "elsewhere": power.UNKNOWN,
    }
    assert (found["of_all"] > found["of_test"])[["far", "near"]].all()
    fewer = power_marks.marks(pairs[1:2], power_marks.Scored(50, 468, seeds=9), TRAINED, n=500)[
        "of_all"
    ].item()
    assert fewer == pytest.approx(found.loc["near", "of_all"] / 3, rel=0.2)


def resampled(seeds=(0,)):
    """Rows a, b, c in the columns 14 % and 56 %, without resamples."""
    values = {
        (row, column, seed): scores(*counts)
        for row, counts in ROWS.items()
        for column in ("14%", "56%")
        for seed in seeds
    }
    return Resampled(values, {}, 50)


def joined():
    """The paper has the rows a and b, the other way round, at 56 % only."""
    printed = {"a": scores(46, 4), "b": scores(25, 25)}
    return pd.DataFrame(
        {"row": row, "column": column, "metric": m, "published": value}
        for row in ROWS
        for column in ("14%", "56%")
        for m, value in (printed.get(row) or dict.fromkeys(power_marks.SCORES, np.nan)).items()
        if column == "56%"
    )


def test_our_difference_and_the_paper_s_have_a_mark_each():
    pairs = [(("b", "56%"), ("a", "56%")), (("c", "56%"), ("b", "56%")), (("b", "14%"), ("a", "14%"))]
    found = power_marks.mark_pairs(pairs, resampled(), joined(), {"14%": None, "56%": FIXED}, n=300)
    assert found["mark"].tolist() == [power.APART, power.CHANCE, power.UNKNOWN]
    assert found["published_mark"][0] == power.APART and found["published_mark"][1:].isna().all()
    on = power_marks.Scored(FIXED.positives, FIXED.negatives)
    alone = power_marks.marks([("", "", "", "56%", scores(46, 4), scores(25, 25))], on, FIXED, n=300)
    assert found.loc[0, "of_test"] == alone["of_test"].item()


def test_more_seeds_leave_less_to_chance():
    pairs = [(("c", "56%"), ("b", "56%"))]
    one, nine = (
        power_marks.mark_pairs(pairs, resampled(range(k)), joined(), {"56%": TRAINED}, n=500)["of_all"].item()
        for k in (1, 9)
    )
    assert nine == pytest.approx(one / 3, rel=0.2)


def test_the_paper_s_runs_differ_as_ours_at_the_largest_selection():
    spreads = {"56%": FIXED, "14%": None, "all": TRAINED}
    assert power_marks.reference(spreads) is FIXED
    assert power_marks.reference({"none": TRAINED, "ohem": None}) is TRAINED
    assert power_marks.reference({}) is None


def test_only_single_differences_of_f1_are_marked():
    cells = {"one": "b", "one_column": "56%", "other": "a", "other_column": "56%"}
    lines = [
        {"metric": "f1", "column": "56%"} | cells,
        {"metric": "auc", "column": "56%"} | cells,
        {"metric": "f1", "column": MEAN} | dict.fromkeys(cells),
    ]
    found = power_marks.mark_claims(pd.DataFrame(lines), resampled(), joined(), {"56%": FIXED}, n=300)
    assert found.loc[0, ["mark", "published_mark"]].tolist() == [power.APART, power.APART]
    assert found.loc[1:, ["mark", "published_mark"]].isna().all(axis=None)
