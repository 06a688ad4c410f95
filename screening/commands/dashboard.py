"""`screening dashboard`: Streamlit with the settings of a hospital, behind the door that the configuration names."""

import json
import os
import sys
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import typer

from screening.commands.options import ConfigOption, PublishedOption
from screening.config import Settings
from screening.dashboard_settings import LOCAL_ADDRESS, Authentication, DashboardSettings
from screening.errors import UserError
from screening.store.database import DatabaseFolder

# Names by which a browser reaches this machine itself: another name would be a page of elsewhere that borrows them.
_LOCAL_HOSTS: Final = ("localhost", LOCAL_ADDRESS, "::1")
_THEME: Final = "theme.toml"


def dashboard(
    database: PublishedOption,
    config: ConfigOption = None,
    address: Annotated[str | None, typer.Option(help="Address to listen on; elsewhere needs sign-in.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port to listen on.")] = None,
) -> None:
    """Open the dashboard: on this machine alone, or with sign-in (section dashboard of screening.toml)."""
    settings = Settings.load(config).overridden({"dashboard": {"address": address, "port": port}}).dashboard
    if not DatabaseFolder(database).published.exists():
        raise UserError(
            f"No published database in {database}: run screening sweep ARCHIVE --database {database} first."
        )
    environment = os.environ | environment_of(database, settings)
    os.execve(sys.executable, streamlit_command(settings), environment)  # signals then reach Streamlit itself


def environment_of(database: Path, settings: DashboardSettings) -> dict[str, str]:
    """Return what the pages read from the environment; it holds no secret."""
    return {"SCREENING_DATABASE": str(database.absolute()), "SCREENING_DASHBOARD": settings.model_dump_json()}


def streamlit_command(settings: DashboardSettings) -> list[str]:
    """Return the command that serves the pages, with the settings that close it named one by one.

    Raises:
        UserError: a file with secrets is missing, or open to other users.
    """
    pages = files("dashboard")
    options: dict[str, str] = {
        "server.address": settings.address,
        "server.port": str(settings.port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.enableCORS": "true",
        "server.enableXsrfProtection": "true",
        "server.enableStaticServing": "false",
        "client.showErrorDetails": "none",
        "client.toolbarMode": "viewer",
        "client.disableDataExport": "true",  # downloads are the pages' own: labelled, and in the audit trail
        "browser.gatherUsageStats": "false",
        "runner.postScriptGC": "false",  # would hold up every other visitor for 0.1 s or more after each page
        "theme.base": str(pages.joinpath(_THEME)),
        "server.trustedUserHeaders": json.dumps(_trusted_headers(settings)),
    }
    hosts = settings.allowed_hosts or (_LOCAL_HOSTS if settings.local else ())
    several = [("server.allowedHosts", host) for host in hosts]
    if settings.oidc_secrets is not None:
        several.append(("secrets.files", str(closed_file(settings.oidc_secrets))))
    if settings.proxy_secret is not None:
        closed_file(settings.proxy_secret)
    flags = [part for name, value in [*options.items(), *several] for part in (f"--{name}", value)]
    return [sys.executable, "-m", "streamlit", "run", str(pages.joinpath("app.py")), *flags]


def closed_file(path: Path) -> Path:
    """Return the absolute path of a file with a secret.

    Raises:
        UserError: it is missing, or others than its owner can read it.
    """
    if not path.is_file():
        raise UserError(f"{path}, which holds a secret of the dashboard, is not there.")
    if path.stat().st_mode & 0o077:
        raise UserError(f"{path} holds a secret of the dashboard and is open to other users: chmod 600 {path}")
    return path.absolute()


def _trusted_headers(settings: DashboardSettings) -> dict[str, str]:
    """Header -> name under which the pages see it; none is trusted but from a proxy."""
    if settings.authentication is not Authentication.PROXY:
        return {}
    return {settings.name_header: "person", settings.groups_header: "groups", "X-Proxy-Secret": "proxy_secret"}
