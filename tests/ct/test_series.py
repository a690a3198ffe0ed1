"""What HU and identity rest on is asked of every slice: one that differs, wherever it lies, is refused by name."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_factory import chest, edit, write_series
from pydicom.uid import generate_uid
from refusals import refused as refuse

from covid_study.ct.files import read_volume
from covid_study.errors import ExamError

ODD = (3, 7, 8, 12)  # slices that differ: neither the lowest nor the first by name


def refused(path, *words, **how):
    message = refuse(ExamError, lambda: read_volume(path, "E1", **how), "What to do: ", *words)
    assert message.startswith("exam E1: ") and len(message) <= 600
    return message


@pytest.mark.parametrize(
    "tags, word",
    [
        (dict(RescaleSlope=None, RescaleIntercept=None), "RescaleIntercept"),
        (dict(RescaleSlope=None), "RescaleSlope"),
        (dict(RescaleSlope="0"), "RescaleSlope"),
        (dict(RescaleIntercept=""), "RescaleIntercept"),
        (dict(ModalityLUTSequence=[pydicom.Dataset()]), "ModalityLUTSequence"),
        (dict(PhotometricInterpretation="MONOCHROME1"), "PhotometricInterpretation"),
    ],
)
@pytest.mark.parametrize("odd", [ODD, range(16)])
def test_a_tag_that_some_slices_or_all_lack_or_give_wrongly(tmp_path, tags, word, odd):
    files = write_series(tmp_path)
    for i in odd:
        edit(files[i], **tags)
    refused(tmp_path, word, f"{len(odd)} of 16")


def test_a_series_without_rescale_is_read_only_where_it_is_signed(tmp_path):
    for i, file in enumerate(write_series(tmp_path, RescaleSlope=None, RescaleIntercept=None)):
        edit(file, PixelRepresentation=1, PixelData=chest()[i].tobytes())
    np.testing.assert_array_equal(read_volume(tmp_path).hu, chest())


@pytest.mark.parametrize("tags", [dict(NumberOfFrames=16), dict(SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1")])
def test_a_multi_frame_file_is_refused_by_its_name_in_a_folder_and_alone(tmp_path, tags):
    file = write_series(tmp_path, ImagePositionPatient=None, PixelSpacing=None, **tags)[0]
    edit(file, PixelData=bytes(16 * 2 * 40 * 48))
    for other in set(tmp_path.iterdir()) - {file}:
        other.unlink()
    assert refused(tmp_path, "multi-frame", file.name) == refused(file, "multi-frame", file.name)


@pytest.mark.parametrize("shift, wrong", [(1024, True), (-10_000, False)])
def test_one_slice_of_a_volume_that_is_not_in_hu_or_is_padding(tmp_path, shift, wrong):
    hu = chest()
    hu[3] += shift
    sitk.WriteImage(sitk.GetImageFromArray(hu), str(tmp_path / "a.nii.gz"))
    if wrong:
        refused(tmp_path / "a.nii.gz", "1 of 16 slices", ": 4:")
    else:
        assert (read_volume(tmp_path / "a.nii.gz").hu[3] == -1024).all()


def test_what_leads_to_a_patient_is_in_no_message(tmp_path):
    planted = dict(
        PatientName="Doe^Jane",
        PatientBirthDate="19700101",
        AccessionNumber="A4711",
        InstitutionName="St Elsewhere",
    )
    files = write_series(tmp_path / "a", **planted)
    uid = str(pydicom.dcmread(files[3]).SOPInstanceUID)
    named = files[3].rename(files[3].with_name(f"{uid}.dcm"))
    for change in (dict(RescaleSlope="0"), dict(SeriesInstanceUID=generate_uid()), dict(PatientID="4711")):
        edit(named, **change)
        message = refused(tmp_path / "a")
        assert not any(word in message for word in (*planted.values(), uid, "1.2.826", "somebody"))


def test_a_header_that_announces_more_pixels_than_any_scanner_is_not_believed(tmp_path):
    file = write_series(tmp_path)[4]
    edit(file, Rows=65000, Columns=65000)
    refused(tmp_path, file.name, "65000 x 65000")


def test_values_without_an_end_are_not_sought_in_the_whole_file_each(tmp_path, monkeypatch):
    file = write_series(tmp_path)[4]
    file.write_bytes(file.read_bytes()[:132] + b"9\0\0\0UN\0" + b"\xff" * 60_000)
    sought, seek = [], pydicom.filereader.read_undefined_length_value
    monkeypatch.setattr(
        pydicom.filereader, "read_undefined_length_value", lambda *a: sought.append(a) or seek(*a)
    )
    for path in (tmp_path, file):
        refused(path, file.name)
    assert 0 < len(sought) < 100


def test_a_series_behind_a_link_is_read_once(tmp_path):
    write_series(tmp_path / "store")
    exam = tmp_path / "exam"
    exam.mkdir()
    (exam / "S1").symlink_to(tmp_path / "store", target_is_directory=True)
    (exam / "again").symlink_to(exam, target_is_directory=True)
    (exam / "S2").symlink_to(tmp_path / "store", target_is_directory=True)
    np.testing.assert_array_equal(read_volume(exam).hu, chest())
