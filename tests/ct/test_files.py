"""Readers: geometry against arrays that were written, real exams, and one message for each kind of bad input."""

import gzip
import shutil

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_factory import SPACING, chest, edit, truncate, write_series
from imagecodecs import ljpeg_decode
from pydicom.encaps import get_frame
from pydicom.uid import generate_uid
from refusals import refused as refuse

from covid_study.ct.files import MIN_SLICES, read_volume
from covid_study.errors import ExamError


def image_of(hu, spacing=SPACING):
    """A SimpleITK image in LPS with the geometry of `write_series`."""
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing(spacing[::-1])
    image.SetOrigin((-70.0, -80.0, -300.0))
    return image


def saved(image, file):
    sitk.WriteImage(image, str(file))
    return file


def refused(path, *words):
    """Reading fails with one message that names the exam and holds all the words."""
    message = refuse(ExamError, lambda: read_volume(path, "E1"), "What to do: ", *words)
    assert message.startswith("exam E1: ") and len(message) <= 600
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
    volume = read_volume(saved(image, tmp_path / f"a{suffix}"))
    np.testing.assert_array_equal(volume.hu, chest())
    assert volume.spacing_mm == pytest.approx(SPACING) and volume.protocol["kvp"] is None


def test_permuted_axes_a_trailing_dimension_of_one_and_a_prone_series(tmp_path):
    permuted = sitk.PermuteAxes(image_of(chest()), [2, 0, 1])
    for name, image in (("p", permuted), ("q", sitk.JoinSeries(image_of(chest())))):
        np.testing.assert_array_equal(read_volume(saved(image, tmp_path / f"{name}.nii.gz")).hu, chest())
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


def test_rounded_positions_are_no_gap_and_a_sparse_series_is_read(tmp_path):
    for i, file in enumerate(write_series(tmp_path / "thin", spacing=(0.625, 4.0, 3.0))):
        edit(file, ImagePositionPatient=[-70, -80, round(0.625 * i, 1)])
    assert read_volume(tmp_path / "thin").spacing_mm[0] == pytest.approx(0.625, abs=0.01)
    for i, file in enumerate(write_series(tmp_path / "sparse", chest(30))):
        if i % 3:
            file.unlink()
    volume = read_volume(tmp_path / "sparse")
    assert volume.spacing_mm[0] == 15.0 and np.array_equal(volume.hu, chest(30)[::3])


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


def test_slices_missing_or_doubled_name_their_neighbours(tmp_path):
    files = write_series(tmp_path)
    shutil.copy(files[2], tmp_path / "copy.dcm")
    refused(tmp_path, files[2].name, "copy.dcm", "-290.0 mm")
    edit(tmp_path / "copy.dcm", ImagePositionPatient=[-70, -80, -288])
    refused(tmp_path, "unevenly", files[2].name, "copy.dcm", "2.0 mm")
    (tmp_path / "copy.dcm").unlink()
    files[5].unlink()
    where = ("-280.0 mm", "-270.0 mm", "10.0 mm apart", "5.0 mm")
    refused(tmp_path, "1 slice missing", files[4].name, files[6].name, *where)
    for i in (8, 9):
        files[i].unlink()
    refused(tmp_path, "3 slices missing", files[4].name, files[7].name, files[10].name)


def test_two_series_in_a_folder(tmp_path):
    write_series(tmp_path, ConvolutionKernel="B70f", SeriesDescription="Erika")
    for file in write_series(tmp_path / "other", chest(12), ConvolutionKernel="B30f"):
        file.rename(tmp_path / f"second_{file.name}")
    message = refused(tmp_path, "2 series", "kernel B70f", "16 files", "kernel B30f", "12 files")
    assert str(pydicom.dcmread(tmp_path / "image000.dcm").SeriesInstanceUID) not in message
    assert "Erika" not in message


COLOUR = dict(SamplesPerPixel=3, BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=bytes(3 * 40 * 48))


@pytest.mark.parametrize(
    "tags, of_one, words",
    [
        ({}, dict(PixelSpacing=[1.0, 1.0]), ["PixelSpacing", "1 of 16 slices"]),
        ({}, COLOUR, ["colour", "image"]),
        ({}, dict(NumberOfFrames=3, PixelData=bytes(3 * 2 * 40 * 48)), ["multi-frame", "image"]),
        (dict(ImagePositionPatient=None), {}, ["ImagePositionPatient"]),
        (dict(ImageOrientationPatient=[1, 0, 0, 0.6, 0.8, 0]), {}, ["ImageOrientationPatient"]),
        (dict(Modality="MR"), {}, ["modality MR"]),
        (dict(RescaleIntercept=None, RescaleSlope=None), {}, ["RescaleIntercept"]),
    ],
)
def test_series_that_are_no_ct(tmp_path, tags, of_one, words):
    files = write_series(tmp_path, **tags)
    edit(files[4], **of_one)
    refused(tmp_path, *words)


@pytest.mark.parametrize(
    "tag, value",
    [
        ("RescaleIntercept", None), ("RescaleSlope", None), ("RescaleIntercept", "0"), ("RescaleSlope", "4"),
        ("RescaleType", "OD"), ("PhotometricInterpretation", "MONOCHROME1"), ("PixelRepresentation", 1), ("Rows", 20),
        ("PixelSpacing", [4.0, 3.01]), ("ImageOrientationPatient", [0, 1, 0, 1, 0, 0]), ("ConvolutionKernel", "B70f"),
        ("FrameOfReferenceUID", "1.2.3.4"), ("StudyInstanceUID", "1.2.3.5"), ("PatientID", "somebody2"), ("KVP", "80"),
        ("KVP", None),
    ],
)  # fmt: skip
def test_what_hu_geometry_or_identity_rest_on_holds_on_every_slice(tmp_path, tag, value):
    files = write_series(
        tmp_path, ConvolutionKernel="B30f", RescaleType="HU", FrameOfReferenceUID=generate_uid()
    )
    read_volume(tmp_path)
    for file in (files[0], files[7], files[15]):
        edit(file, **{tag: value})
    message = refused(
        tmp_path,
        "3 of 16 slices",
        files[0].name,
        "rescaled" if tag.startswith("Rescale") and value in ("0", "4") else tag,
    )
    assert "somebody" not in message


def test_what_only_rounding_makes_unequal_is_equal(tmp_path):
    files = write_series(tmp_path)
    edit(files[3], PixelSpacing=[4.0000001, 3.0], ImageOrientationPatient=[1, 0, 0.00001, 0, 1, 0])
    np.testing.assert_array_equal(read_volume(tmp_path).hu, chest())


def test_rescale_tags_may_differ_where_the_values_fit(tmp_path):
    for i, file in enumerate(write_series(tmp_path)):
        if i in (3, 4):
            stored = (chest()[i].astype(np.int32) + 2048).astype(np.uint16)
            edit(file, RescaleIntercept="-2048", PixelData=stored.tobytes())
    np.testing.assert_array_equal(read_volume(tmp_path).hu, chest())


def test_padding_that_only_some_slices_name_is_air_in_all(tmp_path):
    hu = chest()
    hu[:, 0] = 2976  # stored as 4000
    for file in write_series(tmp_path, hu, PixelPaddingValue=4000)[::2]:
        edit(file, PixelPaddingValue=None)
    assert (read_volume(tmp_path).hu[:, 0] == -1024).all()


def test_acquisitions_may_follow_each_other_but_not_alternate(tmp_path):
    files = write_series(tmp_path)
    for number, edited in ((1, files[:6]), (2, files[6:])):
        for file in edited:
            edit(file, AcquisitionNumber=str(number))
    assert len(read_volume(tmp_path).hu) == 16
    edit(files[2], AcquisitionNumber="2")
    refused(tmp_path, "2 acquisitions", files[2].name)


def test_text_in_the_pixels_is_refused_unless_allowed(tmp_path):
    files = write_series(tmp_path)
    edit(files[5], BurnedInAnnotation="YES")
    refused(tmp_path, "BurnedInAnnotation", "cohort.burnt_in")
    np.testing.assert_array_equal(read_volume(tmp_path, burnt_in=True).hu, chest())


def test_enhanced_ct_is_refused_alike_as_a_folder_and_as_a_file(tmp_path):
    file = write_series(tmp_path, chest(1), ImagePositionPatient=None, PixelSpacing=None)[0]
    edit(file, NumberOfFrames=2, PixelData=bytes(2 * 2 * 40 * 48))
    for path in (tmp_path, file):
        refused(path, "multi-frame", file.name, "convert")


# ---------------------------------------------------------------------------------------------- how voxels lie


@pytest.mark.parametrize("second, last", [(5.0, 7.0), (7.0, 5.0)])
def test_uneven_steps_are_bounded_by_how_far_a_slice_lies_from_the_even_grid(tmp_path, second, last):
    z = np.cumsum([0.0] + [second] * 9 + [last] * 6)
    for i, file in enumerate(write_series(tmp_path)):
        edit(file, ImagePositionPatient=[-70, -80, float(z[i])])
    refused(tmp_path, "unevenly", "5.0 to 7.0 mm", "7.2 mm")


def sheared(degrees):
    axes = np.eye(3)
    axes[1:, 2] = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return axes


def written_sheared(folder, suffix, degrees):
    """A file whose slices drift along y; ITK's writers make no such thing, so the headers are edited."""
    image, file = image_of(chest()), folder / f"a{suffix}"
    if suffix == ".nii":
        steps = sheared(degrees) * SPACING[::-1]
        affine = np.eye(4)
        affine[:3, :3] = np.diag([-1, -1, 1]) @ steps
        made = nibabel.Nifti1Image(chest().transpose(2, 1, 0), affine)
        made.set_qform(None, 0)
        nibabel.save(made, file)
        return file
    data = saved(image, file).read_bytes()
    y, z = sheared(degrees)[1:, 2]
    if suffix == ".nrrd":
        data = data.replace(b"(0,0,5)", f"(0,{5 * y:.6f},{5 * z:.6f})".encode())
    else:
        data = data.replace(b"1 0 0 0 1 0 0 0 1", f"1 0 0 0 1 0 0 {y:.6f} {z:.6f}".encode())
    file.write_bytes(data)
    return file


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
def test_shear_is_told_as_a_tilted_gantry_and_a_twentieth_of_a_degree_is_read(tmp_path, suffix):
    refused(written_sheared(tmp_path, suffix, 15), "sideways", "15 degrees")
    volume = read_volume(written_sheared(tmp_path, suffix, 0.06))
    np.testing.assert_array_equal(volume.hu, chest())
    assert volume.spacing_mm == pytest.approx(SPACING, rel=1e-4)


@pytest.mark.parametrize("mm", [0.0, np.nan, 3000.0])
def test_a_voxel_without_a_size(tmp_path, mm):
    made = nibabel.Nifti1Image(chest().transpose(2, 1, 0), np.diag([-3.0, -4.0, 5.0, 1]))
    made.set_sform(None, 0)
    made.set_qform(made.affine, 1)
    nibabel.save(made, tmp_path / "a.nii")
    data = bytearray((tmp_path / "a.nii").read_bytes())
    data[80:84] = np.float32(mm).tobytes()
    (tmp_path / "a.nii").write_bytes(data)
    refused(tmp_path / "a.nii", "x 5 mm")


def test_nifti_that_does_not_say_how_it_lies_or_says_it_twice(tmp_path):
    made = nibabel.Nifti1Image(chest().transpose(2, 1, 0), np.diag([-3.0, -4.0, 5.0, 1]))
    made.set_sform(np.diag([3.0, -4.0, 5.0, 1]), 1)
    made.set_qform(np.diag([-3.0, -4.0, 5.0, 1]), 1)
    nibabel.save(made, tmp_path / "a.nii")
    refused(tmp_path / "a.nii", "qform", "sform")
    made.set_sform(None, 0)
    made.set_qform(None, 0)
    nibabel.save(made, tmp_path / "a.nii")
    refused(tmp_path / "a.nii", "qform_code")


def test_nifti_is_scaled_by_its_slope_and_in_mm_whatever_its_unit(tmp_path):
    made = nibabel.Nifti1Image((chest().transpose(2, 1, 0) + 1024.0) / 2, np.diag([-0.003, -0.004, 0.005, 1]))
    made.header.set_data_dtype(np.int16)
    made.header.set_xyzt_units("meter")
    made.header.set_slope_inter(1, 0)
    nibabel.save(made, tmp_path / "a.nii.gz")
    raw = bytearray(gzip.decompress((tmp_path / "a.nii.gz").read_bytes()))
    raw[112:120] = np.array([2, -1024], np.float32).tobytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(raw))
    volume = read_volume(tmp_path / "a.nii.gz")
    assert np.abs(volume.hu.astype(int) - chest()).max() <= 1 and volume.spacing_mm == pytest.approx(
        SPACING, rel=1e-5
    )


def test_gantry_tilt(tmp_path):
    for i, file in enumerate(write_series(tmp_path)):
        edit(file, ImagePositionPatient=[-70, -80 + 2 * i, 5 * i])
    refused(tmp_path, "22 degrees")


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
        refused(saved(image, tmp_path / name), name, words)
    (tmp_path / "both").mkdir()
    for name in ("a.mha", "b.mha"):
        saved(hu, tmp_path / "both" / name)
    refused(tmp_path / "both", "a.mha, b.mha")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize("share", [0.5, 0.01, 0.0])
def test_volume_file_cut_short(tmp_path, suffix, share):
    file = saved(image_of(chest()), tmp_path / f"a{suffix}")
    truncate(file, share)
    refused(file, file.name)


HU = chest().astype(np.float32)
UNIT = (HU - HU.min()) / np.ptp(HU)
ODD = HU.copy()
ODD[3, 4, 5:7] = np.nan, np.inf


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
    ],
)
@pytest.mark.parametrize("suffix", [".nii.gz", ".mha"])
def test_values_that_are_not_hu(tmp_path, values, words, suffix):
    refused(saved(image_of(values), tmp_path / f"a{suffix}"), words, f"a{suffix}")


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


def test_real_series_with_a_slice_cut_short_or_missing_or_with_another(real_data, tmp_path):
    folder, whole = tmp_path / "one", real_data / "covid-ct-md" / "Normal subjects" / "normal001"
    shutil.copytree(whole, folder)
    headers = [pydicom.dcmread(f, stop_before_pixels=True) for f in folder.iterdir()]
    headers.sort(key=lambda h: h.ImagePositionPatient[2])
    victim = folder / headers[20].filename.rpartition("/")[2]
    for share in (0.999, 0.5):
        shutil.copy(whole / victim.name, victim)
        truncate(victim, share)
        refused(folder, victim.name)
    victim.unlink()
    refused(folder, "1 slice missing", "12.0 mm apart", "6.0 mm")
    for file in (real_data / "covid-ct-md" / "COVID-19 subjects" / "P002").iterdir():
        (folder / f"{generate_uid()[-6:]}{file.name}").symlink_to(file)
    refused(folder, "2 series", "51 files", "45 files")
