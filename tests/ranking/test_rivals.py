"""Other people's selections: each on an archive worked by hand, and what holds for all of them on any archive."""

from itertools import combinations
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from imblearn.under_sampling import NearMiss

from covid_study.errors import CohortError
from covid_study.params import sections
from covid_study.ranking import rivals
from covid_study.ranking.rivals import RIVALS, WITHOUT_CHANCE


def archive(*values: float, names: str = "abcdefghijklmnopqrstuvwxyz") -> pd.DataFrame:
    """Exams of one feature."""
    return pd.DataFrame({"f": np.array(values, float)}, list(names[: len(values)]))


POSITIVES = archive(0, 10, 20, 30, names="PQRS")


@st.composite
def archives(draw):
    """Negatives with ties and duplicates among them, positives, difficulty, centres and a size."""
    m, n = draw(st.integers(1, 25)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    near, far = (pd.DataFrame(rng.integers(0, 4, (k, 3)).astype(float)) for k in (n, m))
    far.index, near.index = [f"n{i:02}" for i in rng.permutation(m)], [f"p{i}" for i in range(n)]
    difficulty = pd.Series(rng.integers(0, 6, m).astype(float), far.index)
    centre = pd.Series(rng.choice(["x", "y", ""], m), far.index)
    return far, near, draw(st.integers(1, m)), difficulty, centre


@pytest.mark.parametrize("name", RIVALS)
@settings(max_examples=25, deadline=None)
@given(archives(), st.integers(0, 5))
def test_any_archive(name, given, seed):
    negatives, positives, size, difficulty, centre = given
    chosen = RIVALS[name](negatives, positives, size, seed, difficulty, centre)
    assert len(chosen) == len(set(chosen)) == size and set(chosen) <= set(negatives.index)
    listed_otherwise = negatives.sample(frac=1, random_state=seed)
    assert RIVALS[name](listed_otherwise, positives, size, seed, difficulty, centre) == chosen
    if name in WITHOUT_CHANCE:
        assert RIVALS[name](negatives, positives, size, seed + 1, difficulty, centre) == chosen


@pytest.mark.parametrize("name", RIVALS)
def test_what_an_archive_cannot_give_is_refused(name):
    negatives = archive(1, 2, 3)
    for size in (0, 4):
        with pytest.raises(CohortError, match="choose a size between 1 and 3"):
            RIVALS[name](negatives, POSITIVES, size, 0, negatives["f"], None)


@pytest.mark.parametrize("name", sorted(set(RIVALS) - set(WITHOUT_CHANCE)))
def test_another_seed_is_another_draw(name):
    negatives = pd.DataFrame(np.random.default_rng(0).random((60, 4)), [f"n{i:02}" for i in range(60)])
    drawn = {tuple(RIVALS[name](negatives, negatives, 20, seed, negatives[0], None)) for seed in range(5)}
    assert len(drawn) == 5


def test_parameters_know_every_rule():
    assert get_args(sections.Rival) == tuple(RIVALS)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=8).filter(any), st.data())
def test_strata_give_in_proportion_or_equally(counts, data):
    counts = np.array(counts)
    size = data.draw(st.integers(1, int(counts.sum())))
    shares, equal = rivals.in_proportion(counts, size), rivals.equally(counts, size, np.random.default_rng(0))
    for takes in (shares, equal):
        assert takes.sum() == size and (takes >= 0).all() and (takes <= counts).all()
    assert np.abs(shares - size * counts / counts.sum()).max() < 1
    not_empty = equal < counts  # those that could give more
    assert not not_empty.any() or equal.max() <= equal[not_empty].min() + 1


def test_centres_keep_their_shares():
    negatives, centre = archive(*range(10)), pd.Series(list("xxxxxxyyyz"), list("abcdefghij"))
    for seed in range(5):
        chosen = rivals.stratified(negatives, POSITIVES, 5, seed, None, centre)
        assert centre[chosen].value_counts().to_dict() == {"x": 3, "y": 2}  # of 3, 1.5 and 0.5


def test_near_miss_looks_at_the_three_nearest_positives():
    """Mean distances: a 8 1/3 (5, 5, 15), b 7 1/3 (2, 8, 12), c 15 (5, 15, 25), d 10 (0, 10, 20), e 70."""
    negatives = archive(5, 12, -5, 30, 90)
    assert rivals.near_miss(negatives, POSITIVES, 3) == ["b", "a", "d"]
    only = rivals.near_miss(negatives, POSITIVES.iloc[:1], 2)
    assert set(only) == {"a", "c"}  # one positive: the nearest to it


def test_near_miss_is_that_of_imbalanced_learn():
    rng = np.random.default_rng(0)
    far, near = (pd.DataFrame(rng.random((k, 5)), [f"{k}-{i:02}" for i in range(k)]) for k in (40, 12))
    sampler = NearMiss(version=1, sampling_strategy={0: 15})
    sampler.fit_resample(pd.concat([far, near]).to_numpy(), np.repeat([0, 1], [40, 12]))
    assert set(rivals.near_miss(far, near, 15)) == {far.index[i] for i in sampler.sample_indices_ if i < 40}


def test_k_center_takes_the_farthest():
    """From 0: 11 is farthest, then 5 (5 from 0), then b (1 from a) before d (1 from c)."""
    negatives = archive(0, 1, 11, 10, 5)
    seed = next(s for s in range(50) if rivals.k_center(negatives, POSITIVES, 1, s) == ["a"])
    assert rivals.k_center(negatives, POSITIVES, 5, seed) == ["a", "c", "e", "b", "d"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=2, max_size=8), st.data())
def test_k_center_covers_at_most_twice_as_far_as_the_best(values, data):
    negatives = archive(*values)
    size = data.draw(st.integers(1, len(values)))
    apart = np.abs(np.subtract.outer(values, values))

    def radius(rows) -> float:
        return apart[:, list(rows)].min(axis=1).max()

    chosen = negatives.index.get_indexer(rivals.k_center(negatives, POSITIVES, size))
    assert radius(chosen) <= 2 * min(map(radius, combinations(range(len(values)), size)))


def test_clusters_give_as_many_each(monkeypatch):
    """Clusters of 2, 6, 6 and 8 exams, far apart; twelve are both of the first, then 3, 3 and 4."""
    monkeypatch.setattr(rivals, "CLUSTERS", 4)
    cluster = np.repeat(range(4), (2, 6, 6, 8))
    negatives = archive(*(1000 * cluster + np.arange(22) / 100))
    for seed in range(3):
        chosen = rivals.cluster_balanced(negatives, POSITIVES, 12, seed)
        counts = np.bincount(cluster[negatives.index.get_indexer(chosen)], minlength=4)
        assert counts[0] == 2 and sorted(counts) == [2, 3, 3, 4]


def test_moderate_takes_what_lies_at_the_median_distance():
    """The mean is 0, the distances are 5, 5, 1, 1, 3 and 3, their median is 3; those that are as far from it come by id."""
    negatives = archive(-5, 5, -1, 1, -3, 3)
    assert rivals.moderate(negatives, POSITIVES, 3) == ["e", "f", "a"]


def test_ccs_leaves_the_hardest_out_and_takes_of_every_stratum():
    """Difficulties 0 to 19: the two hardest are cut; three strata are 2 to 7, 8 to 13 and 14 to 19."""
    negatives = archive(*range(20))
    difficulty = pd.Series(np.arange(20.0), negatives.index)
    for seed in range(10):
        found = sorted(difficulty[rivals.ccs(negatives, POSITIVES, 3, seed, difficulty)])
        assert [int((value - 2) // 6) for value in found] == [0, 1, 2]
    everything = rivals.ccs(negatives, POSITIVES, 20, 0, difficulty)
    assert set(everything) == set(negatives.index)  # cut only as far as others are left


def test_d2_passes_messages(monkeypatch):
    """One neighbour each, edges 1/e: scores 1 + 0.9/e, 0.9 + 1/e, 0.8, 0.8/e; a takes 0.49 from b, so c comes before b."""
    monkeypatch.setattr(rivals, "NEIGHBOURS", 1)
    negatives = archive(0, 1, 100, 101)
    difficulty = pd.Series([0.0, 0.1, 0.2, 1.0], negatives.index)
    assert rivals.d2(negatives, POSITIVES, 4, 0, difficulty) == ["a", "c", "b", "d"]
