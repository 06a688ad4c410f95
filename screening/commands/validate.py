"""`screening validate`: can the numbers be trusted? BMD_CNN against every DXA there is."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from screening.commands.options import ConfigOption, PublishedOption
from screening.config import Settings
from screening.errors import UserError
from screening.store.database import DatabaseFolder, full_disk_told, locked, open_writer, unfinished
from screening.store.publish import publish, window_in_force
from screening.store.validation import validate as compare
from screening.terminal import console
from screening.validation_report import (
    METRIC_WORDS,
    READER_WORDS,
    ValidationReport,
    facts,
    paper_lines,
    shown,
    to_json,
    to_markdown,
)

# What the table on screen shows of a subgroup; the exports and the database hold every figure.
SHOWN_OF_GROUPS = ("pearson_r", "bias_g_cm2", "auc", "coverage_90")


def validate(
    database: PublishedOption,
    config: ConfigOption = None,
    as_json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures as JSON.")] = None,
    as_markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write all figures as Markdown.")
    ] = None,
) -> None:
    """Compare BMD_CNN with the DXA on record: agreement, discrimination, calibration, each with its 95 % interval.

    Of every patient with a measured CT and a DXA of L1-L4 no more than validation.window_days away, the nearest pair is
    taken. DXA of another manufacturer than BMD_CNN is calibrated to is brought to its scale by the factors of
    validation.standardised_factors (unverified figures); osteoporosis is the reported T-score of -2.5 or below. The
    figures are kept in the database (validation_run, validation_metric) and published.
    """
    place = published_place(database)
    settings = Settings.load(config)
    with full_disk_told(place), locked(place), open_writer(place) as connection:
        window = {} if config else {"window_days": window_in_force(connection)}
        chosen = settings.validation.model_copy(update=window)
        report = compare(connection, chosen, settings.prediction.known_references())
        publish(
            connection,
            place,
            settings.care_gap if config else None,
            keep=settings.sweep.keep_publications,
            window_days=chosen.window_days,
        )
    for path, text in ((as_json, to_json(report)), (as_markdown, to_markdown(report))):
        if path is not None:
            write_text(path, text)
    show_report(console, report)


def published_place(database: Path) -> DatabaseFolder:
    """Return the folder of a database.

    Raises:
        UserError: there is none.
    """
    place = DatabaseFolder(database)
    if not place.published.exists():
        raise UserError(
            f"No published database in {database}: run screening sweep ARCHIVE --database {database} first."
        )
    return place


def write_text(path: Path, text: str) -> None:
    """Write an export in one step.

    Raises:
        UserError: it cannot be written.
    """
    try:
        with unfinished(path) as file:
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"Cannot write {path}: {error.strerror}.") from error


def show_report(console: Console, report: ValidationReport) -> None:
    """Print what was found: what it rests on, the paper beside it, overall, and the main figures by subgroup."""
    console.print(_table("BMD_CNN against DXA", ("what", "how many"), facts(report)))
    header = ("figure", "here", "paper, internal", "paper, external")
    console.print(_table("Beside the paper (95 % intervals)", header, paper_lines(report)))
    overall = ((READER_WORDS[f.reader], METRIC_WORDS[f.metric], shown(f.estimate)) for f in report.of("overall"))
    console.print(_table("Overall", ("reader", "figure", "value (95 % interval; n)"), overall))
    console.print(_subgroup_table(report))
    for label in report.labels:
        console.print(label)


def _subgroup_table(report: ValidationReport) -> Table:
    table = Table(title="By subgroup", title_justify="left")
    table.add_column("group", overflow="fold")
    for metric in SHOWN_OF_GROUPS:
        table.add_column(METRIC_WORDS[metric], overflow="fold")
    for dimension in report.dimensions:
        if dimension == "overall":
            continue
        table.add_section()
        found: dict[str, dict[str, str]] = {}
        for figure in report.of(dimension):
            found.setdefault(figure.subgroup, {})[figure.metric] = shown(figure.estimate)
        for subgroup, cells in found.items():
            table.add_row(escape(f"{dimension}: {subgroup}"), *(cells[metric] for metric in SHOWN_OF_GROUPS))
    return table


def _table(title: str, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table
