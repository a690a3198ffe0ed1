"""Real exams as bodies: only those without pneumonia, a patient on one side, a damaged one replaced, none computed twice."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import yaml
from refusals import refused

from covid_study import paths
from covid_study.cohort.bad_exams import BadExams
from covid_study.errors import CohortError, ExamError, ParameterError, StudyError
from covid_study.params import profiles
from covid_study.phantom import cohort as phantom, real_bodies
from covid_study.samples import cohorts, volume_store
from covid_study.study import plan as planning

EXAMS = {"train": 6, "validation": 2, "test": 4}


def write(folder: Path, name: str, exam_id: str = "non_pneumonia-0002-a") -> Path:
    """An exam of the phantom as a file, as if it were a patient's."""
    volume = phantom.make_exam(exam_id, 7, 64, (8.0, 8.0)).volume
    image = sitk.GetImageFromArray(volume.hu)
    image.SetSpacing([float(s) for s in reversed(volume.spacing_mm)])
    folder.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(folder / name))
    return folder / name


def archive(path: Path, count: int) -> Path:
    for number in range(count):
        write(path / "normal", f"n{number}.nii.gz", f"non_pneumonia-{number:04d}-a")
    return path


def prepared(path: Path, folder: Path, **how) -> real_bodies.Bodies:
    found = real_bodies.find_bodies(path, 12)
    keys = [cohorts.files_of(exam) for exam in found["path"]]
    settings = {"matrix": 48, "thickness_mm": (8.0, 10.0), "seed": 0, "workers": 1} | how
    return real_bodies.prepare(found, folder, keys=keys, exams=EXAMS, **settings)


@pytest.fixture(scope="module")
def six(tmp_path_factory) -> Path:
    return archive(tmp_path_factory.mktemp("six"), 6)


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    return archive(tmp_path_factory.mktemp("two"), 2)


def test_only_exams_without_pneumonia_are_bodies(tmp_path, two):
    write(tmp_path / "covid", "c.nii.gz")
    write(tmp_path / "cap", "p.nii.gz")
    for name in ("a", "b"):
        write(tmp_path / "normal", f"{name}.nii.gz")
    assert sorted(real_bodies.find_bodies(tmp_path, 9)["patient_id"]) == ["a", "b"]
    assert len(real_bodies.find_bodies(two, 9)) == 2  # an archive of negatives only will do


def test_no_more_patients_are_read_than_exams_can_use(six):
    assert len(real_bodies.find_bodies(six, 3)) == 3 and len(real_bodies.find_bodies(six, 99)) == 6


def test_one_patient_is_too_few_and_the_error_says_what_is_needed(tmp_path):
    archive(tmp_path, 1)
    for path, words in ((tmp_path, "1 of 1 exams"), (tmp_path / "nowhere", "nowhere")):
        call = partial(real_bodies.find_bodies, path, 9)
        refused(CohortError, call, "cohort.phantom.background", words, "What to do")


def test_a_patient_lies_on_one_side_and_all_three_sides_have_some(six, tmp_path):
    bodies = prepared(six, tmp_path)
    sides = bodies.table.groupby("patient_id")["split"].unique()
    assert sides.map(len).max() == 1 and not bodies.shared
    assert bodies.table["split"].value_counts().to_dict() == {"train": 3, "test": 2, "validation": 1}
    table = phantom.cohort(0, {s: {"covid": n, "cap": n, "non_pneumonia": n} for s, n in EXAMS.items()})
    used = [(bodies.of(row.exam_id, row.split), row.split) for row in table.itertuples()]
    assert all(body.split == split for body, split in used)
    assert "Fewer" not in bodies.sentence() and "non_pneumonia-n0" in bodies.sentence()


def test_a_body_tells_nothing_of_the_finding(six, tmp_path):
    bodies = prepared(six, tmp_path)
    table = phantom.cohort(0, {"train": {"covid": 60, "cap": 60, "non_pneumonia": 60}})
    table["body"] = [bodies.of(exam, "train").exam_id for exam in table["exam_id"]]
    share = table.groupby("finding")["body"].value_counts(normalize=True)
    assert share.to_numpy() == pytest.approx(1 / 3, abs=0.05)
    assert table.groupby("patient_id")["body"].nunique().max() == 1


def test_with_two_patients_validation_takes_those_of_train_and_the_page_says_so(two, tmp_path):
    bodies = prepared(two, tmp_path)
    assert bodies.shared and set(bodies.table["split"]) == {"train", "test"}
    ids = {side: bodies.of("covid-0000-a", side).exam_id for side in ("train", "validation", "test")}
    assert ids["validation"] == ids["train"] != ids["test"]
    assert "validation has none of its own" in bodies.sentence()


def test_a_damaged_exam_is_left_out_with_its_reason_and_others_take_its_place(tmp_path):
    path = archive(tmp_path / "exams", 3)
    damaged = path / "normal" / "n1.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:2000])
    bodies, again = (prepared(path, tmp_path / "kept") for _ in range(2))
    assert bodies.left_out["exam_id"].tolist() == ["non_pneumonia-n1"]
    assert "damaged or cut short" in bodies.left_out["problem"][0]
    assert bodies.table["patient_id"].nunique() == 2 and "non_pneumonia-n1: " in bodies.sentence()
    assert bodies.table.equals(again.table)
    with pytest.raises(ExamError, match="damaged or cut short"):
        prepared(path, tmp_path / "kept", bad=BadExams(stop=True))
    write(path / "normal", "n1.nii.gz", "non_pneumonia-0001-a")  # mended, it is used
    assert prepared(path, tmp_path / "kept").left_out.empty


def test_too_few_whole_exams_say_which_are_damaged(tmp_path):
    path = archive(tmp_path / "exams", 2)
    (path / "normal" / "n0.nii.gz").write_bytes(b"no volume")
    with pytest.raises(CohortError, match="1 patient .*1 were left out .non_pneumonia-n0: "):
        prepared(path, tmp_path / "kept")


def test_a_body_is_read_once(two, tmp_path, monkeypatch):
    prepared(two, tmp_path)
    monkeypatch.setattr(real_bodies, "read_body", None)  # calling it would raise
    assert len(prepared(two, tmp_path).table) == 2


def test_a_body_is_never_finer_than_asked_or_than_the_exam(two):
    file = two / "normal" / "n0.nii.gz"
    fine = real_bodies.read_body(file, "n0", 512, 0.5)
    coarse = real_bodies.read_body(file, "n0", 32, 16.0)
    assert fine.volume.hu.shape[1:] == (64, 64) and coarse.volume.hu.shape[1:] == (32, 32)
    assert coarse.volume.spacing_mm[0] >= 16 and coarse.volume.protocol["matrix"] == 32
    extents = [np.multiply(b.volume.hu.shape, b.volume.spacing_mm) for b in (coarse, fine)]
    assert extents[0] == pytest.approx(extents[1])
    ml = [b.lungs.sum() * np.prod(b.volume.spacing_mm) / 1000 for b in (fine, coarse)]
    assert ml[0] == pytest.approx(ml[1], rel=0.05) and ml[0] > 2000


def profile(background: Path | None, **cohort):
    """The smoke profile with a background and few, coarse exams."""
    values = profiles.load_profile(paths.root() / "params" / "smoke.yaml")
    counts = {"covid": 1, "cap": 0, "non_pneumonia": 1}
    values["cohort"]["phantom"] |= {
        "background": background and str(background), "matrix": 64, "train": counts, "validation": counts, "test": counts,
    }  # fmt: skip
    values["slices"] |= {"exams": None, "size": 32}
    values["study"]["workers"] = 1
    values["cohort"] |= cohort
    return profiles.check(profiles.Profile, values, "test")


@pytest.fixture
def p(two, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "build", lambda name: tmp_path / name)
    return profile(two)


def test_exams_and_background_together_are_refused(two):
    with pytest.raises(ParameterError, match="not both"):
        profile(two, exams="exams.csv")


def test_a_cohort_of_real_bodies_is_stored_with_its_truth(p):
    table = cohorts.cohort(p)
    assert (table["path"] == "phantom").all() and (table["centre"] == "").all()
    volumes = volume_store.store(p)
    assert sorted(volumes.table["exam_id"]) == sorted(table["exam_id"]) and volumes.left_out.empty
    assert volumes.table["dice"].min() > 0.9
    row = next(row for row in table.itertuples() if row.finding == "covid")
    volume, truth = cohorts.loader(p)(row)
    assert truth["lesions"].any() and truth["lesions"].shape == volume.hu.shape
    assert "non_pneumonia-n0" not in cohorts.notes_on(p)[0]  # whose ids are not shown


def test_another_background_is_another_cohort_and_none_is_the_phantom(p, six):
    other, none = profile(six), profile(None)
    table = cohorts.cohort(p)
    assert cohorts.sources(p, table) != cohorts.sources(other, table)
    assert cohorts.sources(none, table) is None and cohorts.notes_on(none) == []
    assert len(set(cohorts.sources(p, table))) == 2


def test_slices_keep_the_split_that_the_bodies_were_split_with(p):
    from covid_study.samples import slice_store

    s = slice_store.slices(p)
    side = cohorts.cohort(p).set_index("exam_id")["split"].replace("validation", "train")
    assert (s.table["split"] == s.table["exam_id"].map(side)).all()
    assert s.table.loc[s.table["finding"] == "covid", "lesion_area_mm2"].sum() > 0
    assert any("bodies are real" in note for note in s.notes)


def test_a_table_row_of_the_phantom_without_bodies_is_the_phantoms_own():
    row = SimpleNamespace(exam_id="covid-0001-a", path="phantom")
    volume, _ = cohorts.load_exam(row, {"seed": 7, "matrix": 32, "thickness_mm": (10.0, 10.0)})
    assert np.array_equal(volume.hu, phantom.make_exam("covid-0001-a", 7, 32, (10.0, 10.0)).volume.hu)


def test_the_two_normal_exams_of_covid_ct_md_are_enough(real_data, tmp_path):
    bodies = prepared(real_data / "covid-ct-md", tmp_path)
    assert sorted(bodies.table["split"]) == ["test", "train"] and bodies.left_out.empty
    assert set(bodies.table["finding"]) == {"non_pneumonia"}


def test_a_run_depends_on_its_background_and_names_it(tmp_path):
    def plan(background):
        values = profiles.load_profile(paths.root() / "params" / "smoke.yaml")
        values["cohort"]["phantom"]["background"] = background
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
        return planning.plan(str(tmp_path / "mine.yaml"))

    exams = archive(tmp_path / "exams", 1)
    runs = [plan(None), plan(str(exams))]
    archive(exams, 2)
    runs.append(plan(str(exams)))
    assert len({run.notebooks[1].parts["exams"] for run in runs}) == 3
    assert runs[0].cohort == "synthetic cohort" and runs[1].cohort == f"synthetic lesions in {exams}"
    with pytest.raises(StudyError, match="cohort.phantom.background is nowhere: there is no such"):
        plan("nowhere")
