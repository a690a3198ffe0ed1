"""Checks on trees with one fault each, all of them said at once, and on the real images."""

import dataclasses
import hashlib

import dataset_trees as trees
import numpy as np
import pytest
import tifffile
from PIL import Image

from covid_study.datasets.catalogue import find
from covid_study.datasets.check import check, kind_of, look


def of(name, counts):
    """The catalogue's data set with the counts of a small tree."""
    return dataclasses.replace(find(name), counts=counts, digest="")


@pytest.fixture
def small(tmp_path):
    """COVID-CT with four pictures of each class in each list, and its entry."""
    counts = {split: {"covid": 4, "non_covid": 4} for split in trees.LISTS}
    return trees.covid_ct(tmp_path / "set"), of("covid-ct", counts)


def images(root, kind="COVID"):
    return root / "Images-processed" / f"CT_{kind}"


def test_a_whole_set_has_no_problems(small):
    root, dataset = small
    found = check(root, dataset)
    assert (found.problems, found.missing, len(found.digest)) == ([], 0, 64)
    assert found.counts.loc["test"].to_dict() == {"covid": 4, "non_covid": 4}
    assert look(root, dataset) == "there: 24 slices, whole"
    assert check(root, dataset, read=False).digest == ""


def test_the_digest_is_sha256sums_and_moves_with_the_content_not_with_the_place(small, tmp_path):
    root, dataset = small
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.parent.name}/{file.name}\n"
        for file in sorted((root / "Images-processed").rglob("*.png"))
    ]
    first = check(root, dataset).digest
    assert first == hashlib.sha256("".join(lines).encode()).hexdigest()
    root = root.rename(tmp_path / "elsewhere")
    for folder in list((root / "Images-processed").iterdir()):
        folder.rename(root / folder.name)  # as some archives unpack
    assert check(root, dataset).digest == first
    trees.picture(root / "CT_COVID" / "covid train%0.png", seed=77)
    assert check(root, dataset).digest != first


def test_everything_that_is_wrong_is_said_at_once(small):
    root, dataset = small
    covid = images(root)
    (covid / "covid train%0.png").unlink()
    (covid / "covid train%1.png").write_bytes((covid / "covid train%1.png").read_bytes()[:300])
    (covid / "covid test%0.png").write_text("no picture")
    trees.picture(covid / "covid test%1.png", seed=5, size=(8, 8))
    trees.picture(images(root, "NonCOVID") / "unlisted.png", seed=6)
    Image.open(covid / "covid val%0.png").save(covid / "covid val%0.png", format="JPEG")
    (covid / "covid val%2.png").write_bytes((covid / "covid val%3.png").read_bytes())
    with (root / "Data-split" / "NonCOVID" / "valCT_NonCOVID.txt").open("a") as opened:
        opened.write("gone.png\n")
    found = check(root, dataset)
    text = "\n".join(found.problems)
    for words in (
        "covid train%0.png does not exist",
        "gone.png does not exist",
        "covid train%1.png cannot be read as an image",
        "covid test%0.png cannot be read as an image",
        "covid test%1.png has 8 x 8 pixels",
        "validation, non_covid: 5 slices, published are 4",
    ):
        assert words in text
    assert len(found.problems) == 6 and found.missing == 2
    remarks = "\n".join(found.remarks)
    assert "end in .png and hold JPEG (they are read as such): 1." in remarks
    assert "byte for byte: 1, the first covid val%2.png and covid val%3.png." in remarks
    assert "unlisted.png" in remarks
    assert look(root, dataset) == "there, 1 of 24 slices missing"


def test_a_checksum_inside_a_png_is_checked(small):
    """Pillow reads such a picture without a word; its `verify` does not."""
    root, dataset = small
    file = images(root) / "covid train%0.png"
    raw = bytearray(file.read_bytes())
    raw[raw.index(b"IEND") - 6] ^= 1  # the checksum before the length of the last chunk
    file.write_bytes(raw)
    assert any("covid train%0.png" in problem for problem in check(root, dataset).problems)


def test_a_broken_layout_is_one_problem_and_the_pictures_are_opened_all_the_same(small):
    root, dataset = small
    (root / "Data-split" / "COVID" / "valCT_COVID.txt").unlink()
    (images(root) / "covid test%0.png").write_text("no picture")
    found = check(root, dataset)
    assert "valCT_COVID.txt" in found.problems[0] and "covid test%0.png" in found.problems[1]
    assert len(found.problems) == 2 and found.table is None and found.digest
    assert look(root, dataset).startswith("there, but not as published: ")


def test_a_lost_split_is_said_and_the_classes_are_compared(small):
    root, dataset = small
    (images(root) / "covid train%0.png").unlink()
    found = check(root / "Images-processed", dataset)
    assert "the published split is missing" in found.problems[0]
    assert found.problems[1:] == ["covid: 11 slices, published are 12"]


def test_not_there(tmp_path):
    assert look(tmp_path / "gone", find("covid-ct")) == "not there"
    assert "gone does not exist" in check(tmp_path / "gone", find("covid-ct")).problems[0]
    (tmp_path / "begun" / "empty").mkdir(parents=True)
    assert look(tmp_path / "begun", find("covid-ct")) == "not there"
    trees.text(tmp_path / "begun" / "notes.txt", "what is this?")
    assert look(tmp_path / "begun", find("covid-ct")).startswith("there, but not as published: ")


@pytest.mark.parametrize(
    "name, tree, counts",
    [
        ("sars-cov-2", trees.sars_cov_2, {"": {"covid": 6, "non_covid": 6}}),
        ("covid19-diag", trees.covid19_diag,
         {split: {"covid": 6, "cap": 6, "non_pneumonia": 6} for split in ("train", "test")}),
        ("covid-ct-md", trees.covid_ct_md, {"": {"covid": 2, "cap": 2, "non_pneumonia": 2}}),
        ("mosmeddata", trees.mosmeddata, {"": {"covid": 8, "non_pneumonia": 2}}),
        ("stoic", trees.stoic, {"": {"covid": 2, "other": 2}}),
    ],
)  # fmt: skip
def test_every_layout_can_be_checked(tmp_path, name, tree, counts):
    dataset = of(name, counts)
    found = check(tree(tmp_path), dataset, read=name != "covid-ct-md")  # whose exams here have two slices
    assert found.problems == [] and found.kind == dataset.kind == kind_of(tmp_path)
    assert look(tmp_path, dataset) == f"there: {dataset.total} {dataset.kind}, whole"


@pytest.mark.parametrize("version", ["1", "2A", "2B", "3A"])
def test_covidx_can_be_checked(tmp_path, version):
    row = {"covid": 4, "cap": 4, "non_pneumonia": 4}
    counts = {"train": row | {"covid": 5 if version == "2B" else 4}, "validation": row, "test": row}
    dataset = of(f"covidx-ct-{version.lower()}", counts)
    root = trees.covidx_ct(tmp_path, version)
    assert check(root, dataset).problems == []
    file = next(root.glob("train_*.txt"))
    file.write_text(file.read_text().replace("4 6 36 44", "4 6 36 400", 1))
    (problem,) = check(root, dataset).problems
    assert "400" in problem


def test_damaged_and_missing_exams(tmp_path):
    root = trees.stoic(tmp_path)
    (root / "data" / "mha" / "100.mha").unlink()
    file = root / "data" / "mha" / "101.mha"
    file.write_bytes(file.read_bytes()[:2000])
    dataset = of("stoic", {"": {"covid": 2, "other": 2}})
    found = check(root, dataset)
    assert len(found.problems) == 2 and "100.mha does not exist" in found.problems[0]
    assert "101.mha is damaged or cut short" in found.problems[1] and len(found.opened) == 2
    assert "(16, 40, 48) voxels of 1 x 1 x 1 mm" in found.opened[0]
    assert look(root, dataset) == "there, 1 of 4 exams missing"


def test_many_missing_files_are_counted_not_listed(tmp_path):
    root = trees.covidx_ct(tmp_path, "1", n=12)
    for file in sorted((root / "COVIDx-CT").glob("NCP_*")) + sorted((root / "COVIDx-CT").glob("CP_*"))[1:]:
        file.unlink()
    problems = check(root, find("covidx-ct-1"), read=False).problems
    assert sum("does not exist" in problem for problem in problems) == 100
    assert "43 more do not exist" in problems


def test_a_tiff_that_pillow_lacks_can_be_read(tmp_path):
    for kind in ("COVID", "NonCOVID"):
        (tmp_path / kind).mkdir()
        tifffile.imwrite(tmp_path / kind / "deep.tif", np.arange(4096.0).reshape(64, 64) + len(kind))
    assert check(tmp_path, read=True).problems == []


def test_what_a_folder_or_a_table_holds(tmp_path):
    trees.text(tmp_path / "exams.csv", "Exam_ID,patient_id,path,finding")
    trees.text(tmp_path / "slices.csv", "path,finding")
    assert kind_of(tmp_path / "exams.csv") == "exams" and kind_of(tmp_path / "slices.csv") == "slices"
    trees.picture(tmp_path / "both" / "a.png", 1)
    assert kind_of(tmp_path / "both") == "slices"
    trees.volume(tmp_path / "both" / "b.nii.gz")
    assert kind_of(tmp_path / "both") == "exams"


def test_the_real_images_are_those_of_the_catalogue(real_data):
    if not (real_data / "covid-ct").is_dir():
        pytest.skip(f"no real images: {real_data / 'covid-ct'} is absent (set COVID_STUDY_TEST_DATA)")
    dataset = find("covid-ct")
    found = check(real_data / "covid-ct", dataset)
    assert found.problems == [] and found.digest == dataset.digest
    assert "Files that end in .png and hold JPEG (they are read as such): 34." in found.remarks
    assert any("same byte for byte" in remark and "not" not in remark for remark in found.remarks)
    assert found.table["patient_id"].nunique() == 213 + 171
    faults = " ".join(dataset.known_faults)
    modes = {}
    for row in found.table.itertuples():
        with Image.open(row.path) as image:
            modes.setdefault(row.finding, []).append((image.mode, row.path[-4:]))
    alpha = [sum(mode == "RGBA" for mode, _ in modes[f]) for f in ("covid", "non_covid")]
    named = [sum(suffix == ".jpg" for _, suffix in modes[f]) for f in ("covid", "non_covid")]
    assert (
        (alpha, named) == ([174, 0], [0, 202])
        and "174 of the 349" in faults
        and "202 of the others" in faults
    )
