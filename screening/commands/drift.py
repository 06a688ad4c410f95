"""`screening drift`: does every scanner still read as it did?"""

import json
from pathlib import Path
from typing import Annotated, Final

import pandas as pd
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from screening.commands.options import ConfigOption, PublishedOption
from screening.commands.validate import published_place, write_text
from screening.config import Settings
from screening.drift import newest_alerts
from screening.labels import NOTICE
from screening.store.database import full_disk_told, locked, open_writer
from screening.store.drift import watch_drift
from screening.store.publish import publish
from screening.terminal import console

EXIT_ALERTS: Final = 4


def drift(
    database: PublishedOption,
    config: ConfigOption = None,
    as_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write every scanner and month as JSON.")
    ] = None,
) -> None:
    """Hold every month of every scanner against its first months; exit status 4 where one alerts now.

    Looked at are the attenuation of air, fat, muscle and L1, BMD_CNN, the share flagged, and why studies are excluded
    or failed. An alert needs a shift that is larger than chance, given how many scanners and metrics are looked at, and
    large enough to matter (drift.material_shifts). Status 4 means an alert in the newest drift.alert_months months; all
    alerts stand in the view drift_alert. After service of a scanner, drift.baseline_from learns it anew.
    """
    place = published_place(database)
    settings = Settings.load(config)
    with full_disk_told(place), locked(place), open_writer(place) as connection:
        found = watch_drift(connection, settings.drift)
        publish(
            connection,
            place,
            settings.care_gap if config else None,
            keep=settings.sweep.keep_publications,
            window_days=settings.validation.window_days if config else None,
        )
    if as_json is not None:
        write_text(as_json, _document(found))
    show_drift(console, found)
    if len(newest_alerts(found, settings.drift.alert_months)):
        raise typer.Exit(EXIT_ALERTS)


def _document(found: pd.DataFrame) -> str:
    rows = json.loads(found.assign(month=found["month"].astype(str)).to_json(orient="records"))
    return json.dumps({"notice": NOTICE, "drift": rows}, indent=1) + "\n"


def show_drift(console: Console, found: pd.DataFrame) -> None:
    """Print every scanner with its newest month, and every alert."""
    console.print(_scanners(found))
    alerts = found[found["state"] == "alert"].sort_values(["month", "scanner", "metric"], ascending=[False, True, True])
    if len(alerts):
        console.print(_alerts(alerts))
    else:
        scanners = found["scanner"].nunique()
        seen = found.loc[found["state"] == "stable", "scanner"].nunique()
        console.print(f"{seen} of {scanners} scanners could be judged: none reads otherwise than it did at first.")
    console.print(NOTICE)


def _scanners(found: pd.DataFrame) -> Table:
    table = Table(title="Scanners", title_justify="left")
    for name in ("scanner", "newest month", "state"):
        table.add_column(name, overflow="fold")
    for scanner, rows in found.groupby("scanner", sort=True):
        newest = rows[rows["month"] == rows["month"].max()]
        table.add_row(escape(str(scanner)), f"{rows['month'].max():%Y-%m}", _state(newest["state"]))
    return table


def _state(states: "pd.Series[str]") -> str:
    alerts = int((states == "alert").sum())
    if alerts:
        return f"alert in {alerts} of {len(states)} metrics"
    if (states == "stable").any():
        return "stable"
    return "its baseline is being learned" if (states == "baseline").any() else "too few studies to judge"


def _alerts(alerts: pd.DataFrame) -> Table:
    table = Table(title="Alerts, newest first", title_justify="left")
    for name in ("month", "scanner", "metric", "value", "baseline", "shift", "z (limit)", "studies"):
        table.add_column(name, overflow="fold")
    for row in alerts.itertuples():
        over = "" if row.months == 1 else f" over {row.months:.0f} months"
        table.add_row(
            f"{row.month:%Y-%m}",
            escape(str(row.scanner)),
            escape(str(row.metric)),
            f"{row.value:.3g}",
            f"{row.baseline:.3g}",
            f"{row.shift:+.2g}{over}",
            f"{row.z:+.1f} ({row.z_limit:.1f})",
            str(row.n),
        )
    return table
