"""One chest CT volume in Hounsfield units, in canonical orientation."""

from __future__ import annotations

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
