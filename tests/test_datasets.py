"""Layouts on disk: the trees of the public data set, of people's own folders, and of what is neither."""

import shutil

import pytest
import SimpleITK as sitk
from dicom_factory import chest, write_series

from covid_study import datasets, readers
from covid_study.errors import CohortError


def refused(path, *words):
    """Finding exams fails with one message that holds all the words."""
    with pytest.raises(CohortError) as caught:
        datasets.find_exams(path)
    for word in words:
        assert str(word) in str(caught.value), str(caught.value)


def volume(file):
    """Write a small volume file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(chest()), str(file))


def by_id(path):
    """Exam id -> (patient, finding, path relative to the root)."""
    table = datasets.find_exams(path)
    return {r.exam_id: (r.patient_id, r.finding, r.path.removeprefix(f"{path}/")) for r in table.itertuples()}


def test_covid_ct_md_layout(tmp_path):
    for folder in (
        "COVID-19 subjects/P001",
        "COVID-19 subjects/P002",
        "Cap subjects/cap001",
        "Normal subjects/normal002",
    ):
        write_series(tmp_path / folder, chest(2))
    (tmp_path / "Index.csv").write_text("a,b\n")
    assert by_id(tmp_path) == {
        "P001": ("P001", "covid", "COVID-19 subjects/P001"),
        "P002": ("P002", "covid", "COVID-19 subjects/P002"),
        "cap001": ("cap001", "cap", "Cap subjects/cap001"),
        "normal002": ("normal002", "non_pneumonia", "Normal subjects/normal002"),
    }


def test_folders_named_by_finding_with_volumes_series_and_patients(tmp_path):
    volume(tmp_path / "COVID-19" / "one.nii.gz")
    write_series(tmp_path / "COVID-19" / "two", chest(2))
    for file in write_series(tmp_path / "CAP" / "three" / "first", chest(2)):
        file.rename(file.with_suffix(""))
    volume(tmp_path / "CAP" / "three" / "second.mha")
    (tmp_path / "non-pneumonia" / "empty").mkdir(parents=True)
    (tmp_path / "non-pneumonia" / ".cache").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("nothing")
    assert by_id(tmp_path) == {
        "covid-one": ("one", "covid", "COVID-19/one.nii.gz"),
        "covid-two": ("two", "covid", "COVID-19/two"),
        "cap-three-first": ("three", "cap", "CAP/three/first"),
        "cap-three-second": ("three", "cap", "CAP/three/second.mha"),
        "non_pneumonia-empty": ("empty", "non_pneumonia", "non-pneumonia/empty"),
    }


def test_csv_paths_are_relative_to_the_csv(tmp_path, monkeypatch):
    volume(tmp_path / "scans" / "a.nii.gz")
    volume(tmp_path / "scans" / "b.nii.gz")
    text = f"exam_id,patient_id,path,finding\na,1,scans/a.nii.gz,covid\nb,2,{tmp_path}/scans/b.nii.gz,CAP\n"
    (tmp_path / "exams.csv").write_text(text)
    monkeypatch.chdir(tmp_path / "scans")
    table = datasets.find_exams("../exams.csv")
    assert table.path.tolist() == [str(tmp_path / "scans" / f"{n}.nii.gz") for n in "ab"]
    assert readers.read_volume(table.path[0]).hu.shape == chest().shape


def test_csv_with_faults(tmp_path):
    (tmp_path / "a").mkdir()
    file = tmp_path / "exams.csv"
    file.write_text("exam_id,patient_id,path,finding\na,1,a,covd\nb,2,a,cap\n")
    refused(file, "exam a", "'covd'", "did you mean covid?")
    file.write_text("exam_id,patient_id,path,finding\na,1,a,covid\nb,2,./a,cap\n")
    refused(file, "exams a, b are the same")
    file.write_text("exam_id,patient_id,path,finding\n")
    refused(file, "no exams")
    file.write_text("exam_id,patient_id,path,finding\na,1,,covid\nb,2,./a,cap\n")
    refused(file, "exam a has no path")


def test_nothing_there_or_nothing_known(tmp_path):
    refused(tmp_path / "gone", "gone", "does not exist")
    refused(tmp_path, "found: nothing", *(layout.looks_like for layout in datasets.LAYOUTS))
    (tmp_path / "slice.png").touch()
    refused(tmp_path, "found: slice.png", "Pictures are no volumes")
    refused(tmp_path / "slice.png", "a file of type .png")


def test_a_finding_that_is_misspelt_is_not_lost(tmp_path):
    for name in ("covid", "cap", "healty"):
        volume(tmp_path / name / "a.nii.gz")
    refused(tmp_path, tmp_path / "healty", "did you mean healthy?")


def test_hints_where_to_look(tmp_path):
    for name in ("covid", "cap"):
        volume(tmp_path / "inner" / name / f"{name}.nii.gz")
    refused(tmp_path, f"EXAMS={tmp_path / 'inner'}")
    shutil.rmtree(tmp_path / "inner")
    (tmp_path / "exams.csv").touch()
    refused(tmp_path, f"EXAMS={tmp_path / 'exams.csv'}")


def test_findings_without_exams_and_one_class_only(tmp_path):
    (tmp_path / "covid").mkdir()
    refused(tmp_path, "no exams")
    volume(tmp_path / "covid" / "a.nii.gz")
    refused(tmp_path, "no negatives")


def test_two_files_of_one_name(tmp_path):
    for file in ("covid/a.nii.gz", "covid/a.mha", "cap/b.nii"):
        volume(tmp_path / file)
    refused(tmp_path, "covid-a is listed 2 times", "a.mha")


def test_command_line(tmp_path, capsys):
    assert datasets.main(["list"]) == 0 and "by-finding" in capsys.readouterr().out
    for name in ("covid", "cap"):
        volume(tmp_path / name / f"{name}.nii.gz")
    assert datasets.main(["check", str(tmp_path), "--read"]) == 0
    out = capsys.readouterr().out
    assert (
        "covid-covid" in out
        and "2 exams of 2 patients: 1 covid, 1 cap, 0 non_pneumonia" in out
        and "(16, 40, 48)" in out
    )
    (tmp_path / "cap" / "empty").mkdir()
    assert datasets.main(["check", str(tmp_path), "--read"]) == 1
    assert "exam cap-empty" in capsys.readouterr().err
    assert datasets.main(["check", str(tmp_path / "gone")]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_real_exams_are_found(real_data):
    table = datasets.find_exams(real_data / "covid-ct-md")
    assert table.exam_id.tolist() == ["P001", "P002", "cap001", "cap002", "normal001", "normal002"]
    assert table.finding.value_counts().to_dict() == {"covid": 2, "cap": 2, "non_pneumonia": 2}
