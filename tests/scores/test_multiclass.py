"""Scores of several classes against scikit-learn, point by point and resample by resample."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from covid_study.errors import StudyError
from covid_study.scores import binary, multiclass
from covid_study.scores.resamples import Resamples

CLASSES = ["covid", "cap", "non_pneumonia"]


def exams(n=90, skill=1.0, seed=0):
    """Labels and probabilities that know something about them; patients with up to two exams."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    logits = rng.normal(size=(n, 3)) + skill * np.eye(3)[y]
    return y, np.exp(logits) / np.exp(logits).sum(1, keepdims=True), [f"P{i // 2}" for i in range(n)]


def test_scores_are_those_of_scikit_learn():
    y, p, _ = exams()
    told = p.argmax(1)
    found = multiclass.point_scores(y, p, CLASSES)
    report = sk.classification_report(y, told, target_names=CLASSES, output_dict=True)
    for name in CLASSES:
        for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert found[name, ours] == pytest.approx(report[name][theirs])
        assert found[name, "auc"] == pytest.approx(
            sk.roc_auc_score(y == CLASSES.index(name), p[:, CLASSES.index(name)])
        )
    assert found["all", "accuracy"] == pytest.approx(sk.accuracy_score(y, told))
    assert found["all", "balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(y, told))
    assert found["all", "macro_f1"] == pytest.approx(sk.f1_score(y, told, average="macro"))
    assert (multiclass.confusion(y, p, CLASSES).to_numpy() == sk.confusion_matrix(y, told)).all()


def test_two_classes_are_scored_as_by_the_metrics_of_two():
    y, p, _ = exams()
    y, score = (y == 0).astype(int), p[:, 0]
    theirs = binary.classification_scores(y, score, threshold=0.5)
    ours = multiclass.point_scores(1 - y, np.column_stack([score, 1 - score]), ["covid", "negative"])
    for metric in multiclass.OF_EACH:
        assert ours["covid", metric] == pytest.approx(theirs[metric])


def test_a_resample_is_scored_as_the_exams_repeated():
    """A weight of k is the exam k times: every score of every resample, against the point scores."""
    y, p, groups = exams(24)
    (weights,) = Resamples(y, groups, 20, 1, classes=3).weights()
    found = multiclass.weighted(y, p, CLASSES, weights)
    for i, w in enumerate(weights.astype(int)):
        expected = multiclass.point_scores(np.repeat(y, w), np.repeat(p, w, axis=0), CLASSES)
        for key, value in expected.items():
            np.testing.assert_allclose(found[key][i], value, err_msg=str(key))


def test_a_class_without_exams_has_no_scores_and_the_others_have():
    y, p, _ = exams()
    y = np.where(y == 2, 1, y)
    table = multiclass.intervals(y, p, CLASSES, n=100).set_index(["row", "metric"])
    assert table.loc["non_pneumonia", "value"][["recall", "f1", "auc"]].isna().all()
    assert table.loc[("non_pneumonia", "precision"), "value"] == 0
    assert table.loc[("all", "balanced_accuracy"), "value"] == pytest.approx(
        np.mean([table.loc[(c, "recall"), "value"] for c in CLASSES[:2]])
    )
    assert table.loc["covid", "low"].notna().all()
    assert table.loc["all", "low"].isna().all()
    assert "non_pneumonia" in table.loc[("all", "accuracy"), "note"]


def test_a_class_that_nothing_is_called_has_no_precision_and_an_f1_of_zero():
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    found = multiclass.point_scores([0, 1, 1], p, ["covid", "cap"])["cap"]
    assert np.isnan(found["precision"]) and found["f1"] == 0.0 == found["recall"] and found["auc"] == 1.0


def test_an_interval_without_width_is_kept_and_noted():
    y = np.repeat([0, 1, 2], 5)
    table = multiclass.intervals(y, np.eye(3)[y], CLASSES, n=100)
    assert (table[["value", "low", "high"]] == 1).all(axis=None)
    assert (table["note"] != "").all()


def test_no_exams_and_one_patient_of_a_class():
    empty = multiclass.intervals([], np.empty((0, 3)), CLASSES)
    assert empty["value"].isna().all() and (empty["note"] != "").all()
    y, p, _ = exams(12)
    y[:] = [0] + [1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1]
    table = multiclass.intervals(y, p, CLASSES, n=100).set_index("row")
    assert table.loc["covid", "low"].isna().all() and table.loc["cap", "low"].notna().any()
    assert pd.Series(table["note"]["covid"]).str.contains("covid").all()


@pytest.mark.parametrize(
    "y, p, groups, text",
    [
        ([0, 1], np.ones((2, 2)), None, "2 labels, but probabilities of shape"),
        ([0, 3], np.ones((2, 3)), None, "Labels must be 0 or 1 or 2"),
        ([0, 1], np.array([[1, 1, 1], [1, np.nan, 1]]), None, "number 1 .*diverged"),
        ([0, 1], np.ones((2, 3)), ["a"], "2 exams but 1 patients"),
    ],
)
def test_what_does_not_fit_is_told(y, p, groups, text):
    with pytest.raises(StudyError, match=text):
        multiclass.intervals(y, p, CLASSES, groups)
