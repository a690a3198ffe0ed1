"""The paired difference of two AUCs against scikit-learn and against what must hold of its interval."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from covid_study.errors import StudyError
from covid_study.scores.comparisons import auc_difference


@pytest.fixture
def exams():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [120, 40])
    first = y + rng.normal(size=160)
    return y, first, np.round(first + rng.normal(size=160), 1), rng.integers(0, 90, 160)


def test_value_is_the_difference_of_sklearns_aucs_with_ties(exams):
    y, first, second, patients = exams
    expected = roc_auc_score(y, first) - roc_auc_score(y, second)
    assert auc_difference(y, first, second, patients, n=100).value == pytest.approx(expected, abs=1e-12)


def test_interval_against_a_bootstrap_written_out(exams):
    y, first, second, _ = exams
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
    assert there.value == -back.value and there.low == pytest.approx(-back.high)


def test_no_number_where_there_is_nothing_to_compare():
    assert np.isnan(auc_difference([1, 1], [1, 2], [1, 2]).value)
    assert np.isnan(auc_difference([0, 1], [1, np.nan], [1, 2]).value)
    few = auc_difference([0, 0, 1], [1, 2, 3], [3, 2, 1])
    assert few.value == 1 and np.isnan(few.low) and "two patients" in few.note
    with pytest.raises(StudyError, match="2 labels"):
        auc_difference([0, 1], [1, 2, 3], [1, 2])
