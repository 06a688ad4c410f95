"""`screening recalibrate`: fit BMD_CNN to the site's own DXA."""

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from screening.commands.options import ConfigOption, PublishedOption
from screening.commands.validate import published_place
from screening.config import Settings
from screening.errors import UserError
from screening.labels import NOTICE
from screening.pairing import Pairs
from screening.recalibration import Recalibration
from screening.recalibration import recalibrate as fit
from screening.store.database import full_disk_told, locked, open_writer, transaction
from screening.store.models import active_model, add_checkpoint, checkpoint_file, keep_left_out
from screening.store.publish import publish
from screening.store.validation import read_pairs
from screening.terminal import console
from screening.validation_report import METRIC_WORDS, shown


class Kind(StrEnum):
    """What may be fitted."""

    AUTO = "auto"
    LINEAR = "linear"
    ISOTONIC = "isotonic"


def recalibrate(
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="The .safetensors file to write.")],
    database: PublishedOption,
    kind: Annotated[Kind, typer.Option(help="auto: whichever of none, linear and isotonic errs least.")] = Kind.AUTO,
    config: ConfigOption = None,
) -> None:
    """Fit BMD_CNN to the site's DXA and register the result as a new checkpoint, with the same weights.

    At least 50 unenhanced pairs on one scale are needed. All figures are of pairs that neither the fit nor the choice
    of its kind has seen (nested cross-validation). Nothing changes until the checkpoint is promoted.
    """
    from screening.prediction.inference import bundled_checkpoint, write_recalibrated  # brings torch

    place = published_place(database)
    settings = Settings.load(config)
    if output.exists():
        raise UserError(f"{output} is there already: name another file.")
    if not output.parent.is_dir():
        raise UserError(f"Cannot write {output}: there is no folder {output.parent}.")
    with full_disk_told(place), locked(place), open_writer(place) as connection:
        parent = active_model(connection)
        configured = [settings.prediction.checkpoint] if settings.prediction.checkpoint else []
        source = checkpoint_file(place, parent, [*configured, bundled_checkpoint()])
        pairs = read_pairs(connection, settings.validation, settings.prediction.known_references())
        usable = _usable(pairs)
        found = fit(pairs.bmd_cnn[usable], pairs.bmd_dxa[usable], pairs.osteoporosis[usable], kind)
        show_recalibration(console, found)
        if found.kind == "none":
            raise UserError("No recalibration errs less on pairs it has not seen: nothing was written.")
        facts = write_recalibrated(
            source,
            output,
            name=output.stem,
            knots=found.knots,
            interval_half_width_g_cm2=found.interval_half_width_g_cm2,
            metrics=found.metrics,
            reference=f"DXA of this site, {pairs.scale} L1-L4 scale",
        )
        with transaction(connection):
            document = {"kind": found.kind, "knots": found.knots}
            add_checkpoint(connection, place, output, facts, name=output.stem, recalibration=document)
            studies = [pairs.study_instance_uid[place] for place in usable]
            keep_left_out(connection, facts.sha256, studies, found.left_out)
        publish(connection, place, None, keep=settings.sweep.keep_publications)
    name, folder = shlex.quote(output.stem), shlex.quote(str(database))
    console.print(f"Registered: {output.stem} ({facts.sha256[:12]}), recalibrated from {parent.name}.", markup=False)
    console.print(f"Next: screening model promote {name} --database {folder}, then sweep.", markup=False)
    console.print(NOTICE)


def _usable(pairs: Pairs) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Places of the pairs to learn from: contrast raises the attenuation of bone, but not its DXA."""
    unenhanced = (pairs.groups["contrast"] == "unenhanced").to_numpy(bool)
    return np.flatnonzero(unenhanced & ~np.isnan(pairs.bmd_dxa))


def show_recalibration(console: Console, found: Recalibration) -> None:
    """Print what was chosen, and what it is worth beside no recalibration."""
    folds = ", ".join(f"{kind} {count}" for kind, count in sorted(found.chosen.items()))
    console.print(f"Chosen: {found.kind} (by fold: {folds}), {len(found.left_out)} pairs.")
    table = Table(title="On pairs not seen (95 % intervals)", title_justify="left")
    for name in ("figure", "as it is", "recalibrated"):
        table.add_column(name, overflow="fold")
    for metric, after in found.after.items():
        before = found.before.get(metric)
        table.add_row(METRIC_WORDS[metric], "" if before is None else shown(before), shown(after))
    console.print(table)
    console.print(f"90 % interval: +/- {found.interval_half_width_g_cm2:.3f} g/cm2")
