"""Damaged and contradictory files, by seed: every one ends as a problem, a reason, or a picture of the stated size."""

import random

import gdcm
import numpy as np
import pydicom
import pytest
from dicom_files import ct_slice, found, write
from pydicom import uid

from screening.archive.header import NotIndexed, read_header
from screening.errors import Excluded
from screening.imaging.hounsfield import FLOOR_HU, read_slice_hu

ROWS, COLUMNS = 40, 48
SEEDS = range(25)
OUTCOMES = {"not indexed", "excluded", "read"}

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
def original(request, tmp_path_factory):
    return slice_file(tmp_path_factory.mktemp("original"), request.param)


def outcome(path):
    """Take a file as far as it goes; any other exception than the two named ones is a bug."""
    try:
        hu = read_slice_hu(read_header(found(path)))
    except NotIndexed:
        return "not indexed"
    except Excluded:
        return "excluded"
    assert hu.dtype == np.int16
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


@pytest.mark.parametrize("damage", [cut, flipped_bits, hole, foreign_bytes])
def test_damage_ends_in_a_reason(tmp_path, original, damage):
    outcomes = set()
    for seed in SEEDS:
        path = tmp_path / f"{seed}"
        path.write_bytes(damage(original.read_bytes(), random.Random(seed)))
        outcomes.add(outcome(path))

    assert outcomes <= OUTCOMES


CONTRADICTIONS = {
    "Rows": (0, 1, 39, 41, 4096, 65535),
    "Columns": (0, 1, 47, 49, 65535),
    "BitsAllocated": (0, 1, 8, 12, 32, 64),
    "BitsStored": (0, 1, 8, 12, 17),
    "HighBit": (0, 7, 11, 16),
    "PixelRepresentation": (2, 7),
    "SamplesPerPixel": (0, 2, 3),
    "NumberOfFrames": ("0", "2", "-1"),
    "PhotometricInterpretation": ("", "RGB", "PALETTE COLOR", "YBR_FULL_422", "MONOCHROME9"),
    "RescaleSlope": ("", "0", "1e30", "-1"),
    "RescaleIntercept": ("", "1e38"),
}


@pytest.mark.parametrize("keyword", CONTRADICTIONS)
def test_a_contradiction_ends_in_a_reason(tmp_path, original, keyword):
    outcomes = set()
    for place, value in enumerate(CONTRADICTIONS[keyword]):
        dataset = pydicom.dcmread(original)
        setattr(dataset, keyword, value)
        path = tmp_path / str(place)
        pydicom.dcmwrite(path, dataset, enforce_file_format=False)
        outcomes.add(outcome(path))

    assert outcomes <= OUTCOMES


@pytest.mark.parametrize(
    "stated", [*PLAIN.values(), *ENCODED.values(), uid.JPEGLosslessSV1, uid.MPEG2MPML, "", "1.2.3"]
)
def test_another_transfer_syntax_than_the_true_one_ends_in_a_reason(tmp_path, original, stated):
    true = str(pydicom.dcmread(original).file_meta.TransferSyntaxUID)
    content = original.read_bytes().replace(true.encode(), stated.encode().ljust(len(true), b"\0")[: len(true)], 1)
    path = tmp_path / "mislabelled"
    path.write_bytes(content)

    assert outcome(path) in OUTCOMES
