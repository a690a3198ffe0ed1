"""What a test can tell from chance, against simulated tests of new patients and new trainings."""

import numpy as np
import pytest
from scipy import stats

from covid_study.scores import claims, power, resamples
from covid_study.scores.binary import weighted_scores
from covid_study.scores.paired import Scored


def trained(rng, y, hardness, lead, training):
    """Probabilities of a run: each exam is hard or easy for all runs alike, and each training is a little off."""
    logit = (
        1.2 * (2 * y - 1)
        + lead * (2 * y - 1)
        + hardness
        + 0.5 * rng.normal(size=len(y))
        + training * rng.normal()
    )
    return 1 / (1 + np.exp(-logit))


def a_test(rng, positives=60, negatives=240, seeds=3, leads=(0.0, 0.0), training=0.3, draws=300):
    """Runs of a column, as `claims.scored` gives them."""
    y = np.repeat([1, 0], [positives, negatives])
    hardness, drawn = rng.normal(size=len(y)), resamples.Resamples(y, n=draws)
    values, found = {}, {}
    for row, lead in enumerate(leads):
        for seed in range(seeds):
            p = trained(rng, y, hardness, lead, training)
            score = lambda w, p=p: {"f1": weighted_scores(y, p, 0.5, w)["f1"]}  # noqa: E731
            values[str(row), "56%", seed] = {"f1": float(score(np.ones((1, len(y))))["f1"][0])}
            found[str(row), "56%", seed] = drawn.draws(score) if draws else {}
    return Scored(values, found, drawn.fewest)


def gap(of):
    return np.mean(
        [of.values["1", "56%", s]["f1"] - of.values["0", "56%", s]["f1"] for s in {c[2] for c in of.values}]
    )


@pytest.mark.parametrize("seeds, training", [(1, 0.0), (3, 0.4)])
def test_chance_is_what_simulated_tests_of_equal_classifiers_show(seeds, training):
    """300 tests with other patients and other trainings: nineteen of twenty stay within `by_chance`."""
    rng = np.random.default_rng(0)
    measured = [power.detectable(a_test(rng, seeds=4, training=training), seeds=[seeds]) for _ in range(12)]
    chance = np.sqrt(np.mean([m["by_chance"].iloc[0] ** 2 for m in measured]))
    gaps = [gap(a_test(rng, seeds=seeds, training=training, draws=0)) for _ in range(300)]
    assert chance == pytest.approx(1.96 * np.std(gaps), rel=0.2)
    assert np.mean(np.abs(gaps) <= chance) == pytest.approx(0.95, abs=0.05)


def test_the_smallest_difference_is_found_in_four_tests_of_five():
    """Two classifiers truly that far apart: the share of tests beyond chance is the power."""
    rng = np.random.default_rng(1)
    line = (
        power.detectable(a_test(rng, 400, 1600, seeds=6), sizes=[60], seeds=[2])
        .query("patients == 60")
        .iloc[0]
    )
    lead = 0.3
    true = np.mean([gap(a_test(rng, 2000, 8000, seeds=8, leads=(0, lead), draws=0)) for _ in range(3)])
    gaps = np.array([gap(a_test(rng, seeds=2, leads=(0.0, lead), draws=0)) for _ in range(300)])
    expected = stats.norm.sf(1.96 - 1.96 * true / line["by_chance"])
    assert np.mean(np.abs(gaps) > line["by_chance"]) == pytest.approx(expected, abs=0.12)
    assert line["smallest"] / line["by_chance"] == pytest.approx(2.8016 / 1.96, rel=1e-3)


def test_more_patients_and_seeds_tell_smaller_differences():
    of = a_test(np.random.default_rng(2), seeds=5, training=0.2)
    found = power.detectable(of, sizes=[240]).set_index(["patients", "seeds"])["smallest"]
    assert (np.diff(found.loc[60]) < 0).all() and (found.loc[240] < found.loc[60]).all()
    assert found.loc[60, np.inf] == pytest.approx(2 * found.loc[240, np.inf])


def test_one_seed_says_nothing_of_trainings():
    of = a_test(np.random.default_rng(3), seeds=1)
    found = power.detectable(of).set_index("seeds")["smallest"]
    assert np.isfinite(found[np.inf]) and found.drop(np.inf).isna().all()
    assert power.errors(Scored({}, {}, 0)).empty


def test_rows_are_compared_with_the_row_above_that_was_run():
    of = a_test(np.random.default_rng(4), leads=(0.0, 0.0, 3.0))
    found = power.row_above(of, rows=["2", "7", "0", "1"], scores=["f1"])
    assert found[["row", "above"]].to_numpy().tolist() == [["0", "2"], ["1", "0"]]
    assert found["verdict"].iloc[0] == claims.FAILS and found["verdict"].iloc[1] in (
        claims.OPEN,
        claims.NO_EFFECT,
    )
    one = claims.paired_difference(of, [(("0", "56%"), ("2", "56%"))], "f1")
    assert found.iloc[0][["difference", "low", "high"]].tolist() == [
        one["difference"],
        one["low"],
        one["high"],
    ]


def test_published_differences_are_held_against_the_papers_own_test():
    """Had each of our runs the spread of the plant, 4 points could not be told at 50 positives."""
    values, draws, rng = {}, {}, np.random.default_rng(0)
    for row in ("both", "random"):
        for seed in range(3):
            values[row, "56%", seed] = {"f1": 0.8 + 0.01 * rng.normal()}
            draws[row, "56%", seed] = {"f1": 0.8 + 0.05 * rng.normal(size=400)}
    found = power.published(Scored(values, draws, 100), claims.of_table("A.III")).set_index("key")
    assert list(found.index) == ["A2"] and not found.loc["A2", "told"]
    patients = (
        1.96 * 0.05 * np.sqrt(2 / 3) * np.sqrt(100 / 50)
    )  # half-width over seeds' mean, on half as many patients
    assert found.loc["A2", "by_chance"] > 0.9 * patients
    one = {cell: value for cell, value in values.items() if cell[2] == 0}
    assert power.published(Scored(one, draws, 100), claims.of_table("A.III"))["told"].isna().all()
