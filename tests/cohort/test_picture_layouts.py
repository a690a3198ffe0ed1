"""Pictures on disk become a table: any folders, a CSV, the public data sets, whole and broken, up to the slices of a run."""

import re
import zlib

import numpy as np
import pandas as pd
import pytest
import tifffile
from dataset_trees import covid19_diag, covid_ct, covidx_ct, picture, sars_cov_2, text
from refusals import refused as refuse
from tiny_study import parameters

from covid_study import paths
from covid_study.cohort.picture_layouts import LAYOUTS, find_data_set, find_images
from covid_study.cohort.splits import against_files, both_sides, listed_once
from covid_study.ct.pictures import read_image
from covid_study.errors import CohortError
from covid_study.samples import slice_store


def refused(path, *words):
    """Finding pictures fails with one message that holds all the words."""
    refuse(CohortError, lambda: find_data_set(path), *words)


def put(folder, *names):
    """Pictures of these names."""
    for name in names:
        picture(folder / name, seed=zlib.crc32(name.encode()))


def row(table, slice_id):
    return table.set_index("slice_id").loc[slice_id, ["patient_id", "finding", "split"]].tolist()


# ------------------------------------------------------------------------------------------------ any pictures


def test_a_folder_a_class_with_odd_names_and_suffixes(tmp_path):
    names = ["CT_COVID/a 1%0.png", "CT_COVID/a 1%1.JPG", "CT_NonCOVID/b.bmp", "CT_NonCOVID/c.tiff"]
    put(tmp_path, *names, ".x/d.png", "beside.png")
    (tmp_path / "CT_COVID" / "notes.txt").write_text("no picture")
    table, notes = find_images(tmp_path)
    assert table["slice_id"].tolist() == names and (table["split"] == "").all()
    assert table["finding"].tolist() == ["covid", "covid", "non_covid", "non_covid"]
    assert table["patient_id"].nunique() == 4 and len(notes) == 2 and "4 of 4" in notes[0]
    assert " 3 (" in notes[1] and "1 hidden" in notes[1]


def test_folders_of_patients_and_of_splits(tmp_path):
    put(tmp_path, "train/COVID/p1/1.png", "val/COVID/p2/1.png", "test/COVID/p3/1.png", "test/COVID/p3/2.png")
    put(tmp_path, "train/Normal/p4/1.png", "test/Normal/p5/1.png")
    table, notes = find_images(tmp_path)
    assert notes == [] and row(table, "test/COVID/p3/2.png") == ["p3", "covid", "test"]
    assert row(table, "val/COVID/p2/1.png")[2] == "validation"
    assert row(table, "train/Normal/p4/1.png") == ["p4", "Normal", "train"]


def test_a_list_with_patients_and_splits(tmp_path):
    put(tmp_path, "img/1.png", "img/2.png", "img/3.png")
    head = "\ufeffPath;Finding;Patient ID;split;patients\n"
    rows = "img/1.png;COVID;A;train\nimg/2.png;healthy;B;val\nimg/3.png;COVID;C;Testing\n"
    (tmp_path / "list.csv").write_text(head + rows, encoding="utf-8")
    table, notes = find_images(tmp_path / "list.csv")
    found = table[["patient_id", "finding", "split"]].values.tolist()
    assert found == [["A", "covid", "train"], ["B", "healthy", "validation"], ["C", "covid", "test"]]
    assert notes == [] and all(read_image(path).shape == (48, 40) for path in table["path"])


def test_ids_of_a_list_with_whole_paths_tell_nothing_of_the_machine(tmp_path):
    rows = "".join(f"{tmp_path}/data/{name}/1.png,{name}\n" for name in ("COVID", "CP"))
    (tmp_path / "list.csv").write_text("path,finding\n" + rows)
    table, _ = find_images(tmp_path / "list.csv")
    assert table["slice_id"].tolist() == ["COVID/1.png", "CP/1.png"]
    assert table["path"].tolist() == [f"{tmp_path}/data/{name}/1.png" for name in ("COVID", "CP")]


@pytest.mark.parametrize(
    "lines, words",
    [
        (["path,label", "a.png,COVID"], ["'finding' is missing"]),
        (["a.png", "b.png"], ["'path' is missing", "'finding' is missing"]),
        ([], ["CSV"]),
        (["path,finding,patientid", "a.png,COVID,1"], ["did you mean 'patient_id'"]),
        (["path,finding", "a.png,cap", "b.png,normal"], ["no class of COVID-19", "cap, normal"]),
        (["path,finding", "a.png,covid", "b.png,covid/cap"], ["'covid/cap'", "it could mean cap or covid"]),
        (["path,finding", "a.png,covid", "b.png,covid"], ["one class only"]),
        (["path,finding", "a.png,covid", "b.png,"], ["1 images have no finding", "row 2"]),
        (["path,finding", "a.png,covid", ",cap"], ["1 images have no path", "row 2"]),
        (["path,finding", "a.png,covid", "b/../../c.png,cap"], ["'b/../../c.png' leads out"]),
        (["path,finding, Finding", "a.png,covid,cap"], ["'finding' stands there twice"]),
        (["path,finding,Patient ID,patient-id", "a.png,covid,1,2"], ["'patient_id' stands there twice"]),
        (["path,finding", "a.png,covid", "a.png,cap"], ["twice", "a.png"]),
        (["path,finding,split", "a.png,covid,train", "b.png,cap,tset"], ["'tset'", "validation"]),
        (["path,finding,split", "a.png,covid,train", "b.png,cap,"], ["1 of 2 images have no split"]),
        (["path,finding,patient_id,split", "a.png,covid,P,val", "b.png,cap,P,test"], ["patient P"]),
    ],
)
def test_what_is_wrong_with_a_list_is_said(tmp_path, lines, words):
    text(tmp_path / "list.csv", *lines)
    refused(tmp_path / "list.csv", "list.csv", *words)


def test_what_is_wrong_with_a_folder_is_said(tmp_path):
    refused(tmp_path / "nowhere", "does not exist", "What to do")
    refused(tmp_path, "no images", ".png")
    put(tmp_path, "1.png")
    refused(tmp_path, "1 images were found, none")
    put(tmp_path, "pictures/COVID/1.png", "pictures/Normal/1.png")
    refused(tmp_path, "no class of COVID-19", f"{tmp_path}/pictures looks like")


# ------------------------------------------------------------------------------------------------ authors' lists


def test_a_picture_in_two_lists_is_tested_and_not_trained_on():
    lists = {"test": ["a", "b"], "train": ["a", "c", "c"], "validation": ["c", "d"]}
    rows = [(name, split) for split, names in lists.items() for name in names]
    table, notes = listed_once(pd.DataFrame(rows, columns=["slice_id", "split"]))
    assert dict(zip(table["slice_id"], table["split"], strict=True)) == {
        "a": "test", "b": "test", "c": "validation", "d": "validation"
    }  # fmt: skip
    assert len(notes) == 1 and "2 (a, c)" in notes[0]
    once = listed_once(pd.DataFrame({"slice_id": ["a", "a"], "split": "train"}))
    assert len(once[0]) == 1 and once[1] == []


def test_what_is_missing_and_what_is_in_no_list():
    assert against_files(["a"], ["a"]) == []
    missing, spare = against_files([f"{i}" for i in range(5)], ["0", "x", "y"])
    assert "4 (1, 2, 3 ...)" in missing and "2 (x, y)" in spare


def test_patients_on_both_sides_are_counted_with_their_test_images():
    rows = [
        ("p", "train"),
        ("p", "test"),
        ("p", "test"),
        ("q", "validation"),
        ("q", "train"),
        ("r", "test"),
        ("", "test"),
    ]
    table = pd.DataFrame(rows, columns=["patient_id", "split"])  # fmt: skip
    (note,) = both_sides(table)
    assert "2 (p, q) of 3" in note and "2 images" in note
    assert both_sides(table.iloc[4:]) == []


# ------------------------------------------------------------------------------------------------ COVID-CT


def test_covid_ct(tmp_path):
    source, table, notes = find_data_set(covid_ct(tmp_path))
    assert source == "covid-ct" and notes == [] and (table["box"] == "").all()
    assert row(table, "CT_COVID/covid val%3.png") == ["COVID val 1", "covid", "validation"]
    assert row(table, "CT_NonCOVID/noncovid test%0.png") == ["NonCOVID test 0", "non_covid", "test"]
    assert table.groupby("split").size().to_dict() == {"train": 8, "validation": 8, "test": 8}
    file = tmp_path / "Meta-data" / "COVID-CT-MetaInfo.csv"
    file.write_text(file.read_text().replace(".png", ""))
    assert table.equals(find_data_set(tmp_path)[1]) and table["patient_id"].nunique() == 12


@pytest.mark.parametrize("inner", ["CT_COVID", "Images-processed/CT_COVID/CT_COVID"])
def test_covid_ct_unpacked_elsewhere(tmp_path, inner):
    root = covid_ct(tmp_path)
    files = sorted((root / "Images-processed" / "CT_COVID").iterdir())
    (root / inner).mkdir()
    for file in files:
        file.rename(root / inner / file.name)
    _, table, notes = find_data_set(root)
    assert notes == [] and all(read_image(path).shape == (48, 40) for path in table["path"])
    assert table["slice_id"].iloc[0] == "CT_COVID/covid test%0.png"


def test_covid_ct_says_what_its_lists_files_and_patients_disagree_on(tmp_path):
    root = covid_ct(tmp_path)
    lists, images = root / "Data-split" / "COVID", root / "Images-processed" / "CT_COVID"
    (images / "covid val%0.png").unlink()
    picture(images / "spare.png", seed=1)
    with (lists / "trainCT_COVID.txt").open("a") as file:
        file.write("covid test%1.png\n")
    file = root / "Meta-data" / "COVID-CT-MetaInfo.csv"
    file.write_text(file.read_text().replace("COVID test 0", "COVID train 0"))
    _, table, notes = find_data_set(root)
    assert row(table, "CT_COVID/covid test%1.png") == ["COVID train 0", "covid", "test"] and len(table) == 24
    named = [re.findall(r"\d \((.*?)\)", note) for note in notes]
    files = [f"CT_COVID/{name}.png" for name in ("covid test%1", "covid val%0", "spare")]
    assert named == [[file] for file in files] + [["COVID train 0"]]


def test_covid_ct_without_patients(tmp_path):
    root = covid_ct(tmp_path)
    meta = root / "Meta-data"
    (meta / "COVID-CT-MetaInfo.csv").rename(meta / "COVID-CT-MetaInfo.xlsx")
    (meta / "NonCOVID-CT-MetaInfo.csv").unlink()
    _, table, notes = find_data_set(root)
    assert table["patient_id"].tolist() == table["slice_id"].tolist()
    assert (
        "COVID-CT-MetaInfo.xlsx as CSV" in notes[0] and "CT_NonCOVID" in notes[1] and "24 of 24" in notes[2]
    )
    text(meta / "NonCOVID-CT-MetaInfo.csv", "image,who", "a.png,b")
    refused(root, "NonCOVID-CT-MetaInfo.csv", "image, who", "'Patient ID'")


def test_a_covid_ct_that_is_not_whole_is_refused(tmp_path):
    root = covid_ct(tmp_path)
    images = root / "Images-processed"
    one = root / "Data-split" / "NonCOVID" / "valCT_NonCOVID.txt"
    one.rename(tmp_path / "list")
    refused(root, "Data-split/NonCOVID/valCT_NonCOVID.txt", "What to do")
    (tmp_path / "list").rename(one)
    (images / "CT_NonCOVID").rename(root / "away")
    refused(root, "none of the 12 images of CT_NonCOVID", "put Images-processed/CT_NonCOVID there")
    (images / "CT_NonCOVID.zip").touch()
    refused(root, "unpack Images-processed/CT_NonCOVID.zip")
    (root / "away").rename(images / "CT_NonCOVID")
    (root / "Data-split").rename(root / "Other")
    refused(root, "Data-split/COVID/trainCT_COVID.txt", f"DATA={images}")
    (root / "Other").rename(root / "Data-split")
    source, table, notes = find_data_set(images)
    assert (
        source == ""
        and (table["split"] == "").all()
        and len(table) == 24
        and len(notes) == 3
        and ".zip" in notes[2]
    )


def test_the_real_covid_ct(real_data):
    folder = real_data / "covid-ct"
    if not (folder / "Data-split").is_dir():
        pytest.skip(f"no real images: {folder} is absent (set COVID_STUDY_TEST_DATA)")
    source, table, notes = find_data_set(folder)
    assert source == "covid-ct" and notes == [] and len(table) == 746
    assert table.groupby(["finding", "split"]).size().to_dict() == {
        ("covid", "train"): 191, ("covid", "validation"): 60, ("covid", "test"): 98,
        ("non_covid", "train"): 234, ("non_covid", "validation"): 58, ("non_covid", "test"): 105,
    }  # fmt: skip
    assert table.groupby("finding")["patient_id"].nunique().to_dict() == {"covid": 213, "non_covid": 171}
    assert table.groupby("patient_id")["split"].nunique().max() == 1


# ------------------------------------------------------------------------------------------------ the others


def test_sars_cov_2(tmp_path):
    source, table, notes = find_data_set(sars_cov_2(tmp_path))
    assert source == "sars-cov-2" and (table["split"] == "").all() and len(notes) == 2
    assert row(table, "non-COVID/Non-Covid (2).png")[1] == "non_covid"
    assert table["finding"].value_counts().to_dict() == {"covid": 6, "non_covid": 6}
    for file in (tmp_path / "COVID").iterdir():
        file.unlink()
    refused(tmp_path, "no images in COVID", "What to do")
    put(tmp_path / "other", "COVID/a.png", "non-COVID/b.png")  # of any other names: no data set
    assert find_data_set(tmp_path / "other")[0] == ""


def test_covid19_diag(tmp_path):
    source, table, notes = find_data_set(covid19_diag(tmp_path / "set"))
    assert source == "covid19-diag" and notes == []
    assert row(table, "test/Bacterial Pneumonia/case12/1.png") == ["cap case12", "cap", "test"]
    assert table["finding"].value_counts().to_dict() == {"covid": 12, "cap": 12, "non_pneumonia": 12}
    for file in (tmp_path / "set").rglob("Normal/*/*.png"):
        file.unlink()
    refused(tmp_path / "set", "non_pneumonia", "What to do")
    put(tmp_path / "set", "train/COVID negative/1.png")
    refused(tmp_path / "set", "COVID negative", "none of its classes")
    for kind in ("COVID-19", "normal", "bacterial_pneumonia"):  # cases in the names, and no split
        put(tmp_path / "other" / kind, "case1_001.png", "case1_002.png", "case2_001.png")
    _, table, _ = find_data_set(tmp_path / "other")
    assert row(table, "normal/case1_002.png") == ["non_pneumonia case1", "non_pneumonia", ""]
    assert table["patient_id"].nunique() == 6


# ------------------------------------------------------------------------------------------------ up to a run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "build", lambda name: tmp_path / "build" / name)
    return tmp_path


def run(folder, root, **changed):
    settings = {"images": str(root), "size": 32, "crop": True, "per_exam": None, "exams": None}
    return slice_store.slices(parameters(folder, slices=settings | {"train_share": 0.7} | changed))


def test_every_data_set_becomes_slices(folder):
    trees = {
        "covid-ct": covid_ct,
        "sars-cov-2": sars_cov_2,
        "covid19-diag": covid19_diag,
        "covidx-ct-2a": covidx_ct,
    }
    assert set(trees) < set(LAYOUTS)
    for (name, make), count in zip(trees.items(), (24, 12, 36, 36), strict=True):
        s = run(folder, make(folder / name))
        assert s.source == name and s.data.shape == (count, 32, 32)
        assert set(s.table["split"]) == {"train", "test"}


def test_a_box_is_used_where_cropping_is_asked_for(folder):
    root = covidx_ct(folder / "x")
    cropped, whole = run(folder, root), run(folder, root, crop=False)
    assert cropped.key != whole.key and not cropped.data.equal(whole.data)
    with (root / "train_COVIDx_CT-2A.txt").open("a") as file:
        file.write("NCP_9_1_0000.png 2 0 0 41 48\n")
    picture(root / "2A_images" / "NCP_9_1_0000.png", seed=1)
    bad = run(folder, root).left_out
    assert bad["name"].tolist() == ["NCP_9_1_0000.png"] and "0 0 41 48" in bad["problem"][0]
    assert run(folder, root, crop=False).left_out.empty
    none = sars_cov_2(folder / "s")
    assert run(folder, none).key == run(folder, none, crop=False).key


def test_an_official_split_with_a_patient_on_both_sides_runs_and_says_so(folder):
    root = covid_ct(folder / "c")
    file = root / "Meta-data" / "COVID-CT-MetaInfo.csv"
    file.write_text(file.read_text().replace("COVID test 0", "COVID train 0"))
    (root / "Images-processed" / "CT_COVID" / "covid train%3.png").write_text("damaged")
    s = run(folder, root)
    assert "1 (COVID train 0) of 11" in s.notes[0]
    assert s.table.groupby("patient_id")["split"].nunique().max() == 2 and len(s.table) == 23
    assert s.left_out["name"].tolist() == ["CT_COVID/covid train%3.png"]
    assert s.table.loc["CT_COVID/covid val%0.png", "split"] == "train"


def test_pages_that_are_not_read_are_counted(tmp_path):
    for n, name in enumerate(("COVID/1.png", "Normal/1.png")):
        picture(tmp_path / name, n)
    deep = np.arange(3 * 40 * 48, dtype=np.uint16).reshape(3, 40, 48)
    tifffile.imwrite(tmp_path / "COVID" / "pages.tif", deep, photometric="minisblack")
    _, _, notes = find_data_set(tmp_path)
    assert any("2 others are not" in note for note in notes)


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/passwd", "..\\..\\a.png"])
def test_names_in_public_lists_stay_in_their_folder(tmp_path, name):
    for make, file, line in (
        (covid_ct, "Data-split/COVID/trainCT_COVID.txt", name),
        (covidx_ct, "train_COVIDx_CT-2A.txt", f"{name} 2 0 0 41 48"),
    ):
        root = make(tmp_path / file.replace("/", "_"))
        with (root / file).open("a") as opened:
            opened.write(f"{line}\n")
        refused(root, "leads out", file.rpartition("/")[2])
