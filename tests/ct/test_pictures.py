"""Pictures as data sets publish them: any class names, any mode, any name of a file, and one error for people."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from covid_study.ct.pictures import find_images, parse_class, read_image
from covid_study.errors import CohortError, ExamError


def picture(size=(40, 36), seed=0):
    return np.random.default_rng(seed).integers(1, 255, size, dtype=np.uint8)


def put(folder, *names, seed=0):
    for n, name in enumerate(names):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(seed=seed + n)).save(file)
    return folder


@pytest.mark.parametrize(
    "name, finding",
    [
        ("COVID", "covid"),
        ("CT_COVID", "covid"),
        ("covid-19", "covid"),
        ("SARS-CoV-2", "covid"),
        ("NCP", "covid"),
        ("COVID positive", "covid"),
        ("CT_NonCOVID", "non_covid"),
        ("CTNonCOVID", "non_covid"),
        ("non-COVID", "non_covid"),
        ("no covid", "non_covid"),
        ("non covid-19", "non_covid"),
        ("COVID_neg", "non_covid"),
        ("COVID-negative", "non_covid"),
        ("non_pneumonia", "non_pneumonia"),
        ("cap", "cap"),
        ("Normal ", "Normal"),
        ("CP", "CP"),
    ],
)
def test_names_of_classes(name, finding):
    assert parse_class(name) == finding


def test_a_folder_a_class_with_odd_names_and_suffixes(tmp_path):
    put(
        tmp_path,
        "CT_COVID/a 1%0.png",
        "CT_COVID/a 1%1.JPG",
        "CT_NonCOVID/b.bmp",
        "CT_NonCOVID/c.tiff",
        ".x/d.png",
    )
    put(tmp_path, "beside.png")
    (tmp_path / "CT_COVID" / "notes.txt").write_text("no picture")
    table, notes = find_images(tmp_path)
    assert table["slice_id"].tolist() == [
        "CT_COVID/a 1%0.png", "CT_COVID/a 1%1.JPG", "CT_NonCOVID/b.bmp", "CT_NonCOVID/c.tiff"
    ]  # fmt: skip
    assert table["finding"].tolist() == ["covid", "covid", "non_covid", "non_covid"]
    assert (table["split"] == "").all() and table["patient_id"].nunique() == 4
    assert len(notes) == 1 and "4 of 4 images are not known" in notes[0]
    np.testing.assert_array_equal(read_image(table["path"][0]), picture())


def test_folders_of_patients_and_of_splits(tmp_path):
    put(tmp_path, "train/COVID/p1/1.png", "val/COVID/p2/1.png", "test/COVID/p3/1.png", "test/COVID/p3/2.png")
    put(tmp_path, "train/Normal/p4/1.png", "test/Normal/p5/1.png")
    table, notes = find_images(tmp_path)
    found = table.set_index("slice_id")
    assert notes == [] and found.loc["test/COVID/p3/2.png", "patient_id"] == "p3"
    assert found.loc["val/COVID/p2/1.png", "split"] == "validation"
    assert found.loc["train/Normal/p4/1.png", ["finding", "split"]].tolist() == ["Normal", "train"]


def test_a_list_with_patients_and_splits(tmp_path):
    put(tmp_path, "img/1.png", "img/2.png", "img/3.png")
    head = "\ufeffPath;Finding;Patient ID;split;patients\n"
    rows = "img/1.png;COVID;A;train\nimg/2.png;healthy;B;val\nimg/3.png;COVID;C;Testing\n"
    (tmp_path / "list.csv").write_text(head + rows, encoding="utf-8")
    table, notes = find_images(tmp_path / "list.csv")
    assert notes == [] and table["patient_id"].tolist() == ["A", "B", "C"]
    assert table["finding"].tolist() == ["covid", "healthy", "covid"]
    assert table["split"].tolist() == ["train", "validation", "test"]
    assert table["path"].map(read_image).map(np.shape).tolist() == [(40, 36)] * 3


def test_ids_of_a_list_with_whole_paths_tell_nothing_of_the_machine(tmp_path):
    put(tmp_path, "data/COVID/1.png", "data/CP/1.png")
    rows = "".join(f"{tmp_path}/data/{name}/1.png,{name}\n" for name in ("COVID", "CP"))
    (tmp_path / "list.csv").write_text("path,finding\n" + rows)
    table, _ = find_images(tmp_path / "list.csv")
    assert table["slice_id"].tolist() == ["COVID/1.png", "CP/1.png"]
    assert table["path"].tolist() == [f"{tmp_path}/data/{name}/1.png" for name in ("COVID", "CP")]


@pytest.mark.parametrize(
    "text, words",
    [
        ("path,label\na.png,COVID\n", "lacks the column finding"),
        ("a.png\nb.png\n", "lacks the column path and finding"),
        ("", "cannot be read as CSV"),
        ("path,finding,patientid\na.png,COVID,1\n", "did you mean patient_id"),
        ("path,finding\na.png,cap\nb.png,normal\n", "no class of COVID-19.*cap, normal"),
        ("path,finding\na.png,covid\nb.png,covid\n", "one class only"),
        ("path,finding\na.png,covid\na.png,cap\n", "listed twice, the first is a.png"),
        ("path,finding,split\na.png,covid,train\nb.png,cap,tset\n", "split 'tset' is not known"),
        ("path,finding,split\na.png,covid,train\nb.png,cap,\n", "1 of 2 images have no split"),
        (
            "path,finding,patient_id,split\na.png,covid,P,val\nb.png,cap,P,test\n",
            "patient P is on both sides",
        ),
    ],
)
def test_what_is_wrong_with_a_list_is_said(tmp_path, text, words):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(CohortError, match=words):
        find_images(tmp_path / "list.csv")


def test_what_is_wrong_with_a_folder_is_said(tmp_path):
    with pytest.raises(CohortError, match="does not exist"):
        find_images(tmp_path / "nowhere")
    with pytest.raises(CohortError, match="no images were found"):
        find_images(tmp_path)
    put(tmp_path, "pictures/COVID/1.png", "pictures/Normal/1.png")
    with pytest.raises(CohortError, match="no class of COVID-19.*pictures looks like the folder to give"):
        find_images(tmp_path)


GREY = np.array([[0, 60], [120, 255]], np.uint8).repeat(20, 0).repeat(20, 1)


def saved(tmp_path, mode):
    grey = Image.fromarray(GREY)
    file = tmp_path / f"{mode.replace(';', '')}.png"
    if mode == "I;16":
        grey = Image.fromarray(1000 + 257 * GREY.astype(np.uint16) // 2)
    elif mode == "F":
        grey, file = Image.fromarray(GREY.astype(np.float32) / 7 - 3), file.with_suffix(".tif")
    elif mode == "1":
        grey = Image.fromarray(GREY > 100)
    else:
        grey = grey.convert(mode)
    grey.save(file)
    return file


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "I;16", "F"])
def test_every_mode_gives_the_same_grey(tmp_path, mode):
    read = read_image(saved(tmp_path, mode))
    assert read.dtype == np.uint8 and np.abs(read.astype(int) - GREY).max() <= 1


def test_what_is_transparent_is_black_and_two_levels_are_black_and_white(tmp_path):
    alpha = np.where(np.arange(40) < 20, 0, 255).astype(np.uint8) * np.ones((40, 1), np.uint8)
    Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha)]).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), GREY * (alpha > 0))
    assert np.unique(read_image(saved(tmp_path, "1"))).tolist() == [0, 255]


def test_the_content_counts_not_the_suffix(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.jpg", quality=100)
    (tmp_path / "a.jpg").rename(tmp_path / "a.png")
    assert np.abs(read_image(tmp_path / "a.png")[5:15, 5:15].astype(int) - 0).max() <= 3


def test_a_picture_that_cannot_be_used_is_named(tmp_path):
    file = put(tmp_path, "whole.png") / "whole.png"
    (tmp_path / "cut.png").write_bytes(file.read_bytes()[:300])
    (tmp_path / "text.png").write_text("hello")
    Image.fromarray(GREY[:20, :20]).save(tmp_path / "small.png")
    Image.fromarray(np.full((40, 40), 7, np.uint8)).save(tmp_path / "flat.png")
    expected = {
        "cut": "cannot be read",
        "text": "cannot be read",
        "small": "20 x 20 pixels",
        "flat": "every pixel.* 7",
    }
    for name, words in expected.items():
        with pytest.raises(ExamError, match=f"COVID/{name}.*{words}.*What to do"):
            read_image(tmp_path / f"{name}.png", f"COVID/{name}")
    with pytest.raises(ExamError, match="does not exist"):
        read_image(tmp_path / "nowhere.png")


def test_all_images_of_covid_ct_open(real_data):
    folder = real_data / "covid-ct" / "Images-processed"
    if not folder.is_dir():
        pytest.skip(f"no real images: {folder} is absent (set COVID_STUDY_TEST_DATA)")
    table, _ = find_images(folder)
    assert table["finding"].value_counts().to_dict() == {"non_covid": 397, "covid": 349}
    shapes = pd.DataFrame([read_image(path).shape for path in table["path"]])
    assert shapes.min().tolist() == [61, 115] and len(shapes) == 746
