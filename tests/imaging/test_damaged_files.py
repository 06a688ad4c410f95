"""Damaged and contradictory files, by seed: every one ends as a problem, a reason, or a picture of the stated size."""

import random

import gdcm
import numpy as np
import pydicom
import pytest
from dicom_files import ct_slice, found, write
from numpy.testing import assert_array_equal
from pydicom import uid

from screening.archive.header import NotIndexed, read_header
from screening.errors import Excluded
from screening.imaging.hounsfield import FLOOR_HU, read_slice_hu

ROWS, COLUMNS = 40, 48
SEEDS = range(25)

ENCODED = {"RLE": uid.RLELossless, "JPEG-LS": uid.JPEGLSLossless, "JPEG 2000": uid.JPEG2000Lossless}
PLAIN = {
    "explicit": uid.ExplicitVRLittleEndian,
    "implicit": uid.ImplicitVRLittleEndian,
    "deflated": uid.DeflatedExplicitVRLittleEndian,
    "big endian": uid.ExplicitVRBigEndian,
}
SYNTAXES = (*PLAIN, *ENCODED, "JPEG lossless")


def picture():
    y, x = np.mgrid[-20:20, -24:24]
    hu = np.where((x / 20) ** 2 + (y / 17) ** 2 < 1, 40, -1000)
    return (hu + np.random.default_rng(3).integers(-15, 16, hu.shape)).astype(np.int16)


def slice_file(folder, syntax):
    """Write one slice in a transfer syntax."""
    stored = picture().astype(">i2" if syntax == "big endian" else "<i2")
    dataset = ct_slice(1, Rows=ROWS, Columns=COLUMNS, PixelData=stored.tobytes())
    dataset["PixelData"].VR = "OW"
    if syntax in PLAIN:
        dataset.file_meta.TransferSyntaxUID = PLAIN[syntax]
    if syntax in ENCODED:
        dataset.compress(ENCODED[syntax], picture(), generate_instance_uid=False)
    path = write(folder, "original", dataset)
    if syntax == "JPEG lossless":
        encode_jpeg_lossless(path)
    return path


def encode_jpeg_lossless(path):
    """Encode a file in place; pydicom has no encoder for this syntax."""
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


@pytest.fixture(scope="module", params=SYNTAXES)
def syntax(request):
    return request.param


@pytest.fixture(scope="module")
def original(syntax, tmp_path_factory):
    return slice_file(tmp_path_factory.mktemp("original"), syntax)


def outcome(path):
    """Take a file as far as it goes; any other exception than the two named ones is a bug."""
    try:
        instance = read_header(found(path))
        hu = read_slice_hu(instance)
    except NotIndexed:
        return "not indexed"
    except Excluded as excluded:
        return str(excluded.reason)
    assert hu.dtype == np.int16
    assert hu.shape == (instance.rows, instance.columns)
    assert hu.min() >= FLOOR_HU
    return "read"


def cut(content, chance):
    return content[: chance.randrange(len(content))]


def flipped_bits(content, chance):
    damaged = bytearray(content)
    for _ in range(chance.choice((1, 3, 20))):
        damaged[chance.randrange(128, len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def hole(content, chance):
    start = chance.randrange(200, len(content))
    return content[:start] + content[start + chance.randrange(1, 500) :]


def foreign_bytes(content, chance):
    start = chance.randrange(200, len(content))
    return content[:start] + chance.randbytes(chance.randrange(1, 500)) + content[start:]


def outcomes_of(folder, original, damage):
    """Damage a file once per seed and take each as far as it goes."""
    paths = [folder / f"{seed}" for seed in SEEDS]
    for seed, path in zip(SEEDS, paths, strict=True):
        path.write_bytes(damage(original.read_bytes(), random.Random(seed)))
    return {outcome(path) for path in paths}


REASONS = {"not indexed", "no_hounsfield", "no_pixels", "undecodable"}


@pytest.mark.parametrize("damage", [flipped_bits, hole, foreign_bytes])
def test_damage_ends_in_a_reason_or_a_picture_of_the_stated_size(tmp_path, original, damage):
    assert outcomes_of(tmp_path, original, damage) - {"read"} <= REASONS


def test_a_cut_file_is_never_read(tmp_path, original):
    assert outcomes_of(tmp_path, original, cut) <= REASONS


CONTRADICTIONS = {
    "Rows": dict.fromkeys((0, 1, 39, 41, 4096, 65535), "undecodable"),
    "Columns": dict.fromkeys((0, 1, 47, 49, 65535), "undecodable"),
    "BitsAllocated": dict.fromkeys((0, 1, 8, 12, 32, 64), "undecodable"),
    "BitsStored": dict.fromkeys((0, 1, 8, 12, 17), "undecodable"),
    "HighBit": dict.fromkeys((0, 7, 11, 16), "undecodable"),
    "PixelRepresentation": dict.fromkeys((2, 7), "undecodable"),
    "SamplesPerPixel": dict.fromkeys((0, 2, 3), "undecodable"),
    "NumberOfFrames": {"0": "read", "2": "multiframe", "-1": "undecodable"},
    "PhotometricInterpretation": dict.fromkeys(
        ("", "RGB", "PALETTE COLOR", "YBR_FULL_422", "MONOCHROME9"), "undecodable"
    ),
    "RescaleSlope": {"": "no_hounsfield", "0": "no_hounsfield", "1e30": "read", "-1": "read"},
    "RescaleIntercept": {"": "no_hounsfield", "1e38": "read"},
}
# What cannot be seen in one picture: bytes that are left over, by as little as a row may be padding, and bits that the
# compressed picture states itself.
NOT_SEEN = {
    ("Rows", 1): {"RLE"},
    ("Rows", 39): {*PLAIN, "RLE"},
    ("Columns", 1): {"RLE"},
    ("Columns", 47): {*PLAIN, "RLE"},
    ("BitsAllocated", 32): {"JPEG-LS", "JPEG 2000"},
}


@pytest.mark.parametrize("keyword", CONTRADICTIONS)
def test_each_contradiction_ends_as_it_should(tmp_path, original, syntax, keyword):
    ended, expected = {}, {}
    for place, (value, reason) in enumerate(CONTRADICTIONS[keyword].items()):
        dataset = pydicom.dcmread(original)
        setattr(dataset, keyword, value)
        path = tmp_path / str(place)
        pydicom.dcmwrite(path, dataset, enforce_file_format=False)
        ended[value] = outcome(path)
        expected[value] = "read" if syntax in NOT_SEEN.get((keyword, value), ()) else reason

    assert ended == expected


@pytest.mark.parametrize(
    "stated", [*PLAIN.values(), *ENCODED.values(), uid.JPEGLosslessSV1, uid.MPEG2MPML, "", "1.2.3"]
)
def test_another_transfer_syntax_than_the_true_one_gives_no_other_picture(tmp_path, original, stated):
    true = str(pydicom.dcmread(original).file_meta.TransferSyntaxUID)
    content = original.read_bytes().replace(true.encode(), stated.encode().ljust(len(true), b"\0")[: len(true)], 1)
    path = tmp_path / "mislabelled"
    path.write_bytes(content)

    assert outcome(path) != "read" or np.array_equal(read_slice_hu(read_header(found(path))), picture())


def test_the_true_transfer_syntax_gives_the_picture(original):
    assert_array_equal(read_slice_hu(read_header(found(original))), picture())
