"""`screening`: the commands put together, one error boundary, exit statuses that mean something.

0 done; 1 expected error, in one line; 2 usage; 3 a bug, with traceback; 4 finished, with more failures than allowed
or an alert of drift; 130 broken off by a second Ctrl-C.
"""

import sys
import traceback
from typing import Annotated, Final

import typer

from screening.commands.bench import bench
from screening.commands.dashboard import dashboard
from screening.commands.demo import demo
from screening.commands.drift import drift
from screening.commands.explain import explain
from screening.commands.export import export_app
from screening.commands.imports import import_app
from screening.commands.model import model_app
from screening.commands.options import ConfigOption
from screening.commands.recalibrate import recalibrate
from screening.commands.simulate import simulate
from screening.commands.sweep import sweep
from screening.commands.validate import validate
from screening.config import Settings
from screening.errors import UserError
from screening.labels import NOTICE
from screening.log import configure_logging
from screening.terminal import console

EXIT_USER_ERROR: Final = 1
EXIT_BUG: Final = 3

app = typer.Typer(
    help=f"Read bone density from archived abdominal CT. {NOTICE}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(import_app, name="import")
app.add_typer(export_app, name="export")
app.add_typer(model_app, name="model")
for command in (sweep, simulate, demo, explain, bench, validate, drift, recalibrate, dashboard):
    app.command()(command)


@app.command("config")
def show_config(
    config: ConfigOption = None,
    show: Annotated[bool, typer.Option("--show", help="Print the settings in force.")] = True,
) -> None:
    """Check screening.toml and the files it names, and print the settings in force, defaults included."""
    settings = Settings.load(config)
    if show:
        console.print_json(settings.model_dump_json())
    settings.require_files()


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
