"""A folder of DICOM slices, or a file of many -> one CT image, sorted and spaced by the slices' positions in the patient.

File names and SliceThickness say nothing reliable about where a slice lies (COVID-CT-MD: names out of order),
so both are ignored. What HU, geometry or identity rest on must hold on every slice: a slice cut short, missing or
doubled, without its rescale tags, of another acquisition, kernel or patient is an error that names the files.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk

from covid_study.cohort.file_kinds import is_dicom
from covid_study.cohort.folders import below
from covid_study.ct.dicom_header import read_header
from covid_study.ct.frames import slices_of
from covid_study.ct.geometry import Geometry
from covid_study.ct.series import (
    Slice,
    check_alike,
    check_rescaled,
    check_states,
    is_multi_frame,
    one_series,
)
from covid_study.ct.volume import COPY, HU_RANGE, Fault

MOST_HU = 31743  # of an extended scale
PROTOCOL = {
    "kvp": "KVP",
    "slice_thickness_mm": "SliceThickness",
    "collimation_mm": "SingleCollimationWidth",
    "pitch": "SpiralPitchFactor",
}


def read_series(place: Path, burnt_in: bool = False) -> tuple[sitk.Image, dict[str, Any]]:
    """Image in HU (int16, as the slices lie) and protocol of the one CT series below a folder, or in a file.

    Files that are no CT image (reports, localizers, screenshots without a position) are passed over, and counted in the
    protocol; a DICOMDIR is not counted.

    Args:
        burnt_in: read a series whose header says that text is burnt into its pixels (BurnedInAnnotation), which may name
            the patient.

    Raises: Fault naming the files.
    """
    files = below(place).files if place.is_dir() else [place]
    headers = [read_header(file) for file in files if is_dicom(file)]
    found = [s for header in headers if header is not None for s in slices_of(header)]
    if place.is_file() and len(found) < 2 and not any(map(is_multi_frame, found)):
        raise Fault(f"{place} is one DICOM slice", "give the folder that holds the whole series")
    slices = one_series(found, place)
    if not burnt_in and any(s.header.get("BurnedInAnnotation") == "YES" for s in slices):
        raise Fault(
            "its header says that text is burnt into the pixels (BurnedInAnnotation), perhaps the patient's name",
            "look at it; then give the series without the text, or set cohort.burnt_in to true",
        )
    check_states(slices)
    check_alike(slices)
    row, column = np.asarray(slices[0].orientation)
    normal = np.cross(row, column)
    slices.sort(key=lambda s: float(s.position @ normal))
    first = slices[0].header
    row_mm, column_mm = (float(v) for v in first.PixelSpacing)
    positions = np.array([s.position for s in slices])
    geometry = Geometry(positions, row, column, (column_mm, row_mm), [s.name for s in slices])
    geometry.check()
    padding = next((s.header for s in slices if s.header.get("PixelPaddingValue") is not None), None)
    hu = np.empty((len(slices), int(first.Rows), int(first.Columns)), np.int16)
    with ThreadPoolExecutor(2) as pool:  # SimpleITK frees the interpreter while it decodes
        list(pool.map(lambda plane, s: np.copyto(plane, _pixels(s, padding)), hu, slices))
    check_rescaled(slices, hu)
    return geometry.image(hu), _protocol(first) | {
        "passed_over": headers.count(None) + len(found) - len(slices)
    }


def _protocol(header: pydicom.Dataset) -> dict[str, Any]:
    """What a header says of the acquisition; None where it is silent.

    Collimation is given as the paper's Table I has it, rows x width: the rows are the total width over that of one.
    """
    known = {fact: float(header.get(tag) or 0) or None for fact, tag in PROTOCOL.items()}
    total, single = header.get("TotalCollimationWidth"), known["collimation_mm"]
    known["collimation_rows"] = round(float(total) / single) if total and single else None
    return known | {"manufacturer": str(header.get("Manufacturer") or "") or None}


def _pixels(s: Slice, padded: pydicom.Dataset | None = None) -> np.ndarray:
    """HU of one slice, int16 (y, x), clipped to what a scanner stores, padding as air.

    Choice: what lies above an extended scale was below 0 and written as unsigned: padding that no tag names.

    padded: a header of the series that says what padding is, for slices that do not.
    """
    try:
        hu = _decoded(s) if s.pixels_at is None else _stored(s)
    except (RuntimeError, IndexError, ValueError) as error:
        raise Fault(
            f"the pixels of {s.name} cannot be decoded (cut short, or an unknown compression)", COPY
        ) from error
    says = padded if s.header.get("PixelPaddingValue") is None else s.header
    if says is not None:
        padding = says.PixelPaddingValue
        ends = (padding, says.get("PixelPaddingRangeLimit", padding))
        low, high = sorted(_as_hu(v, s.header) for v in ends)
        hu = np.where((hu >= low - 1e-3) & (hu <= high + 1e-3), HU_RANGE[0], hu)
    hu = np.where(hu > MOST_HU, HU_RANGE[0], hu)
    return np.clip(hu if hu.dtype.kind == "i" else np.rint(hu), *HU_RANGE).astype(np.int16)


def _decoded(s: Slice) -> np.ndarray:
    """HU as GDCM has them."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")  # applies RescaleSlope and RescaleIntercept, decodes JPEG-lossless
    reader.SetFileName(str(s.file))
    return sitk.GetArrayFromImage(reader.Execute())[0]


def _stored(s: Slice) -> np.ndarray:
    """The same of pixels that need no decoding, in a tenth of the time."""
    h = s.header
    kind, shape = "<i2" if h.get("PixelRepresentation") else "<u2", (int(h.Rows), int(h.Columns))
    values = np.fromfile(s.file, kind, shape[0] * shape[1], offset=s.pixels_at or 0).reshape(shape)
    spare = 16 - int(h.BitsStored)  # what lies in the upper bits is no value
    values = values if not spare else values << spare >> spare
    slope, intercept = float(h.get("RescaleSlope", 1)), float(h.get("RescaleIntercept", 0))
    if slope.is_integer() and intercept.is_integer():
        return values.astype(np.int32) * int(slope) + int(intercept)
    return values * slope + intercept


def _as_hu(stored: int, header: pydicom.Dataset) -> float:
    """A stored value in HU; a signed one may have been written as unsigned."""
    stored, bits = int(stored), int(header.get("BitsAllocated", 16))
    signed = int(header.get("PixelRepresentation", 0))
    if signed == 1 and stored >= 2 ** (bits - 1):
        stored -= 2**bits
    elif signed == 0 and stored < 0:
        stored += 2**bits
    return stored * float(header.get("RescaleSlope", 1)) + float(header.get("RescaleIntercept", 0))
