"""What HU and identity rest on is asked of every slice: one that differs, wherever it lies, is refused by name."""

import struct
import tracemalloc

import numpy as np
import pydicom
import pytest
from dicom_factory import chest, edit, write_series
from pydicom.uid import DeflatedExplicitVRLittleEndian, generate_uid
from volume_files import refused

from covid_study.ct.dicom_header import MOST
from covid_study.ct.files import read_volume

SOME, ALL = (3, 7, 12), range(16)  # slices that are odd: some are neither the lowest nor the first by name
USUAL = dict(ConvolutionKernel="B30f", RescaleType="HU", FrameOfReferenceUID="1.2.3.4")


@pytest.mark.parametrize(
    "odd, word, tags",
    [(odd, word, tags) for odd in (SOME, ALL) for word, tags in (
        ("RescaleIntercept", dict(RescaleIntercept=None, RescaleSlope=None)),
        ("RescaleIntercept", dict(RescaleIntercept=None)), ("RescaleIntercept", dict(RescaleIntercept="")),
        ("RescaleSlope", dict(RescaleSlope=None)), ("RescaleSlope", dict(RescaleSlope="0")),
        ("ModalityLUTSequence", dict(ModalityLUTSequence=[pydicom.Dataset()])),
        ("PhotometricInterpretation", dict(PhotometricInterpretation="MONOCHROME1")),
    )] + [(SOME, word, tags) for word, tags in (
        ("rescaled otherwise", dict(RescaleIntercept="0")), ("rescaled otherwise", dict(RescaleSlope="4")),
        ("rescaled otherwise", dict(RescaleIntercept="-1000")), ("rescaled otherwise", dict(RescaleSlope="1.1")),
        ("RescaleType", dict(RescaleType="OD")), ("PixelRepresentation", dict(PixelRepresentation=1)),
        ("Rows", dict(Rows=20)), ("PixelSpacing", dict(PixelSpacing=[4.0, 3.01])),
        ("ImageOrientationPatient", dict(ImageOrientationPatient=[0, 1, 0, 1, 0, 0])),
        ("ImageOrientationPatient", dict(ImageOrientationPatient=[0, 1, 0, 0, 0, -1])),
        ("ConvolutionKernel", dict(ConvolutionKernel="B70f")), ("PatientID", dict(PatientID="somebody2")),
        ("KVP", dict(KVP="80")), ("KVP", dict(KVP=None)),
        ("FrameOfReferenceUID", dict(FrameOfReferenceUID="1.2.3.5")), ("StudyInstanceUID", dict(StudyInstanceUID="1.2")),
    )],
)  # fmt: skip
def test_a_tag_that_some_slices_or_all_lack_or_give_otherwise(tmp_path, odd, word, tags):
    files = write_series(tmp_path, **USUAL)
    for i in odd:
        edit(files[i], **tags)
    names = [files[i].name for i in odd] if odd is SOME else []
    assert "somebody" not in refused(tmp_path, word, f"{len(odd)} of 16 slices", *names)


COLOUR = dict(SamplesPerPixel=3, BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=bytes(3 * 40 * 48))


@pytest.mark.parametrize(
    "tags, of_one, words",
    [
        ({}, COLOUR, ["colour"]),
        ({}, dict(NumberOfFrames=3, PixelData=bytes(3 * 2 * 40 * 48)), ["multi-frame"]),
        ({}, dict(Rows=65000, Columns=65000), ["65000 x 65000"]),  # more pixels than any scanner has
        (dict(ImagePositionPatient=None), None, ["ImagePositionPatient"]),
        (dict(ImageOrientationPatient=[1, 0, 0, 0.6, 0.8, 0]), None, ["ImageOrientationPatient"]),
        (dict(ImageOrientationPatient=[2, 0, 0, 0, 1, 0]), None, ["ImageOrientationPatient"]),
        (dict(PixelSpacing=None), None, ["PixelSpacing"]),
        (dict(PixelSpacing=[0, 3]), None, ["3 x 0 x 5 mm"]),
        (dict(Modality="MR"), None, ["modality MR"]),
    ],
)
def test_series_that_are_no_ct_or_have_no_place(tmp_path, tags, of_one, words):
    file = write_series(tmp_path, **tags)[4]
    edit(file, **of_one or {})
    refused(tmp_path, *words, file.name if of_one else "")


def test_what_only_rounding_makes_unequal_is_equal(tmp_path):
    files = write_series(tmp_path)
    edit(files[3], PixelSpacing=[4.0000001, 3.0], ImageOrientationPatient=[1, 0, 0.00001, 0, 1, 0])
    np.testing.assert_array_equal(read_volume(tmp_path).hu, chest())


def test_rescale_tags_may_differ_where_the_values_fit(tmp_path):
    files = write_series(tmp_path)
    for i in (3, 4):
        stored = (chest()[i].astype(np.int32) + 2048).astype(np.uint16)
        edit(files[i], RescaleIntercept="-2048", PixelData=stored.tobytes())
    np.testing.assert_array_equal(read_volume(tmp_path).hu, chest())


def test_a_series_without_rescale_is_read_only_where_it_is_signed(tmp_path):
    for i, file in enumerate(write_series(tmp_path, RescaleSlope=None, RescaleIntercept=None)):
        edit(file, PixelRepresentation=1, PixelData=chest()[i].tobytes())
    np.testing.assert_array_equal(read_volume(tmp_path).hu, chest())
    for file in tmp_path.iterdir():
        edit(file, RescaleSlope="", RescaleIntercept="")  # empty says as much as absent
    np.testing.assert_array_equal(read_volume(tmp_path).hu, chest())


def test_padding_that_only_some_slices_name_is_air_in_all(tmp_path):
    hu = chest()
    hu[:, 0] = 2976  # stored as 4000
    for file in write_series(tmp_path, hu, PixelPaddingValue=4000)[::2]:
        edit(file, PixelPaddingValue=None)
    assert (read_volume(tmp_path).hu[:, 0] == -1024).all()


def test_negative_padding_written_as_unsigned_is_air_though_no_tag_names_it(tmp_path):
    for file in write_series(tmp_path):
        header = pydicom.dcmread(file)
        stored = header.pixel_array.copy()
        stored[0] = 2**16 - 2000
        edit(file, PixelData=stored.tobytes())
    assert (read_volume(tmp_path).hu[:, 0] == -1024).all()


@pytest.mark.parametrize("place", [["nan", -80, -300], [-70, -80, "nan"]])
def test_a_place_that_is_no_number_is_none(tmp_path, place):
    edit(file := write_series(tmp_path)[4], ImagePositionPatient=place)
    refused(tmp_path, file.name, "ImagePositionPatient")


def test_the_few_are_odd_also_where_most_are_silent(tmp_path):
    edit(file := write_series(tmp_path)[4], FrameOfReferenceUID="1.2.3")
    refused(tmp_path, f"1 of 16 slices differ in FrameOfReferenceUID, what positions refer to: {file.name}")


def test_acquisitions_may_follow_each_other_but_not_alternate(tmp_path):
    files = write_series(tmp_path, AcquisitionNumber="2")
    for file in files[:6]:
        edit(file, AcquisitionNumber="1")
    assert len(read_volume(tmp_path).hu) == 16
    edit(files[2], AcquisitionNumber="2")
    refused(tmp_path, "2 acquisitions", "11 slices of 2", "5 slices of 1")


def test_states_of_one_chest_in_a_folder_are_told_from_copies(tmp_path):
    same = dict(SeriesInstanceUID=generate_uid(), StudyInstanceUID=generate_uid())
    for phase in ("1", "2"):
        write_series(tmp_path / phase, TemporalPositionIdentifier=phase, AcquisitionNumber=phase, **same)
    refused(tmp_path, "2 temporal positions", "16 slices of 1; 16 slices of 2")


def test_text_in_the_pixels_is_refused_unless_allowed(tmp_path):
    edit(write_series(tmp_path)[5], BurnedInAnnotation="YES")
    refused(tmp_path, "BurnedInAnnotation", "cohort.burnt_in")
    np.testing.assert_array_equal(read_volume(tmp_path, burnt_in=True).hu, chest())


@pytest.mark.parametrize("tags", [dict(NumberOfFrames=16), dict(SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1")])
def test_a_multi_frame_file_is_refused_by_its_name_in_a_folder_and_alone(tmp_path, tags):
    (file,) = write_series(tmp_path, chest(1), ImagePositionPatient=None, PixelSpacing=None, **tags)
    edit(file, PixelData=bytes(16 * 2 * 40 * 48))
    assert refused(tmp_path, "multi-frame", file.name, "convert") == refused(file)


def test_two_series_in_a_folder(tmp_path):
    write_series(tmp_path, ConvolutionKernel="B70f", SeriesDescription="Erika")
    write_series(tmp_path / "other", chest(12), ConvolutionKernel="B30f")
    message = refused(tmp_path, "2 series", "kernel B70f", "16 files", "kernel B30f", "12 files")
    assert str(pydicom.dcmread(tmp_path / "image000.dcm").SeriesInstanceUID) not in message
    assert "Erika" not in message


def test_what_leads_to_a_patient_is_in_no_message(tmp_path):
    planted = dict(
        PatientName="Doe^Jane", PatientBirthDate="19700101", AccessionNumber="A4711", InstitutionName="St E"
    )
    files = write_series(tmp_path / "a", **planted)
    uid = str(pydicom.dcmread(files[3]).SOPInstanceUID)
    named = files[3].rename(files[3].with_name(f"{uid}.dcm"))
    for change in (dict(RescaleSlope="0"), dict(SeriesInstanceUID=generate_uid()), dict(PatientID="4711")):
        edit(named, **change)
        message = refused(tmp_path / "a")
        assert not any(word in message for word in (*planted.values(), uid, "1.2.826", "somebody"))


@pytest.mark.parametrize(
    "begin", [b"9\0\0\0UN\0", b"\0R0\x92SQ\0\0" + struct.pack("<I", 60_004) + b"\xfe\xff\0\xe0"]
)  # a value of undefined length, and a long sequence of such
def test_values_without_an_end_are_not_sought_in_the_whole_file_each(tmp_path, monkeypatch, begin):
    file = write_series(tmp_path)[4]
    file.write_bytes(file.read_bytes()[:132] + b"\x08\0`\0CS\2\0CT" + begin + b"\xff" * 60_000)
    sought, seek = [], pydicom.filereader.read_undefined_length_value
    monkeypatch.setattr(
        pydicom.filereader, "read_undefined_length_value", lambda *a: sought.append(a) or seek(*a)
    )
    for path in (tmp_path, file):
        refused(path, file.name)
    assert 0 < len(sought) < 100


def test_a_deflated_series_is_read_and_one_that_inflates_without_end_is_refused_before_it_fills_the_memory(
    tmp_path,
):
    *_, last = files = write_series(tmp_path)
    for file in files:
        header = pydicom.dcmread(file)
        header.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        header.save_as(file)
    np.testing.assert_array_equal(read_volume(tmp_path).hu, chest())
    edit(last, PixelData=bytes(MOST))
    tracemalloc.start()
    refused(tmp_path, last.name, "deflated")
    assert tracemalloc.get_traced_memory()[1] < MOST
    tracemalloc.stop()


def test_a_series_behind_a_link_is_read_once(tmp_path):
    write_series(tmp_path / "store")
    exam = tmp_path / "exam"
    exam.mkdir()
    for name, place in (("S1", "store"), ("again", "exam"), ("S2", "store")):
        (exam / name).symlink_to(tmp_path / place, target_is_directory=True)
    np.testing.assert_array_equal(read_volume(exam).hu, chest())
