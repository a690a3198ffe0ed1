"""Layouts on disk: the trees of the public data set, of people's own folders, and of what is neither."""

import shutil

import pandas as pd
import pytest
from dataset_trees import covid_ct_md, mosmeddata, stoic, volume
from dicom_factory import chest, write_series
from tiny_study import parameters

from covid_study.analysis import cohort_overview
from covid_study.cohort import exam_layouts, exams, findings
from covid_study.ct import files
from covid_study.errors import CohortError
from covid_study.figures import charts
from covid_study.pretext import probes
from covid_study.samples import cohorts


def refused(path, *words):
    """Finding exams fails with one message that holds all the words."""
    with pytest.raises(CohortError) as caught:
        exam_layouts.find_exams(path)
    for word in words:
        assert str(word) in str(caught.value), str(caught.value)


def by_id(path):
    """Exam id -> (patient, finding, path relative to the root)."""
    table = exam_layouts.find_exams(path)
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


def test_covid_ct_md_as_published_with_its_other_files(tmp_path):
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
    refused(tmp_path, "looks like MosMedData", "CT-1, CT-2, CT-3, CT-4 only", "unpack CT-0")


def test_stoic(tmp_path):
    found = by_id(stoic(tmp_path))
    assert found == {
        "stoic-100": ("100", "other", "data/mha/100.mha"),
        "stoic-101": ("101", "covid", "data/mha/101.mha"),
        "stoic-102": ("102", "other", "data/mha/102.mha"),
        "stoic-103": ("103", "covid", "data/mha/103.mha"),
    }
    assert files.read_volume(tmp_path / "data/mha/100.mha").hu.shape == chest().shape
    (tmp_path / "data/mha/103.mha").unlink()  # the reader's business, by name
    assert exams.missing_files(exam_layouts.find_exams(tmp_path)).index.tolist() == ["stoic-103"]


def test_a_stoic_that_is_not_whole_is_refused(tmp_path):
    reference = stoic(tmp_path) / "metadata" / "reference.csv"
    whole = reference.read_text()
    reference.write_text(whole.replace("103,1,0\n", ""))
    refused(tmp_path, "103.mha is not in", "(1 such)")
    reference.write_text(whole.replace("103,1,0", "103,,0"))
    refused(tmp_path, "patient 103 has a probCOVID that is neither 0 nor 1")
    reference.write_text("id,severe\n1,0\n")
    refused(tmp_path, "has the columns id, severe")
    reference.unlink()
    refused(tmp_path, "has the volumes of STOIC, but not", "reference.csv")
    reference.write_text(whole)
    shutil.rmtree(tmp_path / "data")
    refused(tmp_path, "there are no volumes in")


def test_negatives_of_unknown_cause_go_all_the_way(tmp_path):
    """A cohort with the finding `other`: split, counted, drawn; left out where three classes are told apart."""
    settings = {"exams": str(stoic(tmp_path, n=5))}
    table = cohorts.cohort(parameters(tmp_path, cohort=settings))
    assert table["finding"].value_counts().to_dict() == {"covid": 5, "other": 5}
    assert set(table["split"]) >= {"train", "test"}
    counted = cohort_overview.split_counts(table).groupby("row")["mean"].sum().to_dict()
    assert counted == {"negative": 5, "positive": 5}
    drawn = charts.cohort_overview(table)
    labels = [text.get_text() for text in drawn.axes[0].get_legend().get_texts()]
    assert labels == ["COVID-19", "Other or unknown"]
    more = pd.DataFrame({"exam_id": ["a", "b"], "finding": ["cap", "non_pneumonia"]})
    both = pd.concat([table, more], ignore_index=True)
    three = ["covid", "cap", "non_pneumonia"]
    assert set(findings.studied(both, three)["finding"]) == set(three)
    outside = both[~findings.belongs(both["finding"], three)]
    assert "5 exams (not COVID-19, no more is known)" in cohort_overview.classes_sentence(three, outside)
    assert probes.asked(both["finding"], "cap").sum() == 2


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
    table = exam_layouts.find_exams("../exams.csv")
    assert table.path.tolist() == [str(tmp_path / "scans" / f"{n}.nii.gz") for n in "ab"]
    assert files.read_volume(table.path[0]).hu.shape == chest().shape


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
    refused(tmp_path, "found: nothing", *(layout.looks_like for layout in exam_layouts.LAYOUTS))
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


def test_real_exams_are_found(real_data):
    table = exam_layouts.find_exams(real_data / "covid-ct-md")
    assert table.exam_id.tolist() == ["P001", "P002", "cap001", "cap002", "normal001", "normal002"]
    assert table.finding.value_counts().to_dict() == {"covid": 2, "cap": 2, "non_pneumonia": 2}
