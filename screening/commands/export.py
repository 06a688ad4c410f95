"""`screening export`: what was measured, for other programs."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from screening.commands.options import PublishedOption
from screening.exchange.pairs_export import FEW_PATIENTS, WITHIN_DAYS, export_pairs
from screening.progress import shown_progress
from screening.store.database import DatabaseFolder
from screening.terminal import console, show_pairs

export_app = typer.Typer(help="Hand out what was measured, for other programs.", no_args_is_help=True)


@export_app.command("pairs")
def export_training_pairs(
    output: Annotated[Path, typer.Argument(help="The .npz file to write.", metavar="OUTPUT.npz")],
    database: PublishedOption,
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
