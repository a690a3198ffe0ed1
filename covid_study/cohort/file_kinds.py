"""What kind of file is it? By its name, and by its first bytes where archives drop the suffix."""

from pathlib import Path

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")


def is_volume(file: Path) -> bool:
    """Whether a file is named like a volume that `read_volume` reads.

    >>> is_volume(Path("a.NII.GZ")), is_volume(Path("a.png"))
    (True, False)
    """
    return file.name.lower().endswith(VOLUME_SUFFIXES) and not file.name.startswith(".")


def is_picture(file: Path) -> bool:
    """Whether a file is named like a picture that `read_image` reads."""
    return file.name.lower().endswith(PICTURE_SUFFIXES) and not file.name.startswith(".")


def is_dicom(file: Path) -> bool:
    """Whether a file is named like DICOM or begins like it (many archives drop the suffix)."""
    if file.name.startswith(".") or file.name.upper() == "DICOMDIR" or not file.is_file():
        return False
    if file.suffix.lower() in DICOM_SUFFIXES:
        return True
    try:
        with file.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False
