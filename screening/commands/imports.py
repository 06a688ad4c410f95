"""`screening import`: what the hospital already knows."""

from pathlib import Path
from typing import Annotated

import typer

from screening.commands.options import ConfigOption, DatabaseOption
from screening.config import CareGapSettings, Settings
from screening.records.dxa import read_dxa_csv
from screening.store.database import DatabaseFolder, full_disk_told, locked, open_writer, transaction, write_rows
from screening.store.publish import publish
from screening.terminal import console

import_app = typer.Typer(help="Import what the hospital already knows.", no_args_is_help=True)


@import_app.command("dxa")
def import_dxa(
    file: Annotated[
        Path, typer.Argument(help="CSV with patient_id, dxa_date, region, bmd_dxa, t_score, manufacturer.")
    ],
    database: DatabaseOption,
    config: ConfigOption = None,
) -> None:
    """Import DXA results from a CSV file; refused rows are kept with their reason.

    Columns: patient_id; dxa_date as YYYY-MM-DD; region, one of L1-L4, L2-L4, L1, L2, L3, L4, total_hip, femoral_neck;
    bmd_dxa in g/cm2 or t_score, or both; manufacturer (may be missing). A row with the same patient, date, region and
    manufacturer replaces the earlier one.
    """
    care_gap = Settings.load(config).care_gap if config else None
    added, refused = import_dxa_file(file, DatabaseFolder(database), care_gap)
    console.print(f"DXA results: {added} accepted, {refused} refused (table rejected_record).")


def import_dxa_file(file: Path, place: DatabaseFolder, care_gap: CareGapSettings | None) -> tuple[int, int]:
    """Import a file and publish; count the rows accepted and refused."""
    imported = read_dxa_csv(file)
    place.create()
    with full_disk_told(place), locked(place), open_writer(place) as connection:
        with transaction(connection):
            write_rows(connection, "dxa", imported.accepted)
            write_rows(connection, "rejected_record", imported.rejected)
        publish(connection, place, care_gap)
    return len(imported.accepted), len(imported.rejected)
