"""The scores of slices: scikit-learn's and imbalanced-learn's, intervals over patients, patients instead of slices."""

import numpy as np
import pandas as pd
import pytest
from imblearn.metrics import geometric_mean_score
from scored_exams import intervals as of_exams
from sklearn import metrics as sk

from covid_study.errors import StudyError
from covid_study.report.results import from_scored
from covid_study.scores import claims, slices as slice_metrics

CLASSES = ("covid", "cap", "non_pneumonia")


def predictions(patients=30, slices=6, skill=1.5, seed=0, classes=CLASSES):
    """Slices of patients; slices of one patient resemble each other."""
    rng, rows = np.random.default_rng(seed), []
    for i in range(patients):
        finding = i % len(classes)
        own = rng.normal(size=len(classes))
        for j in range(slices):
            logits = own + rng.normal(size=len(classes)) + skill * (np.arange(len(classes)) == finding)
            p = np.exp(logits) / np.exp(logits).sum()
            rows.append((f"s{i}_{j}", f"e{i}", f"p{i}", classes[finding], "test", *p))
    columns = ["slice_id", "exam_id", "patient_id", "finding", "split"]
    return pd.DataFrame(rows, columns=[*columns, *(f"p_{c}" for c in classes)])


def intervals(table, n=1000, per_patient=False):
    """Scores of one run with their intervals, as its table has them: index metric; mean, low, high."""
    of = claims.scored({("a", "b", 0): table}, n=n, per_patient=per_patient)
    return from_scored(of, slice_metrics.OF_SLICES).set_index("metric")


@pytest.mark.parametrize("classes", [CLASSES, ("covid", "non_covid")])
def test_scores_are_scikit_learns(classes):
    table = predictions(classes=classes)
    found = slice_metrics.point_scores(table)
    p = table[[f"p_{c}" for c in classes]].to_numpy()
    told = np.array(classes)[p.argmax(1)]
    y, called = table["finding"] == "covid", told == "covid"
    assert found["acc"] == pytest.approx(sk.accuracy_score(table["finding"], told))
    assert found["f1"] == pytest.approx(sk.f1_score(y, called))
    assert found["sen"] == pytest.approx(sk.recall_score(y, called))
    assert found["spe"] == pytest.approx(sk.recall_score(~y, ~called))
    assert found["pre"] == pytest.approx(sk.precision_score(y, called))
    assert found["auc"] == pytest.approx(sk.roc_auc_score(y, table["p_covid"]))
    assert found["gmean"] == pytest.approx(np.sqrt(found["sen"] * found["spe"]))
    assert found["gmean"] == pytest.approx(geometric_mean_score(y, called))  # imbalanced-learn's
    assert 0.3 < found["acc"] < 0.95 and found["sen"] != found["spe"]


def test_the_order_of_the_columns_does_not_matter():
    table = predictions()
    turned = table[[*table.columns[:5], "p_non_pneumonia", "p_covid", "p_cap"]]
    pd.testing.assert_series_equal(slice_metrics.point_scores(table), slice_metrics.point_scores(turned))


def test_weights_count_slices_that_often():
    table = predictions(patients=9, slices=3)
    called = slice_metrics.read(table)
    weights = np.random.default_rng(1).integers(0, 4, (5, len(table)))
    found = slice_metrics.weighted(called.y, called.p, weights.astype(float))
    for i, row in enumerate(weights):
        repeated = slice_metrics.point_scores(table.loc[table.index.repeat(row)].reset_index(drop=True))
        assert [found[m][i] for m in slice_metrics.OF_SLICES] == pytest.approx(repeated.tolist(), nan_ok=True)


def test_two_classes_agree_with_the_bootstrap_of_paper_a():
    """Two classes: argmax is a threshold of 0.5, and the same draw gives the same intervals."""
    table = predictions(classes=("covid", "non_covid"), skill=1.0)
    ours = intervals(table, n=300)
    table = table.sort_values("slice_id")
    theirs = of_exams(table["finding"] == "covid", table["p_covid"].array, table["patient_id"].array, n=300)
    for mine, other in {"sen": "recall", "pre": "precision", "f1": "f1", "auc": "auc"}.items():
        expected = theirs.loc[other, ["mean", "low", "high"]].astype(float).tolist()
        assert ours.loc[mine, ["mean", "low", "high"]].astype(float).tolist() == pytest.approx(expected)


def test_intervals_cover_what_other_patients_give():
    """Of 40 cohorts from the same source about 95 % of the intervals hold the score of a huge one."""
    truth = slice_metrics.point_scores(predictions(patients=6000, slices=2, seed=99))["sen"]
    tables = [intervals(predictions(60, 2, seed=i), n=200).loc["sen"] for i in range(40)]
    assert sum(t["low"] <= truth <= t["high"] for t in tables) >= 33


def test_a_patient_is_the_mean_of_its_slices():
    table = predictions(patients=9, slices=5)
    found = slice_metrics.by_patient(table).set_index("patient_id")
    for patient, rows in table.groupby("patient_id"):
        assert found.loc[patient, "p_covid"] == pytest.approx(rows["p_covid"].mean())
        assert found.loc[patient, "slices"] == 5 and found.loc[patient, "finding"] == rows["finding"].iloc[0]
    both = pd.concat([table, table[:1].assign(finding="cap")])
    assert len(slice_metrics.by_patient(both)) == 10


def test_a_run_is_scored_on_its_test_slices_by_slice_and_by_patient():
    table = predictions(skill=1.0)
    training = predictions(skill=9.0, seed=8).assign(split="train")
    training["slice_id"] = "t" + training["slice_id"]
    of_slices, of_patients = (intervals(pd.concat([table, training]), 50, by) for by in (False, True))
    assert of_slices.loc["acc", "mean"] == slice_metrics.point_scores(table)["acc"]
    by_patient = slice_metrics.point_scores(slice_metrics.by_patient(table))
    assert of_patients["mean"].tolist() == by_patient.tolist()
    assert of_patients.loc["auc", "mean"] > of_slices.loc["auc", "mean"]


@pytest.mark.parametrize(
    "rows, undefined",
    [
        ("finding != 'covid'", {"f1", "gmean", "sen", "auc"}),
        ("finding == 'covid'", {"gmean", "spe", "auc"}),
        ("p_covid < 0.2", {"pre"}),
    ],
)
def test_what_is_not_defined_is_nan(rows, undefined):
    found = intervals(predictions(patients=60, skill=1.0).query(rows), n=50)
    assert set(found.index[found["mean"].isna()]) >= undefined
    assert (found.loc[list(undefined), "seeds"] == 0).all() and pd.notna(found.loc["acc", "mean"])
    if "pre" in undefined:
        assert found.loc[["f1", "sen", "gmean", "spe"], "mean"].tolist() == [0, 0, 0, 1]


def test_one_patient_of_a_class_gives_no_interval():
    table = predictions(patients=12)
    found = intervals(table[~table["patient_id"].isin(["p3", "p6", "p9"])], n=50)
    assert found[["low", "high"]].isna().all(axis=None) and found["mean"].notna().all()
    assert slice_metrics.point_scores(predictions()[:0]).isna().all()  # no slices, no scores


@pytest.mark.parametrize(
    "change, word",
    [
        (lambda t: t.drop(columns="p_covid"), "p_covid"),
        (lambda t: t.assign(finding="tuberculosis"), "tuberculosis"),
        (lambda t: t.assign(p_cap=[np.nan, *t["p_cap"][1:]]), "s0_0"),
    ],
)
def test_unusable_predictions_are_refused(change, word):
    with pytest.raises(StudyError, match=word):
        slice_metrics.read(change(predictions()))
