"""Seed -> a large archive with true headers and no pixels, in little time and space, to try a sweep at scale.

Some simulated patients are scanned by the scanners of their institution, one slice each; every file of the archive is
one of these with UIDs, patient, number and position of its own. The pixels are a hole in the file: it reads as zeros
and takes no space (on file systems that know sparse files).
"""

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from screening.simulation.anatomy import draw_anatomy
from screening.simulation.cohort import Stream, draw_patient
from screening.simulation.scanner import draw_protocol
from screening.simulation.series_writer import (
    SeriesHeader,
    StudyHeader,
    deterministic_uid,
    draw_entries,
    write_series,
)

SERIES_FILES: Final = 250  # a thin series of the abdomen
PATTERNS: Final = 12  # patients whose headers are repeated; enough for several vendors
MATRIX: Final = 512
_PIXEL_BYTES: Final = 2 * MATRIX * MATRIX
_RANDOM_DIGITS: Final = 20  # at the end of a UID
_PATTERN_Z: Final = "1234.5"  # written by every vendor with so many characters
_AXIAL: Final = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One header, up to its pixels, and the words in it that differ from file to file."""

    header: bytes
    file_bytes: int
    patient_id: bytes
    study_uid: bytes
    series_uid: bytes
    instance_uid: bytes
    spacing_mm: float
    year: int


def write_headers_only(
    folder: Path, files: int, seed: int, progress: Callable[[int], None] = lambda done: None
) -> None:
    """Write `files` files in series of 250, one series a study and patient, under year/patient/SE0002.

    The headers are those that `write_series` writes for the vendors of the simulated institutions; every
    SOPInstanceUID is unique, and file k depends on seed and k alone. `progress` is called with the files written.
    """
    patterns = _patterns(seed)
    for first in range(0, files, SERIES_FILES):
        _write_series(folder, patterns, seed, first, min(SERIES_FILES, files - first))
        progress(min(first + SERIES_FILES, files))


def _patterns(seed: int) -> tuple[_Pattern, ...]:
    with TemporaryDirectory() as folder:
        return tuple(_pattern(Path(folder) / str(number), seed, number) for number in range(1, PATTERNS + 1))


def _pattern(folder: Path, seed: int, number: int) -> _Pattern:
    """Write one slice as a scanner would, and take its header."""
    patient = draw_patient(seed, 1 + number % 2, number)
    protocol = draw_protocol(patient, draw_anatomy(patient), MATRIX)
    study_uid = deterministic_uid(seed, "headers only", number)
    study = StudyHeader(
        patient=patient,
        study_instance_uid=study_uid,
        frame_of_reference_uid=deterministic_uid(study_uid, "frame"),
        accession_number=f"SA{patient.institution}{number:07d}",
        performed_at=protocol.examined_at,
        entries=draw_entries(patient.rng(Stream.HEADER)),
    )
    series = SeriesHeader(
        number=2,
        description=f"AX ABDOMEN NATIVE {protocol.thickness_mm:g}",
        kernel=protocol.kernel.name,
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        contrast_agent=None,
        thickness_mm=protocol.thickness_mm,
        spacing_mm=(protocol.pixel_mm, protocol.pixel_mm),
        orientation=_AXIAL,
        positions_mm=np.array([[-180.5, -170.5, float(_PATTERN_Z)]]),
    )
    uid = write_series(folder, study, series, protocol, np.zeros((1, MATRIX, MATRIX), np.int16), None)
    (path,) = folder.iterdir()
    content = path.read_bytes()
    return _Pattern(
        header=_with_wide_number(content[:-_PIXEL_BYTES]),
        file_bytes=len(_with_wide_number(content)),
        patient_id=patient.patient_id.encode(),
        study_uid=study_uid.encode(),
        series_uid=uid.encode(),
        instance_uid=deterministic_uid(uid, 1).encode(),
        spacing_mm=protocol.spacing_mm,
        year=protocol.examined_at.year,
    )


# InstanceNumber (0020,0013), explicit and implicit, as the writer writes a 1, and with room for four digits.
_NUMBERS: Final = (
    (b"\x20\x00\x13\x00IS\x02\x001 ", b"\x20\x00\x13\x00IS\x04\x000001"),
    (b"\x20\x00\x13\x00\x02\x00\x00\x001 ", b"\x20\x00\x13\x00\x04\x00\x00\x000001"),
)


def _with_wide_number(content: bytes) -> bytes:
    for narrow, wide in _NUMBERS:
        content = content.replace(narrow, wide, 1)
    return content


def _write_series(folder: Path, patterns: tuple[_Pattern, ...], seed: int, first: int, count: int) -> None:
    """Write files `first` to `first + count - 1`."""
    number = first // SERIES_FILES
    pattern = patterns[number % len(patterns)]
    patient_id = f"{number:0{len(pattern.patient_id)}d}".encode()
    series_folder = folder / str(pattern.year) / patient_id.decode() / "SE0002"
    series_folder.mkdir(parents=True, exist_ok=True)
    header = (
        pattern.header.replace(pattern.patient_id, patient_id)
        .replace(pattern.study_uid, _renumbered(pattern.study_uid, seed, "study", number))
        .replace(pattern.series_uid, _renumbered(pattern.series_uid, seed, "series", number))
    )
    for index in range(count):
        content = header.replace(pattern.instance_uid, _renumbered(pattern.instance_uid, seed, "file", first + index))
        for _, wide in _NUMBERS:
            content = content.replace(wide, wide[:-4] + b"%04d" % (index + 1), 1)
        content = content.replace(_PATTERN_Z.encode(), b"%06.1f" % (500.0 - pattern.spacing_mm * index))
        with (series_folder / f"IM{index + 1:05d}").open("wb") as file:
            file.write(content)
            file.truncate(pattern.file_bytes)


def _renumbered(uid: bytes, seed: int, kind: str, number: int) -> bytes:
    """Replace the last digits of a UID; its length and the number after its last dot stay well formed."""
    digest = hashlib.blake2b(struct.pack("<qq", seed, number), digest_size=8, person=kind.encode()).digest()
    digits = int.from_bytes(digest) % 10**_RANDOM_DIGITS
    return uid[:-_RANDOM_DIGITS] + b"%0*d" % (_RANDOM_DIGITS, digits)
