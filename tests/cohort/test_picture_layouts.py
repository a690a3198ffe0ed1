"""The public data sets of slices, each in its own layout, whole and broken, up to the slices of a run."""

import numpy as np
import pytest
from dataset_trees import covid19_diag, covid_ct, covidx_ct, picture, sars_cov_2, text
from tiny_study import parameters

from covid_study import paths
from covid_study.cohort.picture_layouts import LAYOUTS
from covid_study.ct.pictures import find_data_set, read_image
from covid_study.errors import CohortError
from covid_study.samples import slice_store


def refused(path, *words):
    with pytest.raises(CohortError) as caught:
        find_data_set(path)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def row(table, slice_id):
    return table.set_index("slice_id").loc[slice_id, ["patient_id", "finding", "split"]].tolist()


def test_names_are_unique():
    assert len({layout.name for layout in LAYOUTS}) == len(LAYOUTS) == 7


# ------------------------------------------------------------------------------------------------ COVID-CT


def test_covid_ct(tmp_path):
    source, table, notes = find_data_set(covid_ct(tmp_path))
    assert source == "covid-ct" and notes == [] and (table["box"] == "").all()
    assert row(table, "CT_COVID/covid val%3.png") == ["COVID val 1", "covid", "validation"]
    assert row(table, "CT_NonCOVID/noncovid test%0.png") == ["NonCOVID test 0", "non_covid", "test"]
    assert table.groupby("split").size().to_dict() == {"train": 8, "validation": 8, "test": 8}
    assert table["patient_id"].nunique() == 12


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


def test_covid_ct_says_what_its_lists_and_files_disagree_on(tmp_path):
    root = covid_ct(tmp_path)
    lists, images = root / "Data-split" / "COVID", root / "Images-processed" / "CT_COVID"
    (images / "covid val%0.png").unlink()
    picture(images / "spare.png", seed=1)
    with (lists / "trainCT_COVID.txt").open("a") as file:
        file.write("covid test%1.png\n")
    _, table, notes = find_data_set(root)
    assert "1 image stands in more than one list (CT_COVID/covid test%1.png)" in notes[0]
    assert row(table, "CT_COVID/covid test%1.png")[2] == "test" and len(table) == 24
    assert notes[1] == "1 listed image is not there (CT_COVID/covid val%0.png)."
    assert notes[2] == "1 image is in no list and takes no part (CT_COVID/spare.png)."


def test_covid_ct_keeps_the_authors_split_where_a_patient_is_on_both_sides(tmp_path):
    root = covid_ct(tmp_path)
    file = root / "Meta-data" / "COVID-CT-MetaInfo.csv"
    file.write_text(file.read_text().replace("COVID test 0", "COVID train 0"))
    _, table, notes = find_data_set(root)
    assert row(table, "CT_COVID/covid test%0.png") == ["COVID train 0", "covid", "test"]
    assert notes == [
        "1 of 11 patients lies on more than one side of the authors' split (COVID train 0), with 2 images in the test list: "
        "scores look better than they are. The split is kept as published."
    ]


def test_covid_ct_without_patients(tmp_path):
    root = covid_ct(tmp_path)
    meta = root / "Meta-data"
    (meta / "COVID-CT-MetaInfo.csv").rename(meta / "COVID-CT-MetaInfo.xlsx")
    (meta / "NonCOVID-CT-MetaInfo.csv").unlink()
    _, table, notes = find_data_set(root)
    assert table["patient_id"].tolist() == table["slice_id"].tolist()
    assert (
        notes[0]
        == "The patients of CT_COVID are not known. Save COVID-CT-MetaInfo.xlsx as CSV beside it, and they will be."
    )
    assert "CT_NonCOVID" in notes[1] and "24 of 24 images are not known" in notes[2]
    text(meta / "NonCOVID-CT-MetaInfo.csv", "image,who", "a.png,b")
    refused(root, "NonCOVID-CT-MetaInfo.csv", "it has image, who", "'Patient ID'")


def test_names_without_a_suffix_in_the_meta_information(tmp_path):
    root = covid_ct(tmp_path)
    file = root / "Meta-data" / "COVID-CT-MetaInfo.csv"
    file.write_text(file.read_text().replace(".png", ""))
    assert row(find_data_set(root)[1], "CT_COVID/covid val%3.png")[0] == "COVID val 1"


def test_a_covid_ct_that_is_not_whole_is_refused(tmp_path):
    root = covid_ct(tmp_path)
    one = root / "Data-split" / "NonCOVID" / "valCT_NonCOVID.txt"
    one.rename(tmp_path / "list")
    refused(root, "not Data-split/NonCOVID/valCT_NonCOVID.txt", "What to do")
    (tmp_path / "list").rename(one)
    (root / "Images-processed" / "CT_NonCOVID").rename(root / "away")
    refused(root, "none of the 12 images of CT_NonCOVID", "put Images-processed/CT_NonCOVID there")
    (root / "Images-processed" / "CT_NonCOVID.zip").touch()
    refused(root, "unpack Images-processed/CT_NonCOVID.zip")
    (root / "away").rename(root / "Images-processed" / "CT_NonCOVID")
    (root / "Data-split").rename(root / "Other")
    refused(root, "not its lists Data-split/COVID/trainCT_COVID.txt", "Images-processed to split anew")


def test_the_images_of_covid_ct_alone_are_split_anew_and_that_is_said(tmp_path):
    source, table, notes = find_data_set(covid_ct(tmp_path) / "Images-processed")
    assert source == "" and (table["split"] == "").all() and len(table) == 24
    assert "without its authors' split" in notes[0]


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
    assert source == "sars-cov-2" and (table["split"] == "").all()
    assert row(table, "non-COVID/Non-Covid (2).png")[1] == "non_covid"
    assert table["finding"].value_counts().to_dict() == {"covid": 6, "non_covid": 6}
    assert "may lie on both sides" in notes[0] and "12 of 12" in notes[1]
    for file in (tmp_path / "COVID").iterdir():
        file.unlink()
    refused(tmp_path, "no images in COVID", "put both folders")


def test_folders_of_any_other_pictures_are_no_data_set(tmp_path):
    for name in ("COVID/a.png", "non-COVID/b.png"):
        picture(tmp_path / name, seed=len(name))
    assert find_data_set(tmp_path)[0] == ""


def test_covid19_diag(tmp_path):
    source, table, notes = find_data_set(covid19_diag(tmp_path))
    assert source == "covid19-diag" and notes == []
    assert row(table, "test/Bacterial Pneumonia/case12/1.png") == ["cap case12", "cap", "test"]
    assert table["finding"].value_counts().to_dict() == {"covid": 12, "cap": 12, "non_pneumonia": 12}
    for file in tmp_path.rglob("Normal/*/*.png"):
        file.unlink()
    refused(tmp_path, "no images of non_pneumonia", "three classes")


def test_covid19_diag_with_cases_in_the_names_and_no_split(tmp_path):
    for c, kind in enumerate(("COVID-19", "normal", "bacterial_pneumonia")):
        for name in ("case1_001", "case1_002", "case2_001"):
            picture(tmp_path / kind / f"{name}.png", seed=c)
    _, table, _ = find_data_set(tmp_path)
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
    trees = [covid_ct, sars_cov_2, covid19_diag, covidx_ct]
    for make, count in zip(trees, (24, 12, 36, 36), strict=True):
        s = run(folder, make(folder / make.__name__))
        assert s.source == {
            "covid_ct": "covid-ct",
            "sars_cov_2": "sars-cov-2",
            "covid19_diag": "covid19-diag",
        }.get(make.__name__, "covidx-ct-2a")
        assert s.data.shape == (count, 32, 32) and set(s.table["split"]) == {"train", "test"}


def test_a_box_is_used_where_cropping_is_asked_for(folder):
    root = covidx_ct(folder / "x")
    cropped, whole = run(folder, root), run(folder, root, crop=False)
    assert cropped.key != whole.key and not cropped.data.equal(whole.data)
    with (root / "train_COVIDx_CT-2A.txt").open("a") as file:
        file.write("NCP_9_1_0000.png 2 0 0 41 48\n")
    picture(root / "2A_images" / "NCP_9_1_0000.png", seed=1)
    s = run(folder, root)
    assert (
        s.left_out["name"].tolist() == ["NCP_9_1_0000.png"]
        and "its box 0 0 41 48" in s.left_out["problem"][0]
    )
    assert run(folder, root, crop=False).left_out.empty
    none = sars_cov_2(folder / "s")
    assert run(folder, none).key == run(folder, none, crop=False).key


def test_an_official_split_with_a_patient_on_both_sides_runs_and_says_so(folder):
    root = covid_ct(folder / "c")
    file = root / "Meta-data" / "COVID-CT-MetaInfo.csv"
    file.write_text(file.read_text().replace("COVID test 0", "COVID train 0"))
    (root / "Images-processed" / "CT_COVID" / "covid train%3.png").write_text("damaged")
    s = run(folder, root)
    assert "1 of 11 patients lies on more than one side" in s.notes[0]
    assert s.table.groupby("patient_id")["split"].nunique().max() == 2 and len(s.table) == 23
    assert s.left_out["name"].tolist() == ["CT_COVID/covid train%3.png"]
    assert np.isin(["CT_COVID/covid val%0.png"], s.table.index[s.table["split"] == "train"]).all()
