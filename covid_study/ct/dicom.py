"""A folder of DICOM slices -> one CT image, sorted and spaced by the slices' positions in the patient.

File names and SliceThickness say nothing reliable about where a slice lies (COVID-CT-MD: names out of order),
so both are ignored. Every fault that would bend the anatomy (a slice cut short, missing or doubled, two
series mixed, a tilted gantry) is an error that names the files.
"""

import warnings
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk

from covid_study.cohort.file_kinds import is_dicom
from covid_study.ct.volume import HU_RANGE, Fault, last_line

MAX_SHEAR_MM = 5.0  # Choice in read_series
GAP, OVERLAP = 1.5, 0.5  # steps beyond these multiples of the median step are a missing or a surplus slice
TAGS = (
    "TransferSyntaxUID Modality ImageType SeriesInstanceUID SeriesDescription SliceThickness KVP TotalCollimationWidth "
    "SingleCollimationWidth SpiralPitchFactor Manufacturer ImagePositionPatient ImageOrientationPatient PixelSpacing Rows "
    "Columns SamplesPerPixel NumberOfFrames BitsAllocated PixelRepresentation PixelPaddingValue PixelPaddingRangeLimit "
    "RescaleIntercept RescaleSlope PixelData"
)
PROTOCOL = {
    "kvp": "KVP",
    "slice_thickness_mm": "SliceThickness",
    "collimation_mm": "SingleCollimationWidth",
    "pitch": "SpiralPitchFactor",
}
COPY = "copy the file again from its source, or leave the exam out"
EXPORT = "export the series again with its position tags, or convert it to NIfTI"


@dataclass(frozen=True)
class Slice:
    """What one file says about itself, pixels left on disk."""

    file: Path
    header: pydicom.Dataset
    position: np.ndarray | None  # mm, LPS, centre of the first voxel
    orientation: np.ndarray | None  # (2, 3): directions of a row and of a column

    @property
    def name(self) -> str:
        """The file's name, for a message."""
        return self.file.name


def read_series(folder: Path) -> tuple[sitk.Image, dict]:
    """Image in HU (int16, as the slices lie) and protocol of the one CT series below a folder.

    Files that are no CT image (DICOMDIR, reports, localizers, screenshots without a position) are passed
    over.

    Choice: a series whose slices drift more than 5 mm sideways (gantry tilt) is refused rather than sheared
    straight.

    Choice: the spacing along z is the mean distance of neighbours, so that rounded positions do not matter.

    Raises: Fault naming the files.
    """
    headers = (_header(file) for file in sorted(folder.rglob("*")) if is_dicom(file))
    slices, normal, spacing_z = _stack(_one_series([s for s in headers if s is not None], folder))
    first = slices[0].header
    row_mm, column_mm = (float(v) for v in first.PixelSpacing)
    with ThreadPoolExecutor(2) as pool:  # SimpleITK frees the interpreter while it decodes
        hu = np.stack(list(pool.map(_pixels, slices)))
    if "RescaleIntercept" not in first and hu.min() >= 0:
        raise Fault(
            f"{slices[0].name} has no RescaleIntercept and no negative value: not HU",
            "export the series again with its rescale tags, or leave the exam out",
        )
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing((column_mm, row_mm, spacing_z))
    image.SetOrigin([float(v) for v in slices[0].position])
    image.SetDirection(np.stack([*slices[0].orientation, normal], axis=1).ravel().tolist())
    return image, _protocol(first)


def _protocol(header: pydicom.Dataset) -> dict:
    """What a header says of the acquisition; None where it is silent.

    Collimation is given as the paper's Table I has it, rows x width: the rows are the total width over that of one.
    """
    known = {fact: float(header.get(tag) or 0) or None for fact, tag in PROTOCOL.items()}
    total, single = header.get("TotalCollimationWidth"), known["collimation_mm"]
    known["collimation_rows"] = round(float(total) / single) if total and single else None
    return known | {"manufacturer": str(header.get("Manufacturer") or "") or None}


def _header(file: Path) -> Slice | None:
    """The header of one file, its pixel data measured and dropped; None for what is no CT image."""
    try:
        with warnings.catch_warnings():  # odd UIDs and the like are no concern of the reader's user
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(file, specific_tags=TAGS.split())
            list(header)  # converts every value now, so that a broken one is found and named here
            ct = header.get("Modality") == "CT"
            if "Rows" not in header and len(header) > 0 and not (ct and "PixelSpacing" in header):
                return None
            if ct and "LOCALIZER" in (header.get("ImageType") or []):
                return None
            if not _is_whole(header):
                raise EOFError
            header.pop("PixelData", None)
            position, directions = header.get("ImagePositionPatient"), header.get("ImageOrientationPatient")
            position = np.array(position, float).reshape(3) if position else None
            directions = np.array(directions, float).reshape(2, 3) if directions else None
    except EOFError as error:
        raise Fault(f"{file.name} is cut short", COPY) from error
    except Exception as error:  # damaged bytes lead pydicom to errors of any kind
        raise Fault(
            f"{file.name} cannot be read as DICOM ({last_line(error)})",
            "copy the file again from its source; if it is no CT slice, move it out of the folder",
        ) from error
    return Slice(file, header, position, directions)


def _is_whole(header: pydicom.Dataset) -> bool:
    """Whether the pixels that the header announces are all there; GDCM would fill what is missing."""
    pixels = header.get("PixelData") or b""
    syntax = header.file_meta.get("TransferSyntaxUID")
    if syntax is not None and syntax.is_encapsulated:
        return bool(pixels)
    values = (
        int(header.get("Rows", 0)) * int(header.get("Columns", 0)) * int(header.get("SamplesPerPixel", 1))
    )
    frames = int(header.get("NumberOfFrames") or 1)
    return 0 < values * frames * int(header.get("BitsAllocated", 16)) // 8 <= len(pixels)


def _one_series(slices: list[Slice], folder: Path) -> list[Slice]:
    """The slices of the only CT series among what was found."""
    if not slices:
        raise Fault(
            f"{folder} holds no DICOM image",
            "give a folder with one CT series, or a .nii, .nii.gz, .nrrd, .mha or .mhd file",
        )
    ct = [s for s in slices if s.header.get("Modality", "CT") == "CT"]
    if not ct:
        found = ", ".join(sorted({str(s.header.Modality) for s in slices}))
        raise Fault(
            f"{folder} holds images of modality {found}, not CT", "give a CT series or leave the exam out"
        )
    groups = defaultdict(list)
    for s in ct:
        groups[str(s.header.get("SeriesInstanceUID", "without UID"))].append(s)
    placed = {uid: group for uid, group in groups.items() if any(s.position is not None for s in group)}
    if not placed:
        raise Fault(
            f"the {len(ct)} slices in {folder} have no ImagePositionPatient: their order is unknown", EXPORT
        )
    if len(placed) > 1:
        listing = "; ".join(
            f"{uid} ({g[0].header.get('SeriesDescription') or 'no description'}, {len(g)} files, e.g. {g[0].name})"
            for uid, g in sorted(placed.items(), key=lambda item: -len(item[1]))
        )
        raise Fault(
            f"{len(placed)} series in {folder}: {listing}",
            "keep one series in the folder, or give each a folder of its own",
        )
    (series,) = placed.values()
    for s in series:
        if s.position is None or s.orientation is None:
            raise Fault(f"{s.name} has no ImagePositionPatient or ImageOrientationPatient", EXPORT)
        if int(s.header.get("NumberOfFrames") or 1) > 1:
            raise Fault(
                f"{s.name} is a multi-frame DICOM file, which is not read here", "convert it to NIfTI"
            )
        if int(s.header.get("SamplesPerPixel", 1)) > 1:
            raise Fault(f"{s.name} is a colour image, not HU", "give the original CT slices")
    return series


def _stack(slices: list[Slice]) -> tuple[list[Slice], np.ndarray, float]:
    """Slices in the order of their positions, their normal, and the distance between neighbours in mm."""
    first = slices[0]
    for s in slices:
        same = all(s.header.get(tag) == first.header.get(tag) for tag in ("Rows", "Columns", "PixelSpacing"))
        turned = np.abs(s.orientation - first.orientation).max() > 1e-3
        if not same or turned or not s.header.get("PixelSpacing"):
            raise Fault(
                f"{s.name} and {first.name} differ in matrix, pixel spacing or orientation, or lack them",
                "keep one series of parallel slices in the folder",
            )
    normal = np.cross(*first.orientation)
    if abs(np.linalg.norm(normal) - 1) > 1e-2:
        raise Fault(f"ImageOrientationPatient of {first.name} is not orthogonal", "export the series again")
    slices = sorted(slices, key=lambda s: float(s.position @ normal))
    along = np.array([s.position @ normal for s in slices])
    drift = np.array([s.position - slices[0].position for s in slices])
    shear = np.linalg.norm(drift - np.outer(drift @ normal, normal), axis=1).max()
    if shear > MAX_SHEAR_MM:
        angle = np.degrees(np.arctan2(shear, np.ptp(along)))
        raise Fault(
            f"the slices drift {shear:.0f} mm sideways (gantry tilt of about {angle:.0f} degrees)",
            "straighten the series (for instance with dcm2niix) or leave the exam out",
        )
    if len(slices) == 1:
        return slices, normal, 1.0
    steps = np.diff(along)
    _check_steps([s.name for s in slices], along, steps, float(np.median(steps)))
    return slices, normal, float(steps.mean())


def _check_steps(names: list[str], along: np.ndarray, steps: np.ndarray, usual: float) -> None:
    """Refuse positions with two slices, slices missing, slices that lie unevenly; all in mm along the normal."""
    doubled = np.flatnonzero(steps < 0.01)
    if len(doubled):
        places = _few(f"{names[i]} and {names[i + 1]} at {along[i]:.1f} mm" for i in doubled)
        raise Fault(
            f"{len(doubled)} positions hold two slices: {places}",
            "remove the copies, or give each acquisition a folder of its own",
        )
    gaps = np.flatnonzero(steps > GAP * usual)
    if len(gaps):
        places = _few(
            f"between {names[i]} ({along[i]:.1f} mm) and {names[i + 1]} ({along[i + 1]:.1f} mm), {steps[i]:.1f} mm apart where "
            f"neighbours lie {usual:.1f} mm apart"
            for i in gaps
        )
        missing = int(np.rint(steps[gaps] / usual - 1).clip(1).sum())
        raise Fault(
            f"about {missing} slice{'s' * (missing > 1)} missing: {places}",
            "restore the missing files from the source, or leave the exam out",
        )
    close = np.flatnonzero(steps < OVERLAP * usual)
    if len(close):
        places = _few(f"{names[i]} and {names[i + 1]}, {steps[i]:.1f} mm" for i in close)
        raise Fault(
            f"slices lie unevenly (usually {usual:.1f} mm apart, but {places})",
            "keep one acquisition of evenly spaced slices in the folder",
        )


def _pixels(s: Slice) -> np.ndarray:
    """HU of one slice, int16 (y, x), clipped to what a scanner stores, padding as air."""
    try:
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")  # applies RescaleSlope and RescaleIntercept, decodes JPEG-lossless
        reader.SetFileName(str(s.file))
        hu = sitk.GetArrayFromImage(reader.Execute())[0]
    except (RuntimeError, IndexError) as error:
        raise Fault(
            f"the pixels of {s.name} cannot be decoded (cut short, or an unknown compression)", COPY
        ) from error
    padding = s.header.get("PixelPaddingValue")
    if padding is not None:
        ends = (padding, s.header.get("PixelPaddingRangeLimit", padding))
        low, high = sorted(_as_hu(v, s.header) for v in ends)
        hu = np.where((hu >= low - 1e-3) & (hu <= high + 1e-3), HU_RANGE[0], hu)
    return np.clip(np.rint(hu), *HU_RANGE).astype(np.int16)


def _as_hu(stored: int, header: pydicom.Dataset) -> float:
    """A stored value in HU; a signed one may have been written as unsigned."""
    stored, bits = int(stored), int(header.get("BitsAllocated", 16))
    signed = int(header.get("PixelRepresentation", 0))
    if signed == 1 and stored >= 2 ** (bits - 1):
        stored -= 2**bits
    elif signed == 0 and stored < 0:
        stored += 2**bits
    return stored * float(header.get("RescaleSlope", 1)) + float(header.get("RescaleIntercept", 0))


def _few(items: Iterable[str], most: int = 3) -> str:
    items = list(items)
    return "; ".join(items[:most]) + (f"; and {len(items) - most} more" if len(items) > most else "")
