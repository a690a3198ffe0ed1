"""Which exams lie at a path, and under which names."""

import pytest
from dicom_factory import write_series
from PIL import Image
from volume_files import saved

from covid_study.errors import ExamError, StudyError
from covid_study.models.prepared import Row, found_at, prepare


def names(*paths) -> list[str]:
    return [row.exam_id for row in found_at(paths)]


def test_a_folder_with_slices_is_an_exam_and_a_folder_of_exams_stands_for_them(tmp_path):
    archive = tmp_path / "archive"
    write_series(archive / "P1" / "study" / "series")
    write_series(archive / "P2")
    saved(archive / "P3.nii.gz")
    assert names(archive / "P2") == ["P2"] and names(archive) == [
        "archive/P1",
        "archive/P2",
        "archive/P3.nii.gz",
    ]
    assert names(archive / "P2", archive) == ["P2", "archive/P1", "archive/P3.nii.gz"]  # each once
    (tmp_path / "other").mkdir()
    write_series(tmp_path / "other" / "P2")
    apart = names(archive / "P2", tmp_path / "other" / "P2")
    assert len(set(apart)) == 2


def test_every_picture_of_a_folder_is_one(tmp_path):
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("L", (64, 64)).save(tmp_path / name)
    assert names(tmp_path / "a", tmp_path / "b") == ["a/1.png", "b/1.png"]


def test_an_empty_folder_and_a_volume_for_a_network_of_pictures_are_told(tmp_path):
    with pytest.raises(StudyError, match="holds no exam"):
        found_at([tmp_path])
    about = {"kind": "picture", "input": {"size": 64}}
    with pytest.raises(ExamError, match="reads pictures"):
        prepare(about, Row("a", str(saved(tmp_path / "a.mha"))), None)
