"""Where the voxels of a volume lie: one description for DICOM, NIfTI, NRRD and MetaImage, one set of checks and messages.

Every fault that would bend the anatomy (a tilted gantry, shear, slices missing, doubled or uneven, a voxel without a size) is
refused; what only rounding makes unequal is equal.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from covid_study.ct.volume import Fault

MAX_SHEAR_MM = 1.0  # Choice in Geometry.check
OFF_GRID = 0.2  # Choice in Geometry.check
GAP, OVERLAP = 1.5, 0.5  # steps beyond these multiples of the median step are a missing or a surplus slice
VOXEL_MM = (0.05, 20.0)
SPACING = "correct the spacing in its header, or leave the exam out"


@dataclass(frozen=True)
class Geometry:
    """The grid of a volume, in mm, LPS.

    positions: (n, 3), centre of the first voxel of each slice. row, column: (3,), unit directions along a row and down a
    column. pixel_mm: distance of neighbours along a row, and of rows. names: of the slices, for a message.
    """

    positions: np.ndarray
    row: np.ndarray
    column: np.ndarray
    pixel_mm: tuple[float, float]
    names: list[str]

    @classmethod
    def of_affine(cls, steps: np.ndarray, origin: np.ndarray, slices: int) -> "Geometry":
        """From a file's own affine; steps: (3, 3), a column for the step along each of its axes, mm, LPS."""
        mm = np.linalg.norm(steps, axis=0)
        check_voxel(mm)
        positions = origin + np.outer(np.arange(slices), steps[:, 2])
        names = [f"slice {k}" for k in range(slices)]
        return cls(positions, steps[:, 0] / mm[0], steps[:, 1] / mm[1], (float(mm[0]), float(mm[1])), names)

    @property
    def normal(self) -> np.ndarray:
        """Unit direction across the slices, towards the last of them."""
        across = np.cross(self.row, self.column)
        across = across / np.linalg.norm(across)
        return -across if (self.positions[-1] - self.positions[0]) @ across < 0 else across

    @property
    def step_mm(self) -> float:
        """Distance of neighbouring slices.

        Choice: the mean over the volume, so that rounded positions do not matter.

        >>> z = np.array([[0, 0, 0], [0, 0, 0.6], [0, 0, 1.3]])
        >>> Geometry(z, np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), (1.0, 1.0), ["a", "b", "c"]).step_mm
        0.65
        """
        along = self.positions @ self.normal
        return float((along[-1] - along[0]) / (len(along) - 1)) if len(along) > 1 else 1.0

    def check(self) -> None:
        """Refuse a grid that is not one of boxes.

        Choice: slices that drift more than 1 mm sideways (gantry tilt, shear) are refused rather than sheared straight.

        Choice: no slice lies further than a fifth of the step, or 0.25 mm, from where an even grid has it: nearer, the error
        is below what resampling to 5 mm does; further, a lesion changes its size.

        Raises: Fault naming the slices.
        """
        lengths = np.linalg.norm([self.row, self.column], axis=1)
        if not (abs(float(self.row @ self.column)) < 1e-2 and (np.abs(lengths - 1) < 1e-2).all()):
            raise Fault(
                "its rows and columns are not at right angles (sheared; in DICOM: ImageOrientationPatient)",
                "export the series again, or straighten it (for instance with dcm2niix)",
            )
        drift = self.positions - self.positions[0]
        along = drift @ self.normal
        shear = float(np.linalg.norm(drift - np.outer(along, self.normal), axis=1).max())
        if shear > MAX_SHEAR_MM:
            angle = np.degrees(np.arctan2(shear, np.ptp(along)))
            raise Fault(
                f"the slices drift {shear:.0f} mm sideways (gantry tilt of about {angle:.0f} degrees)",
                "straighten the series (for instance with dcm2niix) or leave the exam out",
            )
        if len(along) > 1:
            self._check_steps(self.positions @ self.normal)
        check_voxel((*self.pixel_mm, self.step_mm))

    def _check_steps(self, along: np.ndarray) -> None:
        """Refuse two slices at one place, missing slices, slices that lie unevenly; along: mm along the normal."""
        names, steps = self.names, np.diff(along)
        usual = float(np.median(steps))
        doubled = np.flatnonzero(steps < 0.01)
        if len(doubled):
            places = few(f"{names[i]} and {names[i + 1]} at {along[i]:.1f} mm" for i in doubled)
            raise Fault(
                f"{len(doubled)} positions hold two slices: {places}",
                "remove the copies, or give each acquisition a folder of its own",
            )
        gaps = np.flatnonzero(steps > GAP * usual)
        if len(gaps):
            places = few(
                f"between {names[i]} ({along[i]:.1f} mm) and {names[i + 1]} ({along[i + 1]:.1f} mm), {steps[i]:.1f} mm apart "
                f"where neighbours lie {usual:.1f} mm apart"
                for i in gaps
            )
            missing = int(np.rint(steps[gaps] / usual - 1).clip(1).sum())
            raise Fault(
                f"about {missing} slice{'s' * (missing > 1)} missing: {places}",
                "restore the missing files from the source, or leave the exam out",
            )
        even = np.linspace(along[0], along[-1], len(along))
        off = np.abs(along - even)
        close = np.flatnonzero(steps < OVERLAP * usual)
        if len(close) or off.max() > max(OFF_GRID * self.step_mm, 0.25):
            k = int(off.argmax())
            places = few(f"{names[i]} and {names[i + 1]}, {steps[i]:.1f} mm" for i in close)
            raise Fault(
                f"slices lie unevenly, {steps.min():.1f} to {steps.max():.1f} mm apart: {names[k]} is {off[k]:.1f} mm from "
                f"where an even grid has it{'; ' * bool(places)}{places}",
                "keep one acquisition of evenly spaced slices, or resample it to even steps",
            )

    def image(self, values: np.ndarray) -> sitk.Image:
        """The values (z, y, x), z in the order of `positions`, as an image that lies there."""
        image = sitk.GetImageFromArray(values)
        image.SetSpacing((*self.pixel_mm, self.step_mm))
        image.SetOrigin(self.positions[0].tolist())
        column = self.column - (self.column @ self.row) * self.row
        axes = [self.row / np.linalg.norm(self.row), column / np.linalg.norm(column), self.normal]
        image.SetDirection(np.stack(axes, axis=1).ravel().tolist())
        return image


def check_voxel(mm: Iterable[float]) -> None:
    """Refuse a voxel whose sides are none of a chest CT's: missing, zero, of another unit."""
    (low, high), mm = VOXEL_MM, list(mm)
    if not all(low < side < high for side in mm):  # NaN is refused too
        raise Fault(f"its voxels are {' x '.join(f'{side:g}' for side in mm)} mm (x, y, z)", SPACING)


def few(items: Iterable[str], most: int = 3) -> str:
    """The first of some places, and how many more there are.

    >>> few("abcde", 2)
    'a; b; and 3 more'
    """
    items = list(items)
    return "; ".join(items[:most]) + (f"; and {len(items) - most} more" if len(items) > most else "")
