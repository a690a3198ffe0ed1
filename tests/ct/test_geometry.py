"""Where voxels lie: one set of checks for every format, against matrices that were written."""

import re
import struct

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_factory import SPACING, chest, edit, write_series
from refusals import refused as refuse

from covid_study.ct.files import read_volume
from covid_study.errors import ExamError

FORMATS = ("dicom", ".nii", ".nii.gz", ".nrrd", ".mha")


def written(folder, kind, matrix):
    """The chest with the (3, 3) matrix from indices (x, y, z) to mm, in a format that says it in its own way."""
    lengths = np.linalg.norm(matrix, axis=0)
    if kind == "dicom":
        turned = (matrix / lengths).T
        for i, file in enumerate(write_series(folder / "a")):
            position = (np.array([-70, -80, -300]) + matrix[:, 2] * i).round(9).tolist()
            orientation = turned[:2].ravel().round(9).tolist()
            edit(
                file, ImagePositionPatient=position, ImageOrientationPatient=orientation,
                PixelSpacing=[float(lengths[1]), float(lengths[0])],
            )  # fmt: skip
        return folder / "a"
    image = sitk.GetImageFromArray(chest())
    image.SetSpacing(SPACING[::-1])
    file = folder / f"a{kind if kind != '.nii.gz' else '.nii'}"
    sitk.WriteImage(image, str(file))
    data = file.read_bytes()
    if kind.startswith(".nii"):
        rows = np.diag([-1, -1, 1]) @ np.column_stack([matrix, [0, 0, 0]])
        data = bytearray(data)
        struct.pack_into("<3f", data, 80, *lengths)
        struct.pack_into("<2h", data, 252, 0, 1)
        struct.pack_into("<12f", data, 280, *rows.ravel())
    elif kind == ".nrrd":
        vectors = " ".join(f"({','.join(map(repr, map(float, v)))})" for v in matrix.T)
        data = re.sub(rb"space directions: [^\n]*", b"space directions: " + vectors.encode(), data)
    else:
        numbers = " ".join(map(repr, map(float, (matrix / lengths).T.ravel())))
        data = re.sub(rb"TransformMatrix = [^\n]*", b"TransformMatrix = " + numbers.encode(), data)
        spacing = " ".join(map(repr, map(float, lengths)))
        data = re.sub(rb"ElementSpacing = [^\n]*", b"ElementSpacing = " + spacing.encode(), data)
    if kind == ".nii.gz":
        import gzip

        file, data = file.with_suffix(".nii.gz"), gzip.compress(bytes(data))
    file.write_bytes(data)
    return file


def refused(path, *words):
    message = refuse(ExamError, lambda: read_volume(path, "E1"), "What to do: ", *words)
    assert len(message) <= 600 and "copy it again" not in message
    return message


def matrix(shear=0.0, rows=0.0, turn=0.0):
    """Of the chest's spacing; slices, or rows, drifting by an angle, all of it turned about the long axis: degrees."""
    made = np.diag([3.0, 4.0, 5.0])
    made[1, 2], made[0, 1] = 5 * np.tan(np.radians(shear)), 4 * np.tan(np.radians(rows))
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ made


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_grid_or_the_same_words(tmp_path, kind):
    for name, good in (("upright", matrix()), ("turned", matrix(turn=20)), ("rounded", matrix(0.06, 0.06))):
        (tmp_path / name).mkdir()
        volume = read_volume(written(tmp_path / name, kind, good))
        np.testing.assert_array_equal(volume.hu, chest())
        assert volume.spacing_mm == pytest.approx(SPACING, rel=1e-5)
    for name, bad, words in (
        ("tilt", matrix(15), ["slices drift 20 mm", "tilt", "15 degrees"]),
        ("little", matrix(2, turn=5), ["slices drift 3 mm", "2 degrees"]),
        ("sheared", matrix(rows=-10), ["rows", "sheared"]),
    ):
        (tmp_path / name).mkdir()
        file = written(tmp_path / name, kind, bad)
        if kind == ".mha" or name != "tilt":  # the length of a sheared step is said as the axis has it
            words = [re.sub(r"\d+ mm", "", word) for word in words]
        refused(file, *words)


def moved(folder, positions):
    for file, z in zip(write_series(folder, chest(len(positions))), positions, strict=True):
        edit(file, ImagePositionPatient=[-70, -80, float(z)])
    return folder


def test_slices_are_spaced_evenly_within_a_millimetre(tmp_path):
    steps = np.array([0.0, *[5.0] * 9, *[7.0] * 6])
    refused(moved(tmp_path / "a", steps.cumsum()), "5.0 to 7.0 mm", "7.2 mm")
    slowly = np.arange(30) * 5.0 + 2.0 * np.sin(np.arange(30) / 29 * np.pi)  # no step far from its neighbours
    refused(moved(tmp_path / "b", slowly), "2.0 mm")
    noisy = np.arange(30) * 5.0 + np.random.default_rng(0).uniform(-0.4, 0.4, 30)
    assert read_volume(moved(tmp_path / "c", noisy)).spacing_mm[0] == pytest.approx(5.0, abs=0.05)


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
        ([("<2h", 252, 0, 0)], ["qform", "sform"]),
        ([("<f", 88, 0.0)], ["3 x 4 x 0 mm"]),
        ([("<f", 84, np.nan)], ["3 x nan x 5 mm"]),
        ([("<f", 88, 1.0)], ["pixdim", "sform"]),
        ([("<2h", 252, 1, 1), ("<3f", 256, 0, 0, 0)], ["qform", "sform"]),  # turned by 180 degrees
        ([("<f", 112, np.nan)], ["scl_slope"]),
        ([("<4h", 40, 4, 48, 40, 8), ("<h", 48, 2)], ["4 dimensions"]),
    ],
)
def test_nifti_headers_that_say_nothing_or_two_things(tmp_path, changes, words):
    refused(nifti(tmp_path, *changes), *words)


def test_nifti_scales_and_units(tmp_path):
    np.testing.assert_array_equal(
        read_volume(nifti(tmp_path, ("<2f", 112, 0.0, 0.0))).hu, chest()
    )  # 0: no scale
    file = nifti(
        tmp_path,
        ("<3f", 80, 3e-3, 4e-3, 5e-3),
        ("<B", 123, 1),
        ("<12f", 280, *(np.eye(3, 4) * [[-3e-3], [-4e-3], [5e-3]]).ravel()),
    )
    assert read_volume(file).spacing_mm == pytest.approx(SPACING)  # metres
    qform = nifti(tmp_path, ("<f", 76, 1.0), ("<2h", 252, 1, 0), ("<3f", 256, 0.0, 0.0, 1.0))
    np.testing.assert_array_equal(read_volume(qform).hu, chest())


@pytest.mark.parametrize(
    "dims", [(4, 48, 40, 16, 30000), (3, 32767, 32767, 32767), (3, 48, -40, 16), (0, 48, 40, 16)]
)
def test_nifti_that_lies_about_its_size(tmp_path, dims):
    refuse(ExamError, lambda: read_volume(nifti(tmp_path, (f"<{len(dims)}h", 40, *dims))), "a.nii")


@pytest.mark.parametrize(
    "kind, old, new, word",
    [
        (".nrrd", rb"space: [^\n]*", b"space dimension: 3", "'space'"),
        (".nrrd", rb"space: [^\n]*", b"space: scanner-xyz", "scanner-xyz"),
        (".nrrd", rb"\([^)]*\)\n", b"none\n", "numbers"),
        (".nrrd", rb"\([^)]*\)\n", b"(0,0,0)\n", "3 x 4 x 0 mm"),
        (".nrrd", rb"space directions: [^\n]*", b"spacings: 3 4 5", "space directions"),
        (".nrrd", rb"kinds: ", b'space units: "m" "m" "m"\nkinds: ', "not in mm"),
        (".mha", rb"ElementSpacing = [^\n]*\n", b"", "spacing"),
        (".mha", rb"ElementSpacing = [^\n]*\n", b"ElementSpacing = 3 -4 5\n", "3 x -4 x 5"),
        (".mha", rb"ElementSpacing = [^\n]*\n", b"ElementSpacing = 3 nan 5\n", "3 x nan x 5"),
        (".mha", rb"TransformMatrix = [^\n]*\n", b"", "transformmatrix"),
        (".mha", rb"TransformMatrix = [^\n]*", b"TransformMatrix = 2 0 0 0 1 0 0 0 1", "unit vectors"),
    ],
)
def test_nrrd_and_metaimage_headers_that_leave_the_place_open(tmp_path, kind, old, new, word):
    file = written(tmp_path, kind, matrix())
    data, count = re.subn(old, new, file.read_bytes(), count=1)
    assert count == 1
    file.write_bytes(data)
    refused(file, word)


@pytest.mark.parametrize("space, flips", [("RAS", (1, 2)), ("left-anterior-superior", (1,))])
def test_nrrd_spaces(tmp_path, space, flips):
    file = written(tmp_path, ".nrrd", matrix())
    file.write_bytes(file.read_bytes().replace(b"left-posterior-superior", space.encode()))
    np.testing.assert_array_equal(read_volume(file).hu, np.flip(chest(), flips))


@pytest.mark.parametrize(
    "tags",
    [dict(PixelSpacing=[0, 3]), dict(PixelSpacing=None), dict(ImageOrientationPatient=[2, 0, 0, 0, 1, 0])],
)
def test_dicom_headers_without_a_place(tmp_path, tags):
    write_series(tmp_path, **tags)
    refused(tmp_path)


def test_a_slice_that_lies_across_the_others(tmp_path):
    file = write_series(tmp_path)[5]
    edit(file, ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
    refused(tmp_path, file.name, "ImageOrientationPatient")
