"""The four samplers: what never changes, and how often each rank is drawn."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from covid_study.errors import CohortError
from covid_study.ranking.sampling import STRATEGIES, select, weights

M = 60
RANKS = np.arange(1, M + 1)


@pytest.fixture(scope="module")
def ranking() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    ranks = {f"{track}_rank": rng.permutation(M) + 1 for track in ("joint", "difficulty", "diversity")}
    return pd.DataFrame(ranks, index=[f"exam-{i:02}" for i in range(M)])


def frequencies(ranking, strategy, size, draws, **settings) -> np.ndarray:
    """How often each rank is in the selection."""
    drawn = [ranking.joint_rank[select(ranking, strategy, size, s, **settings)] for s in range(draws)]
    return np.bincount(np.concatenate(drawn) - 1, minlength=M) / draws


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_size_no_repeats_best_rank_first_and_the_seed_alone_decides(ranking, strategy):
    shuffled = ranking.sample(frac=1, random_state=1)
    for size in (1, 2, 17, M - 1, M):
        draws = [select(ranking, strategy, size, seed) for seed in range(5)]
        for chosen in draws:
            assert len(chosen) == len(set(chosen)) == size
            assert ranking.loc[chosen, "joint_rank"].is_monotonic_increasing
        assert draws == [select(shuffled, strategy, size, seed) for seed in range(5)]
        assert size != 17 or len(set(map(tuple, draws))) == (1 if strategy == "top" else 5)


@pytest.mark.parametrize("by", ["joint", "difficulty", "diversity"])
def test_top_is_the_first_by_its_track(ranking, by):
    expected = sorted(ranking.index, key=lambda x: ranking.loc[x, f"{by}_rank"])[:13]
    assert select(ranking, "top", 13, by=by) == expected


def test_random_ignores_the_ranks(ranking):
    observed = frequencies(ranking, "random", 15, draws=1000)
    deviation = np.sqrt(0.25 * 0.75 / 1000)
    assert np.abs(observed - 0.25).max() < 4.5 * deviation
    # sampling without replacement: variance of a count is p (1 - p), so this has an expectation of about M
    assert 25 < (((observed - 0.25) / deviation) ** 2).sum() < 110


@pytest.mark.parametrize(
    "strategy, shape, settings",
    [
        ("long_tail", 1 / RANKS, {}),
        ("long_tail", RANKS**-2.0, {"exponent": 2.0}),
        ("normal", norm.pdf((RANKS - 30.5) / M, scale=0.3), {}),
        ("normal", norm.pdf((RANKS - 30.5) / M, scale=0.1), {"width": 0.1}),
        ("random", np.ones(M), {}),
    ],
)
def test_the_first_draw_follows_the_weights(ranking, strategy, shape, settings):
    expected = shape / shape.sum()
    found = weights(RANKS, strategy, **settings)
    np.testing.assert_allclose(found / found.sum(), expected)
    observed = frequencies(ranking, strategy, 1, draws=500, **settings)
    common = expected * 500 >= 5
    o, e = ([*p[common], p[~common].sum()] for p in (observed, expected))
    chi2 = sum(500 * (a - b) ** 2 / b for a, b in zip(o, e, strict=True) if b > 0)
    assert chi2 < common.sum() + 5 * np.sqrt(2 * common.sum() + 2)


@pytest.mark.parametrize("size", [246, 500, 1000])
def test_the_long_tail_takes_harder_and_more_diverse_cases_than_the_normal_distribution(size):
    """Paper A, V-E, at its three sizes of 1,785 negatives: better mean ranks on either track, whatever the seed."""
    rng, archive = np.random.default_rng(3), 1785
    tracks = pd.DataFrame({track: rng.permutation(archive) + 1 for track in ("difficulty", "diversity")})
    tracks["joint_rank"] = tracks.sum(axis=1).rank(method="first").astype(int)
    for seed in range(5):
        tail, bell = (tracks.loc[select(tracks, name, size, seed)].mean() for name in ("long_tail", "normal"))
        assert (tail < bell).all()
        assert bell["joint_rank"] == pytest.approx((archive + 1) / 2, abs=4.5 * 0.3 * archive / np.sqrt(size))


def test_successive_draws_follow_the_weights_that_are_left():
    """Two of three, weights 1, 1/2, 1/3: the pair's chance is w_i / W * w_j / (W - w_i), both orders."""
    small = pd.DataFrame({"joint_rank": [1, 2, 3]}, index=[1, 2, 3])
    w = {i: 1 / i for i in (1, 2, 3)}
    total = sum(w.values())
    drawn = pd.Series([tuple(select(small, "long_tail", 2, seed)) for seed in range(1500)]).value_counts()
    for i, j in ((1, 2), (1, 3), (2, 3)):
        p = w[i] / total * w[j] / (total - w[i]) + w[j] / total * w[i] / (total - w[j])
        assert drawn[i, j] / 1500 == pytest.approx(p, abs=4.5 * np.sqrt(p * (1 - p) / 1500))


@pytest.mark.parametrize(
    "settings", [{"strategy": "normal", "width": 0.005}, {"strategy": "long_tail", "exponent": 300.0}]
)
def test_weights_too_small_for_a_double_still_fill_the_selection(ranking, settings):
    assert len(set(select(ranking, size=40, **settings))) == 40


def test_errors(ranking):
    for size in (0, -1, M + 1):
        with pytest.raises(CohortError, match=f"{size} negatives.*between 1 and {M}"):
            select(ranking, "random", size)
    for asked in (lambda: select(ranking, "longtail", 3), lambda: weights(RANKS, "longtail")):
        with pytest.raises(ValueError, match="'longtail'.*long_tail"):
            asked()
    with pytest.raises(ValueError, match="no track 'age'.*joint_rank"):
        select(ranking, "top", 3, by="age")
