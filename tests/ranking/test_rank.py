"""The ranking against a hand-worked archive and against eq. 5 to 7 written down plainly."""

import numpy as np
import pandas as pd
import pytest

from covid_study.ranking.emd import emd
from covid_study.ranking.rank import rank_negatives, soft_labels

# Distances to two positives. Of equal mass on a line of two bins, the EMD of two labels is |first - first| / total:
# a-b 1/4, a-c 3/4, b-c 2/4, a-d 2/4, b-d 1/4, c-d 1/4.
EQUAL = pd.DataFrame([[4, 0], [3, 1], [1, 3], [2, 2]], index=list("abcd"), columns=["p", "q"], dtype=float)


def naive(labels: pd.DataFrame, alpha: float, beta: float) -> pd.DataFrame:
    """Eq. 5 to 7, pair by pair."""
    rows = {}
    for x in labels.index:
        others = [emd(labels.loc[x], labels.loc[m]) for m in labels.index if m != x]
        rows[x] = {"difficulty": sum(labels.loc[x]) / labels.shape[1], "diversity": sum(others) / len(others)}
    hardest = sorted(rows, key=lambda x: (rows[x]["difficulty"], x))
    most_diverse = sorted(rows, key=lambda x: (-rows[x]["diversity"], x))
    for x, row in rows.items():
        row["difficulty_rank"], row["diversity_rank"] = hardest.index(x) + 1, most_diverse.index(x) + 1
        row["joint"] = alpha * row["difficulty_rank"] + beta * row["diversity_rank"]
    best = sorted(rows, key=lambda x: (rows[x]["joint"], x))
    for x, row in rows.items():
        row["joint_rank"] = best.index(x) + 1
    return pd.DataFrame(rows).T.loc[labels.index]


def random_labels(seed: int, m: int = 14, n: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    ids = [f"exam-{i:02}" for i in rng.permutation(m)]
    return pd.DataFrame(rng.gamma(2.0, size=(m, n)), index=ids, columns=[f"p{i}" for i in range(n)])


def test_diversity_by_hand_with_equal_masses_and_ties_by_id():
    ranking = rank_negatives(EQUAL)
    assert ranking["difficulty"].tolist() == [2, 2, 2, 2]
    np.testing.assert_allclose(ranking["diversity"], [6 / 12, 4 / 12, 6 / 12, 4 / 12])
    assert ranking["difficulty_rank"].tolist() == [1, 2, 3, 4]  # all the same: by id
    assert ranking["diversity_rank"].tolist() == [1, 3, 2, 4]  # a and c tie, b and d tie
    assert ranking["joint"].tolist() == [1, 2.5, 2.5, 4]
    assert ranking["joint_rank"].tolist() == [1, 2, 3, 4]


def test_by_hand_with_unequal_masses():
    # x = [1, 0], y = [0, 4], z = [2, 2]: x into y goes 1 bin; x into z fits at once; z into y (both weigh 4): 2 of 4 go 1.
    labels = pd.DataFrame([[1, 0], [0, 4], [2, 2]], index=["x", "y", "z"], dtype=float)
    ranking = rank_negatives(labels)
    assert ranking["difficulty"].tolist() == [0.5, 2, 2]
    np.testing.assert_allclose(ranking["diversity"], [0.5, 0.75, 0.25])
    assert ranking["difficulty_rank"].tolist() == [1, 2, 3]
    assert ranking["diversity_rank"].tolist() == [2, 1, 3]
    assert ranking["joint"].tolist() == [1.5, 1.5, 3]
    assert ranking["joint_rank"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("alpha, beta", [(0.5, 0.5), (0.3, 0.7), (1.0, 0.0), (0.0, 1.0)])
def test_agrees_with_the_equations(alpha, beta):
    labels = random_labels(3)
    ours, expected = rank_negatives(labels, alpha, beta), naive(labels, alpha, beta)
    assert list(ours.index) == list(labels.index)
    for column in ("difficulty", "diversity", "joint"):
        np.testing.assert_allclose(ours[column], expected[column], atol=1e-9)
    for column in ("difficulty_rank", "diversity_rank", "joint_rank"):
        assert ours[column].tolist() == expected[column].astype(int).tolist()


def test_one_weight_alone_is_its_track():
    labels = random_labels(5)
    difficulty, diversity = rank_negatives(labels, 1.0, 0.0), rank_negatives(labels, 0.0, 1.0)
    assert (difficulty["joint_rank"] == difficulty["difficulty_rank"]).all()
    assert (diversity["joint_rank"] == diversity["diversity_rank"]).all()
    # the smallest distance is the hardest, the largest mean EMD the most diverse
    assert difficulty["difficulty"].idxmin() == difficulty["difficulty_rank"].idxmin()
    assert diversity["diversity"].idxmax() == diversity["diversity_rank"].idxmin()


@pytest.mark.parametrize("mass", ["partial", "normalised"])
def test_order_of_rows_does_not_matter(mass):
    labels = random_labels(9)
    labels.iloc[4] = labels.iloc[8]  # twins: their tie goes by id, wherever they stand
    reference = rank_negatives(labels, mass=mass)
    for seed in range(5):
        shuffled = rank_negatives(labels.sample(frac=1, random_state=seed), mass=mass).loc[labels.index]
        pd.testing.assert_frame_equal(shuffled, reference, atol=1e-12)
    first, second = sorted([labels.index[4], labels.index[8]])
    for track in ("difficulty", "diversity"):
        assert reference[f"{track}_rank"][second] == reference[f"{track}_rank"][first] + 1


def test_ties_are_by_id_even_where_weights_do_not_add_up_in_binary():
    # With 0.1 and 0.2, 0.1 * 3 + 0.2 * 1 and 0.1 * 1 + 0.2 * 2 differ in the last digit although both are 0.5.
    for alpha, beta in ((0.1, 0.2), (0.1, 0.1), (0.3, 0.7), (0.7, 0.2)):
        for seed in range(6):
            ranking = rank_negatives(random_labels(seed), alpha, beta)
            whole = (
                round(10 * alpha) * ranking["difficulty_rank"] + round(10 * beta) * ranking["diversity_rank"]
            )
            by_hand = sorted(ranking.index, key=lambda x, whole=whole: (whole[x], x))
            assert list(ranking.sort_values("joint_rank").index) == by_hand


def test_ranks_are_one_to_m():
    ranking = rank_negatives(random_labels(1, m=31))
    for track in ("difficulty", "diversity", "joint"):
        assert sorted(ranking[f"{track}_rank"]) == list(range(1, 32))


def test_scaling_all_labels_changes_no_rank():
    labels = random_labels(2)
    for factor in (1e-6, 7.0, 1e6):
        scaled = rank_negatives(labels * factor)
        np.testing.assert_allclose(scaled["diversity"], rank_negatives(labels)["diversity"], atol=1e-9)
        assert scaled["joint_rank"].equals(rank_negatives(labels)["joint_rank"])


def test_an_archive_of_one_and_a_label_of_zeros():
    alone = rank_negatives(pd.DataFrame([[1.0, 2.0]], index=["only"]))
    assert alone.loc["only", ["joint_rank", "diversity"]].tolist() == [1, 0]
    ranking = rank_negatives(pd.DataFrame([[0.0, 0.0], [1.0, 3.0], [2.0, 2.0]], index=["same", "b", "c"]))
    assert ranking.loc["same", "difficulty_rank"] == 1
    assert np.isfinite(ranking.to_numpy(dtype=float)).all()


def test_bad_labels_are_errors():
    with pytest.raises(ValueError, match="exam a is listed twice"):
        rank_negatives(pd.DataFrame(np.ones((2, 2)), index=["a", "a"]))
    for bad in ([[np.nan, 1.0]], [[np.inf, 1.0]], np.empty((0, 3)), np.empty((3, 0))):
        with pytest.raises(ValueError, match="soft labels must be"):
            rank_negatives(bad)
    with pytest.raises(ValueError, match="none negative"):
        rank_negatives([[1.0, -1.0], [1.0, 1.0]])


def test_soft_labels_are_the_distances_to_each_positive():
    rng = np.random.default_rng(0)
    positives = pd.DataFrame(rng.random((3, 8)).astype(np.float32), index=["p1", "p2", "p3"])
    negatives = pd.DataFrame(rng.random((4, 8)).astype(np.float32) * 2, index=list("nmlk"))
    for mass in ("partial", "normalised"):
        labels = soft_labels(positives, negatives, mass)
        assert list(labels.index) == list("nmlk") and list(labels.columns) == ["p1", "p2", "p3"]
        for x in negatives.index:
            for p in positives.index:
                assert labels.loc[x, p] == pytest.approx(
                    emd(negatives.loc[x], positives.loc[p], mass), abs=1e-9
                )


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_soft_labels_name_the_exam_without_usable_features(value, side):
    frames = [
        pd.DataFrame(np.ones((2, 3)), index=["p1", "p2"]),
        pd.DataFrame(np.ones((2, 3)), index=["n1", "n2"]),
    ]
    frames[side].iloc[1] = value
    with pytest.raises(ValueError, match=f"exam {frames[side].index[1]}:"):
        soft_labels(*frames)
