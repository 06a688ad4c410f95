"""What a command shows: progress bars for people, JSON lines for machines, tables at the end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from screening.store.database import sql

if TYPE_CHECKING:
    from screening.sweep import Progress, SweepResult

_HEARTBEAT_S: Final = 30.0

_log = structlog.get_logger()


@contextmanager
def shown_progress(console: Console) -> Iterator["Progress"]:
    """Show progress as bars on a terminal, else as log lines twice a minute."""
    if not console.is_terminal:
        yield _Heartbeat()
        return
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console) as bars:
        yield _BarPerStage(bars)


class _Heartbeat:
    """Log a stage when it starts, when it ends, and now and then between."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done in (0, total) or now - self._last >= _HEARTBEAT_S:
            self._last = now
            _log.info("progress", stage=what, done=done, total=total)


class _BarPerStage:
    """Keep one bar a stage."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, Any] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total)
        self._bars.update(self._tasks[what], completed=done, total=total)


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
