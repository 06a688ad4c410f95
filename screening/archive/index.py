"""Headers -> Study(Series(Instance)): what the archive holds, without pixels.

Every field is named by its DICOM keyword in snake_case. A missing or unreadable value is None; text is stripped.
Facts that must be the same in all instances of a series stand on `Instance`, so that disagreement can be seen.
"""

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Instance:
    """One DICOM file: where it lies and what its header says."""

    path: Path
    size_bytes: int
    mtime_ns: int
    transfer_syntax_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    modality: str
    patient_id: str
    issuer_of_patient_id: str
    patient_sex: str  # "F", "M", "O" or ""
    patient_birth_date: date | None
    patient_age_years: float | None  # from PatientAge (0010,1010)
    study_date: date | None
    accession_number: str
    study_description: str
    series_description: str
    series_number: int | None
    protocol_name: str
    body_part_examined: str
    manufacturer: str
    manufacturer_model_name: str
    station_name: str
    institution_name: str
    patient_position: str
    image_type: tuple[str, ...]
    acquisition_number: int | None
    acquisition_time: str
    contrast_bolus_agent: str | None  # None: tag absent; "" : present and empty
    convolution_kernel: str
    kvp_kv: float | None
    x_ray_tube_current_ma: float | None
    gantry_detector_tilt_deg: float | None
    instance_number: int | None
    image_position_patient: tuple[float, float, float] | None  # mm
    image_orientation_patient: tuple[float, float, float, float, float, float] | None
    pixel_spacing_mm: tuple[float, float] | None  # (between rows, between columns)
    slice_thickness_mm: float | None
    rows: int | None
    columns: int | None
    number_of_frames: int | None
    samples_per_pixel: int | None
    bits_allocated: int | None
    rescale_slope: float | None
    rescale_intercept: float | None
    rescale_type: str


@dataclass(frozen=True, slots=True)
class Series:
    """Instances that share a SeriesInstanceUID, in the order of their paths; or one acquisition among them."""

    series_instance_uid: str
    instances: tuple[Instance, ...]
    acquisition: str = ""  # names the acquisition where one series holds several; "" is the whole series

    @property
    def first(self) -> Instance:
        """The instance whose facts stand for the series where they agree."""
        return self.instances[0]


@dataclass(frozen=True, slots=True)
class Study:
    """Series that share a StudyInstanceUID."""

    study_instance_uid: str
    series: tuple[Series, ...]

    @property
    def first(self) -> Instance:
        """The instance whose patient and study facts stand for the study."""
        return self.series[0].first


OLDEST_YEARS: Final = 120.0  # the oldest verified age is 122 years; a birth date beyond is a placeholder


def age_at_study_years(instance: Instance) -> float | None:
    """Age at the study from birth date and study date, else from PatientAge, else None.

    Whole years change on the birthday; the fraction is the share of the year since. An age that no one reaches is
    not believed.
    """
    born, on = instance.patient_birth_date, instance.study_date
    ages = [instance.patient_age_years]
    if born is not None and on is not None:
        years = on.year - born.year - ((on.month, on.day) < (born.month, born.day))
        ages.insert(0, years + (on - _birthday(born, born.year + years)).days / 366)
    return next((age for age in ages if age is not None and 0 <= age <= OLDEST_YEARS), None)


def _birthday(born: date, year: int) -> date:
    """The birthday in a year; people born on 29 February have it on 1 March in common years."""
    try:
        return born.replace(year=year)
    except ValueError:
        return date(year, 3, 1)


def fingerprint(instances: Iterable[Instance]) -> str:
    """Digest UID, size and modification time of every file: a changed file is noticed, a moved archive is not one."""
    facts = sorted(f"{one.sop_instance_uid}\0{one.size_bytes}\0{one.mtime_ns}" for one in instances)
    return hashlib.blake2b("\n".join(facts).encode(), digest_size=16).hexdigest()


def study_fingerprint(series_fingerprints: Iterable[str]) -> str:
    """Digest the fingerprints of a study's series."""
    return hashlib.blake2b("\n".join(sorted(series_fingerprints)).encode(), digest_size=16).hexdigest()


def series_of(instances: Iterable[Instance]) -> dict[tuple[str, str], Series]:
    """Group instances into series, keyed by (study, series) because series UIDs are reused in the wild."""
    grouped: dict[tuple[str, str], list[Instance]] = {}
    for instance in instances:
        key = (instance.study_instance_uid, instance.series_instance_uid)
        grouped.setdefault(key, []).append(instance)
    return {
        key: Series(key[1], tuple(sorted(members, key=lambda instance: instance.path)))
        for key, members in grouped.items()
    }


def pack(instances: Iterable[Instance]) -> bytes:
    """Pack headers column by column into compressed JSON; what is the same in all of them is kept once."""
    members = list(instances)
    columns = {
        field.name: [_to_json(getattr(instance, field.name)) for instance in members] for field in fields(Instance)
    }
    compact = {name: values[:1] if _all_equal(values) else values for name, values in columns.items()}
    return zlib.compress(json.dumps({"count": len(members), "columns": compact}).encode())


def unpack(packed: bytes) -> tuple[Instance, ...]:
    """Undo `pack`."""
    content = json.loads(zlib.decompress(packed))
    count, columns = content["count"], content["columns"]
    full = {name: values * count if len(values) == 1 else values for name, values in columns.items()}
    return tuple(
        Instance(**{name: _FROM_JSON.get(name, _same)(values[row]) for name, values in full.items()})
        for row in range(count)
    )


def _all_equal(values: list[Any]) -> bool:
    return all(value == values[0] for value in values)


def _to_json(value: Any) -> Any:
    if isinstance(value, Path | date):
        return str(value)
    return value


def _same(value: Any) -> Any:
    return value


def _optional(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)


_FROM_JSON: Final[dict[str, Callable[[Any], Any]]] = {
    "path": Path,
    "patient_birth_date": _optional(date.fromisoformat),
    "study_date": _optional(date.fromisoformat),
    "image_type": tuple,
    "image_position_patient": _optional(tuple),
    "image_orientation_patient": _optional(tuple),
    "pixel_spacing_mm": _optional(tuple),
}


def files_of(packed: bytes) -> Iterator[tuple[Path, int, int]]:
    """Yield path, size and modification time of the packed instances, without building them."""
    content = json.loads(zlib.decompress(packed))
    count, columns = content["count"], content["columns"]
    full = [columns[name] * count if len(columns[name]) == 1 else columns[name] for name in _FILE_FIELDS]
    for path, size_bytes, mtime_ns in zip(*full, strict=True):
        yield Path(path), size_bytes, mtime_ns


_FILE_FIELDS: Final = ("path", "size_bytes", "mtime_ns")


def unpack_study(packed: Iterable[bytes]) -> Study:
    """Build a study from its packed series."""
    series = tuple(
        Series(instances[0].series_instance_uid, instances) for instances in (unpack(content) for content in packed)
    )
    return Study(series[0].first.study_instance_uid, series)
