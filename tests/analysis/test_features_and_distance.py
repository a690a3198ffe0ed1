"""Features times distance: what each question answers where the answer is known, and the whole matrix on a tiny cohort."""

import numpy as np
import pandas as pd
import pytest

from covid_study.analysis import features_and_distance as matrix, ranking_meaning
from covid_study.analysis.features_and_distance import DISTANCES, compared
from covid_study.networks import ct_encoder
from covid_study.ranking.emd_ground import channel_distance
from covid_study.ranking.rank import soft_labels
from tests.ranking.test_order_free import exams


@pytest.mark.parametrize("distance", DISTANCES)
def test_difficulty_is_eq_5_and_only_a_listed_order_is_felt(distance):
    near, far = exams(2, 4, 15, 9)
    difficulty, facts = compared(near, far, distance, orders=5, most=10_000)
    how = {
        "partial": {"mass": "partial"},
        "normalised": {"mass": "normalised"},
        "order_free": {"ground": channel_distance(pd.concat([near, far]))},
    }.get(distance, {"distance": distance})
    np.testing.assert_allclose(difficulty, soft_labels(near, far, **how).mean(axis=1))
    assert list(difficulty.index) == list(far.index) and facts["exams"] == 15 and facts["seconds"] > 0
    if distance in ("partial", "normalised"):
        assert -1 <= facts["low"] <= facts["value"] <= facts["high"] < 0.99
    else:
        assert facts["low"] == pytest.approx(1) and facts["high"] == pytest.approx(1)


def test_programmes_are_bounded_and_left_out_where_channels_are_many(monkeypatch):
    near, far = exams(3, 5, 60, 6)
    difficulty, facts = compared(near, far, "order_free", orders=4, most=200)
    assert difficulty.notna().sum() == facts["exams"] == 20 and len(difficulty) == 60
    monkeypatch.setattr(matrix, "MOST_CHANNELS", 5)
    difficulty, facts = compared(near, far, "order_free", orders=4, most=200)
    assert difficulty.isna().all() and facts["exams"] == 0 and np.isnan(facts["seconds"])
    assert compared(near, far, "cosine", orders=0, most=200)[1]["exams"] == 60


def test_seeds_that_agree_and_that_do_not():
    up = pd.DataFrame({"difficulty": np.arange(6.0)}, index=list("abcdef"))
    found = {("pretext cosine", 0): up, ("pretext cosine", 1): up * 2, ("pretext cosine", 2): -up}
    found |= {("hu_histogram cosine", 0): up}
    told = matrix._between_seeds(found).set_index("source")
    assert told.loc["pretext cosine", ["value", "low", "high", "seeds"]].tolist() == [-1, -1, 1, 3]
    assert np.isnan(told.loc["hu_histogram cosine", "value"])


def test_the_whole_matrix(p, v, monkeypatch):
    monkeypatch.setattr(ct_encoder, "find", lambda: None)
    p = p.model_copy(update={"study": p.study.model_copy(update={"seeds": [0, 1]})})
    load = ranking_meaning.lesion_load(p)
    found = matrix.measured(p, v, load, n=100)
    of = found.set_index(["source", "distance", "measure"])["value"]
    assert set(found["source"]) == {"pretext", "untrained", "hu_histogram"}
    assert len(found) == 3 * 6 * 5 and not found.duplicated(["source", "distance", "measure"]).any()
    direct = ranking_meaning.rankings(p, v)  # the paper's pair is the ranking's own difficulty
    cap = ranking_meaning.cap_first(ranking_meaning.scored(direct, v.table, 100)).set_index(
        ["source", "metric"]
    )
    loads = ranking_meaning.follows_load(direct, load, v.table).set_index(["source", "among"])["value"]
    for source in ("pretext", "untrained", "hu_histogram"):
        assert of[source, "partial", "auc"] == pytest.approx(cap.loc[(source, "auc"), "value"])
        assert of[source, "partial", "load"] == pytest.approx(loads[source, "all negatives"])
        assert of[source, "partial", "seconds"] > 0
    assert of["untrained", "cosine", "orders"] == pytest.approx(1) and np.isnan(
        of["hu_histogram", "partial", "orders"]
    )
    assert np.isfinite(of["pretext", "cosine", "seeds"]) and np.isnan(of["hu_histogram", "cosine", "seeds"])
    table = matrix.table(found)
    assert (
        len(table) == 18
        and table["negatives"].eq(7).all()
        and len(matrix.drawn(found)["panel"].unique()) == 4
    )
    cells = matrix.of_the_papers_features(p, v, 100).values
    assert {(distance, seed) for distance, _, seed in cells} == {(d, s) for d in DISTANCES for s in (0, 1)}
    for distance in DISTANCES:
        aucs = [cells[distance, "cap", seed]["auc"] for seed in (0, 1)]
        assert of["pretext", distance, "auc"] == pytest.approx(np.mean(aucs))
    pd.testing.assert_frame_equal(found, matrix.measured(p, v, load, n=100))
