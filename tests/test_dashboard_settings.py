"""The dashboard listens elsewhere only behind a sign-in that is complete."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from screening.config import Settings
from screening.dashboard_settings import DashboardSettings
from screening.errors import UserError

OIDC = {"authentication": "oidc", "oidc_secrets": "/etc/oidc.toml", "roles": {"viewer": ["radiology"]}}
PROXY = {"authentication": "proxy", "proxy_secret": "/s", "roles": {"viewer": ["radiology"]}}


def test_default_is_this_machine_alone() -> None:
    assert DashboardSettings().local
    assert DashboardSettings().address == "127.0.0.1"


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_machine_needs_no_sign_in(address: str) -> None:
    assert DashboardSettings(address=address).local


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.1.2.3", "::ffff:10.0.0.1"])
def test_elsewhere_needs_sign_in(address: str) -> None:
    with pytest.raises(ValidationError, match="without sign-in"):
        DashboardSettings(address=address)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (OIDC | {"oidc_secrets": None}, "needs oidc_secrets"),
        (OIDC | {"roles": {}}, "who may look"),
        (PROXY | {"roles": {}}, "who may look"),
        (PROXY | {"proxy_secret": None}, "needs proxy_secret"),
        (OIDC | {"roles": {"owner": ["x"]}}, "viewer"),
        ({"address": "dashboard.hospital"}, "does not appear to be an IPv4 or IPv6 address"),
        ({"password": "x"}, "Extra inputs"),
    ],
)
def test_incomplete_sign_in_is_refused(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        DashboardSettings.model_validate(given)


@pytest.mark.parametrize("given", [OIDC | {"address": "0.0.0.0"}, PROXY, PROXY | {"address": "::"}])
def test_complete_sign_in_is_taken(given: dict[str, Any]) -> None:
    assert DashboardSettings.model_validate(given).roles


def test_configuration_file_is_told_what_is_wrong(tmp_path: Path) -> None:
    config = tmp_path / "screening.toml"
    config.write_text('[dashboard]\naddress = "0.0.0.0"\n')

    with pytest.raises(UserError, match="setting dashboard: .*without sign-in"):
        Settings.load(config)
