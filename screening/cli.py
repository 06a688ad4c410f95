"""`screening`: thin commands over library calls, one error boundary, exit statuses that mean something.

0 done; 1 expected error, in one line; 2 usage; 3 a bug, with traceback; 4 finished, with more failures than allowed;
130 broken off by a second Ctrl-C.
"""

import os
import shlex
import sys
import traceback
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from screening.config import CareGapSettings, Settings
from screening.errors import UserError
from screening.exchange.pairs_export import FEW_PATIENTS, WITHIN_DAYS, export_pairs
from screening.labels import NOTICE, SIMULATED_NOTICE
from screening.log import configure_logging
from screening.progress import shown_progress
from screening.records.dxa import read_dxa_csv
from screening.simulation.archive_writer import write_archive
from screening.store.database import DatabaseFolder, locked, open_writer, transaction, write_rows
from screening.store.publish import publish
from screening.terminal import show_database, show_explanation, show_pairs, show_patient, show_sweep

if TYPE_CHECKING:
    from screening.explaining import Explanation
    from screening.sweep import SweepResult

EXIT_USER_ERROR: Final = 1
EXIT_BUG: Final = 3
EXIT_FAILURES: Final = 4

DEMO_PATIENTS: Final = 18
DEMO_SEED: Final = 4  # among its patients some are flagged
DEMO_REAL_PATIENT: Final = "TOTALSEGMENTATOR-EXAMPLE"

app = typer.Typer(
    help=f"Read bone density from archived abdominal CT. {NOTICE}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
import_app = typer.Typer(help="Import what the hospital already knows.", no_args_is_help=True)
export_app = typer.Typer(help="Hand out what was measured, for other programs.", no_args_is_help=True)
app.add_typer(import_app, name="import")
app.add_typer(export_app, name="export")
console = Console(width=None if sys.stdout.isatty() else 120)

DatabaseOption = Annotated[Path, typer.Option("--database", help="Folder of the database; made if missing.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="screening.toml; the defaults if left out.")]
WorkersOption = Annotated[int | None, typer.Option(min=1, help="Worker processes; one a core if left out.")]
DeviceOption = Annotated[str | None, typer.Option(help="auto, cpu or cuda.")]


@app.command()
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
    settings = _settings(config, workers=workers, device=device, scheduler=scheduler)
    result = _sweep(archives, DatabaseFolder(database), settings, retry_failed=retry_failed)
    show_sweep(console, result)
    console.print(f"Published: {result.published}\nNext: screening dashboard --database {shlex.quote(str(database))}")
    console.print(f"{NOTICE} {SIMULATED_NOTICE}." if settings.prediction.checkpoint is None else NOTICE)
    if result.state == "stopped":
        raise UserError("stopped before the end; what was read is published, the next sweep goes on there.")
    if result.failed_share > settings.sweep.failed_share_limit:
        raise typer.Exit(EXIT_FAILURES)


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
    added, refused = _import_dxa(file, DatabaseFolder(database), Settings.load(config).care_gap if config else None)
    console.print(f"DXA results: {added} accepted, {refused} refused (table rejected_record).")


@export_app.command("pairs")
def export_training_pairs(
    output: Annotated[Path, typer.Argument(help="The .npz file to write.", metavar="OUTPUT.npz")],
    database: DatabaseOption,
    within_days: Annotated[
        int, typer.Option("--within-days", min=0, help="Most days between a CT and its DXA.")
    ] = WITHIN_DAYS,
    manufacturer: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose densitometers to take; unknown for DXA that name none.")
    ] = None,
) -> None:
    """Write crops of the site's measured CT with their DXA, to train BMD_CNN on.

    Of every patient with a measured unenhanced CT and a DXA of L1-L4, the nearest pair is read again from the archive:
    slices of the levels that were used and of the discs between them, as `python -m models.training` reads them. Every
    slice has the areal BMD of L1-L4. Densitometers of different manufacturers are on different scales: where the pairs
    hold more than one, choose with --manufacturer. The file holds pictures of patients under keyed digests: it must not
    leave the site.
    """
    with shown_progress(console) as progress:
        exported = export_pairs(
            DatabaseFolder(database), output, within_days=within_days, manufacturer=manufacturer, progress=progress
        )
    show_pairs(console, exported)
    console.print(
        f"Written: {exported.patient_count} patients with DXA of manufacturer {exported.manufacturer}.", markup=False
    )
    if exported.patient_count < FEW_PATIENTS:
        console.print(
            f"Warning: {exported.patient_count} patients are few to train on. Slope and offset of the calibration take "
            f"about {FEW_PATIENTS}, the prediction interval at least 9 of its own (--calibration-share)."
        )
    name = shlex.quote(str(output))
    console.print(
        f"Next: python -m models.training {name} --data-kind site --start-from CHECKPOINT --output NEW.safetensors, "
        "then name NEW.safetensors as prediction.checkpoint of screening.toml and sweep."
    )


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(help="Folder for archive/, dxa.csv and truth.csv.", metavar="DIR")],
    patients: Annotated[int, typer.Option(min=1, help="Patients to make.")] = 20,
    seed: Annotated[int, typer.Option(help="The same seed makes the same patients.")] = 0,
    institution: Annotated[int, typer.Option(min=1, max=2, help="1 or 2: other patients, other scanners.")] = 1,
    matrix: Annotated[int, typer.Option(min=128, max=1024, help="Rows and columns of a slice.")] = 512,
) -> None:
    """Write simulated patients with known areal BMD as DICOM CT, with their DXA and the truth."""
    _simulate(folder, patients=patients, seed=seed, institution=institution, matrix=matrix)
    console.print(f"Simulated archive: {folder / 'archive'}\nNext: screening sweep {folder / 'archive'} --database DIR")


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo"),
    workers: WorkersOption = None,
    device: DeviceOption = None,
) -> None:
    """Run the main job on simulated patients and one real abdominal CT."""
    place = DatabaseFolder(folder)
    settings = _settings(None, workers=workers, device=device, scheduler=None)
    if not (folder / "simulated" / "truth.csv").exists():
        _simulate(folder / "simulated", patients=DEMO_PATIENTS, seed=DEMO_SEED, institution=1, matrix=256)
    with as_file(files("screening").joinpath("demo_data")) as real:
        result = _sweep([folder / "simulated" / "archive", real], place, settings, retry_failed=False)
    _import_dxa(folder / "simulated" / "dxa.csv", place, None)
    show_sweep(console, result)
    show_database(
        console, place.published, "Agreement of BMD_CNN with SIMULATED DXA (says nothing about real patients)"
    )
    show_patient(
        console, place.published, DEMO_REAL_PATIENT, "Real CT (TotalSegmentator example, man of 55, unenhanced)"
    )
    console.print(f"Database: {place.published}\nPictures: {place.evidence}")
    console.print(f"Next: screening dashboard --database {shlex.quote(str(folder))}")
    console.print(f"{NOTICE} {SIMULATED_NOTICE}.")


@app.command()
def explain(
    target: Annotated[
        str, typer.Argument(help="Folder or file of DICOM, or a StudyInstanceUID of the database.", metavar="PATH|UID")
    ],
    database: Annotated[Path | None, typer.Option("--database", help="Folder of the database that UID is in.")] = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one list of studies.")] = False,
) -> None:
    """Say of every series of a study what was decided about it, and on which facts.

    A study of the database is read again where its files can be reached, else told as it was recorded.
    """
    explanations = _explanations(target, database, Settings.load(config))
    if as_json:
        typer.echo(f"[{', '.join(explanation.to_json() for explanation in explanations)}]")
        return
    for explanation in explanations:
        show_explanation(console, explanation)
    console.print(NOTICE)


@app.command()
def dashboard(
    database: DatabaseOption,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 8501,
) -> None:
    """Open the dashboard on this machine (127.0.0.1 only)."""
    if not DatabaseFolder(database).published.exists():
        raise UserError(
            f"No published database in {database}: run screening sweep ARCHIVE --database {database} first."
        )
    page = files("dashboard").joinpath("app.py")
    command = [sys.executable, "-m", "streamlit", "run", str(page)]
    options = ["--server.address", "127.0.0.1", "--server.port", str(port), "--server.headless", "true"]
    environment = os.environ | {"SCREENING_DATABASE": str(database.absolute())}
    os.execve(sys.executable, [*command, *options], environment)  # signals then reach Streamlit itself


@app.command("config")
def show_config(
    config: ConfigOption = None,
    show: Annotated[bool, typer.Option("--show", help="Print the settings in force.")] = True,
) -> None:
    """Check screening.toml and print the settings in force, defaults included."""
    settings = Settings.load(config)
    if show:
        console.print_json(settings.model_dump_json())


def _settings(config: Path | None, *, workers: int | None, device: str | None, scheduler: str | None) -> Settings:
    """Let options of the command line win over the file."""
    given: dict[str, dict[str, object]] = {
        "sweep": {"workers": workers, "scheduler": scheduler},
        "prediction": {"device": device},
    }
    return Settings.load(config).overridden(given)


def _explanations(target: str, database: Path | None, settings: Settings) -> "list[Explanation]":
    from screening.explaining import Reader, explain_files, explain_study  # brings torch
    from screening.imaging.lumbar import find_lumbar_spine
    from screening.prediction.inference import load_predictor

    def reader() -> Reader:
        predictor = load_predictor(settings.prediction.checkpoint, settings.prediction.device)
        return Reader(find_lumbar_spine, predictor, settings)

    if Path(target).exists():
        return explain_files(Path(target), reader())
    if database is None:
        raise UserError(f"Found no file or folder {target}: for a study of a database, name it with --database DIR.")
    return [explain_study(DatabaseFolder(database), target, reader)]


def _sweep(archives: list[Path], place: DatabaseFolder, settings: Settings, *, retry_failed: bool) -> "SweepResult":
    from screening.sweep import run_sweep  # brings torch and Dask, which the other commands need not wait for

    with shown_progress(console) as progress:
        return run_sweep(archives, place, settings, progress=progress, retry_failed=retry_failed)


def _import_dxa(file: Path, place: DatabaseFolder, care_gap: CareGapSettings | None) -> tuple[int, int]:
    imported = read_dxa_csv(file)
    place.create()
    with locked(place), open_writer(place) as connection:
        with transaction(connection):
            write_rows(connection, "dxa", imported.accepted)
            write_rows(connection, "rejected_record", imported.rejected)
        publish(connection, place, care_gap)
    return len(imported.accepted), len(imported.rejected)


def _simulate(folder: Path, *, patients: int, seed: int, institution: int, matrix: int) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"Cannot make the folder {folder}: {error.strerror}.") from error
    with shown_progress(console) as progress:
        write_archive(
            folder,
            patients=patients,
            seed=seed,
            institution=institution,
            matrix=matrix,
            progress=lambda done: progress("patients", done, patients),
        )


def main() -> None:
    """Run the command line with its one error boundary."""
    configure_logging(json_lines=not sys.stderr.isatty())
    try:
        app()
    except UserError as error:
        typer.echo(f"screening: {error}", err=True)
        raise SystemExit(EXIT_USER_ERROR) from error
    except Exception as error:
        traceback.print_exc()
        raise SystemExit(EXIT_BUG) from error
