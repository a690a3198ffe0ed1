"""The data's way on a cohort of a few small exams: each step computed once, and only what changed computed anew."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny_study import parameters

from covid_study.ct import to_volume
from covid_study.errors import CohortError, ParameterError, StudyError
from covid_study.networks import precision
from covid_study.pretext import train
from covid_study.ranking import order_free, rank
from covid_study.samples import cohorts, volume_store
from covid_study.tables import a3_ranking, volume_steps
from covid_study.training import volume_classifier
from covid_study.training.run import timing


@pytest.fixture
def nothing_is_computed(monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("computed again")

    for module, name in (
        (to_volume, "preprocess"),
        (volume_classifier, "fit"),
        (train, "fit"),
        (volume_steps, "soft_labels"),
        (volume_steps, "encoder_features"),
    ):
        monkeypatch.setattr(module, name, fail)


def test_volumes_are_the_cohorts(p, v):
    cohort = cohorts.cohort(p).set_index("exam_id")
    assert sorted(v.table.index) == sorted(cohort.index)
    pd.testing.assert_series_equal(v.table["split"].sort_index(), cohort["split"].sort_index())
    assert v.data.shape == (len(cohort), 8, 24, 32)
    assert len(volume_steps.ids(v, "train", True)) == 3 and len(volume_steps.ids(v, "train", False)) == 7
    assert set(volume_steps.ids(v, "test")) == set(cohort.index[cohort["split"] == "test"])
    exam = volume_steps.ids(v, "test")[-1]
    np.testing.assert_array_equal(v.of([exam])[0].numpy(), volume_store.store(p).load([exam])[0])


def test_ranking_is_that_of_its_soft_labels(p, v):
    found = volume_steps.ranked(p, v, "hu_histogram")
    histograms = volume_store.store(p).histograms
    positives, negatives = volume_steps.ids(v, "train", True), volume_steps.ids(v, "train", False)
    expected = rank.soft_labels(histograms.loc[positives], histograms.loc[negatives])
    np.testing.assert_allclose(found.soft_labels.loc[negatives, positives], expected)
    pd.testing.assert_frame_equal(found.ranking, rank.rank_negatives(expected), check_names=False)
    assert found.pretext is None and found.seconds >= 0
    with_network = volume_steps.ranked(p, v)
    assert with_network.pretext.is_dir()
    assert with_network.features.shape == (10, 32)  # 512 at width 1/16
    assert with_network.seconds >= timing(with_network.pretext)["train_seconds"]


def test_killed_in_the_distances_the_ranking_goes_on(p, v, tmp_path, monkeypatch, capsys):
    """With the same features, the finished blocks, and by any executor: here on a local Dask cluster."""
    expected = volume_steps.ranked(p, v, "hu_histogram")
    on_dask = p.model_copy(update={"study": p.study.model_copy(update={"executor": "dask"})})
    histograms = volume_store.store(p).histograms
    rule = p.ranking.rule()
    with monkeypatch.context() as patch:
        patch.setattr(
            volume_steps, "rank_negatives", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            volume_steps.rank_archive(p, v, tmp_path, rule, lambda exams: histograms.loc[exams].to_numpy())
    blocks = list((tmp_path / "blocks").rglob("*.npz"))
    assert len(blocks) == 1 and not (tmp_path / "ranking.parquet").exists()
    volume_steps.rank_archive(on_dask, v, tmp_path, rule, lambda exams: pytest.fail("computed again"))
    assert "1 of 1 blocks of distances were finished before" in capsys.readouterr().out
    assert not (tmp_path / "blocks").exists()
    assert np.isnan(
        json.loads((tmp_path / "timing.json").read_text())["seconds"]
    )  # of all of it nobody knows
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "ranking.parquet"), expected.ranking)


@pytest.mark.parametrize("distance", ["order_free", "euclidean", "cosine", "hellinger"])
def test_the_archive_is_ranked_by_the_distance_that_is_asked_for(p, v, distance):
    found = volume_steps.ranked(p, v, "hu_histogram", distance=distance)
    listed = volume_steps.ranked(p, v, "hu_histogram")
    free = p.model_copy(update={"ranking": p.ranking.model_copy(update={"distance": distance})})
    assert volume_steps.ranked(free, v, "hu_histogram").ranking.equals(found.ranking)
    near, far = (found.features.loc[e] for e in (found.soft_labels.columns, found.ranking.index))
    near, far = near.iloc[::-1, ::-1], far.iloc[::-1, ::-1]  # neither order counts
    expected = order_free.OrderFree(near, far).without("both")
    if distance != "order_free":
        expected = rank.rank_negatives(rank.soft_labels(near, far, distance=distance), distance=distance)
    tracks = ["difficulty", "diversity"]
    expected = expected.loc[found.ranking.index, tracks]
    pd.testing.assert_frame_equal(found.ranking[tracks], expected, check_names=False)
    assert not np.allclose(found.ranking[tracks], listed.ranking[tracks])


def test_selection_is_a_share_of_the_archive(p, v):
    ranked = volume_steps.ranked(p, v).ranking
    chosen = volume_steps.selection(p, ranked, "long_tail", 0.6, seed=0)
    assert len(chosen) == 4 and set(chosen) <= set(ranked.index)
    assert volume_steps.selection(p, ranked, "long_tail", 0.6, seed=0) == chosen
    with pytest.raises(CohortError, match="a selection of 14 negatives was asked for, the archive holds 7"):
        volume_steps.selection(p, ranked, "top", 2.0, seed=0)


def test_a_second_call_computes_nothing(p, v, table3, nothing_is_computed):
    again = volume_store.volumes(p)
    assert again.key == v.key
    assert a3_ranking.table(p, again).train() == table3[1]


def test_a_machine_with_matrix_units_and_one_without_share_no_result(root, v, tmp_path, monkeypatch):
    """Neither pre-training nor run; each shares them with who asks for its precision by name."""
    found, larger = {}, replace(v, data=v.data.repeat(1, 1, 1, 2))
    for asked, units in (("auto", True), ("bf16", True), ("auto", False), ("float32", True)):
        monkeypatch.setattr(precision, "multiplies_bf16", lambda device, units=units: units)
        q = parameters(root, network={"width": 0.0625, "precision": asked})
        negatives = volume_steps.ids(v, "train", False)
        found[asked, units] = (
            volume_steps.pretraining(q, larger).folder(tmp_path),
            volume_steps.run(q, larger, negatives, 0).folder(tmp_path),
        )
    assert found["auto", True] == found["bf16", True] and found["auto", False] == found["float32", True]
    assert all(mine != other for mine, other in zip(found["auto", True], found["auto", False], strict=True))


def test_another_split_computes_no_volume(p, v, nothing_is_computed):
    exams = cohorts.cohort(p).sample(frac=1, random_state=0)
    moved = exams.assign(split=exams["split"].map({"train": "test", "test": "train"}).fillna("validation"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cohorts.phantom, "cohort", lambda *_: moved)
        other = volume_store.volumes(p)
    assert other.key == v.key
    assert set(volume_steps.ids(other, "train")) == set(volume_steps.ids(v, "test"))


def test_other_preprocessing_makes_another_store(p, v, root):
    other = parameters(root, preprocessing={"shape": [24, 24, 8], "working_spacing_mm": [4.0, 4.0, 10.0]})
    assert volume_store.volumes(other).key != v.key
    assert volume_store.volumes(p).key == v.key


def test_a_test_split_without_a_class_is_told(p):
    table = volume_store.volumes(p).table
    with pytest.raises(CohortError, match="the test split holds no positive exam.*What to do"):
        volume_store.check_splits(
            table[(table["split"] != "test") | (table["finding"] != "covid")],
            pd.DataFrame(columns=["name", "problem"]),
            p.cohort.classes,
        )
    left_out = pd.DataFrame([{"name": "P7", "problem": "a slice is missing"}])
    with pytest.raises(CohortError, match="train split.*\n- exam P7 was left out: a slice is missing"):
        volume_store.check_splits(table[table["finding"] != "covid"], left_out, p.cohort.classes)


def test_wrong_device_and_wrong_path_are_told(root):
    with pytest.raises(ParameterError, match="study.device.*DEVICE is auto, cpu.*'gpu7'"):
        parameters(root, study={"device": "gpu7"})
    with pytest.raises(ParameterError, match="device 'cuda:99'.*DEVICE=auto"):
        volume_store.volumes(parameters(root, study={"device": "cuda:99", "name": "tiny"}))
    wrong = parameters(root)
    wrong = wrong.model_copy(update={"cohort": wrong.cohort.model_copy(update={"exams": "/no/such/exams"})})
    with pytest.raises(StudyError, match="/no/such/exams"):
        volume_store.volumes(wrong)
