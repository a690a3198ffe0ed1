"""Damaged inputs: nothing comes out of a reader but its values or a StudyError in few words, in seconds and little memory.

`make fuzz` feeds the same readers hundreds of thousands of them; what once found something lies in fuzz/corpus.
"""

import struct
import subprocess
import sys
import zlib

import pytest
from hypothesis import given, settings, strategies as st

from fuzz.targets import KINDS, TARGETS, Fuzzed, edited

EDITS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 2**32 - 1)), min_size=1, max_size=4)


@pytest.fixture(scope="module", params=TARGETS)
def fuzzed(request, tmp_path_factory):
    return Fuzzed(request.param, tmp_path_factory.mktemp("fuzzed"))


def test_the_inputs_are_valid(fuzzed):
    for data in fuzzed.target.seeds()[:1]:
        fuzzed.file.write_bytes(data)
        fuzzed.target.read(fuzzed.file)


def test_what_once_found_something(fuzzed):
    assert [wrong for data in fuzzed.corpus() if (wrong := fuzzed.wrong(data))] == []


@settings(max_examples=30, deadline=10_000, derandomize=True, database=None)
@given(seed=st.integers(0, 20), edits=EDITS)
def test_a_damaged_input_is_refused_or_read(fuzzed, seed, edits):
    seeds = fuzzed.target.seeds() if not hasattr(fuzzed, "seeds") else fuzzed.seeds
    fuzzed.seeds = seeds  # some are made by a library: once
    assert fuzzed.wrong(edited(seeds[seed % len(seeds)], edits)) == ""


LIARS = {  # name of a file -> a valid target of its kind, what its header says, what it says then
    "volume.nii": ("nifti", struct.pack("<4h", 3, 24, 24, 8), struct.pack("<4h", 3, *[32767] * 3)),
    "volume.nrrd": ("nrrd", b"sizes: 24 24 8", b"sizes: 30000 30000 30000"),
    "volume.mha": ("mha", b"DimSize = 24 24 8", b"DimSize = 30000 30000 30000"),
    "slice.dcm": ("dicom", b"US\x02\x00\x18\x00", b"US\x02\x00\xff\xff"),
    "slice.bmp": ("picture", struct.pack("<2i", 40, 40), struct.pack("<2i", 13000, 13000)),
}
READ = """
import resource, sys
from covid_study.ct import files, pictures
from covid_study.errors import StudyError
pages = int(open("/proc/self/statm").read().split()[0])
most = pages * resource.getpagesize() + 2**30
resource.setrlimit(resource.RLIMIT_AS, (most, most))
read = pictures.read_image if sys.argv[1].endswith((".bmp", ".png")) else files.read_volume
try:
    read(sys.argv[1])
except StudyError as error:
    print(error)
"""


def png(width, height):
    """A grey PNG that announces this size and holds one row."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">2I5B", width, height, 16, 4, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(width))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("name", [*LIARS, "slice.png"])
def test_a_file_that_lies_about_its_size_takes_less_than_a_gigabyte(name, tmp_path):
    if name == "slice.png":
        data = png(13_000, 13_000)
    else:
        target, said, lie = LIARS[name]
        data = next(seed for seed in TARGETS[target].seeds() if said in seed).replace(said, lie)
    file = tmp_path / name
    file.write_bytes(data)
    where = tmp_path if name == "slice.dcm" else file
    done = subprocess.run([sys.executable, "-c", READ, where], capture_output=True, text=True, check=True)
    assert name in done.stdout
