"""One picture twice is found however it was saved again; two chests that look alike are not taken for one."""

import io

import numpy as np
import pandas as pd
import pytest
from chest_pictures import chest
from PIL import Image

from covid_study.analysis.leaks.duplicates import agreement, details, near_duplicates, pairs, perceptual_hash

NEAR = 8


def as_jpeg(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=50)
    return np.asarray(Image.open(buffer))


def smaller(image):
    height, width = image.shape
    size = int(0.7 * width), int(0.7 * height)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def brighter(image):
    return np.clip(1.2 * image, 0, 255).astype(np.uint8)


def cropped(image):
    return image[2:-2, 2:-2]


def of(images):
    return np.array([perceptual_hash(i) for i in images]), np.array([details(i) for i in images])


@pytest.mark.parametrize("again", [as_jpeg, smaller, brighter, cropped])
def test_a_picture_saved_again_is_found(again):
    images = [chest(n) for n in range(12)]
    found = near_duplicates(*of(images + [again(image) for image in images]), NEAR)
    assert sorted(zip(found["i"], found["j"], strict=True)) == [(n, n + 12) for n in range(12)]


def test_chests_alike_to_the_hash_are_not_one_picture():
    hashes, fine = of([chest(n) for n in range(40)])
    apart = np.bitwise_count(hashes[:, None] ^ hashes)
    assert (apart <= NEAR).sum() >= 40 + 2 * 5  # the hash alone would call some of them one
    assert near_duplicates(hashes, fine, NEAR).empty


def test_all_pairs_are_compared_across_blocks(monkeypatch):
    images = [chest(n % 5) for n in range(15)]
    whole = near_duplicates(*of(images), NEAR)
    monkeypatch.setattr("covid_study.analysis.leaks.duplicates.BLOCK", 4)
    pd.testing.assert_frame_equal(near_duplicates(*of(images), NEAR), whole)
    assert len(whole) == 5 * 3 and (whole["distance"] == 0).all()
    assert ((whole["j"] - whole["i"]) % 5 == 0).all()
    assert near_duplicates(*of(images), 0)["agreement"].min() == pytest.approx(1, abs=2e-3)


def test_agreement_is_of_the_crop_that_fits():
    one = chest(3)
    assert agreement(details(one)[None], details(one[6:-6, 6:-6])[None])[0] > 0.95
    assert agreement(details(one)[None], details(chest(4))[None])[0] < 0.7


def test_what_a_pair_spoils_the_worst_first():
    images = [chest(n // 2) for n in range(7)] + [as_jpeg(chest(3))]
    table = {
        "patient_id": list("aabcdefg"),
        "finding": ["covid"] * 5 + ["cap", "covid", "cap"],
        "split": ["train"] * 7 + ["test"],
    }
    table = pd.DataFrame(table, index=pd.Index(list("01234567"), name="slice_id"))
    content = [(f"file {n // 2}" if n < 2 else str(n), f"pixels {min(n, 6) // 2}") for n in range(8)]
    content[7] = ("7", "other pixels")
    found = pairs(table, *of(images), content, NEAR)
    assert found["kind"].tolist() == ["split", "classes", "patients", "patient"]
    assert found["first"].tolist() == ["6", "4", "2", "0"]
    assert found["same"].tolist() == ["", "pixels", "pixels", "file"]
    assert found["classes"].tolist() == [True, True, False, False]


def test_no_pair_and_no_picture():
    assert near_duplicates(np.zeros(0, np.uint64), np.zeros((0, 5, 4096), np.float16), NEAR).empty
