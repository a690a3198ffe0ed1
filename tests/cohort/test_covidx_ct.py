"""COVIDx-CT: four versions, boxes, patients from names, lists that are broken."""

import pandas as pd
import pytest
from dataset_trees import covidx_ct, picture, text
from refusals import refused as refuse

from covid_study.cohort.covidx_ct import patients
from covid_study.cohort.picture_layouts import find_data_set
from covid_study.ct.pictures import read_image
from covid_study.errors import CohortError


def refused(path, *words):
    refuse(CohortError, lambda: find_data_set(path), *words, "What to do")


@pytest.mark.parametrize("version", ["1", "2A", "2B", "3A"])
def test_every_version(tmp_path, version):
    source, table, notes = find_data_set(covidx_ct(tmp_path, version))
    assert source == f"covidx-ct-{version.lower()}" and notes == []
    more = version == "2B"
    assert table.groupby("split").size().to_dict() == {"train": 12 + more, "validation": 12, "test": 12}
    assert table["finding"].value_counts().to_dict() == {"covid": 12 + more, "cap": 12, "non_pneumonia": 12}
    rows = table.set_index("slice_id")[["patient_id", "finding", "split", "box"]]
    assert rows.loc["CP_101_8_0001.png"].tolist() == ["CP_101", "cap", "validation", "4 6 36 44"]
    if more:
        assert rows.loc["study_0255-0007.png"].tolist()[:3] == ["study_0255", "covid", "train"]
    assert all(read_image(row.path, box=row.box).shape == (38, 32) for row in table.itertuples())


@pytest.mark.parametrize(
    "name, patient",
    [
        ("CP_0_3136_0207.png", "CP_0"),
        ("NCP_96_1328_0032.png", "NCP_96"),
        ("Normal_1751_1079_0005.png", "Normal_1751"),
        ("volume-covid19-A-0698_ct-0017.png", "volume-covid19-A-0698"),
        ("study_0255-0012.png", "study_0255"),
        ("coronacases_001-0045.png", "coronacases_001"),
        ("radiopaedia_10_85902_1-0045.png", "radiopaedia_10"),
        ("radiopaedia-73895-84780-0-0012.png", "radiopaedia-73895"),
        ("HUST-Patient97-0012.png", "HUST-Patient97"),
        ("STOIC-1234-0012.png", "STOIC-1234"),
        ("COVIDCTMD-P001-IM0012.png", "COVIDCTMD-P001"),
        ("LIDC-IDRI-0001-1.3.6.1.4-0012.png", "LIDC-IDRI-0001"),
        ("137covid_patient10_SR_3_IM00011.png", "137covid_patient10"),
    ],
)
def test_patients_of_every_source(name, patient):
    known, unusual = patients(pd.Series([name]))
    assert known.tolist() == [patient] and unusual == []


def test_odd_names_missing_images_and_a_patient_on_both_sides_are_said(tmp_path):
    root = covidx_ct(tmp_path)
    (root / "2A_images" / "CP_0_7_0000.png").unlink()
    for split, name in (("test", "NCP_0_7_0009.png"), ("train", "Elsewhere-7_003.png")):
        picture(root / "2A_images" / name, seed=len(name))
        with (root / f"{split}_COVIDx_CT-2A.txt").open("a") as file:
            file.write(f"{name} 2 0 0 40 48\n")
    _, table, notes = find_data_set(root)
    assert table.set_index("slice_id").loc["Elsewhere-7_003.png", "patient_id"] == "Elsewhere-7"
    assert len(table) == 38 and table["path"].iloc[0] == str(root / "2A_images" / "CP_0_7_0000.png")
    words = ("1 (Elsewhere-7_003.png)", "1 (CP_0_7_0000.png)", "1 (NCP_0) of 19")
    assert len(notes) == 3 and all(word in note for word, note in zip(words, notes, strict=True))


@pytest.mark.parametrize(
    "line", ["a.png 3 0 0 9 9", "a.png 1 0 0 9", "a.png 1 0 0 9 9 9", "a.png 1 0 0 -9 9", "a.png"]
)
def test_a_line_that_cannot_be_read_is_named(tmp_path, line):
    file = covidx_ct(tmp_path) / "val_COVIDx_CT-2A.txt"
    lines = file.read_text().splitlines()
    text(file, *lines[:3], "", line, *lines[3:])
    refused(tmp_path, "val_COVIDx_CT-2A.txt, line 5", f"'{line}'", "; 1 such lines")


def test_what_is_missing_is_said(tmp_path):
    root = covidx_ct(tmp_path)
    for name, words in (
        ("val_COVIDx_CT-2A.txt", "val_COVIDx_CT-2A.txt"),
        ("2A_images", "none of their 36 images"),
    ):
        (root / name).rename(root / "elsewhere")
        refused(root, words)
        (root / "elsewhere").rename(root / name)
    for file in root.glob("*.txt"):
        file.unlink()
    refused(root, "2A_images", "test_COVIDx_CT-2A.txt")


def test_the_newest_lists_are_read_and_the_others_mentioned(tmp_path):
    covidx_ct(tmp_path, "3A")
    source, _, notes = find_data_set(covidx_ct(tmp_path, "2A"))
    assert source == "covidx-ct-3a" and "2A" in notes[0] and "3A is read" in notes[0]


def test_lists_that_are_longer_than_the_folder_are_read(tmp_path):
    names = [f"NCP_{i // 100}_7_{i % 100:04d}.png" for i in range(10_000)]
    for k, split in enumerate(("train", "val", "test")):
        text(tmp_path / f"{split}_COVIDx_CT-3A.txt", *(f"{n} {k} 0 0 9 9" for n in names[k::3]))
    (tmp_path / "3A_images").mkdir()
    (tmp_path / "3A_images" / names[0]).touch()
    _, table, notes = find_data_set(tmp_path)
    assert len(table) == 10_000 and table["patient_id"].nunique() == 100 and "9,999" in notes[0]
