"""Scores against scikit-learn, closed forms and DeLong's variance; intervals on awkward test sets."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as sk

from covid_study.errors import StudyError
from covid_study.scores import binary


def cohort(n=518, positives=50, seed=0, separation=1.5):
    rng = np.random.default_rng(seed)
    y = np.r_[np.ones(positives, int), np.zeros(n - positives, int)]
    return y, 1 / (1 + np.exp(-(rng.normal(size=n) + separation * y - 2)))


def test_scores_are_those_of_a_known_confusion_matrix():
    """40 found, 3 false alarms, 10 missed: paper A, Table III, both tracks at 56 %."""
    y = np.r_[np.ones(50), np.zeros(468)]
    p = np.r_[np.full(40, 0.9), np.full(10, 0.1), np.full(3, 0.8), np.full(465, 0.2)]
    s = binary.classification_scores(y, p)
    assert s["precision"] == pytest.approx(40 / 43) and s["recall"] == pytest.approx(0.8)
    assert s["f1"] == pytest.approx(80 / 93)
    assert round(100 * s["precision"], 1) == 93.0 and round(100 * s["f1"], 1) == 86.0
    assert (s["positives"], s["negatives"], s["note"]) == (50, 468, "")


def test_the_threshold_itself_is_positive():
    assert binary.classification_scores([1, 0], [0.5, 0.4])["recall"] == 1.0


@pytest.mark.parametrize(
    "y, p, undefined",
    [
        ([0, 0], [0.2, 0.7], {"precision", "recall", "f1", "auc", "average_precision"}),
        ([1, 1], [0.2, 0.7], {"auc", "average_precision"}),
        ([], [], {"precision", "recall", "f1", "auc", "average_precision"}),
        ([1, 0], [0.2, 0.1], {"precision"}),
    ],
)
def test_undefined_scores_are_nan_with_a_reason(y, p, undefined):
    s = binary.classification_scores(y, p)
    assert {m for m in binary.SCORES if np.isnan(s[m])} == undefined
    assert s["note"]


def test_nothing_found_gives_an_f1_of_zero():
    assert binary.classification_scores([1, 0], [0.2, 0.1])["f1"] == 0
    assert binary.classification_scores([1, 0], [0.2, 0.7])["f1"] == 0


@pytest.mark.parametrize(
    "y, p, word",
    [
        ([1, 0], [0.5], "2 labels but 1"),
        ([1, 0], [0.5, np.nan], "number 1 is nan"),
        ([1, 2], [0.5, 0.5], "0 or 1"),
    ],
)
def test_bad_input_is_named(y, p, word):
    with pytest.raises(StudyError, match=word):
        binary.classification_scores(y, p)


def test_the_best_threshold_beats_every_other():
    y, p = cohort(120, 20, seed=3)
    best = binary.best_f1_threshold(y, p)
    every = [sk.f1_score(y, p >= t) for t in np.linspace(0, 1, 2001)]
    assert best.f1 == pytest.approx(max(every)) == pytest.approx(sk.f1_score(y, p >= best.threshold))
    assert best.note == "" and not np.isin(best.threshold, p)


def test_equally_good_thresholds_take_the_nearest_to_a_half():
    assert binary.best_f1_threshold([0, 1], [0.4, 0.8]).threshold == pytest.approx(0.6)
    assert binary.best_f1_threshold([1, 1, 0], [0.5, 0.5, 0.5]).threshold == pytest.approx(0.5)


@pytest.mark.parametrize("y", [[], [0, 0], [1]])
def test_a_validation_split_that_cannot_choose_falls_back_and_says_so(y):
    best = binary.best_f1_threshold(y, np.full(len(y), 0.3))
    assert best.threshold == 0.5 and "validation split: no" in best.note and "threshold 0.5" in best.note


def test_weighted_scores_equal_scikit_learn():
    rng = np.random.default_rng(1)
    y, p = cohort(60, 15, seed=2)
    p = p.round(1)  # ties
    weights = rng.integers(0, 4, size=(20, 60)).astype(float)
    ours = binary.weighted_scores(y, p, 0.3, weights)
    for i, w in enumerate(weights):
        precision, recall, f1, _ = sk.precision_recall_fscore_support(
            y, p >= 0.3, average="binary", sample_weight=w
        )
        expected = {
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "auc": sk.roc_auc_score(y, p, sample_weight=w),
            "average_precision": sk.average_precision_score(y, p, sample_weight=w),
        }
        for name, value in expected.items():
            assert ours[name][i] == pytest.approx(value), name


def delong_half_width(y, p):
    """DeLong, DeLong and Clarke-Pearson (1988), by midranks: an interval without resampling."""
    positive, negative = p[y == 1], p[y == 0]
    above = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    variance = above.mean(1).var(ddof=1) / len(positive) + above.mean(0).var(ddof=1) / len(negative)
    return 1.96 * np.sqrt(variance)


def test_bootstrap_agrees_with_delong_and_with_the_binomial():
    y, p = cohort()
    table = binary.bootstrap_intervals(y, p, n=2000)
    auc = table.loc["auc"]
    assert (auc["high"] - auc["low"]) / 2 == pytest.approx(delong_half_width(y, p), rel=0.1)
    recall = table.loc["recall"]
    binomial = 1.96 * np.sqrt(recall["value"] * (1 - recall["value"]) / 50)
    assert (recall["high"] - recall["low"]) / 2 == pytest.approx(binomial, rel=0.15)
    assert ((table["low"] <= table["value"]) & (table["value"] <= table["high"])).all()
    assert (table["note"] == "").all()


def test_bootstrap_is_repeatable_and_blocks_do_not_matter(monkeypatch):
    y, p = cohort(100, 20)
    whole = binary.bootstrap_intervals(y, p, n=300, seed=5)
    pd.testing.assert_frame_equal(whole, binary.bootstrap_intervals(y, p, n=300, seed=5))
    monkeypatch.setattr(binary, "BLOCK", 1000)
    blocks = binary.bootstrap_intervals(y, p, n=300, seed=5)
    assert np.allclose(whole[["low", "high"]], blocks[["low", "high"]], atol=0.06)


def test_patients_are_drawn_whole():
    """Ten copies of each exam say no more than one: the interval must not shrink."""
    y, p = cohort(60, 20)
    once = binary.bootstrap_intervals(y, p, n=2000)
    copies = binary.bootstrap_intervals(
        np.tile(y, 10), np.tile(p, 10), groups=np.tile(np.arange(60), 10), n=2000
    )
    apart = binary.bootstrap_intervals(np.tile(y, 10), np.tile(p, 10), n=2000)
    width = lambda t: (t["high"] - t["low"])["auc"]  # noqa: E731
    assert width(copies) == pytest.approx(width(once), rel=0.1)
    assert width(apart) < 0.5 * width(once)


def test_every_resample_has_both_classes():
    patient, strata = binary.patient_strata(np.array([1, 0, 0, 0, 0]), np.array(list("aabcd")))
    assert [len(s) for s in strata] == [1, 3]
    weights = binary.resample_weights(patient, strata, 50, np.random.default_rng(0))
    assert (weights[:, :2] == 1).all() and (weights[:, 2:].sum(1) == 3).all()


def test_tiny_test_sets_have_no_interval_but_a_note():
    table = binary.bootstrap_intervals([1, 0], [0.9, 0.2])
    assert table.loc["f1", "value"] == 1 and table[["low", "high"]].isna().all(axis=None)
    assert table["note"].str.contains("1 patients with and 1 without").all()
    assert binary.bootstrap_intervals([], [])["value"].isna().all()
    assert binary.bootstrap_intervals([0, 0, 0], [0.1, 0.2, 0.3])["note"].str.contains("no positive").all()


def test_no_mistakes_are_noted():
    table = binary.bootstrap_intervals([1, 1, 1, 0, 0, 0], [0.9, 0.8, 0.7, 0.3, 0.2, 0.1])
    assert table["note"].str.contains("too few mistakes").all() and (table["low"] == 1).all()


def test_auc_interval_takes_any_unit():
    y, p = cohort()
    assert binary.auc_interval(y, p)[:3] == pytest.approx(binary.auc_interval(y, 100 * p - 900)[:3])
    assert binary.auc_interval(y, p - 5).note == ""


def test_spearman_is_scipys_and_its_interval_covers():
    rng = np.random.default_rng(0)
    covered = 0
    truth = 6 / np.pi * np.arcsin(0.6 / 2)  # Spearman's of a normal pair with Pearson's 0.6
    for _ in range(200):
        x = rng.normal(size=60)
        y = 0.6 * x + 0.8 * rng.normal(size=60)
        found = binary.spearman_interval(x, y)
        covered += found.low <= truth <= found.high
    assert found.value == pytest.approx(stats.spearmanr(x, y).statistic)
    assert 0.90 <= covered / 200 <= 0.99


def test_spearman_of_constants_is_undefined():
    assert np.isnan(binary.spearman_interval([1, 1, 1, 1], [1, 2, 3, 4]).value)
    assert "equal" in binary.spearman_interval([1, 1, 1, 1], [1, 2, 3, 4]).note
    assert binary.spearman_interval([1, 2, 3, 4], [1, 2, 3, 4]).high == pytest.approx(1)


def runs(values, **more):
    key = {"table": "A.III", "row": "random", "column": "14%", "metric": "f1"}
    return pd.DataFrame({**key, "seed": range(len(values)), "value": values, **more})


def test_over_seeds_mean_deviation_and_interval():
    one = binary.over_seeds(runs([0.7], low=0.6, high=0.85)).iloc[0]
    assert (one["mean"], one["low"], one["high"], one["seeds"]) == pytest.approx((0.7, 0.6, 0.85, 1))
    assert np.isnan(one["sd"])
    three = binary.over_seeds(runs([0.6, 0.7, 0.8])).iloc[0]
    assert three["sd"] == pytest.approx(0.1)
    assert three["mean"] - three["low"] == pytest.approx(
        4.3027 * 0.1 / np.sqrt(3), rel=1e-4
    )  # t, 2 degrees of freedom
    both = binary.over_seeds(runs([0.7, 0.7], low=0.6, high=0.75)).iloc[0]
    assert (both["low"], both["high"]) == pytest.approx((0.6, 0.75))
    assert binary.over_seeds(runs([0.95, 1.0, 0.9])).iloc[0]["high"] == 1.0


def test_over_seeds_keeps_order_and_refuses_doubles():
    frame = pd.concat([runs([0.5]).assign(row="z"), runs([0.6]).assign(row="a")])
    assert binary.over_seeds(frame)["row"].tolist() == ["z", "a"]
    with pytest.raises(StudyError, match="Two values"):
        binary.over_seeds(pd.concat([runs([0.5]), runs([0.6])]))


def test_over_seeds_leaves_undefined_runs_out():
    found = binary.over_seeds(runs([0.7, np.nan], low=[0.6, np.nan], high=[0.8, np.nan])).iloc[0]
    assert (found["mean"], found["low"], found["seeds"]) == pytest.approx((0.7, 0.6, 1))
    none = binary.over_seeds(runs([np.nan])).iloc[0]
    assert none["seeds"] == 0 and np.isnan(none["mean"])
