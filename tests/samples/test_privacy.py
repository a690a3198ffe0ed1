"""Nothing that the study writes names a person: what stands in headers, file names and tables is planted and sought."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dicom_factory import chest, edit, write_series
from PIL import Image
from tiny_study import parameters

from covid_study import paths
from covid_study.cohort import identity
from covid_study.ct.volume import last_line
from covid_study.errors import CohortError, ExamError
from covid_study.report import say
from covid_study.samples import cohorts, slice_store, volume_store

PLANTED = {
    "PatientName": "Mustermann^Erika", "PatientBirthDate": "19640812", "AccessionNumber": "ACC-5510",
    "InstitutionName": "Charlottenheim", "ReferringPhysicianName": "House^Gregory", "SeriesDescription": "Erika lung",
}  # fmt: skip
FOLDER = "Mustermann_Erika_19640812"
WORDS = ("mustermann", "erika", "19640812", "acc-5510", "charlottenheim", "gregory", "pid-4711")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Four exams of each finding that can be used, one that is cut short, and two pictures of each class."""
    root = tmp_path_factory.mktemp("private")
    for f, finding in enumerate(("covid", "cap", "non_pneumonia")):
        for k in range(4):
            hu = chest(24, 96, 112)
            folder = root / "exams" / finding / f"{FOLDER}_{k}"
            write_series(folder, hu, (10.0, 3.2, 3.2), seed=9 * f + k, PatientID=f"PID-4711{f}{k}", **PLANTED)
    file = sorted(folder.iterdir())[3].rename(folder / f"{FOLDER}.dcm")
    file.write_bytes(file.read_bytes()[:-100])
    for name in ("COVID", "non-COVID"):
        (root / "img" / name).mkdir(parents=True)
        for k in range(4):
            grey = np.random.default_rng(k).integers(0, 255, (50, 60), dtype=np.uint8)
            Image.fromarray(grey).save(root / "img" / name / f"{FOLDER} {k}.png")
    (root / "img" / "COVID" / f"{FOLDER} 0.png").write_text("no picture")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "build", lambda name: root / "build" / name)
        yield root


def private(root, **changed):
    study = {
        "name": "tiny",
        "workers": 1,
        "seeds": [0],
        "bootstrap": 100,
        "device": "cpu",
        "show_patient_ids": False,
    }
    own = {"study": study, "cohort": {"exams": str(root / "exams"), "split": [0.5, 0.0, 0.5]}}
    return parameters(root, **own | changed)


def written(root):
    """The text of every file below build, and its name; tables and archives unpacked."""
    for file in (root / "build").rglob("*"):
        yield str(file.relative_to(root))
        if file.suffix == ".parquet":
            yield pd.read_parquet(file).reset_index().to_csv()
        elif file.is_file():
            yield file.read_bytes().decode("latin-1")


def named(texts):
    return sorted({word for text in texts for word in WORDS if word in text.lower()})


def test_volumes_slices_errors_and_output_name_nobody(project, capsys):
    p = private(project)
    store = volume_store.store(p)
    s = slice_store.slices(private(project, slices={"exams": None, "size": 48}))
    images = slice_store.slices(
        private(project, slices={"images": str(project / "img"), "exams": None, "size": 48})
    )
    say.left_out(store.left_out)
    assert len(store.table) == 11 and len(store.left_out) == len(images.left_out) == 1 and len(s.table)
    assert "file 1 of 24 is cut short" in store.left_out["problem"][0]
    frames = [store.table, store.left_out, s.table.drop(columns="path"), images.table.drop(columns="path")]
    told = [frame.reset_index().to_csv() for frame in frames] + [str(images.notes), *capsys.readouterr()]
    assert named(told) == []
    assert named(written(project)) == [], [t[:300] for t in written(project) if named([t])]
    assert cohorts.cohort(p)["patient_id"].nunique() == 4  # each is still a person


@pytest.mark.parametrize("length", range(0, 120, 7))
def test_no_half_of_a_name_is_left_where_a_librarys_words_are_cut(length):
    file = Path("/" + "d" * length, f"{FOLDER}.png")
    said = ValueError(f"cannot identify image file <_io.BufferedReader name='{file}'>, nor {file}")
    assert named([last_line(said, file)]) == []


def test_the_split_does_not_depend_on_the_salt_and_the_names_can_be_shown(project, monkeypatch):
    def split():
        return sorted(cohorts.cohort(private(project))[["path", "split"]].itertuples(index=False))

    first, ids = split(), set(cohorts.cohort(private(project))["exam_id"])
    monkeypatch.setenv(identity.SALT, "another")
    assert split() == first and not ids & set(cohorts.cohort(private(project))["exam_id"])
    study = private(project).study.model_dump() | {"show_patient_ids": True}
    assert FOLDER in cohorts.cohort(private(project, study=study))["exam_id"][0]


def test_errors_name_nobody(project):
    with pytest.raises(ExamError) as stopped:
        volume_store.store(private(project, cohort={"exams": str(project / "exams"), "on_bad_exam": "stop"}))
    assert named([str(stopped.value)]) == [] and stopped.value.__suppress_context__
    table = pd.DataFrame(
        {"exam_id": [FOLDER] * 2, "patient_id": "PID-4711", "path": FOLDER, "finding": "covid"}
    )
    table.to_csv(project / "twice.csv", index=False)
    with pytest.raises(CohortError, match="2 times") as twice:
        cohorts.all_exams(private(project, cohort={"exams": str(project / "twice.csv")}))
    assert named([str(twice.value)]) == [], str(twice.value)
    assert identity.SHOW in str(twice.value)


def test_errors_before_a_table_is_known_name_nobody(project, tmp_path):
    for place in (tmp_path / FOLDER, tmp_path / "covid" / "a", tmp_path / "img" / f"COVID {FOLDER}" / FOLDER):
        write_series(place, chest(2))
    (tmp_path / "up.csv").write_text(f"exam_id,patient_id,path,finding\n1,PID-4711,../{FOLDER}/x,covid\n")
    (tmp_path / "img" / f"COVID {FOLDER}" / "0.png").write_text("")
    for given in (
        tmp_path,
        tmp_path / "up.csv",
        tmp_path / "img",
    ):  # no finding, leads out, none of the layouts
        with pytest.raises(CohortError) as caught:
            cohorts.all_exams(private(project, cohort={"exams": str(given)}))
        assert named([str(caught.value)]) == [] and identity.SHOW in str(caught.value), str(caught.value)
    with pytest.raises(CohortError) as caught:
        slice_store.slices(
            private(project, slices={"images": str(tmp_path / "img"), "exams": None, "size": 48})
        )
    assert named([str(caught.value)]) == [], str(caught.value)


def test_the_salt_is_made_once_for_its_user_alone(tmp_path, monkeypatch):
    monkeypatch.delenv(identity.SALT)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert identity.salt() == identity.salt() and len(identity.salt()) >= 32
    assert (tmp_path / identity.KEPT).stat().st_mode & 0o077 == 0
    (tmp_path / identity.KEPT).write_bytes(
        b""
    )  # as a full disk leaves it: hashes without a salt are no secret
    assert len(identity.salt()) >= 32


def test_the_bodies_of_synthetic_lesions_are_named_by_nobody(project):
    def in_bodies(background):
        p = private(project, cohort={"exams": None})
        phantom = p.cohort.phantom.model_copy(update={"background": str(background)})
        return p.model_copy(update={"cohort": p.cohort.model_copy(update={"phantom": phantom})})

    p = in_bodies(project / "exams")
    assert named([*cohorts.notes_on(p), *cohorts.bodies(p).table["exam_id"]]) == []
    lines = [f"{FOLDER}{n},non_pneumonia,Erika{n} Mustermann the third" for n in range(20)]
    (project / "lost.csv").write_text("\n".join(["exam_id,finding,path", *lines]) + "\n")
    with pytest.raises(CohortError) as caught:
        cohorts.bodies(in_bodies(project / "lost.csv"))
    assert named([str(caught.value)]) == [], str(caught.value)


def test_one_patient_alone_is_not_named(project):
    table = cohorts.all_exams(private(project)).query("finding != 'covid'")
    one = cohorts.all_exams(private(project)).query("finding == 'covid'")[:1].assign(patient_id=FOLDER)
    pd.concat([one, table]).assign(split="").to_csv(project / "alone.csv", index=False)
    with pytest.raises(CohortError, match="only patient") as caught:
        cohorts.cohort(private(project, cohort={"exams": str(project / "alone.csv")}))
    assert named([str(caught.value)]) == []


def test_counts_of_slices_are_no_names(tmp_path):
    (tmp_path / "12").mkdir()
    files = write_series(tmp_path / "12")
    edit(files[0], RescaleSlope=None)
    error = ExamError("x", f"12 of 16 slices in {tmp_path / '12'}, {files[0].name}", "look")
    assert identity.anonymous(error, str(tmp_path / "12")).problem.startswith(
        "12 of 16 slices in its folder, file "
    )
