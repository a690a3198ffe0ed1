"""Resampling against SimpleITK, in closed form, and what it must leave as it is."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings, strategies as st

from covid_study.ct.resampling import resample


def itk(volume, spacing, target, is_mask):
    """DiscreteGaussian, then Resample."""
    image = sitk.GetImageFromArray(volume.astype(np.uint8 if is_mask else np.float32))
    image.SetSpacing(list(map(float, spacing[::-1])))
    sigma = [0.4 * max(t * t - s * s, 0) ** 0.5 for s, t in zip(spacing[::-1], target[::-1], strict=True)]
    if max(sigma) > 0 and not is_mask:
        image = sitk.DiscreteGaussian(image, [s * s + 1e-9 for s in sigma], 16, 0.01, True)
    size = [max(1, round(n * s / t)) for n, s, t in zip(volume.shape, spacing, target, strict=True)][::-1]
    origin = [(t - s) / 2 for s, t in zip(spacing[::-1], target[::-1], strict=True)]
    how = sitk.sitkNearestNeighbor if is_mask else sitk.sitkLinear
    target = list(map(float, target[::-1]))
    kind, axes = image.GetPixelID(), image.GetDirection()
    done = sitk.Resample(image, size, sitk.Transform(), how, origin, target, axes, 0.0, kind, True)
    return sitk.GetArrayFromImage(done)


GRIDS = [
    ((24, 61, 53), (1.25, 0.7, 0.7), (5.0, 1.0, 1.0)),
    ((24, 61, 53), (1.25, 0.7, 0.7), (5.0, 4.0, 4.0)),
    (
        (40, 90, 31),
        (0.6, 0.35, 2.0),
        (5.0, 4.0, 1.0),
    ),  # the widest Gaussian, cut off at 16 voxels; finer along x
    ((9, 33, 20), (8.0, 1.0, 1.0), (5.0, 1.0, 1.5)),
]
TIES = [((25, 41, 40), (6.0, 0.5, 0.8), (5.0, 1.0, 2.0)), ((25, 41, 40), (2.5, 0.7, 0.6), (5.0, 1.4, 1.0))]


@pytest.mark.parametrize(("shape", "spacing", "target"), GRIDS)
def test_matrices_are_itk_s_gaussian_and_interpolation(shape, spacing, target):
    """To float32's rounding of sums of 1,000 HU; and a box of it is what lies in the box of the whole."""
    hu = np.random.default_rng(0).normal(-400, 400, shape).clip(-1024, 1500).astype(np.int16)
    done = resample(hu, spacing, target)
    np.testing.assert_allclose(done, itk(hu, spacing, target, False), atol=1e-3, rtol=0)
    box = tuple(slice(n // 4, n - n // 5) for n in done.shape)
    np.testing.assert_allclose(resample(hu, spacing, target, box=box), done[box], atol=1e-3, rtol=0)


@pytest.mark.parametrize(("shape", "spacing", "target"), GRIDS + TIES)
def test_the_nearest_voxel_is_itk_s_half_way_between_two_as_well(shape, spacing, target):
    mask = np.random.default_rng(0).random(shape) > 0.5
    done = resample(mask, spacing, target, is_mask=True)
    np.testing.assert_array_equal(done, itk(mask, spacing, target, True))
    box = tuple(slice(n // 4, n - n // 5) for n in done.shape)
    np.testing.assert_array_equal(resample(mask, spacing, target, True, box), done[box])


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("target", [1.0, 2.0, 3.7])
def test_resampling_leaves_a_ramp_a_ramp(axis, target):
    """Value = position in mm, before and after: nothing is moved by half a voxel."""
    spacing = (2.0, 1.5, 1.5)
    position = [(np.arange(n) + 0.5) * s for n, s in zip((30, 40, 40), spacing, strict=True)]
    ramp = np.broadcast_to(np.meshgrid(*position, indexing="ij")[axis], (30, 40, 40))
    result = resample(ramp, spacing, (target,) * 3)
    expected = np.meshgrid(*[(np.arange(n) + 0.5) * target for n in result.shape], indexing="ij")[axis]
    inner = (slice(4, -4),) * 3 if target < 3 else (slice(2, -2),) * 3  # smoothing bends the ends
    np.testing.assert_allclose(result[inner], expected[inner], atol=0.05)


@pytest.mark.parametrize("is_mask", [False, True])
def test_resampling_keeps_a_point_within_half_a_voxel(is_mask):
    volume = np.zeros((24, 50, 50), bool)
    volume[10:14, 20:26, 30:36] = True
    spacing, target = (3.0, 1.0, 1.0), (5.0, 2.0, 2.0)
    result = resample(volume if is_mask else volume * 100.0, spacing, target, is_mask)
    centre = np.array([np.average(i, weights=result) + 0.5 for i in np.indices(result.shape)]) * target
    assert (abs(centre - np.array([12 * 3.0, 23.0, 33.0])) <= np.array(target) / 2).all()
    assert result.dtype == (bool if is_mask else np.float32)


@given(st.tuples(*[st.integers(2, 12)] * 3), st.tuples(*[st.floats(0.4, 8)] * 3), st.floats(0.5, 8))
@settings(max_examples=30, deadline=None)
def test_resampling_keeps_the_field_of_view_and_constants(shape, spacing, target):
    result = resample(np.full(shape, -700, np.int16), spacing, (target,) * 3)
    for n, old, s in zip(result.shape, shape, spacing, strict=True):
        assert n == max(1, round(old * s / target))
    np.testing.assert_allclose(result, -700, atol=0.01)


def test_noise_does_not_alias_where_voxels_become_larger():
    """Four voxels become one: a Gaussian of sigma 0.4 sqrt(4^2 - 1) leaves 18 % of white noise, interpolation alone a half."""
    noise = np.random.default_rng(0).normal(0, 100, (6, 120, 120))
    assert resample(noise, (1, 1, 1), (1, 4, 4)).std() == pytest.approx(18, abs=2)
