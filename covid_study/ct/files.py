"""Files -> Volume: DICOM series and NIfTI, NRRD, MHA or MHD volumes, in HU and canonical orientation.

One bad exam raises one ExamError that says which file, what is wrong and what to do; `on_bad_exam` decides
what follows.
"""

import logging
import math
import os
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import SimpleITK as sitk
from nibabel.filebasedimages import ImageFileError
from nibabel.openers import ImageOpener
from nibabel.spatialimages import HeaderDataError

from covid_study.cohort.file_kinds import VOLUME_SUFFIXES, is_dicom, is_picture, is_volume
from covid_study.cohort.folders import below
from covid_study.ct import dicom
from covid_study.ct.announced import INFLATED, check_announced, check_size
from covid_study.ct.geometry import Geometry, check_voxel, few
from covid_study.ct.volume import COPY, HU_RANGE, Fault, Volume, last_line, without_uids
from covid_study.errors import ExamError

MIN_SLICES = 8  # Choice in read_volume
UNCOUNTED = 2**29  # bytes of compressed voxels that a header may announce and that are taken at its word
ORIENT = "convert it from DICOM again (for instance with dcm2niix), or leave the exam out"
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)
sitk.ProcessObject_SetGlobalWarningDisplay(False)  # the errors below say it once and in words


def read_volume(path: str | os.PathLike[str], exam_id: str | None = None, burnt_in: bool = False) -> Volume:
    """One chest CT from a DICOM series or an enhanced CT, or from a .nii, .nii.gz, .nrrd, .mha or .mhd file.

    hu is int16 (z, y, x), LPS (caudal to cranial, anterior to posterior, right to left), clipped to [-1024,
    3071] HU.

    Choice: fewer than 8 slices are no chest exam (lungs are 25 cm high, the thickest slices of Table I 10
    mm).

    Choice: an oblique volume is turned to the nearest of the three planes, not resampled.

    Args:
        exam_id: named in the error.
        burnt_in: see `dicom.read_series`.

    Raises: ExamError (missing, unreadable, cut short, slices missing, doubled or unlike, two series, sheared, colour,
    not HU, NaN, no size or place of a voxel).
    """
    path = Path(os.path.expanduser(path))
    try:
        return _read(path, burnt_in)
    except Fault as fault:
        name = exam_id or without_uids(path.name)
        raise ExamError(name, without_uids(fault.problem), fault.remedy) from fault.__cause__


def _read(path: Path, burnt_in: bool) -> Volume:
    if not path.exists():
        raise Fault(f"{path} does not exist", "correct the path in the exam table, or remove the row")
    try:
        image, protocol = _read_folder(path, burnt_in) if path.is_dir() else _read_file(path, burnt_in)
    except Fault:
        raise
    except OSError as error:
        raise Fault(
            f"{path} cannot be read ({error.strerror})", "check its permissions and the disk"
        ) from error
    except Exception as error:  # a damaged header leads the libraries to errors of any kind
        raise Fault(
            f"{path} has a damaged header ({type(error).__name__}: {last_line(error, path)})", COPY
        ) from error
    image = sitk.DICOMOrient(image, "LPS")
    array = sitk.GetArrayViewFromImage(image)
    spacing = tuple(float(s) for s in image.GetSpacing()[::-1])
    if (n := len(array)) < MIN_SLICES:
        raise Fault(
            f"{path} has {n} slice{'s' * (n > 1)}; a chest exam has at least {MIN_SLICES}",
            "give the whole series, or leave the exam out",
        )
    _check_hu(array, path)
    whole = array if array.dtype == np.int16 else np.rint(array)
    hu = np.ascontiguousarray(np.clip(whole, *HU_RANGE), np.int16)
    protocol |= {"n_slices": hu.shape[0], "matrix": hu.shape[1], "pixel_spacing_mm": spacing[1]}
    z, y, x = spacing
    return Volume(hu, (z, y, x), protocol)


def _read_folder(folder: Path, burnt_in: bool) -> tuple[sitk.Image, dict[str, Any]]:
    """A DICOM series, or the only volume file of a folder."""
    volumes = [f for f in sorted(folder.iterdir()) if is_volume(f)]
    if not volumes or any(map(is_dicom, below(folder).files)):
        return dicom.read_series(folder, burnt_in)
    if len(volumes) > 1:
        names = ", ".join(f.name for f in volumes[:4])
        raise Fault(f"{folder} holds {len(volumes)} volumes ({names})", "give the path of one of them")
    return _read_file(volumes[0], burnt_in)


def _read_file(file: Path, burnt_in: bool) -> tuple[sitk.Image, dict[str, Any]]:
    """A volume file; its header knows nothing of the scanner."""
    if is_dicom(file):
        return dicom.read_series(file, burnt_in)
    if not is_volume(file):
        what = "a picture, not a CT volume in HU" if is_picture(file) else "no volume file"
        raise Fault(
            f"{file} is {what}",
            f"give a folder with a DICOM series or a file of {', '.join(VOLUME_SUFFIXES)}",
        )
    try:
        if file.name.lower().endswith((".nii", ".nii.gz")):
            values, steps, origin = _nifti(file)
        else:
            check_announced(file)
            values, steps, origin = _itk(file)
    except (RuntimeError, EOFError, OSError, zlib.error, ImageFileError, HeaderDataError) as error:
        if getattr(error, "errno", None) is not None:  # of the disk, not of the file
            raise
        raise Fault(f"{file} is damaged or cut short ({last_line(error, file)})", COPY) from error
    geometry = Geometry.of_affine(steps, origin, len(values))
    geometry.check()
    return geometry.image(values), {"kvp": None, "slice_thickness_mm": None, "manufacturer": None}


def _itk(file: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of an NRRD or MetaImage file."""
    image = sitk.ReadImage(str(file))
    if (values := image.GetNumberOfComponentsPerPixel()) > 1:
        raise Fault(f"{file} has {values} values a voxel (colour or vectors), not HU", "give the CT itself")
    while image.GetDimension() > 3 and image.GetSize()[-1] == 1:
        image = image[..., 0]
    if image.GetDimension() != 3:
        raise Fault(f"{file} has {image.GetDimension()} dimensions, not 3", "give one volume a file")
    axes = np.reshape(image.GetDirection(), (3, 3))
    if np.abs(np.linalg.norm(axes, axis=0) - 1).max() > 1e-2:
        raise Fault(f"{file} gives directions that are no unit vectors", ORIENT)
    steps = axes * image.GetSpacing()
    return sitk.GetArrayFromImage(image), steps, np.array(image.GetOrigin())


def _nifti(file: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values (z, y, x), steps (3, 3) and origin (3,) in mm, LPS, of a NIfTI file; z is its last axis.

    nibabel, for ITK reads no affine that is off by a twentieth of a degree, and turns NaN into 0.

    Raises: Fault, EOFError and whatever nibabel raises for damaged files.
    """
    image = nibabel.load(file)
    header, shape = image.header, image.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    dtype, packed = header.get_data_dtype(), file.suffix.lower() == ".gz"
    if dtype.fields or dtype.kind == "c":
        raise Fault(f"{file} has several values a voxel (colour or complex), not HU", "give the CT itself")
    if len(shape) != 3:
        raise Fault(f"{file} has {len(shape)} dimensions, not 3", "give one volume a file")
    wanted = math.prod(shape) * dtype.itemsize
    check_size(wanted, file)
    lies = EOFError(f"its header announces {wanted:,} bytes of voxels")
    if min(shape) < 1 or wanted > file.stat().st_size * (INFLATED["gz"] if packed else 1):
        raise lies
    to_mm = {"meter": 1000.0, "micron": 0.001}.get(header.get_xyzt_units()[0], 1.0)
    with ImageOpener(
        file
    ) as stream:  # nibabel turns a size of 0 into 1 mm, and a scale that is no number into none
        raw = type(header).from_fileobj(stream, check=False)
        if packed and wanted > UNCOUNTED:  # read through, and nothing kept, before memory is taken for it
            stream.seek(header.get_data_offset() + wanted - 1)
            if not stream.read(1):
                raise lies
    if not np.isfinite((raw["scl_slope"], raw["scl_inter"])).all():
        raise Fault(
            f"{file} has a scale that is no number (scl_slope, scl_inter): its HU are not known", ORIENT
        )
    q, s = header.get_qform(coded=True), header.get_sform(coded=True)
    if not q[1] and not s[1]:
        raise Fault(
            f"{file} does not say how it lies in the patient (qform_code and sform_code are 0)", ORIENT
        )
    check_voxel(float(mm) * to_mm for mm in raw["pixdim"][1:4])
    if s[1] and not np.allclose(np.linalg.norm(s[0][:3, :3], axis=0), raw["pixdim"][1:4], rtol=0.05):
        raise Fault(f"{file} says in two ways how large its voxels are (pixdim and sform differ)", ORIENT)
    if q[1] and s[1] and not np.allclose(q[0][:3, :3], s[0][:3, :3], atol=0.01 * header.get_zooms()[0]):
        raise Fault(f"{file} says in two ways how it lies in the patient (qform and sform differ)", ORIENT)
    affine = np.diag([-to_mm, -to_mm, to_mm]) @ image.affine[:3]  # RAS -> LPS
    values = np.asanyarray(image.dataobj).reshape(shape, order="F")
    return values.transpose(2, 1, 0), affine[:, :3], affine[:, 3]


def _check_hu(values: np.ndarray, path: Path) -> None:
    """Refuse values that cannot be the HU of a chest: the usual mistakes, then no air or no tissue.

    Choice: 0.5 % of the voxels below -700 HU (air) and between -200 and 300 HU (tissue) are the least a chest
    shows.
    """
    bad = int(values.size - np.isfinite(values).sum()) if values.dtype.kind == "f" else 0
    if bad:
        raise Fault(
            f"{path} has {bad} voxels that are NaN or infinite ({bad / values.size:.2%})",
            "write -1024 where they stand for padding, or leave the exam out",
        )
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
    least = np.array([np.where(s > HU_RANGE[0], s, HU_RANGE[1]).min() for s in values])  # padding aside
    if len(above := np.flatnonzero((least >= 0) & (least < HU_RANGE[1]))):
        raise Fault(
            f"{path}: no value is below 0 in {len(above)} of {len(values)} slices, counted from the lowest: "
            f"{few((str(n + 1) for n in above), 8)}: they are empty, or not in HU",
            "give every slice in Hounsfield units (air -1000, water 0), or leave the exam out",
        )
