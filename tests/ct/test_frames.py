"""Enhanced CT: the HU and the geometry of a file of many frames are those of the same slices in a file each."""

import numpy as np
import pydicom
import pytest
from dicom_factory import SPACING, chest, edit, write_frames, write_series
from pydicom.uid import JPEGLosslessSV1
from refusals import refused

from covid_study.ct.files import read_volume
from covid_study.errors import ExamError


@pytest.mark.parametrize("alone", [True, False])
def test_frames_are_read_as_slices_are(tmp_path, alone):
    hu = chest(120, 16, 20)  # so many that their groups are read when they are asked for
    file = write_frames(tmp_path / "frames" / "a.dcm", hu)
    volume = read_volume(file if alone else file.parent)
    write_series(tmp_path / "slices", hu)
    other = read_volume(tmp_path / "slices")
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.spacing_mm == other.spacing_mm == SPACING
    assert volume.protocol == other.protocol and volume.protocol["kvp"] == 120


def changed(group, **values):
    """Of the fourth frame."""

    def change(header):
        (item,) = header.PerFrameFunctionalGroupsSequence[3][group].value
        for name, value in values.items():
            if value is None:
                delattr(item, name)
            else:
                setattr(item, name, value)

    return change


def compressed(header):
    header.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    header.PixelData = pydicom.encaps.encapsulate([bytes(10)] * 16)
    header["PixelData"].is_undefined_length = True


@pytest.mark.parametrize(
    "change, word",
    [
        (changed("PlanePositionSequence", ImagePositionPatient=None), "frame 4 of a.dcm has no ImagePositionPatient"),
        (changed("PlanePositionSequence", ImagePositionPatient=[-70, -80, -300]), "two slices"),
        (changed("PlanePositionSequence", ImagePositionPatient=[-70, -80, 300]), "missing"),
        (changed("PixelValueTransformationSequence", RescaleIntercept=None), "lack RescaleIntercept: frame 4 of a.dcm"),
        (changed("PixelValueTransformationSequence", RescaleType="HU_MOD"), "RescaleType"),
        (lambda header: header.PerFrameFunctionalGroupsSequence.pop(), "multi-frame"),
        (lambda header: delattr(header, "SharedFunctionalGroupsSequence"), "ImageOrientationPatient"),
        (changed("PlanePositionSequence", LongCodeValue="0" * 20_000), "multi-frame"),
        (compressed, "multi-frame"),
    ],
)  # fmt: skip
def test_frames_that_do_not_say_where_they_lie_or_what_they_mean_are_refused_by_name(tmp_path, change, word):
    file = write_frames(tmp_path / "a.dcm")
    header = pydicom.dcmread(file)
    change(header)
    header.save_as(file)
    for path in (tmp_path, file):
        refused(ExamError, lambda path=path: read_volume(path), word)


STATES = [
    ("FrameContentSequence", "StackID", "stacks"),
    ("FrameContentSequence", "TemporalPositionIndex", "temporal positions"),
    ("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase", "cardiac phases"),
    ("RespiratorySynchronizationSequence", "NominalPercentageOfRespiratoryPhase", "respiratory phases"),
]


@pytest.mark.parametrize("group, tag, what", STATES)
@pytest.mark.parametrize("upright", [False, True])
def test_several_states_or_stacks_are_named_and_counted(tmp_path, group, tag, what, upright):
    """They lie at the same places, or one of them is of another plane."""
    file = write_frames(tmp_path / "a.dcm", np.concatenate([chest(16), chest(12)]))
    header = pydicom.dcmread(file)
    for frame in header.PerFrameFunctionalGroupsSequence:
        (place,) = frame.PlanePositionSequence
        state = int(place.ImagePositionPatient[2] >= -300 + 16 * SPACING[0])
        if state:
            place.ImagePositionPatient[2] -= 16 * SPACING[0]
        if state and upright:
            item = pydicom.Dataset()
            item.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
            frame.PlaneOrientationSequence = [item]
        item = pydicom.Dataset()
        setattr(item, tag, str(40 + state) if tag == "StackID" else 40 + state)
        setattr(frame, group, [item])
    header.save_as(file)
    refused(ExamError, lambda: read_volume(file), f"2 {what}", "16 slices of 40", "12 slices of 41")


def test_frames_that_the_scan_was_planned_by_are_passed_over_and_counted(tmp_path):
    file = write_frames(tmp_path / "a.dcm", chest(18))
    header = pydicom.dcmread(file)
    for frame in header.PerFrameFunctionalGroupsSequence:
        item = pydicom.Dataset()
        top = frame.PlanePositionSequence[0].ImagePositionPatient[2] >= -300 + 16 * SPACING[0]
        item.FrameType = ["ORIGINAL", "PRIMARY", "LOCALIZER" if top else "VOLUME", "NONE"]
        frame.CTImageFrameTypeSequence = [item]
    header.save_as(file)
    volume = read_volume(file)
    np.testing.assert_array_equal(volume.hu, chest(18)[:16])
    assert volume.protocol["passed_over"] == 2


def test_a_file_of_frames_that_is_cut_short_or_has_text_burnt_in_is_refused(tmp_path):
    file = write_frames(tmp_path / "a.dcm")
    edit(file, BurnedInAnnotation="YES")
    refused(ExamError, lambda: read_volume(file), "BurnedInAnnotation")
    np.testing.assert_array_equal(read_volume(file, burnt_in=True).hu, chest())
    file.write_bytes(file.read_bytes()[:-2])
    refused(ExamError, lambda: read_volume(file), "cut short")
