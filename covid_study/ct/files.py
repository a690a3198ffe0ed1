"""Files -> Volume: DICOM series and NIfTI, NRRD, MHA or MHD volumes, in HU and canonical orientation.

One bad exam raises one ExamError that says which file, what is wrong and what to do; `on_bad_exam` decides
what follows.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from covid_study.cohort import file_kinds
from covid_study.cohort.file_kinds import PICTURE_SUFFIXES, VOLUME_SUFFIXES, is_volume
from covid_study.ct import dicom
from covid_study.ct.volume import HU_RANGE, Volume
from covid_study.errors import ExamError

MIN_SLICES = 8  # Choice in read_volume
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
    path = Path(path).expanduser()
    exam_id = exam_id or path.name
    if not path.exists():
        raise ExamError(
            exam_id, f"{path} does not exist", "correct the path in the exam table, or remove the row"
        )
    try:
        image, protocol = _read_folder(path, exam_id) if path.is_dir() else _read_file(path, exam_id)
    except ExamError:
        raise
    except OSError as error:
        raise ExamError(
            exam_id, f"{path} cannot be read ({error.strerror})", "check its permissions and the disk"
        ) from error
    except Exception as error:  # a damaged header leads the libraries to errors of any kind
        raise ExamError(
            exam_id,
            f"{path} has a damaged header ({type(error).__name__}: {dicom.last_line(error)})",
            "copy it again from its source, or leave the exam out",
        ) from error
    image = sitk.DICOMOrient(image, "LPS")
    array = sitk.GetArrayViewFromImage(image)
    spacing = tuple(float(s) for s in image.GetSpacing()[::-1])
    if array.shape[0] < MIN_SLICES:
        raise ExamError(
            exam_id,
            f"{path} has {array.shape[0]} slice{'s' * (array.shape[0] > 1)}; a chest exam has at least"
            f" {MIN_SLICES}",
            "give the whole series, or leave the exam out",
        )
    if not all(0.05 < s < 20 for s in spacing):
        raise ExamError(
            exam_id,
            f"{path} has voxels of {' x '.join(f'{s:g}' for s in spacing)} mm (z, y, x)",
            "correct the spacing in its header",
        )
    check_hu(array, exam_id, path)
    hu = np.ascontiguousarray(np.clip(np.rint(array), *HU_RANGE).astype(np.int16))
    protocol |= {"n_slices": hu.shape[0], "matrix": hu.shape[1], "pixel_spacing_mm": spacing[1]}
    return Volume(hu, spacing, protocol)


def _read_folder(folder: Path, exam_id: str) -> tuple[sitk.Image, dict]:
    """A DICOM series, or the only volume file of a folder."""
    volumes = [f for f in sorted(folder.iterdir()) if is_volume(f)]
    if any(file_kinds.is_dicom(f) for f in folder.rglob("*")) or not volumes:
        return dicom.read_series(folder, exam_id)
    if len(volumes) > 1:
        raise ExamError(
            exam_id,
            f"{folder} holds {len(volumes)} volumes ({', '.join(f.name for f in volumes[:4])})",
            "give the path of one of them",
        )
    return _read_file(volumes[0], exam_id)


def _read_file(file: Path, exam_id: str) -> tuple[sitk.Image, dict]:
    """A volume file; its header knows nothing of the scanner."""
    if file_kinds.is_dicom(file):
        raise ExamError(exam_id, f"{file} is one DICOM slice", "give the folder that holds the whole series")
    if not is_volume(file):
        what = (
            "a picture, not a CT volume in HU"
            if file.name.lower().endswith(PICTURE_SUFFIXES)
            else "no volume file"
        )
        raise ExamError(
            exam_id,
            f"{file} is {what}",
            f"give a folder with a DICOM series or a file of {', '.join(VOLUME_SUFFIXES)}",
        )
    try:
        if ".nii" in file.name.lower():
            _check_nifti(file, exam_id)
        image = sitk.ReadImage(str(file))
    except (RuntimeError, EOFError, struct.error, zlib.error, gzip.BadGzipFile) as error:
        reason = dicom.last_line(error).replace(str(file), file.name)
        raise ExamError(
            exam_id,
            f"{file} is damaged or cut short ({reason})",
            "copy it again from its source, or leave the exam out",
        ) from error
    if image.GetNumberOfComponentsPerPixel() > 1:
        raise ExamError(
            exam_id,
            f"{file} has {image.GetNumberOfComponentsPerPixel()} values a voxel (colour or vectors), not HU",
            "give the CT itself",
        )
    while image.GetDimension() > 3 and image.GetSize()[-1] == 1:
        image = image[..., 0]
    if image.GetDimension() != 3:
        raise ExamError(
            exam_id, f"{file} has {image.GetDimension()} dimensions, not 3", "give one volume a file"
        )
    return image, {"kvp": None, "slice_thickness_mm": None, "manufacturer": None}


def _check_nifti(file: Path, exam_id: str) -> None:
    """Refuse a NIfTI file cut short or with NaN: ITK fills the missing part with zeros and turns NaN into 0.

    Raises: EOFError (cut short), ExamError (NaN).
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
    if bad:
        _refuse_nan(bad, wanted * 8 // bits, exam_id, file)


def _refuse_nan(bad: int, of: int, exam_id: str, path: str | os.PathLike) -> None:
    raise ExamError(
        exam_id,
        f"{path} has {bad} voxels that are NaN or infinite ({bad / of:.2%})",
        "write -1024 where they stand for padding, or leave the exam out",
    )


def check_hu(values: np.ndarray, exam_id: str, path: str | os.PathLike = "the volume") -> None:
    """Refuse values that cannot be the HU of a chest: the usual mistakes, then no air or no tissue.

    Choice: 0.5 % of the voxels below -700 HU (air) and between -200 and 300 HU (tissue) are the least a chest
    shows.

    Raises: ExamError.
    """
    if np.issubdtype(values.dtype, np.floating):
        bad = int(values.size - np.isfinite(values).sum())
        if bad:
            _refuse_nan(bad, values.size, exam_id, path)
    low, high = float(values.min()), float(values.max())
    sample = values[:: max(1, values.shape[0] // 50), ::2, ::2]
    air, tissue = float((sample < -700).mean()), float(((sample > -200) & (sample < 300)).mean())
    if low == high:
        problem = f"every voxel is {low:g}"
    elif low >= -1.5 and high <= 1.5:
        problem = f"values run from {low:g} to {high:g}: a mask or normalised intensities, not HU"
    elif low >= 0 and high <= 255:
        problem = f"values run from {low:g} to {high:g}: an 8-bit picture, not HU"
    elif low >= 0:
        problem = (
            f"values run from {low:g} to {high:g}: no air, so the rescale intercept (usually -1024) was not"
            " applied"
        )
    elif air < 0.005:
        problem = f"values run from {low:g} to {high:g} with no air (below -700 HU): not a chest in HU"
    elif tissue < 0.005:
        problem = (
            f"values run from {low:g} to {high:g} with no soft tissue (-200 to 300 HU): not a chest in HU"
        )
    else:
        return
    raise ExamError(exam_id, f"{path}: {problem}", "give the CT in Hounsfield units (air -1000, water 0)")
