"""Raw header elements -> the facts of an Instance; the one place where bytes of a header become values."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import date
from functools import lru_cache
from typing import Any, Final

from pydicom import charset
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from screening.archive.index import Instance

Encodings = tuple[str, ...]  # Python names of the character sets of a header


@dataclass(frozen=True, slots=True)
class RawHeader:
    """The elements of one header that become facts, as the bytes of the file."""

    transfer_syntax_uid: str
    media_storage_sop_class_uid: str
    encodings: Encodings
    values: tuple[bytes | None, ...]  # in the order of FIELD_TAGS; None: absent, b"": present and empty
    little_endian: bool = True


@dataclass(frozen=True, slots=True)
class _Element:
    """One header element, its value still as the bytes of the file."""

    value: bytes | None
    encodings: Encodings
    little_endian: bool

    def strings(self) -> list[str]:
        """Split the value at the backslash; padding stripped, decoded by SpecificCharacterSet (0008,0005)."""
        if not self.value:
            return []
        text = charset.decode_bytes(self.value, self.encodings, set())
        return [part.strip(" \0\t\r\n") for part in text.split("\\")]


def _text(element: _Element) -> str:
    return "\\".join(element.strings())


def _text_or_none(element: _Element) -> str | None:
    return None if element.value is None else _text(element)


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
    if element.value is None or len(element.value) < 2:
        return None
    return int.from_bytes(element.value[:2], "little" if element.little_endian else "big")


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
    number, unit = (text, "Y") if text.isdecimal() else (text[:-1], text[-1:])
    if not number.isdecimal() or unit not in _AGE_UNITS_PER_YEAR or int(number) == 0:
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


def tag_of(keyword: str) -> BaseTag:
    """Look up the tag of a DICOM keyword."""
    number = tag_for_keyword(keyword)
    if number is None:
        raise KeyError(keyword)
    return Tag(number)


FIELD_NAMES: Final = tuple(_CONVERSIONS)
FIELD_TAGS: Final = tuple(tag_of(keyword) for keyword, _ in _CONVERSIONS.values())
CHARACTER_SET_TAG: Final = tag_of("SpecificCharacterSet")
_CONVERTERS: Final = tuple(convert for _, convert in _CONVERSIONS.values())
# What every instance has beside the facts of its header, in the order of its fields.
_FILE_FIELDS: Final = ("path", "size_bytes", "mtime_ns", "transfer_syntax_uid")
assert (*_FILE_FIELDS, *FIELD_NAMES) == tuple(field.name for field in fields(Instance))


def converted(raw: RawHeader) -> tuple[Any, ...]:
    """Convert the raw values, in the order of FIELD_NAMES."""
    return tuple(
        convert_value(place, value, raw.encodings, raw.little_endian) for place, value in enumerate(raw.values)
    )


# A series repeats most values in every file; the cache holds those of some dozens of series.
@lru_cache(maxsize=8192)
def convert_value(place: int, value: bytes | None, encodings: Encodings, little_endian: bool) -> Any:
    """Convert one raw value; `place` is its position in FIELD_NAMES."""
    return _CONVERTERS[place](_Element(value, encodings, little_endian))


@lru_cache(maxsize=256)
def encodings_named(character_set: bytes) -> Encodings:
    """Name the Python encodings that SpecificCharacterSet (0008,0005) asks for, misspellings as pydicom mends them."""
    raw = RawDataElement(CHARACTER_SET_TAG, "CS", len(character_set), character_set, 0, False, True)
    return encodings_of(Dataset({CHARACTER_SET_TAG: raw}))


def encodings_of(header: Dataset) -> Encodings:
    """Name the Python encodings of a header; without SpecificCharacterSet it is ASCII."""
    named: str | Sequence[str] = header.get("SpecificCharacterSet") or "ISO_IR 6"
    return tuple(charset.convert_encodings(named))  # type: ignore[arg-type]
