"""Readers: geometry against arrays that were written, real exams, and one message for each kind of bad input."""

import shutil

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_factory import SPACING, chest, edit, truncate, write_series
from pydicom.uid import generate_uid

from covid_study.ct.files import MIN_SLICES, check_hu, read_volume
from covid_study.errors import ExamError


def image_of(hu, spacing=SPACING):
    """A SimpleITK image in LPS with the geometry of `write_series`."""
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing(spacing[::-1])
    image.SetOrigin((-70.0, -80.0, -300.0))
    return image


def refused(path, *words, exam_id="E1"):
    """Reading fails with one message that names the exam and holds all the words."""
    with pytest.raises(ExamError) as caught:
        read_volume(path, exam_id)
    message = str(caught.value)
    assert caught.value.exam_id == exam_id and message.startswith("exam E1: ") and "What to do: " in message
    for word in words:
        assert str(word) in message, message
    return message


# ---------------------------------------------------------------------------------------------- what is read


def test_series_is_sorted_and_spaced_by_position_not_by_name_or_thickness(tmp_path):
    write_series(tmp_path)
    volume = read_volume(tmp_path)
    assert volume.hu.dtype == np.int16 and volume.hu.flags.c_contiguous
    np.testing.assert_array_equal(volume.hu, chest())
    assert volume.spacing_mm == pytest.approx(SPACING)
    assert volume.protocol == {
        "kvp": 120.0, "slice_thickness_mm": 1.0, "manufacturer": "ACME", "n_slices": 16, "matrix": 40, "pixel_spacing_mm": 4.0,
        "collimation_rows": None, "collimation_mm": None, "pitch": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "tags, rows, width, pitch",
    [
        (
            {"TotalCollimationWidth": 19.2, "SingleCollimationWidth": 0.6, "SpiralPitchFactor": 1.3},
            32,
            0.6,
            1.3,
        ),
        ({"SingleCollimationWidth": 0.6}, None, 0.6, None),
        ({"TotalCollimationWidth": 19.2, "SingleCollimationWidth": 0.0, "KVP": ""}, None, None, None),
    ],
)
def test_collimation_and_pitch_are_those_of_the_header(tmp_path, tags, rows, width, pitch):
    write_series(tmp_path, **tags)
    protocol = read_volume(tmp_path).protocol
    found = [protocol[fact] for fact in ("collimation_rows", "collimation_mm", "pitch")]
    assert found == [rows, width, pitch]
    assert protocol["kvp"] == (None if "KVP" in tags else 120)


@pytest.mark.parametrize("flips", [(0,), (1,), (2,), (0, 1, 2)])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha", ".mhd"])
def test_volume_files_with_flipped_axes_give_the_same_canonical_array(tmp_path, flips, suffix):
    image = sitk.Flip(image_of(chest()), [axis in flips for axis in (0, 1, 2)])
    sitk.WriteImage(image, str(tmp_path / f"a{suffix}"))
    volume = read_volume(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(volume.hu, chest())
    assert volume.spacing_mm == pytest.approx(SPACING) and volume.protocol["kvp"] is None


def test_permuted_axes_and_a_trailing_dimension_of_one(tmp_path):
    sitk.WriteImage(sitk.PermuteAxes(image_of(chest()), [2, 0, 1]), str(tmp_path / "p.nii.gz"))
    np.testing.assert_array_equal(read_volume(tmp_path / "p.nii.gz").hu, chest())
    sitk.WriteImage(sitk.JoinSeries(image_of(chest())), str(tmp_path / "q.nii.gz"))
    np.testing.assert_array_equal(read_volume(tmp_path / "q.nii.gz").hu, chest())


def test_prone_series_is_turned(tmp_path):
    hu = chest()
    files = write_series(
        tmp_path, hu, ImageOrientationPatient=[-1, 0, 0, 0, -1, 0]
    )  # rows and columns run backwards
    assert len(files) == len(hu)
    np.testing.assert_array_equal(read_volume(tmp_path).hu, hu[:, ::-1, ::-1])


def test_rescale_padding_and_clipping(tmp_path):
    hu = chest()
    hu[:, 0, 0], hu[:, 0, 1] = 976, 8000
    write_series(tmp_path, hu, PixelPaddingValue=2000)
    read = read_volume(tmp_path).hu
    assert (read[:, 0, 0] == -1024).all() and (read[:, 0, 1] == 3071).all()
    files = write_series(tmp_path / "slope", RescaleSlope="0.5", RescaleIntercept="-1000")
    assert files and read_volume(tmp_path / "slope").hu.max() == np.rint((chest().max() + 1024) / 2 - 1000)


def test_signed_padding_below_air(tmp_path):
    for i, file in enumerate(write_series(tmp_path)):
        header = pydicom.dcmread(file)
        stored = chest()[i].astype(np.int16)
        stored[:3] = -2000
        header.PixelRepresentation, header.RescaleIntercept, header.PixelData = 1, "0", stored.tobytes()
        header.add_new("PixelPaddingValue", "SS", -2000)
        header.save_as(file)
    read = read_volume(tmp_path).hu
    assert (read[:, :3] == -1024).all() and (read[:, 3:] == chest()[:, 3:]).all()


def test_files_without_suffix_and_what_is_no_slice_are_passed_over(tmp_path):
    for file in write_series(tmp_path / "study" / "series"):
        file.rename(file.with_suffix(""))
    folder = tmp_path / "study"
    (folder / "notes.txt").write_text("nothing")
    (folder / "._image.dcm").write_bytes(b"resource fork")
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    write_series(tmp_path / "a", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])[0].rename(
        folder / "scout.dcm"
    )
    report = write_series(tmp_path / "b", Modality="SR", Rows=None, ImagePositionPatient=None)[0]
    edit(report, PixelData=None)
    report.rename(folder / "report.dcm")
    write_series(tmp_path / "c", ImagePositionPatient=None)[0].rename(folder / "screenshot.dcm")
    np.testing.assert_array_equal(read_volume(folder).hu, chest())


def test_rounded_positions_are_no_gap(tmp_path):
    files = write_series(tmp_path, spacing=(0.625, 4.0, 3.0))
    for i, file in enumerate(files):
        edit(file, ImagePositionPatient=[-70, -80, round(0.625 * i, 1)])
    assert read_volume(tmp_path).spacing_mm[0] == pytest.approx(0.625, abs=0.01)


# ---------------------------------------------------------------------------------------------- bad input


def test_missing_file(tmp_path):
    refused(tmp_path / "gone.nii.gz", "gone.nii.gz", "does not exist")


def test_folder_without_images(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    refused(tmp_path, tmp_path, "no DICOM image")


@pytest.mark.parametrize("share", [0.999, 0.5, 0.2, 0.05, 0.0])
def test_series_with_a_slice_cut_short(tmp_path, share):
    file = write_series(tmp_path)[7]
    truncate(file, share)
    refused(tmp_path, file.name)


def test_corrupt_slice(tmp_path):
    file = write_series(tmp_path)[3]
    file.write_bytes(np.random.default_rng(0).bytes(5000))
    refused(tmp_path, file.name, "cannot be read")


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


def test_series_with_a_slice_missing_names_the_neighbours(tmp_path):
    files = write_series(tmp_path)
    files[5].unlink()
    refused(
        tmp_path,
        "1 slice missing",
        files[4].name,
        files[6].name,
        "-280.0 mm",
        "-270.0 mm",
        "10.0 mm apart",
        "5.0 mm",
    )


def test_several_slices_missing(tmp_path):
    files = write_series(tmp_path)
    for i in (3, 8, 9):
        files[i].unlink()
    refused(tmp_path, "3 slices missing", files[2].name, files[7].name, files[10].name)


def test_uniformly_sparse_series_is_read(tmp_path):
    hu = chest(30)
    for i, file in enumerate(write_series(tmp_path, hu)):
        if i % 3:
            file.unlink()
    volume = read_volume(tmp_path)
    assert volume.spacing_mm[0] == 15.0 and np.array_equal(volume.hu, hu[::3])


def test_two_series_in_a_folder(tmp_path):
    write_series(tmp_path, SeriesDescription="lung kernel")
    for file in write_series(tmp_path / "other", chest(12), SeriesDescription="soft kernel"):
        file.rename(tmp_path / f"second_{file.name}")
    uid = str(pydicom.dcmread(tmp_path / "image000.dcm").SeriesInstanceUID)
    refused(tmp_path, "2 series", "lung kernel, 16 files", "soft kernel, 12 files", uid)


def test_one_position_twice(tmp_path):
    files = write_series(tmp_path)
    shutil.copy(files[2], tmp_path / "copy.dcm")
    refused(tmp_path, "hold two slices", files[2].name, "copy.dcm", "-290.0 mm")


def test_slices_of_two_sizes(tmp_path):
    files = write_series(tmp_path)
    edit(files[4], PixelSpacing=[1.0, 1.0])
    refused(tmp_path, "differ in matrix, pixel spacing or orientation")


def test_gantry_tilt(tmp_path):
    for i, file in enumerate(write_series(tmp_path)):
        edit(file, ImagePositionPatient=[-70, -80 + 2 * i, 5 * i])
    refused(tmp_path, "gantry tilt of about 22 degrees")


def test_no_positions(tmp_path):
    write_series(tmp_path, ImagePositionPatient=None)
    refused(tmp_path, "no ImagePositionPatient")


def test_other_modality_and_missing_rescale(tmp_path):
    write_series(tmp_path / "mr", Modality="MR")
    refused(tmp_path / "mr", "modality MR")
    write_series(tmp_path / "raw", RescaleIntercept=None, RescaleSlope=None)
    refused(tmp_path / "raw", "RescaleIntercept")


def test_multi_frame_and_colour_dicom(tmp_path):
    file = write_series(tmp_path)[5]
    edit(file, SamplesPerPixel=3, BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=bytes(3 * 40 * 48))
    refused(tmp_path, "colour", file.name)
    edit(file, SamplesPerPixel=1, NumberOfFrames=3)
    refused(tmp_path, "multi-frame", file.name)
    refused(file, "one DICOM slice", "folder")


def test_too_few_slices_and_two_dimensions(tmp_path):
    write_series(tmp_path / "few", chest(MIN_SLICES - 1))
    refused(tmp_path / "few", f"{MIN_SLICES - 1} slices")
    sitk.WriteImage(image_of(chest())[:, :, 5], str(tmp_path / "flat.nii.gz"))
    refused(tmp_path / "flat.nii.gz", "flat.nii.gz")
    sitk.WriteImage(sitk.JoinSeries([image_of(chest())] * 2), str(tmp_path / "two.nii.gz"))
    refused(tmp_path / "two.nii.gz", "4 dimensions")


def test_pictures_colour_volumes_and_unknown_files(tmp_path):
    sitk.WriteImage(sitk.Cast(image_of(chest())[:, :, 5], sitk.sitkUInt8), str(tmp_path / "a.png"))
    refused(tmp_path / "a.png", "picture")
    sitk.WriteImage(sitk.Compose([image_of(chest())] * 3), str(tmp_path / "colour.nrrd"))
    refused(tmp_path / "colour.nrrd", "3 values a voxel")
    (tmp_path / "a.xyz").write_text("?")
    refused(tmp_path / "a.xyz", "no volume file", ".nii.gz")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize("share", [0.5, 0.01, 0.0])
def test_volume_file_cut_short(tmp_path, suffix, share):
    file = tmp_path / f"a{suffix}"
    sitk.WriteImage(image_of(chest()), str(file))
    truncate(file, share)
    refused(file, file.name, "damaged or cut short")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity(tmp_path, value):
    hu = chest().astype(np.float32)
    hu[3, 4, 5:7] = value
    sitk.WriteImage(image_of(hu), str(tmp_path / "a.nii.gz"))
    refused(tmp_path / "a.nii.gz", "2 voxels", "NaN")


def test_values_that_are_not_hu(tmp_path):
    hu = chest().astype(np.float32)
    unit = (hu - hu.min()) / np.ptp(hu)
    for name, values, word in [
        ("eight", (unit * 255).astype(np.uint8), "8-bit"),
        ("unit", unit, "normalised"),
        ("mask", (hu < -700).astype(np.uint8), "mask"),
        ("stored", (hu + 1024).astype(np.int16), "rescale intercept"),
        ("water", np.maximum(hu, -200), "no air"),
        ("constant", np.zeros_like(hu), "every voxel is 0"),
        ("shifted", hu - 1024, "no soft tissue"),
    ]:
        sitk.WriteImage(image_of(values), str(tmp_path / f"{name}.nii.gz"))
        refused(tmp_path / f"{name}.nii.gz", word, f"{name}.nii.gz")


def test_check_hu_accepts_a_chest():
    check_hu(chest(), "E1")


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


def test_real_series_does_not_depend_on_file_names_and_agrees_with_pydicom(real_data, tmp_path):
    folder = real_data / "covid-ct-md" / "Cap subjects" / "cap002"
    files = sorted(folder.iterdir())
    for i, place in enumerate(np.random.default_rng(0).permutation(len(files))):
        (tmp_path / f"{place:04}").symlink_to(files[i])
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.hu, read_volume(folder).hu)
    headers = sorted((pydicom.dcmread(f) for f in files), key=lambda h: h.ImagePositionPatient[2])
    for i in (0, 20, -1):
        expected = headers[i].pixel_array.astype(int) + int(headers[i].RescaleIntercept)
        np.testing.assert_array_equal(volume.hu[i], expected.clip(-1024, 3071))


def test_real_series_with_a_slice_missing_or_cut_short(real_data, tmp_path):
    folder = real_data / "covid-ct-md" / "Normal subjects" / "normal001"
    for file in folder.iterdir():
        shutil.copy(file, tmp_path)
    headers = sorted(
        (pydicom.dcmread(f, stop_before_pixels=True) for f in tmp_path.iterdir()),
        key=lambda h: h.ImagePositionPatient[2],
    )
    victim = tmp_path / headers[20].filename.rpartition("/")[2]
    for share in (0.999, 0.98, 0.5, 0.1):
        shutil.copy(folder / victim.name, victim)
        truncate(victim, share)
        refused(tmp_path, victim.name)
    victim.unlink()
    refused(tmp_path, "1 slice missing", "12.0 mm apart where neighbours lie 6.0 mm")


def test_two_real_series_in_one_folder(real_data, tmp_path):
    for name in ("P001", "P002"):
        (tmp_path / name).symlink_to(real_data / "covid-ct-md" / "COVID-19 subjects" / name)
    for name in ("P001", "P002"):
        for file in (tmp_path / name).iterdir():
            shutil.copy(file, tmp_path / f"{name}{generate_uid()[-6:]}{file.name}")
        (tmp_path / name).unlink()
    refused(tmp_path, "2 series", "50 files", "45 files")
