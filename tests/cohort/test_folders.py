"""Links are followed, once; what is passed over is counted; the same file in two places is said."""

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from dataset_trees import picture, volume
from dicom_factory import chest, write_series

from covid_study.cohort.copies import notes_on_copies
from covid_study.cohort.exam_layouts import find_exams, notes_on_exams
from covid_study.cohort.folders import below
from covid_study.cohort.picture_layouts import find_images
from covid_study.ct.files import read_volume
from covid_study.samples.cohorts import files_of


def names(folder, paths):
    return [path.relative_to(folder).as_posix() for path in paths]


def put(root, *files):
    for n, file in enumerate(files):
        picture(root / file, seed=n)


def said(notes, *words):
    """One note holds all the words."""
    assert any(all(word in note for word in words) for note in notes), notes


def test_links_are_followed_and_each_folder_is_read_once(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    for file in (inside / "z" / "a.png", outside / "deep" / "b.png", outside / "c.png"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    for link, target in {
        "y": "../out",  # followed
        "x": "z",  # has a name of its own
        "z/up": "..",  # a circle
        "z/out again": "../../out",
        "above": "..",  # what the user did not name
        "gone": "nowhere",
        "file.png": "../out/c.png",
    }.items():
        (inside / link).symlink_to(target)
    (outside / "back").symlink_to(inside)
    found = below(inside)
    assert names(inside, found.files) == ["file.png", "y/c.png", "y/deep/b.png", "z/a.png"]
    assert sorted(names(inside, found.again)) == ["above", "x", "y/back", "z/out again", "z/up"]
    assert names(inside, found.broken) == ["gone"]
    (tmp_path / "root").symlink_to(inside)
    assert names(tmp_path / "root", below(tmp_path / "root").files) == names(inside, found.files)


def test_what_is_passed_over_is_counted_by_kind(tmp_path):
    files = ["a.png", "Thumbs.db", "b.zip", "c.ZIP", ".DS_Store", ".git/config", "d/README"]
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (note,) = below(tmp_path).passed_over([tmp_path / "a.png"])
    assert " 6 (" in note and all(
        f in note for f in ("2 .zip", "2 hidden", "1 .db", "1 of other kinds", "Thumbs.db")
    )
    (note,) = below(tmp_path).passed_over([tmp_path / "a.png"], named=False)
    assert " 6 (" in note and not any(Path(f).name in note for f in files)


def test_a_folder_that_may_not_be_read_is_said(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refusing(path):
        if os.path.basename(path) == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    said(below(tmp_path).passed_over([]), "may not be read", "closed")


# ------------------------------------------------------------------------------------------------ pictures


def test_a_class_folder_may_be_a_link(tmp_path):
    put(tmp_path, "set/COVID/0.png", "set/CAP/0.png", "elsewhere/0.png", "elsewhere/p1/1.png")
    (tmp_path / "set" / "Normal").symlink_to("../elsewhere")
    (tmp_path / "set" / "COVID" / "linked.png").symlink_to(tmp_path / "set" / "COVID" / "0.png")
    table, notes = find_images(tmp_path / "set")
    assert table["finding"].value_counts().to_dict() == {"Normal": 2, "covid": 2, "CAP": 1}
    said(notes, "under two patients 1 (COVID/0.png = COVID/linked.png)")


def test_a_class_that_links_to_another_or_nowhere_is_said(tmp_path):
    put(tmp_path, "COVID/0.png", "Normal/1.png", "stray.png", "Normal/.hidden.png")
    (tmp_path / "CAP").symlink_to("COVID")
    (tmp_path / "Healthy").symlink_to("../gone")
    (tmp_path / "Normal" / "old.zip").touch()
    table, notes = find_images(tmp_path)
    assert table["slice_id"].tolist() == ["COVID/0.png", "Normal/1.png"]
    said(notes, "not read twice", "1 (CAP)")
    said(notes, "Broken links", "1 (Healthy)")
    said(notes, "take no part", " 3 (", "1 .png", "1 .zip", "1 hidden")


# ------------------------------------------------------------------------------------------------ exams


def test_series_exams_and_files_may_be_links(tmp_path):
    write_series(tmp_path / "store" / "S1", chest())
    (tmp_path / "set" / "COVID" / "P1").mkdir(parents=True)
    (tmp_path / "set" / "COVID" / "P1" / "S1").symlink_to(tmp_path / "store" / "S1")
    volume(tmp_path / "store" / "normal" / "n.mha")
    (tmp_path / "set" / "normal").symlink_to("../store/normal")
    (tmp_path / "set" / "COVID" / "P2").symlink_to("../../gone")
    table = find_exams(tmp_path / "set")
    assert table["exam_id"].tolist() == ["covid-P1-S1", "non_pneumonia-n"]
    for path in (tmp_path / "set" / "COVID" / "P1", *table["path"]):
        assert read_volume(path).hu.shape == chest().shape
    said(notes_on_exams(tmp_path / "set", table), "Broken links", "COVID/P2")
    before = files_of(str(tmp_path / "set" / "COVID" / "P1"))
    os.utime(next((tmp_path / "store" / "S1").iterdir()), (0, 0))
    assert files_of(str(tmp_path / "set" / "COVID" / "P1")) != before  # a file behind a link has changed


def test_what_of_a_folder_of_exams_takes_no_part(tmp_path):
    write_series(tmp_path / "covid" / "a", chest(2))
    volume(tmp_path / "covid" / "a" / "mask.nii.gz")
    volume(tmp_path / "cap" / "b.mha")
    for name in ("covid/a/slice.jpg", "cap/more.zip", "cap/Thumbs.db", ".cache"):
        (tmp_path / name).touch()
    notes = notes_on_exams(tmp_path, find_exams(tmp_path))
    said(notes, "take no part", " 5 (", "1 .gz", "1 .jpg", "1 .zip", "1 .db", "1 hidden")


# ------------------------------------------------------------------------------------------------ copies


def table_of(root, **rows):
    """Name -> (finding, patient, split) of a file or folder below the root."""
    table = pd.DataFrame(
        [(n, *row) for n, row in rows.items()], columns=["exam_id", "finding", "patient_id", "split"]
    )
    return table.assign(path=[str(root / name) for name in rows])


@pytest.fixture
def copies(tmp_path):
    """a and b are the same series under other names of files, c has another tail; of the same size all three."""
    for name, tail in {"a": 1, "b": 1, "c": 2}.items():
        for n in range(3):
            file = tmp_path / name / f"{name}{n}.dcm"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(bytes([n]) * 20_000 + bytes([tail]))
    shutil.copy(tmp_path / "a" / "a0.dcm", tmp_path / "f")
    return tmp_path


@pytest.mark.parametrize(
    "of_a, of_b, word",
    [
        (("covid", "p", "train"), ("cap", "p", "train"), "findings"),
        (("covid", "p", "train"), ("covid", "q", "train"), "patients"),
        (("covid", "p", "train"), ("covid", "p", "test"), "splits"),
    ],
)
def test_the_same_exam_under_two_findings_patients_or_splits_is_said(copies, of_a, of_b, word):
    table = table_of(
        copies, a=of_a, b=of_b, c=("other", "r", "train"), f=("other", "s", "test"), gone=("other", "t", "")
    )
    (note,) = notes_on_copies(table, "exam_id")
    assert f"under two {word} 1 (a = b)" in note
    assert [w for w in ("findings", "patients", "splits") if f"two {w}" in note] == [word]


def test_copies_that_contradict_nothing_and_changed_files_are_none(copies):
    table = table_of(copies, a=("covid", "p", ""), b=("covid", "p", ""), c=("cap", "q", ""))
    assert notes_on_copies(table, "exam_id") == []
    for changed in ("b0.dcm", "b1.dcm"):  # the ends of the one in the middle are compared before all of them
        (copies / "b" / changed).write_bytes(bytes(20_001))
        assert notes_on_copies(table.assign(finding=["covid", "cap", "cap"]), "exam_id") == []


def test_where_too_many_files_are_of_one_size_it_is_said(copies, monkeypatch):
    monkeypatch.setattr("covid_study.cohort.copies.MOST", 2)
    (note,) = notes_on_copies(table_of(copies, **{name: ("covid", name, "") for name in "abc"}), "exam_id")
    assert "not looked for" in note and "3 files" in note


def test_empty_folders_are_no_copies_of_each_other(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    assert notes_on_copies(table_of(tmp_path, a=("covid", "p", ""), b=("cap", "q", "")), "exam_id") == []
