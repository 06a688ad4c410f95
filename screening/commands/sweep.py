"""`screening sweep`: one night over the archives."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from screening.commands.options import ConfigOption, DatabaseOption, DeviceOption, WorkersOption, settings_in_force
from screening.config import Settings
from screening.errors import UserError
from screening.labels import NOTICE, SIMULATED_NOTICE
from screening.progress import shown_progress
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
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Read failed studies again.")] = False,
) -> None:
    """Index what changed in the archives, read the studies that are new, publish the database."""
    settings = settings_in_force(config, workers=workers, device=device, scheduler=scheduler)
    result = sweep_shown(archives, DatabaseFolder(database), settings, retry_failed=retry_failed)
    show_sweep(console, result)
    console.print(f"Published: {result.published}\nNext: screening dashboard --database {shlex.quote(str(database))}")
    console.print(f"{NOTICE} {SIMULATED_NOTICE}." if settings.prediction.checkpoint is None else NOTICE)
    if result.state == "stopped":
        raise UserError("stopped before the end; what was read is published, the next sweep goes on there.")
    if result.failed_share > settings.sweep.failed_share_limit:
        raise typer.Exit(EXIT_FAILURES)


def sweep_shown(
    archives: list[Path], place: DatabaseFolder, settings: Settings, *, retry_failed: bool
) -> "SweepResult":
    """Run a sweep with its progress shown."""
    from screening.sweep import run_sweep  # brings torch and Dask, which the other commands need not wait for

    with shown_progress(console) as progress:
        return run_sweep(archives, place, settings, progress=progress, retry_failed=retry_failed)
