"""Euclidean, cosine and Hellinger distances and rankings against SciPy and closed forms: no order counts, nothing is lost."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import distance as scipy_distance

from covid_study.ranking import chords, some_others
from covid_study.ranking.blocks import Blocks
from covid_study.ranking.chords import KINDS, mean_to_others, pairwise
from covid_study.ranking.rank import rank_negatives, soft_labels

RNG = np.random.default_rng(8)
F, G = RNG.gamma(0.4, size=(23, 12)) + 1e-3, RNG.gamma(0.4, size=(9, 12)) + 1e-3


def expected(f, g, kind):
    if kind != "hellinger":
        return getattr(scipy_distance, kind)(f, g)
    return np.sqrt(max(0, 1 - np.sqrt(f / f.sum() * (g / g.sum())).sum()))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(chords, "SIDE", 4)


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_scipy_s_and_the_definition_s(kind):
    square, other = (np.array([[expected(f, g, kind) for g in to] for f in F]) for to in (F, G))
    np.testing.assert_allclose(pairwise(F, G, kind), other, atol=1e-12)
    np.fill_diagonal(square, 0)  # 1 - 1 and its square root lose half of the digits
    np.testing.assert_allclose(mean_to_others(F, kind), square.sum(1) / 22, atol=1e-12)
    on_torch = chords._distances(*(chords.points(x, kind) for x in (F, G)), False, kind, "cpu:0")
    np.testing.assert_allclose(on_torch, other, atol=1e-12)


def test_closed_forms():
    line = np.array([[1.0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]])
    root = np.sqrt(1 / np.array([2, 4]))  # overlap of one bin of two, and of four
    np.testing.assert_allclose(pairwise(line[:1], line[1:], "cosine")[0], 1 - root, rtol=1e-14)
    np.testing.assert_allclose(pairwise(line[:1], line[1:], "hellinger")[0], np.sqrt(1 - root), rtol=1e-14)
    for kind, apart in zip(KINDS, (np.sqrt(2), 1, 1), strict=True):
        np.testing.assert_allclose(pairwise(np.eye(3), np.eye(3), kind), apart * (1 - np.eye(3)), atol=1e-15)
    near = np.array([[1.0, 0], [1, 1e-9]])  # 1 - cos of an angle of 1e-9 is below what 1 - x can hold
    np.testing.assert_allclose(pairwise(near, near, "cosine")[0, 1], 5e-19, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threads", [1, 3])
def test_blocks_kept_or_not_give_the_same_bits(tmp_path, kind, threads):
    plain = pairwise(F, G, kind, threads=1), mean_to_others(F, kind, threads=1)
    kept = {"threads": threads, "blocks": Blocks(tmp_path)}
    for turn in range(3):  # computed, read, and where a killed run had lost some
        np.testing.assert_array_equal(pairwise(F, G, kind, **kept), plain[0])
        np.testing.assert_array_equal(mean_to_others(F, kind, **kept), plain[1])
        files = list(tmp_path.rglob("*.npz"))
        assert len(files) == 6 * 3 + (6 * 7 // 2) * (kind != "cosine")
        for lost in files[::4] if turn else []:
            lost.unlink()


def test_the_kinds_never_take_each_other_s_blocks(tmp_path):
    angles = RNG.random((5, 2))
    ways = [pairwise(angles, angles**2, kind, blocks=Blocks(tmp_path)) for kind in KINDS]
    assert len({file.parent for file in tmp_path.rglob("*.npz")}) == 3
    assert (ways[0] != ways[1]).any() and (ways[1] != ways[2]).any()


masses = st.floats(0, 1e6, allow_subnormal=False)


@settings(max_examples=40, deadline=None)
@given(values=arrays(float, (7, 5), elements=masses), seed=st.integers(0, 99), kind=st.sampled_from(KINDS))
def test_neither_order_nor_scale_counts_but_a_scale_for_euclid(values, seed, kind):
    values[:, 0] += 1
    draw = np.random.default_rng(seed)
    channels, places = draw.permutation(5), draw.permutation(3)
    scale = draw.uniform(0.1, 9, (7, 1)) if kind != "euclidean" else 1
    exams = [pd.DataFrame(x, index=list("pqrabcd")) for x in (values, (values * scale)[:, channels])]
    labels = [soft_labels(x.loc[list("pqr")], x.loc[list("abcd")], distance=kind) for x in exams]
    np.testing.assert_allclose(*labels, atol=1e-7)
    labels[1] = labels[0].iloc[:, places]
    one, other = (rank_negatives(x, distance=kind) for x in labels)
    np.testing.assert_allclose(one["diversity"], other["diversity"], atol=1e-9)
    assert one["difficulty_rank"].equals(other["difficulty_rank"])


@pytest.mark.parametrize("kind", KINDS)
def test_ranking_is_eq_5_to_7_with_that_distance(kind):
    near, far = pd.DataFrame(G), pd.DataFrame(F, index=[f"n{i:02}" for i in range(23)])
    labels = soft_labels(near, far, distance=kind)
    np.testing.assert_allclose(labels, pairwise(F, G, kind))
    ranking = rank_negatives(labels, 0.3, 0.7, distance=kind)
    np.testing.assert_allclose(ranking["difficulty"], pairwise(F, G, kind).mean(1))
    np.testing.assert_allclose(ranking["diversity"], mean_to_others(labels, kind))
    joint = 0.3 * ranking["difficulty_rank"] + 0.7 * ranking["diversity_rank"]
    np.testing.assert_allclose(ranking["joint"], joint)
    some = rank_negatives(labels, distance=kind, diversity_pairs=23 * 8)
    if kind == "cosine":  # all others cost no pairs
        assert some["diversity"].equals(rank_negatives(labels, distance=kind)["diversity"])
    else:
        drawn = some_others.mean_emd_to_some(labels, 8, chord=kind)
        np.testing.assert_array_equal(some[["diversity", "diversity_error"]].T, drawn)
        off = np.abs(some["diversity"] - mean_to_others(labels, kind))
        assert (off < 4 * some["diversity_error"]).all()
        all_of_them = some_others.mean_emd_to_some(labels[:20], 20, chord=kind)
        np.testing.assert_allclose(all_of_them[0], mean_to_others(labels[:20], kind))
        np.testing.assert_allclose(all_of_them[1], 0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS[1:])  # Euclid sees the scale
def test_zeros_one_channel_and_ties(kind):
    with pytest.raises(ValueError, match="exam p: its histogram of features is empty"):
        soft_labels(pd.DataFrame([[0.0, 0]], ["p"]), pd.DataFrame([[1.0, 2]], ["n"]), distance=kind)
    with pytest.raises(ValueError, match="row 1 of G holds a negative"):
        pairwise(F, -np.eye(12)[:2] + np.eye(12)[:1], kind)
    one_channel = pd.DataFrame([[3.0], [0.1], [7]], index=list("cab"))
    ranking = rank_negatives(soft_labels(one_channel, one_channel, distance=kind), distance=kind)
    assert (ranking[["difficulty", "diversity"]] == 0).all(axis=None)
    assert ranking["joint_rank"].to_dict() == {"a": 1, "b": 2, "c": 3}  # nothing tells them apart: by id
    # The same up to scale: a tie in everything; 1 / 3 and 0.1 are no binary numbers.
    near = pd.DataFrame(G)
    twins = pd.DataFrame([F[0], F[1], F[0] / 3, F[0] * 0.1], index=list("zyxw"))
    ranking = rank_negatives(soft_labels(near, twins, distance=kind), distance=kind)
    order = ranking.loc[list("wxz"), "difficulty_rank"].tolist()
    assert order == list(range(order[0], order[0] + 3))
    # A negative that is every positive in direction has a label of zeros: equally far from all, the hardest.
    same = pd.DataFrame([[2.0, 2], [1, 1]])
    labels = soft_labels(same, pd.DataFrame([[5.0, 5], [1, 0]], index=["same", "b"]), distance=kind)
    ranking = rank_negatives(labels, distance=kind)
    assert ranking.loc["same", ["difficulty", "difficulty_rank"]].tolist() == [0, 1]
    np.testing.assert_allclose(ranking["diversity"], 0, atol=1e-15)
    alone = rank_negatives(labels.iloc[1:], distance=kind)
    assert alone["joint_rank"].tolist() == [1] and alone["diversity"].tolist() == [0]
