"""Pictures as data sets publish them: any mode, any name of a file, and one error for people."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from refusals import refused

from covid_study.cohort.picture_layouts import find_images
from covid_study.ct.pictures import read_image
from covid_study.errors import ExamError


def put(folder, name):
    Image.fromarray(np.random.default_rng(0).integers(1, 255, (40, 36), dtype=np.uint8)).save(folder / name)
    return folder


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


def test_a_picture_is_upright_and_white_is_zero_is_turned_round(tmp_path):
    fine = np.add.outer(np.arange(48), 3 * np.arange(40)).astype(np.uint8)
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees, as a telephone writes it
    Image.fromarray(np.rot90(fine)).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), fine)
    for dtype in (np.uint8, np.uint16, np.float32, np.float64):
        turned = np.rot90(fine.max() - fine).astype(dtype)
        tags = [(274, "H", 1, 6, True)]
        tifffile.imwrite(tmp_path / "w.tif", turned, photometric="miniswhite", extratags=tags)
        assert np.corrcoef(read_image(tmp_path / "w.tif").ravel(), fine.ravel())[0, 1] > 0.999, dtype


DEPTHS = {np.int16: [0, -3024], np.uint16: [0, 60000], np.int32: [-3024], np.uint32: [60000]} | dict.fromkeys(
    [np.float32, np.float64], [-3024, 60000, np.nan, np.inf, -np.inf]
)


@pytest.mark.parametrize(
    "dtype, outside", [(dtype, value) for dtype, values in DEPTHS.items() for value in values]
)
def test_deep_pictures_are_scaled_by_what_is_in_them(tmp_path, dtype, outside):
    deep = 1000 + np.add.outer(10 * np.arange(48), 3 * np.arange(40)).astype(dtype)
    deep[:, 30:] = outside
    tifffile.imwrite(tmp_path / "a.tif", deep)
    read = read_image(tmp_path / "a.tif")
    inside = deep[:, :30].astype(float)
    np.testing.assert_array_equal(read[:, 30:], 0)
    assert np.abs(read[:, :30] - 255 * (inside - inside.min()) / np.ptp(inside)).max() <= 1


def test_a_tiff_without_a_number_or_of_an_unknown_kind_is_named(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((40, 40), np.nan, np.float32))
    refused(ExamError, partial(read_image, tmp_path / "a.tif"), "a.tif", "finite")
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((40, 40), np.complex64))
    refused(ExamError, partial(read_image, tmp_path / "b.tif"), "b.tif")


def test_the_content_counts_not_the_suffix(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.jpg", quality=100)
    (tmp_path / "a.jpg").rename(tmp_path / "a.png")
    assert np.abs(read_image(tmp_path / "a.png")[5:15, 5:15].astype(int) - 0).max() <= 3


@pytest.mark.parametrize(
    "name, words",
    [("cut", ""), ("text", ""), ("small", "20 x 20"), ("flat", " 7"), ("nowhere", "does not exist")],
)
def test_a_picture_that_cannot_be_used_is_named(tmp_path, name, words):
    file = put(tmp_path, "whole.png") / "whole.png"
    (tmp_path / "cut.png").write_bytes(file.read_bytes()[:300])
    (tmp_path / "text.png").write_text("hello")
    Image.fromarray(GREY[:20, :20]).save(tmp_path / "small.png")
    Image.fromarray(np.full((40, 40), 7, np.uint8)).save(tmp_path / "flat.png")
    read = partial(read_image, tmp_path / f"{name}.png", f"COVID/{name}")
    refused(ExamError, read, f"COVID/{name}", f"{name}.png", words, "What to do")


def test_the_box_is_cut_out_and_one_outside_is_an_error(tmp_path):
    put(tmp_path, "a.png")
    whole = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", box="3 5 36 40"), whole[5:40, 3:36])
    for box in ("0 0 37 40", "0 0 36 41", "20 0 20 40", "30 0 20 40"):
        refused(
            ExamError,
            partial(read_image, tmp_path / "a.png", "NCP_1", box),
            "NCP_1",
            box,
            "36 x 40",
            "slices.crop",
        )


def test_all_images_of_covid_ct_open(real_data):
    folder = real_data / "covid-ct" / "Images-processed"
    if not folder.is_dir():
        pytest.skip(f"no real images: {folder} is absent (set COVID_STUDY_TEST_DATA)")
    table, _ = find_images(folder)
    assert table["finding"].value_counts().to_dict() == {"non_covid": 397, "covid": 349}
    shapes = pd.DataFrame([read_image(path).shape for path in table["path"]])
    assert shapes.min().tolist() == [61, 115] and len(shapes) == 746
