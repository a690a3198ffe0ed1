"""Every fault of a reader is put down to the check that found it; what is told of an exam is what is in it."""

import importlib

import numpy as np
import pytest
import tifffile
from chest_pictures import chest as picture
from dicom_factory import chest, edit, truncate, write_series
from PIL import Image
from volume_files import changed, image_of, saved

from covid_study.errors import StudyError
from covid_study.models import checks
from covid_study.models.checks import NOT_REACHED, PASSED, REFUSED
from covid_study.models.explain import explain

LARGE = (10.0, 4.0, 4.0)  # mm of a voxel: with them the factory's chest has lungs of a plausible size


def states(found) -> dict[str, str]:
    return {one["check"]: one["state"] for one in found.about["checks"]}


def refused_by(found) -> str:
    """The function that the refused check stands for."""
    made_by = dict([*checks.OF_SERIES, *checks.OF_FILE])
    (one,) = [one for one in found.about["checks"] if one["state"] == REFUSED]
    assert one["said"] and not found.usable
    return made_by[one["check"]][0]


def test_every_function_that_a_check_names_is_there():
    rooms = "files dicom dicom_header frames series geometry announced lungs to_volume"
    modules = [importlib.import_module(f"covid_study.ct.{name}") for name in rooms.split()]
    known = {name for module in modules for name in vars(module)} | set(vars(modules[5].Geometry))
    for _, names in [*checks.OF_SERIES, *checks.OF_FILE]:
        assert set(names) <= known


FAULTS = {
    "cut short": ("read_header", lambda f: truncate(f[3])),
    "burnt-in text": ("read_series", lambda f: [edit(one, BurnedInAnnotation="YES") for one in f]),
    "no place": ("one_series", lambda f: edit(f[3], ImagePositionPatient=None)),
    "phases": ("check_states", lambda f: [edit(one, TemporalPositionIndex=n % 2) for n, one in enumerate(f)]),
    "another kernel": ("check_alike", lambda f: edit(f[3], ConvolutionKernel="B70")),
    "a slice missing": ("check", lambda f: f[5].unlink()),
    "too few": ("_read", lambda f: [one.unlink() for one in f[5:]]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_series_is_put_down_to_its_check(tmp_path, fault):
    check, spoil = FAULTS[fault]
    spoil(write_series(tmp_path / "exam"))
    found = explain(tmp_path / "exam", tmp_path / "a.png")
    assert refused_by(found) == check
    order = [one["state"] for one in found.about["checks"]]
    assert order == sorted(order, key=[PASSED, REFUSED, NOT_REACHED].index)
    assert (tmp_path / "a.png").stat().st_size > 0


@pytest.mark.parametrize(
    "kind, old, new, check",
    [
        (".mha", b"DimSize = 48 40 16", b"DimSize = 48 40 99", "check_announced"),
        (".mha", b"ElementType = MET_SHORT", b"ElementType = MET_USHORT", "_check_hu"),
    ],
)
def test_a_fault_of_a_file_is_put_down_to_its_check(tmp_path, kind, old, new, check):
    file = changed(saved(tmp_path / f"exam{kind}"), old, new)
    assert refused_by(explain(file, tmp_path / "a.png")) == check


def test_no_lungs_are_told_with_the_exam_shown(tmp_path):
    hu = np.where(chest() < -800, -1000, 40).astype(np.int16)
    hu[:, 5:35, 5:43] = 40
    found = explain(saved(tmp_path / "exam.mha", image_of(hu)), tmp_path / "a.png")
    assert refused_by(found) == "lung_mask" and found.about["shape_zyx"] == (16, 40, 48)


def test_what_is_told_of_an_exam_is_what_is_in_it(tmp_path):
    hu = chest()
    write_series(tmp_path / "exam", hu, LARGE)
    found = explain(tmp_path / "exam", tmp_path / "a.png")
    assert found.usable and set(states(found).values()) == {PASSED}
    assert found.about["spacing_mm_zyx"] == pytest.approx(LARGE) and found.about["protocol"]["kvp"] == 120
    assert sum(found.about["histogram"]["counts"]) == ((hu >= -1024) & (hu <= 1500)).sum()
    ml = ((hu < -700) & (hu > -900)).sum() * np.prod(LARGE) / 1000
    assert found.about["measured"]["lung_ml"] == pytest.approx(ml, rel=0.15)
    wide, high = Image.open(tmp_path / "a.png").size
    assert wide > 1000 and high > 500


def test_what_a_model_would_see(travelled, tmp_path):
    exam = next(path for path in travelled.exams.iterdir() if path.is_dir())
    for kind in ("volumes", "slices"):
        assert explain(exam, tmp_path / f"{kind}.png", travelled.models[kind].folder).usable
    seen = explain(exam, tmp_path / "p.png", travelled.models["pictures"].folder)
    assert not seen.usable and seen.about["checks"][-1]["state"] == REFUSED


def test_a_folder_of_pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for k in range(3):
        Image.fromarray(picture(k, 64)[: 64 - 30 * (k == 2)]).save(folder / f"{k}.png")
    (folder / "cut.png").write_bytes((folder / "0.png").read_bytes()[:200])
    tifffile.imwrite(folder / "deep.tif", picture(3, 64).astype(float))  # a kind that Pillow lacks
    found = explain(folder, tmp_path / "a.png")
    told = {one["name"]: one for one in found.about["pictures"]}
    assert not found.usable and [n for n, one in told.items() if one["error"]] == ["pictures/cut.png"]
    assert told["pictures/0.png"]["grey"] == [0, 235] and told["pictures/2.png"]["odd"]
    assert told["pictures/deep.tif"]["mode"] == "F" and told["pictures/deep.tif"]["odd"]
    assert (tmp_path / "a.png").stat().st_size > 0


def test_several_exams_are_not_one(tmp_path):
    for name in "ab":
        saved(tmp_path / f"{name}.mha")
    with pytest.raises(StudyError, match="holds 2 exams"):
        explain(tmp_path, tmp_path / "a.png")
