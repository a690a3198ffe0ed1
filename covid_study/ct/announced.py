"""What the header of an NRRD or MetaImage file announces, checked before ITK parses it; how large any volume may be.

There a damaged header ends the whole process, and one that lies about its size takes all memory. NIfTI and DICOM headers have a
fixed form: `files` and `dicom` check them.
"""

import math
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from covid_study.ct.geometry import check_voxel
from covid_study.ct.volume import COPY, Fault

LONGEST_HEADER, LONGEST_LINE = 2**20, 400  # bytes; a field of a CT's header is shorter
MOST_DIMENSIONS = 6
LARGEST = 2000 * 1024**2 * 4  # bytes of voxels, Choice in check_size
# bytes of voxels from a byte of file: deflate gives at most 1032, a number as text ("0 ") at most 4
INFLATED = {"raw": 1, "gzip": 1032, "gz": 1032, "ascii": 4, "text": 4, "txt": 4, "hex": 1}
WIDTHS = {r"char|int8": 1, r"short|int16": 2, r"long_?long|int64|double": 8, r"int|long|float": 4}
UNSCALED = {  # what ITK does not apply -> where it changes nothing
    "elementtointensityfunctionslope": r"(1(\.0*)?)?",
    "elementtointensityfunctionoffset": r"(-?0(\.0*)?)?",
}
AGAIN = "correct its header, or convert the exam from DICOM again (for instance with dcm2niix)"


def check_announced(file: Path) -> None:
    """Refuse a .nrrd, .nhdr, .mha or .mhd file whose header is damaged, whose voxels are elsewhere, or fewer than announced.

    Raises: Fault (names the file, the field, the file with the voxels that is missing), OSError.
    """
    with file.open("rb") as stream:
        head = stream.read(LONGEST_HEADER)
    fields, length = (_meta if file.suffix.lower() in (".mha", ".mhd") else _nrrd)(head, file)
    if not length:
        raise Fault(f"{file} is damaged or cut short (its header has no end)", COPY)
    lines = head[:length].replace(b"\r\n", b"\n").split(b"\n")
    if re.search(rb"[\x00-\x08\x0b-\x1f]", b"".join(lines)):  # ITK may see the end of a line there
        raise Fault(f"{file} is damaged (its header holds control characters)", COPY)
    lines = [line for line in lines if b":=" not in line and not line.startswith(b"#")]
    if len(longest := max(lines, key=len)) > LONGEST_LINE:
        raise Fault(
            f"{file} is damaged (a line of its header, {longest[:40]!r} ..., has {len(longest)} bytes)", COPY
        )
    dimensions = _whole(fields, "dimensions", file)
    sizes = _whole(fields, "sizes", file)
    if (
        len(dimensions) != 1
        or len(sizes) != dimensions[0]
        or not 0 < dimensions[0] <= MOST_DIMENSIONS
        or 0 in sizes
    ):
        raise Fault(
            f"{file} is damaged (its header announces {sizes[:9]} voxels in {dimensions[:1]} dimensions)",
            COPY,
        )
    _check_grid(fields, file)
    kind, encoding = fields.get("type", "").lower(), fields.get("encoding", "").lower()
    width = next((n for names, n in WIDTHS.items() if re.search(names, kind.replace(" ", "_"))), 0)
    if not width or encoding not in INFLATED:
        raise Fault(
            f"{file} is of a kind that is not read (type {kind[:40]!r}, encoding {encoding[:40]!r})",
            "save it with whole or real numbers, raw or with gzip; where it should be so, it is damaged: copy it again",
        )
    channels = math.prod(_whole(fields, "channels", file))
    wanted, (data, start) = math.prod(sizes) * width * channels, _data(file, fields.get("data", ""), length)
    check_size(wanted, file)
    skipped = fields.get("headersize", fields.get("byte skip", "0"))
    start += int(skipped) if re.fullmatch(r"\d{1,9}", skipped) else 0
    there = data.stat().st_size - start
    if wanted <= there * INFLATED[encoding] and encoding in ("gzip", "gz"):
        size = _whole(fields, "compresseddatasize", file)[0] if "compresseddatasize" in fields else there
        with data.open("rb") as opened:
            opened.seek(start)
            there, encoding = inflated(opened, size, wanted), "raw"
    if wanted > there * INFLATED[encoding]:
        raise Fault(
            f"{file} is damaged or cut short ({there:,} bytes of voxels, {encoding}, where its header announces {wanted:,})",
            COPY,
        )


def check_size(wanted: int, file: Path) -> None:
    """Refuse a header that announces more bytes of voxels than a CT has: compressed, they may lie in a small file.

    Choice: 2,000 slices of 1024 x 1024 voxels in 4 bytes, twice the longest scans of the finest matrix.
    """
    if wanted > LARGEST:
        raise Fault(
            f"{file} is damaged (its header announces {wanted:,} bytes of voxels, more than a CT of 2,000 slices has)",
            AGAIN,
        )


def _check_grid(fields: dict[str, str], file: Path) -> None:
    """Refuse a header that does not say how large a voxel is and how it lies in the patient: ITK takes 1 mm, upright."""
    nrrd = file.suffix.lower() in (".nrrd", ".nhdr")
    wanted = ("space", "space directions") if nrrd else ("elementspacing", "transformmatrix")
    for name in wanted:
        if not fields.get(name):
            raise Fault(f"{file} does not say how its voxels lie (its header has no {name!r})", AGAIN)
    if nrrd and not re.fullmatch(
        r"(l|left|r|right)-?(p|posterior|a|anterior)-?(s|superior)", fields["space"].lower()
    ):
        raise Fault(f"{file} lies in a space that is no patient's ({fields['space'][:40]!r})", AGAIN)
    if not all(re.fullmatch(one, fields.get(name, "")) for name, one in UNSCALED.items()):
        raise Fault(f"{file} says that its voxels are to be rescaled ({', '.join(UNSCALED)})", AGAIN)
    units = fields.get("space units", "mm") if nrrd else fields.get("distanceunits", "mm")
    if set(re.sub(r'["?]', " ", units).split()) - {"mm"}:
        raise Fault(f"{file} gives the size of its voxels in {units[:40]}, not in mm", AGAIN)
    try:
        if nrrd:
            found = re.findall(r"\(([^)]*)\)", fields["space directions"])
            axes = np.array([[float(v) for v in vector.split(",")] for vector in found], float).reshape(3, 3)
            mm = np.linalg.norm(axes, axis=1)
        else:
            mm = np.array(fields["elementspacing"].split()[:3], float)
            n = len(fields["elementspacing"].split())
            axes = np.array(fields["transformmatrix"].split(), float).reshape(n, n)[:3, :3]
    except ValueError:
        raise Fault(f"{file} does not say in numbers how its voxels lie", AGAIN) from None
    check_voxel(mm)
    volume = abs(np.linalg.det(axes)) if np.isfinite(axes).all() else 0.0
    if not volume > 1e-3 * np.prod(np.linalg.norm(axes, axis=1)):
        raise Fault(f"{file} says that its axes lie in one plane", AGAIN)


def _once(lines: Iterable[str], separator: str, file: Path) -> dict[str, str]:
    """Name -> value of a header's lines; of a name that stands there twice ITK might take the other."""
    fields: dict[str, str] = {}
    for name, *value in (re.split(separator, line, maxsplit=1) for line in lines):
        if (name := name.strip().lower()) in fields:
            raise Fault(f"{file} is damaged (its header says {name[:40]!r} twice)", COPY)
        fields[name] = "".join(value).strip()
    return fields


def _nrrd(head: bytes, file: Path) -> tuple[dict[str, str], int]:
    """The fields that matter, in our words, and the length of the header: 0 where it does not end."""
    end = re.search(rb"\r?\n\r?\n", head)
    text = head[: end.start() if end else len(head)].decode("latin-1")
    lines = [
        line
        for line in text.split("\n")[1:]
        if line.strip() and not line.startswith("#") and ":=" not in line
    ]
    fields = _once(lines, ":", file)
    data = fields.pop("data file", fields.pop("datafile", ""))
    found = {"dimensions": fields.pop("dimension", ""), "data": data, "channels": "1", **fields}
    whole = bool(head.startswith(b"NRRD") and (end or data))
    return found, (end.end() if end else len(head)) if whole else 0


def _meta(head: bytes, file: Path) -> tuple[dict[str, str], int]:
    """As `_nrrd`: its last field says where the voxels are."""
    end = re.search(rb"^[ \t]*ElementDataFile[ \t]*[=:][^\n]*(\n|$)", head, re.M)
    text = head[: end.end() if end else len(head)].decode("latin-1")
    fields = _once((line for line in text.split("\n") if line.strip()), "[=:]", file)
    said = {name: fields.get(name, "").lower() for name in ("compresseddata", "binarydata")}
    if odd := [name for name, one in said.items() if one not in ("", "true", "false", "1", "0")]:
        raise Fault(  # ITK takes "True-1" for true, and never ends where what follows is not compressed
            f"{file} is damaged (its header's {odd[0]} is {said[odd[0]][:40]!r}, not True or False)", COPY
        )
    data, compressed = fields.pop("elementdatafile", ""), said["compresseddata"] in ("true", "1")
    found = {
        "dimensions": fields.pop("ndims", ""), "sizes": fields.pop("dimsize", ""), "type": fields.pop("elementtype", ""),
        "encoding": "gzip" if compressed else "raw", "channels": fields.pop("elementnumberofchannels", "1"),
        "data": "" if data.upper() == "LOCAL" else data,
    }  # fmt: skip
    return {**fields, **found}, end.end() if end else 0


def _whole(fields: dict[str, str], name: str, file: Path) -> list[int]:
    words = fields.get(name, "").split()
    if not words or not all(re.fullmatch(r"\d{1,9}", word) for word in words):
        raise Fault(f"{file} is damaged (its header's {name} are {fields.get(name, '')[:40]!r})", COPY)
    return [int(word) for word in words]


def inflated(stream: BinaryIO, size: int, most: int, window: int = zlib.MAX_WBITS | 32) -> int:
    """Bytes that the next `size` bytes of a stream hold, compressed, counted up to `most`: ITK never ends on damaged ones.

    window: zlib's `wbits`; without it zlib or gzip, as the head says.

    Raises: zlib.error.
    """
    packed, found = zlib.decompressobj(window), 0
    while found < most and not packed.eof and (chunk := stream.read(min(size, 2**20))):
        size -= len(chunk)
        while chunk and found < most:
            found += len(packed.decompress(chunk, 2**24))
            chunk = packed.unconsumed_tail
    return found


def _data(file: Path, data: str, length: int) -> tuple[Path, int]:
    """Where the voxels begin: in this file, or in the one beside it that its header names."""
    if not data:
        return file, length
    beside = file.parent / data
    if re.match(r"LIST\b|.*%", data):
        raise Fault(
            f"{file} takes its voxels from several files ({data})", "convert it to one .nii.gz or .mha file"
        )
    if not beside.resolve().is_relative_to(file.parent.resolve()):
        raise Fault(
            f"{file} takes its voxels from {data}, outside its folder", "put both files into one folder"
        )
    if not beside.is_file():
        raise Fault(
            f"{beside}, which holds the voxels of {file.name}, is missing", "put it beside its header"
        )
    return beside, 0
