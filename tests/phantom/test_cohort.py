"""The synthetic cohort: reproducible, within Table I of paper A, and ill in the way each finding is."""

import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from refusals import refused
from scipy.ndimage import distance_transform_edt

from covid_study.cohort.exams import COLUMNS
from covid_study.errors import StudyError
from covid_study.phantom import cohort, lesions, scanner

COARSE = dict(matrix=64, thickness_mm=(8.0, 10.0))
COUNTS = {
    "train": {"covid": 40, "cap": 30, "non_pneumonia": 30},
    "validation": {"covid": 5, "cap": 4},
    "test": {"covid": 20, "non_pneumonia": 9},
}


def ids_of(finding: str, kind: str, count: int, seed: int = 0) -> list[str]:
    found = (f"{finding}-{n:04d}-a" for n in range(5000))
    return [
        i for i, _ in zip((i for i in found if cohort.kind_of(i, seed) == kind), range(count), strict=False)
    ]


@pytest.fixture(scope="module")
def exams() -> dict[str, list[cohort.PhantomExam]]:
    kinds = {k: f for f, shares in lesions.KINDS.items() for k in shares}
    return {k: [cohort.make_exam(i, 0, **COARSE) for i in ids_of(f, k, 8)] for k, f in kinds.items()}


def test_same_exam_twice_is_equal_and_other_seeds_and_visits_differ():
    first, again = (cohort.make_exam("covid-0003-a", 5, **COARSE) for _ in range(2))
    assert np.array_equal(first.volume.hu, again.volume.hu) and first.volume.protocol == again.volume.protocol
    assert np.array_equal(first.lungs, again.lungs) and np.array_equal(first.lesions, again.lesions)
    for exam_id, seed in (("covid-0003-a", 6), ("covid-0003-b", 5), ("covid-0004-a", 5)):
        other = cohort.make_exam(exam_id, seed, **COARSE)
        assert other.volume.hu.shape != first.volume.hu.shape or not np.array_equal(
            other.volume.hu, first.volume.hu
        )


def test_another_process_makes_the_same_exam():
    code = (
        "from covid_study.phantom import cohort as phantom; e = phantom.make_exam('cap-0002-a', 1, 64, (8, 10));"
        "print(int(e.volume.hu.astype('int64').sum()), int(e.lesions.sum()))"
    )
    other = os.environ | {"PYTHONHASHSEED": "77"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=other)
    out = done.stdout.split()
    here = cohort.make_exam("cap-0002-a", 1, **COARSE)
    assert [int(n) for n in out] == [int(here.volume.hu.astype("int64").sum()), int(here.lesions.sum())]


def test_visits_share_anatomy_but_not_lesions():
    a, b = (cohort.make_exam(i, 0, **COARSE) for i in ("covid-0006-a", "covid-0006-b"))
    volume = [e.lungs.sum() * np.prod(e.volume.spacing_mm) for e in (a, b)]
    assert volume[0] == pytest.approx(volume[1], rel=0.15)  # only the breath differs
    assert a.volume.protocol["centre"] == b.volume.protocol["centre"]
    assert a.lesions.sum() != b.lesions.sum()


def test_cohort_has_the_counts_and_keeps_patients_in_one_split():
    table = cohort.cohort(0, COUNTS)
    assert tuple(table.columns) == tuple(COLUMNS)
    sizes = table.groupby(["split", "finding"]).size()
    assert all(
        sizes[split, finding] == n for split, wanted in COUNTS.items() for finding, n in wanted.items()
    )
    assert table.exam_id.is_unique
    assert (table.groupby("patient_id").split.nunique() == 1).all()
    assert table.equals(cohort.cohort(0, COUNTS)) and not table.equals(cohort.cohort(1, COUNTS))
    exam = table.iloc[7]
    assert cohort.make_exam(exam.exam_id, 0, **COARSE).volume.protocol["centre"] == exam.centre


def test_exams_a_patient_are_those_of_the_paper():
    table = cohort.cohort(3, {"train": {"covid": 3000, "non_pneumonia": 3000}})
    ratio = (
        table.groupby("finding").apply(len, include_groups=False)
        / table.groupby("finding").patient_id.nunique()
    )
    assert ratio["covid"] == pytest.approx(305 / 251, abs=0.03)
    assert ratio["non_pneumonia"] == pytest.approx(1498 / 1475, abs=0.01)


def test_centre_says_nothing_about_the_finding():
    table = cohort.cohort(2, {"train": {"covid": 1200, "cap": 1200, "non_pneumonia": 1200}})
    share = table.groupby("finding").centre.value_counts(normalize=True).unstack()
    assert share.shape[1] == len(scanner.CENTRES)
    assert share.to_numpy() == pytest.approx(1 / share.shape[1], abs=0.035)


def test_protocols_lie_within_table_one():
    for i in cohort.cohort(0, {"train": {"covid": 12, "cap": 12, "non_pneumonia": 12}}).exam_id:
        centre = cohort._centre(0, i[:-2])
        anatomy = cohort.phantom_anatomy.build(cohort.generator(0, "anatomy", i[:-2]))
        grid, protocol = scanner.place(anatomy, centre, cohort.generator(0, "place", i), 512, (0.5, 10.0))
        assert 0.482 <= protocol["pixel_spacing_mm"] <= 0.977 and 0.5 <= protocol["slice_thickness_mm"] <= 10
        assert (
            100 <= protocol["kvp"] <= 140 and 24 <= protocol["n_slices"] <= 1309 and protocol["matrix"] == 512
        )
        assert grid.shape == (protocol["n_slices"], 512, 512)
        assert 512 * grid.spacing[1] > 2 * anatomy.half_width  # the lungs fit


def test_thickness_is_clipped():
    assert cohort.make_exam("cap-0001-a", 0, 32, (6.0, 6.0)).volume.spacing_mm[0] == 6.0


def test_hounsfield_units_and_masks_are_those_of_a_chest(exams):
    volumes = []
    for exam in (e for group in exams.values() for e in group):
        hu, lungs = exam.volume.hu, exam.lungs
        assert hu.dtype == np.int16 and hu.min() >= -1024 and 300 < hu.max() <= 3071
        assert hu.shape == lungs.shape == exam.lesions.shape and exam.lesions.dtype == lungs.dtype == bool
        assert not (exam.lesions & ~lungs).any()
        assert -930 < np.median(hu[lungs]) < -740
        assert not lungs[0].any() and not lungs[-1].any()  # whole lungs, with something below and above
        assert not lungs[:, [0, -1]].any() and not lungs[:, :, [0, -1]].any()
        volumes.append(lungs.sum() * np.prod(exam.volume.spacing_mm) / 1e6)
        middle = np.argwhere(lungs).mean(0).round().astype(int)
        assert (
            np.median(hu[middle[0], middle[1] - 2 : middle[1] + 3, middle[2] - 1 : middle[2] + 2]) > -150
        )  # mediastinum
    assert min(volumes) > 2.2 and max(volumes) < 7.5 and 3.3 < np.mean(volumes) < 5.5
    assert np.std(volumes) > 0.4  # patients differ


def test_left_lung_is_smaller_and_trachea_is_no_lung():
    exam = cohort.make_exam("non_pneumonia-0001-a", 0, 128, (3.0, 5.0))
    x = np.argwhere(exam.lungs)[:, 2]
    halves = (x < 63.5).sum(), (x > 63.5).sum()
    assert 0.6 < halves[1] / halves[0] < 1.0
    top = np.flatnonzero(exam.lungs.any((1, 2))).max() - 4
    lumen = (exam.volume.hu[top] < -900) & ~exam.lungs[top]
    assert lumen[40:90, 54:74].any()


def load(exam):
    return exam.lesions.sum() / exam.lungs.sum()


def test_typical_covid_is_bilateral_basal_and_peripheral(exams):
    low, high, edge = [], [], {"typical": [], "lobar": []}
    for exam in exams["typical"]:
        z, _, x = np.nonzero(exam.lesions)
        lung = np.nonzero(exam.lungs)
        middle = np.median(lung[2])
        assert (x < middle).any() and (x > middle).any()
        cut = np.median(lung[0])
        low.append((z < cut).sum())
        high.append((z >= cut).sum())
    assert sum(low) > 1.4 * sum(high)
    for kind in edge:
        for exam in exams[kind]:
            depth = distance_transform_edt(exam.lungs, exam.volume.spacing_mm)
            edge[kind].append(depth[exam.lesions].mean() / depth[exam.lungs].mean())
    assert np.mean(edge["typical"]) < np.mean(edge["lobar"])


def test_lesion_loads_are_graded(exams):
    loads = {kind: np.array([load(e) for e in group]) for kind, group in exams.items()}
    assert loads["clean"].max() == 0
    assert (
        loads["early"].max() < loads["typical"].min() + 0.01
        and loads["early"].mean() < 0.1 * loads["typical"].mean()
    )
    assert loads["typical"].max() > 3 * loads["typical"].min()
    assert loads["nodules"].max() < 0.01 and loads["emphysema"].min() > 0
    assert loads["lobar"].mean() > 0.01 and loads["mimic"].mean() > 0.01


def test_ground_glass_is_denser_than_lung_and_emphysema_is_not(exams):
    def mean(kind):
        return np.mean([e.volume.hu[e.lesions].mean() for e in exams[kind] if e.lesions.any()])

    assert -720 < mean("typical") < -450 and -720 < mean("mimic") < -400
    assert mean("lobar") > -350 and mean("emphysema") < -880
    whole = {kind: np.mean([e.volume.hu[e.lungs].mean() for e in exams[kind]]) for kind in exams}
    assert whole["typical"] > whole["clean"] + 15


def test_the_contrast_makes_lesions_larger_and_denser(monkeypatch):
    def made(contrast):
        monkeypatch.setattr(lesions, "LESION_CONTRAST", contrast)
        exam = cohort.make_exam(ids_of("covid", "typical", 1)[0], 0, **COARSE)
        return load(exam), exam.volume.hu[exam.lungs].mean()

    (small, faint), (middle, usual), (large, dense) = (made(c) for c in (0.5, 1.0, 1.6))
    assert small < middle < large and faint < usual < dense


def test_matrix_changes_the_sampling_not_the_patient():
    coarse, fine = (cohort.make_exam("covid-0001-a", 0, matrix, (5.0, 5.0)) for matrix in (96, 256))
    assert coarse.kind == fine.kind and len(coarse.volume.hu) == len(fine.volume.hu)
    for mask in ("lungs", "lesions"):
        ml = [getattr(e, mask).sum() * np.prod(e.volume.spacing_mm) / 1e3 for e in (coarse, fine)]
        assert ml[0] == pytest.approx(ml[1], rel=0.12)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        *(
            (partial(cohort.make_exam, bad, 0), "covid-0007-a")
            for bad in ("covid-7-a", "flu-0001-a", "covid-0001-d", "")
        ),
        (partial(cohort.make_exam, "covid-0001-a", 0, 64, (5, 2)), "thickness_mm"),
    ],
)
def test_what_is_impossible_says_why(call, says):
    refused(StudyError, call, says)
