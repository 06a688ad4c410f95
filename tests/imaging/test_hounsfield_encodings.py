"""Stored bits and transfer syntaxes: the same values whichever way they are written, or none."""

from pathlib import Path

import numpy as np
import pytest
from dicom_files import ct_slice, found, write
from numpy.testing import assert_array_equal
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from torso_slices import SHAPE, hu_at, reason, series_of, slice_file, stack

from screening.archive.header import read_header
from screening.errors import Excluded, Exclusion
from screening.imaging.hounsfield import read_slice_hu

TWELVE_BITS = {"BitsStored": 12, "HighBit": 11}


def test_twelve_bits_without_their_sign_extended_are_still_signed(tmp_path):
    picture = hu_at(stack()[2])
    path = slice_file(
        tmp_path, 1, stack()[2], PixelData=(picture & 0x0FFF).tobytes(), PixelRepresentation=1, **TWELVE_BITS
    )

    assert_array_equal(read_slice_hu(read_header(found(path))), picture)


def test_an_overlay_in_the_unused_bits_is_not_part_of_the_values(tmp_path):
    picture = hu_at(stack()[2])
    with_overlay = (picture + 1024).astype(np.uint16) | np.uint16(0x8000)
    path = slice_file(
        tmp_path,
        1,
        stack()[2],
        PixelData=with_overlay.tobytes(),
        PixelRepresentation=0,
        RescaleIntercept="-1024",
        **TWELVE_BITS,
    )

    assert_array_equal(read_slice_hu(read_header(found(path))), picture)


CONTRADICTIONS = {
    "values that do not end at the lowest bit": {"BitsStored": 12, "HighBit": 15},
    "more bits stored than allocated": {"BitsStored": 17, "HighBit": 16},
    "bits of no byte": {"BitsAllocated": 12, "BitsStored": 12, "HighBit": 11},
    "fewer bits than there are": {"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31},
    "more rows than there are": {"Rows": SHAPE[1] + 1},
    "no sign": {"PixelRepresentation": None},
    "a sign of its own": {"PixelRepresentation": 7},
}


@pytest.mark.parametrize("elements", CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_header_that_contradicts_its_picture_is_undecodable(tmp_path, elements):
    assert reason(series_of(tmp_path, **elements)) is Exclusion.UNDECODABLE


COMPRESSED = {"JPEG-LS": JPEGLSLossless, "JPEG 2000": JPEG2000Lossless, "RLE": RLELossless}
UNCOMPRESSED = {
    "implicit": ImplicitVRLittleEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
}


@pytest.mark.parametrize("syntax", COMPRESSED.values(), ids=COMPRESSED.keys())
def test_lossless_compression_keeps_every_value(tmp_path, syntax):
    points = stack()[2]
    dataset = ct_slice(1, Rows=SHAPE[1], Columns=SHAPE[2])
    dataset.compress(syntax, hu_at(points), generate_instance_uid=False)

    assert_array_equal(read_slice_hu(read_header(found(write(tmp_path, "a", dataset)))), hu_at(points))


@pytest.mark.parametrize("syntax", UNCOMPRESSED.values(), ids=UNCOMPRESSED.keys())
def test_byte_order_and_deflation_keep_every_value(tmp_path, syntax):
    stored = hu_at(stack()[2]).astype(">i2" if syntax == ExplicitVRBigEndian else "<i2")
    dataset = ct_slice(1, Rows=SHAPE[1], Columns=SHAPE[2], PixelData=stored.tobytes())
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = syntax

    assert_array_equal(read_slice_hu(read_header(found(write(tmp_path, "a", dataset)))), stored)


SYNTAX_FILES = Path(__file__).parents[3] / "shared/data/zoo/cornerstone_ct_syntaxes"
LOSSLESS_FILES = (
    "CTImage.dcm_LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1.dcm",
    "CTImage.dcm_BigEndianExplicitTransferSyntax_1.2.840.10008.1.2.2.dcm",
    "CTImage.dcm_DeflatedExplicitVRLittleEndianTransferSyntax_1.2.840.10008.1.2.1.99.dcm",
    "CTImage.dcm_RLELosslessTransferSyntax_1.2.840.10008.1.2.5.dcm",
    "CTImage.dcm_JPEGLSLosslessTransferSyntax_1.2.840.10008.1.2.4.80.dcm",
    "CTImage.dcm_JPEG2000LosslessOnlyTransferSyntax_1.2.840.10008.1.2.4.90.dcm",
    "CTImage.dcm_JPEGProcess14TransferSyntax_1.2.840.10008.1.2.4.57.dcm",
    "CTImage.dcm_JPEGProcess14SV1TransferSyntax_1.2.840.10008.1.2.4.70.dcm",
)
LOSSY_FILES = (
    "CTImage.dcm_JPEGProcess1TransferSyntax_1.2.840.10008.1.2.4.50.dcm",
    "CTImage.dcm_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm",
    "CTImage.dcm_JPEGLSLossyTransferSyntax_1.2.840.10008.1.2.4.81.dcm",
    "CTImage.dcm_JPEG2000TransferSyntax_1.2.840.10008.1.2.4.91.dcm",
    "CTImage.dcm_JPEGProcess6_8TransferSyntax_1.2.840.10008.1.2.4.53.dcm",
    "CTImage.dcm_JPEGProcess10_12TransferSyntax_1.2.840.10008.1.2.4.55.dcm",
)
needs_zoo = pytest.mark.skipif(not SYNTAX_FILES.is_dir(), reason="collection of odd DICOM files is not here")


@needs_zoo
@pytest.mark.parametrize("name", LOSSLESS_FILES)
def test_a_scanner_slice_reads_the_same_in_every_lossless_syntax(name):
    reference = read_slice_hu(read_header(found(SYNTAX_FILES / "CTImage.dcm")))

    assert_array_equal(read_slice_hu(read_header(found(SYNTAX_FILES / name))), reference)


@needs_zoo
@pytest.mark.parametrize("name", LOSSY_FILES)
def test_lossy_syntaxes_are_refused(name):
    with pytest.raises(Excluded) as raised:
        read_slice_hu(read_header(found(SYNTAX_FILES / name)))

    assert raised.value.reason is Exclusion.LOSSY_COMPRESSION


def test_a_picture_that_was_lossy_once_is_refused(tmp_path):
    assert reason(series_of(tmp_path, LossyImageCompression="01")) is Exclusion.LOSSY_COMPRESSION


def test_a_cut_file_is_undecodable(tmp_path):
    given = series_of(tmp_path)
    path = given.instances[1].path
    path.write_bytes(path.read_bytes()[:-1000])

    assert reason(given) is Exclusion.UNDECODABLE


@pytest.mark.parametrize("syntax", COMPRESSED.values(), ids=COMPRESSED.keys())
def test_a_cut_compressed_file_is_undecodable(tmp_path, syntax):
    dataset = ct_slice(1, Rows=SHAPE[1], Columns=SHAPE[2])
    dataset.compress(syntax, hu_at(stack()[2]), generate_instance_uid=False)
    instance = read_header(found(write(tmp_path, "a", dataset)))
    instance.path.write_bytes(instance.path.read_bytes()[:-200])

    with pytest.raises(Excluded) as raised:
        read_slice_hu(instance)

    assert raised.value.reason is Exclusion.UNDECODABLE


def test_pixel_data_of_an_unknown_kind_is_undecodable(tmp_path):
    given = series_of(tmp_path)
    path = given.instances[1].path
    path.write_bytes(path.read_bytes().replace(b"\xe0\x7f\x10\x00OW", b"\xe0\x7f\x10\x00MB"))

    assert reason(given) is Exclusion.UNDECODABLE
