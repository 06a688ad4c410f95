"""File -> Instance, or the reason why the file is not part of the archive's index; pixels are never read."""

import math
import os
import stat
import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom import charset
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.errors import BytesLengthException
from pydicom.tag import BaseTag, Tag
from pydicom.uid import MediaStorageDirectoryStorage

from screening.archive.index import Instance


class FileProblem(StrEnum):
    """Why a file is not indexed; each value is stored and counted."""

    NOT_REACHABLE = "not_reachable"  # a folder that cannot be listed, a dangling link
    NOT_A_FILE = "not_a_file"  # a socket, a device
    EMPTY = "empty"
    NOT_DICOM = "not_dicom"
    DICOMDIR = "dicomdir"
    BROKEN_HEADER = "broken_header"
    MISSING_UID = "missing_uid"
    NO_PERMISSION = "no_permission"
    VANISHED = "vanished"
    IO_ERROR = "io_error"
    READER_FAILED = "reader_failed"  # a bug of ours, or a file that ends the process reading it


class NotIndexed(Exception):
    """The file cannot be part of a series; `detail` holds no patient data."""

    def __init__(self, problem: FileProblem, detail: str = "") -> None:
        super().__init__(problem, detail)
        self.problem = problem
        self.detail = detail


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file as the walk saw it: size and modification time tell whether it changed."""

    path: Path
    size_bytes: int
    mtime_ns: int
    unreachable: bool = False  # a file or folder that is there but could not be looked at; size and time are 0


# A data set without preamble and file meta information opens with an element of one of these groups (PS3.5 7.1).
_OPENING_GROUPS: Final = (b"\x02\x00", b"\x08\x00", b"\x00\x08")
_PREAMBLE_BYTES: Final = 132


def read_header(file: FoundFile) -> Instance:
    """Read the header facts of one file.

    Raises:
        NotIndexed: the file is no DICOM instance that can be placed in a study and series.
    """
    if file.unreachable:
        raise NotIndexed(FileProblem.NOT_REACHABLE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom quotes the odd value, which may be a patient's
            return _instance(file, _parse(file.path))
    except FileNotFoundError as error:
        raise NotIndexed(FileProblem.VANISHED) from error
    except PermissionError as error:
        raise NotIndexed(FileProblem.NO_PERMISSION) from error
    except OSError as error:
        problem = FileProblem.IO_ERROR if error.errno else FileProblem.BROKEN_HEADER
        raise NotIndexed(problem, type(error).__name__) from error
    except _PARSER_ERRORS as error:
        raise NotIndexed(FileProblem.BROKEN_HEADER, type(error).__name__) from error


# What pydicom raises on headers that break off or contradict themselves; found by reading damaged files.
_PARSER_ERRORS: Final = (
    BytesLengthException,
    EOFError,
    ValueError,
    KeyError,
    AttributeError,
    TypeError,
    NotImplementedError,
    struct.error,
    zlib.error,
)


def _parse(path: Path) -> pydicom.FileDataset:
    if not stat.S_ISREG(path.stat().st_mode):
        raise NotIndexed(FileProblem.NOT_A_FILE)  # before opening: a pipe would wait for ever
    with path.open("rb") as opened:
        _require_dicom(opened.read(_PREAMBLE_BYTES))
        opened.seek(0)
        return pydicom.dcmread(opened, stop_before_pixels=True, force=True, specific_tags=_TAGS)


def _instance(file: FoundFile, header: pydicom.FileDataset) -> Instance:
    if _sop_class(header) == MediaStorageDirectoryStorage:
        raise NotIndexed(FileProblem.DICOMDIR)
    values = {name: convert(_Element(header, tag)) for name, (tag, convert) in _FIELDS.items()}
    for name in ("sop_instance_uid", "series_instance_uid", "study_instance_uid"):
        if not values[name]:
            raise NotIndexed(FileProblem.MISSING_UID, name)
    return Instance(
        path=file.path,
        size_bytes=file.size_bytes,
        mtime_ns=file.mtime_ns,
        transfer_syntax_uid=str(header.file_meta.get("TransferSyntaxUID", "")),
        **values,
    )


def _require_dicom(head: bytes) -> None:
    if not head:
        raise NotIndexed(FileProblem.EMPTY)
    if head[128:132] != b"DICM" and head[:2] not in _OPENING_GROUPS:
        raise NotIndexed(FileProblem.NOT_DICOM)


def _sop_class(header: pydicom.FileDataset) -> str:
    in_meta = header.file_meta.get("MediaStorageSOPClassUID", "")
    return str(in_meta) or _text(_Element(header, _tag("SOPClassUID")))


@dataclass(frozen=True, slots=True)
class _Element:
    """One header element, its value still as the bytes of the file."""

    header: pydicom.FileDataset
    tag: BaseTag

    @property
    def raw(self) -> RawDataElement | None:
        if self.tag not in self.header:
            return None
        element = self.header.get_item(self.tag)
        return element if isinstance(element, RawDataElement) else None

    def strings(self) -> list[str]:
        """Split the value at the backslash; padding stripped, decoded by SpecificCharacterSet (0008,0005)."""
        raw = self.raw
        if raw is None or not raw.value:
            return []
        named = self.header.get("SpecificCharacterSet") or "ISO_IR 6"
        text = charset.decode_bytes(raw.value, charset.convert_encodings(named), set())
        return [part.strip(" \0\t\r\n") for part in text.split("\\")]


def _text(element: _Element) -> str:
    return "\\".join(element.strings())


def _text_or_none(element: _Element) -> str | None:
    return None if element.raw is None else _text(element)


def _texts(element: _Element) -> tuple[str, ...]:
    return tuple(element.strings())


def _numbers(element: _Element) -> tuple[float, ...] | None:
    try:
        numbers = tuple(float(part) for part in element.strings())
    except ValueError:
        return None
    return numbers if numbers and all(math.isfinite(number) for number in numbers) else None


def _number(element: _Element) -> float | None:
    numbers = _numbers(element)
    return None if numbers is None else numbers[0]


def _vector(length: int) -> Callable[[_Element], tuple[float, ...] | None]:
    def convert(element: _Element) -> tuple[float, ...] | None:
        numbers = _numbers(element)
        return numbers if numbers is not None and len(numbers) == length else None

    return convert


def _integer(element: _Element) -> int | None:
    number = _number(element)
    return int(number) if number is not None and number == int(number) else None


def _unsigned_short(element: _Element) -> int | None:
    raw = element.raw
    if raw is None or not isinstance(raw.value, bytes) or len(raw.value) < 2:
        return None
    return int.from_bytes(raw.value[:2], "little" if raw.is_little_endian else "big")


def _date(element: _Element) -> date | None:
    digits = _text(element).replace(".", "").replace("-", "")  # ACR-NEMA wrote 1997.04.24
    try:
        return date.fromisoformat(digits[:8]) if len(digits) >= 8 else None
    except ValueError:
        return None


# AS (PS3.5 6.2): three digits and a unit.
_AGE_UNITS_PER_YEAR: Final = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0}


def _age_years(element: _Element) -> float | None:
    text = _text(element).upper()
    number, unit = (text, "Y") if text.isdigit() else (text[:-1], text[-1:])
    if not number.isdigit() or unit not in _AGE_UNITS_PER_YEAR or int(number) == 0:
        return None
    return int(number) / _AGE_UNITS_PER_YEAR[unit]


def _sex(element: _Element) -> str:
    sex = _text(element).upper()[:1]
    return sex if sex in ("F", "M", "O") else ""


_CONVERSIONS: Final[dict[str, tuple[str, Callable[[_Element], Any]]]] = {
    "sop_class_uid": ("SOPClassUID", _text),
    "sop_instance_uid": ("SOPInstanceUID", _text),
    "series_instance_uid": ("SeriesInstanceUID", _text),
    "study_instance_uid": ("StudyInstanceUID", _text),
    "modality": ("Modality", _text),
    "patient_id": ("PatientID", _text),
    "issuer_of_patient_id": ("IssuerOfPatientID", _text),
    "patient_sex": ("PatientSex", _sex),
    "patient_birth_date": ("PatientBirthDate", _date),
    "patient_age_years": ("PatientAge", _age_years),
    "study_date": ("StudyDate", _date),
    "accession_number": ("AccessionNumber", _text),
    "study_description": ("StudyDescription", _text),
    "series_description": ("SeriesDescription", _text),
    "series_number": ("SeriesNumber", _integer),
    "protocol_name": ("ProtocolName", _text),
    "body_part_examined": ("BodyPartExamined", _text),
    "manufacturer": ("Manufacturer", _text),
    "manufacturer_model_name": ("ManufacturerModelName", _text),
    "station_name": ("StationName", _text),
    "institution_name": ("InstitutionName", _text),
    "patient_position": ("PatientPosition", _text),
    "image_type": ("ImageType", _texts),
    "acquisition_number": ("AcquisitionNumber", _integer),
    "acquisition_time": ("AcquisitionTime", _text),
    "contrast_bolus_agent": ("ContrastBolusAgent", _text_or_none),
    "convolution_kernel": ("ConvolutionKernel", _text),
    "kvp_kv": ("KVP", _number),
    "x_ray_tube_current_ma": ("XRayTubeCurrent", _number),
    "gantry_detector_tilt_deg": ("GantryDetectorTilt", _number),
    "instance_number": ("InstanceNumber", _integer),
    "image_position_patient": ("ImagePositionPatient", _vector(3)),
    "image_orientation_patient": ("ImageOrientationPatient", _vector(6)),
    "pixel_spacing_mm": ("PixelSpacing", _vector(2)),
    "slice_thickness_mm": ("SliceThickness", _number),
    "rows": ("Rows", _unsigned_short),
    "columns": ("Columns", _unsigned_short),
    "number_of_frames": ("NumberOfFrames", _integer),
    "samples_per_pixel": ("SamplesPerPixel", _unsigned_short),
    "bits_allocated": ("BitsAllocated", _unsigned_short),
    "rescale_slope": ("RescaleSlope", _number),
    "rescale_intercept": ("RescaleIntercept", _number),
    "rescale_type": ("RescaleType", _text),
}


def _tag(keyword: str) -> BaseTag:
    number = tag_for_keyword(keyword)
    if number is None:
        raise KeyError(keyword)
    return Tag(number)


_FIELDS: Final = {name: (_tag(keyword), convert) for name, (keyword, convert) in _CONVERSIONS.items()}
_TAGS: Final[list[Any]] = [_tag("SpecificCharacterSet"), *(tag for tag, _ in _FIELDS.values())]
assert set(_CONVERSIONS) | {"path", "size_bytes", "mtime_ns", "transfer_syntax_uid"} == {
    field.name for field in fields(Instance)
}


def displayable(path: Path) -> str:
    """Write a path as valid text; bytes that are no UTF-8 appear as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
