"""Rankings without an order: the same whatever the order, by hand where there is an answer, and never too many programmes."""

import numpy as np
import pandas as pd
import pytest

from covid_study.ranking import order_free
from covid_study.ranking.blocks import Blocks
from covid_study.ranking.emd import emd
from covid_study.ranking.emd_ground import channel_distance
from covid_study.ranking.order_free import (
    VARIANTS,
    Rankings,
    evenly,
    pairs,
    positives_apart,
    programmes,
    thinned,
)
from covid_study.ranking.rank import rank_negatives, soft_labels


def exams(seed, n_positives=5, n_negatives=9, channels=7):
    rng = np.random.default_rng(seed)
    values = rng.gamma(1.5, size=(n_positives + n_negatives, channels)) * (rng.random(channels) + 0.2)
    ids = [f"p{i}" for i in range(n_positives)] + [f"n{i}" for i in range(n_negatives)]
    frame = pd.DataFrame(values, index=ids)
    return frame.iloc[:n_positives], frame.iloc[n_positives:]


def shuffled(positives, negatives, seed, channels=True, places=True):
    rng = np.random.default_rng(seed)
    columns = rng.permutation(positives.shape[1]) if channels else slice(None)
    rows = rng.permutation(len(positives)) if places else slice(None)
    return positives.iloc[rows, columns], negatives.iloc[:, columns]


@pytest.mark.parametrize("mass", ["partial", "normalised"])
@pytest.mark.parametrize("variant", ["channels", "positives", "both"])
def test_the_order_it_does_without_changes_nothing(variant, mass):
    near, far = exams(1)
    first = Rankings(near, far, mass=mass).without(variant)
    moved = dict(zip(("channels", "places"), VARIANTS[variant], strict=True))
    for seed in range(3):
        again = Rankings(*shuffled(near, far, seed, **moved), mass=mass).without(variant)
        pd.testing.assert_frame_equal(first, again, rtol=0, atol=1e-9)


@pytest.mark.parametrize("mass", ["partial", "normalised"])
def test_the_ranking_as_listed_does_change(mass):
    near, far = exams(1)
    first = Rankings(near, far, mass=mass).without("listed")
    again = Rankings(*shuffled(near, far, 0), mass=mass).without("listed")
    assert (first["difficulty"] - again["difficulty"]).abs().max() > 0.01
    assert (first["diversity"] - again["diversity"]).abs().max() > 0.01


def test_a_variant_keeps_the_order_that_it_does_not_do_without():
    near, far = exams(2)
    by_channels, by_positives = (Rankings(near, far).without(v) for v in ("channels", "positives"))
    other_positives = Rankings(*shuffled(near, far, 0, channels=False)).without("channels")
    np.testing.assert_allclose(other_positives["difficulty"], by_channels["difficulty"], atol=1e-12)  # a mean
    assert (other_positives["diversity"] - by_channels["diversity"]).abs().max() > 1e-3
    other_channels = Rankings(*shuffled(near, far, 0, places=False)).without("positives")
    assert (other_channels["difficulty"] - by_positives["difficulty"]).abs().max() > 1e-3


def test_it_is_eq_3_to_7_with_those_ground_distances():
    near, far = exams(3)
    ground = channel_distance(pd.concat([near, far]))
    apart = np.array([[emd(a, b, ground=ground) for b in near.to_numpy()] for a in near.to_numpy()])
    labels = np.array([[emd(a, b, ground=ground) for b in near.to_numpy()] for a in far.to_numpy()])
    found = Rankings(near, far, alpha=0.3, beta=0.7).without("both")
    np.testing.assert_allclose(found["difficulty"], labels.mean(1), atol=1e-12)
    diversity = [
        np.mean([emd(labels[i], labels[j], ground=apart) for j in range(9) if j != i]) for i in range(9)
    ]
    np.testing.assert_allclose(found["diversity"], diversity, atol=1e-9)
    np.testing.assert_allclose(found["joint"], 0.3 * found["difficulty_rank"] + 0.7 * found["diversity_rank"])
    pd.testing.assert_frame_equal(
        Rankings(near, far).without("listed"), rank_negatives(soft_labels(near, far)), check_exact=True
    )


def test_channels_are_compared_over_the_exams_that_are_given():
    near, far = exams(4)
    every = pd.concat([near, far])
    some = Rankings(near, far.iloc[:4], every).without("channels")
    expected = soft_labels(near, far.iloc[:4], ground=channel_distance(every)).mean(axis=1)
    np.testing.assert_allclose(some["difficulty"], expected, atol=1e-12)


def test_positives_that_look_alike_are_near():
    frame = pd.DataFrame([[4.0, 1, 0], [4, 1, 0.1], [0, 1, 4]])
    apart = positives_apart(frame)
    assert apart[0, 1] < 0.05 < 1 < apart[0, 2]
    np.testing.assert_array_equal(apart, apart.T)
    assert not apart.diagonal().any()
    assert positives_apart(frame.iloc[:1]).tolist() == [[0.0]]


def test_what_two_rankings_share_is_computed_once(monkeypatch):
    asked = []

    def counted(*args, ground=None, **kwargs):
        asked.append(ground is not None)
        return soft_labels(*args, ground=ground, **kwargs)

    monkeypatch.setattr(order_free, "soft_labels", counted)
    rankings = Rankings(*exams(5))
    for variant in (*VARIANTS, *VARIANTS):
        rankings.without(variant)
    assert sorted(asked) == [False, True]
    assert set(rankings.seconds("both")) == {"labels", "apart", "ranking"}
    assert set(rankings.seconds("channels")) == {"labels", "ranking"}
    assert rankings.seconds("channels")["labels"] == rankings.seconds("both")["labels"] > 0


def test_blocks_change_nothing(tmp_path):
    near, far = exams(6)
    blocks = Blocks(tmp_path / "blocks")
    kept = Rankings(near, far, blocks=blocks).without("both")
    pd.testing.assert_frame_equal(kept, Rankings(near, far).without("both"))
    assert len(list(blocks.folder.rglob("*.npz"))) == 2  # eq. 3 and eq. 6


@pytest.mark.parametrize("n_positives, n_negatives", [(1, 2), (1, 1), (2, 1)])
def test_few_exams(n_positives, n_negatives):
    near, far = exams(7, n_positives, n_negatives)
    for variant in VARIANTS:
        ranking = Rankings(near, far).without(variant)
        assert sorted(ranking["joint_rank"]) == list(range(1, n_negatives + 1))
        if n_positives == 1:
            assert (ranking["diversity"] == 0).all()


@pytest.mark.parametrize("most", [1, 2, 35, 36, 100, 400, 4000, 20000, 100000])
@pytest.mark.parametrize("archive", [(1, 2), (8, 18), (60, 160), (243, 1785), (2000, 3), (5, 100_000)])
def test_thinning_respects_the_limit_and_takes_what_it_allows(archive, most):
    near, far = thinned(*archive, most)
    assert 1 <= len(near) <= archive[0] and 1 <= len(far) <= archive[1]
    assert max(pairs(len(near), len(far)).values()) <= most
    if max(pairs(*archive).values()) <= most:
        assert (len(near), len(far)) == archive
    else:
        one_more = pairs(len(near), len(far) + 1)
        assert max(one_more["labels"], one_more["ranking"]) > most or len(far) == archive[1]


def test_positives_are_left_out_only_where_few_negatives_would_remain():
    assert [len(kept) for kept in thinned(60, 160, 4000)] == [60, 66]
    assert [len(kept) for kept in thinned(100, 160, 1000)] == [27, 37]


@pytest.mark.parametrize("total, kept", [(160, 66), (7, 7), (7, 3), (1000, 999), (3, 5)])
def test_evenly(total, kept):
    positions = evenly(total, kept)
    assert len(set(positions)) == len(positions) == min(total, kept) and positions[0] == 0
    steps = np.diff([*positions, total])
    assert steps.max() - steps.min() <= 1


def test_programmes():
    assert programmes("listed", 60, 66) == 0
    assert programmes("channels", 60, 66) == 3960
    assert programmes("positives", 60, 66) == 66 * 65 // 2
    assert programmes("both", 60, 66) == 3960 + 60 * 59 // 2 + 66 * 65 // 2
