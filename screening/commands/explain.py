"""`screening explain`: what was decided about every series of a study, and why."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from screening.commands.options import ConfigOption
from screening.config import Settings
from screening.errors import UserError
from screening.labels import NOTICE
from screening.store.database import DatabaseFolder
from screening.store.models import promoted_checkpoint
from screening.terminal import console, show_explanation

if TYPE_CHECKING:
    from screening.explaining import Explanation


def explain(
    target: Annotated[
        str, typer.Argument(help="Folder or file of DICOM, or a StudyInstanceUID of the database.", metavar="PATH|UID")
    ],
    database: Annotated[Path | None, typer.Option("--database", help="Folder of the database that UID is in.")] = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one list of studies.")] = False,
) -> None:
    """Say of every series of a study what was decided about it, and on which facts.

    A study of the database is read again where its files can be reached, else told as it was recorded. Of the patient
    the age is told, no name, ID or date; but UIDs and the description, image type and kernel of each series stand as
    they were written, and may hold a name.
    """
    explanations = _explanations(target, database, Settings.load(config))
    if as_json:
        typer.echo(f"[{', '.join(explanation.to_json() for explanation in explanations)}]")
        return
    for explanation in explanations:
        show_explanation(console, explanation)
    console.print(NOTICE)


def _explanations(target: str, database: Path | None, settings: Settings) -> "list[Explanation]":
    from screening.explaining import Reader, explain_files, explain_study  # brings torch
    from screening.imaging.lumbar import find_lumbar_spine
    from screening.prediction.inference import load_predictor

    def reader() -> Reader:
        promoted = promoted_checkpoint(DatabaseFolder(database)) if database is not None else None
        predictor = load_predictor(settings.prediction.checkpoint or promoted, settings.prediction.device)
        return Reader(find_lumbar_spine, predictor, settings)

    if Path(target).exists():
        return explain_files(Path(target), reader())
    if database is None:
        raise UserError(f"Found no file or folder {target}: for a study of a database, name it with --database DIR.")
    return [explain_study(DatabaseFolder(database), target, reader)]
