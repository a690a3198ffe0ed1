"""Preprocessing: windowing and crops in closed form, resampling that moves nothing, and what the network sees."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from refusals import refused

from covid_study.ct import to_volume
from covid_study.ct.to_volume import average_to, centre_crop_or_pad, crop_to, window
from covid_study.errors import ExamError
from covid_study.phantom import cohort

SIZES = st.tuples(*[st.integers(1, 9)] * 3)


@pytest.fixture(scope="module")
def exam():
    return cohort.make_exam("covid-0002-a", seed=0, matrix=64, thickness_mm=(5, 10))


@pytest.fixture(scope="module")
def done(exam):
    truth = {"lungs": exam.lungs, "lesions": exam.lesions}
    return to_volume.preprocess(
        exam.volume.hu, exam.volume.spacing_mm, (64, 48, 28), (2, 2, 5), "e", truth, steps=True
    )


def test_window_is_the_papers():
    """Paper A, IV-F2: level -600, width 1500."""
    hu = np.array([-3000, -1350, -1349, -600, 0, 149, 150, 3000])
    expected = np.array([0, 0, 1 / 1500, 0.5, 0.9, 1499 / 1500, 1, 1])
    np.testing.assert_allclose(window(hu), expected, atol=1e-6)
    assert window(hu).dtype == np.float32
    np.testing.assert_allclose(window(hu, -400, 1500)[4], 1150 / 1500, atol=1e-6)


def test_crop_leaves_the_papers_margins_inside_the_volume():
    mask = np.zeros((20, 60, 80), bool)
    mask[8:12, 20:30, 40:50] = True
    assert crop_to(mask, (5.0, 1.0, 1.0)) == (slice(7, 13), slice(11, 39), slice(31, 59))
    assert crop_to(mask, (2.0, 2.0, 4.0)) == (slice(5, 15), slice(15, 35), slice(37, 53))  # 9 mm and no less
    mask = np.zeros((4, 20, 20), bool)
    mask[:, 2:18, :] = True
    assert crop_to(mask, (5.0, 1.0, 1.0)) == (slice(0, 4), slice(0, 20), slice(0, 20))


@given(SIZES, SIZES)
@settings(max_examples=60, deadline=None)
def test_centre_crop_or_pad_keeps_the_centre(have, want):
    volume = np.arange(1, 1 + np.prod(have)).reshape(have)
    result = centre_crop_or_pad(volume, want)
    assert result.shape == want
    kept = np.minimum(have, want)
    assert (result > 0).sum() == kept.prod()
    start = [max(h - w, 0) // 2 for h, w in zip(have, want, strict=True)]
    expected = volume[tuple(slice(i, i + k) for i, k in zip(start, kept, strict=True))]
    np.testing.assert_array_equal(result[result > 0], expected.ravel())
    filled = np.flatnonzero(result.any((1, 2)))
    assert abs(filled[0] - (want[0] - 1 - filled[-1])) <= 1  # as much in front as behind


@given(SIZES, st.tuples(*[st.integers(1, 4)] * 3), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_average_to_is_adaptive_pooling_for_whole_multiples(shape, factors, seed):
    volume = np.random.default_rng(seed).normal(size=np.multiply(shape, factors)).astype(np.float32)
    expected = torch.nn.functional.adaptive_avg_pool3d(torch.from_numpy(volume)[None, None], shape)[0, 0]
    np.testing.assert_allclose(average_to(volume, shape), expected.numpy(), atol=1e-5)


@given(SIZES, SIZES)
@settings(max_examples=40, deadline=None)
def test_average_to_keeps_the_mean_and_what_is_constant(have, want):
    volume = np.random.default_rng(0).random(have, dtype=np.float32)
    assert average_to(volume, want).shape == want
    assert average_to(volume, want).mean() == pytest.approx(volume.mean(), abs=1e-5)
    np.testing.assert_allclose(average_to(np.full(have, 3.0), want), 3.0, rtol=1e-5)


def test_what_the_network_sees(done):
    assert done.image.shape == (28, 48, 64) and done.image.dtype == np.uint8
    final, voxel = done.steps["the network's input"]
    assert abs(done.image / 255 - final).max() <= 1 / 510 + 1e-6
    assert list(done.steps)[0] == "the exam" and len(done.steps) == 7
    framed, spacing = done.steps["centre crop or pad"]
    np.testing.assert_allclose(np.multiply(framed.shape, spacing), (280, 192, 256), atol=2.5)
    np.testing.assert_allclose(np.multiply(final.shape, voxel), (280, 192, 256))
    cropped, zeroed = done.steps["cropped to the lungs"][0], done.steps["zero outside the lungs"][0]
    inside = zeroed > 0
    np.testing.assert_array_equal(zeroed[inside], cropped[inside])
    assert 0.2 < inside.mean() < 0.7 and cropped[:, :3].max() > 0.5  # where there is chest wall
    assert not zeroed[:, :3].any() and not zeroed[:, :, -3:].any()  # the margin


def test_facts(exam, done):
    ml = exam.lungs.sum() * np.prod(exam.volume.spacing_mm) / 1000
    assert done.facts["lung_ml"] == pytest.approx(ml, rel=0.06)
    assert -900 < done.facts["mean_hu"] < -600
    assert done.facts["lesion_share"] == pytest.approx(exam.lesions.sum() / exam.lungs.sum())
    assert done.facts["dice"] > 0.95
    assert 0 <= done.facts["cut_off"] < 0.5
    for axis, name in enumerate(
        "zyx"
    ):  # the true lungs with 9, 9 and 5 mm on both sides, up to voxels of exam and grid
        along = np.flatnonzero(exam.lungs.any(tuple(a for a in range(3) if a != axis)))
        true = (along[-1] + 1 - along[0]) * exam.volume.spacing_mm[axis] + 2 * (5 if axis == 0 else 9)
        assert done.facts[f"crop_{name}_mm"] == pytest.approx(true, abs=2 * exam.volume.spacing_mm[axis] + 12)
    assert done.histogram.sum() == pytest.approx(1) and done.histogram.shape == (64,)
    edges = np.linspace(-1024, 200, 65)
    centres = (edges[1:] + edges[:-1]) / 2
    assert centres @ done.histogram == pytest.approx(done.facts["mean_hu"], abs=25)  # clipping aside


def test_the_patients_place_in_the_scanner_does_not_matter(exam):
    """Moved by whole voxels of the working grid, the same lungs give the same input."""
    hu, spacing = np.pad(exam.volume.hu, ((2,) * 2,) * 3, constant_values=-1024), (5.0, 4.0, 4.0)
    padded = np.pad(hu, ((0, 0), (2, 6), (6, 2)), constant_values=-1024)
    one, two = (to_volume.preprocess(v, spacing, (64, 48, 28), (4, 4, 5)).image for v in (hu, padded))
    assert (one == two).mean() > 0.97


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda hu: hu + 1024, "HU"),
        (lambda hu: np.where(np.arange(hu.shape[2]) == 7, np.nan, hu), "HU"),
        (lambda hu: np.where(hu < -500, 30, hu) - 10 * (np.indices(hu.shape)[1] < 1) * 100, "no lungs"),
    ],
)
def test_bad_values_are_an_error_that_names_the_exam(exam, change, words):
    hu, spacing = change(exam.volume.hu), exam.volume.spacing_mm
    call = partial(to_volume.preprocess, hu, spacing, (32, 24, 8), (4, 4, 5), "P9")
    refused(ExamError, call, "exam P9", words, "What to do")
