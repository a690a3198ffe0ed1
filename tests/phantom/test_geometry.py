"""The phantom's shapes against closed forms: volumes, outlines, trees, fissures."""

import numpy as np
import pytest

from covid_study.phantom import raster
from covid_study.phantom.lesions import draw_lesions
from covid_study.phantom.organs import hull
from covid_study.phantom.patient import build
from covid_study.phantom.vessels import grow_vessel

SPACING = (2.0, 1.0, 1.0)


def canvas(label=raster.MEDIASTINUM):
    shape = (20, 40, 40)
    return np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.full(shape, label, np.uint8)


def spread(thickness, planes):
    return (np.arange(planes) + 0.5) / planes * thickness - thickness / 2


@pytest.mark.parametrize("radius", [4.0, 9.0, 13.0])
def test_a_sphere_has_its_volume_whatever_the_slice_cuts(radius):
    hu, lung, label = canvas()
    blob = np.array([[20.3, 19.6, 19.1, radius, radius, radius, 1.0, 0.0, 100.0]])
    raster.paint_ellipsoids(
        hu, lung, label, blob, (0.0, 0.0, 0.0), SPACING, spread(2.0, 3), 1 << raster.MEDIASTINUM
    )
    assert hu.sum() / 100 * 2 == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.04)
    assert hu.max() == pytest.approx(100)


def test_a_tube_has_its_volume_and_only_touches_its_own_tissue():
    hu, lung, label = canvas()
    label[:, :, 30:] = raster.WALL
    tube = np.array(
        [
            [20.0, 20.0, -20.0, 5.0, 20.0, 20.0, 80.0, 5.0, 50.0],
            [35.0, 20.0, -20.0, 3.0, 35.0, 20.0, 80.0, 3.0, 50.0],
        ]
    )
    raster.paint_tubes(
        hu, lung, label, tube, (0.0, 0.0, 0.0), SPACING, spread(2.0, 1), 1 << raster.MEDIASTINUM
    )
    assert hu.sum() / 50 * 2 == pytest.approx(np.pi * 25 * 40, rel=0.03)
    assert not hu[:, :, 30:].any()


def test_a_vessel_thinner_than_a_pixel_fades_with_its_cross_section():
    peaks = []
    for radius in (0.1, 0.2, 0.4):
        hu, lung, label = canvas(raster.LUNG)
        tube = np.array([[20.0, 20.0, -20.0, radius, 20.0, 20.0, 80.0, radius, 100.0]])
        raster.paint_tubes(hu, lung, label, tube, (0.0, 0.0, 0.0), SPACING, spread(2.0, 1), 1 << raster.LUNG)
        peaks.append(hu.max())
    assert 0 < peaks[0] < peaks[1] / 3 < peaks[2] / 9 * 1.2


def test_the_outline_holds_an_ellipsoid():
    y = np.arange(-30.0, 31.0, 1.0)
    right, left = np.full((61, 61), 50.0), np.full((61, 61), -50.0)
    hull(right, left, y[0], 1.0, y[0], 1.0, np.array([[5.0, 2.0, -3.0, 10.0, 12.0, 14.0]]))
    assert left[27, 32] == pytest.approx(15.0) and right[27, 32] == pytest.approx(-5.0)  # through the middle
    assert left[27, 38] == pytest.approx(5 + 10 * np.sqrt(1 - (6 / 12) ** 2))
    assert left[50, 32] == -50  # 23 mm away: outside


def test_a_tree_reaches_every_target_and_follows_murray():
    rng = np.random.default_rng(0)
    tubes, leaves = grow_vessel(rng.uniform(0, 100, (300, 3)), (0, 0, 0), 0.5, tip=0.5, power=3.0)
    assert tubes.shape == (300, 8) and leaves.min() == 1
    assert tubes[:, 7] == pytest.approx(0.5 * leaves ** (1 / 3))
    at_root = np.all(tubes[:, :3] == 0, axis=1)
    assert leaves[at_root].sum() == (leaves == 1).sum() - chains(leaves, tubes)


def chains(leaves, tubes):
    """Tubes with one leaf that go on into another tube: counted as tips above, but none."""
    starts = {tuple(p) for p in tubes[:, :3]}
    return sum(tuple(p) in starts for p in tubes[leaves == 1][:, 4:7])


def test_five_lobes_share_the_lungs():
    patient = build(np.random.default_rng(3))
    share = np.bincount(patient.lobe, minlength=5) / len(patient.lobe)
    assert (share > 0.03).all() and share.sum() == 1
    assert set(patient.lobe[patient.points[:, 0] > 0]) == {3, 4}
    low, high = (patient.points[patient.lobe == n, 2].mean() for n in (0, 2))
    assert low < high


def test_lobar_lesions_stay_in_their_lobe():
    patient = build(np.random.default_rng(3))
    lesions = draw_lesions(patient, "lobar", np.random.default_rng(0))
    dense = lesions[lesions[:, 12] == raster.LOBAR]
    assert len(dense) >= 2
    for row in dense:
        lobe, _ = raster.lobe_of(row[0], row[1], row[2], patient.half_depth, patient.height)
        assert (
            lobe == row[13]
            or np.min(np.linalg.norm(patient.points[patient.lobe == row[13]] - row[:3], axis=1)) < 9
        )


def test_a_lattice_is_periodic_smooth_and_exact_at_its_points():
    field = np.random.default_rng(0).uniform(-1, 1, (32, 32, 32)).astype(np.float32)
    assert raster.lattice(field, 3.0, 5.0, 7.0) == pytest.approx(field[7, 5, 3])
    assert raster.lattice(field, 3.5, 5.0, 7.0) == pytest.approx((field[7, 5, 3] + field[7, 5, 4]) / 2)
    assert raster.lattice(field, 3.2 + 32, -32 + 5.1, 7.0) == pytest.approx(
        raster.lattice(field, 3.2, 5.1, 7.0), abs=1e-5
    )
