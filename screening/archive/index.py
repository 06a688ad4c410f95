"""Headers -> Study(Series(Instance)): what the archive holds, without pixels.

Every field is named by its DICOM keyword in snake_case. A missing or unreadable value is None; text is stripped.
Facts that must be the same in all instances of a series stand on `Instance`, so that disagreement can be seen.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import date
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from screening.errors import UserError


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

    @property
    def instance_count(self) -> int:
        """Instances of all series."""
        return sum(len(series.instances) for series in self.series)


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


def studies_of(instances: Iterable[Instance]) -> list[Study]:
    """Group instances into studies, in the order of their UIDs."""
    grouped: dict[str, list[Series]] = {}
    for (study, _), series in sorted(series_of(instances).items()):
        grouped.setdefault(study, []).append(series)
    return [Study(study, tuple(series)) for study, series in grouped.items()]


PACK_VERSION: Final = b"\x02"  # the first byte of a packed series; version 1 had none and began with zlib's b"x"
_VERSION_1: Final = b"x"


def pack(instances: Iterable[Instance]) -> bytes:
    """Pack headers column by column into compressed JSON; what is the same in all of them is kept once.

    A path is kept as folder and name. Copies (see `distinct`) are kept so that they are known, and marked.
    """
    members = list(instances)
    columns: dict[str, list[Any]] = {name: list(map(attrgetter(name), members)) for name in _PACKED_FIELDS}
    folders = sorted({str(instance.path.parent) for instance in members})
    numbers = {folder: number for number, folder in enumerate(folders)}
    columns["folder"] = [numbers[str(instance.path.parent)] for instance in members]
    columns["name"] = [instance.path.name for instance in members]
    originals = {instance.path for instance in distinct(members)}
    columns["copy"] = [int(instance.path not in originals) for instance in members]
    compact = {name: [_to_json(value) for value in _once_if_equal(values)] for name, values in columns.items()}
    content = {"count": len(members), "folders": folders, "columns": compact}
    return PACK_VERSION + zlib.compress(json.dumps(content, separators=(",", ":")).encode())


def unpack(packed: bytes, *, copies: bool = False) -> tuple[Instance, ...]:
    """Undo `pack`; copies of other files of the series are left out unless they are asked for."""
    count, columns = _unpacked_columns(packed)
    rows = [row for row in range(count) if copies or not columns["copy"][row]]
    fields_of = {name: (columns[name], _FROM_JSON.get(name, _same)) for name in ("path", *_PACKED_FIELDS)}
    return tuple(Instance(**{name: read(values[row]) for name, (values, read) in fields_of.items()}) for row in rows)


def _unpacked_columns(packed: bytes) -> tuple[int, dict[str, list[Any]]]:
    """Return the number of files and every column at full length.

    Raises:
        UserError: a later version of this software packed it.
    """
    version = packed[:1]
    if version not in (PACK_VERSION, _VERSION_1):
        raise UserError("The index was written by a later version of this software: update this one.")
    content = json.loads(zlib.decompress(packed.removeprefix(PACK_VERSION)))
    count = content["count"]
    columns = {name: values * count if len(values) == 1 else values for name, values in content["columns"].items()}
    if version == _VERSION_1:
        return count, {**columns, "copy": [0] * count}
    names = zip(columns["folder"], columns["name"], strict=True)
    paths = [os.path.join(content["folders"][folder], name) for folder, name in names]  # noqa: PTH118
    return count, {**columns, "path": paths}


_PACKED_FIELDS: Final = tuple(field.name for field in fields(Instance) if field.name != "path")


def distinct(instances: Iterable[Instance]) -> tuple[Instance, ...]:
    """Leave out copies: files that say the same of themselves as an earlier one, in all but path and time.

    Files that share a SOPInstanceUID and differ otherwise all stay; judging the series finds the contradiction.
    """
    members = tuple(instances)
    if len({member.sop_instance_uid for member in members}) == len(members):
        return members
    seen: set[Instance] = set()
    kept = []
    for instance in members:
        facts = replace(instance, path=_NOWHERE, mtime_ns=0)
        if facts not in seen:
            kept.append(instance)
        seen.add(facts)
    return tuple(kept)


_NOWHERE: Final = Path()


def _once_if_equal(values: list[Any]) -> list[Any]:
    return values[:1] if values and values.count(values[0]) == len(values) else values


def _to_json(value: Any) -> Any:
    return str(value) if isinstance(value, date) else value


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
    """Yield path, size and modification time of the packed files, copies too, without building instances."""
    _, columns = _unpacked_columns(packed)
    for path, size_bytes, mtime_ns in zip(*(columns[name] for name in _FILE_FIELDS), strict=True):
        yield Path(path), size_bytes, mtime_ns


_FILE_FIELDS: Final = ("path", "size_bytes", "mtime_ns")


@dataclass(frozen=True, slots=True)
class IndexedSeries:
    """A series as the index keeps it."""

    study_instance_uid: str
    series_instance_uid: str
    modality: str
    instance_count: int
    copy_count: int  # further files that are copies of these
    newest_mtime_ns: int  # of all its files; 0 where none is left
    fingerprint: str
    folders: tuple[str, ...]
    packed: bytes


def indexed_series(study_instance_uid: str, series_instance_uid: str, instances: Iterable[Instance]) -> IndexedSeries:
    """Pack the files of a series in the order of their paths; none may be left."""
    members = sorted(instances, key=lambda instance: instance.path)
    originals = distinct(members)
    return IndexedSeries(
        study_instance_uid=study_instance_uid,
        series_instance_uid=series_instance_uid,
        modality=members[0].modality if members else "",
        instance_count=len(originals),
        copy_count=len(members) - len(originals),
        newest_mtime_ns=max((member.mtime_ns for member in members), default=0),
        fingerprint=fingerprint(originals),
        folders=tuple(sorted({str(member.path.parent) for member in members})),
        packed=pack(members),
    )


def unpack_study(packed: Iterable[bytes]) -> Study:
    """Build a study from its packed series."""
    series = tuple(
        Series(instances[0].series_instance_uid, instances) for instances in (unpack(content) for content in packed)
    )
    return Study(series[0].first.study_instance_uid, series)
