"""Section 3.1 of paper B against the phantom's known lungs and lesions, on made slices, and on real exams."""

import numpy as np
import pytest
from refusals import refused

from covid_study.cohort import exam_layouts
from covid_study.cohort.slices import choose
from covid_study.ct import files
from covid_study.ct.lungs import lung_mask
from covid_study.ct.to_slice import exam_slices, preprocess_slice, resize, to_grey
from covid_study.ct.volume import Volume
from covid_study.errors import ExamError
from covid_study.phantom import cohort


def chest(n=200, lung=-850):
    """Two lungs with a heart between them, a trachea, a table, at 2 mm a pixel."""
    y, x = np.mgrid[:n, :n] * (400 / n)

    def ellipse(cy, cx, ry, rx):
        return ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1

    hu = np.full((n, n), -1000.0)
    hu[ellipse(200, 200, 130, 170)] = 40
    hu[ellipse(200, 120, 90, 55)] = hu[ellipse(200, 280, 90, 55)] = lung
    hu[ellipse(150, 200, 9, 9)] = -990
    hu[360:368, 40:160] = -200
    return hu, ellipse(200, 120, 90, 55) | ellipse(200, 280, 90, 55)


def test_the_window_and_the_threshold_are_the_papers():
    assert to_grey(np.array([-5000.0, -1150.0, -400.0, 350.0, 3000.0])).tolist() == [0, 0, 128, 255, 255]
    hu, _ = chest()
    steps = preprocess_slice(hu, (2, 2), 200, steps=True).steps
    np.testing.assert_array_equal(steps["below 170"], hu < -150)
    assert list(steps) == [
        "window", "below 170", "opened, room filled", "largest parts", "convex hulls", "multiplied", "the network's input",
    ]  # fmt: skip


def test_only_the_lungs_are_left():
    hu, lungs = chest()
    done = preprocess_slice(hu, (2, 2), 200, steps=True)
    assert (done.lungs & lungs).sum() / lungs.sum() > 0.995 and (
        done.lungs & ~lungs
    ).sum() / lungs.sum() < 0.01
    np.testing.assert_array_equal(done.image, to_grey(hu) * done.lungs)  # nothing to resize
    assert done.image[100, 60] == 51 and not done.image[75, 100] and not done.image[100, 100]


def test_a_lesion_at_the_wall_and_its_vessels_come_in():
    hu, lungs = chest()
    hu[96:110, 32:45][lungs[96:110, 32:45]] = 30  # as dense as the wall that it touches
    hu[80, 45:70] = 60
    done = preprocess_slice(hu, (2, 2), 200)
    assert (done.lungs & lungs).sum() / lungs.sum() > 0.99
    assert done.image[102, 40] == to_grey(np.array(30.0)) and done.image[80, 60] == to_grey(np.array(60.0))


def test_a_lung_parted_by_consolidation_has_one_hull():
    hu, lungs = chest()
    hu[95:104][lungs[95:104]] = 30
    steps = preprocess_slice(hu, (2, 2), 200, steps=True).steps
    assert not steps["largest parts"][99].any() and steps["convex hulls"][99, 60]
    assert (steps["convex hulls"] & lungs).sum() / lungs.sum() > 0.99
    assert not steps["convex hulls"][99, 100]  # between the two lungs


def test_padding_outside_a_round_field_of_view_is_room_and_without_lungs_it_is_black():
    hu, lungs = chest()
    y, x = np.mgrid[:200, :200]
    hu[np.hypot(y - 99.5, x - 99.5) > 100] = -3024
    assert np.mean(preprocess_slice(hu, (2, 2), 200).lungs == lungs) > 0.99
    for value in (-1000.0, 40.0):
        done = preprocess_slice(np.full((64, 64), value), (5, 5), 32)
        assert not done.lungs.any() and not done.image.any() and done.image.shape == (32, 32)


@pytest.mark.parametrize("size", [32, 100, 224])
def test_resizing_keeps_means_and_areas(size):
    hu, lungs = chest(512)
    image = to_grey(hu)
    assert resize(image, size).mean() == pytest.approx(image.mean(), abs=0.7)
    assert resize(lungs, size).mean() == pytest.approx(lungs.mean(), rel=0.04)
    assert resize(lungs, size).dtype == bool


@pytest.fixture(scope="module")
def exams():
    """Every kind of case, at the resolution of the demo."""
    ids = [f"{finding}-{n:04d}-a" for finding in ("covid", "cap", "non_pneumonia") for n in range(4)]
    return {exam: cohort.make_exam(exam, 2020, 128, (5, 10)) for exam in ids}


def test_the_hulls_cover_the_true_lungs(exams):
    covered, ill = [], []
    for exam in exams.values():
        middle = choose(exam.lungs.sum((1, 2)), 3)[1]
        done = preprocess_slice(
            exam.volume.hu[middle], exam.volume.spacing_mm[1:], 128
        )  # the size of the exam: nothing is resized
        lungs, lesions = exam.lungs[middle], exam.lesions[middle]
        covered.append((done.lungs & lungs).sum() / lungs.sum())
        ill += [(done.lungs & lesions).sum() / lesions.sum()] if lesions.any() else []
        assert (
            done.lungs & ~lungs
        ).sum() < 0.5 * lungs.sum()  # heart and great vessels in the hulls, no more
    assert min(covered) > 0.97 and np.median(covered) > 0.995
    assert len(ill) > 5 and min(ill) > 0.85


def test_the_lesions_of_a_slice_are_the_truth(exams):
    for name, exam in exams.items():
        truth = {"lungs": exam.lungs, "lesions": exam.lesions}
        cut = exam_slices(exam.volume, truth, name, 4, 64)
        dz, dy, dx = exam.volume.spacing_mm
        assert len(cut.rows) == len(cut.images) == len(cut.lungs) == len(cut.lesions) == 4
        for row in cut.rows.itertuples():
            z = int(row.slice_id.removeprefix(f"{name}/"))
            assert row.position_mm == pytest.approx(z * dz)
            assert row.lesion_area_mm2 == pytest.approx(exam.lesions[z].sum() * dy * dx)
            assert row.lung_area_mm2 == pytest.approx(exam.lungs[z].sum() * dy * dx)
            assert row.lesion_share == pytest.approx(exam.lesions[z].sum() / exam.lungs[z].sum())
            np.testing.assert_array_equal(cut.lesions[row.Index], resize(exam.lesions[z], 64))
            same = preprocess_slice(exam.volume.hu[z], (dy, dx), 64)
            np.testing.assert_array_equal(cut.images[row.Index], same.image)
    assert any(exam.lesions.any() for exam in exams.values())


def test_without_the_truth_the_lungs_are_masked_and_lesions_unknown(exams):
    exam = exams["covid-0001-a"]
    cut = exam_slices(exam.volume, None, "x", 3, 64)
    known = exam_slices(exam.volume, {"lungs": exam.lungs, "lesions": exam.lesions}, "x", 3, 64)
    assert cut.lesions is None and cut.rows[["lesion_area_mm2", "lesion_share"]].isna().all(axis=None)
    np.testing.assert_allclose(cut.rows["lung_area_mm2"], known.rows["lung_area_mm2"], rtol=0.1)
    np.testing.assert_allclose(cut.rows["position_mm"], known.rows["position_mm"], atol=10.1)


def test_an_exam_without_lungs_is_named():
    water = Volume(np.full((20, 64, 64), 10, np.int16), (5.0, 5.0, 5.0))
    refused(ExamError, lambda: exam_slices(water, None, "W", 3, 32), "exam W", "What to do")


def test_real_exams(real_data):
    table = exam_layouts.find_exams(real_data / "covid-ct-md").query("finding != 'non_pneumonia'")
    for row in table[::2].itertuples():  # one with COVID-19, one with CAP
        volume = files.read_volume(row.path, row.exam_id)
        mask = lung_mask(volume.hu, volume.spacing_mm)
        for z in choose(mask.sum((1, 2)), 4)[1:]:  # the lowest slice may hold gas of the colon
            lungs = preprocess_slice(volume.hu[z], volume.spacing_mm[1:], 512).lungs
            assert (lungs & mask[z]).sum() / mask[z].sum() > 0.98
            assert (lungs & ~mask[z]).sum() / mask[z].sum() < 0.5


def test_the_crop_is_the_square_around_the_lungs():
    """A box of lung 20 wide and 10 high, at 1 pixel a pixel: the crop is 20 x 20, black above and below what there is."""
    body = np.full((64, 64), -1000)
    body[2:62, 2:62] = 40
    body[10:20, 20:29] = body[10:20, 31:40] = -850
    whole, done = preprocess_slice(body, (5, 5), 64), preprocess_slice(body, (5, 5), 20, crop=True)
    rows, columns = done.frame
    assert (rows.stop - rows.start, columns.start, columns.stop) == (20, 20, 40)
    padded = np.pad(whole.image, 20)[20 + rows.start : 20 + rows.stop, 40:60]
    np.testing.assert_array_equal(done.image, padded)
    assert done.lungs.sum() == whole.lungs.sum()


def test_a_crop_may_reach_beyond_the_slice():
    body = np.full((64, 64), 40)
    body[2:8, 4:30] = body[2:8, 34:60] = -850
    whole = preprocess_slice(body, (5, 5), 64)
    columns = np.flatnonzero(whole.lungs.any(0))
    done = preprocess_slice(body, (5, 5), columns[-1] - columns[0] + 1, crop=True)
    assert done.frame[0].start < 0 and done.lungs.sum() == whole.lungs.sum() > 0


def test_the_masks_of_a_cropped_exam_lie_where_its_image_does():
    exam = cohort.make_exam("covid-0000-a", 2020, 96, (10, 10))
    truth = {"lungs": exam.lungs, "lesions": exam.lesions}
    cut = exam_slices(exam.volume, truth, "x", 2, 64, crop=True)
    assert (cut.images[cut.lungs] > 0).mean() > 0.97
    assert cut.lungs.mean() > exam_slices(exam.volume, truth, "x", 2, 64).lungs.mean()
