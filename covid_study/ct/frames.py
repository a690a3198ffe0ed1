"""Enhanced CT (DICOM PS3.3, A.38): all slices in one file, taken apart into what a file each would say.

What a slice file says at the top of its header stands here in functional groups (PS3.3, C.7.6.16), some shared by all frames,
some of each. Whether the frames make one chest is then asked as of any series.
"""

import pydicom
from pydicom.dataelem import DataElement
from pydicom.tag import BaseTag

from covid_study.ct.series import ENHANCED, Slice, multi_frame

SHARED, OF_EACH = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
GROUPS = {  # functional group -> what of it a slice says
    "PlanePositionSequence": "ImagePositionPatient",
    "PlaneOrientationSequence": "ImageOrientationPatient",
    "PixelMeasuresSequence": "PixelSpacing SliceThickness",
    "PixelValueTransformationSequence": "RescaleIntercept RescaleSlope RescaleType",
    "CTXRayDetailsSequence": "KVP",
    "CTReconstructionSequence": "ConvolutionKernel",
    "CTAcquisitionDetailsSequence": "SingleCollimationWidth TotalCollimationWidth",
    "CTTableDynamicsSequence": "SpiralPitchFactor",
    "CTImageFrameTypeSequence": "FrameType",
    "FrameContentSequence": "FrameAcquisitionNumber StackID TemporalPositionIndex",
    "CardiacSynchronizationSequence": "NominalPercentageOfCardiacPhase",
    "RespiratorySynchronizationSequence": "NominalPercentageOfRespiratoryPhase",
}
AS_SLICE = {
    "FrameAcquisitionNumber": "AcquisitionNumber",
    "FrameType": "ImageType",
}  # what a slice calls otherwise
# bytes of a value read with the header, or of a group: a damaged one takes pydicom a time that grows with its square
LONGEST = 2**14


def slices_of(s: Slice) -> list[Slice]:
    """The slices in a file: itself, or the frames of an enhanced CT.

    Choice: compressed frames are left to a converter, and so are several frames in a file of another kind, whose places no
    standard tells.

    Raises: Fault (frames without groups of their own, or too long ones, or compressed).
    """
    if s.header.get("SOPClassUID") not in ENHANCED or s.header.get("Modality") != "CT":
        return [s]
    each, shared = s.header.get(OF_EACH) or [], (s.header.get(SHARED) or [pydicom.Dataset()])[0]
    groups = (said.get_item(name) for said in (shared, *each) for name in GROUPS)
    too_long = any(getattr(group, "length", 0) > LONGEST for group in groups)
    if len(each) != int(s.header.get("NumberOfFrames") or 1) or s.pixels_at is None or too_long:
        raise multi_frame(s)
    common = {e.tag: e for e in s.header if e.keyword not in (SHARED, OF_EACH)}
    size = 2 * int(s.header.Rows) * int(s.header.Columns)
    return [
        Slice(s.file, _flat(common, shared, own), s.pixels_at + k * size, k + 1) for k, own in enumerate(each)
    ]


def _flat(common: dict[BaseTag, DataElement], *said: pydicom.Dataset) -> pydicom.Dataset:
    """The header of a slice: what all frames have, then what the groups say, the later ones before the earlier."""
    header = pydicom.Dataset(dict(common))
    for group, names in GROUPS.items():
        for item in (item for groups in said for item in groups.get(group) or []):
            for name in names.split():
                # a new element: those that frames share stay as they are
                if name in item and not item[name].is_empty:
                    header.add_new(AS_SLICE.get(name, name), item[name].VR, item[name].value)
    return header
