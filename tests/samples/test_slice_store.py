"""The store of slices: the same whoever cuts them, resumed where it stopped, split by patient, bad ones listed."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tiny_study import parameters

from covid_study import paths
from covid_study.ct.pictures import read_image
from covid_study.ct.to_slice import exam_slices, resize
from covid_study.errors import CohortError, ExamError
from covid_study.samples import cohorts, slice_parts, slice_store

SLICES = {"images": None, "size": 32, "crop": False, "per_exam": 2, "exams": 3, "train_share": 0.7}


class Killed(BaseException):
    pass


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "build", lambda name: tmp_path / "build" / name)
    return tmp_path


@pytest.fixture(scope="module")
def s(root):
    return slice_store.slices(parameters(root, slices=SLICES))


def test_slices_of_the_phantom(root, s):
    assert s.data.shape == (18, 32, 32) and list(s.table["finding"].value_counts()) == [6, 6, 6]
    assert s.table.groupby("patient_id")["split"].nunique().max() == 1
    assert s.left_out.empty and s.notes == ()
    p = parameters(root)
    exams = cohorts.cohort(p).set_index("exam_id", drop=False)
    for exam_id in s.table["exam_id"].unique()[::4]:
        volume, truth = cohorts.loader(p)(exams.loc[exam_id])
        cut = exam_slices(volume, truth, exam_id, 2, 32, label_noise=p.slices.label_noise)
        ids = list(cut.rows["slice_id"])
        np.testing.assert_array_equal(s.of(ids).numpy(), cut.images)
        lungs, lesions = s.masks(ids)
        np.testing.assert_array_equal(lungs, cut.lungs)
        np.testing.assert_array_equal(lesions, cut.lesions)
        np.testing.assert_allclose(s.table.loc[ids, "lesion_share"], cut.rows["lesion_share"])


def test_it_is_found_again_and_another_split_cuts_nothing_anew(root, s, monkeypatch):
    monkeypatch.setattr(slice_store, "build_slices", None)  # would raise
    again = slice_store.slices(parameters(root, slices=SLICES))
    assert again.key == s.key and again.data.equal(s.data)
    other = slice_store.slices(parameters(root, slices=SLICES | {"train_share": 0.4}))
    assert other.key == s.key and (other.table["split"] != s.table["split"]).any()


def test_the_same_slices_on_another_kind_of_device_have_another_key(root, s, monkeypatch):
    monkeypatch.setattr(slice_store, "find_device", lambda _: torch.device("meta"))
    there = slice_store.slices(parameters(root, slices=SLICES))
    assert there.key == f"{s.key}-meta" and there.folder == s.folder


def put_images(folder, n=6):
    rng = np.random.default_rng(0)
    for name in ("COVID", "Non-COVID"):
        (folder / name).mkdir(parents=True)
        for k in range(n):
            Image.fromarray(rng.integers(0, 255, (50, 60), dtype=np.uint8)).save(folder / name / f"{k} %.png")
    return folder


def images(folder, **changed):
    return parameters(
        folder, slices=SLICES | {"images": str(folder / "img"), "exams": None, "size": 48} | changed
    )


def test_slices_of_images(folder, monkeypatch):
    monkeypatch.setattr(slice_store, "BATCH", 5)
    put_images(folder / "img")
    fewer = slice_store.slices(images(folder, exams=2))
    assert len(fewer.table) == 8 and "Of 12 images 8 are taken, at most 4 of a class" in fewer.notes[1]
    (folder / "img" / "COVID" / "0 %.png").write_text("no picture")
    s = slice_store.slices(images(folder))
    assert len(s.table) == 11 and s.table["finding"].value_counts().to_dict() == {"non_covid": 6, "covid": 5}
    assert s.left_out["name"].tolist() == ["COVID/0 %.png"] and "cannot be read" in s.left_out["problem"][0]
    for name, row in s.table.iterrows():
        np.testing.assert_array_equal(s.of([name])[0].numpy(), resize(read_image(row["path"]), 48))
    assert s.masks(list(s.table.index)) == (None, None)
    assert "12 of 12 images are not known" in s.notes[0]


def test_a_bad_image_stops_the_run_where_it_is_told_to(folder):
    put_images(folder / "img")
    (folder / "img" / "COVID" / "0 %.png").write_text("no picture")
    p = parameters(folder, slices=SLICES | {"images": str(folder / "img")}, cohort={"on_bad_exam": "stop"})
    with pytest.raises(ExamError, match="exam COVID/0 %.png: .*cannot be read"):
        slice_store.slices(p)


def test_where_nothing_is_left_of_a_class_it_says_why(folder):
    put_images(folder / "img", 2)
    for file in (folder / "img" / "COVID").iterdir():
        file.write_text("no picture")
    with pytest.raises(CohortError, match="no slice with the finding covid(.|\n)*COVID/0 %.png"):
        slice_store.slices(images(folder))


def killed():
    raise Killed


def part(n, count=2, bad=()):
    rows = [{"slice_id": f"{n}/{k}", "source": str(n), "lung_area_mm2": 1.0} for k in range(count)]
    rows = [dict.fromkeys(slice_parts.AMOUNTS, 0.0) | row for row in rows]
    masks = np.full((count, 8), n, np.uint8)
    images = np.full((count, 8, 8), 10 * n, np.uint8)
    return {"images": images, "lungs": masks, "lesions": masks + 100, "rows": rows, "left_out": list(bad)}


@pytest.mark.parametrize("workers", [1, 2])
def test_parts_are_gathered_in_their_order(tmp_path, workers):
    slice_parts.build_slices([lambda n=n: part(n, n) for n in (3, 0, 1)], tmp_path, 8, workers, threads=True)
    assert pd.read_parquet(tmp_path / "slices.parquet")["slice_id"].tolist() == ["3/0", "3/1", "3/2", "1/0"]
    assert np.load(tmp_path / "images.npy")[:, 0, 0].tolist() == [30, 30, 30, 10]
    assert np.load(tmp_path / "lungs.npy")[:, 0].tolist() == [3, 3, 3, 1]
    assert np.load(tmp_path / "lesions.npy")[:, 0].tolist() == [103, 103, 103, 101]
    assert not (tmp_path / "parts").exists()


def test_masks_that_nobody_knows_are_not_kept(tmp_path):
    made = part(1)
    made["rows"] = [row | {"lesion_area_mm2": np.nan} for row in made["rows"]]
    slice_parts.build_slices([lambda: made], tmp_path, 8, 1)
    assert (tmp_path / "lungs.npy").exists() and not (tmp_path / "lesions.npy").exists()


def test_killed_it_goes_on_and_makes_nothing_twice(tmp_path):
    made = []

    def make(n, killed=()):
        made.append(n)
        if n in killed:
            raise Killed
        return part(n)

    with pytest.raises(Killed):
        slice_parts.build_slices([lambda n=n: make(n, {2}) for n in range(4)], tmp_path, 8, 1)
    assert made == [0, 1, 2]
    slice_parts.build_slices([lambda n=n: make(n) for n in range(4)], tmp_path, 8, 1)
    assert made == [0, 1, 2, 2, 3] and np.load(tmp_path / "images.npy").shape == (8, 8, 8)


def test_a_part_with_something_left_out_is_tried_again(tmp_path):
    reason = {"name": "x", "path": "/x", "problem": "cut short", "remedy": "mend it"}
    given = [lambda n=n, bad=bad: part(n, 1, bad) for n, bad in enumerate(([reason], []))]
    with pytest.raises(Killed):
        slice_parts.build_slices([*given, killed], tmp_path, 8, 1)
    made = []
    slice_parts.build_slices([lambda n=n: made.append(n) or part(n) for n in range(3)], tmp_path, 8, 1)
    assert made == [0, 2] and pd.read_csv(tmp_path / "left_out.csv").empty
    kept = pd.read_parquet(tmp_path / "slices.parquet")["slice_id"].tolist()
    assert kept == ["0/0", "0/1", "1/0", "2/0", "2/1"]
