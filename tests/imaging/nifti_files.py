"""Small NIfTI-1 files for tests, written from the format's own description."""

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from screening.imaging.hounsfield import Volume

CODES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16}
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def nifti(
    labels: NDArray[np.generic], ras: NDArray[np.float64], names: dict[int, str] | None = None, *, sform: int = 1
) -> bytes:
    """Return the bytes of an image (i, j, k) whose index lies in the patient as `ras` (4, 4) says."""
    extension = _label_table(names) if names else b""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *labels.shape, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, CODES[labels.dtype.str[1:]], 8 * labels.dtype.itemsize)
    struct.pack_into("<f", header, 108, 352 + len(extension))
    struct.pack_into("<2h", header, 252, 0, sform)
    struct.pack_into("<12f", header, 280, *ras[:3].ravel())
    header[344:348] = b"n+1\0"
    header[348] = int(bool(names))
    return bytes(header) + extension + labels.tobytes(order="F")


def _label_table(names: dict[int, str]) -> bytes:
    rows = "".join(f'<Label Key="{number}"><![CDATA[{name}]]></Label>' for number, name in names.items())
    text = f"<CaretExtension><LabelTable>{rows}</LabelTable></CaretExtension>".encode()
    size = -(-(len(text) + 8) // 16) * 16
    return struct.pack("<2i", size, 0) + text.ljust(size - 8, b"\0")


def write_beside(volume: Volume, labels: NDArray[np.generic], path: Path, names: dict[int, str] | None = None) -> Path:
    """Write labels on the grid of a volume as a NIfTI file in RAS."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = nifti(labels.transpose(2, 1, 0), LPS_TO_RAS @ affine_of(volume)[:, [2, 1, 0, 3]], names)
    path.write_bytes(gzip.compress(content, 1, mtime=0) if path.suffix == ".gz" else content)
    return path


def affine_of(volume: Volume) -> NDArray[np.float64]:
    """Index of the volume -> patient mm (4, 4) in LPS."""
    affine = np.eye(4)
    affine[:3, :3] = (volume.axes * np.array(volume.spacing_mm)[:, None]).T
    affine[:3, 3] = volume.origin_mm
    return affine
