"""Which classes a study tells apart, from the exam table to the predictions."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tiny_study import parameters

from covid_study.cohort import exams
from covid_study.cohort.findings import POSITIVE, belongs, numbers, outputs, studied
from covid_study.errors import CohortError, ParameterError
from covid_study.networks.resnet3d import Classifier, build
from covid_study.samples import cohorts, volume_store
from covid_study.tables import a6_online as online, volume_steps
from covid_study.training import run as experiments, volume_classifier
from covid_study.training.loop import in_batches
from covid_study.training.time_left import planned
from covid_study.training.volume_classifier import classifier_loss, oversampled


class Stopped(Exception):
    """Training has been seen to begin as it should."""


THREE = ["covid", "cap", "non_pneumonia"]
FINDINGS = ["covid", "cap", "non_pneumonia", "cap"]


@pytest.fixture(scope="module")
def three(root):
    return parameters(root, cohort=of(THREE))


def of(classes):
    """The tiny cohort with other classes."""
    tiny = parameters(None).model_dump()["cohort"]
    return tiny | {"classes": classes}


@pytest.mark.parametrize(
    "classes, expected",
    [
        (["covid", "negative"], [1, 0, 0, 0]),
        (["covid", "non_pneumonia"], [1, 0, 0, 0]),
        (THREE, [1, 0, 2, 0]),
        (["covid", "non_pneumonia", "cap"], [1, 2, 0, 2]),
    ],
)
def test_covid_is_output_one_and_the_others_keep_their_order(classes, expected):
    assert numbers(FINDINGS, classes).tolist() == expected
    assert outputs(classes)[POSITIVE] == "covid" and sorted(outputs(classes)) == sorted(classes)


def test_a_finding_without_a_class_is_told():
    with pytest.raises(CohortError, match="the finding 'tumour', which is none of the classes"):
        numbers(["covid", "tumour"], THREE)


def test_a_class_without_exams_is_told():
    table = pd.DataFrame({"exam_id": ["a", "b"], "finding": ["covid", "cap"]})
    with pytest.raises(CohortError, match="no exam has the finding non_pneumonia.*What to do"):
        studied(table, THREE)
    assert studied(table, ["covid", "negative"]).equals(table)
    assert belongs(pd.Series(FINDINGS), ["covid", "cap"]).tolist() == [True, True, False, True]


def test_exams_of_a_finding_that_is_not_named_are_no_part_of_the_study(p, root):
    whole = cohorts.cohort(p)
    two = parameters(root, cohort=of(["covid", "cap"]))
    kept, outside = cohorts.cohort(two), cohorts.outside(two)
    assert set(kept["finding"]) == {"covid", "cap"} and set(outside["finding"]) == {"non_pneumonia"}
    assert set(kept["exam_id"]) | set(outside["exam_id"]) == set(whole["exam_id"])
    assert len(outside) == (whole["finding"] == "non_pneumonia").sum() == 7
    assert cohorts.outside(p).empty


def test_the_users_exams_are_left_out_before_they_are_split(root, tmp_path):
    rows = [(f"{f}-{i}", f"{f}-{i}", f) for f in THREE for i in range(8)]
    table = pd.DataFrame(rows, columns=["exam_id", "patient_id", "finding"])
    table["path"] = [str(tmp_path / name) for name in table["exam_id"]]
    for path in table["path"]:
        open(path, "w").close()
    table.reindex(columns=exams.COLUMNS).fillna("").to_csv(tmp_path / "exams.csv", index=False)
    changed = {"exams": str(tmp_path / "exams.csv"), "classes": ["covid", "non_pneumonia"]}
    two = parameters(root, cohort=of(THREE) | changed)
    kept = cohorts.cohort(two)
    assert kept["finding"].value_counts().to_dict() == {"covid": 8, "non_pneumonia": 8}
    sides = kept.groupby("finding")["split"].agg(set)
    assert sides["covid"] == sides["non_pneumonia"] == {"train", "validation", "test"}
    assert cohorts.outside(two)["finding"].tolist() == ["cap"] * 8


def test_three_classes_need_no_volume_and_no_pretraining_anew(p, v, three, monkeypatch):
    other = volume_store.volumes(three)
    assert other.key == v.key and other.table.equals(v.table)

    def asked_for(folder, label, config, *_):
        asked.append((folder, label, config))
        raise Stopped

    monkeypatch.setattr(volume_steps, "artefact", asked_for)
    asked = []
    for settings in (p, three):
        with pytest.raises(Stopped):
            volume_steps.ranked(settings, v, "hu_histogram")
    assert asked[0] == asked[1]
    one, other = (volume_steps.pretraining(settings, v).config() for settings in (p, three))
    assert one == other


def test_two_findings_take_their_volumes_from_the_whole_store(v, root, monkeypatch):
    def never(*_, **__):
        raise AssertionError("an exam was preprocessed anew")

    monkeypatch.setattr("covid_study.samples.volume_parts.of_exam", never)
    other = volume_store.volumes(parameters(root, cohort=of(["covid", "cap"])))
    assert set(other.table["finding"]) == {"covid", "cap"} and other.key != v.key
    same = list(other.table.index)
    assert (other.of(same) == v.of(same)).all()


def a_run(p, v, **changed):
    return dataclasses.replace(volume_steps.run(p, v, volume_steps.ids(v, "train", False), seed=0), **changed)


def test_the_key_of_two_classes_is_as_before_and_that_of_three_another(p, v, three):
    two, other = a_run(p, v), a_run(three, v)
    assert not {"classes", "sizes", "before"} & set(two.config())
    assert a_run(p, v, classes=("covid", "cap")).config() == two.config()
    assert other.config() == two.config() | {"classes": tuple(THREE)}
    assert two.sizes == (7, 3) and other.sizes == (3, 3, 4)


def test_predictions_of_three_classes_are_those_of_the_weights(v, three, tmp_path):
    run = a_run(three, v)
    folder = run.train(v, tmp_path)
    table, weights = experiments.predictions(folder), load_file(folder / "weights.safetensors")
    named = [f"p_{name}" for name in THREE]
    assert list(table.columns)[4:] == ["probability", "label", *named]
    assert weights["head.weight"].shape[0] == 3
    model = Classifier(*build(run.method.network), 3)
    model.load_state_dict(weights)
    logits = in_batches(model, v.of(list(table["exam_id"])))
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(table[["p_cap", "p_covid", "p_non_pneumonia"]], expected, rtol=1e-4)
    assert (table["probability"] == table["p_covid"]).all()
    assert (table["label"] == (table["finding"] == "covid")).all()


@pytest.mark.parametrize("strategy, exams_an_epoch", [("oversampling", 12), ("ohem", 10), ("focal", 10)])
def test_online_strategies_see_three_classes(v, three, tmp_path, monkeypatch, strategy, exams_an_epoch):
    """Every exam has the class of its finding, and an epoch of oversampling has all three as often as the largest."""
    seen = {}

    def loss(data, labels, *settings):
        seen["labels"] = labels
        return classifier_loss(data, labels, *settings)

    def fit(model, n, loss_of, *, order_of, **_):
        generator = torch.Generator().manual_seed(0)
        order = order_of(generator) if order_of else torch.arange(n)
        loss_of(model, order, generator)[0].backward()
        seen.update(n=len(order), gradient=model.head.weight.grad)
        raise Stopped

    monkeypatch.setattr(volume_classifier, "classifier_loss", loss)
    monkeypatch.setattr(volume_classifier, "fit", fit)
    online = {"strategy": strategy, "ohem_share": 0.5, "focal_gamma": 2.0, "focal_alpha": 0.25}
    run = a_run(three, v)
    run = dataclasses.replace(run, method=dataclasses.replace(run.method, online=online))
    with pytest.raises(Stopped):
        run.train(v, tmp_path)
    trained = sorted(run.training_ids, key=lambda exam: (v.table.loc[exam, "finding"] != "covid", exam))
    assert seen["labels"].tolist() == numbers(v.table.loc[trained, "finding"], THREE).tolist()
    assert seen["n"] == exams_an_epoch
    assert (seen["gradient"].abs().sum(dim=1) > 0).all() and len(seen["gradient"]) == 3


def test_oversampling_of_three_classes_is_as_long_as_the_largest_says(v, root):
    settings = {"ranking": {"features": "hu_histogram"}, "online": {"share": 0.6}}
    three = parameters(root, cohort=of(THREE), **settings)
    table = online.table(three, v)
    exposure = online.exposure(three, table).set_index(["row", "column"])
    assert exposure.loc[("all", "oversampling"), ["exams", "positive"]].tolist() == [12, pytest.approx(1 / 3)]
    run = table.runs["60%", "oversampling", 0]
    assert (
        sum(run.sizes) == 7
        and exposure.loc[("60%", "oversampling"), "exams"]
        == oversampled(torch.from_numpy(numbers(v.table.loc[list(run.training_ids), "finding"], THREE)))[0]
    )
    assert planned({"one": run}, root)["exams_seen"].item() == (
        exposure.loc[("60%", "oversampling"), "exams"] * run.method.training["epochs"]
    )
    assert exposure["line"].dropna().tolist() == [0.5, 0.5]


def test_a_missing_third_class_is_told(v):
    table = v.table[(v.table["split"] != "test") | (v.table["finding"] != "non_pneumonia")]
    left_out = pd.DataFrame(columns=["name", "problem"])
    with pytest.raises(CohortError, match="the test split holds no non_pneumonia exam"):
        volume_store.check_splits(table, left_out, THREE)
    volume_store.check_splits(table, left_out, ["covid", "negative"])


def test_classes_that_overlap_are_told(root):
    with pytest.raises(ParameterError, match="classes"):
        parameters(root, cohort=of(["covid", "negative", "cap"]))
