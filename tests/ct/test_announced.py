"""Headers of NRRD and MetaImage files that would end the process, take all memory or lead out of the folder."""

import gzip
import re
import struct

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from dicom_factory import chest
from volume_files import changed, refused, saved

from covid_study.ct.files import read_volume


def written(folder, name, compress=False):
    """The chest in voxels of 1 mm that lie at 0."""
    return saved(folder / name, sitk.GetImageFromArray(chest()), useCompression=compress)


@pytest.mark.parametrize(
    "name, old, new, words",
    [
        ("a.mha", b"NDims = 3", b"NDims = -1", ["dimensions", "-1"]),
        ("a.mha", b"NDims = 3", b"NDims = 2", ["dimensions", "[48, 40, 16]"]),
        ("a.mha", b"DimSize = 48", b"DimSize = 480000", ["61,440 bytes", "announces"]),
        ("a.mha", b"MET_SHORT", b"MET_SHIRT", ["type", "met_shirt"]),
        ("a.mha", b"ElementDataFile", b"ElementFile", ["no end"]),
        ("a.mha", b"CenterOfRotation = ", b" " * 900_000, ["a line of its header"]),  # in no time
        ("a.nrrd", b"sizes: 48", b"sizes: 48000000", ["61,440,000,000", "2,000 slices"]),
        ("a.nrrd", b"sizes: 48", b"sizes: 0", ["[0, 40, 16]"]),
        ("a.nrrd", b"type: short", b"type: " + b"f " * 999, ["a line of its header"]),
        ("a.nrrd", b"encoding: raw", b"encoding: riw", ["encoding", "riw"]),
        ("a.mha", b"ElementSpacing = 1 1 1", b"Comment = none", ["'elementspacing'"]),
        ("a.mha", b"ElementSpacing = 1 1 1", b"ElementSpacing = 1 1 0", ["1 x 1 x 0 mm"]),
        ("a.mha", b"TransformMatrix = 1 0 0", b"Comment = none", ["'transformmatrix'"]),
        ("a.mha", b"TransformMatrix = 1 0 0", b"TransformMatrix = 0 1 0", ["one plane"]),
        ("a.mha", b"TransformMatrix = 1 0 0", b"TransformMatrix = 2 0 0", ["unit vectors"]),
        ("a.nrrd", b"space: left-posterior-superior", b"#", ["'space'"]),
        ("a.nrrd", b"space: left-posterior-superior", b"space: scanner-xyz", ["scanner-xyz"]),
        ("a.nrrd", b"space directions: (1,0,0)", b"space directions: (0,0,0)", ["0 x 1 x 1 mm"]),
        ("a.nrrd", b"space directions: (1,0,0)", b"space directions: none", ["in numbers"]),
        ("a.nrrd", b"type: short", b"type: block", ["type", "block"]),
        ("a.nrrd", b"encoding: raw", b"encoding: bzip2", ["not read", "bzip2", "gzip"]),
        ("a.nrrd", b"# Complete", b"# \rfi" + b"fi" * 999, ["control"]),
        ("a.nrrd", b"type: short", b"type: short\ntype: short", ["'type' twice"]),
        ("a.mha", b"NDims = 3", b"NDims = -1\n\nNDims = 3", ["'ndims' twice"]),
        ("a.mha", b"ElementSpacing = 1 1 1", b"ElementSpacing = 1 -1 1", ["1 x -1 x 1 mm"]),
        ("a.mha", b"ElementSpacing = 1 1 1", b"ElementSpacing = 1 nan 1", ["1 x nan x 1 mm"]),
        ("a.mha", b"NDims = 3", b"NDims = 3\nElementToIntensityFunctionSlope = 2", ["rescaled"]),
        ("a.mha", b"NDims = 3", b"NDims = 3\nHeaderSize = 10", ["61,430 bytes"]),
        ("a.nrrd", b"space directions: (1,0,0) (0,1,0) (0,0,1)", b"spacings: 3 4 5", ["space directions"]),
        ("a.nrrd", b"kinds: ", b'space units: "m" "m" "m"\nkinds: ', ["not in mm"]),
    ],
)
def test_a_header_is_not_believed(tmp_path, name, old, new, words):
    refused(changed(written(tmp_path, name), old, new), *words)


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
def test_compressed_voxels_may_be_many_times_what_lies_on_disk_but_no_more_than_deflate_can(tmp_path, name):
    file = written(tmp_path, name, compress=True)
    np.testing.assert_array_equal(read_volume(file).hu, chest())
    changed(file, b" 40 16\n", b" 40 160000\n")
    refused(file, "cut short", "announces 614,400,000")


@pytest.mark.parametrize(
    "dims, word", [((512, 512, 1200), "announces 629,145,600"), ((4096, 4096, 2000), "2,000 slices")]
)
def test_a_compressed_nifti_that_lies_is_refused_before_memory_is_taken(tmp_path, dims, word, monkeypatch):
    held = np.random.default_rng(0).integers(256, size=700_000, dtype=np.uint8)
    head = written(tmp_path, "a.nii").read_bytes()[:352]
    head = head[:42] + struct.pack("<3h", *dims) + head[48:]
    file = tmp_path / "b.nii.gz"
    file.write_bytes(gzip.compress(head + held.tobytes(), 1))
    monkeypatch.setattr(nibabel.arrayproxy, "array_from_file", lambda *_: pytest.fail("memory was taken"))
    refused(file, "b.nii.gz", word)


@pytest.mark.parametrize("change_of", ["cut", "flipped", "size"])
@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
def test_a_damaged_compressed_stream_is_refused_and_not_read_for_ever(tmp_path, name, change_of):
    file = written(tmp_path, name, compress=True)
    data, size = file.read_bytes(), re.search(rb"CompressedDataSize = \d+", file.read_bytes())
    middle = len(data) - 200
    if change_of == "size" and size:
        file.write_bytes(data.replace(size[0], b"CompressedDataSize = 100"))
    else:
        file.write_bytes(
            data[:middle] + (b"" if change_of != "flipped" else b"\xff" * 50 + data[middle + 50 :])
        )
    refused(file, "damaged or cut short")


@pytest.mark.parametrize("name, key", [("a.mhd", b"ElementDataFile = "), ("a.nhdr", b"data file: ")])
def test_voxels_beside_the_header(tmp_path, name, key):
    folder = tmp_path / "exam"
    folder.mkdir()
    file = written(folder, name)
    np.testing.assert_array_equal(read_volume(file).hu, chest())
    (folder / "a.raw").rename(tmp_path / "a.raw")
    refused(file, folder / "a.raw", "missing")
    changed(file, key + b"a.raw", key + b"../a.raw")
    refused(file, "../a.raw, outside its folder")
    changed(file, key + b"../a.raw", key + b"LIST")
    refused(file, "several files")
