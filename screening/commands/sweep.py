"""`screening sweep`: one night over the archives."""

import shlex
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from screening.commands.options import ConfigOption, DatabaseOption, DeviceOption, WorkersOption, settings_in_force
from screening.config import Settings
from screening.errors import UserError
from screening.labels import NOTICE
from screening.progress import shown_progress
from screening.stopping import next_time
from screening.store.database import DatabaseFolder
from screening.terminal import console, show_sweep

if TYPE_CHECKING:
    from screening.sweep import SweepResult

EXIT_FAILURES: Final = 4


def sweep(
    archives: Annotated[list[Path], typer.Argument(help="Folders to crawl.", metavar="ARCHIVE...")],
    database: DatabaseOption,
    config: ConfigOption = None,
    workers: WorkersOption = None,
    device: DeviceOption = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a running Dask scheduler.")] = None,
    until: Annotated[
        str | None, typer.Option(metavar="HH:MM", help="Local time after which no study is started.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Look at every file, not only at folders that changed.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Read failed studies again.")] = False,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Read every study again, though nothing changed.")
    ] = False,
) -> None:
    """Index what changed in the archives, read the studies that are new, publish the database."""
    settings = settings_in_force(config, workers=workers, device=device, scheduler=scheduler)
    result = sweep_shown(
        archives,
        DatabaseFolder(database),
        settings,
        until=next_time(until, datetime.now()) if until else None,
        full=full,
        retry_failed=retry_failed,
        recompute=recompute,
    )
    show_sweep(console, result)
    console.print(f"Published: {result.published}\nNext: screening dashboard --database {shlex.quote(str(database))}")
    console.print(f"{NOTICE} BMD_CNN is trained on {result.trained_on}.")
    _exit(result, settings.sweep.failed_share_limit)


def _exit(result: "SweepResult", failed_share_limit: float) -> None:
    """End with the status that the night deserves."""
    if result.books.discrepancies:
        found = "; ".join(result.books.discrepancies)
        typer.echo(f"screening: the books do not add up: {found}. The next sweep looks at all files anew.", err=True)
        raise typer.Exit(EXIT_FAILURES)
    if result.state == "stopped" and result.asked_to_stop:
        raise UserError("stopped before the end; what was read is published, the next sweep goes on there.")
    if result.failed_share > failed_share_limit:
        raise typer.Exit(EXIT_FAILURES)


def sweep_shown(
    archives: list[Path],
    place: DatabaseFolder,
    settings: Settings,
    *,
    until: datetime | None = None,
    full: bool = False,
    retry_failed: bool = False,
    recompute: bool = False,
) -> "SweepResult":
    """Run a sweep with its progress shown."""
    from screening.sweep import run_sweep  # brings torch and Dask, which the other commands need not wait for

    with shown_progress(console) as progress:
        return run_sweep(
            archives,
            place,
            settings,
            progress=progress,
            retry_failed=retry_failed,
            recompute=recompute,
            full=full,
            until=until,
        )
