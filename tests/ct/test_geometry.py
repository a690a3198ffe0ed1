"""Where voxels lie: one set of checks for every format, against matrices that were written."""

import re
import struct

import numpy as np
import pytest
from dicom_factory import SPACING, chest, edit, write_series
from volume_files import changed, refused, written

from covid_study.ct.files import read_volume


def matrix(shear=0.0, rows=0.0, turn=0.0):
    """Of the chest's spacing; slices, or rows, drifting by an angle, all of it turned about the long axis: degrees."""
    made = np.diag([3.0, 4.0, 5.0])
    made[1, 2], made[0, 1] = 5 * np.tan(np.radians(shear)), 4 * np.tan(np.radians(rows))
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ made


@pytest.mark.parametrize("kind", ["dicom", ".nii", ".nii.gz", ".nrrd", ".mha"])
def test_every_format_gives_the_same_grid_or_the_same_words(tmp_path, kind):
    for name, good in (("upright", matrix()), ("turned", matrix(turn=20)), ("rounded", matrix(0.06, 0.06))):
        volume = read_volume(written(tmp_path / name, kind, good))
        np.testing.assert_array_equal(volume.hu, chest())
        assert volume.spacing_mm == pytest.approx(SPACING, rel=1e-5)
    for name, bad, words in (
        ("tilt", matrix(15), ["slices drift 20 mm", "tilt", "15 degrees"]),
        ("little", matrix(2, turn=5), ["slices drift 3 mm", "2 degrees"]),
        ("sheared", matrix(rows=-10), ["rows", "sheared"]),
    ):
        if kind == ".mha" or name != "tilt":  # the length of a sheared step is said as the axis has it
            words = [re.sub(r"\d+ mm", "", word) for word in words]
        assert "copy it again" not in refused(written(tmp_path / name, kind, bad), *words)


def moved(folder, positions):
    """The files of a series whose slices lie at these z, in mm."""
    files = write_series(folder, chest(len(positions)))
    for file, z in zip(files, positions, strict=True):
        edit(file, ImagePositionPatient=[-70, -80, float(z)])
    return files


EVEN, UNEVEN = 5.0 * np.arange(16), np.cumsum([0.0] + [5.0] * 9 + [7.0] * 6)


@pytest.mark.parametrize(
    "positions, words, slices",
    [
        (np.insert(EVEN, 3, 10), ["hold two slices", "10.0 mm"], (2, 3)),
        (np.insert(EVEN, 3, 12), ["unevenly", "2.0 mm"], (2, 3)),
        (np.delete(EVEN, 5), ["1 slice missing", "20.0 mm", "30.0 mm", "10.0 mm apart", "5.0 mm"], (4, 5)),
        (np.delete(EVEN, (5, 8, 9)), ["3 slices missing"], (4, 5, 6, 7)),
        (UNEVEN, ["unevenly", "5.0 to 7.0 mm", "7.2 mm"], ()),
        (-UNEVEN[::-1], ["unevenly", "5.0 to 7.0 mm", "7.2 mm"], ()),
        (
            5.0 * np.arange(30) + 2.0 * np.sin(np.arange(30) / 29 * np.pi),
            ["2.0 mm"],
            (),
        ),  # no step stands out
    ],
)
def test_slices_missing_doubled_or_uneven_are_named(tmp_path, positions, words, slices):
    files = moved(tmp_path, positions)
    refused(tmp_path, *words, *(files[i].name for i in slices))


@pytest.mark.parametrize(
    "positions, step",
    [
        (EVEN + np.random.default_rng(0).uniform(-0.4, 0.4, 16), 5.0),
        (np.round(0.625 * np.arange(16), 1), 0.625),
        (15.0 * np.arange(10), 15.0),  # sparse
    ],
)
def test_rounded_and_sparse_positions_are_no_gap(tmp_path, positions, step):
    moved(tmp_path, positions)
    assert read_volume(tmp_path).spacing_mm[0] == pytest.approx(step, rel=0.015)


def nifti(folder, *changes):
    """The chest as NIfTI, numbers of its header set: (format, byte, values)."""
    file = written(folder, ".nii", matrix())
    data = bytearray(file.read_bytes())
    for form, at, *values in changes:
        struct.pack_into(form, data, at, *values)
    file.write_bytes(data)
    return file


@pytest.mark.parametrize(
    "changes, words",
    [
        ([("<2h", 252, 0, 0)], ["qform_code", "sform_code"]),
        ([("<f", 88, 0.0)], ["3 x 4 x 0 mm"]),
        ([("<f", 84, np.nan)], ["3 x nan x 5 mm"]),
        ([("<f", 80, 3000.0), ("<2h", 252, 1, 0)], ["3000 x 4 x 5 mm"]),
        ([("<f", 88, 1.0)], ["pixdim", "sform"]),
        ([("<2h", 252, 1, 1), ("<3f", 256, 0, 0, 0)], ["qform", "sform"]),  # turned by 180 degrees
        ([("<f", 112, np.nan)], ["scl_slope"]),
        ([("<4h", 40, 4, 48, 40, 8), ("<h", 48, 2)], ["4 dimensions"]),
        ([("<5h", 40, 4, 48, 40, 16, 30000)], ["a.nii"]),  # more voxels than there are
        ([("<4h", 40, 3, 32767, 32767, 32767)], ["a.nii"]),
        ([("<4h", 40, 3, 48, -40, 16)], ["a.nii"]),
        ([("<4h", 40, 0, 48, 40, 16)], ["a.nii"]),
    ],
)
def test_nifti_headers_that_say_nothing_two_things_or_too_much(tmp_path, changes, words):
    refused(nifti(tmp_path, *changes), *words)


METRES = ("<12f", 280, *(np.eye(3, 4) * [[-3e-3], [-4e-3], [5e-3]]).ravel())


@pytest.mark.parametrize(
    "changes, hu",
    [
        ([("<2f", 112, 0.0, 0.0)], chest()),  # 0: no scale
        ([("<2f", 112, 0.75, -100.0)], np.rint(0.75 * chest() - 100)),
        ([("<3f", 80, 3e-3, 4e-3, 5e-3), ("<B", 123, 1), METRES], chest()),
        ([("<f", 76, 1.0), ("<2h", 252, 1, 0), ("<3f", 256, 0.0, 0.0, 1.0)], chest()),  # qform alone
    ],
)
def test_nifti_scales_units_and_forms(tmp_path, changes, hu):
    volume = read_volume(nifti(tmp_path, *changes))
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.spacing_mm == pytest.approx(SPACING)


@pytest.mark.parametrize("space, flips", [("RAS", (1, 2)), ("left-anterior-superior", (1,))])
def test_nrrd_spaces(tmp_path, space, flips):
    file = changed(written(tmp_path, ".nrrd", matrix()), b"left-posterior-superior", space.encode())
    np.testing.assert_array_equal(read_volume(file).hu, np.flip(chest(), flips))
