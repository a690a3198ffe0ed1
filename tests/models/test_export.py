"""A cell of a table as a folder that travels: what it holds, and what is refused when it is read."""

import json
import pickletools
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from travelling import predictions_of

from covid_study import paths
from covid_study.errors import StudyError
from covid_study.models import model as models
from covid_study.models.export import export
from covid_study.models.model import ABOUT, CARD, NOTICE, WEIGHTS, read
from covid_study.runtime.manifest import sha256_of
from covid_study.scores.binary import best_f1_threshold


@pytest.fixture
def here(travelled, monkeypatch):
    monkeypatch.setattr(paths, "build", lambda name: travelled.folder / "build" / name)
    return travelled


@pytest.fixture
def copied(travelled, tmp_path) -> Path:
    return Path(shutil.copytree(travelled.models["volumes"].folder, tmp_path / "model"))


def test_the_weights_are_those_of_the_runs_and_no_pickle(travelled):
    folder = travelled.models["volumes"].folder
    assert {file.name for file in folder.iterdir()} == {ABOUT, WEIGHTS, CARD}
    held = load_file(folder / WEIGHTS)
    for (_, _, seed), run in travelled.tables["volumes"].train().items():
        trained = load_file(run / "weights.safetensors")
        for name, values in trained.items():
            assert torch.equal(held.pop(f"{seed}.{name}"), values)
    assert not held
    with pytest.raises(ValueError), (folder / WEIGHTS).open("rb") as opened:
        list(pickletools.genops(opened))


def test_model_json_says_what_the_run_was(travelled):
    about, table = travelled.models["volumes"].about, travelled.tables["volumes"]
    run = table.runs["both", "56%", 0]
    assert about["architecture"] == {"network": "resnet3d", **run.method.network}
    assert about["input"]["shape_xyz"] == [32, 24, 8] and about["input"]["window_hu"]["level"] == -600
    assert about["notice"] == NOTICE and about["seeds"] == [0, 1]
    assert (
        about["trained_on"]["samples"] == len(run.training_ids) and len(about["trained_on"]["sha256"]) == 64
    )
    said = [predictions_of(table, seed, "exam_id") for seed in (0, 1)]
    validation = [one[one["split"] == "validation"] for one in said]
    p = np.mean([one["probability"].to_numpy(float) for one in validation], axis=0)
    chosen = best_f1_threshold(validation[0]["label"], p)
    assert (
        about["threshold"]["value"] == chosen.threshold and "2 validation exams" in about["threshold"]["how"]
    )
    of_table = table.results().query("row == 'both' and column == '56%'").set_index("metric")
    for line in about["scores"]:
        assert line["mean"] == pytest.approx(of_table.loc[line["metric"], "mean"])
    assert {"f1", "auc"} <= {line["metric"] for line in about["scores"]}
    together = {line["metric"]: line for line in about["scores_together"]}
    test = [one[one["split"] == "test"] for one in said]
    p = np.mean([one["probability"].to_numpy(float) for one in test], axis=0)
    assert together["auc"]["mean"] == pytest.approx(roc_auc_score(test[0]["label"], p))
    assert together["auc"]["low"] <= together["auc"]["mean"] <= together["auc"]["high"]
    ids = {*run.training_ids, *run.test_ids, *table.samples.table["patient_id"]}
    assert not [name for name in ids if name in json.dumps(about)]  # nobody is named


def test_the_card_is_written_from_model_json(travelled):
    for model in travelled.models.values():
        card, about = (model.folder / CARD).read_text(), model.about
        assert NOTICE in card and about["trained_on"]["sha256"] in card and about["threshold"]["how"] in card
        f1 = next(line for line in about["scores"] if line["metric"] == "f1")
        assert f"{f1['mean']:.3f}" in card


def test_slices_and_pictures_have_their_own_contract(travelled):
    slices, pictures = travelled.models["slices"].about, travelled.models["pictures"].about
    assert (slices["kind"], pictures["kind"]) == ("slice", "picture")
    assert slices["input"] | {"size": 32, "crop": True, "per_exam": 3, "overlap": 0.0} == slices["input"]
    assert slices["classes"][0] == "covid" and len(slices["classes"]) == 3
    assert {"acc", "f1_patient"} <= {line["metric"] for line in slices["scores_together"]}
    assert pictures["outputs"] == ["non_covid", "covid"] and slices["threshold"]["value"] is None


def test_exporting_again_replaces_a_model_and_nothing_else(here, tmp_path):
    folder = tmp_path / "model"
    first = sha256_of(export("tiny", "A.III", "both", None, folder).folder / WEIGHTS)
    assert sha256_of(export("tiny", "A.III", "both", "56%", folder).folder / WEIGHTS) == first
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(StudyError, match="holds something else"):
        export("tiny", "A.III", "both", None, tmp_path / "mine")
    (folder / "notes.txt").write_text("keep me")
    with pytest.raises(StudyError, match="holds something else"):
        export("tiny", "A.III", "both", None, folder)
    assert (folder / "notes.txt").is_file()
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def test_the_folder_where_one_stands_is_a_folder(here, tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path / "model")
    assert (export("tiny", "A.III", "both", None, ".").folder / WEIGHTS).is_file()


@pytest.mark.parametrize(
    "asked, said",
    [
        (("nobody", "A.III", "both", None), "no run 'nobody'.*tiny"),
        (("tiny", "A.IX", "both", None), "A.III"),
        (("tiny", "A.III", "neither", None), "Rows: both"),
        (("tiny", "A.III", "both", "14%"), "56%"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(here, tmp_path, asked, said):
    with pytest.raises(StudyError, match=said):
        export(*asked, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_what_was_changed_on_the_way_is_refused_by_name(copied):
    whole = (copied / WEIGHTS).read_bytes()
    (copied / WEIGHTS).write_bytes(whole[:-4] + b"abcd")
    with pytest.raises(StudyError, match=f"{WEIGHTS} holds other bytes"):
        read(copied)
    (copied / WEIGHTS).write_bytes(whole[:-4])
    with pytest.raises(StudyError, match=f"{WEIGHTS} has .* bytes"):
        read(copied)
    (copied / WEIGHTS).unlink()
    with pytest.raises(StudyError, match=f"{WEIGHTS} is missing"):
        read(copied)
    (copied / ABOUT).write_text("{}")
    with pytest.raises(StudyError, match=f"{ABOUT} lacks format"):
        read(copied)
    (copied / ABOUT).write_text("{")
    with pytest.raises(StudyError, match=f"{ABOUT} cannot be read"):
        read(copied)
    (copied / ABOUT).unlink()
    with pytest.raises(StudyError, match=f"holds no {ABOUT}"):
        read(copied)


def changed(folder: Path, **values) -> Path:
    about = json.loads((folder / ABOUT).read_text())
    (folder / ABOUT).write_text(json.dumps(about | values))
    return folder


def test_another_window_or_version_is_refused_and_other_code_is_told(copied, monkeypatch):
    model = read(copied)
    assert model.notes == []
    changed(copied, input=model.about["input"] | {"window_hu": {"level": 40, "width": 400}})
    with pytest.raises(StudyError, match="window_hu"):
        read(copied)
    changed(copied, input=model.about["input"], format=2)
    with pytest.raises(StudyError, match="format 2"):
        read(copied)
    changed(copied, format=1)
    monkeypatch.setattr(models, "preparing", lambda kind: "another")
    assert len(read(copied).notes) == 1


def test_weights_of_another_architecture_are_refused(copied):
    model = read(changed(copied, architecture=read(copied).about["architecture"] | {"width": 0.125}))
    with pytest.raises(StudyError, match="does not fit"):
        model.networks(torch.device("cpu"))


def test_a_row_that_leaves_no_weights_is_refused(here, tmp_path):
    file = here.folder / "build" / "tiny" / "results" / "A.III.parquet"
    kept = pd.read_parquet(file)
    name = kept.attrs["runs"][0][3]
    run = here.folder / "build" / "tiny" / "runs" / name
    other = tmp_path / "build" / "other"
    shutil.copytree(here.folder / "build" / "tiny", other)
    record = json.loads((run / "config.json").read_text())
    del record["files"]["weights.safetensors"]
    (other / "runs" / name / "weights.safetensors").unlink()
    (other / "runs" / name / "config.json").write_text(json.dumps(record))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "build", lambda name: tmp_path / "build" / name)
        with pytest.raises(StudyError, match="leaves no weights"):
            export("other", "A.III", "both", None, tmp_path / "model")
