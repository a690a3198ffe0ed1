"""One DICOM file -> what it says of its slice, read within bounds of time and memory whatever its bytes are."""

import io
import warnings
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from covid_study.ct.announced import inflated
from covid_study.ct.frames import LONGEST, OF_EACH, SHARED
from covid_study.ct.series import CONVERT, RESCALE, SAME, STATES, Slice, is_localizer
from covid_study.ct.volume import COPY, Fault, last_line

LARGEST_SIDE = 8192  # pixels; a header that announces more lies, and decoding it would take all memory
# bytes of a deflated file: 4096 x 4096 pixels in 4 bytes, for it is inflated in memory, and twice
MOST = 2**26
TAGS = (
    "TransferSyntaxUID SOPClassUID Modality ImageType SeriesInstanceUID SeriesNumber SliceThickness "
    "TotalCollimationWidth SingleCollimationWidth SpiralPitchFactor Manufacturer ImagePositionPatient "
    "SamplesPerPixel NumberOfFrames BitsAllocated BitsStored HighBit PixelPaddingValue PixelPaddingRangeLimit "
    "BurnedInAnnotation PixelData"
)
SEQUENCES = ("ModalityLUTSequence", SHARED, OF_EACH)


def read_header(file: Path) -> Slice | None:
    """The header of one file, its pixel data measured and left on disk; None for what is no CT image.

    Raises: Fault (cut short, no DICOM, deflated from more than a slice has).
    """
    try:
        with warnings.catch_warnings():  # odd UIDs and the like are no concern of the reader's user
            warnings.simplefilter("ignore")
            tags = [*TAGS.split(), *SAME, *RESCALE, *STATES, *SEQUENCES]
            with _ReadOnce(file) as stream:
                header = pydicom.dcmread(stream, specific_tags=tags, defer_size=LONGEST)
                _read_sequences(header, stream)
            pixels: Any = header.pop("PixelData", None)
            list(header)  # converts every value now, so that a broken one is found and named here
            for tag in RESCALE:  # empty says as much as absent
                if tag in header and header[tag].is_empty:
                    del header[tag]
            ct = header.get("Modality") == "CT"
            if "Rows" not in header and len(header) > 0 and not (ct and "PixelSpacing" in header):
                return None
            if ct and is_localizer(header):
                return None
            if not _is_whole(header, pixels, file.stat().st_size):
                raise EOFError
            found = Slice(file, header, pixels.value_tell if _is_plain(header) else None)
            _ = found.position, found.orientation  # as above
    except Fault:
        raise
    except EOFError as error:
        raise Fault(f"{file.name} is cut short", COPY) from error
    except Exception as error:  # damaged bytes lead pydicom to errors of any kind
        raise Fault(
            f"{file.name} cannot be read as DICOM ({last_line(error, file)})",
            "copy the file again from its source; if it is no CT slice, move it out of the folder",
        ) from error
    return found


def _read_sequences(header: pydicom.Dataset, stream: BinaryIO) -> None:
    """Read the long sequences of a header from the file, whose reading has a bound, where a copy of them in memory has none."""
    for keyword in SEQUENCES:
        deferred = header.get_item(keyword, keep_deferred=True)
        if isinstance(deferred, RawDataElement) and deferred.value is None:
            stream.seek(deferred.value_tell)
            kind = deferred.is_implicit_VR, deferred.is_little_endian
            header.add_new(keyword, "SQ", read_sequence(stream, *kind, deferred.length, "iso8859"))


class _ReadOnce(io.BufferedReader):
    """A file that is read through once or nearly so, as a header is, and inflates to no more than a slice has.

    For each value of undefined length that has no end, pydicom reads to the end of the file, then goes on behind its tag: for
    damaged bytes, a time that grows with the square of the file's size. A deflated file it takes whole, and inflates it whole.
    """

    def __init__(self, file: Path):
        super().__init__(io.FileIO(str(file)))  # pydicom adds to its name
        self.left = 4 * file.stat().st_size + 2**20

    def read(self, size: int | None = -1, /) -> bytes:
        """Raises: ValueError where it is read over and over; Fault where it inflates to more."""
        found = super().read(size)
        self.left -= len(found)
        if self.left < 0:  # no EOFError: pydicom takes that for the end of a sequence
            raise ValueError("its values have no end")
        if size == -1 and inflated(io.BytesIO(found), len(found), MOST, -zlib.MAX_WBITS) >= MOST:
            raise Fault(
                f"{Path(self.name).name} is deflated and holds more than {MOST:,} bytes, too many for a slice",
                CONVERT,
            )
        return found


def _is_whole(header: pydicom.Dataset, pixels: RawDataElement | None, size: int) -> bool:
    """Whether the pixels that the header announces are all in a file of `size` bytes; GDCM would fill what is missing."""
    values = (
        int(header.get("Rows", 0)) * int(header.get("Columns", 0)) * int(header.get("SamplesPerPixel", 1))
    )
    frames = int(header.get("NumberOfFrames") or 1)
    if max(int(header.get("Rows", 0)), int(header.get("Columns", 0))) > LARGEST_SIDE:
        raise ValueError(f"{header.Rows} x {header.Columns} pixels are no CT slice")
    syntax = header.file_meta.get("TransferSyntaxUID")
    if pixels is None or (syntax is not None and syntax.is_encapsulated):
        return pixels is not None and (pixels.value is None or len(pixels.value) > 0)
    there = (
        pixels.length
        if syntax is not None and syntax.is_deflated
        else min(pixels.length, size - pixels.value_tell)
    )
    return 0 < values * frames * int(header.get("BitsAllocated", 16)) // 8 <= there


def _is_plain(header: pydicom.Dataset) -> bool:
    """Whether the pixels lie in the file as 16 bits each, the value in all of them or in the lower ones, nothing above it."""
    bits = [
        int(header.get(tag) or 0) for tag in ("BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel")
    ]
    plain = header.file_meta.get("TransferSyntaxUID") in (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
    return plain and bits == [16, bits[1], bits[1] - 1, 1]
