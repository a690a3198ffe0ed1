"""What the pictures of notebook 01 show, on boxes and on small phantom exams."""

import numpy as np
import pandas as pd
import pytest

from covid_study.analysis import exam_pictures
from covid_study.ct import to_volume
from covid_study.ct.resampling import resample
from covid_study.ct.volume import Volume
from covid_study.errors import ExamError
from covid_study.figures import pictures
from covid_study.phantom import cohort as phantom

ROW = pd.DataFrame([("covid-0001-a", "covid")], columns=["exam_id", "finding"])


def load(row):
    exam = phantom.make_exam(row.exam_id, 0, 96, (5, 10))
    return exam.volume, {"lungs": exam.lungs, "lesions": exam.lesions}


@pytest.fixture(scope="module")
def exam():
    return exam_pictures.read_masked(list(ROW.itertuples()), load)[0]


def box(*corners, shape=(6, 8, 8)):
    result = np.zeros(shape, bool)
    result[tuple(slice(*c) for c in corners)] = True
    return result


def masked(mask, truth=None):
    volume = Volume(np.zeros(mask.shape, np.int16), (5.0, 1.0, 1.0), {})
    return exam_pictures.Masked("e", "cap", volume, mask, truth)


def test_the_caption_says_what_the_mask_misses():
    truth = {"lungs": box((0, 4), (0, 4), (0, 4)), "lesions": box((0, 1), (0, 4), (0, 4))}
    caption = masked(box((1, 4), (0, 4), (0, 4)), truth).caption
    assert "Dice 0.857" in caption and "lungs 25.0%" in caption and "lesions 100.0%" in caption
    truth["lesions"] = np.zeros_like(truth["lungs"])
    assert "no lesions" in masked(truth["lungs"], truth).caption
    assert masked(truth["lungs"]).caption == "e\nCAP"


def test_slices_show_lesions_but_not_where_there_is_hardly_any_lung():
    lungs = box((1, 6), (1, 7), (1, 7))
    lungs[0, 3, 3:5] = True
    lesions = box((0, 1), (0, 8), (0, 8)) | box((2, 3), (2, 4), (1, 4))
    assert masked(lungs, {"lungs": lungs, "lesions": lesions}).slices()[0] == 2
    assert exam_pictures.fullest_slices(lesions)[0] == 0
    assert masked(box((3, 4), (5, 6), (0, 8))).slices() == (3, 5)


def test_exams_that_cannot_be_used_are_passed_over():
    def bad(row):
        raise ExamError(row.exam_id, "no", "none")

    assert exam_pictures.read_masked(list(ROW.itertuples()), bad) == []


@pytest.fixture(scope="module")
def steps(exam):
    hu, spacing_mm = exam.volume.hu, exam.volume.spacing_mm
    return to_volume.preprocess(hu, spacing_mm, (48, 36, 12), (2, 2, 5), steps=True).steps


def test_every_step_shows_the_same_place(exam, steps):
    """A marker, one voxel thick in z and in y, is carried through the steps and lies on the slices that are named."""
    spacing_mm, target = exam.volume.spacing_mm, (5.0, 2.0, 2.0)
    crop = to_volume.crop_to(resample(exam.mask, spacing_mm, target, is_mask=True), target)
    places = exam_pictures.follow(exam, steps)
    for axis, n in enumerate(exam.slices()):
        hu, others = np.full(exam.volume.hu.shape, -1000, np.int16), tuple(a for a in range(3) if a != axis)
        hu[(slice(None),) * axis + (n,)] = 1000
        moved = resample(hu, spacing_mm, target)
        framed = to_volume.centre_crop_or_pad(moved[crop] + 1000, steps["centre crop or pad"][0].shape)
        for volume, step in ((moved, 2), (framed, 5)):
            assert abs(int(volume.mean(others).argmax()) - places[step][axis]) <= 1
        assert places[3][axis] == places[2][axis] - crop[axis].start


def test_the_pictures_can_be_drawn(exam, steps):
    assert len(pictures.exams(**exam_pictures.step_by_step(exam, steps)).axes) == 2 * len(steps)
    assert len(pictures.exams(**exam_pictures.montage([exam, exam])).axes) == 4
    without = exam_pictures.Masked("real", "cap", exam.volume, exam.mask)
    axes = pictures.exams(**exam_pictures.overlays([exam, without])).axes
    assert [len(ax.collections) for ax in axes] == [2, 1, 2, 1], "mask and truth, mask alone"


def test_one_phantom_exam_of_each_kind():
    names = exam_pictures.one_of_each_kind(2020)
    assert all(phantom.kind_of(exam, 2020) == kind for kind, exam in names.items())
    small = exam_pictures.phantom_exams(2020, 64, (10, 10))
    assert [e.exam_id for e in small] == list(names)


def test_real_exams_only_where_the_variable_names_them(monkeypatch, tmp_path):
    monkeypatch.delenv(exam_pictures.REAL_EXAMS, raising=False)
    assert exam_pictures.real_exams().empty
    monkeypatch.setenv(exam_pictures.REAL_EXAMS, str(tmp_path))
    assert exam_pictures.real_exams().empty


def test_real_exams_are_found(monkeypatch, real_data):
    monkeypatch.setenv(exam_pictures.REAL_EXAMS, str(real_data))
    assert set(exam_pictures.real_exams()["finding"]) == {"covid", "cap", "non_pneumonia"}
