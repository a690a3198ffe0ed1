"""The ranking against a hand-worked archive and against eq. 5 to 7 written down plainly."""

import numpy as np
import pandas as pd
import pytest

from covid_study.ranking.emd import emd
from covid_study.ranking.rank import rank_negatives, soft_labels
from covid_study.ranking.some_others import mean_emd_to_some

TRACKS = ("difficulty", "diversity", "joint")


def naive(labels: pd.DataFrame, alpha: float, beta: float) -> pd.DataFrame:
    """Eq. 5 to 7, pair by pair; ties by id, and weights in tenths, so that sums of ranks are whole numbers."""
    rows = {}
    for x in labels.index:
        others = [emd(labels.loc[x], labels.loc[m]) for m in labels.index if m != x]
        rows[x] = {"difficulty": sum(labels.loc[x]) / labels.shape[1], "diversity": sum(others) / len(others)}
    hardest = sorted(rows, key=lambda x: (rows[x]["difficulty"], x))
    most_diverse = sorted(rows, key=lambda x: (-rows[x]["diversity"], x))
    whole = {x: round(10 * alpha) * hardest.index(x) + round(10 * beta) * most_diverse.index(x) for x in rows}
    best = sorted(rows, key=lambda x: (whole[x], x))
    for x, row in rows.items():
        row["difficulty_rank"], row["diversity_rank"] = hardest.index(x) + 1, most_diverse.index(x) + 1
        row["joint"] = alpha * row["difficulty_rank"] + beta * row["diversity_rank"]
        row["joint_rank"] = best.index(x) + 1
    return pd.DataFrame(rows).T.loc[labels.index]


def random_labels(seed: int, m: int = 14, n: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    ids = [f"exam-{i:02}" for i in rng.permutation(m)]
    return pd.DataFrame(rng.gamma(2.0, size=(m, n)), index=ids, columns=[f"p{i}" for i in range(n)])


def test_by_hand_with_equal_masses_and_ties_by_id():
    # Of equal mass on a line of two bins, the EMD of two labels is |first - first| / total:
    # a-b 1/4, a-c 3/4, b-c 2/4, a-d 2/4, b-d 1/4, c-d 1/4.
    ranking = rank_negatives(pd.DataFrame([[4, 0], [3, 1], [1, 3], [2, 2]], index=list("abcd"), dtype=float))
    assert ranking["difficulty"].tolist() == [2, 2, 2, 2]
    np.testing.assert_allclose(ranking["diversity"], [6 / 12, 4 / 12, 6 / 12, 4 / 12])
    assert ranking["difficulty_rank"].tolist() == [1, 2, 3, 4]  # all the same: by id
    assert ranking["diversity_rank"].tolist() == [1, 3, 2, 4]  # a and c tie, b and d tie
    assert ranking["joint"].tolist() == [1, 2.5, 2.5, 4]
    assert ranking["joint_rank"].tolist() == [1, 2, 3, 4]


def test_by_hand_with_unequal_masses():
    # x = [1, 0], y = [0, 4], z = [2, 2]: x into y goes 1 bin; x into z fits at once; z into y (both weigh 4): 2 of 4 go 1.
    ranking = rank_negatives(pd.DataFrame([[1, 0], [0, 4], [2, 2]], index=list("xyz"), dtype=float))
    assert ranking["difficulty"].tolist() == [0.5, 2, 2]
    np.testing.assert_allclose(ranking["diversity"], [0.5, 0.75, 0.25])
    assert ranking[["difficulty_rank", "diversity_rank"]].T.to_numpy().tolist() == [[1, 2, 3], [2, 1, 3]]
    assert ranking["joint"].tolist() == [1.5, 1.5, 3]
    assert ranking["joint_rank"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "alpha, beta", [(0.5, 0.5), (0.3, 0.7), (0.7, 0.2), (0.1, 0.2), (0.1, 0.1), (1.0, 0.0), (0.0, 1.0)]
)
def test_agrees_with_the_equations_and_ties_go_by_id(alpha, beta):
    """With 0.1 and 0.2, 0.1 * 3 + 0.2 * 1 and 0.1 * 1 + 0.2 * 2 differ in the last digit although both are 0.5."""
    for seed in range(3):
        labels = random_labels(seed)
        ours, expected = rank_negatives(labels, alpha, beta), naive(labels, alpha, beta)
        assert list(ours.index) == list(labels.index)
        for column in TRACKS:
            np.testing.assert_allclose(ours[column], expected[column], atol=1e-9)
            assert ours[f"{column}_rank"].tolist() == expected[f"{column}_rank"].astype(int).tolist()
    if 1.0 in (alpha, beta):
        assert (ours["joint_rank"] == ours["difficulty_rank" if alpha else "diversity_rank"]).all()


@pytest.mark.parametrize("mass", ["partial", "normalised"])
def test_order_of_rows_and_scale_of_labels_do_not_matter(mass):
    labels = random_labels(9)
    labels.iloc[4] = labels.iloc[8]  # twins: their tie goes by id, wherever they stand
    reference = rank_negatives(labels, mass=mass)
    for seed, factor in enumerate((1.0, 1e-6, 7.0, 1e6)):
        shuffled = labels.sample(frac=1, random_state=seed) * factor
        found = rank_negatives(shuffled, mass=mass).loc[labels.index]
        pd.testing.assert_frame_equal(found.assign(difficulty=found["difficulty"] / factor), reference)
    first, second = sorted([labels.index[4], labels.index[8]])
    for track in ("difficulty", "diversity"):
        assert reference[f"{track}_rank"][second] == reference[f"{track}_rank"][first] + 1


def test_where_pairs_are_too_many_all_meet_the_same_random_others():
    labels = random_labels(3, m=60)
    full = rank_negatives(labels, diversity_pairs=60 * 59 // 2)
    pd.testing.assert_frame_equal(full, rank_negatives(labels))
    assert (full["diversity_error"] == 0).all()
    some = rank_negatives(labels, diversity_pairs=60 * 59 // 2 - 1)
    np.testing.assert_array_equal(some[["diversity", "diversity_error"]].T, mean_emd_to_some(labels, 29))
    assert some["difficulty"].equals(full["difficulty"]) and (some["diversity_error"] > 0).all()
    shuffled = rank_negatives(labels.sample(frac=1, random_state=1), diversity_pairs=60 * 29)
    pd.testing.assert_frame_equal(shuffled.loc[labels.index], some)
    assert (rank_negatives(labels, diversity_pairs=60 * 29, seed=1)["diversity"] != some["diversity"]).all()
    closed = rank_negatives(labels, mass="normalised", diversity_pairs=1)
    pd.testing.assert_frame_equal(closed, rank_negatives(labels, mass="normalised"))


def test_an_archive_of_one_and_a_label_of_zeros():
    alone = rank_negatives(pd.DataFrame([[1.0, 2.0]], index=["only"]))
    assert alone.loc["only", ["joint_rank", "diversity"]].tolist() == [1, 0]
    ranking = rank_negatives(pd.DataFrame([[0.0, 0.0], [1.0, 3.0], [2.0, 2.0]], index=["same", "b", "c"]))
    assert ranking.loc["same", "difficulty_rank"] == 1
    assert np.isfinite(ranking.to_numpy(dtype=float)).all()


def test_bad_labels_are_errors():
    with pytest.raises(ValueError, match="exam a is listed twice"):
        rank_negatives(pd.DataFrame(np.ones((2, 2)), index=["a", "a"]))
    for bad in ([[np.nan, 1.0]], [[np.inf, 1.0]], [[1.0, -1.0]], np.empty((0, 3)), np.empty((3, 0))):
        with pytest.raises(ValueError, match="soft labels must be"):
            rank_negatives(bad)


@pytest.mark.parametrize("mass", ["partial", "normalised"])
def test_soft_labels_are_the_distances_to_each_positive(mass):
    rng = np.random.default_rng(0)
    positives = pd.DataFrame(rng.random((3, 8)).astype(np.float32), index=["p1", "p2", "p3"])
    negatives = pd.DataFrame(rng.random((4, 8)).astype(np.float32) * 2, index=list("nmlk"))
    labels = soft_labels(positives, negatives, mass)
    expected = [[emd(negatives.loc[x], positives.loc[p], mass) for p in positives.index] for x in "nmlk"]
    expected = pd.DataFrame(expected, index=negatives.index, columns=positives.index)
    pd.testing.assert_frame_equal(labels, expected, atol=1e-9)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_soft_labels_name_the_exam_without_usable_features(value, side):
    frames = [pd.DataFrame(np.ones((2, 3)), index=[f"{kind}1", f"{kind}2"]) for kind in "pn"]
    frames[side].iloc[1] = value
    with pytest.raises(ValueError, match=f"exam {'pn'[side]}2:"):
        soft_labels(*frames)
