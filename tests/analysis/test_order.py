"""A ranking under other orders of channels and positives: where they provably do not matter, where they do, with few exams."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from tiny_study import parameters

from covid_study import paths
from covid_study.analysis import order
from covid_study.analysis.order import RANKED_BY, SHUFFLED, compared, order_free_variants, random_orders
from covid_study.ranking import emd_ground
from covid_study.ranking.blocks import Blocks
from covid_study.ranking.rank import rank_negatives, soft_labels
from covid_study.tables import volume_steps
from tests.ranking.test_order_free import exams


def rho(shuffles, shuffled, track):
    return shuffles[(shuffles["kind"] == SHUFFLED[shuffled]) & (shuffles["track"] == track)]["rho"]


def test_two_channels_of_equal_mass_know_no_order():
    """|i - j| of two bins is the same read from either side, and so is that of two positives."""
    shuffles = random_orders(*exams(0, n_positives=2, n_negatives=20, channels=2), 6, 10, mass="normalised")
    assert len(shuffles) == 6 * 3 * 3 and (shuffles["kept"] == 1).all()
    assert shuffles["rho"].to_numpy() == pytest.approx(1, abs=1e-12)


def test_difficulty_does_not_depend_on_the_order_of_positives_and_the_rest_does():
    shuffles = random_orders(*exams(1, n_negatives=30, channels=12), 5, 15)
    for of in SHUFFLED:
        for track in RANKED_BY:
            if (of, track) == ("positives", "difficulty"):
                assert rho(shuffles, of, track).to_numpy() == pytest.approx(1, abs=1e-12)
            else:
                assert rho(shuffles, of, track).max() < 0.999
    channels, both = ([rho(shuffles, of, t).tolist() for t in RANKED_BY] for of in ("channels", "both"))
    assert channels[0] == both[0] and channels[1] != both[1]


def test_an_order_that_the_exams_know_is_lost():
    """Exams with a bump on a line of channels: in order, difficulty is how far the bump lies from the positives'."""
    line, at = np.arange(20), np.linspace(2, 17, 25)
    near = pd.DataFrame(np.exp(-0.5 * (line - 2.0) ** 2)[None], index=["p"])
    far = pd.DataFrame(np.exp(-0.5 * (line - at[:, None]) ** 2), index=[f"n{i:02}" for i in range(25)])
    listed = rank_negatives(soft_labels(near, far))
    assert spearmanr(listed["difficulty"], at).statistic == pytest.approx(1)
    assert rho(random_orders(near, far, 10, 10), "channels", "difficulty").max() < 0.95


def test_the_numbers_of_an_order_are_those_of_its_seed_of_scipy_and_of_counting():
    near, far = exams(3, n_negatives=30, channels=12)
    shuffles, other = (random_orders(near, far, 2, 12, seed) for seed in (0, 1))
    pd.testing.assert_frame_equal(random_orders(near, far, 1, 12), shuffles[shuffles["order"] == 0])
    assert not shuffles["rho"].equals(other["rho"])
    channels, places = order.drawn_orders(near.shape, 0, 0)
    listed = rank_negatives(soft_labels(near, far))
    moved = rank_negatives(soft_labels(near.iloc[places, channels], far.iloc[:, channels]))
    row = shuffles[(shuffles["kind"] == SHUFFLED["both"]) & (shuffles["order"] == 0)].set_index("track")
    for track, column in RANKED_BY.items():
        assert row.loc[track, "rho"] == pytest.approx(spearmanr(listed[column], moved[column]).statistic)
    first, too = (set(r.index[r["joint_rank"] <= 12]) for r in (listed, moved))
    assert row.loc["joint", ["kept", "selected", "negatives"]].tolist() == [len(first & too) / 12, 12, 30]


def test_a_reversed_ranking_is_the_opposite_and_what_is_the_same_for_all_has_no_correlation():
    up, down = (
        rank_negatives(pd.DataFrame({"p": values, "q": 1.0}), alpha=1, beta=0)
        for values in (np.arange(1.0, 11), np.arange(10.0, 0, -1))
    )
    table = compared(up, down, 5).set_index("track")
    assert table.loc[["difficulty", "joint"], "rho"].tolist() == pytest.approx([-1, -1])
    assert table.loc["difficulty", "kept"] == 0
    assert compared(up, up.iloc[::-1], 5).set_index("track").loc["joint", "rho"] == pytest.approx(1)
    flat = rank_negatives(pd.DataFrame({"p": [1.0, 2, 3]}))  # one positive: all diversities are zero
    nearly = flat.assign(diversity=[1.0, 1 + 1e-15, 1 - 1e-15])  # the order of a sum is no ranking
    for one in (flat, nearly):
        found = compared(one, flat, 1).set_index("track")["rho"]
        assert np.isnan(found["diversity"]) and found["difficulty"] == pytest.approx(1)


def test_variants_beside_the_listed_ranking_on_the_same_exams():
    near, far = exams(5, n_positives=6, n_negatives=40)
    table = order_free_variants(near, far, most=120, selected=20, mass="normalised")
    n, m = table["positives"].iloc[0], table["negatives"].iloc[0]
    assert n * m <= 120 and m * (m - 1) / 2 <= 120 and m < 40 and (table["negatives"] == m).all()
    assert (table["selected"] == round(20 * m / 40)).all()
    rows = table.assign(variant=[v for v in order.VARIANT for _ in RANKED_BY]).set_index(["variant", "track"])
    assert rows.loc["listed", "rho"].tolist() == pytest.approx([1, 1, 1])
    assert rows.loc[("positives", "difficulty"), "rho"] == pytest.approx(1)
    assert rows.loc["both", "rho"].max() < 0.999
    few = [frame.iloc[kept] for frame, kept in zip((near, far), order.thinned(6, 40, 120), strict=True)]
    ground = emd_ground.channel_distance(pd.concat([near, far]))
    by_hand, listed = (soft_labels(*few, "normalised", ground=g).mean(axis=1) for g in (ground, None))
    assert rows.loc[("both", "difficulty"), "rho"] == pytest.approx(spearmanr(by_hand, listed).statistic)
    assert rows["programmes"].loc["both"].iloc[0] == n * m + n * (n - 1) // 2 + m * (m - 1) // 2
    assert (table["seconds_whole"] >= table["seconds"]).all() and (table["seconds"] > 0).all()


@pytest.mark.parametrize("n_positives, n_negatives", [(1, 2), (2, 1), (1, 1)])
def test_few_exams(n_positives, n_negatives, tmp_path):
    near, far = exams(7, n_positives, n_negatives)
    blocks = Blocks(tmp_path / "blocks")
    table, again = (order_free_variants(near, far, 400, 1, blocks=blocks) for _ in range(2))
    for frame in (random_orders(near, far, 3, 1), table):
        assert (
            frame.loc[frame["track"] == "diversity", "rho"].isna().all()
        )  # two are equally far from each other
        assert (frame["kept"].between(0, 1)).all()
    assert table["seconds"].notna().all() and again["seconds"].isna().all()  # of the blocks that were there


@pytest.fixture
def ranked():
    near, far = exams(8, n_negatives=15)
    labels = soft_labels(near, far)
    return SimpleNamespace(
        features=pd.concat([far, near]), soft_labels=labels, ranking=rank_negatives(labels)
    )


@pytest.fixture
def few_orders(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "build", lambda name: tmp_path / name)
    return parameters(None, ranking={"orders": 2, "ground_pairs": 60})


def failing(error):
    def fail(*args, **kwargs):
        raise error

    return fail


def test_it_is_measured_once_and_goes_on_after_a_kill(few_orders, ranked, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(order, "order_free_variants", failing(KeyboardInterrupt()))
        order.measured(few_orders, ranked, 8)
    ranks = []
    with monkeypatch.context() as patch:
        patch.setattr(order, "rank_negatives", lambda *a, **k: ranks.append(1) or rank_negatives(*a, **k))
        first = order.measured(few_orders, ranked, 8)
    assert len(ranks) == 1, "the ranking as listed; the orders were kept"
    shuffled = first["order"].notna()
    assert first.loc[~shuffled, "negatives"].max() < 15
    near, far = ranked.features.loc[ranked.soft_labels.columns], ranked.features.loc[ranked.ranking.index]
    expected = random_orders(near, far, 2, 8)
    pd.testing.assert_frame_equal(first.loc[shuffled, list(expected)], expected, check_dtype=False)
    (folder,) = (paths.build(few_orders.study.name) / "ranking").glob("ordering-*")
    assert {file.name for file in folder.iterdir()} == {"config.json", "ordering.parquet"}
    monkeypatch.setattr(order, "random_orders", failing(AssertionError("measured again")))
    pd.testing.assert_frame_equal(first, order.measured(few_orders, ranked, 8))
    moved = SimpleNamespace(**{**vars(ranked), "soft_labels": ranked.soft_labels.iloc[:, ::-1]})
    for other, size in ((ranked, 9), (moved, 8)):  # the positives in another order: another measurement
        with pytest.raises(AssertionError, match="measured again"):
            order.measured(few_orders, other, size)


def test_of_a_large_archive_a_part_is_shuffled(few_orders, ranked, monkeypatch):
    monkeypatch.setattr(order, "MOST_NEGATIVES", 6)
    shuffled = order.measured(few_orders, ranked, 10).dropna(subset="order")
    assert set(shuffled["negatives"]) == {6} and set(shuffled["selected"]) == {4}


def test_other_orders_do_not_rank_anew(p, v, root):
    other = parameters(root, ranking={"orders": 3, "ground_pairs": 7})
    for features in ("pretext", "untrained"):
        volume_steps.ranked(p, v, features)
        before = set((paths.build(p.study.name) / "ranking").iterdir())
        volume_steps.ranked(other, v, features)
        assert set((paths.build(p.study.name) / "ranking").iterdir()) == before


def planted(rhos=(0.5, 0.7, 0.6), variant_rho=0.4):
    """A measurement whose numbers are known: three random orders, and the variants."""
    shuffled = pd.DataFrame({"kind": k, "track": t, "rho": r, "kept": r}
                            for k in SHUFFLED.values() for t in RANKED_BY for r in rhos)  # fmt: skip
    variants = pd.DataFrame({"kind": k, "track": t, "rho": variant_rho, "kept": 0.75, "programmes": 7875.0}
                            for k in order.VARIANT.values() for t in RANKED_BY)  # fmt: skip
    counts = {"selected": 90, "negatives": 160, "positives": 60}
    return pd.concat([shuffled, variants]).assign(**counts, seconds=12.34, seconds_whole=3210.0)


def test_the_table_holds_medians_and_ranges():
    shown = order.table(planted())
    assert shown.index.tolist() == list(order.KINDS)
    assert shown.loc["both shuffled"].tolist()[:6] == [*["0.60 [0.50, 0.70]"] * 3, "60 [50, 70]", 90, 160]
    assert shown.loc["both: no order left"].tolist() == [*["0.40"] * 3, "75", 90, 160, 60, 7875, 12.34, 3210]
    assert order.table(planted((np.nan,) * 3, np.nan)).loc["both shuffled", "Joint rank"] == "–"
