"""What must hold on every slice of a DICOM series: that HU, geometry and identity rest on the same ground in all of them."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.multival import MultiValue

from covid_study.ct.geometry import few
from covid_study.ct.volume import HU_RANGE, Fault

SAME = {  # what must be alike in all slices, and why
    "Rows": "the matrix", "Columns": "the matrix", "PixelSpacing": "the size of a pixel",
    "ImageOrientationPatient": "how the slice lies", "FrameOfReferenceUID": "what positions refer to",
    "PhotometricInterpretation": "what a value means", "PixelRepresentation": "the sign of values",
    "RescaleType": "the unit of values", "ConvolutionKernel": "the reconstruction", "KVP": "the tube voltage",
    "PatientID": "whose slice it is", "StudyInstanceUID": "the study",
}  # fmt: skip
ENHANCED = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")  # SOP classes of multi-frame CT
STATES = {  # what tells the states of one chest, or its stacks, apart
    "TemporalPositionIndex": "temporal positions", "TemporalPositionIdentifier": "temporal positions",
    "NominalPercentageOfCardiacPhase": "cardiac phases", "NominalPercentageOfRespiratoryPhase": "respiratory phases",
    "StackID": "stacks", "AcquisitionNumber": "acquisitions",
}  # fmt: skip
RESCALE = ("RescaleIntercept", "RescaleSlope")
EXPORT = "export the series again with all its tags, or convert it to NIfTI"
CONVERT = "convert it to NIfTI or to one file a slice (for instance with dcm2niix)"


@dataclass(frozen=True)
class Slice:
    """What one file, or one frame of it, says about itself, pixels left on disk."""

    file: Path
    header: pydicom.Dataset
    # the byte of the file where its pixels begin, where they lie there as 16-bit numbers
    pixels_at: int | None = None
    frame: int | None = None  # counted from 1

    @property
    def name(self) -> str:
        """The file's name, for a message."""
        return self.file.name if self.frame is None else f"frame {self.frame} of {self.file.name}"

    @cached_property
    def position(self) -> np.ndarray | None:
        """Centre of the first voxel; mm, LPS."""
        place = self.header.get("ImagePositionPatient")
        return np.array(place, float).reshape(3) if place else None

    @cached_property
    def orientation(self) -> np.ndarray | None:
        """Directions of a row and of a column; (2, 3)."""
        directions = self.header.get("ImageOrientationPatient")
        return np.array(directions, float).reshape(2, 3) if directions else None


def one_series(slices: list[Slice], folder: Path) -> list[Slice]:
    """The slices of the only CT series among what was found."""
    if not slices:
        raise Fault(
            f"{folder} holds no DICOM image",
            "give a folder with one CT series, or a .nii, .nii.gz, .nrrd, .mha or .mhd file",
        )
    ct = [s for s in slices if s.header.get("Modality", "CT") == "CT" and not is_localizer(s.header)]
    if not ct:
        found = ", ".join(sorted({_kind(s.header) for s in slices}))
        raise Fault(f"{folder} holds no CT slices, but {found}", "give a CT series or leave the exam out")
    groups = defaultdict(list)
    for s in ct:
        groups[str(s.header.get("SeriesInstanceUID", "without UID"))].append(s)
    for s in ct:
        if s.frame is None and is_multi_frame(s):
            raise multi_frame(s)
    placed = {uid: group for uid, group in groups.items() if any(s.position is not None for s in group)}
    if not placed:
        raise Fault(
            f"the {len(ct)} slices in {folder} have no ImagePositionPatient: their order is unknown", EXPORT
        )
    if len(placed) > 1:
        listing = few(
            f"{len(g)} files as {g[0].name} (series {g[0].header.get('SeriesNumber') or 'without number'}, "
            f"kernel {str(g[0].header.get('ConvolutionKernel') or 'unknown')[:20]})"  # a description may name a person
            for g in sorted(placed.values(), key=len, reverse=True)
        )
        raise Fault(
            f"{len(placed)} series in {folder}: {listing}",
            "keep one series in the folder, or give each a folder of its own",
        )
    (series,) = placed.values()
    for s in series:
        if not all(v is not None and np.isfinite(v).all() for v in (s.position, s.orientation)):
            raise Fault(f"{s.name} has no ImagePositionPatient or ImageOrientationPatient", EXPORT)
        grey = str(s.header.get("PhotometricInterpretation", "MONOCHROME2")).startswith("MONOCHROME")
        if int(s.header.get("SamplesPerPixel", 1)) > 1 or not grey:
            raise Fault(f"{s.name} is a colour image, not HU", "give the original CT slices")
    return series


def check_alike(slices: list[Slice]) -> None:
    """Refuse a series in which a slice says otherwise than most of what HU, geometry or identity rest on, or is silent."""
    for tag, what in SAME.items():
        values = [s.header.get(tag) for s in slices]
        values = [tuple(v) if isinstance(v, MultiValue) else v for v in values]
        often = Counter(values)
        usual = max(often, key=often.__getitem__)
        unlike = {v for v in often if not _alike(v, usual)}
        _refuse(
            f"differ in {tag}, {what}",
            [s for s, v in zip(slices, values, strict=True) if v in unlike],
            slices,
        )
    silent = {tag: [s for s in slices if s.header.get(tag) in (None, "")] for tag in RESCALE}
    rescaled = any(len(odd) < len(slices) for odd in silent.values())
    for tag, odd in silent.items():
        unsigned = [s for s in odd if rescaled or not s.header.get("PixelRepresentation")]
        _refuse(f"lack {tag}", unsigned, slices)
    scales = [[float(s.header.get(tag, 1)) for tag in RESCALE] for s in slices]
    odd = [
        s for s, scale in zip(slices, scales, strict=True) if not np.isfinite(scale).all() or scale[1] <= 0
    ]
    _refuse("have a RescaleSlope of 0 or below, or no number", odd, slices)
    black = [s for s in slices if s.header.get("PhotometricInterpretation", "MONOCHROME2") != "MONOCHROME2"]
    _refuse(
        "are MONOCHROME1 (PhotometricInterpretation): whether their values are inverted is not known",
        black,
        slices,
    )
    table = [s for s in slices if "ModalityLUTSequence" in s.header]
    _refuse("have a table (ModalityLUTSequence) in place of a rescale slope", table, slices)
    if missing := next(
        (tag for tag in ("PixelSpacing", "Rows", "Columns") if not slices[0].header.get(tag)), ""
    ):
        raise Fault(f"its slices lack {missing}", EXPORT)
    kind = str(slices[0].header.get("RescaleType") or "HU").strip()
    if kind not in ("HU", "US"):
        raise Fault(f"its values are {kind} (RescaleType), not HU", EXPORT)


def _refuse(problem: str, odd: list[Slice], of: list[Slice]) -> None:
    if odd:
        raise Fault(
            f"{len(odd)} of {len(of)} slices {problem}: {few(s.name for s in odd)}",
            "keep one series of alike slices in the folder, or export it again with all its tags",
        )


def _alike(value: Any, usual: Any) -> bool:
    """Whether two values of a tag are the same, numbers but for rounding: there are series with 0.703125 and 0.7031251."""
    if value is None or usual is None:
        return value is usual
    if any(isinstance(v, str) for v in np.ravel(np.array(value, object))):
        return str(value) == str(usual)
    one, other = np.atleast_1d(np.asarray(value, float)), np.atleast_1d(np.asarray(usual, float))
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=1e-4, atol=1e-3))


def check_states(slices: list[Slice]) -> None:
    """Refuse several states of one chest, or several stacks: groups of slices that overlap along the patient.

    Groups that lie one after the other are one chest. Choice: of those that overlap none is chosen: which one a study wants
    only its user knows.
    """
    row, column = np.asarray(slices[0].orientation)
    for tag, what in STATES.items():
        groups = defaultdict(list)
        for s in slices:
            groups[str(s.header.get(tag) or "")].append(float(s.position @ np.cross(row, column)))
        along = sorted(groups.values(), key=min)
        if any(min(after) < max(before) + 0.01 for before, after in pairwise(along)):
            counted = few((f"{len(z)} slices of {state[:20] or 'none'}" for state, z in groups.items()), 5)
            raise Fault(
                f"{len(groups)} {what} ({tag}) lie at the same place, not one after the other: {counted}",
                "give one of them as the exam: as a folder of its own, or converted (for instance with dcm2niix)",
            )


def check_rescaled(slices: list[Slice], hu: np.ndarray) -> None:
    """Refuse slices rescaled otherwise than most whose values then do not fit those beside them; hu: (z, y, x).

    Choice: between neighbours the 5 % quantiles (air) or the 95 % quantiles (bone), padding aside, lie 5 HU further apart than
    they would with one scale for both.
    """
    scales = [tuple(float(s.header.get(tag, 0)) for tag in RESCALE) for s in slices]
    usual, wrong = max(scales, key=scales.count), set()
    if len(set(scales)) > 1:
        shown = (np.append(s[s > HU_RANGE[0]], HU_RANGE[0]) for s in hu[:, ::4, ::4])
        ends = [np.quantile(s, (0.05, 0.95)) for s in shown]
        for (one, other), (here, there) in zip(pairwise(scales), pairwise(ends), strict=True):
            alike = (there - other[0]) / other[1] * one[1] + one[0]
            apart, least = np.abs(there - here).max(), np.abs(alike - here).max()
            if one != other and apart > least + 5:
                wrong.add(other if one == usual else one)
    _refuse(
        "are rescaled otherwise, and do not fit",
        [s for s, scale in zip(slices, scales, strict=True) if scale in wrong],
        slices,
    )


def is_localizer(header: pydicom.Dataset) -> bool:
    """Whether it is a picture to plan by, which shows the chest from the front."""
    return "LOCALIZER" in (header.get("ImageType") or [])


def _kind(header: pydicom.Dataset) -> str:
    return "localizers" if is_localizer(header) else f"images of modality {header.Modality}"


def is_multi_frame(s: Slice) -> bool:
    """Whether a file may hold many slices, whose places then stand elsewhere in its header."""
    return int(s.header.get("NumberOfFrames") or 1) > 1 or s.header.get("SOPClassUID") in ENHANCED


def multi_frame(s: Slice) -> Fault:
    """What is said of frames that are not read."""
    return Fault(f"{s.name} is a multi-frame DICOM file of a kind that is not read here", CONVERT)
