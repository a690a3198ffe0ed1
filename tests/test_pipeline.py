"""The data's way on a cohort of a few small exams: each step computed once, and only what changed computed anew."""

import numpy as np
import pandas as pd
import pytest

from covid_study import ablation, cohorts, experiments, params, paths, pipeline, pretext, ranking, store
from covid_study.errors import CohortError, ParameterError, StudyError

COUNTS = {"covid": 3, "cap": 3, "non_pneumonia": 4}


def parameters(root, **changed):
    """The smoke profile, as small as it can be; `changed` by section."""
    values = params.load_profile(paths.root() / "params" / "smoke.yaml")
    small = {
        "study": {"name": "tiny", "workers": 1, "seeds": [0], "bootstrap": 100, "device": "cpu"},
        "cohort": {
            "phantom": {
                "seed": 1,
                "matrix": 64,
                "thickness_mm": [10.0, 10.0],
                "train": COUNTS,
                "validation": {"covid": 1, "cap": 1, "non_pneumonia": 1},
                "test": {"covid": 2, "cap": 2, "non_pneumonia": 2},
            }
        },
        "preprocessing": {"shape": [32, 24, 8], "working_spacing_mm": [4.0, 4.0, 10.0]},
        "network": {"width": 0.0625},
        "pretext": {"epochs": 1, "all_samples_epochs": 1, "gap": [2, 2, 0]},
        "sampling": {"shares": [0.3, 0.6]},
    }
    for source in (small, changed):
        for section, keys in source.items():
            values[section] |= keys
    return params.check(params.Profile, values, "test")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A build folder of this test's own."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "build", lambda name: folder / "build" / name)
        yield folder


@pytest.fixture(scope="module")
def p(root):
    return parameters(root)


@pytest.fixture(scope="module")
def v(p):
    return pipeline.volumes(p)


@pytest.fixture(scope="module")
def table3(p, v):
    runs = ablation.ranking_ablation(p, v)
    return runs, ablation.train_all(p, v, runs)


@pytest.fixture
def nothing_is_computed(monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("computed again")

    for module, name in (
        (store.preprocess, "preprocess"),
        (experiments, "fit"),
        (pretext, "fit"),
        (pipeline, "rank_negatives"),
        (pipeline, "encoder_features"),
    ):
        monkeypatch.setattr(module, name, fail)


def test_volumes_are_the_cohorts(p, v):
    cohort = cohorts.cohort(p).set_index("exam_id")
    assert sorted(v.table.index) == sorted(cohort.index)
    pd.testing.assert_series_equal(v.table["split"].sort_index(), cohort["split"].sort_index())
    assert v.data.shape == (len(cohort), 8, 24, 32)
    assert len(pipeline.ids(v, "train", True)) == 3 and len(pipeline.ids(v, "train", False)) == 7
    assert set(pipeline.ids(v, "test")) == set(cohort.index[cohort["split"] == "test"])
    exam = pipeline.ids(v, "test")[-1]
    np.testing.assert_array_equal(v.of([exam])[0].numpy(), cohorts.store(p).load([exam])[0])


def test_ranking_is_that_of_its_soft_labels(p, v):
    found = pipeline.ranked(p, v, "hu_histogram")
    histograms = cohorts.store(p).histograms
    positives, negatives = pipeline.ids(v, "train", True), pipeline.ids(v, "train", False)
    expected = ranking.soft_labels(histograms.loc[positives], histograms.loc[negatives])
    np.testing.assert_allclose(found.soft_labels.loc[negatives, positives], expected)
    pd.testing.assert_frame_equal(found.ranking, ranking.rank_negatives(expected), check_names=False)
    assert found.pretext is None and found.seconds >= 0
    with_network = pipeline.ranked(p, v)
    assert with_network.pretext.is_dir()
    assert with_network.features.shape == (10, 32)  # 512 at width 1/16
    assert with_network.seconds >= pipeline.pretext_seconds(with_network.pretext)


def test_selection_is_a_share_of_the_archive(p, v):
    ranked = pipeline.ranked(p, v).ranking
    chosen = pipeline.selection(p, ranked, "long_tail", 0.6, seed=0)
    assert len(chosen) == 4 and set(chosen) <= set(ranked.index)
    assert pipeline.selection(p, ranked, "long_tail", 0.6, seed=0) == chosen
    with pytest.raises(CohortError, match="a selection of 14 negatives was asked for, the archive holds 7"):
        pipeline.selection(p, ranked, "top", 2.0, seed=0)


def test_a_second_call_computes_nothing(p, v, table3, nothing_is_computed):
    again = pipeline.volumes(p)
    assert again.key == v.key
    runs = ablation.ranking_ablation(p, again)
    assert ablation.train_all(p, again, runs) == table3[1]


def test_another_split_computes_no_volume(p, v, root, nothing_is_computed):
    exams = cohorts.cohort(p).sample(frac=1, random_state=0)
    moved = exams.assign(split=exams["split"].map({"train": "test", "test": "train"}).fillna("validation"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cohorts.phantom, "cohort", lambda *_: moved)
        other = pipeline.volumes(p)
    assert other.key == v.key
    assert set(pipeline.ids(other, "train")) == set(pipeline.ids(v, "test"))


def test_other_preprocessing_makes_another_store(p, v, root):
    other = parameters(root, preprocessing={"shape": [24, 24, 8], "working_spacing_mm": [4.0, 4.0, 10.0]})
    assert pipeline.volumes(other).key != v.key
    assert pipeline.volumes(p).key == v.key


def test_a_test_split_without_a_class_is_told(p, root):
    table = pipeline.volumes(p).table
    with pytest.raises(CohortError, match="the test split holds no positive exam.*What to do"):
        pipeline._check_splits(
            table[(table["split"] != "test") | (table["finding"] != "covid")],
            pd.DataFrame(columns=["exam_id", "problem"]),
        )
    left_out = pd.DataFrame([{"exam_id": "P7", "problem": "a slice is missing"}])
    with pytest.raises(CohortError, match="train split.*\n- exam P7 was left out: a slice is missing"):
        pipeline._check_splits(table[table["finding"] != "covid"], left_out)


def test_wrong_device_and_wrong_path_are_told(root):
    with pytest.raises(ParameterError, match="study.device.*DEVICE is auto, cpu.*'gpu7'"):
        parameters(root, study={"device": "gpu7"})
    with pytest.raises(ParameterError, match="device 'cuda:99'.*DEVICE=auto"):
        pipeline.volumes(parameters(root, study={"device": "cuda:99", "name": "tiny"}))
    wrong = parameters(root)
    wrong = wrong.model_copy(update={"cohort": wrong.cohort.model_copy(update={"exams": "/no/such/exams"})})
    with pytest.raises(StudyError, match="/no/such/exams"):
        pipeline.volumes(wrong)


# ---------------------------------------------------------------------------- Tables III and V


def test_rows_of_table_3(p, v, table3):
    runs, _ = table3
    rows = {"random", "difficulty", "diversity", "both", "both_pretrained", "hu_histogram"}
    shares = {(row, column, 0) for row in rows for column in ("30%", "60%")}
    assert set(runs) == shares | {("random", "all", 0)}
    sizes = ablation.sizes(p, v)
    assert sizes == {"30%": 2, "60%": 4, "all": 7}
    for (row, column, _), run in runs.items():
        assert len(run.negatives) == sizes[column]
        assert (run.encoder is not None) == (row == "both_pretrained")
    assert runs["both", "30%", 0].negatives == runs["both_pretrained", "30%", 0].negatives


def test_tables_3_and_5_share_their_common_rows(p, v, table3):
    runs, folders = table3
    fifth = ablation.sampling_strategies(p, v)
    assert {row for row, _, _ in fifth} == {
        "random",
        "normal",
        "top",
        "long_tail",
        "long_tail_all_pretrained",
    }
    common = {"random": "random", "long_tail": "both"}
    for (row, column, seed), run in fifth.items():
        if row in common:
            assert run == runs[common[row], column, seed]
            assert run.folder(paths.build("tiny") / "runs") == folders[common[row], column, seed]
    encoder = fifth["long_tail_all_pretrained", "30%", 0].encoder
    assert "rubiks_cube_pro_all" in encoder and encoder != runs["both_pretrained", "30%", 0].encoder
    ranked = pipeline.ranked(p, v).ranking
    assert list(fifth["top", "60%", 0].negatives) == list(ranked["joint_rank"].sort_values().index[:4])


def test_results_of_a_table(p, v, table3):
    _, folders = table3
    found = ablation.results(p, v, folders)
    assert list(found)[:3] == ["row", "column", "metric"] and {"mean", "low", "high", "seeds"} <= set(found)
    assert not found.duplicated(["row", "column", "metric"]).any()
    cell = found.set_index(["row", "column", "metric"]).loc[("both", "30%")]
    scores = ablation.run_scores(folders["both", "30%", 0], v, 100)
    table = experiments.predictions(folders["both", "30%", 0]).query("split == 'test'")
    hit, said = (table["probability"] >= 0.5) & (table["label"] == 1), (table["probability"] >= 0.5).sum()
    recall = hit.sum() / (table["label"] == 1).sum()
    assert cell.loc["recall", "mean"] == pytest.approx(recall) == scores.loc["recall", "value"]
    assert scores.loc["precision", "value"] == pytest.approx(hit.sum() / said if said else 0)
    pairs = [
        (a > b) + 0.5 * (a == b)
        for a in table.loc[table["label"] == 1, "probability"]
        for b in table.loc[table["label"] == 0, "probability"]
    ]
    assert cell.loc["auc", "mean"] == pytest.approx(np.mean(pairs))
    assert {"f1", "f1_validation", "average_precision", "hours"} <= set(cell.index)
    trained = experiments.timing(folders["both", "30%", 0])["train_seconds"]
    before = pipeline.ranked(p, v).seconds
    assert cell.loc["hours", "mean"] == pytest.approx((trained + before) / 3600)
    alone = experiments.timing(folders["random", "30%", 0])["train_seconds"]
    hours = found.set_index(["row", "column", "metric"])["mean"]
    assert hours["random", "30%", "hours"] == pytest.approx(alone / 3600)


def test_patients_are_those_of_todays_table(p, v, table3, monkeypatch):
    """An interval is drawn over patients: joined in today's table, they are joined in its interval, with no new training."""
    asked = []
    original = ablation.bootstrap_intervals
    monkeypatch.setattr(
        ablation, "bootstrap_intervals", lambda *a, **k: asked.append(list(a[2])) or original(*a, **k)
    )
    joined = experiments.Volumes(v.table.assign(patient_id="one and the same"), v.data, v.key)
    ablation.run_scores(table3[1]["random", "all", 0], joined, 100)
    assert set(asked[0]) == {"one and the same"}


def test_learning_curves(table3):
    curves = ablation.learning_curves(table3[1])
    assert set(curves["row"]) == {row for row, _, _ in table3[0]}
    assert np.isfinite(curves["loss"]).all() and (curves["epoch"] == 1).all()
