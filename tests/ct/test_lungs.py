"""Lung masks: Dice against the phantom's truth, whatever the grid and the field of view; real chests by their anatomy."""

import numpy as np
import pytest
from scipy import ndimage

from covid_study.ct import files
from covid_study.ct.lungs import lung_mask
from covid_study.errors import ExamError
from covid_study.phantom import cohort

# exam of the phantom's cohort of seed 0, least Dice, least share of the lesions found
CASES = [
    ("covid-0001-a", 0.97, 0.80),  # typical
    ("covid-0003-a", 0.985, 0.90),  # early
    ("cap-0004-a", 0.98, 0.60),  # lobar: what rests on the diaphragm is missed
    ("cap-0005-a", 0.95, 0.40),  # lobar, the worst of ten
    ("non_pneumonia-0001-a", 0.985, 0.0),
    ("non_pneumonia-0003-a", 0.985, 0.0),
]


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.fixture(scope="module")
def exam():
    return cohort.make_exam("covid-0002-a", seed=0, matrix=96, thickness_mm=(5, 5))


@pytest.fixture
def parts(exam):
    return exam.volume.hu.copy(), exam.volume.spacing_mm, exam.lungs.copy()


def box(mask):
    """First and last index of a mask along z, y and x."""
    return [np.flatnonzero(mask.any(tuple(a for a in range(3) if a != axis)))[[0, -1]] for axis in range(3)]


@pytest.mark.parametrize(("exam_id", "least", "recall"), CASES)
def test_mask_agrees_with_the_phantoms_truth(exam_id, least, recall):
    exam = cohort.make_exam(exam_id, seed=0, matrix=96, thickness_mm=(5, 10))
    mask = lung_mask(exam.volume.hu, exam.volume.spacing_mm)
    assert dice(mask, exam.lungs) > least
    near = ndimage.binary_dilation(exam.lungs)  # a voxel at the border may fall on either side
    assert (mask & ~near).sum() < 0.005 * exam.lungs.sum()  # neither liver nor heart nor chest wall
    if recall:
        assert mask[exam.lesions].mean() > recall


@pytest.mark.parametrize("thickness", [0.6, 10.0])
def test_thin_and_thick_slices(thickness):
    exam = cohort.make_exam("covid-0002-a", seed=0, matrix=64, thickness_mm=(thickness, thickness))
    mask = lung_mask(exam.volume.hu, exam.volume.spacing_mm)
    assert mask.shape == exam.volume.hu.shape and mask.dtype == bool
    assert dice(mask, exam.lungs) > 0.97


def test_grid_that_is_finer_than_the_working_grid(parts):
    hu, spacing, truth = parts
    fine = [np.repeat(np.repeat(a, 3, 1), 3, 2)[:, :-1, :-2] for a in (hu, truth)]  # no whole multiple
    mask = lung_mask(fine[0], (spacing[0], spacing[1] / 3, spacing[2] / 3))
    assert dice(mask, fine[1]) > 0.975


def test_body_that_touches_the_edge_of_the_field_of_view(parts):
    hu, spacing, truth = parts
    body = np.flatnonzero((hu > -300).any((0, 1)))
    inside = slice(body[0] + 2, body[-1] - 1)
    assert dice(lung_mask(hu[:, :, inside], spacing), truth[:, :, inside]) > 0.975


@pytest.mark.parametrize("cut_mm", [10, 30])
def test_lungs_cut_off_by_the_field_of_view(parts, cut_mm):
    hu, spacing, truth = parts
    _, _, (first, last) = box(truth)
    inside = slice(first + round(cut_mm / spacing[2]), last - round(cut_mm / spacing[2]))
    assert dice(lung_mask(hu[:, :, inside], spacing), truth[:, :, inside]) > 0.97


def test_padding_outside_a_round_field_of_view_is_no_lung(parts):
    hu, spacing, truth = parts
    _, rows, columns = box(truth)
    y, x = np.indices(hu.shape[1:])
    outside = np.hypot(y - rows.mean(), x - columns.mean()) > (columns[1] - columns[0]) / 2 - 3
    hu[:, outside], truth[:, outside] = -1024, False
    mask = lung_mask(hu, spacing)
    assert not mask[:, outside].any()
    assert dice(mask, truth) > 0.93


@pytest.mark.parametrize("end", ["apex", "base"])
def test_scan_that_misses_an_end_of_the_lungs(parts, end):
    hu, spacing, truth = parts
    (low, high), _, _ = box(truth)
    kept = slice(None, high - 8) if end == "apex" else slice(low + 12, None)
    assert dice(lung_mask(hu[kept], spacing), truth[kept]) > 0.97


def with_abdomen(parts, slices):
    hu, spacing, truth = parts
    below = np.repeat(hu[:1], slices, axis=0)
    return np.concatenate([below, hu]), spacing, np.concatenate([np.zeros_like(below, bool), truth])


def test_scan_that_holds_the_abdomen(parts):
    hu, spacing, truth = with_abdomen(parts, 60)
    assert dice(lung_mask(hu, spacing), truth) > 0.975


@pytest.mark.parametrize("radius_mm", [25, 50])
def test_gas_in_the_stomach_is_no_lung(parts, radius_mm):
    hu, spacing, truth = with_abdomen(parts, 24)
    (low, _), rows, columns = box(truth)
    z, y, x = np.indices(hu.shape)
    centre = low - 2 - radius_mm / spacing[0], rows.mean() - 8 / spacing[1], columns[1] - 75 / spacing[2]
    distance = [(i - c) * s for i, c, s in zip((z, y, x), centre, spacing, strict=True)]
    gas = (np.sum(np.square(distance), axis=0) < radius_mm**2) & ~truth
    hu[gas] = -985
    mask = lung_mask(hu, spacing)
    assert not mask[gas].any()
    assert dice(mask, truth) > 0.975


def test_airways_are_no_lung(parts):
    hu, spacing, truth = parts
    _, rows, columns = box(truth)
    airways = (hu < -900) & ~truth
    middle = abs(np.arange(hu.shape[2]) - columns.mean()) * spacing[2] < 30
    airways &= middle
    airways[:, : rows[0]] = airways[:, rows[1] :] = False
    assert airways.sum() > 500
    assert lung_mask(hu, spacing)[airways].mean() < 0.05


def test_dome_of_the_liver_is_no_lung_though_lung_surrounds_it():
    z, y, x = np.indices((40, 80, 100))
    hu = np.full(z.shape, -1000, np.int16)
    hu[((y - 40) / 36) ** 2 + ((x - 50) / 46) ** 2 < 1] = 40
    for centre in (28, 72):
        hu[(((y - 40) / 26) ** 2 + ((x - centre) / 17) ** 2 < 1) & (z > 3) & (z < 36)] = -850
    liver = ((y - 40) / 15) ** 2 + ((x - 28) / 10) ** 2 < 1 - z / 16
    hu[liver] = 60
    vessel = ((y - 50) ** 2 + (x - 72) ** 2 < 4) & (z > 10) & (z < 30)
    hu[vessel] = 40
    mask = lung_mask(hu, (5.0, 3.0, 3.0))
    assert mask[liver & (z > 3)].mean() < 0.1
    assert mask[vessel & (z > 11) & (z < 29)].all()


@pytest.mark.parametrize("value", [40, -1000])
def test_volume_without_lungs_is_an_error_that_names_the_exam(value):
    volume = np.full((20, 40, 40), value, np.int16)
    with pytest.raises(ExamError, match="exam P007: no lungs were found.*What to do"):
        lung_mask(volume, (5.0, 5.0, 5.0), "P007")


def test_body_without_lungs_and_a_lung_too_small(parts):
    hu, spacing, truth = parts
    hu[truth] = 30
    with pytest.raises(ExamError, match="no lungs were found"):
        lung_mask(hu, spacing)
    hu[30:32][truth[30:32]] = -850
    with pytest.raises(ExamError, match="expected 300 to 12000 ml"):
        lung_mask(hu, spacing)


def test_input_is_left_as_it_was(parts):
    hu, spacing, _ = parts
    before = hu.copy()
    lung_mask(hu, spacing)
    np.testing.assert_array_equal(hu, before)


@pytest.mark.parametrize("name", ["P001", "P002", "cap001", "cap002", "normal001", "normal002"])
def test_real_exams(real_data, name):
    """Volume, density and extent of the lungs of a living adult; nothing dense, no gas, two sides alike."""
    (folder,) = (real_data / "covid-ct-md").glob(f"*/{name}")
    volume = files.read_volume(folder)
    hu, spacing = volume.hu[:, ::2, ::2], tuple(np.multiply(volume.spacing_mm, (1, 2, 2)))  # quick
    mask = lung_mask(hu, spacing)
    litres = mask.sum() * np.prod(spacing) / 1e6
    assert 2.5 < litres < 7.5
    assert -900 < hu[mask].mean() < -700
    assert (hu[mask] > -100).mean() < 0.04  # liver, heart or mediastinum would be 5 % and more
    assert (hu[mask] < -970).mean() < 0.035  # gas in airways or bowel
    air = np.flatnonzero(mask.any((0, 1)))
    middle = (air[0] + air[-1]) // 2
    right, left = mask[:, :, :middle].sum(), mask[:, :, middle:].sum()
    assert 0.4 < right / (right + left) < 0.65  # two lungs
    core = ndimage.binary_erosion(mask, iterations=1)
    assert hu[core].max() < 3000 and (hu[core] > 300).mean() < 0.001  # no rib
