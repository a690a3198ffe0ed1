"""The four samplers: what never changes, and how often each rank is drawn."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from covid_study.errors import CohortError, StudyError
from covid_study.ranking.sampling import STRATEGIES, select, weights

M = 60


@pytest.fixture(scope="module")
def ranking() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    ranks = {f"{track}_rank": rng.permutation(M) + 1 for track in ("joint", "difficulty", "diversity")}
    return pd.DataFrame(ranks, index=[f"exam-{i:02}" for i in range(M)])


def frequencies(ranking, strategy, size, draws=1000, **settings) -> np.ndarray:
    """How often each rank is in the selection."""
    counts = np.zeros(M)
    for seed in range(draws):
        counts[ranking.loc[select(ranking, strategy, size, seed, **settings), "joint_rank"] - 1] += 1
    return counts / draws


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("size", [1, 2, 17, M - 1, M])
def test_a_selection_has_its_size_no_repeats_and_its_order(ranking, strategy, size):
    for seed in range(5):
        chosen = select(ranking, strategy, size, seed)
        assert len(chosen) == len(set(chosen)) == size
        assert ranking.loc[chosen, "joint_rank"].is_monotonic_increasing
        if size == M:
            assert set(chosen) == set(ranking.index)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_seed_alone_decides(ranking, strategy):
    draws = [tuple(select(ranking, strategy, 20, seed)) for seed in range(8)]
    assert draws == [tuple(select(ranking, strategy, 20, seed)) for seed in range(8)]
    assert len(set(draws)) == (1 if strategy == "top" else 8)
    shuffled = ranking.sample(frac=1, random_state=1)
    assert draws == [tuple(select(shuffled, strategy, 20, seed)) for seed in range(8)]


@pytest.mark.parametrize("by", ["joint", "difficulty", "diversity"])
def test_top_is_the_first_by_its_track(ranking, by):
    expected = sorted(ranking.index, key=lambda x: ranking.loc[x, f"{by}_rank"])[:13]
    assert select(ranking, "top", 13, by=by) == expected


def test_random_ignores_the_ranks(ranking):
    observed = frequencies(ranking, "random", 15)
    deviation = np.sqrt(0.25 * 0.75 / 1000)
    assert np.abs(observed - 0.25).max() < 4.5 * deviation
    # sampling without replacement: variance of a count is p (1 - p), so this has an expectation of about M
    assert 25 < (((observed - 0.25) / deviation) ** 2).sum() < 110


def test_the_first_draw_follows_the_weights(ranking):
    ranks = np.arange(1, M + 1)
    shapes = {
        "long_tail": (1 / ranks, {}),
        "normal": (norm.pdf((ranks - 1) / M, scale=0.3), {}),
        "random": (np.ones(M), {}),
    }
    steep = (ranks**-2.0, {"exponent": 2.0})
    narrow = (norm.pdf((ranks - 1) / M, scale=0.1), {"width": 0.1})
    for strategy, (shape, settings) in [*shapes.items(), ("long_tail", steep), ("normal", narrow)]:
        expected = shape / shape.sum()
        observed = frequencies(ranking, strategy, 1, draws=500, **settings)
        common = expected * 500 >= 5
        pooled = [np.append(p[common], p[~common].sum()) for p in (observed, expected)]
        chi2 = sum(500 * (o - e) ** 2 / e for o, e in zip(*pooled, strict=True) if e > 0)
        assert chi2 < common.sum() + 5 * np.sqrt(2 * common.sum() + 2), strategy
        np.testing.assert_allclose(
            weights(ranks, strategy, **settings) / weights(ranks, strategy, **settings).sum(), expected
        )


def test_long_tail_favours_the_top_and_reaches_the_rest(ranking):
    observed = frequencies(ranking, "long_tail", 15, draws=600)
    fifths = observed.reshape(5, -1).mean(1)
    assert (np.diff(fifths) < 0).all()
    assert fifths[0] > 0.55 and 0.05 < fifths[-1] < 0.25  # top would say 1 and 0, random 0.25 and 0.25
    assert (observed > 0).all()
    assert observed[0] > 0.9
    gentle = frequencies(ranking, "long_tail", 15, draws=300, exponent=0.3).reshape(5, -1).mean(1)
    steep = frequencies(ranking, "long_tail", 15, draws=300, exponent=2.0).reshape(5, -1).mean(1)
    assert gentle[0] < fifths[0] < steep[0]


def test_successive_draws_follow_the_weights_that_are_left():
    """Two of three, weights 1, 1/2, 1/3: the pair's chance is w_i / W * w_j / (W - w_i), both orders."""
    small = pd.DataFrame({"joint_rank": [1, 2, 3]}, index=[1, 2, 3])
    w = {1: 1.0, 2: 1 / 2, 3: 1 / 3}
    total = sum(w.values())
    chance = {
        (i, j): w[i] / total * w[j] / (total - w[i]) + w[j] / total * w[i] / (total - w[j])
        for i, j in ((1, 2), (1, 3), (2, 3))
    }
    drawn = (
        pd.Series([tuple(select(small, "long_tail", 2, seed)) for seed in range(1500)]).value_counts() / 1500
    )
    for pair, p in chance.items():
        assert drawn[pair] == pytest.approx(p, abs=4.5 * np.sqrt(p * (1 - p) / 1500))


def test_normal_is_half_a_bell():
    w = weights(np.arange(1, 101), "normal", width=0.25)
    assert w[0] == w.max() == 1
    assert w[25] == pytest.approx(np.exp(-0.5))  # one deviation down the archive
    assert w[50] == pytest.approx(np.exp(-2))


@pytest.mark.parametrize(
    "settings", [{"strategy": "normal", "width": 0.005}, {"strategy": "long_tail", "exponent": 300.0}]
)
def test_weights_too_small_for_a_double_still_fill_the_selection(ranking, settings):
    assert len(set(select(ranking, size=40, **settings))) == 40


def test_errors(ranking):
    for size in (0, -1, M + 1):
        with pytest.raises(CohortError, match=f"{size} negatives.*holds {M}.*between 1 and {M}"):
            select(ranking, "random", size)
    assert issubclass(CohortError, StudyError)
    with pytest.raises(ValueError, match="'longtail'.*long_tail"):
        select(ranking, "longtail", 3)
    with pytest.raises(ValueError, match="'longtail'"):
        weights(np.arange(1, 4), "longtail")
    with pytest.raises(ValueError, match="no track 'age'.*joint_rank"):
        select(ranking, "top", 3, by="age")
