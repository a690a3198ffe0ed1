"""The chest of `dicom_factory` as a file of every kind, and what reading a bad one says."""

import gzip
import re
import struct
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from dicom_factory import SPACING, chest, edit, write_series
from refusals import refused as refuse

from covid_study.ct.files import read_volume
from covid_study.errors import ExamError


def refused(path: Path, *words, **how) -> str:
    """Reading fails with one short message that names the exam and holds all the words."""
    message = refuse(ExamError, lambda: read_volume(path, "E1", **how), "What to do: ", *words)
    assert message.startswith("exam E1: ") and len(message) <= 600
    return message


def image_of(hu: np.ndarray) -> sitk.Image:
    """An image that lies as the slices of `write_series` do."""
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing(SPACING[::-1])
    image.SetOrigin((-70.0, -80.0, -300.0))
    return image


def saved(file: Path, image: sitk.Image | None = None, **how) -> Path:
    """An image, or the chest, in the format of the file's suffix."""
    sitk.WriteImage(image_of(chest()) if image is None else image, str(file), **how)
    return file


def changed(file: Path, old: bytes, new: bytes) -> Path:
    """The file with the one place of `old` changed."""
    data = file.read_bytes()
    assert data.count(old) == 1
    file.write_bytes(data.replace(old, new))
    return file


def written(folder: Path, kind: str, matrix: np.ndarray) -> Path:
    """The chest with the (3, 3) matrix from indices (x, y, z) to mm, in a format that says it in its own way."""
    folder.mkdir(exist_ok=True)
    lengths = np.linalg.norm(matrix, axis=0)
    if kind == "dicom":
        for i, file in enumerate(write_series(folder)):
            edit(
                file, ImagePositionPatient=(np.array([-70, -80, -300]) + matrix[:, 2] * i).round(9).tolist(),
                ImageOrientationPatient=(matrix / lengths).T[:2].ravel().round(9).tolist(),
                PixelSpacing=[float(lengths[1]), float(lengths[0])],
            )  # fmt: skip
        return folder
    file = saved(folder / f"a{kind.removesuffix('.gz')}")
    data = bytearray(file.read_bytes())
    if kind.startswith(".nii"):
        rows = np.diag([-1, -1, 1]) @ np.column_stack([matrix, [0, 0, 0]])
        struct.pack_into("<3f", data, 80, *lengths)
        struct.pack_into("<2h", data, 252, 0, 1)
        struct.pack_into("<12f", data, 280, *rows.ravel())
    elif kind == ".nrrd":
        vectors = " ".join(f"({','.join(map(repr, v.tolist()))})" for v in matrix.T)
        data = re.sub(rb"space directions: [^\n]*", b"space directions: " + vectors.encode(), data)
    else:
        for key, values in (("TransformMatrix", (matrix / lengths).T), ("ElementSpacing", lengths)):
            numbers = " ".join(map(repr, values.ravel().tolist()))
            data = re.sub(rf"{key} = [^\n]*".encode(), f"{key} = {numbers}".encode(), data)
    file = folder / f"a{kind}"
    file.write_bytes(gzip.compress(data) if kind.endswith(".gz") else data)
    return file
