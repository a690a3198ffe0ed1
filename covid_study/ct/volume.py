"""One chest CT volume in Hounsfield units, in canonical orientation."""

from dataclasses import dataclass, field

import numpy as np

HU_RANGE = (-1024, 3071)  # what a 12-bit scanner can store: air or padding up to metal


@dataclass(frozen=True)
class Volume:
    """One chest CT in Hounsfield units, canonical orientation.

    hu: int16 (z, y, x); z runs caudal to cranial, y anterior to posterior, x from the patient's right to left
    (LPS). spacing_mm: (z, y, x). protocol: what the headers say, keys where known: kvp, slice_thickness_mm,
    n_slices, matrix, pixel_spacing_mm, collimation_rows, collimation_mm, pitch, manufacturer, centre.

    >>> Volume(np.zeros((2, 3, 4), np.int16), (5.0, 1.0, 1.0)).extent_mm
    (10.0, 3.0, 4.0)
    """

    hu: np.ndarray
    spacing_mm: tuple[float, float, float]
    protocol: dict = field(default_factory=dict)

    @property
    def extent_mm(self) -> tuple[float, float, float]:
        """Size of the field of view in mm, (z, y, x)."""
        return tuple(float(n * s) for n, s in zip(self.hu.shape, self.spacing_mm, strict=True))


class Fault(Exception):
    """What is wrong with the files of an exam, and what to do; `read_volume` adds whose they are."""

    def __init__(self, problem: str, remedy: str):
        super().__init__(problem, remedy)
        self.problem, self.remedy = problem, remedy


def last_line(error: Exception) -> str:
    """What a library said at the end, for the brackets of our own message.

    >>> last_line(ValueError("at 0x7f:\\nno such file"))
    'no such file'
    """
    return str(error).strip().splitlines()[-1][:120] if str(error).strip() else type(error).__name__
