"""`screening bench`: how fast a first night would be on this machine, measured on a sample of the archive."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from screening.commands.options import ConfigOption, DeviceOption, settings_in_force
from screening.config import Settings
from screening.errors import UserError
from screening.progress import shown_progress
from screening.terminal import console

if TYPE_CHECKING:
    from screening.bench import Bench


def bench(
    archive: Annotated[Path, typer.Argument(help="Folder to take a sample of; nothing is written into it.")],
    files: Annotated[int, typer.Option(min=1, help="Files whose headers are read.")] = 2000,
    studies: Annotated[int, typer.Option(min=1, help="Studies to read.")] = 5,
    config: ConfigOption = None,
    device: DeviceOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    picture: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw the result.")] = None,
) -> None:
    """Measure on a sample of an archive how fast each stage of a sweep is, and where the time goes.

    One process reads places drawn at random among the first 200,000 files: their heads as bytes, which is as fast as
    this machine can, as headers and by pydicom, in turns; then whole studies as a sweep would, twice. Whether the files
    were in memory before is not known. Studies an hour follow by arithmetic, for one process.
    """
    if picture is not None:
        _require_outside(picture, archive)
    settings = settings_in_force(config, workers=None, device=device, scheduler=None)
    measured = _measured(archive, settings, files, studies)
    if picture is not None:
        from screening.bench_picture import write_picture

        write_picture(measured, picture)
    if as_json:
        typer.echo(json.dumps(measured.to_json(), indent=2))
    else:
        _show(measured)


def _measured(archive: Path, settings: Settings, files: int, studies: int) -> "Bench":
    from screening.archive.folder import require_folders
    from screening.bench import bench as measure  # brings torch
    from screening.imaging.lumbar import find_lumbar_spine
    from screening.prediction.inference import load_predictor

    require_folders([archive])  # a wrong path is told at once
    predictor = load_predictor(settings.prediction.checkpoint, settings.prediction.device)
    with shown_progress(console) as progress:
        return measure(archive, find_lumbar_spine, predictor, settings, files=files, studies=studies, progress=progress)


def _require_outside(picture: Path, archive: Path) -> None:
    """Keep the archive as it is, and find out before the work that the picture has no place."""
    if picture.resolve().is_relative_to(archive.resolve()):
        raise UserError(
            f"The picture {picture} would lie in the archive, which is never written to: choose another place."
        )
    if not picture.resolve().parent.is_dir():
        raise UserError(f"Expected a folder for the picture, found none at {picture.parent}.")


def _show(measured: "Bench") -> None:
    console.print(_speeds(measured))
    console.print(_times(measured))
    counted = ", ".join(f"{count} {status}" for status, count in sorted(measured.statuses.items()))
    left_out = ", ".join(f"{reason} {count}" for reason, count in sorted(measured.not_indexed.items()))
    console.print(
        f"Sample: {measured.sampled_count:,} of {_looked_at(measured)} files; not indexed: {left_out or 'none'}. "
        f"Studies: {counted}; {measured.files_a_study:.0f} files a study.",
        markup=False,
        highlight=False,
    )
    console.print(
        f"A study takes {measured.first_s:.2f} s at first touch and {measured.again_s:.2f} s once its files are in "
        f"memory; with walk and headers: {measured.told_of_studies}. This machine "
        f"has {measured.cores} cores for as many processes; what they gain together was not measured, nor what the "
        "database and the exchange between processes cost.",
        markup=False,
        highlight=False,
    )


def _looked_at(measured: "Bench") -> str:
    count = f"{measured.looked_at_count:,}"
    return count if measured.looked_at_all else f"the first {count}"


def _speeds(measured: "Bench") -> Table:
    table = Table(title="How fast each stage is, in one process", title_justify="left")
    table.add_column("stage")
    for name in ("measured on", "seconds", "speed", "share of the raw read"):
        table.add_column(name, justify="right")
    floor = measured.headers[0].per_second
    for stage in measured.stages:
        speed = stage.per_second
        share = f"{100 * speed / floor:.1f} %" if speed and floor and stage in measured.headers else ""
        table.add_row(
            stage.name,
            f"{stage.count:,} {stage.of}",
            f"{stage.seconds:.3f}",
            stage.speed,
            share,
        )
    return table


def _times(measured: "Bench") -> Table:
    table = Table(title="Where the time of a first night goes, files in memory", title_justify="left")
    table.add_column("stage")
    table.add_column("share", justify="right")
    for name, share in measured.time_shares.items():
        table.add_row(name, f"{100 * share:.1f} %")
    return table
