"""`screening import`: what the hospital already knows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Final

import duckdb
import pandas as pd
import typer
from rich.markup import escape
from rich.table import Table

from screening.commands.options import ConfigOption
from screening.config import CareGapSettings, Settings
from screening.errors import UserError
from screening.progress import Progress, shown_progress
from screening.records.batch import Format
from screening.records.corrections import Correction
from screening.records.dxa import check_dxa
from screening.records.files import Told, context_batches, dxa_batches, find_sources
from screening.records.identities import Identities
from screening.records.kept import kept_dxa
from screening.records.patients import check_context
from screening.records.refusals import EXPLANATIONS, Refusal
from screening.records.settings import RecordSettings
from screening.store.database import DatabaseFolder, full_disk_told, locked, open_writer, sql
from screening.store.publish import publish
from screening.store.records import DXA, ImportCounts, kept_rejects, not_refused_now, store_context, store_dxa
from screening.terminal import console

import_app = typer.Typer(help="Import what the hospital already knows.", no_args_is_help=True)

_SHOWN: Final = ("source_file", "row_number", "place", "record")

FilesArgument = Annotated[list[Path], typer.Argument(help="Files or folders.", metavar="FILE|FOLDER...")]
ExistingOption = Annotated[Path, typer.Option("--database", help="Folder of the database.")]
CreateOption = Annotated[bool, typer.Option("--create", help="Make the database where there is none.")]
FormatOption = Annotated[Format | None, typer.Option("--format", help="Format of all files; else by their content.")]


@import_app.command("dxa")
def import_dxa(
    files: FilesArgument,
    database: ExistingOption,
    format: FormatOption = None,
    corrects: Annotated[
        bool, typer.Option("--corrects", help="The results correct earlier ones of the same day, region and maker.")
    ] = False,
    issued: Annotated[
        datetime | None, typer.Option("--issued", help="When results that do not say so were issued.")
    ] = None,
    create: CreateOption = False,
    config: ConfigOption = None,
) -> None:
    """Import DXA results: CSV, Parquet, FHIR R4, HL7 v2 ORU, DICOM, OMOP; refused records are kept with their reason.

    Columns of CSV and Parquet: patient_id; dxa_date as YYYY-MM-DD; region, e.g. L1-L4, L2-L4, L1, total_hip,
    femoral_neck; bmd_dxa in g/cm2, t_score or z_score; manufacturer (may be missing). Other names, units and formats
    are told in the section records of the configuration. Of records of one patient, day, region and manufacturer the
    newest counts; where records of the same standing differ, their values are left out.
    """
    settings = Settings.load(config)
    correction = Correction(corrects=corrects, issued_at=issued)
    with shown_progress(console) as progress:
        counts = import_dxa_files(
            files,
            DatabaseFolder(database),
            settings.records,
            settings.care_gap if config else None,
            source_format=format,
            correction=correction,
            create=create,
            progress=progress,
        )
    console.print(dxa_line(counts))


@import_app.command("patients")
def import_patients(
    files: FilesArgument,
    database: ExistingOption,
    format: FormatOption = None,
    recorded: Annotated[
        datetime | None, typer.Option("--recorded", help="Day of records that do not say theirs; else today.")
    ] = None,
    create: CreateOption = False,
    config: ConfigOption = None,
) -> None:
    """Import what else is known of patients: diagnosis, treatment, death, opt_out (CSV, Parquet, FHIR R4).

    Columns: patient_id; fact; holds (true if left out); since_date and recorded_on as YYYY-MM-DD (may be missing). Of
    records of one patient and fact the newest counts, and of one day that it holds.
    """
    settings = Settings.load(config)
    with shown_progress(console) as progress:
        counts = import_context_files(
            files,
            DatabaseFolder(database),
            settings.records,
            settings.care_gap if config else None,
            source_format=format,
            recorded_on=recorded.date() if recorded else date.today(),
            create=create,
            progress=progress,
        )
    console.print(context_line(counts))


def import_context_files(
    paths: Sequence[Path],
    place: DatabaseFolder,
    settings: RecordSettings,
    care_gap: CareGapSettings | None,
    *,
    source_format: Format | None = None,
    recorded_on: date,
    create: bool = False,
    progress: Progress | None = None,
) -> ImportCounts:
    """Import facts about patients and publish: all of them, or nothing; see `import_dxa_files`."""
    sources = find_sources(paths, source_format, settings)
    identities = Identities.load(settings)
    with open_for_import(place, create=create) as connection:
        batches = context_batches(sources, settings, identities, reading(progress))
        checked = (check_context(batch, settings, identities, recorded_on, date.today()) for batch in batches)
        counts = store_context(connection, checked, utc_now())
        publish(connection, place, care_gap)
    return counts.with_passed_over(sources.unknown_count)


def context_line(counts: ImportCounts) -> str:
    """Say what became of the facts."""
    return (
        f"Facts about patients: {counts.accepted} accepted ({counts.added} added, {counts.updated} updated, "
        f"{counts.unchanged} unchanged), {counts.rejected} refused (screening import rejects lists them; until "
        f"they are mended, whoever they speak of may be flagged); {counts.passed_over} other records passed over."
    )


def import_dxa_file(file: Path, place: DatabaseFolder, care_gap: CareGapSettings | None) -> ImportCounts:
    """Import one file with the default settings and publish."""
    return import_dxa_files([file], place, RecordSettings(), care_gap)


def import_dxa_files(
    paths: Sequence[Path],
    place: DatabaseFolder,
    settings: RecordSettings,
    care_gap: CareGapSettings | None,
    *,
    source_format: Format | None = None,
    correction: Correction = Correction(),  # noqa: B008
    create: bool = False,
    progress: Progress | None = None,
) -> ImportCounts:
    """Import files and publish: all of them, or nothing.

    Args:
        paths: files, or folders that are walked.
        place: the database.
        settings: how the files are to be read.
        care_gap: limits of the publication; None leaves those in force.
        source_format: format of all files; None: each by its content.
        correction: what is added to records that do not say it themselves.
        create: make the database where there is none.
        progress: told how far the reading is.

    Raises:
        UserError: a file cannot be read, or there is no database.
    """
    sources = find_sources(paths, source_format, settings)
    identities = Identities.load(settings)
    today = date.today()
    with open_for_import(place, create=create) as connection:
        batches = dxa_batches(sources, settings, identities, reading(progress))
        checked = (check_dxa(correction.applied(batch), settings, identities, today) for batch in batches)
        counts = store_dxa(connection, checked, utc_now())
        stale = kept_rejects(connection, DXA, files=sorted({source.path.name for source in sources.files}))
        retry_dxa(connection, not_refused_now(connection, stale), settings, identities)
        publish(connection, place, care_gap)
    return counts.with_passed_over(sources.unknown_count)


def reading(progress: Progress | None) -> Told:
    """Return what hears how much has been read, and tells `progress`."""

    def told(done: int, total: int) -> None:
        if progress is not None:
            progress("reading", done, total)

    return told


def retry_dxa(
    connection: duckdb.DuckDBPyConnection, kept: pd.DataFrame, settings: RecordSettings, identities: Identities
) -> ImportCounts | None:
    """Check refused records again with today's settings; those that pass are stored and leave the refused ones."""
    if kept.empty:
        return None
    batches = kept_dxa(kept, settings, identities)
    checked = (check_dxa(batch, settings, identities, date.today()) for batch in batches)
    return store_dxa(connection, checked, utc_now(), read_again=kept)


def utc_now() -> datetime:
    """Return the time in UTC, without zone, as it is stored."""
    return datetime.now(UTC).replace(tzinfo=None)


@contextmanager
def open_for_import(place: DatabaseFolder, *, create: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the database of a folder for writing.

    Raises:
        UserError: there is none and it is not to be made, or another process writes it.
    """
    if not create and not place.working.exists() and not place.published.exists():
        raise UserError(
            f"No database in {place.folder}: sweep an archive into it first, or make an empty one with --create."
        )
    place.create()
    with full_disk_told(place), locked(place), open_writer(place) as connection:
        yield connection


@import_app.command("rejects")
def rejects(
    database: ExistingOption,
    reason: Annotated[Refusal | None, typer.Option(help="Only records refused for this reason, and show them.")] = None,
    export: Annotated[Path | None, typer.Option(help="CSV for the records themselves.", metavar="FILE.csv")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Check them again with today's settings first.")] = False,
    config: ConfigOption = None,
) -> None:
    """List the refused records by reason; with --reason or --export the records themselves."""
    settings = Settings.load(config)
    with open_for_import(DatabaseFolder(database), create=False) as connection:
        if retry:
            show_retry(connection, DatabaseFolder(database), settings, reason)
        asked = {"reason": reason}
        show_rejects(connection.execute(sql("queries/rejects_by_reason"), asked).fetchall())
        if reason or export:
            records = connection.execute(sql("queries/rejected_records"), asked).df()
            show_records(records) if export is None else write_records(records, export)


def show_retry(
    connection: duckdb.DuckDBPyConnection, place: DatabaseFolder, settings: Settings, reason: Refusal | None
) -> None:
    """Check refused records again, publish, and say what became of them."""
    identities = Identities.load(settings.records)
    counts = retry_dxa(connection, kept_rejects(connection, DXA, reason=reason), settings.records, identities)
    if counts is not None:
        publish(connection, place, None)
        console.print(f"Checked again. {dxa_line(counts)}")
    console.print("Refused facts about patients are not checked again: mend their file and import it.")


def show_rejects(rows: list[tuple[str, str, str, int, int]]) -> None:
    """Print how many records are refused for each reason, and how many of these have no accepted one in their place."""
    table = Table(title="Refused records", title_justify="left", caption=None if rows else "none")
    for name in ("kind", "reason", "format", "records", "open", "meaning"):
        table.add_column(name, justify="right" if name in ("records", "open") else "left")
    for kind, reason, source_format, records, still_open in rows:
        meaning = EXPLANATIONS[Refusal(reason)] if reason in set(Refusal) else "refused by an earlier version"
        table.add_row(kind, reason, source_format, str(records), str(still_open), meaning)
    console.print(table)


def show_records(records: pd.DataFrame) -> None:
    """Print refused records: on the screen only, never to a log."""
    for file, number, place, record in zip(*(records[name].to_list() for name in _SHOWN), strict=True):
        counted = "" if pd.isna(number) else f", {number:.0f}"
        console.print(f"[bold]{escape(f'{file}{counted} {place}'.rstrip())}[/bold]: {escape(record)}")


def write_records(records: pd.DataFrame, file: Path) -> None:
    """Write refused records to a CSV that others cannot read.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        file.touch(mode=0o600)
        records.to_csv(file, index=False)
    except OSError as error:
        raise UserError(f"Cannot write {file}: {error.strerror}.") from error
    console.print(f"{len(records)} refused records written to {file}: they hold patient data.")


def dxa_line(counts: ImportCounts) -> str:
    """Say what became of the records."""
    return (
        f"DXA records: {counts.accepted} accepted ({counts.added} added, {counts.updated} updated, "
        f"{counts.unchanged} unchanged), {counts.rejected} refused (screening import rejects lists them); "
        f"{counts.conflicts} results in conflict; {counts.passed_over} other records passed over."
    )
