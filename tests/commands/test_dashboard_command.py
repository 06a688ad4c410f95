"""What Streamlit is started with."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from screening.cli import app
from screening.commands.dashboard import environment_of, streamlit_command
from screening.dashboard_settings import DashboardSettings
from screening.errors import UserError

CLOSED = {
    "--server.address": "127.0.0.1",
    "--client.showErrorDetails": "none",
    "--client.disableDataExport": "true",
    "--browser.gatherUsageStats": "false",
    "--server.enableXsrfProtection": "true",
    "--server.enableCORS": "true",
    "--server.trustedUserHeaders": "{}",
}


def flags(command: list[str]) -> list[tuple[str, str]]:
    given = command[command.index("run") + 2 :]
    return list(zip(given[::2], given[1::2], strict=True))


def secret(folder: Path, mode: int = 0o600) -> Path:
    path = folder / "secret"
    path.write_text("s3cret")
    path.chmod(mode)
    return path


def test_default_is_closed() -> None:
    given = flags(streamlit_command(DashboardSettings()))

    assert CLOSED.items() <= dict(given).items()
    assert {value for name, value in given if name == "--server.allowedHosts"} == {"localhost", "127.0.0.1", "::1"}


def test_theme_and_pages_are_there() -> None:
    command = streamlit_command(DashboardSettings())

    assert Path(command[command.index("run") + 1]).is_file()
    assert Path(dict(flags(command))["--theme.base"]).is_file()


def test_only_a_proxy_is_believed(tmp_path: Path) -> None:
    settings = DashboardSettings.model_validate(
        {"authentication": "proxy", "roles": {"viewer": ["x"]}, "proxy_secret": secret(tmp_path), "address": "0.0.0.0"}
    )
    headers = json.loads(dict(flags(streamlit_command(settings)))["--server.trustedUserHeaders"])

    assert headers == {"X-Forwarded-User": "person", "X-Forwarded-Groups": "groups", "X-Proxy-Secret": "proxy_secret"}


def test_secrets_of_oidc_are_handed_on_by_name(tmp_path: Path) -> None:
    settings = DashboardSettings.model_validate(
        {"authentication": "oidc", "roles": {"viewer": ["x"]}, "oidc_secrets": secret(tmp_path)}
    )

    assert dict(flags(streamlit_command(settings)))["--secrets.files"] == str(tmp_path / "secret")
    assert "s3cret" not in str(environment_of(tmp_path, settings))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_secret_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    settings = DashboardSettings.model_validate(
        {"authentication": "oidc", "roles": {"viewer": ["x"]}, "oidc_secrets": secret(tmp_path, mode)}
    )

    with pytest.raises(UserError, match="chmod 600"):
        streamlit_command(settings)


def test_missing_secret_is_told(tmp_path: Path) -> None:
    settings = DashboardSettings.model_validate(
        {"authentication": "oidc", "roles": {"viewer": ["x"]}, "oidc_secrets": tmp_path / "gone"}
    )

    with pytest.raises(UserError, match="is not there"):
        streamlit_command(settings)


def test_command_refuses_another_address_without_sign_in(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["dashboard", "--database", str(tmp_path), "--address", "0.0.0.0"])

    assert "without sign-in" in str(result.exception)


def test_command_without_publication_says_what_to_do(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["dashboard", "--database", str(tmp_path)])

    assert "run screening sweep" in str(result.exception)
