"""A model says of an exam what its run said of it, bit for bit, whatever kind it is and whatever comes along."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from travelling import predictions_of

from covid_study.errors import StudyError
from covid_study.models.model import NOTICE, read
from covid_study.models.predict import How, each, predict
from covid_study.models.prepared import Row

QUIET = How()


def by_id(found: pd.DataFrame) -> pd.DataFrame:
    """The rows under the ids of the cohort, which are the names of its files."""
    return found.set_index(found["exam"].str.removeprefix("exams/").str.removesuffix(".mha"))


def test_a_volume_classifier_repeats_its_run_bit_for_bit(travelled):
    table, model = travelled.tables["volumes"], travelled.models["volumes"]
    known = {seed: predictions_of(table, seed, "exam_id") for seed in (0, 1)}
    found = by_id(predict(model, [travelled.exams], QUIET, workers=1))
    assert (found["error"] == "").all() and len(found) == 13
    for seed, said in known.items():
        again = found.loc[said.index, f"seed_{seed}"].to_numpy()
        np.testing.assert_array_equal(again, said["probability"].to_numpy(float))
    both = np.mean([said["probability"].to_numpy(float) for said in known.values()], axis=0)
    mine = found.loc[known[0].index]
    np.testing.assert_array_equal(mine["probability"], both)
    np.testing.assert_allclose(mine["p_covid"] + mine["p_negative"], 1, atol=1e-6)
    half = abs(known[0]["probability"] - known[1]["probability"]).to_numpy(float) / 2 * 12.706  # t, 1 degree
    np.testing.assert_allclose(mine["high"], np.clip(both + half, 0, 1), rtol=1e-4)
    threshold = model.about["threshold"]["value"]
    assert (mine["called"] == np.where(both >= threshold, "covid", "negative")).all()


def test_a_slice_network_repeats_its_run_bit_for_bit(travelled):
    """An exam's probability is the mean over its slices."""
    known = {seed: predictions_of(travelled.tables["slices"], seed, "exam_id") for seed in (0, 1)}
    found = by_id(predict(travelled.models["slices"], [travelled.exams], QUIET, workers=1))
    for seed, said in known.items():
        of_exams = said.groupby(level=0)["probability"].agg(lambda p: p.to_numpy(float).mean())
        np.testing.assert_array_equal(found.loc[of_exams.index, f"seed_{seed}"], of_exams)
        assert (found.loc[of_exams.index, "slices"] == said.groupby(level=0).size()).all()


def test_a_network_of_pictures_repeats_its_run_bit_for_bit(travelled):
    known = {seed: predictions_of(travelled.tables["pictures"], seed, "slice_id") for seed in (0, 1)}
    found = predict(travelled.models["pictures"], [travelled.images], QUIET, workers=1)
    found = found.set_index(found["exam"].str.removeprefix("pictures/"))
    assert len(found) == 12
    for seed, said in known.items():
        again = found.loc[said.index, f"seed_{seed}"].to_numpy()
        np.testing.assert_array_equal(again, said["probability"].to_numpy(float))


def test_one_bad_exam_does_not_stop_the_rest_and_processes_say_the_same(travelled, tmp_path):
    bad = tmp_path / "cut.mha"
    whole = next(travelled.exams.glob("*.mha"))
    bad.write_bytes(whole.read_bytes()[:3000])
    given = [bad, whole, next(path for path in travelled.exams.iterdir() if path.is_dir())]
    alone, beside = (predict(travelled.models["volumes"], given, QUIET, workers=n) for n in (1, 2))
    pd.testing.assert_frame_equal(alone, beside)
    assert "cut.mha" in beside["error"][0] and np.isnan(beside["probability"][0])
    assert (beside["error"][1:] == "").all() and beside["probability"][1:].notna().all()
    assert (beside["notice"] == NOTICE).all()


def test_processes_that_are_kept_from_another_folder_find_relative_paths(travelled, tmp_path, monkeypatch):
    exams = sorted(travelled.exams.iterdir())[:2]
    predict(travelled.models["volumes"], exams, QUIET, workers=2)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(travelled.models["volumes"].folder, "model")
    found = predict(read("model"), exams, How(overlay=Path("maps")), workers=2)
    assert (found["error"] == "").all() and len(list(Path("maps").iterdir())) == 2


def test_an_exam_that_kills_its_process_takes_no_other_along():
    rows = [Row(name, name) for name in "abcde"]

    def one(row: Row) -> tuple[Row, dict]:
        if row.exam_id == "b":
            os._exit(9)
        return row, {"error": ""}

    found = {row.exam_id: line["error"] for row, line in each(one, rows, 2)}
    assert sorted(found) == list("abcde") and [name for name, error in found.items() if error] == ["b"]
    assert "exam b" in found["b"]


def test_what_is_unlike_the_training_exams_is_told(travelled, tmp_path):
    from dicom_factory import chest, write_series

    write_series(tmp_path / "thick", chest(16, 120, 144), (18.0, 2.2, 2.2))
    (row,) = predict(travelled.models["volumes"], [tmp_path / "thick"], QUIET).to_dict("records")
    assert row["error"] == "" and "slices lie apart by 18 mm" in row["odd"]


def test_stopped_by_hand_it_keeps_what_it_knows(travelled, monkeypatch):
    from covid_study.models import predict as module

    def each(one, rows, workers):
        yield rows[0], {"probability": 0.5, "error": ""}
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "each", each)
    exams = sorted(travelled.exams.iterdir())[:2]
    found = predict(travelled.models["volumes"], exams, QUIET)
    assert found["probability"].notna().tolist() == [True, False]
    assert (found["error"] != "").tolist() == [False, True]


def test_a_device_that_is_not_there_is_no_fault_of_an_exam(travelled):
    exams = sorted(travelled.exams.iterdir())[:1]
    with pytest.raises(StudyError, match="gpu"):
        predict(travelled.models["volumes"], exams, How("gpu"))


def test_a_path_that_is_not_there_is_an_error_before_anything_is_read(travelled):
    with pytest.raises(StudyError, match="no-such-exam does not exist"):
        predict(travelled.models["volumes"], ["no-such-exam"], QUIET)
