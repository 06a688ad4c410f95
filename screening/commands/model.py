"""`screening model`: which checkpoints there are, how they compare, and which one sweeps read with."""

from pathlib import Path
from typing import Annotated

import duckdb
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from screening.commands.options import ConfigOption, PublishedOption
from screening.commands.validate import published_place
from screening.comparison import SHOWN, Comparison
from screening.comparison import compare as compared
from screening.config import Settings
from screening.errors import UserError
from screening.labels import NOTICE
from screening.store.database import full_disk_told, locked, open_writer, transaction
from screening.store.models import (
    Model,
    active_model,
    add_checkpoint,
    checkpoint_file,
    model_named,
    models,
    open_published,
    promoted_model,
    readings,
)
from screening.store.models import promote as promote_model
from screening.store.publish import publish
from screening.store.validation import read_pairs
from screening.terminal import console
from screening.validation_report import METRIC_WORDS, shown

model_app = typer.Typer(help="Checkpoints of a database: add, list, compare, promote.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="Name of a checkpoint, or the beginning of its SHA-256.")]


@model_app.command("add")
def add(
    file: Annotated[Path, typer.Argument(help="A .safetensors file, as python -m models.training writes it.")],
    database: PublishedOption,
    name: Annotated[str | None, typer.Option(help="Name in this database; that of the file if left out.")] = None,
) -> None:
    """Register a checkpoint and keep its file in the folder of the database; nothing reads with it yet."""
    from screening.prediction.inference import checkpoint_facts  # brings torch

    place = published_place(database)
    facts = checkpoint_facts(file)
    with full_disk_told(place), locked(place), open_writer(place) as connection:
        with transaction(connection):
            added = add_checkpoint(connection, place, file, facts, name=name or file.stem)
        publish(connection, place, None)
    console.print(
        f"Registered: {added.name} ({added.checkpoint_sha256[:12]}), data of kind {added.data_kind}.", markup=False
    )


@model_app.command("list")
def list_models(database: PublishedOption) -> None:
    """List the checkpoints that the database knows."""
    place = published_place(database)
    with open_published(place) as connection:
        promoted = promoted_model(connection)
        known = models(connection)
        read = dict(connection.execute("SELECT checkpoint_sha256, count(*) FROM outcome GROUP BY 1").fetchall())
    names = {one.checkpoint_sha256: one.name for one in known}
    table = Table(title="Checkpoints", title_justify="left")
    for column in ("name", "SHA-256", "trained on", "recalibrated from", "studies read", "state"):
        table.add_column(column, overflow="fold")
    for one in known:
        parent = names.get(one.parent_sha256 or "", (one.parent_sha256 or "")[:12])
        states = ["shown by the views"] * one.active + ["promoted"] * (one == promoted)
        count = str(read.get(one.checkpoint_sha256, 0))
        cells = (one.name, one.checkpoint_sha256[:12], one.data_kind, parent, count, ", ".join(states))
        table.add_row(*map(escape, cells))
    console.print(table)


@model_app.command("compare")
def compare(
    current: NameArgument, candidate: NameArgument, database: PublishedOption, config: ConfigOption = None
) -> None:
    """Show two checkpoints side by side on the pairs of CT and DXA that both have read.

    A recalibrated checkpoint is read off its parent, and the pairs it was fitted to as fits without them read them. A
    checkpoint trained on pairs of this site may have learned from the pairs it is compared on, which flatters it.
    """
    place = published_place(database)
    settings = Settings.load(config)
    with open_published(place) as connection:
        before, after = (model_named(connection, name) for name in (current, candidate))
        found = _compared(connection, settings, before, after)
    show_comparison(console, found, before, after)


@model_app.command("promote")
def promote(
    name: NameArgument,
    database: PublishedOption,
    force: Annotated[
        bool, typer.Option("--force", help="Promote it even if it is worse or cannot be compared.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Have the next sweep read with a checkpoint, after showing it beside the one in use.

    One that errs more by DXA, or tells osteoporosis less well, is refused. The views go on showing the results of the
    checkpoint before until a whole sweep with this one is completed. A checkpoint that screening.toml names wins.
    """
    from screening.prediction.inference import bundled_checkpoint, checkpoint_facts  # brings torch

    place = published_place(database)
    settings = Settings.load(config)
    with full_disk_told(place), locked(place), open_writer(place) as connection:
        candidate = model_named(connection, name)
        current = promoted_model(connection) or active_model(connection)
        if candidate == promoted_model(connection):
            raise UserError(f"{candidate.name} is promoted already: the next sweep reads with it.")
        configured = [settings.prediction.checkpoint] if settings.prediction.checkpoint else []
        file = checkpoint_file(place, candidate, [*configured, bundled_checkpoint()])
        found = _compared(connection, settings, current, candidate)
        show_comparison(console, found, current, candidate)
        if candidate.file_name is None:
            add_checkpoint(connection, place, file, checkpoint_facts(file), name=candidate.name)
        promote_model(connection, candidate, current, found, forced=force)
        publish(connection, place, None, keep=settings.sweep.keep_publications)
    console.print(f"Promoted: {candidate.name}. Sweep to read with it.", markup=False)
    if settings.prediction.checkpoint is not None:
        console.print(f"But prediction.checkpoint names {settings.prediction.checkpoint}, which wins.", markup=False)


def _compared(
    connection: duckdb.DuckDBPyConnection, settings: Settings, current: Model, candidate: Model
) -> Comparison:
    pairs = read_pairs(connection, settings.validation, settings.prediction.known_references())
    before, after = (readings(connection, one, pairs.study_instance_uid) for one in (current, candidate))
    return compared(before, after, pairs.bmd_dxa, pairs.osteoporosis)


def show_comparison(console: Console, found: Comparison, current: Model, candidate: Model) -> None:
    """Print both sides, their difference, and what speaks against the candidate."""
    table = Table(title=f"On {found.n} pairs that both have read (95 % intervals)", title_justify="left")
    for column in ("figure", current.name, candidate.name, "difference"):
        table.add_column(escape(column), overflow="fold")
    for metric in SHOWN:
        difference = found.difference.get(metric)
        shift = "" if difference is None else shown(difference)
        table.add_row(METRIC_WORDS[metric], shown(found.current[metric]), shown(found.candidate[metric]), shift)
    console.print(table)
    if candidate.data_kind == "site" and candidate.parent_sha256 is None:
        console.print("Trained on pairs of a site: if they are among these, its figures flatter it.")
    if found.objection is not None:
        console.print(f"Against {candidate.name}: {found.objection}.", markup=False)
    console.print(NOTICE)
