"""Pixels taken from a file as they lie there against GDCM's."""

import numpy as np
import pydicom
import pytest
from dicom_factory import write_series

from covid_study.ct import dicom
from covid_study.ct.dicom_header import read_header


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize(("slope", "intercept"), [("1", "-1024"), ("2", "0"), ("0.5", "-1000.5")])
def test_uncompressed_pixels_are_gdcm_s_whatever_lies_in_the_spare_bits(
    tmp_path, signed, bits, slope, intercept
):
    tags = {"BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": signed}
    scale = {"RescaleSlope": slope, "RescaleIntercept": intercept}
    (file,) = write_series(tmp_path, np.zeros((1, 16, 24), np.int16), **tags, **scale)
    header = pydicom.dcmread(file)
    header.PixelData = np.random.default_rng(0).bytes(16 * 24 * 2)
    header.save_as(file)
    found = read_header(file)
    assert found.pixels_at is not None
    np.testing.assert_array_equal(dicom._stored(found), dicom._decoded(found))


@pytest.mark.parametrize("tags", [{"HighBit": 14, "BitsStored": 12}, {"BitsAllocated": 8}])
def test_unusual_pixels_are_left_to_gdcm(tmp_path, tags):
    (file,) = write_series(tmp_path, np.zeros((1, 16, 24), np.int16), **tags)
    assert read_header(file).pixels_at is None
