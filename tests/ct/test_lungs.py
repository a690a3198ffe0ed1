"""Lung masks: Dice against the phantom's truth, whatever the grid and the field of view; real chests by their anatomy."""

from functools import partial

import numpy as np
import pytest
from refusals import refused
from scipy import ndimage

from covid_study.ct import files
from covid_study.ct.consolidation import with_consolidation
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


def columns(hu, spacing, truth, low, high):
    """The exam with only some columns."""
    return hu[:, :, low:high], spacing, truth[:, :, low:high]


def finer(hu, spacing, truth):
    """A grid finer than the working grid, of which it is no whole multiple."""
    fine = [np.repeat(np.repeat(a, 3, 1), 3, 2)[:, :-1, :-2] for a in (hu, truth)]
    return fine[0], (spacing[0], spacing[1] / 3, spacing[2] / 3), fine[1]


def touching(hu, spacing, truth):
    """The body touches the edge of the field of view."""
    body = np.flatnonzero((hu > -300).any((0, 1)))
    return columns(hu, spacing, truth, body[0] + 2, body[-1] - 1)


def narrow(hu, spacing, truth, cut_mm):
    """The lungs are cut off by the field of view."""
    (first, last), cut = box(truth)[2], round(cut_mm / spacing[2])
    return columns(hu, spacing, truth, first + cut, last - cut)


def without(hu, spacing, truth, end):
    """The scan misses an end of the lungs."""
    (low, high), _, _ = box(truth)
    kept = slice(None, high - 8) if end == "apex" else slice(low + 12, None)
    return hu[kept], spacing, truth[kept]


def with_abdomen(hu, spacing, truth, slices=60):
    below = np.repeat(hu[:1], slices, axis=0)
    return np.concatenate([below, hu]), spacing, np.concatenate([np.zeros_like(below, bool), truth])


@pytest.mark.parametrize(
    ("change", "how", "least"),
    [
        (finer, (), 0.975),
        (touching, (), 0.975),
        (narrow, (10,), 0.97),
        (narrow, (30,), 0.97),
        (without, ("apex",), 0.97),
        (without, ("base",), 0.97),
        (with_abdomen, (), 0.975),
    ],
)
def test_whatever_the_grid_and_the_field_of_view(parts, change, how, least):
    hu, spacing, truth = change(*parts, *how)
    before = hu.copy()
    assert dice(lung_mask(hu, spacing), truth) > least
    np.testing.assert_array_equal(hu, before)


def test_padding_outside_a_round_field_of_view_is_no_lung(parts):
    hu, spacing, truth = parts
    _, rows, columns = box(truth)
    y, x = np.indices(hu.shape[1:])
    outside = np.hypot(y - rows.mean(), x - columns.mean()) > (columns[1] - columns[0]) / 2 - 3
    hu[:, outside], truth[:, outside] = -1024, False
    mask = lung_mask(hu, spacing)
    assert not mask[:, outside].any()
    assert dice(mask, truth) > 0.93


@pytest.mark.parametrize("radius_mm", [25, 50])
def test_gas_in_the_stomach_is_no_lung(parts, radius_mm):
    hu, spacing, truth = with_abdomen(*parts, 24)
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


def test_no_lungs_and_lungs_too_small_are_an_error_that_names_the_exam(parts):
    hu, spacing, truth = parts
    hu[truth] = 30
    small = hu.copy()
    small[30:32][truth[30:32]] = -850
    for volume in (np.full_like(hu, 40), np.full_like(hu, -1000), hu, small):
        refused(ExamError, partial(lung_mask, volume, spacing, "P007"), "exam P007", "300", "What to do")


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


def test_a_thick_consolidation_with_lung_above_and_below_belongs_to_the_lung():
    """Open towards the mediastinum, with lung behind and at the side: only the lung above and below it says what it is."""
    aerated = np.zeros((30, 80, 140), bool)
    aerated[2:28, 10:70, 10:66] = aerated[2:28, 10:70, 74:130] = True
    aerated[12:18, 25:50, 30:66] = False  # 30 mm high, 50 mm deep, up to 76 mm beside the midline
    v = np.where(aerated, -850.0, 40.0)
    found = with_consolidation(aerated, v, np.zeros_like(aerated), (5.0, 2.0, 2.0))
    assert found[12:18, 28:47, 32:41].all() and not found[12:18, 28:47, 50:66].any()


def test_a_vessel_that_runs_out_of_the_lung_belongs_to_it():
    aerated = np.zeros((12, 80, 140), bool)
    aerated[2:10, 10:70, 10:66] = aerated[2:10, 10:70, 74:130] = True
    aerated[6, 40:43, 10:66] = False  # 5 x 6 mm, from the hilum to the chest wall
    v = np.where(aerated, -850.0, 40.0)
    found = with_consolidation(aerated, v, np.zeros_like(aerated), (5.0, 2.0, 2.0))
    assert found[6, 40:43, 14:62].all() and not found[:, :10].any()


def with_left_lung(parts, hu):
    """The exam with another left lung: its HU given as a function of those it has."""
    values, spacing, lungs = parts
    left = lungs & (
        np.arange(lungs.shape[2]) > np.average(np.arange(lungs.shape[2]), weights=(values > -200).sum((0, 1)))
    )
    values[left] = hu(values[left])
    return values, spacing, lungs, left


@pytest.mark.parametrize("kind", ["emphysema", "pneumothorax"])
def test_a_lung_as_empty_as_gas_is_no_gas(parts, kind):
    rng = np.random.default_rng(0)
    hu = {
        "emphysema": lambda was: rng.normal(-970, 20, was.shape),
        "pneumothorax": lambda was: np.full(was.shape, -1000),
    }
    values, spacing, lungs, left = with_left_lung(parts, hu[kind])
    mask = lung_mask(values, spacing)
    assert dice(mask, lungs) > 0.95 and mask[left].mean() > 0.95


def test_a_lung_without_any_air_is_said(parts):
    values, spacing, *_ = with_left_lung(parts, lambda was: np.full(was.shape, 30))
    refused(ExamError, partial(lung_mask, values, spacing, "E7"), "E7", "only one lung")
