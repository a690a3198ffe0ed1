"""The store: no exam computed twice, nothing half-written taken as done, bad exams left out or stopping the run."""

import errno
import os
import signal
from functools import partial

import numpy as np
import pandas as pd
import pytest

from covid_study.cohort.bad_exams import BadExams
from covid_study.ct import to_volume
from covid_study.ct.volume import Volume
from covid_study.errors import ExamError, StudyError
from covid_study.samples import cohorts, store, volume_parts

SHAPE, SPACING = (12, 10, 8), (4, 4, 5)
IDS = ["covid-b", "covid-a", "cap-a", "non-a", "non-b"]


class Killed(BaseException):
    pass


def volume_of(exam_id):
    """Two lungs in a body, their density told by the exam's place in IDS."""
    hu = np.full((24, 40, 48), -1000, np.int16)
    hu[:, 3:37, 3:45] = 40
    hu[3:21, 8:32, 7:21] = hu[3:21, 8:32, 27:41] = -850 + 20 * IDS.index(exam_id)
    return Volume(hu, (8.0, 6.0, 6.0), {"kvp": 120.0, "manufacturer": "ACME"})


def load(row):
    return volume_of(row.exam_id), None


def failing(row, how):
    """How an exam goes wrong, by its id: told, a full disk, or a process that dies."""
    if row.exam_id in how:
        if how[row.exam_id] == "full":
            raise OSError(errno.ENOSPC, "No space left on device")
        if how[row.exam_id] == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        raise ExamError(row.exam_id, f"{row.path}: 11 of 12 slices are there", "restore the missing file")
    return load(row)


def load_with(**how):
    return partial(failing, how={name.replace("_", "-"): what for name, what in how.items()})


BAD = load_with(non_a="bad", covid_a="bad")


@pytest.fixture
def exams():
    findings = ["covid", "covid", "cap", "non_pneumonia", "non_pneumonia"]
    return pd.DataFrame(
        {"exam_id": IDS, "patient_id": IDS, "path": [f"/ct/{i}" for i in IDS], "finding": findings}
    )


def build(exams, folder, load=load, workers=1, **how):
    folder.mkdir(parents=True, exist_ok=True)
    volume_parts.build_volumes(
        exams, folder, shape=SHAPE, working_spacing_mm=SPACING, load=load, workers=workers, **how
    )
    return volume_parts.VolumeStore(folder)


@pytest.fixture
def counted(monkeypatch):
    """The exams that are really preprocessed, in this process."""
    seen, original = [], to_volume.preprocess

    def count(*args, **kwargs):
        seen.append(args[4])
        return original(*args, **kwargs)

    monkeypatch.setattr(to_volume, "preprocess", count)
    return seen


def test_store_holds_what_preprocessing_makes(exams, tmp_path):
    kept = build(exams, tmp_path / "s")
    for exam_id in IDS:
        volume = volume_of(exam_id)
        expected = to_volume.preprocess(volume.hu, volume.spacing_mm, SHAPE, SPACING)
        np.testing.assert_array_equal(kept.load([exam_id])[0], expected.image)
        np.testing.assert_allclose(kept.histograms.loc[exam_id], expected.histogram)
        row = kept.table.set_index("exam_id").loc[exam_id]
        assert row["mean_hu"] == pytest.approx(expected.facts["mean_hu"])
        assert (row["kvp"], row["spacing_z_mm"], row["spacing_xy_mm"]) == (120, 8, 6)
    assert kept.load(["non-b", "covid-a"]).shape == (2, 8, 10, 12)
    assert kept.left_out.empty and list(kept.left_out) == ["name", "problem", "remedy"]


def test_two_workers_make_the_same_of_rows_in_any_order(exams, tmp_path):
    one, two = build(exams, tmp_path / "1"), build(exams[::-1], tmp_path / "2", workers=2)
    np.testing.assert_array_equal(one.load(IDS), two.load(IDS))
    pd.testing.assert_frame_equal(one.table, two.table)
    pd.testing.assert_frame_equal(one.histograms, two.histograms)


@pytest.mark.parametrize("after", [0, 3])
def test_killed_it_goes_on_and_computes_nothing_twice(exams, tmp_path, counted, monkeypatch, after):
    original = store.write_atomically

    def write(path, how):
        if path.suffix == ".json" and len(list(path.parent.glob("*.json"))) == after:
            raise Killed  # the volume is there, its facts are not
        original(path, how)

    monkeypatch.setattr(store, "write_atomically", write)
    with pytest.raises(Killed):
        build(exams, tmp_path / "s")
    monkeypatch.setattr(store, "write_atomically", original)
    before = list(counted)
    assert len(before) == after + 1
    kept = build(exams, tmp_path / "s")
    assert sorted(counted[len(before) :] + before[:after]) == sorted(IDS)
    np.testing.assert_array_equal(kept.load(IDS), build(exams, tmp_path / "whole").load(IDS))


def test_bad_exams_are_left_out_and_listed(exams, tmp_path):
    kept = build(exams, tmp_path / "s", BAD)
    assert sorted(kept.table["exam_id"]) == ["cap-a", "covid-b", "non-b"]
    assert kept.left_out.to_dict("records") == [
        {
            "name": exam_id,
            "problem": f"/ct/{exam_id}: 11 of 12 slices are there",
            "remedy": "restore the missing file",
        }
        for exam_id in ("covid-a", "non-a")
    ]
    np.testing.assert_array_equal(kept.load(["non-b"]), build(exams, tmp_path / "whole").load(["non-b"]))
    assert list(kept.histograms.index) == list(kept.table["exam_id"])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_exam_stops_the_run_where_it_is_told_to(exams, tmp_path, workers):
    with pytest.raises(ExamError, match="exam (covid|non)-a: .*11 of 12 slices.*What to do: restore"):
        build(exams, tmp_path / "s", BAD, workers, bad=BadExams(stop=True))
    assert not (tmp_path / "s" / "exams.parquet").exists()


def test_an_exam_that_was_mended_is_tried_again_and_the_others_are_not(exams, tmp_path, counted):
    build(exams, tmp_path / "s", load_with(covid_a="bad", covid_b="bad"))
    assert sorted(counted) == ["cap-a", "non-a", "non-b"]
    build(exams, tmp_path / "s")
    assert sorted(counted) == sorted(IDS)


def test_a_full_disk_is_told_and_loses_nothing(exams, tmp_path):
    with pytest.raises(StudyError, match="disk is full.*call again"):
        build(exams, tmp_path / "s", load_with(covid_b="full"))
    assert len(build(exams, tmp_path / "s").table) == 5


def test_a_worker_that_dies_is_told(exams, tmp_path):
    with pytest.raises(StudyError, match="died.*memory.*study.workers"):
        build(exams, tmp_path / "s", load_with(covid_b="dies"), workers=2)
    assert len(build(exams, tmp_path / "s").table) == 5


def test_the_truth_of_a_phantom_exam_is_measured(exams, tmp_path):
    how = {"seed": 0, "matrix": 64, "thickness_mm": (8, 10)}
    made = exams.iloc[[1, 3]].assign(exam_id=["covid-0002-a", "non_pneumonia-0001-a"], path="phantom")
    facts = build(made, tmp_path, partial(cohorts.load_exam, how=how)).table.set_index("exam_id")
    assert (facts["dice"] > 0.9).all() and 0 < facts.loc["covid-0002-a", "lesion_share"] < 1


def test_one_mended_exam_computes_one(exams, tmp_path, counted):
    """Another store, because the cohort, a file or on_bad_exam changed, takes what is still true from the one before."""
    keys = {exam_id: f"key of {exam_id}" for exam_id in IDS}
    build(exams, tmp_path / ".partial-one", BAD, keys=keys)
    assert sorted(counted) == ["cap-a", "covid-b", "non-b"]
    counted.clear()
    keys["cap-a"] = "another file"
    kept = build(exams[::-1].iloc[:4], tmp_path / "two", keys=keys)
    assert sorted(counted) == ["cap-a", "covid-a", "non-a"]  # covid-b is no part of it, non-b was copied
    whole = build(exams[::-1].iloc[:4], tmp_path / "other" / "whole")
    np.testing.assert_array_equal(kept.load(IDS[1:]), whole.load(IDS[1:]))
    pd.testing.assert_frame_equal(kept.table, whole.table)


def test_a_lost_volume_is_made_again_and_alone(exams, tmp_path, counted):
    kept = build(exams, tmp_path / "s")
    store.arrays_of(kept.folder, sorted(IDS).index("cap-a")).unlink()
    with pytest.raises(FileNotFoundError):
        kept.load(IDS)
    assert kept.load(["non-a"]).any()
    counted.clear()
    build(exams, kept.folder)
    assert counted == ["cap-a"]


def test_a_lost_volume_is_not_taken_over_from_another_store(exams, tmp_path, counted):
    keys = dict(zip(IDS, IDS, strict=True))
    old = build(exams, tmp_path / "old", keys=keys)
    store.arrays_of(old.folder, 0).unlink()
    counted.clear()
    new = build(exams, tmp_path / "new", keys=keys)
    assert counted == [sorted(IDS)[0]] and new.load(IDS).any((1, 2, 3)).all()
