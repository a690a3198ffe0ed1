"""Dense lung's two shapes against the libraries that drew them before: the ball of ITK, the convex hull of scikit-image."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial import ConvexHull
from skimage.draw import polygon

from covid_study.ct.consolidation import _closed, filled_hull


@pytest.mark.parametrize("radius", [(0, 1, 2), (2, 4, 4), (5, 3, 0), (3, 9, 8)])
def test_closing_with_a_ball_is_itk_s(radius):
    mask = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(13, 30, 22)), 1.5) > 0.05
    image = sitk.ConstantPad(sitk.GetImageFromArray(mask.astype(np.uint8)), radius[::-1], radius[::-1])
    image = sitk.BinaryMorphologicalClosing(image, radius[::-1], sitk.sitkBall, 1.0, False)
    wanted = sitk.GetArrayFromImage(sitk.Crop(image, radius[::-1], radius[::-1]))
    assert wanted.sum() > mask.sum()
    np.testing.assert_array_equal(_closed(mask, 1, [1 / max(r, 0.1) for r in radius]), wanted)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_a_hull_holds_the_voxels_on_its_sides(share):
    rng = np.random.default_rng(0)
    for shape in rng.integers(4, 50, (40, 2)):
        mask = rng.random(shape) < share
        mask[shape[0] // 2, 1:3] = mask[1, 1] = True  # never all on one line
        corners = np.argwhere(mask)[ConvexHull(np.argwhere(mask)).vertices]
        wanted = np.zeros(shape, bool)
        wanted[polygon(*corners.T, shape)] = True
        np.testing.assert_array_equal(filled_hull(mask), wanted)
