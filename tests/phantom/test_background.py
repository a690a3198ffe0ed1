"""Lesions of the phantom in real bodies: where the truth says and nowhere else, as many as in the phantom, always the same."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from covid_study.analysis import exam_pictures
from covid_study.ct.lungs import lung_mask
from covid_study.ct.volume import Volume
from covid_study.errors import StudyError
from covid_study.figures import pictures
from covid_study.phantom import background, cohort as phantom, lesions as phantom_lesions, real_bodies

SEED = 2020
COARSE = dict(matrix=80, thickness_mm=(6.0, 6.0))
KINDS = {kind: finding for finding, shares in phantom_lesions.KINDS.items() for kind in shares}


def ids_of(kind: str, count: int) -> list[str]:
    found = (f"{KINDS[kind]}-{n:04d}-a" for n in range(200))
    return [exam for exam in found if phantom.kind_of(exam, SEED) == kind][:count]


@pytest.fixture(scope="module")
def body() -> real_bodies.Body:
    """A clean exam of the phantom stands for a real one; its own lungs are not given away."""
    volume = phantom.make_exam("non_pneumonia-0002-a", SEED, **COARSE).volume
    return real_bodies.Body(volume, lung_mask(volume.hu, volume.spacing_mm))


@pytest.fixture(scope="module")
def exams(body) -> dict[str, list[background.RealBodied]]:
    return {kind: [background.make_exam(i, SEED, body) for i in ids_of(kind, 3)] for kind in KINDS}


def test_hu_changes_where_the_truth_says_lesion_and_nowhere_else(exams):
    for kind, made in exams.items():
        for exam in made:
            changed = exam.volume.hu != exam.before
            assert not (changed & ~exam.lesions).any(), kind
            assert not (exam.lesions & ~exam.lungs).any(), kind
            if kind in ("typical", "mimic", "lobar"):
                assert changed[exam.lesions].mean() > 0.8
    assert not any(exam.lesions.any() for exam in exams["clean"])


def test_ground_glass_is_denser_than_the_lung_was_and_holes_are_emptier(exams):
    def change(kind):
        return np.concatenate([(e.volume.hu.astype(int) - e.before)[e.lesions] for e in exams[kind]])

    assert change("typical").min() >= 0 and 100 < change("typical").mean() < 350
    assert change("lobar").min() >= 0 and change("lobar").mean() > 250
    assert change("emphysema").max() <= 0 and change("emphysema").mean() < -20


def test_vessels_stay_visible_in_a_lesion_and_beside_a_hole(exams):
    made = exams["typical"] + exams["mimic"]
    vessels = [exam.lesions & (exam.before > -300) for exam in made]
    kept = [exam.volume.hu[v] == exam.before[v] for exam, v in zip(made, vessels, strict=True)]
    assert sum(map(len, kept)) > 10 and np.concatenate(kept).mean() > 0.8
    for exam in exams["emphysema"]:
        vessels = exam.lungs & (exam.before > -300)
        assert vessels.sum() > 10 and (exam.volume.hu == exam.before)[vessels].all()


def test_lesions_keep_the_noise_of_the_scan(body):
    """Parenchyma of one density under noise: it is as rough inside lesions as it was before."""
    rng = np.random.default_rng(0)
    hu = np.where(body.lungs, -860, body.volume.hu) + rng.normal(0, 25, body.lungs.shape)
    ill, lesions = background.with_lesions(
        hu.astype(np.float32), body.lungs, body.volume.spacing_mm, "mimic", np.random.default_rng(2)
    )
    rough = [np.diff(values, axis=2)[lesions[:, :, 1:] & lesions[:, :, :-1]] for values in (hu, ill)]
    spread = [np.median(np.abs(values)) for values in rough]
    assert spread[1] > 0.8 * spread[0]


def test_load_is_near_the_phantoms_own(exams):
    for kind, (low, high) in {"typical": (0.4, 2.5), "mimic": (0.4, 2.5), "lobar": (0.25, 4)}.items():
        own = [phantom.make_exam(exam, SEED, **COARSE) for exam in ids_of(kind, 3)]
        loads = [np.mean([e.lesions.sum() / e.lungs.sum() for e in of]) for of in (exams[kind], own)]
        assert low < loads[0] / loads[1] < high, (kind, loads)


def test_typical_covid_is_on_both_sides_low_and_at_the_pleura(exams):
    low = []
    for exam in exams["typical"]:
        z, _, x = np.nonzero(exam.lesions)
        lung = np.nonzero(exam.lungs)
        right = x < np.median(lung[2])
        assert 0.1 < right.mean() < 0.9
        low.append((z < np.median(lung[0])).mean())
    assert np.mean(low) > 0.55


def test_left_stays_left(body):
    """A mark in the patient's right lung lies in the right lung of every exam made of the body."""
    columns = np.flatnonzero(body.lungs.any((0, 1)))
    middle = int(columns.mean())
    marked = body.volume.hu.copy()
    marked[:, :, :middle][body.lungs[:, :, :middle]] = 1500
    one_sided = real_bodies.Body(Volume(marked, body.volume.spacing_mm), body.lungs)
    for patient in range(3):
        hu, lungs, _ = background.deformed(
            one_sided, np.random.default_rng(patient), np.random.default_rng(patient + 9)
        )
        x = np.nonzero((hu > 1300) & lungs)[2]
        assert np.percentile(x, 99) < middle + 3


def test_a_body_differs_from_patient_to_patient_a_little(body):
    size = body.lungs.sum() * np.prod(body.volume.spacing_mm)
    made = [background.deformed(body, np.random.default_rng(n), np.random.default_rng(n)) for n in range(4)]
    volumes = [lungs.sum() * np.prod(spacing) / size for _, lungs, spacing in made]
    assert np.ptp(volumes) > 0.03 and min(volumes) > 0.8 and max(volumes) < 1.2
    assert all(hu.shape == body.lungs.shape for hu, _, _ in made)
    dice = 2 * (made[0][1] & made[1][1]).sum() / (made[0][1].sum() + made[1][1].sum())
    assert 0.85 < dice < 0.995


def test_without_stretching_bending_and_turning_the_body_is_itself(body, monkeypatch):
    for name in ("STRETCH", "BEND_MM", "TURN_DEGREES"):
        monkeypatch.setattr(background, name, 0.0)
    hu, lungs, spacing = background.deformed(body, np.random.default_rng(0), np.random.default_rng(1))
    assert np.abs(hu - body.volume.hu).max() < 0.5 and (lungs == body.lungs).all()
    assert spacing == body.volume.spacing_mm


def test_visits_share_the_body_but_not_the_lesions(body):
    a, b = (background.make_exam(exam, SEED, body) for exam in ("covid-0006-a", "covid-0006-b"))
    assert a.volume.spacing_mm == b.volume.spacing_mm
    assert not np.array_equal(a.lesions, b.lesions) and not np.array_equal(a.before, b.before)


def test_another_process_makes_the_same_exam(exams):
    code = (
        "from covid_study.ct import lungs;"
        "from covid_study.phantom import cohort as phantom, background as g, real_bodies as b;"
        f"v = phantom.make_exam('non_pneumonia-0002-a', {SEED}, 80, (6, 6)).volume;"
        f"e = g.make_exam({ids_of('typical', 1)[0]!r}, {SEED}, b.Body(v, lungs.lung_mask(v.hu, v.spacing_mm)));"
        "print(int(e.volume.hu.astype('int64').sum()), int(e.lesions.sum()))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    here = exams["typical"][0]
    assert [int(n) for n in out.split()] == [here.volume.hu.astype("int64").sum(), here.lesions.sum()]


def test_an_id_that_is_none_says_what_an_id_is(body):
    with pytest.raises(StudyError, match="covid-0007-a"):
        background.make_exam("P001", SEED, body)


def test_a_real_exam_falls_ill_and_its_lungs_are_still_found(real_data):
    folder = real_data / "covid-ct-md" / "Normal subjects"
    first = sorted(folder.iterdir())[0]
    body = real_bodies.read_body(first, first.name, 128, 5.0)
    exam = background.make_exam("covid-0001-a", SEED, body)
    assert exam.kind == "typical" and 0.03 < exam.lesions.sum() / exam.lungs.sum() < 0.6
    mask = lung_mask(exam.volume.hu, exam.volume.spacing_mm)
    assert 2 * (mask & exam.lungs).sum() / (mask.sum() + exam.lungs.sum()) > 0.95
    assert (exam.lesions & mask).sum() / exam.lesions.sum() > 0.9


def test_examples_show_each_kind_of_case_once(body, monkeypatch):
    exams = phantom.cohort(SEED, {"train": {"covid": 12, "cap": 8, "non_pneumonia": 8}})
    row = pd.Series({"exam_id": "real-7", "folder": "unused"})
    bodies = type("Bodies", (), {"of": lambda self, exam, split: row})()
    monkeypatch.setattr(background, "load_body", lambda folder: body)
    shown = background.examples(exams, bodies, SEED)
    kinds = {phantom.kind_of(exam, SEED) for exam in exams["exam_id"]} - {"clean"}
    assert {exam.kind for _, _, exam in shown} == kinds and len(shown) == len(kinds)
    assert all("real-7" in caption and finding == KINDS[exam.kind] for caption, finding, exam in shown)


def test_the_figure_outlines_the_lesions_and_counts_the_lungs_before_and_after(exams):
    shown = [(kind, KINDS[kind], exams[kind][0]) for kind in ("typical", "clean")]
    tiles, lungs = exam_pictures.before_and_after(shown)
    rows = np.array(pictures.grid(tiles).axes).reshape(3, 2)
    assert [len(ax.collections) for ax in rows[2]] == [1, 0]  # one is ill
    ill, clean = (lungs[kind] for kind in ("typical", "clean"))
    assert (ill["before"] != ill["after"]).any() and (clean["before"] == clean["after"]).all()
    before, after, truth = (row[0].images[0].get_array() for row in rows)
    assert not np.array_equal(before, after) and np.array_equal(after, truth)
