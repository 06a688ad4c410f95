"""Options that several commands share, and the settings they stand for."""

from pathlib import Path
from typing import Annotated

import typer

from screening.config import Settings

DatabaseOption = Annotated[Path, typer.Option("--database", help="Folder of the database; made if missing.")]
PublishedOption = Annotated[Path, typer.Option("--database", help="Folder of a database that a sweep has published.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="screening.toml; the defaults if left out.")]
WorkersOption = Annotated[
    int | None, typer.Option(min=0, help="Worker processes; one a core if left out, 0: none but this one.")
]
DeviceOption = Annotated[str | None, typer.Option(help="auto, cpu or cuda.")]


def settings_in_force(
    config: Path | None, *, workers: int | None, device: str | None, scheduler: str | None
) -> Settings:
    """Let options of the command line win over the file."""
    given: dict[str, dict[str, object]] = {
        "sweep": {"workers": workers, "scheduler": scheduler},
        "prediction": {"device": device},
    }
    return Settings.load(config).overridden(given)
