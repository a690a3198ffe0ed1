"""Brier, reliability and net benefit beside scikit-learn and beside numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from scored_exams import cohort
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from covid_study.scores import calibration
from covid_study.scores.resamples import Resamples
from covid_study.scores.seeds import half_width


def said(y, p, patients=None):
    who = np.arange(len(y)) if patients is None else patients
    return pd.DataFrame({"label": y, "probability": p, "patient_id": who})


@pytest.fixture(scope="module")
def of():
    return {"all": [said(*cohort(seed=0))], "both": [said(*cohort(seed=s)) for s in (1, 2)]}


def test_brier_is_scikit_learns_and_its_interval_that_of_the_resamples(of):
    found = calibration.brier(of, n=200).set_index("label")
    (one,), two = of["all"], of["both"]
    assert found.loc["all", "brier"] == pytest.approx(brier_score_loss(one["label"], one["probability"]))
    assert found.loc["both", "brier"] == pytest.approx(
        np.mean([brier_score_loss(f["label"], f["probability"]) for f in two])
    )
    squares = ((one["probability"] - one["label"]) ** 2).to_numpy()
    draws = Resamples(one["label"], n=200).draws(lambda w: {"b": w @ squares / w.sum(axis=1)})["b"]
    assert found.loc["all", ["low", "high"]].tolist() == pytest.approx(Resamples.interval(draws))
    assert found.loc["all", "said"] == pytest.approx(one["probability"].mean())
    constant = brier_score_loss(one["label"], np.full(len(one), one["label"].mean()))
    assert found.loc["all", "of_the_share"] == pytest.approx(constant)


def test_several_trainings_widen_an_interval_by_what_they_differ():
    apart = [said([1, 1, 0, 0], [p, p, 0.0, 0.0]) for p in (0.9, 0.5)]
    row = calibration.brier({"a": apart}).iloc[0]
    # every resample is the same: two positives alike, two negatives alike
    values = [0.1**2 / 2, 0.5**2 / 2]
    assert row["brier"] == pytest.approx(np.mean(values))
    assert row["high"] - row["brier"] == pytest.approx(half_width(values))


@pytest.mark.parametrize("bins", [2, 5, 10])
def test_reliability_is_scikit_learns_at_the_quantiles(of, bins):
    found = calibration.reliability(of, bins=bins, n=50).groupby("label")
    (one,) = of["all"]
    share, mean = calibration_curve(one["label"], one["probability"], n_bins=bins, strategy="quantile")
    assert found.get_group("all")["observed"].tolist() == pytest.approx(share)
    assert found.get_group("all")["predicted"].tolist() == pytest.approx(mean)
    both = [
        calibration_curve(f["label"], f["probability"], n_bins=bins, strategy="quantile") for f in of["both"]
    ]
    assert found.get_group("both")["observed"].tolist() == pytest.approx(np.mean(both, axis=0)[0])
    assert found["cases"].sum().tolist() == pytest.approx([518, 518])


def test_equal_probabilities_leave_a_bin_empty_and_it_is_left_out():
    y, p = [0, 1, 0, 1], [0.3, 0.3, 0.3, 0.9]
    found = calibration.reliability({"a": [said(y, p)]}, bins=4)
    share, mean = calibration_curve(y, p, n_bins=4, strategy="quantile")
    assert found["observed"].tolist() == pytest.approx(share)
    assert found["predicted"].tolist() == pytest.approx(mean)


@pytest.mark.parametrize("cases, bins", [(12, 2), (40, 4), (518, 10)])
def test_as_many_bins_as_leave_ten_cases_in_each(cases, bins):
    y, p = cohort(n=cases, positives=cases // 3)
    assert len(calibration.reliability({"a": [said(y, p)]}, n=10)) == bins


def test_patients_are_resampled_with_all_their_cases():
    y, p = (np.repeat(values, 2) for values in cohort(n=60, positives=20))
    alone = calibration.brier({"a": [said(y, p)]}).iloc[0]
    together = calibration.brier({"a": [said(y, p, np.repeat(np.arange(60), 2))]}).iloc[0]
    assert together["brier"] == alone["brier"]
    assert together["high"] - together["low"] > 1.2 * (alone["high"] - alone["low"])


def test_a_single_patient_of_a_class_gives_no_interval():
    row = calibration.brier({"a": [said([1, 0, 0], [0.7, 0.2, 0.1])]}).iloc[0]
    assert row["brier"] == pytest.approx(0.14 / 3) and np.isnan(row["low"]) and np.isnan(row["high"])


def test_net_benefit_by_hand():
    """Vickers and Elkin 2006: true positives / n - false positives / n * t / (1 - t)."""
    y, p = [1, 1, 1, 0, 0, 0, 0, 0, 0, 0], [0.9, 0.5, 0.1, 0.8, 0.25, 0.2, 0.1, 0.1, 0.05, 0.0]
    found = calibration.net_benefit({"a": [said(y, p)]}, [0.2, 0.5, 0.8]).set_index(["label", "threshold"])
    benefit = found["benefit"]
    # 0.2: two true, three false at 1 to 4; 0.5: two true, one false at 1 to 1; 0.8: one true, one false at 4 to 1
    by_hand = [0.2 - 0.3 / 4, 0.2 - 0.1, 0.1 - 0.1 * 4]
    assert benefit["a"].tolist() == pytest.approx(by_hand)
    assert benefit[calibration.EVERYONE].tolist() == pytest.approx([0.3 - 0.7 / 4, 0.3 - 0.7, 0.3 - 0.7 * 4])
    assert benefit[calibration.NO_ONE].tolist() == [0, 0, 0]
    assert found.loc["a", "low"].notna().all() and found.loc[calibration.EVERYONE, "low"].isna().all()


def test_a_classifier_that_knows_all_gains_the_share_of_the_ill():
    y, _ = cohort()
    found = calibration.net_benefit({"a": [said(y, y.astype(float))]}, n=20)
    of_it = found[found["label"] == "a"]
    assert of_it["benefit"].tolist() == pytest.approx([50 / 518] * 99)
    assert len(found) == 3 * 99
