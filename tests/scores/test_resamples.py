"""Intervals against DeLong's variance, the binomial, Newcombe's example and a bootstrap written out."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scored_exams import cohort, intervals
from sklearn.metrics import roc_auc_score

from covid_study.errors import StudyError
from covid_study.scores import resamples
from covid_study.scores.closed_form import proportion_difference, spearman_interval
from covid_study.scores.resamples import Resamples, auc_difference, auc_interval
from covid_study.scores.seeds import joined, over_seeds


def delong_half_width(y, p):
    """DeLong, DeLong and Clarke-Pearson (1988), by midranks: an interval without resampling."""
    positive, negative = p[y == 1], p[y == 0]
    above = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    variance = above.mean(1).var(ddof=1) / len(positive) + above.mean(0).var(ddof=1) / len(negative)
    return 1.96 * np.sqrt(variance)


def test_bootstrap_agrees_with_delong_and_with_the_binomial():
    y, p = cohort()
    table = intervals(y, p, n=2000)
    auc, recall = table.loc["auc"], table.loc["recall"]
    assert (auc["high"] - auc["low"]) / 2 == pytest.approx(delong_half_width(y, p), rel=0.1)
    binomial = 1.96 * np.sqrt(recall["mean"] * (1 - recall["mean"]) / 50)
    assert (recall["high"] - recall["low"]) / 2 == pytest.approx(binomial, rel=0.15)
    assert ((table["low"] <= table["mean"]) & (table["mean"] <= table["high"])).all()


def test_a_draw_is_repeatable_and_blocks_do_not_matter(monkeypatch):
    y, p = cohort(100, 20)
    whole = intervals(y, p, n=300, seed=5)
    pd.testing.assert_frame_equal(whole, intervals(y, p, n=300, seed=5))
    monkeypatch.setattr(resamples, "BLOCK", 1000)
    assert [len(w) for w in Resamples(y, n=25).weights()] == [10, 10, 5]
    blocks = intervals(y, p, n=300, seed=5)
    assert np.allclose(whole[["low", "high"]], blocks[["low", "high"]], atol=0.06)


def test_patients_are_drawn_whole():
    """Ten copies of each exam say no more than one: the interval must not shrink."""
    y, p = cohort(60, 20)
    once = intervals(y, p, n=2000)
    copies = intervals(np.tile(y, 10), np.tile(p, 10), np.tile(np.arange(60), 10), n=2000)
    apart = intervals(np.tile(y, 10), np.tile(p, 10), n=2000)
    width = lambda t: (t["high"] - t["low"])["auc"]  # noqa: E731
    assert width(copies) == pytest.approx(width(once), rel=0.1)
    assert width(apart) < 0.5 * width(once)


def test_every_class_keeps_its_number_of_patients():
    """A patient with any COVID-19 exam belongs to COVID-19, in both ways of numbering the classes."""
    patients = np.array(list("aabcd"))
    drawn = Resamples([1, 0, 0, 0, 0], patients, n=50)
    assert [s.tolist() for s in drawn.strata] == [[0], [1, 2, 3]] and drawn.fewest == 1
    (weights,) = drawn.weights(fewest=1)
    assert (weights[:, :2] == 1).all() and (weights[:, 2:].sum(1) == 3).all()
    of_three = Resamples([2, 0, 1, 1, 2], patients, classes=3)
    assert [s.tolist() for s in of_three.strata] == [[0], [1, 2], [3]] and of_three.fewest == 1
    assert list(Resamples([1, 0], n=9).weights()) == [] == list(Resamples([]).weights())


@pytest.mark.parametrize("positives, negatives", [(0, 3), (3, 0), (1, 4)])
def test_too_few_patients_of_a_class_give_no_interval_but_a_note(positives, negatives):
    y = np.repeat([1, 0], [positives, negatives])
    assert intervals(y, np.linspace(0.1, 0.9, len(y)))[["low", "high"]].isna().all(axis=None)
    table = Resamples(y).table({"recall": 1.0}, lambda w: {"recall": w[:, 0]})
    assert table[["low", "high"]].isna().all(axis=None) and "no interval" in table["note"].iloc[0]


def test_no_mistakes_are_noted():
    auc = auc_interval([1, 1, 1, 0, 0, 0], [0.9, 0.8, 0.7, 0.3, 0.2, 0.1])
    assert "too few mistakes" in auc.note and auc.low == 1


def test_the_auc_takes_any_unit():
    y, p = cohort()
    assert auc_interval(y, p)[:3] == pytest.approx(auc_interval(y, 100 * p - 900)[:3])
    assert auc_interval(y, p - 5).note == ""


@pytest.fixture
def exams():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [120, 40])
    first = y + rng.normal(size=160)
    return y, first, np.round(first + rng.normal(size=160), 1), rng.integers(0, 90, 160)


def test_a_difference_against_sklearns_aucs_and_a_bootstrap_written_out(exams):
    y, first, second, patients = exams
    expected = roc_auc_score(y, first) - roc_auc_score(y, second)
    assert auc_difference(y, first, second, patients, n=100).value == pytest.approx(expected, abs=1e-12)
    found = auc_difference(y, first, second, n=2000)
    rng, drawn = np.random.default_rng(1), []
    for _ in range(1000):
        i = np.concatenate([rng.choice(np.flatnonzero(y == c), (y == c).sum()) for c in (0, 1)])
        drawn.append(roc_auc_score(y[i], first[i]) - roc_auc_score(y[i], second[i]))
    assert [found.low, found.high] == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=0.015)


def test_pairing_narrows_and_the_same_score_differs_by_nothing(exams):
    y, first, second, patients = exams
    assert auc_difference(y, first, 3 * first + 1, patients, n=100)[:3] == (0, 0, 0)
    there, back = auc_difference(y, first, second), auc_difference(y, second, first)
    assert there.value == pytest.approx(-back.value) and there.low == pytest.approx(-back.high)


def test_no_difference_where_there_is_nothing_to_compare():
    assert np.isnan(auc_difference([1, 1], [1, 2], [1, 2]).value)
    assert np.isnan(auc_difference([0, 1], [1, np.nan], [1, 2]).value)
    few = auc_difference([0, 0, 1], [1, 2, 3], [3, 2, 1])
    assert few.value == 1 and np.isnan(few.low) and few.note


def test_spearman_is_scipys_and_its_interval_covers():
    rng = np.random.default_rng(0)
    covered = 0
    truth = 6 / np.pi * np.arcsin(0.6 / 2)  # Spearman's of a normal pair with Pearson's 0.6
    for _ in range(200):
        x = rng.normal(size=60)
        y = 0.6 * x + 0.8 * rng.normal(size=60)
        found = spearman_interval(x, y)
        covered += found.low <= truth <= found.high
    assert found.value == pytest.approx(stats.spearmanr(x, y).statistic)
    assert 0.90 <= covered / 200 <= 0.99
    assert np.isnan(spearman_interval([1, 1, 1, 1], [1, 2, 3, 4]).value)
    assert spearman_interval([1, 2, 3, 4], [1, 2, 3, 4]).high == pytest.approx(1)


def test_newcombes_intervals():
    """Newcombe (1998), table II: examples b, f and h."""
    assert proportion_difference((9, 3), (10, 10)) == pytest.approx((0.6, 0.1705, 0.8090), abs=1e-4)
    assert proportion_difference((10, 0), (10, 10)) == pytest.approx((1.0, 0.6075, 1.0), abs=1e-4)
    assert np.isnan(proportion_difference((0, 0), (0, 0))).all()


def runs(values, **more):
    key = {"table": "A.III", "row": "random", "column": "14%", "metric": "f1"}
    return pd.DataFrame({**key, "seed": range(len(values)), "value": values, **more})


def test_over_seeds_mean_deviation_and_interval():
    one = over_seeds(runs([0.7], low=0.6, high=0.85)).iloc[0]
    assert (one["mean"], one["low"], one["high"], one["seeds"]) == pytest.approx((0.7, 0.6, 0.85, 1))
    assert np.isnan(one["sd"])
    three = over_seeds(runs([0.6, 0.7, 0.8])).iloc[0]
    assert three["sd"] == pytest.approx(0.1)
    half = 4.3027 * 0.1 / np.sqrt(3)  # t, 2 degrees of freedom
    assert three["mean"] - three["low"] == pytest.approx(half, rel=1e-4)
    both = over_seeds(runs([0.7, 0.7], low=0.6, high=0.75)).iloc[0]
    assert (both["low"], both["high"]) == pytest.approx((0.6, 0.75))
    wider = over_seeds(runs([0.6, 0.7, 0.8], low=[0.5, 0.6, 0.7], high=[0.7, 0.8, 0.9])).iloc[0]
    assert wider["mean"] - wider["low"] == pytest.approx(np.hypot(half, 0.1), rel=1e-4)
    assert over_seeds(runs([0.95, 1.0, 0.9])).iloc[0]["high"] == 1.0


def test_over_seeds_keeps_order_refuses_doubles_and_leaves_undefined_runs_out():
    frame = pd.concat([runs([0.5]).assign(row="z"), runs([0.6]).assign(row="a")])
    assert over_seeds(frame)["row"].tolist() == ["z", "a"]
    with pytest.raises(StudyError, match="Two values"):
        over_seeds(pd.concat([runs([0.5]), runs([0.6])]))
    found = over_seeds(runs([0.7, np.nan], low=[0.6, np.nan], high=[0.8, np.nan])).iloc[0]
    assert (found["mean"], found["low"], found["seeds"]) == pytest.approx((0.7, 0.6, 1))
    none = over_seeds(runs([np.nan])).iloc[0]
    assert none["seeds"] == 0 and np.isnan(none["mean"])


def test_seeds_are_averaged_before_the_percentiles():
    """What moves two trainings apart on the same resamples cancels in their mean."""
    draws = np.linspace(-1, 1, 101)
    assert joined([0.2, 0.2], [0.2 + draws, 0.2 - draws]) == pytest.approx((0.2, 0, 0, 0))
    assert joined([0.2, 0.2], [0.2 + draws] * 2)[1:3] == pytest.approx((0.95, 0.95))
