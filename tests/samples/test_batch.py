"""Stored samples as a network sees them, and what augmentation does to them."""

import numpy as np
import pytest
import torch

from covid_study.samples.batch import augment, flipped, to_input, view

AREA = (0.2, 1.0)


def test_stored_volumes_become_inputs():
    volumes = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 1, 1, 3)
    inputs = to_input(volumes)
    assert inputs.shape == (1, 1, 1, 1, 3) and inputs.dtype == torch.float32
    torch.testing.assert_close(inputs.ravel(), torch.tensor([0, 0.2, 1]))
    assert volumes.ravel().tolist() == [0, 51, 255]


def test_augmentation_scales_by_the_range_and_flips_two_axes():
    n = 400
    base = torch.rand(1, 1, 3, 4, 5, generator=torch.Generator().manual_seed(3)) * 0.8 + 0.05
    inputs = base.repeat(n, 1, 1, 1, 1)
    out = augment(inputs, (0.9, 1.1), True, torch.Generator().manual_seed(0))
    assert torch.equal(inputs, base.repeat(n, 1, 1, 1, 1))  # what is stored stays
    versions = {(y, x): base.flip([a for a, on in ((3, y), (4, x)) if on]) for y in (0, 1) for x in (0, 1)}
    factors, counts = [], dict.fromkeys(versions, 0)
    for exam in out:
        ratios = {key: exam / version[0] for key, version in versions.items()}
        key = min(ratios, key=lambda k: float(ratios[k].std()))
        assert float(ratios[key].std()) < 1e-5  # one factor for the whole exam, head to foot as it was
        factors.append(float(ratios[key].mean()))
        counts[key] += 1
    assert 0.9 <= min(factors) < 0.905 and 1.095 < max(factors) <= 1.1 + 1e-6
    assert np.mean(factors) == pytest.approx(1.0, abs=4 * 0.2 / np.sqrt(12 * n))
    assert all(abs(count - n / 4) < 4 * np.sqrt(n * 3 / 16) for count in counts.values())


def test_exams_are_flipped_one_by_one_or_all_at_once_alike():
    inputs, drawn = torch.rand(4, 1, 2, 3, 5), torch.tensor([[True, True, False, False], [True, False] * 2])
    expected = torch.stack([inputs[0].flip(2, 3), inputs[1].flip(3), inputs[2].flip(2), inputs[3]])
    for one_by_one in (False, True):
        assert torch.equal(flipped(inputs.clone(), drawn, one_by_one), expected)


def test_augmentation_stays_within_the_window_and_can_be_turned_off():
    inputs = torch.rand(8, 1, 2, 3, 4)
    assert augment(torch.ones(50, 1, 2, 2, 2), (0.9, 1.5), True, torch.Generator().manual_seed(0)).max() == 1
    still = augment(inputs, (1.0, 1.0), False, torch.Generator().manual_seed(0))
    assert torch.equal(still, inputs)


def ramps(n: int) -> torch.Tensor:
    """(2 n, 1, 64, 64): n slices that rise from left to right, and n from top to bottom; the value is the place."""
    ramp = ((torch.arange(64.0) + 0.5) / 64).expand(n, 1, 64, 64)
    return torch.cat([ramp, ramp.transpose(2, 3)])


def test_a_view_is_a_crop_of_the_area_and_shape_that_are_said():
    n = 300
    across, down = (
        view(part, torch.Generator().manual_seed(3), area=AREA, change=0.0) for part in ramps(n).chunk(2)
    )
    step_x = across[:, 0, 32, 40] - across[:, 0, 32, 24]  # sixteen pixels of the crop
    step_y = down[:, 0, 40, 32] - down[:, 0, 24, 32]
    width, height = step_x.abs() * 4, step_y.abs() * 4
    area = width * height
    assert area.min() > 0.19 and area.max() < 1.001
    # a crop that would be wider than the slice is cut at its sides, so the smallest area is not always reached by both
    inside = (width < 0.999) & (height < 0.999)
    assert area[inside].min() < 0.25 and area[inside].max() > 0.8
    shape = (width / height)[inside]
    assert 0.749 < shape.min() < 0.8 and 1.25 < shape.max() < 1.334
    mirrored = float((step_x < 0).float().mean())
    assert (step_y > 0).all() and 0.4 < mirrored < 0.6  # never upside down, half are mirrored
    centre = across[:, 0, 32, 31:33].mean(1)  # the crop lies anywhere inside the slice
    assert (centre >= width / 2 - 0.01).all() and (centre <= 1 - width / 2 + 0.01).all()
    assert centre.std() > 0.05


def test_brightness_and_contrast():
    grey = view(torch.full((400, 1, 4, 4), 0.5), torch.Generator().manual_seed(0), AREA, 0.4)
    level = grey[:, 0, 0, 0]
    torch.testing.assert_close(
        grey, level[:, None, None, None].expand_as(grey)
    )  # contrast leaves one grey alone
    assert 0.3 <= level.min() < 0.32 and 0.68 < level.max() <= 0.7
    noise = torch.rand(50, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    views = view(noise, torch.Generator().manual_seed(0), AREA, 0.4)
    assert views.min() >= 0 and views.max() <= 1
