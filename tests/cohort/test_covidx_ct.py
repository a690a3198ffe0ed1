"""COVIDx-CT: four versions, boxes, patients from names, lists that are broken."""

import numpy as np
import pandas as pd
import pytest
from dataset_trees import covidx_ct, picture, text

from covid_study.cohort.covidx_ct import patients
from covid_study.ct.pictures import find_data_set, read_image
from covid_study.errors import CohortError, ExamError


def refused(path, *words):
    with pytest.raises(CohortError) as caught:
        find_data_set(path)
    for word in words:
        assert word in str(caught.value), str(caught.value)


@pytest.mark.parametrize("version", ["1", "2A", "2B", "3A"])
def test_every_version(tmp_path, version):
    source, table, notes = find_data_set(covidx_ct(tmp_path, version))
    assert source == f"covidx-ct-{version.lower()}" and notes == []
    more = version == "2B"
    assert table.groupby("split").size().to_dict() == {"train": 12 + more, "validation": 12, "test": 12}
    assert table["finding"].value_counts().to_dict() == {"covid": 12 + more, "cap": 12, "non_pneumonia": 12}
    rows = table.set_index("slice_id")
    assert rows.loc["CP_101_8_0001.png", ["patient_id", "finding", "split", "box"]].tolist() == [
        "CP_101", "cap", "validation", "4 6 36 44"
    ]  # fmt: skip
    if more:
        assert rows.loc["study_0255-0007.png", ["patient_id", "split"]].tolist() == ["study_0255", "train"]
    assert all(read_image(row.path, box=row.box).shape == (38, 32) for row in table.itertuples())


def test_the_box_is_cut_out_and_one_outside_is_an_error(tmp_path):
    picture(tmp_path / "a.png", seed=0)
    whole = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", box="3 5 40 48"), whole[5:48, 3:40])
    for box in ("0 0 41 48", "0 0 40 49", "20 0 20 40", "30 0 20 40"):
        with pytest.raises(ExamError, match=f"NCP_1: its box {box}.* 40 x 48 pixels"):
            read_image(tmp_path / "a.png", "NCP_1", box)


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


def test_names_of_no_known_source_are_said(tmp_path):
    root = covidx_ct(tmp_path)
    picture(root / "2A_images" / "Elsewhere-7_003.png", seed=1)
    with (root / "train_COVIDx_CT-2A.txt").open("a") as file:
        file.write("Elsewhere-7_003.png 0 0 0 40 48\n")
    _, table, notes = find_data_set(root)
    assert table.set_index("slice_id").loc["Elsewhere-7_003.png", "patient_id"] == "Elsewhere-7"
    assert "1 image follow" in notes[0] and "Elsewhere-7_003.png" in notes[0]


def test_missing_images_and_a_patient_on_both_sides_are_said(tmp_path):
    root = covidx_ct(tmp_path)
    (root / "2A_images" / "CP_0_7_0000.png").unlink()
    picture(root / "2A_images" / "NCP_0_7_0009.png", seed=1)
    with (root / "test_COVIDx_CT-2A.txt").open("a") as file:
        file.write("NCP_0_7_0009.png 2 0 0 40 48\n")
    _, table, notes = find_data_set(root)
    assert len(table) == 37 and table["path"].iloc[0] == str(root / "2A_images" / "CP_0_7_0000.png")
    assert notes[0] == "1 listed image is not there (CP_0_7_0000.png)."
    assert notes[1].startswith("1 of 18 patients lies on more than one side of the authors' split (NCP_0)")


@pytest.mark.parametrize(
    "line", ["a.png 3 0 0 9 9", "a.png 1 0 0 9", "a.png 1 0 0 9 9 9", "a.png 1 0 0 -9 9", "a.png"]
)
def test_a_line_that_cannot_be_read_is_named(tmp_path, line):
    root = covidx_ct(tmp_path)
    file = root / "val_COVIDx_CT-2A.txt"
    lines = file.read_text().splitlines()
    text(file, *lines[:3], "", line, *lines[3:])
    refused(root, "val_COVIDx_CT-2A.txt, line 5", f"'{line}'", "xmin ymin xmax ymax", "; 1 such lines")


def test_what_is_missing_is_said(tmp_path):
    root = covidx_ct(tmp_path)
    (root / "val_COVIDx_CT-2A.txt").rename(root / "val.bak")
    refused(root, "lacks that of val (such as val_COVIDx_CT-2A.txt)")
    (root / "val.bak").rename(root / "val_COVIDx_CT-2A.txt")
    (root / "2A_images").rename(root / "elsewhere")
    refused(root, "none of their 36 images", "2A_images")
    (root / "elsewhere").rename(root / "2A_images")
    for file in root.glob("*.txt"):
        file.unlink()
    refused(root, "has 2A_images", "put the three lists")


def test_the_newest_lists_are_read_and_the_others_mentioned(tmp_path):
    covidx_ct(tmp_path, "3A")
    source, _, notes = find_data_set(covidx_ct(tmp_path, "2A"))
    assert source == "covidx-ct-3a" and "lists of COVIDx-CT 2A as well; 3A is read" in notes[0]


def test_200_000_lines_are_no_burden(tmp_path):
    names = [f"NCP_{i // 100}_7_{i % 100:04d}.png" for i in range(200_000)]
    for k, split in enumerate(("train", "val", "test")):
        text(tmp_path / f"{split}_COVIDx_CT-3A.txt", *(f"{n} {k} 0 0 9 9" for n in names[k::3]))
    (tmp_path / "3A_images").mkdir()
    (tmp_path / "3A_images" / names[0]).touch()
    _, table, notes = find_data_set(tmp_path)
    assert len(table) == 200_000 and table["patient_id"].nunique() == 2000
    assert notes[0].startswith("199,999 listed images are not there")
