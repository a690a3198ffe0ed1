"""One chest CT volume in Hounsfield units, in canonical orientation."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

HU_RANGE = (-1024, 3071)  # what a 12-bit scanner can store: air or padding up to metal
COPY = "copy it again from its source, or leave the exam out"


@dataclass(frozen=True)
class Volume:
    """One chest CT in Hounsfield units, canonical orientation.

    hu: int16 (z, y, x); z runs caudal to cranial, y anterior to posterior, x from the patient's right to left
    (LPS). spacing_mm: (z, y, x). protocol: what the headers say, keys where known: kvp, slice_thickness_mm,
    n_slices, matrix, pixel_spacing_mm, collimation_rows, collimation_mm, pitch, manufacturer, centre.
    """

    hu: np.ndarray
    spacing_mm: tuple[float, float, float]
    protocol: dict[str, Any] = field(default_factory=dict)


class Fault(Exception):
    """What is wrong with the files of an exam, and what to do; `read_volume` adds whose they are."""

    def __init__(self, problem: str, remedy: str):
        super().__init__(problem, remedy)
        self.problem, self.remedy = problem, remedy


def without_uids(text: str) -> str:
    """A text whose UIDs, which lead to a patient, are down to their last digits: archives name files by them.

    >>> without_uids("1.2.840.113619.2.55.3.604688119.971 is cut short")
    '...19.971 is cut short'
    """
    return re.sub(r"\d+(?:\.\d+){4,}", lambda uid: "..." + uid.group()[-6:], text)


def last_line(error: Exception, file: Path) -> str:
    """What a library said of a file at the end, for the brackets of our own message, which names it.

    The names of the file go before the line is cut: half a name would not be known, and hidden, as one.

    >>> last_line(ValueError("at 0x7f:\\nno image in <BufferedReader 'a/b.png'> of a/b.png"), Path("a/b.png"))
    'no image in it of it'
    """
    said = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
    return re.sub("<[^<>]*>", "it", said.replace(str(file), "it"))[:120]
