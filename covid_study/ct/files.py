"""Files -> Volume: DICOM series and NIfTI, NRRD, MHA or MHD volumes, in HU and canonical orientation.

One bad exam raises one ExamError that says which file, what is wrong and what to do; `on_bad_exam` decides
what follows.
"""

import gzip
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from covid_study.cohort.file_kinds import VOLUME_SUFFIXES, is_dicom, is_picture, is_volume
from covid_study.ct import dicom
from covid_study.ct.announced import check_announced
from covid_study.ct.volume import HU_RANGE, Fault, Volume, last_line
from covid_study.errors import ExamError

MIN_SLICES = 8  # Choice in read_volume
COPY = "copy it again from its source, or leave the exam out"
sitk.ProcessObject_SetGlobalWarningDisplay(False)  # the errors below say it once and in words


def read_volume(path: str | os.PathLike, exam_id: str | None = None) -> Volume:
    """One chest CT from a folder with a DICOM series, or from a .nii, .nii.gz, .nrrd, .mha or .mhd file.

    hu is int16 (z, y, x), LPS (caudal to cranial, anterior to posterior, right to left), clipped to [-1024,
    3071] HU.

    Choice: fewer than 8 slices are no chest exam (lungs are 25 cm high, the thickest slices of Table I 10
    mm).

    Choice: an oblique volume is turned to the nearest of the three planes, not resampled.

    Raises: ExamError (missing, unreadable, cut short, slices missing or doubled, two series, colour, not HU,
    NaN).
    """
    path = Path(os.path.expanduser(path))
    try:
        return _read(path)
    except Fault as fault:
        raise ExamError(exam_id or path.name, fault.problem, fault.remedy) from fault.__cause__


def _read(path: Path) -> Volume:
    if not path.exists():
        raise Fault(f"{path} does not exist", "correct the path in the exam table, or remove the row")
    try:
        image, protocol = _read_folder(path) if path.is_dir() else _read_file(path)
    except Fault:
        raise
    except OSError as error:
        raise Fault(
            f"{path} cannot be read ({error.strerror})", "check its permissions and the disk"
        ) from error
    except Exception as error:  # a damaged header leads the libraries to errors of any kind
        raise Fault(
            f"{path} has a damaged header ({type(error).__name__}: {last_line(error)})", COPY
        ) from error
    image = sitk.DICOMOrient(image, "LPS")
    array = sitk.GetArrayViewFromImage(image)
    spacing = tuple(float(s) for s in image.GetSpacing()[::-1])
    if (n := len(array)) < MIN_SLICES:
        raise Fault(
            f"{path} has {n} slice{'s' * (n > 1)}; a chest exam has at least {MIN_SLICES}",
            "give the whole series, or leave the exam out",
        )
    if not all(0.05 < s < 20 for s in spacing):
        voxels = " x ".join(f"{s:g}" for s in spacing)
        raise Fault(f"{path} has voxels of {voxels} mm (z, y, x)", "correct the spacing in its header")
    _check_hu(array, path)
    hu = np.ascontiguousarray(np.clip(np.rint(array), *HU_RANGE).astype(np.int16))
    protocol |= {"n_slices": hu.shape[0], "matrix": hu.shape[1], "pixel_spacing_mm": spacing[1]}
    return Volume(hu, spacing, protocol)


def _read_folder(folder: Path) -> tuple[sitk.Image, dict]:
    """A DICOM series, or the only volume file of a folder."""
    volumes = [f for f in sorted(folder.iterdir()) if is_volume(f)]
    if not volumes or any(map(is_dicom, folder.rglob("*"))):
        return dicom.read_series(folder)
    if len(volumes) > 1:
        names = ", ".join(f.name for f in volumes[:4])
        raise Fault(f"{folder} holds {len(volumes)} volumes ({names})", "give the path of one of them")
    return _read_file(volumes[0])


def _read_file(file: Path) -> tuple[sitk.Image, dict]:
    """A volume file; its header knows nothing of the scanner."""
    if is_dicom(file):
        raise Fault(f"{file} is one DICOM slice", "give the folder that holds the whole series")
    if not is_volume(file):
        what = "a picture, not a CT volume in HU" if is_picture(file) else "no volume file"
        raise Fault(
            f"{file} is {what}",
            f"give a folder with a DICOM series or a file of {', '.join(VOLUME_SUFFIXES)}",
        )
    try:
        if ".nii" in file.name.lower():
            _check_nifti(file)
        else:
            check_announced(file)
        image = sitk.ReadImage(str(file))
    except (RuntimeError, EOFError, struct.error, zlib.error, gzip.BadGzipFile) as error:
        reason = last_line(error).replace(str(file), file.name)
        raise Fault(f"{file} is damaged or cut short ({reason})", COPY) from error
    if (values := image.GetNumberOfComponentsPerPixel()) > 1:
        raise Fault(f"{file} has {values} values a voxel (colour or vectors), not HU", "give the CT itself")
    while image.GetDimension() > 3 and image.GetSize()[-1] == 1:
        image = image[..., 0]
    if image.GetDimension() != 3:
        raise Fault(f"{file} has {image.GetDimension()} dimensions, not 3", "give one volume a file")
    return image, {"kvp": None, "slice_thickness_mm": None, "manufacturer": None}


def _check_nifti(file: Path) -> None:
    """Refuse a NIfTI file cut short or with NaN: ITK fills the missing part with zeros and turns NaN into 0.

    Raises: EOFError (cut short), Fault (NaN).
    """
    with gzip.open(file) if file.name.lower().endswith(".gz") else file.open("rb") as stream:
        header = stream.read(348)
        order = "<" if struct.unpack_from("<i", header)[0] == 348 else ">"
        dimensions = struct.unpack_from(f"{order}8h", header, 40)
        kind, bits = struct.unpack_from(f"{order}2h", header, 70)
        if struct.unpack_from(f"{order}i", header)[0] != 348:
            return  # NIfTI-2 or no NIfTI: left to ITK
        offset = int(struct.unpack_from(f"{order}f", header, 108)[0])
        wanted, found, bad = math.prod(dimensions[1 : 1 + dimensions[0]]) * bits // 8, 0, 0
        stream.read(offset - 348)
        while chunk := stream.read(min(2**24, wanted - found)):
            found += len(chunk)
            if kind in (16, 64):
                values = np.frombuffer(chunk, f"{order}f{bits // 8}", len(chunk) * 8 // bits)
                bad += int(values.size - np.isfinite(values).sum())
    if found < wanted:
        raise EOFError(f"{found} of {wanted} bytes of voxels are there")
    _check_finite(bad, wanted * 8 // bits, file)


def _check_finite(bad: int, of: int, path: Path) -> None:
    if bad:
        raise Fault(
            f"{path} has {bad} voxels that are NaN or infinite ({bad / of:.2%})",
            "write -1024 where they stand for padding, or leave the exam out",
        )


def _check_hu(values: np.ndarray, path: Path) -> None:
    """Refuse values that cannot be the HU of a chest: the usual mistakes, then no air or no tissue.

    Choice: 0.5 % of the voxels below -700 HU (air) and between -200 and 300 HU (tissue) are the least a chest
    shows.
    """
    if np.issubdtype(values.dtype, np.floating):
        _check_finite(int(values.size - np.isfinite(values).sum()), values.size, path)
    low, high = float(values.min()), float(values.max())
    sample = values[:: max(1, values.shape[0] // 50), ::2, ::2]
    air, tissue = float((sample < -700).mean()), float(((sample > -200) & (sample < 300)).mean())
    checks = {
        f"every voxel is {low:g}": low == high,
        "a mask or normalised intensities, not HU": low >= -1.5 and high <= 1.5,
        "an 8-bit picture, not HU": low >= 0 and high <= 255,
        "no air, so the rescale intercept (usually -1024) was not applied": low >= 0,
        "no air (below -700 HU): not a chest in HU": air < 0.005,
        "no soft tissue (-200 to 300 HU): not a chest in HU": tissue < 0.005,
    }
    if problem := next((said for said, wrong in checks.items() if wrong), None):
        raise Fault(
            f"{path}: values run from {low:g} to {high:g}: {problem}",
            "give the CT in Hounsfield units (air -1000, water 0)",
        )
