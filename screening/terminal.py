"""What a command shows at its end: tables of what was counted, measured and flagged."""

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from rich.console import Console
from rich.table import Table

from screening.store.database import sql

if TYPE_CHECKING:
    from screening.exchange.pairs_export import PairsExport
    from screening.sweep import SweepResult


def show_sweep(console: Console, result: "SweepResult") -> None:
    """Print what a sweep counted and where the result lies."""
    table = Table(title=f"Sweep {result.sweep_id}: {result.state}", title_justify="left")
    table.add_column("counted")
    table.add_column("number", justify="right")
    for name, count in (
        ("files found", result.file_found_count),
        ("  headers read (new or changed)", result.file_read_count),
        ("  not indexed, each with a reason", result.file_problem_count),
        ("studies found", result.study_found_count),
        ("  read tonight", result.study_read_count),
        ("    measured", result.measured_count),
        ("    excluded with a reason", result.excluded_count),
        ("    failed", result.failed_count),
    ):
        table.add_row(name, str(count))
    console.print(table)


def show_pairs(console: Console, exported: "PairsExport") -> None:
    """Print what an export of pairs counted; every paired study is in one of the lines."""
    table = Table(title="Pairs of CT and DXA", title_justify="left")
    table.add_column("counted")
    table.add_column("number", justify="right")
    table.add_row("patients written", str(exported.patient_count))
    table.add_row("  slices through bodies", str(exported.body_count))
    table.add_row("  slices through discs", str(exported.disc_count))
    table.add_row("studies left out", str(sum(exported.left_out.values())))
    for reason, count in sorted(exported.left_out.items()):
        table.add_row(f"  {reason}", str(count))
    console.print(table)


def show_database(console: Console, published: Path, agreement_title: str) -> None:
    """Print what the published database holds: outcomes by reason, flagged patients, agreement with DXA."""
    with duckdb.connect(published, read_only=True) as connection:
        for title, query in (
            ("How each study ended", "outcomes_by_reason"),
            ("Files that are not indexed", "file_problems_by_reason"),
            ("Flagged: likely osteoporosis and no DXA", "flagged_patients"),
            (agreement_title, "agreement"),
        ):
            console.print(_table(title, connection.execute(sql(f"queries/{query}"))))


def show_patient(console: Console, published: Path, patient_id: str, title: str) -> None:
    """Print the levels and the value of one patient."""
    with duckdb.connect(published, read_only=True) as connection:
        console.print(_table(title, connection.execute(sql("queries/patient_levels"), [patient_id])))
        console.print(_table("", connection.execute(sql("queries/patient_value"), [patient_id])))


def _table(title: str, result: duckdb.DuckDBPyConnection) -> Table:
    rows = result.fetchall()
    table = Table(title=title, title_justify="left", caption=None if rows else "none", caption_justify="left")
    for name, *_ in result.description or []:
        table.add_column(name)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    return table
