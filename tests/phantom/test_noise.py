"""The noise of the phantom's scanner against what it says of itself."""

import numpy as np
import pytest

from covid_study.phantom.noise import noise_of


@pytest.mark.parametrize("sharp", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    ("thickness", "pixel", "sd"), [(5, 0.7, 1), (1.25, 0.7, 2), (20, 0.7, 0.5), (5, 0.5, 1), (5, 0.75, 0.943)]
)
def test_noise_falls_with_the_root_of_thickness_and_with_large_pixels(sharp, thickness, pixel, sd):
    noise, factor = noise_of(np.random.default_rng(0), (8, 200, 200), sharp, thickness, pixel)
    inside = noise[:, 10:-10, 10:-10] * factor  # borders are not smoothed
    assert inside.std() == pytest.approx(sd, rel=0.02)
    assert abs(inside.mean()) < 0.02 * sd
