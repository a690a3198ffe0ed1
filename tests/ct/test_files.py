"""Readers: geometry against arrays that were written, real exams, and one message for each kind of bad input."""

import shutil

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_factory import SPACING, chest, edit, truncate, write_series
from imagecodecs import ljpeg_decode
from pydicom.encaps import get_frame
from volume_files import image_of, refused, saved

from covid_study.ct.files import MIN_SLICES, read_volume
from covid_study.errors import ExamError

# ---------------------------------------------------------------------------------------------- what is read


def test_series_is_sorted_and_spaced_by_position_not_by_name_or_thickness(tmp_path):
    write_series(tmp_path)
    volume = read_volume(tmp_path)
    assert volume.hu.dtype == np.int16 and volume.hu.flags.c_contiguous
    np.testing.assert_array_equal(volume.hu, chest())
    assert volume.spacing_mm == pytest.approx(SPACING)
    assert volume.protocol == {
        "kvp": 120.0, "slice_thickness_mm": 1.0, "manufacturer": "ACME", "n_slices": 16, "matrix": 40, "pixel_spacing_mm": 4.0,
        "collimation_rows": None, "collimation_mm": None, "pitch": None, "passed_over": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "tags, expected",
    [
        (
            {"TotalCollimationWidth": 19.2, "SingleCollimationWidth": 0.6, "SpiralPitchFactor": 1.3},
            [32, 0.6, 1.3, 120],
        ),
        ({"SingleCollimationWidth": 0.6}, [None, 0.6, None, 120]),
        ({"TotalCollimationWidth": 19.2, "SingleCollimationWidth": 0.0, "KVP": ""}, [None] * 4),
    ],
)
def test_collimation_and_pitch_are_those_of_the_header(tmp_path, tags, expected):
    write_series(tmp_path, **tags)
    protocol = read_volume(tmp_path).protocol
    assert [protocol[f] for f in ("collimation_rows", "collimation_mm", "pitch", "kvp")] == expected


@pytest.mark.parametrize("flips", [(0,), (1,), (2,), (0, 1, 2)])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha", ".mhd"])
def test_volume_files_with_flipped_axes_give_the_same_canonical_array(tmp_path, flips, suffix):
    image = sitk.Flip(image_of(chest()), [axis in flips for axis in (0, 1, 2)])
    volume = read_volume(saved(tmp_path / f"a{suffix}", image))
    np.testing.assert_array_equal(volume.hu, chest())
    assert volume.spacing_mm == pytest.approx(SPACING) and volume.protocol["kvp"] is None


def test_permuted_axes_a_trailing_dimension_of_one_and_a_prone_series(tmp_path):
    permuted = sitk.PermuteAxes(image_of(chest()), [2, 0, 1])
    for name, image in (("p", permuted), ("q", sitk.JoinSeries(image_of(chest())))):
        np.testing.assert_array_equal(read_volume(saved(tmp_path / f"{name}.nii.gz", image)).hu, chest())
    write_series(tmp_path / "prone", ImageOrientationPatient=[-1, 0, 0, 0, -1, 0])
    np.testing.assert_array_equal(read_volume(tmp_path / "prone").hu, chest()[:, ::-1, ::-1])


def test_rescale_padding_and_clipping(tmp_path):
    hu = chest()
    hu[:, 0, 0], hu[:, 0, 1] = 976, 8000
    write_series(tmp_path / "padded", hu, PixelPaddingValue=2000)
    read = read_volume(tmp_path / "padded").hu
    assert (read[:, 0, 0] == -1024).all() and (read[:, 0, 1] == 3071).all()
    write_series(tmp_path / "slope", RescaleSlope="0.5", RescaleIntercept="-1000")
    assert read_volume(tmp_path / "slope").hu.max() == np.rint((chest().max() + 1024) / 2 - 1000)
    for i, file in enumerate(write_series(tmp_path / "signed")):
        header = pydicom.dcmread(file)
        stored = chest()[i].astype(np.int16)
        stored[:3] = -2000
        header.PixelRepresentation, header.RescaleIntercept, header.PixelData = 1, "0", stored.tobytes()
        header.add_new("PixelPaddingValue", "SS", -2000)
        header.save_as(file)
    read = read_volume(tmp_path / "signed").hu
    assert (read[:, :3] == -1024).all() and (read[:, 3:] == chest()[:, 3:]).all()


def test_files_without_suffix_and_what_is_no_slice_are_passed_over(tmp_path):
    for file in write_series(tmp_path / "study" / "series"):
        file.rename(file.with_suffix(""))
    folder = tmp_path / "study"
    (folder / "notes.txt").write_text("nothing")
    (folder / "._image.dcm").write_bytes(b"resource fork")
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    scout = write_series(tmp_path / "a", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])[0]
    report = write_series(tmp_path / "b", Modality="SR", Rows=None, ImagePositionPatient=None)[0]
    edit(report, PixelData=None)
    screenshot = write_series(tmp_path / "c", ImagePositionPatient=None)[0]
    for n, file in enumerate((scout, report, screenshot)):
        file.rename(folder / f"other{n}.dcm")
    volume = read_volume(folder)
    np.testing.assert_array_equal(volume.hu, chest())
    assert volume.protocol["passed_over"] == 3


# ---------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("share", [0.999, 0.5, 0.2, 0.05, 0.0])
def test_series_with_a_slice_cut_short(tmp_path, share):
    file = write_series(tmp_path)[7]
    truncate(file, share)
    refused(tmp_path, file.name)


def test_damaged_bytes_lead_to_an_exam_error_or_to_a_volume(tmp_path):
    rng, file = np.random.default_rng(0), write_series(tmp_path, chest(MIN_SLICES))[4]
    whole = file.read_bytes()
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[rng.integers(128, 1300)] = rng.integers(256)
        file.write_bytes(damaged)
        try:
            read_volume(tmp_path)
        except ExamError as error:
            assert "What to do" in str(error)
    file.write_bytes(rng.bytes(5000))
    refused(tmp_path, file.name)


def test_what_is_no_volume(tmp_path):
    hu, few = image_of(chest()), write_series(tmp_path / "few", chest(MIN_SLICES - 1))
    refused(tmp_path / "few", f"{MIN_SLICES - 1} slices")
    refused(few[0], "one DICOM slice")
    refused(tmp_path / "gone.nii.gz", "gone.nii.gz", "does not exist")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", tmp_path / "empty")
    (tmp_path / "a.xyz").write_text("?")
    refused(tmp_path / "a.xyz", ".nii.gz")
    for name, image, words in (
        ("flat.nii.gz", hu[:, :, 5], ""),
        ("two.nii.gz", sitk.JoinSeries([hu] * 2), "4 dimensions"),
        ("a.png", sitk.Cast(hu[:, :, 5], sitk.sitkUInt8), "picture"),
        ("colour.nrrd", sitk.Compose([hu] * 3), "3 values"),
    ):
        refused(saved(tmp_path / name, image), name, words)
    (tmp_path / "both").mkdir()
    for name in ("a.mha", "b.mha"):
        saved(tmp_path / "both" / name)
    refused(tmp_path / "both", "a.mha, b.mha")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize("share", [0.5, 0.01, 0.0])
def test_volume_file_cut_short(tmp_path, suffix, share):
    file = saved(tmp_path / f"a{suffix}")
    truncate(file, share)
    refused(file, file.name)


HU = chest().astype(np.float32)
UNIT = (HU - HU.min()) / np.ptp(HU)
ODD, SLICE, PADDED = HU.copy(), chest(), chest()
ODD[3, 4, 5:7] = np.nan, np.inf
SLICE[3] += 1024
PADDED[3] -= 10_000


@pytest.mark.parametrize(
    "values, words",
    [
        ((UNIT * 255).astype(np.uint8), "8-bit"),
        (UNIT, "normalised"),
        ((HU < -700).astype(np.uint8), "mask"),
        ((HU + 1024).astype(np.int16), "rescale intercept"),
        (np.maximum(HU, -200), "no air"),
        (np.zeros_like(HU), "every voxel is 0"),
        (HU - 1024, "no soft tissue"),
        (ODD, "2 voxels that are NaN"),
        (SLICE, "1 of 16 slices, counted from the lowest: 4:"),
    ],
)
@pytest.mark.parametrize("suffix", [".nii.gz", ".mha"])
def test_values_that_are_not_hu(tmp_path, values, words, suffix):
    refused(saved(tmp_path / f"a{suffix}", image_of(values)), words, f"a{suffix}")


def test_a_slice_of_padding_is_air(tmp_path):
    assert (read_volume(saved(tmp_path / "a.mha", image_of(PADDED))).hu[3] == -1024).all()


# ---------------------------------------------------------------------------------------------- real exams


REAL = {"P001": 50, "P002": 45, "cap001": 56, "cap002": 44, "normal001": 52, "normal002": 56}


@pytest.mark.parametrize("name", REAL)
def test_real_exams_are_read_by_position(real_data, name):
    volume = read_volume(next((real_data / "covid-ct-md").glob(f"*/{name}")))
    assert volume.hu.shape == (REAL[name], 512, 512)
    assert volume.spacing_mm[0] == pytest.approx(6.0, abs=1e-3) and 0.5 < volume.spacing_mm[1] < 0.8
    assert volume.hu.min() == -1024 and 1000 < volume.hu.max() <= 3071
    assert volume.protocol["slice_thickness_mm"] == 2.0 and volume.protocol["kvp"] == 110.0
    # cranial slices show shoulders and neck, caudal ones liver: lungs are widest in between
    air = (volume.hu[:, 128:384, 128:384] < -700).mean(axis=(1, 2))
    assert air[len(air) // 3 : -len(air) // 3].mean() > max(air[0], air[-1])


def test_real_series_does_not_depend_on_file_names_and_agrees_with_another_decoder(real_data, tmp_path):
    folder = real_data / "covid-ct-md" / "Cap subjects" / "cap002"
    files = sorted(folder.iterdir())
    for i, place in enumerate(np.random.default_rng(0).permutation(len(files))):
        (tmp_path / f"{place:04}").symlink_to(files[i])
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.hu, read_volume(folder).hu)
    headers = sorted((pydicom.dcmread(f) for f in files), key=lambda h: h.ImagePositionPatient[2])
    for i in (0, 20, -1):
        stored = ljpeg_decode(get_frame(headers[i].PixelData, 0, number_of_frames=1)).astype(int)
        expected = stored + int(headers[i].RescaleIntercept)
        np.testing.assert_array_equal(volume.hu[i], expected.clip(-1024, 3071))


def test_real_series_with_a_compressed_slice_cut_short(real_data, tmp_path):
    folder, whole = tmp_path / "one", real_data / "covid-ct-md" / "Normal subjects" / "normal001"
    shutil.copytree(whole, folder)
    victim = sorted(folder.iterdir())[20]
    for share in (0.999, 0.5):
        shutil.copy(whole / victim.name, victim)
        truncate(victim, share)
        refused(folder, victim.name)


def test_a_name_within_a_name_is_no_kind(tmp_path):
    np.testing.assert_array_equal(read_volume(saved(tmp_path / "scan.nii.mha")).hu, chest())
