"""The sampler: imbalanced-learn's own checks, an archive by hand, what may never happen, and pipelines and searches."""

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import Pipeline
from imblearn.utils.estimator_checks import check_param_validation, parametrize_with_checks
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import MinMaxScaler

from covid_study.ranking import DualTrackUnderSampler, RivalUnderSampler, rank_negatives, soft_labels
from covid_study.ranking.under_sampler import RULES, histograms

QUICK = {"mass": "normalised", "random_state": 0}  # the checks rank a thousand rows thirty times


@parametrize_with_checks(
    [
        DualTrackUnderSampler(**QUICK),
        DualTrackUnderSampler(distance="euclidean", strategy="top", random_state=0),
        *(RivalUnderSampler(rule=rule, **QUICK) for rule in RULES),
    ]
)
def test_imbalanced_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("sampler", [DualTrackUnderSampler(**QUICK), RivalUnderSampler(**QUICK)])
def test_every_parameter_is_checked_by_name(sampler):
    check_param_validation(type(sampler).__name__, sampler)


@pytest.fixture
def archive():
    """60 negatives of two kinds and 8 positives, 5 columns, some below zero."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(68, 5)) + np.repeat(
        [[0.0] * 5, [1, 0, 2, 0, 0], [0, 0, 3, 1, 0]], [30, 30, 8], axis=0
    )
    return X, np.repeat(["negative", "positive"], [60, 8])


# One positive, all in the first bin: a negative is as difficult as its bin is far. In eq. 6 a soft label of one positive is
# a bin, in which masses move nowhere: no diversity, so that the ranks of eq. 6 are those of the rows.
X = np.eye(4)[[0, 3, 1, 2, 0]]
Y = np.array([1, 0, 0, 0, 0])


@pytest.mark.parametrize(
    "asked, stay",
    [
        ({"strategy": "top", "by": "difficulty", "sampling_strategy": {0: 2}}, [4, 2]),
        ({"strategy": "top", "by": "difficulty"}, [4]),
        ({"strategy": "top", "by": "diversity", "sampling_strategy": 0.5}, [1, 2]),
        ({"strategy": "top", "alpha": 0.9, "beta": 0.1, "sampling_strategy": {0: 3}}, [4, 2, 3]),
        (
            {"exponent": 60.0, "sampling_strategy": {0: 2}, "by": "difficulty"},
            [4, 2],
        ),  # a tail with no length
    ],
)
def test_an_archive_by_hand(asked, stay):
    sampler = DualTrackUnderSampler(**asked)
    rows, labels = sampler.fit_resample(X, Y)
    assert sampler.sample_indices_.tolist() == [*stay, 0]
    assert (rows == X[[*stay, 0]]).all() and labels.tolist() == [0] * len(stay) + [1]
    assert sampler.ranking_["difficulty"].to_dict() == {1: 3, 2: 1, 3: 2, 4: 0}


def test_what_ranks_is_the_papers_ranking(archive):
    X, y = archive
    sampler = DualTrackUnderSampler(random_state=0, alpha=0.2, beta=0.8).fit(X, y)
    sampler.fit_resample(X, y)
    F = pd.DataFrame(X - np.minimum(X.min(0), 0))
    ranking = rank_negatives(soft_labels(F[y == "positive"], F[y == "negative"]), 0.2, 0.8)
    pd.testing.assert_frame_equal(sampler.ranking_, ranking)


SAMPLERS = [
    *(DualTrackUnderSampler(strategy=name) for name in ("random", "normal", "top", "long_tail")),
    *(DualTrackUnderSampler(distance=name) for name in ("euclidean", "cosine", "hellinger")),
    *(RivalUnderSampler(rule=name) for name in RULES),
]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_every_positive_stays_and_as_many_negatives_as_asked_for_the_same_again(sampler, archive):
    X, y = archive
    for asked, size in (("auto", 8), (0.4, 20), ({"negative": 1}, 1), ({"negative": 60}, 60), ("all", 8)):
        twins = [clone(sampler).set_params(sampling_strategy=asked, random_state=7) for _ in range(2)]
        rows, labels = twins[0].fit_resample(X, y)
        twins[1].fit_resample(X, y)
        stay = twins[0].sample_indices_
        assert len(set(stay)) == len(stay) and set(stay) >= set(range(60, 68))
        assert (labels == "negative").sum() == size and (labels == y[stay]).all() and (rows == X[stay]).all()
        assert (stay == twins[1].sample_indices_).all()


NO_TIES = {
    "alpha": 0.7390851,
    "beta": 0.2609149,
}  # sums of two ranks often tie, and rows then go by their number


@pytest.mark.parametrize(
    "sampler, listed",
    [
        (
            DualTrackUnderSampler(**NO_TIES),
            60,
        ),  # eq. 6 takes the positives for bins, so that their own order counts
        (DualTrackUnderSampler(distance="hellinger", **NO_TIES), 68),
        (DualTrackUnderSampler(distance="euclidean", strategy="normal", by="diversity"), 68),
        (RivalUnderSampler(rule="moderate"), 68),
        (RivalUnderSampler(rule="d2"), 68),
    ],
    ids=str,
)
def test_how_rows_are_listed_plays_no_role(sampler, listed, archive):
    X, y = archive
    order = np.r_[np.random.default_rng(0).permutation(listed), listed : len(X)]
    sampler.set_params(random_state=5, sampling_strategy=0.5)
    sampler.fit_resample(X, y)
    before = sampler.sample_indices_
    sampler.fit_resample(X[order], y[order])
    assert sorted(order[sampler.sample_indices_]) == sorted(before)


def test_a_random_state_decides(archive):
    drawn = set()
    for seed in range(5):
        sampler = DualTrackUnderSampler(random_state=seed)
        sampler.fit_resample(*archive)
        drawn.add(tuple(sorted(sampler.sample_indices_)))
    assert len(drawn) > 1


def test_every_larger_class_is_ranked_against_the_smallest(archive):
    X, y = archive[0], np.repeat(["b", "a", "c"], [30, 30, 8])
    sampler = DualTrackUnderSampler(strategy="top", random_state=0)
    _, labels = sampler.fit_resample(X, y)
    assert dict(zip(*np.unique(labels, return_counts=True), strict=True)) == {"a": 8, "b": 8, "c": 8}
    assert sorted(sampler.ranking_.index) == list(range(60))
    F = pd.DataFrame(histograms(X))
    for rows in (F[:30], F[30:60]):  # of the whole table, so that all are moved alike
        expected = rank_negatives(soft_labels(F[60:], rows))
        pd.testing.assert_frame_equal(sampler.ranking_.loc[rows.index], expected)
    one = DualTrackUnderSampler(sampling_strategy={"a": 3})
    assert (one.fit_resample(X, y)[1] == "b").sum() == 30 and set(one.ranking_.index) == set(range(30, 60))


def test_positives_are_thinned_where_they_are_named_with_fewer(archive):
    sampler = DualTrackUnderSampler(sampling_strategy={"positive": 5, "negative": 5}, random_state=0)
    _, labels = sampler.fit_resample(*archive)
    assert (labels == "positive").sum() == 5 and (labels == "negative").sum() == 5


def test_a_histogram_is_what_is_above_the_smallest_value():
    F = histograms(np.array([[-2.0, 0.5, 0.0], [1.0, 2.0, 0.0], [-2.0, 0.0, 0.0]]))
    assert F[:2].tolist() == [[0.0, 0.5, 0.0], [3.0, 2.0, 0.0]]
    assert (F[2] > 0).all() and F[2].max() < 1e-300
    np.testing.assert_allclose(soft_labels(pd.DataFrame(F[2:]), pd.DataFrame(F[:2])), [[2 / 3], [1 / 3]])


def test_it_works_in_a_pipeline_and_in_a_search(archive):
    X, y = archive
    steps = [
        ("scale", MinMaxScaler()),
        ("choose", DualTrackUnderSampler(random_state=0)),
        ("classify", LogisticRegression()),
    ]
    asked = {
        "choose__alpha": [0.0, 1.0],
        "choose__strategy": ["top", "long_tail"],
        "choose__distance": ["emd", "cosine"],
    }
    search = GridSearchCV(Pipeline(steps), asked, cv=2, scoring="balanced_accuracy", error_score="raise").fit(
        X, y
    )
    assert len(search.cv_results_["mean_test_score"]) == 8 and search.best_score_ > 0.5
    assert len(search.best_estimator_["choose"].sample_indices_) == 16
    rival = Pipeline([("choose", RivalUnderSampler(rule="d2")), ("classify", LogisticRegression())])
    assert set(rival.fit(X, y).predict(X)) == {"negative", "positive"}
