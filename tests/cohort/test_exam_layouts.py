"""Layouts on disk: the trees of the public data sets, of people's own folders, and of what is neither."""

import shutil

import pandas as pd
import pytest
from dataset_trees import covid_ct_md, mosmeddata, stoic, volume
from dicom_factory import chest, write_series
from refusals import refused as refuse
from tiny_study import parameters

from covid_study.cohort import exam_layouts, findings
from covid_study.ct import files
from covid_study.errors import CohortError
from covid_study.samples import cohorts


def refused(path, *words):
    """Finding exams fails with one message that holds all the words and a remedy."""
    refuse(CohortError, lambda: exam_layouts.find_exams(path), *words)


def by_id(path):
    """Exam id -> (patient, finding, path relative to the root)."""
    table = exam_layouts.find_exams(path)
    return {r.exam_id: (r.patient_id, r.finding, r.path.removeprefix(f"{path}/")) for r in table.itertuples()}


def test_covid_ct_md(tmp_path):
    assert by_id(covid_ct_md(tmp_path)) == {
        "P001": ("P001", "covid", "COVID-19 subjects/P001"),
        "P002": ("P002", "covid", "COVID-19 subjects/P002"),
        "cap001": ("cap001", "cap", "CAP subjects/cap001"),
        "cap002": ("cap002", "cap", "CAP subjects/cap002"),
        "normal001": ("normal001", "non_pneumonia", "Normal subjects/normal001"),
        "normal002": ("normal002", "non_pneumonia", "Normal subjects/normal002"),
    }
    for folder in ("COVID-19", "CAP", "Normal"):
        (tmp_path / f"{folder} subjects").rename(tmp_path / f"{folder} Cases")
    assert by_id(tmp_path)["cap-cap002"] == ("cap002", "cap", "CAP Cases/cap002")


def test_mosmeddata(tmp_path):
    found = by_id(mosmeddata(tmp_path))
    assert len(found) == 10  # neither the mask nor the registry
    assert found["study_0002"] == ("study_0002", "non_pneumonia", "studies/CT-0/study_0002.nii.gz")
    assert [found[f"study_00{k}1"][1] for k in range(5)] == ["non_pneumonia"] + ["covid"] * 4
    assert set(exam_layouts.find_exams(tmp_path).centre) == {"MosMedData"}
    (tmp_path / "studies" / "CT-0").rename(tmp_path / "CT-0")
    refused(tmp_path, "MosMedData", "CT-1, CT-2, CT-3, CT-4 only", "What to do")


def test_stoic(tmp_path):
    assert by_id(stoic(tmp_path)) == {
        f"stoic-{n}": (f"{n}", finding, f"data/mha/{n}.mha")
        for n, finding in zip(range(100, 104), ("other", "covid") * 2, strict=True)
    }
    assert files.read_volume(tmp_path / "data/mha/100.mha").hu.shape == chest().shape
    (tmp_path / "data/mha/103.mha").unlink()  # the reader's business, by name
    assert len(by_id(tmp_path)) == 4


def test_a_stoic_that_is_not_whole_is_refused(tmp_path):
    reference = stoic(tmp_path) / "metadata" / "reference.csv"
    whole = reference.read_text()
    for text, words in (
        (whole.replace("103,1,0\n", ""), "103.mha is not in"),
        (whole.replace("103,1,0", "103,,0"), "patient 103"),
        ("id,severe\n1,0\n", "reference.csv"),
        (None, "reference.csv"),
    ):
        reference.write_text(text) if text else reference.unlink()
        refused(tmp_path, words, "What to do")
    reference.write_text(whole)
    shutil.rmtree(tmp_path / "data")
    refused(tmp_path, "no volumes in", "What to do")


def test_negatives_of_unknown_cause_are_split_and_left_out_of_three_classes(tmp_path):
    table = cohorts.cohort(parameters(tmp_path, cohort={"exams": str(stoic(tmp_path, n=5))}))
    assert table["finding"].value_counts().to_dict() == {"covid": 5, "other": 5}
    assert set(table["split"]) >= {"train", "test"}
    more = pd.DataFrame({"exam_id": ["a", "b"], "finding": ["cap", "non_pneumonia"]})
    three = ["covid", "cap", "non_pneumonia"]
    assert set(findings.studied(pd.concat([table, more]), three)["finding"]) == set(three)


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


@pytest.mark.parametrize("path", ["../a.mha", "x/../../a.mha", ".."])
def test_a_path_of_a_table_cannot_leave_its_folder(tmp_path, path):
    (tmp_path / "in").mkdir()
    volume(tmp_path / "a.mha")
    (tmp_path / "in" / "exams.csv").write_text(f"exam_id,patient_id,path,finding\na,1,{path},covid\n")
    refused(tmp_path / "in" / "exams.csv", "exams.csv", f"'{path}' leads out", "What to do")


@pytest.mark.parametrize("path", ["/", ".", "a/.."])
def test_a_path_of_a_table_is_not_the_folder_around_it(tmp_path, path):
    (tmp_path / "exams.csv").write_text(f"exam_id,patient_id,path,finding\na,1,{path},covid\n")
    refused(tmp_path / "exams.csv", "exams.csv", f"'{path}' is a folder around the table", "What to do")


def test_csv_paths_are_relative_to_the_csv(tmp_path, monkeypatch):
    volume(tmp_path / "scans" / "a.nii.gz")
    volume(tmp_path / "scans" / "b.nii.gz")
    text = f"exam_id,patient_id,path,finding\na,1,scans/a.nii.gz,covid\nb,2,{tmp_path}/scans/b.nii.gz,CAP\n"
    (tmp_path / "exams.csv").write_text(text)
    monkeypatch.chdir(tmp_path / "scans")
    table = exam_layouts.find_exams("../exams.csv")
    assert table.path.tolist() == [str(tmp_path / "scans" / f"{n}.nii.gz") for n in "ab"]


@pytest.mark.parametrize(
    ("made", "given", "words"),
    [
        ([], "gone", ["gone", "does not exist"]),
        ([], "", ["found: nothing", *(sentence for sentence, _ in exam_layouts.LAYOUTS.values())]),
        (["slice.png"], "", ["found: slice.png", "Pictures are no volumes"]),
        (["slice.png"], "slice.png", ["a file of type .png"]),
        (["covid/a.mha", "cap/a.mha", "healty/a.mha"], "", ["healty", "did you mean healthy?"]),
        (["covid/a.mha", "cap/a.mha", "covid or cap/a.mha"], "", ["covid or cap", "no finding"]),
        (["covid/a.mha", "non-COVID pneumonia/a.mha"], "", ["it could mean cap or other"]),
        (["inner/covid/covid.mha", "inner/cap/cap.mha"], "", ["EXAMS={}/inner"]),
        (["exams.csv"], "", ["EXAMS={}/exams.csv"]),
        (["covid/"], "", ["no exams"]),
        (["covid/a.mha"], "", ["no negatives"]),
        (["covid/a.nii.gz", "covid/a.mha", "cap/b.nii"], "", ["covid-a", "2 times", "a.mha"]),
    ],
)
def test_what_is_no_cohort_is_said_with_a_hint(tmp_path, made, given, words):
    for name in made:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.mkdir() if name.endswith("/") else file.touch()
    refused(tmp_path / given, *(word.format(tmp_path) if "{}" in word else word for word in words))


def test_real_exams_are_found(real_data):
    table = exam_layouts.find_exams(real_data / "covid-ct-md")
    assert table.exam_id.tolist() == ["P001", "P002", "cap001", "cap002", "normal001", "normal002"]
    assert table.finding.value_counts().to_dict() == {"covid": 2, "cap": 2, "non_pneumonia": 2}
