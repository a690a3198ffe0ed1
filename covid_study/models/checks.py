"""What each check of the readers said of an exam: passed, refused, or not reached, in the order in which they are made.

The readers stop at the first fault. Which check that was stands in the traceback: no check is written down twice.
"""

from __future__ import annotations

import traceback
from pathlib import Path

from covid_study.cohort.file_kinds import is_dicom
from covid_study.cohort.folders import below
from covid_study.ct.volume import Fault
from covid_study.errors import ExamError

Check = tuple[str, tuple[str, ...]]  # in words, and the functions that make it
HU: list[Check] = [
    ("at least 8 slices", ("_read",)),
    ("values are HU of a chest: air, soft tissue, no empty slice", ("_check_hu",)),
]
LUNGS: Check = ("two lungs of a plausible size", ("lung_mask",))
GEOMETRY: Check = (
    "a grid of boxes: nothing tilted, missing, doubled or uneven",
    ("check", "check_voxel", "of_affine"),
)
OF_SERIES: list[Check] = [
    ("its files can be read", ("read_header", "slices_of")),
    ("a whole series without text burnt into it", ("read_series",)),
    ("one CT series, every slice with its place", ("one_series",)),
    ("one state of the chest: phase, stack, acquisition", ("check_states",)),
    ("slices alike in matrix, direction, scale, kernel, person", ("check_alike",)),
    GEOMETRY,
    ("every slice can be decoded", ("_pixels",)),
    ("neighbouring slices fit in HU", ("check_rescaled",)),
    *HU,
    LUNGS,
]
OF_FILE: list[Check] = [
    ("a volume file that can be read", ("_read_folder", "_read_file")),
    ("its header announces what it holds", ("check_announced",)),
    ("three dimensions, one value a voxel, a place in the patient", ("_nifti", "_itk")),
    GEOMETRY,
    *HU,
    LUNGS,
]
CATCH_ALL = ("_read", "_read_folder", "_read_file", "read_series")  # they call the others
PASSED, REFUSED, NOT_REACHED = "passed", "refused", "not reached"


def checks_of(path: Path) -> list[Check]:
    """The checks of what lies at `path`: of a DICOM series, or of a volume file."""
    files = below(path).files if path.is_dir() else [path]
    return OF_SERIES if any(map(is_dicom, files)) else OF_FILE


def outcome(path: Path, error: ExamError | None) -> list[dict[str, str]]:
    """check, state and message of every check, of an exam that was read, or was refused with this error."""
    checks = checks_of(path)
    if error is None:
        return [{"check": words, "state": PASSED, "said": ""} for words, _ in checks]
    at = _place(checks, error)
    return [
        {
            "check": words,
            "state": PASSED if n < at else REFUSED if n == at else NOT_REACHED,
            "said": error.said if n == at else "",
        }
        for n, (words, _) in enumerate(checks)
    ]


def _place(checks: list[Check], error: ExamError) -> int:
    """Which of the checks raised the error: of the functions that were running the outermost that makes one check alone."""
    fault = error.__context__ if isinstance(error.__context__, Fault) else error
    frames = [frame.name for frame in traceback.extract_tb(fault.__traceback__)]
    makes = {name: n for n, (_, names) in enumerate(checks) for name in names}
    own = [name for name in frames if name in makes and name not in CATCH_ALL]
    if own:
        return makes[own[0]]
    if fault.__cause__ is not None:  # of a library that met a damaged file
        return 0
    return next((makes[name] for name in reversed(frames) if name in makes), 0)
