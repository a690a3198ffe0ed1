"""Small synthetic chest exams, as arrays and as DICOM series, with any fault a test wants."""

import shutil
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

SPACING = (5.0, 4.0, 3.0)  # (z, y, x) mm, all different so that a mixed-up axis shows


def chest(slices: int = 16, rows: int = 40, columns: int = 48) -> np.ndarray:
    """HU int16 (z, y, x): air, a body with two lungs of unequal size, a bright mark front, right and low."""
    z, y, x = np.mgrid[:slices, :rows, :columns]
    hu = np.full((slices, rows, columns), -1000, np.int16)
    hu[((y - rows / 2) / (rows / 2.2)) ** 2 + ((x - columns / 2) / (columns / 2.2)) ** 2 < 1] = 40
    for centre, radius in ((columns * 0.32, columns * 0.17), (columns * 0.68, columns * 0.13)):
        hu[((y - rows / 2) / (rows / 3.5)) ** 2 + ((x - centre) / radius) ** 2 < 1] = -850
    hu[: slices // 4, : rows // 4, : columns // 4] = 700
    hu += (z * 3).astype(np.int16)  # no two slices are alike
    return hu


def write_series(
    folder: Path, hu: np.ndarray | None = None, spacing=SPACING, seed: int = 0, **tags
) -> list[Path]:
    """A DICOM series of `hu`, files in an order of names that is not the order of positions; `tags` override.

    Returns the files in the order of positions, caudal first.
    """
    hu = chest() if hu is None else hu
    folder.mkdir(parents=True, exist_ok=True)
    series, study = generate_uid(), generate_uid()
    names = np.random.default_rng(seed).permutation(len(hu))
    files = []
    for i, plane in enumerate(hu):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file = folder / f"image{names[i]:03}.dcm"
        header = FileDataset(str(file), {}, file_meta=meta, preamble=b"\0" * 128)
        values = {
            "SOPClassUID": CTImageStorage, "SOPInstanceUID": meta.MediaStorageSOPInstanceUID, "Modality": "CT",
            "StudyInstanceUID": study, "SeriesInstanceUID": series, "PatientID": "somebody", "Manufacturer": "ACME",
            "SeriesDescription": "lung", "KVP": "120", "SliceThickness": "1", "InstanceNumber": str(int(names[i]) + 1),
            "ImagePositionPatient": [-70.0, -80.0, -300.0 + spacing[0] * i], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "PixelSpacing": [spacing[1], spacing[2]], "Rows": plane.shape[0], "Columns": plane.shape[1],
            "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16,
            "HighBit": 15, "PixelRepresentation": 0, "RescaleIntercept": "-1024", "RescaleSlope": "1",
        }  # fmt: skip
        for name, value in (values | tags).items():
            if value is not None:
                setattr(header, name, value)
        stored = (plane.astype(np.int32) + 1024).astype(np.uint16)
        header.PixelData = stored.tobytes()
        header.save_as(file, enforce_file_format=True)
        files.append(file)
    return files


def write_frames(file: Path, hu: np.ndarray | None = None, spacing=SPACING, **tags) -> Path:
    """The same as an enhanced CT: one file, its frames out of order, every other one with another intercept."""
    hu = chest() if hu is None else hu
    file.parent.mkdir(parents=True, exist_ok=True)
    (plain,) = write_series(file.parent / "plain", hu[:1], spacing)
    header = pydicom.dcmread(plain)
    shutil.rmtree(plain.parent)

    def group(**values) -> list[pydicom.Dataset]:
        item = pydicom.Dataset()
        for name, value in values.items():
            setattr(item, name, value)
        return [item]

    values = ("PixelSpacing", "SliceThickness", "ImageOrientationPatient", "KVP")
    taken = {name: header[name].value for name in values}
    for name in (*values, "ImagePositionPatient", "RescaleIntercept", "RescaleSlope"):
        del header[name]
    header.SharedFunctionalGroupsSequence = group(
        PixelMeasuresSequence=group(**{name: taken[name] for name in values[:2]}),
        PlaneOrientationSequence=group(ImageOrientationPatient=taken["ImageOrientationPatient"]),
        CTXRayDetailsSequence=group(KVP=taken["KVP"]),
    )
    order = np.random.default_rng(0).permutation(len(hu))
    header.PerFrameFunctionalGroupsSequence = [
        group(
            PlanePositionSequence=group(ImagePositionPatient=[-70.0, -80.0, -300.0 + spacing[0] * int(i)]),
            PixelValueTransformationSequence=group(
                RescaleIntercept=str(-1024 - int(i % 2)), RescaleSlope="1", RescaleType="HU"
            ),
        )[0]
        for i in order
    ]
    header.PixelData = b"".join(
        (hu[i].astype(np.int32) + 1024 + i % 2).astype(np.uint16).tobytes() for i in order
    )
    header.NumberOfFrames, header.SOPClassUID = len(hu), EnhancedCTImageStorage
    header.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    for name, value in tags.items():
        setattr(header, name, value)
    header.save_as(file, enforce_file_format=True)
    return file


def edit(file: Path, **tags) -> None:
    """Change tags of one file; None removes one."""
    header = pydicom.dcmread(file)
    for name, value in tags.items():
        if value is None:
            delattr(header, name)
        else:
            setattr(header, name, value)
    header.save_as(file)


def truncate(file: Path, share: float = 0.6) -> None:
    """Cut a file short, as an interrupted copy does."""
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
