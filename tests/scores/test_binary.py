"""Scores against scikit-learn and closed forms; awkward test sets."""

import numpy as np
import pytest
from scored_exams import cohort
from sklearn import metrics as sk

from covid_study.errors import StudyError
from covid_study.scores import binary


def test_scores_are_those_of_a_known_confusion_matrix():
    """40 found, 3 false alarms, 10 missed: paper A, Table III, both tracks at 56 %."""
    y = np.r_[np.ones(50), np.zeros(468)]
    p = np.r_[np.full(40, 0.9), np.full(10, 0.1), np.full(3, 0.8), np.full(465, 0.2)]
    s = binary.classification_scores(y, p)
    assert s["precision"] == pytest.approx(40 / 43) and s["recall"] == pytest.approx(0.8)
    assert s["f1"] == pytest.approx(80 / 93)
    assert round(100 * s["precision"], 1) == 93.0 and round(100 * s["f1"], 1) == 86.0
    assert (s["positives"], s["negatives"], s["note"]) == (50, 468, "")


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


def test_the_threshold_itself_is_positive_and_nothing_found_gives_an_f1_of_zero():
    assert binary.classification_scores([1, 0], [0.5, 0.4])["recall"] == 1.0
    for wrong in (0.1, 0.7):
        assert binary.classification_scores([1, 0], [0.2, wrong])["f1"] == 0


@pytest.mark.parametrize(
    "y, p, word",
    [
        ([1, 0], [0.5], "2 labels, but probabilities of shape"),
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
    tied = binary.best_f1_threshold(
        [1, 0, 0, 1], [0.8, 0.6, 0.4, 0.1]
    )  # one found, none wrong; both found, two wrong
    assert tied.f1 == pytest.approx(2 / 3) and tied.threshold == pytest.approx(0.7)


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
        auc, average = (s(y, p, sample_weight=w) for s in (sk.roc_auc_score, sk.average_precision_score))
        found = [ours[name][i] for name in binary.SCORES]
        assert found == pytest.approx([precision, recall, f1, auc, average])


def test_means_over_classifiers_are_the_means_of_each():
    rng = np.random.default_rng(0)
    y, p = np.repeat([1, 0], [8, 15]), rng.random((6, 23)).round(1)  # with ties
    weights = rng.integers(0, 3, (20, 23)).astype(float)
    found = binary.weighted_means(y, p, 0.5, weights)
    each = [binary.weighted_scores(y, one, 0.5, weights) for one in p]
    for score in ("f1", "auc"):
        assert found[score] == pytest.approx(np.mean([one[score] for one in each], axis=0))
