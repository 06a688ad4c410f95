"""NIfTI file -> integer labels with their names and their place in the patient, or the reason why not.

The format is that of nifti1.h (NIfTI Data Format Working Group): a header of 348 bytes, extensions, voxels with the
first index running fastest. NIfTI counts x to the right and y to anterior (RAS), DICOM x to the left and y to
posterior (LPS): both signs are turned here, so that nothing behind this module knows of RAS.
"""

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from screening.errors import Excluded, Exclusion

HEADER_BYTES: Final = 348
FIRST_VOXEL: Final = 352  # bytes of header and extension flag; extensions, or else voxels, begin here
LABEL_TABLE: Final = (
    b"<LabelTable>"  # in the Caret XML of TotalSegmentator, whose extension code is 0, not the 30 of nifti1.h
)
# datatype codes that can hold labels
VOXEL_TYPES: Final = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8"}
RAS_TO_LPS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
LARGEST_BYTES: Final = 4 * 1024**3  # of the voxels; a whole-body CT of 2,000 slices has half of it
LARGEST_LABEL: Final = 2**15 - 1
READING_ERRORS: Final = (EOFError, gzip.BadGzipFile, zlib.error, struct.error, ElementTree.ParseError, ValueError)


@dataclass(frozen=True, slots=True)
class LabelImage:
    """Labels (i, j, k) as stored, the names that the file itself gives them, and index -> patient mm (4, 4) in LPS."""

    labels: NDArray[np.int16]
    names: dict[int, str]
    affine: NDArray[np.float64]


def read_label_image(path: Path) -> LabelImage:
    """Read a NIfTI-1 file, gzipped or not.

    Raises:
        Excluded: LABEL_MAP_UNUSABLE where the file is damaged, holds no integers or does not say where it lies.
        OSError: the archive could not be read; a failure of the sweep, not a property of the study.
    """
    content = path.read_bytes()
    try:
        return _parsed(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
    except READING_ERRORS as error:
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, f"NIfTI file cannot be read ({type(error).__name__})") from error


def _parsed(content: bytes) -> LabelImage:
    order = "<" if content[:4] == struct.pack("<i", HEADER_BYTES) else ">"
    if content[:4] != struct.pack(f"{order}i", HEADER_BYTES) or content[344:347] != b"n+1":
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, "not a single-file NIfTI-1 image")
    shape = struct.unpack_from(f"{order}8h", content, 40)
    code = struct.unpack_from(f"{order}h", content, 70)[0]
    offset, slope, intercept = struct.unpack_from(f"{order}3f", content, 108)
    if shape[0] < 3 or min(shape[1:4]) < 1 or max(shape[4 : shape[0] + 1], default=1) > 1:
        raise Excluded(
            Exclusion.LABEL_MAP_UNUSABLE, f"NIfTI image of shape {shape[1 : shape[0] + 1]}, expected three dimensions"
        )
    if code not in VOXEL_TYPES:
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, f"NIfTI datatype {code} holds no labels")
    kind = np.dtype(order + VOXEL_TYPES[code])
    if int(np.prod(shape[1:4], dtype=np.int64)) * kind.itemsize > LARGEST_BYTES:
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, f"NIfTI image of shape {shape[1:4]} is larger than any CT")
    if not FIRST_VOXEL <= offset <= len(content):
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, f"NIfTI image with its voxels at byte {offset:.0f}")
    count = int(np.prod(shape[1:4], dtype=np.int64))
    stored = np.frombuffer(content, kind, count, int(offset)).reshape(shape[1:4], order="F")
    scale = (slope, intercept) if np.isfinite(slope) and slope != 0 else (1.0, 0.0)
    return LabelImage(_integers(stored, *scale), _names(content, order, int(offset)), RAS_TO_LPS @ _ras(content, order))


def _integers(stored: NDArray[np.generic], slope: float, intercept: float) -> NDArray[np.int16]:
    values = stored if (slope, intercept) == (1.0, 0.0) else stored.astype(np.float64) * slope + intercept
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > LARGEST_LABEL:
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, "NIfTI image holds values that are no labels")
    labels = values.astype(np.int16)
    if values.dtype.kind == "f" and (labels != values).any():
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, "NIfTI image holds fractions, not labels")
    return labels


def _ras(content: bytes, order: str) -> NDArray[np.float64]:
    """Return index -> RAS mm: the sform where there is one, else the qform."""
    qform_code, sform_code = struct.unpack_from(f"{order}2h", content, 252)
    matrix = np.eye(4)
    if sform_code > 0:
        matrix[:3] = np.reshape(struct.unpack_from(f"{order}12f", content, 280), (3, 4))
    elif qform_code > 0:
        matrix[:3] = _of_quaternion(content, order)
    else:
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, "NIfTI image does not say where in the patient it lies")
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-6:
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, "NIfTI image has an impossible geometry")
    return matrix


def _of_quaternion(content: bytes, order: str) -> NDArray[np.float64]:
    """Build the matrix (3, 4) of nifti1.h, method 2."""
    b, c, d, *shift = struct.unpack_from(f"{order}6f", content, 256)
    handedness, *steps = struct.unpack_from(f"{order}4f", content, 76)
    a = max(1.0 - b * b - c * c - d * d, 0.0) ** 0.5
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    scaled = rotation * np.array([*steps[:2], steps[2] * (-1.0 if handedness < 0 else 1.0)])
    return np.column_stack([scaled, shift])


def _names(content: bytes, order: str, end: int) -> dict[int, str]:
    """Return label -> name of the label table of an extension; empty where there is none."""
    names: dict[int, str] = {}
    if content[HEADER_BYTES : HEADER_BYTES + 1] in (b"", b"\0"):
        return names
    at = FIRST_VOXEL
    while at + 8 <= end:
        (size,) = struct.unpack_from(f"{order}i", content, at)
        if size < 16:
            raise ValueError("extension of impossible size")
        extension = content[at + 8 : at + size].strip(b"\0 \n\t")
        if LABEL_TABLE in extension:
            table = ElementTree.fromstring(extension)
            names |= {int(label.attrib["Key"]): (label.text or "").strip() for label in table.iter("Label")}
        at += size
    return names
