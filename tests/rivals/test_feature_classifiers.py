"""Classifiers on fixed features: what the features see, what a run leaves, that the decisions are those of the features."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_runs import with_method
from tiny_study import parameters

from covid_study.analysis.public_pictures import prototypes
from covid_study.rivals import feature_classifiers
from covid_study.rivals.feature_classifiers import METHODS, image_features
from covid_study.samples.samples import Samples
from covid_study.scores import slices
from covid_study.tables import slice_steps
from covid_study.training.run import Spent


@pytest.fixture(scope="module")
def q():
    return parameters(None, slice_network={"backbone": "mobilenet_v2", "weights": "none"})


@pytest.fixture(scope="module")
def s(tmp_path_factory):
    """Sixty pictures: COVID-19 is striped, non-COVID plain, both noisy."""
    rng = np.random.default_rng(0)
    findings = np.array(["covid", "non_covid"] * 30)
    images = rng.integers(80, 120, (60, 64, 64))
    images[::2, ::4] += 80
    names = [f"{i:02d}" for i in range(60)]
    table = pd.DataFrame({"slice_id": names, "exam_id": names, "patient_id": names, "finding": findings})
    table = table.assign(split=["train"] * 40 + ["test"] * 20, path=names, lesion_share=np.nan)
    data = torch.from_numpy(images.astype(np.uint8))
    return Samples(table.set_index("slice_id"), data, "striped", tmp_path_factory.mktemp("striped"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("build") / "runs"


def test_the_histogram_and_the_texture_are_those_of_the_picture():
    half = np.zeros((64, 64), np.uint8)
    half[:, 32:] = 255
    found = image_features(half)
    assert found[[0, 31]].tolist() == [0.5, 0.5] and found[1:31].sum() == 0
    contrast = found[
        32
    ]  # one pixel apart, mean over four directions: three of them cross the edge once a row
    crossing = np.mean([64 / (64 * 63), 63 / (63 * 63), 0, 63 / (63 * 63)]) * 31**2
    assert contrast == pytest.approx(crossing, rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_plain_to_see_is_told_and_found_again(q, s, runs, method):
    run = slice_steps.on_features(q, s, 0, method)
    folder = run.train(s, runs)
    told = pd.read_parquet(folder / "predictions.parquet")
    assert told["slice_id"].tolist() == sorted(s.table.index[s.table["split"] == "test"])
    assert told[["p_covid", "p_non_covid"]].sum(axis=1).to_numpy() == pytest.approx(1)
    assert slices.point_scores(told)["auc"] > 0.95
    before = (folder / "predictions.parquet").stat().st_mtime_ns
    assert run.train(s, runs) == folder and (folder / "predictions.parquet").stat().st_mtime_ns == before
    assert run.seen == 40


def test_the_key_holds_what_changes_the_result(q, s):
    run = slice_steps.on_features(q, s, 0, "adaboost")
    place = Path("runs")
    same = replace(run, before=Spent(3.0), training_ids=run.training_ids[::-1])
    assert run.folder(place) == same.folder(place)
    others = replace(run, seed=1), with_method(run, name="decision_tree"), replace(run, test_ids=("41",))
    for other in others:
        assert run.folder(place) != other.folder(place)


def test_other_training_slices_share_the_features(q, s, runs):
    slice_steps.on_features(q, s, 0, "decision_tree").train(s, runs)
    places = set((runs.parent / "features").iterdir())
    some = sorted(s.table.index[:30])
    slice_steps.on_features(q, s, 0, "decision_tree", some, sorted(s.table.index[30:40])).train(s, runs)
    assert set((runs.parent / "features").iterdir()) == places


def test_xdnn_shows_training_slices_of_each_class(q, s, runs):
    run = slice_steps.on_features(q, s, 0, "xdnn")
    folder = run.train(s, runs)
    found = feature_classifiers.explained(folder)
    assert set(found["slice_id"]) == set(run.test_ids) and len(found) == 2 * len(run.test_ids)
    assert set(found["prototype"]) <= set(run.training_ids)
    assert (s.table.loc[found["prototype"], "finding"].to_numpy() == found["finding"].to_numpy()).all()
    told = pd.read_parquet(folder / "predictions.parquet").set_index("slice_id")
    most = found.loc[found.groupby("slice_id")["similarity"].idxmax()].set_index("slice_id")["finding"]
    called = told[["p_covid", "p_non_covid"]].idxmax(axis=1).str.removeprefix("p_")
    assert (most == called.loc[most.index]).all()
    rows, captions = prototypes(s, folder)
    assert [len(ids) for ids in rows.values()] == [3] * 4
    for (own, *nearest), texts in zip(rows.values(), captions.values(), strict=True):
        best = [name for name, text in zip(nearest, texts[1:], strict=True) if "decides" in text]
        assert best == [found[found["slice_id"] == own].nlargest(1, "similarity")["prototype"].item()]
    assert sum(s.table.loc[ids[0], "finding"] == "covid" for ids in rows.values()) == 2
