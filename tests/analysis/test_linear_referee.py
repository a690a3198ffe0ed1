"""The referee: its fits, its intervals against those of the tables, and what it says of planted predictions."""

import numpy as np
import pandas as pd
import pytest
from dataset_trees import covid_ct
from frozen_archive import frozen
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tiny_study import parameters

from covid_study.analysis import above_random, linear_referee, look_alikes
from covid_study.ranking.rivals import RIVALS
from covid_study.samples.slice_store import slices as slices_of
from covid_study.scores import claims
from covid_study.tables import b7_b9_public, volume_steps

RULE = {"exponent": 1.0, "width": 0.3}


def test_the_fit_is_scikit_learns():
    """With all negatives the standardisation is that of the pipeline."""
    of = frozen()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(of.features.iloc[:52].to_numpy(), np.arange(52) < 12)
    expected = model.predict_proba(of.features.iloc[52:].to_numpy())[:, 1]
    assert of.probabilities(list(of.ranking.index)) == pytest.approx(expected, abs=1e-6)


def test_every_row_at_every_size_over_all_draws():
    of, sizes = frozen(), {"20%": 8, "50%": 20}
    said = linear_referee.judged(lambda _: of, sizes, 4, RULE)
    rows = [row for row in (*volume_steps.ROWS, *RIVALS) if row != "stratified"]  # there are no centres
    assert set(said) == {(row, c) for row in rows for c in sizes} | {("random", "all")}
    for (row, where), p in said.items():
        same = row in linear_referee.FIXED or where == "all"
        assert p.shape == (4, 30) and (len(np.unique(p, axis=0)) == 1) == same, row
    anew = linear_referee.judged(lambda seed: frozen(seed=seed), sizes, 2, RULE)
    assert len(np.unique(anew["top", "20%"], axis=0)) == 2
    second = frozen(seed=1)
    assert anew["top", "20%"][1] == pytest.approx(second.probabilities(second.selection("top", 8, 1, RULE)))
    assert "stratified" in frozen(pd.Series("x", of.ranking.index)).rows


def test_intervals_are_those_of_the_tables():
    """One mean of the resamples for all draws gives what a table's own scores give."""
    rng, y = np.random.default_rng(0), np.repeat([1, 0], [12, 18])
    said = {cell: rng.random((4, 30)).round(1) for cell in (("random", "5%"), ("both", "5%"))}
    patients = [f"p{i // 2}" for i in range(30)]
    exams = pd.DataFrame({"exam_id": [f"e{i:02}" for i in range(30)], "patient_id": patients, "label": y})
    tables = {
        (*cell, seed): exams.assign(split="test", probability=p)
        for cell, of in said.items()
        for seed, p in enumerate(of)
    }
    ours, theirs = linear_referee.scored(said, y, patients, 200), claims.scored(tables, n=200)
    for score in above_random.SCORES:
        pair = [(("both", "5%"), ("random", "5%"))]
        found, expected = (claims.paired_difference(of, pair, score) for of in (ours, theirs))
        assert found == pytest.approx(expected)


def planted(**cells: list[float]) -> linear_referee.Said:
    """Each row at one size and three draws alike: the probabilities of 20 positives and of 20 negatives."""
    return {
        (row, "5%"): np.repeat([np.repeat([one, zero], 20)], 3, axis=0) for row, (one, zero) in cells.items()
    }


def test_what_is_better_is_called_better():
    said = planted(random=(0.5, 0.5), both=(0.9, 0.1), top=(0.1, 0.9), difficulty=(0.5, 0.5))
    of = linear_referee.scored(said, np.repeat([1, 0], 20), list(range(40)), 100)
    found = above_random.compared({"planted": of})
    lines = found[(found["score"] == "auc") & (found["column"] == "mean")].set_index("row")
    assert lines["difference"][["both", "top", "difficulty"]].tolist() == [0.5, -0.5, 0.0]
    assert lines["verdict"][["both", "top", "difficulty"]].tolist() == ["better", "worse", "no effect"]
    assert lines["value"]["random"] == 0.5 and "all" not in lines.index  # was not run
    text = above_random.shown(found).data["planted"]
    assert text["Difficulty and diversity"].startswith("100.0, +50.0") and text["Random"] == "50.0"


def test_agreement_of_orders_that_are_known():
    def of(*auc: float) -> claims.Scored:
        rows = dict(zip(("random", "both", "top", "normal"), auc, strict=True))
        values = {(row, "5%", 0): {"auc": value} for row, value in rows.items()}
        draws = {cell: {"auc": np.full(3, scores["auc"])} for cell, scores in values.items()}
        return claims.Scored(values, draws, 20)

    rising, falling = of(0.5, 0.6, 0.7, 0.8), of(0.9, 0.8, 0.7, 0.6)
    assert above_random.agreement(rising, of(0.1, 0.2, 0.7, 0.9))[:3] == pytest.approx((1, 1, 1))
    assert above_random.agreement(rising, falling)[:3] == pytest.approx((-1, -1, -1))
    both = above_random.together(claims.Scored({}, {}, 20), falling)
    assert above_random.agreement(rising, both).value == pytest.approx(-1)
    one = claims.Scored({c: s for c, s in rising.values.items() if c[0] in ("random", "both")}, {}, 20)
    assert np.isnan(above_random.agreement(rising, one).value)


def test_on_exams_it_judges_what_the_networks_got(root, v):
    p = parameters(root, referee={"seeds": 2})
    found = linear_referee.of_exams(p, v, ["hu_histogram"])["hu_histogram"]
    assert {c for _, c in found.ran} == {"30%", "60%", "all"} and found.fewest == 2
    assert {seed for *_, seed in found.values} == {0, 1}
    assert ("stratified", "30%") in found.ran  # the phantom's exams have centres
    ranked = volume_steps.ranked(p, v, "hu_histogram")
    of = linear_referee.Frozen(ranked.features, list(ranked.soft_labels.columns), ranked.ranking, [])
    for strategy in ("random", "normal", "top"):
        expected = volume_steps.selection(p, ranked.ranking, strategy, 0.6, 1)
        assert of.selection(strategy, 4, 1, RULE) == expected
    again = linear_referee.of_exams(p, v, ["hu_histogram"])["hu_histogram"]
    assert again.values == found.values


@pytest.mark.parametrize("name", ["digit 3", "breast cancer"])
def test_a_training_set_of_the_public_data(name):
    task = look_alikes.of_scikit_learn(name)
    assert (task.features.to_numpy() >= 0).all() and task.features.index.is_unique
    assert len(task.test) == -(-len(task.features) // 3) and not {*task.pool} & {*task.test}
    positive = task.positive
    sample = look_alikes.sampler(
        task._replace(counts=(10, 30)), {"mass": "partial", "alpha": 0.5, "beta": 0.5}
    )
    first = sample(0)
    assert len(first.positives) == 10 and positive[list(first.positives)].all()
    assert len(first.ranking) == 30 and not positive[list(first.ranking.index)].any()
    assert not {*first.positives, *first.ranking.index} & set(first.test)
    pd.testing.assert_frame_equal(first.ranking, sample(0).ranking)
    assert list(sample(1).positives) != list(first.positives)


def test_pictures_keep_their_split_and_their_patients(root, tmp_path):
    """Whole features of the whole data set, by its own lists; positives are as rare as in the other tasks."""
    folder = covid_ct(tmp_path / "pictures")
    p = parameters(root, slices={"images": str(folder)}, public={"size": 32})
    q = b7_b9_public.settings(p)
    s = slices_of(q)
    task = look_alikes.of_slices(q, s)
    assert set(task.test) == set(s.table.index[s.table["split"] == "test"]) and not {*task.pool} & {
        *task.test
    }
    assert len(task.pool) + len(task.test) == len(task.features) == len(s.table)
    assert task.patients.equals(s.table["patient_id"].sort_index()) and (task.features.to_numpy() >= 0).all()
