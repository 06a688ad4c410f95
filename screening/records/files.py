"""Files and folders -> batches of records, each file by its format."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from screening.errors import UserError
from screening.records import dicom, fhir, hl7v2
from screening.records.batch import Batch, Format
from screening.records.dxa_tables import read_dxa_table
from screening.records.fhir_patients import context_batch
from screening.records.fhir_resources import Context, read_entries
from screening.records.identities import Identities
from screening.records.omop import is_measurement, read_measurements
from screening.records.patient_tables import read_context_table
from screening.records.settings import CONTEXT_FIELDS, DXA_FIELDS, RecordSettings
from screening.records.tables import columns_of

_HEAD_BYTES: Final = 4096
_TEXT_SUFFIXES: Final = (".csv", ".txt", ".tsv")

Told = Callable[[int, int], None]  # done, total


@dataclass(frozen=True, slots=True)
class Source:
    """A file and how it is to be read."""

    path: Path
    source_format: Format


@dataclass(frozen=True, slots=True)
class Sources:
    """What an import reads, and how many files of the folders are of no known format."""

    files: tuple[Source, ...]
    unknown_count: int


def find_sources(paths: Sequence[Path], wanted: Format | None, settings: RecordSettings) -> Sources:
    """List the files of all paths in order; folders are walked, hidden files are none.

    Raises:
        UserError: a path does not exist, or a file named singly is of no known format.
    """
    found: list[Source] = []
    unknown = 0
    for path in paths:
        if not path.exists():
            raise UserError(f"Cannot read {path}: it does not exist.")
        for file in _walked(path) if path.is_dir() else [path]:
            source_format = wanted or _format_of(file, settings)
            if source_format is Format.CSV and path.is_dir() and not _names_a_field(file, settings):
                source_format = None  # a letter or a list of something else
            if source_format is not None:
                found.append(Source(file, source_format))
            elif path.is_dir():
                unknown += 1
            else:
                raise UserError(f"{path} is of no known format: name it with --format.")
    return Sources(tuple(found), unknown)


def _walked(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _names_a_field(file: Path, settings: RecordSettings) -> bool:
    """Tell whether the first line names any column that records are read from."""
    wide = [name for columns in settings.wide_columns.values() for name in columns.values()]
    fields = (*DXA_FIELDS, *CONTEXT_FIELDS, *settings.columns.values(), *settings.context_columns.values(), *wide)
    known = {name.strip().lower() for name in fields}
    return not known.isdisjoint(columns_of(file, Format.CSV, settings))


def _format_of(path: Path, settings: RecordSettings) -> Format | None:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}.") from error
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n\x0b")
    if head[128:132] == b"DICM":
        return Format.DICOM
    if start[:1] in (b"{", b"["):
        return Format.FHIR
    if start[:3] in (b"MSH", b"FHS", b"BHS"):
        return Format.HL7
    if head[:4] == b"PAR1" or path.suffix.lower() in _TEXT_SUFFIXES:
        table = Format.PARQUET if head[:4] == b"PAR1" else Format.CSV
        return Format.OMOP if is_measurement(columns_of(path, table, settings)) else table
    return None


def context_batches(sources: Sources, settings: RecordSettings, identities: Identities, told: Told) -> Iterator[Batch]:
    """Read facts about patients from all files.

    Raises:
        UserError: a file cannot be read, or is of a format that tells no such facts.
    """
    context = _fhir_context(sources)
    total = 1000 * len(sources.files)
    for number, (path, source_format) in enumerate((source.path, source.source_format) for source in sources.files):
        if source_format is Format.FHIR:
            yield context_batch(list(read_entries(path)), context, path.name, settings, identities)
        elif source_format in (Format.CSV, Format.PARQUET):
            for batch, done, of in read_context_table(path, source_format, settings):
                told(1000 * number + (1000 * done // of if of else 1000), total)
                yield batch
        else:
            raise UserError(f"{path} is {source_format}: facts about patients are read from CSV, Parquet and FHIR.")
    told(total, total)


def dxa_batches(sources: Sources, settings: RecordSettings, identities: Identities, told: Told) -> Iterator[Batch]:
    """Read all files; `told` hears how much is done, in thousandths of a file."""
    context = _fhir_context(sources)
    total = 1000 * len(sources.files)
    for number, source in enumerate(sources.files):
        for batch, done, of in _batches(source, settings, identities, context):
            told(1000 * number + (1000 * done // of if of else 1000), total)
            yield batch
    told(total, total)


def _fhir_context(sources: Sources) -> Context:
    """Patients and devices may stand in other files than the results that refer to them."""
    context = Context()
    for source in sources.files:
        if source.source_format is Format.FHIR:
            for entry in read_entries(source.path):
                context.add(entry)
    return context


def _batches(
    source: Source, settings: RecordSettings, identities: Identities, context: Context
) -> Iterator[tuple[Batch, int, int]]:
    path = source.path
    match source.source_format:
        case Format.CSV | Format.PARQUET:
            yield from read_dxa_table(path, source.source_format, settings)
        case Format.OMOP:
            yield from read_measurements(path, settings)
        case Format.DICOM:
            yield dicom.dxa_batch(path), 1, 1
        case Format.FHIR:
            entries = list(read_entries(path))
            for batch in fhir.dxa_batches(entries, context, path.name, settings, identities):
                yield batch, 1, 1
        case Format.HL7:
            messages = hl7v2.read_messages(path)
            for batch in hl7v2.dxa_batches(messages, path.name, settings, identities):
                yield batch, 1, 1
