"""Rankings without an order: the same whatever the order, by hand where there is an answer, and never too many programmes."""

import numpy as np
import pandas as pd
import pytest

from covid_study.ranking import order_free
from covid_study.ranking.blocks import Blocks
from covid_study.ranking.emd import emd
from covid_study.ranking.emd_ground import channel_distance
from covid_study.ranking.order_free import VARIANTS, OrderFree, pairs, thinned
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
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_order_it_does_without_changes_nothing_and_the_other_does(variant, mass):
    near, far = exams(1)
    first = OrderFree(near, far, mass=mass).without(variant)
    free = VARIANTS[variant]
    for seed in range(3):
        moved = shuffled(near, far, seed, *free)
        pd.testing.assert_frame_equal(first, OrderFree(*moved, mass=mass).without(variant), rtol=0, atol=1e-9)
    other_channels = OrderFree(*shuffled(near, far, 0, True, False), mass=mass).without(variant)
    other_places = OrderFree(*shuffled(near, far, 0, False, True), mass=mass).without(variant)
    for again, column, kept in (
        (other_channels, "difficulty", free[0]),
        (other_places, "diversity", free[1]),
    ):
        assert kept or (first[column] - again[column]).abs().max() > 1e-3


def test_it_is_eq_3_to_7_with_those_ground_distances():
    near, far = exams(3)
    ground = channel_distance(pd.concat([near, far]))
    apart = np.array([[emd(a, b, ground=ground) for b in near.to_numpy()] for a in near.to_numpy()])
    labels = np.array([[emd(a, b, ground=ground) for b in near.to_numpy()] for a in far.to_numpy()])
    found = OrderFree(near, far, alpha=0.3, beta=0.7).without("both")
    np.testing.assert_allclose(found["difficulty"], labels.mean(1), atol=1e-12)
    between = np.array([[emd(a, b, ground=apart) for b in labels] for a in labels])
    diversity = (between.sum(1) - between.diagonal()) / 8
    np.testing.assert_allclose(found["diversity"], diversity, atol=1e-9)
    np.testing.assert_allclose(found["joint"], 0.3 * found["difficulty_rank"] + 0.7 * found["diversity_rank"])
    listed = rank_negatives(soft_labels(near, far))
    pd.testing.assert_frame_equal(OrderFree(near, far).without("listed"), listed, check_exact=True)


def test_channels_are_compared_over_the_exams_that_are_given():
    near, far = exams(4)
    every = pd.concat([near, far])
    some = OrderFree(near, far.iloc[:4], every).without("channels")
    expected = soft_labels(near, far.iloc[:4], ground=channel_distance(every)).mean(axis=1)
    np.testing.assert_allclose(some["difficulty"], expected, atol=1e-12)


def test_what_two_rankings_share_is_computed_once(monkeypatch):
    asked = []

    def counted(*args, ground=None, **kwargs):
        asked.append(ground is not None)
        return soft_labels(*args, ground=ground, **kwargs)

    monkeypatch.setattr(order_free, "soft_labels", counted)
    rankings = OrderFree(*exams(5))
    for variant in (*VARIANTS, *VARIANTS):
        rankings.without(variant)
    assert sorted(asked) == [False, True]
    assert set(rankings.seconds("both")) == {"labels", "apart", "ranking"}
    assert rankings.seconds("channels")["labels"] == rankings.seconds("both")["labels"] > 0


def test_blocks_change_nothing(tmp_path):
    near, far = exams(6)
    blocks = Blocks(tmp_path / "blocks")
    kept = OrderFree(near, far, blocks=blocks).without("both")
    pd.testing.assert_frame_equal(kept, OrderFree(near, far).without("both"))
    assert len(list(blocks.folder.rglob("*.npz"))) == 2  # eq. 3 and eq. 6


@pytest.mark.parametrize("n_positives, n_negatives", [(1, 2), (1, 1), (2, 1)])
def test_few_exams(n_positives, n_negatives):
    for variant in VARIANTS:
        ranking = OrderFree(*exams(7, n_positives, n_negatives)).without(variant)
        assert sorted(ranking["joint_rank"]) == list(range(1, n_negatives + 1))
        assert n_positives > 1 or (ranking["diversity"] == 0).all()


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
