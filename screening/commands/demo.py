"""`screening demo`: the main job from end to end, on simulated patients and one real CT."""

import shlex
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Final

import typer

from screening.commands.imports import import_dxa_file
from screening.commands.options import DeviceOption, WorkersOption, settings_in_force
from screening.commands.simulate import write_patients
from screening.commands.sweep import sweep_shown
from screening.labels import NOTICE, SIMULATED_NOTICE
from screening.store.database import DatabaseFolder
from screening.terminal import console, show_database, show_patient, show_sweep

DEMO_PATIENTS: Final = 18
DEMO_SEED: Final = 4  # among its patients some are flagged
DEMO_REAL_PATIENT: Final = "TOTALSEGMENTATOR-EXAMPLE"


def demo(
    folder: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo"),
    workers: WorkersOption = None,
    device: DeviceOption = None,
) -> None:
    """Run the main job on simulated patients and one real abdominal CT."""
    place = DatabaseFolder(folder)
    settings = settings_in_force(None, workers=workers, device=device, scheduler=None)
    settings = settings.overridden({"sweep": {"settle_minutes": 0.0}})  # its files are new and complete
    if not (folder / "simulated" / "truth.csv").exists():
        write_patients(folder / "simulated", patients=DEMO_PATIENTS, seed=DEMO_SEED, institution=1, matrix=256)
    with as_file(files("screening").joinpath("demo_data")) as real:
        result = sweep_shown([folder / "simulated" / "archive", real], place, settings)
    import_dxa_file(folder / "simulated" / "dxa.csv", place, None)
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
