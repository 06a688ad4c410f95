"""Sign-in by a real OpenID Connect exchange: each role sees what it may, direct addresses included."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import published_example as example
import pytest
from conftest import free_port, served, wait_until_answers
from playwright.sync_api import Browser, Page, expect
from visits import WAIT_MS, drawn_table, open_page, settled, shown_heading

from screening.dashboard_settings import DashboardSettings
from screening.store.audit import entries
from screening.store.database import DatabaseFolder

STUDY = example.FIRST.study_instance_uid
GROUPS = {"viewer": "radiology", "reviewer": "osteology", "quality": "quality", "research": "science"}
PEOPLE = [
    {"sub": f"{group}@h.org", "email": f"{group}@h.org", "groups": [group]} for group in (*GROUPS.values(), "kitchen")
]


@contextmanager
def provider(log: Path) -> Iterator[str]:
    """Run a provider of OpenID Connect that believes whoever says who they are; yield its address."""
    port = free_port()
    people = [part for person in PEOPLE for part in ("--user-claims", json.dumps(person))]
    with log.open("wb") as output:
        command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), *people]
        server = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            wait_until_answers(f"http://127.0.0.1:{port}/.well-known/openid-configuration", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=20)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Serve the example behind a provider that knows a person of each group."""
    example.publish_example(tmp_path / "database")
    port = free_port()
    with provider(tmp_path / "provider.log") as provider_address:
        secrets = tmp_path / "oidc.toml"
        secrets.touch(mode=0o600)
        secrets.write_text(
            f"""[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "a secret that is only for this test"
client_id = "dashboard"
client_secret = "client secret"
server_metadata_url = "{provider_address}/.well-known/openid-configuration"
"""
        )
        settings = DashboardSettings.model_validate(
            {
                "port": port,
                "authentication": "oidc",
                "oidc_secrets": secrets,
                "roles": {role: [group] for role, group in GROUPS.items()},
            }
        )
        with served(tmp_path / "database", settings, tmp_path / "streamlit.log") as served_at:
            yield served_at


def sign_in(browser: Browser, address: str, group: str) -> Page:
    page, _ = open_page(browser, address)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name=f"{group}@h.org").click()
    page.wait_for_url(f"{address}/**")
    page.wait_for_selector("h1", timeout=WAIT_MS)
    settled(page)
    return page


def go(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("h1", timeout=WAIT_MS)
    settled(page)


@pytest.mark.parametrize("path", ["/", "/patient?patient=FLAGGED-1", "/data", "/sweeps"])
def test_nobody_sees_anything_before_signing_in(browser: Browser, address: str, path: str) -> None:
    page, _ = open_page(browser, address + path)

    expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=WAIT_MS)
    assert "FLAGGED" not in page.content()


def test_viewer_sees_patients_and_cannot_decide(browser: Browser, address: str) -> None:
    page = sign_in(browser, address, "radiology")
    drawn_table(page)
    go(page, f"{address}/patient?patient=FLAGGED-1")

    shown_heading(page, "Patient FLAGGED-1")
    expect(page.get_by_role("button", name="Record the decision")).to_have_count(0)


def test_reviewer_decides_under_the_name_of_the_sign_in(browser: Browser, address: str, tmp_path: Path) -> None:
    page = sign_in(browser, address, "osteology")
    go(page, f"{address}/patient?patient=FLAGGED-1")
    expect(page.get_by_label("Your name")).to_have_count(0)
    page.get_by_role("radio", name="Dismissed").click()
    page.get_by_role("button", name="Record the decision").click()
    expect(page.get_by_text("Recorded: Dismissed.")).to_be_visible(timeout=WAIT_MS)

    trail = entries(DatabaseFolder(tmp_path / "database"), 50)
    assert set(trail["person"]) == {"osteology@h.org"}
    assert {"sign_in", "list", "view", "review"} == set(trail["action"])


@pytest.mark.parametrize(
    "path", ["/worklist", "/patient?patient=FLAGGED-1", f"/patient?study={example.FIRST.study_instance_uid}"]
)
def test_research_is_refused_pages_of_patients(browser: Browser, address: str, tmp_path: Path, path: str) -> None:
    page = sign_in(browser, address, "science")
    go(page, address + path)

    shown_heading(page, "No access")
    assert "FLAGGED" not in page.content()
    trail = entries(DatabaseFolder(tmp_path / "database"), 50)
    assert "denied" in set(trail["action"])
    assert "view" not in set(trail["action"])


def test_quality_sees_the_audit_trail(browser: Browser, address: str) -> None:
    page = sign_in(browser, address, "quality")
    go(page, f"{address}/data")

    expect(page.get_by_text("Audit").first).to_be_visible(timeout=WAIT_MS)


def test_person_without_role_sees_nothing(browser: Browser, address: str) -> None:
    page = sign_in(browser, address, "kitchen")

    shown_heading(page, "No access")
    assert "FLAGGED" not in page.content()


def test_signing_out_closes_the_door(browser: Browser, address: str) -> None:
    page = sign_in(browser, address, "radiology")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(lambda url: not url.startswith(address))  # of the provider, which ends its session too
    page.goto(address)

    expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=WAIT_MS)
