"""`screening simulate`: archives whose truth is known, or that are only large."""

from pathlib import Path
from typing import Annotated

import typer

from screening.errors import UserError
from screening.progress import shown_progress
from screening.simulation.archive_writer import write_archive
from screening.simulation.headers_only import write_headers_only
from screening.terminal import console


def simulate(
    folder: Annotated[Path, typer.Argument(help="Folder for archive/, dxa.csv and truth.csv.", metavar="DIR")],
    patients: Annotated[int, typer.Option(min=1, help="Patients to make.")] = 20,
    seed: Annotated[int, typer.Option(help="The same seed makes the same patients.")] = 0,
    institution: Annotated[int, typer.Option(min=1, max=2, help="1 or 2: other patients, other scanners.")] = 1,
    matrix: Annotated[int, typer.Option(min=128, max=1024, help="Rows and columns of a slice.")] = 512,
    headers_only: Annotated[
        int | None,
        typer.Option(
            "--headers-only",
            min=1,
            metavar="N",
            help="Write N files with true headers and empty pixels instead, to try indexing at scale; "
            "of the other options only --seed counts.",
        ),
    ] = None,
) -> None:
    """Write simulated patients with known areal BMD as DICOM CT, with their DXA and the truth."""
    archive = folder / "archive"
    if headers_only is not None:
        write_large_archive(archive, files=headers_only, seed=seed)
        console.print(f"Archive of {headers_only} headers without pixels: {archive}", markup=False)
        console.print("A sweep indexes it and then excludes its CT as implausible_hu: there is nothing to read.")
    else:
        write_patients(folder, patients=patients, seed=seed, institution=institution, matrix=matrix)
        console.print(f"Simulated archive: {archive}", markup=False)
    console.print(f"Next: screening sweep {archive} --database DIR", markup=False)


def write_patients(folder: Path, *, patients: int, seed: int, institution: int, matrix: int) -> None:
    """Write simulated patients with progress shown.

    Raises:
        UserError: the folder cannot be made.
    """
    _make(folder)
    with shown_progress(console) as progress:
        write_archive(
            folder,
            patients=patients,
            seed=seed,
            institution=institution,
            matrix=matrix,
            progress=lambda done: progress("patients", done, patients),
        )


def write_large_archive(archive: Path, *, files: int, seed: int) -> None:
    """Write headers without pixels with progress shown.

    Raises:
        UserError: the folder cannot be made.
    """
    _make(archive)
    with shown_progress(console) as progress:
        progress("files", 0, files)
        write_headers_only(archive, files, seed, lambda done: progress("files", done, files))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"Cannot make the folder {folder}: {error.strerror}.") from error
