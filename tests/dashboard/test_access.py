"""Who may look: by address of the server, by the sign-in service, by the proxy."""

import time
from pathlib import Path
from typing import Any

import published_example as example
import pytest
from page_runs import APP, assert_labelled, run_page, written
from streamlit import config as st_config
from streamlit.testing.v1 import AppTest

from dashboard import access, queries
from dashboard.access import Permission, Visitor
from screening.dashboard_settings import DashboardSettings, Role
from screening.errors import UserError
from screening.store.audit import AccessKind, entries
from screening.store.database import DatabaseFolder

ROLES = {"viewer": ["radiology"], "reviewer": ["osteology", "person:eve@h.org"], "research": ["science"]}
OIDC = {"authentication": "oidc", "oidc_secrets": "/etc/oidc.toml", "roles": ROLES}


class SignedIn:
    """Stands for what Streamlit knows of a visitor."""

    def __init__(self, **claims: Any) -> None:
        self.claims = claims

    def to_dict(self) -> dict[str, Any]:
        return self.claims


@pytest.fixture
def sign_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    def signed_in(door: dict[str, Any], **claims: Any) -> None:
        monkeypatch.setenv(access.SETTINGS_VARIABLE, DashboardSettings.model_validate(door).model_dump_json())
        monkeypatch.setattr(access.st, "user", SignedIn(**claims))

    return signed_in


def token(**claims: Any) -> dict[str, Any]:
    return {"is_logged_in": True, "iat": time.time() - 60, "email": "ann@h.org"} | claims


def test_server_that_listens_elsewhere_shows_nothing(folder: Path, published: queries.Publication) -> None:
    st_config.set_option("server.address", None)
    at = AppTest.from_file(APP, default_timeout=30).run()

    assert_labelled(at)
    assert "without sign-in" in at.error[0].value
    assert len(at.dataframe) == 0


@pytest.mark.parametrize(
    ("claims", "roles"),
    [
        ({"groups": ["radiology"]}, {Role.VIEWER}),
        ({"groups": ["radiology", "science", "other"]}, {Role.VIEWER, Role.RESEARCH}),
        ({"groups": "osteology"}, {Role.REVIEWER}),
        ({"groups": [], "email": "eve@h.org"}, {Role.REVIEWER}),
        ({"groups": ["Radiology"]}, set()),
        ({"groups": [], "email": "radiology"}, set()),
        ({}, set()),
    ],
)
def test_roles_follow_from_groups_or_name(sign_in: Any, claims: dict[str, Any], roles: set[Role]) -> None:
    sign_in(OIDC, **token(**claims))
    visitor = access.visitor()
    assert visitor is not None

    assert visitor.roles == roles


@pytest.mark.parametrize(
    "claims",
    [{"is_logged_in": False}, token(iat=time.time() - 13 * 3600), {"is_logged_in": True, "email": "ann@h.org"}],
)
def test_nobody_without_a_fresh_sign_in(sign_in: Any, claims: dict[str, Any]) -> None:
    sign_in(OIDC, **claims)

    assert access.visitor() is None


def test_token_that_names_nobody_is_refused(sign_in: Any) -> None:
    sign_in(OIDC, **token(email=""))

    with pytest.raises(UserError, match="claim email"):
        access.visitor()


@pytest.mark.parametrize("given", ["", "wrong", "s3cret "])
def test_headers_without_the_password_of_the_proxy_are_refused(tmp_path: Path, sign_in: Any, given: str) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    door = {"authentication": "proxy", "roles": ROLES, "proxy_secret": tmp_path / "secret"}
    sign_in(door, person="ann", groups="radiology", proxy_secret=given)

    with pytest.raises(UserError, match="did not come through"):
        access.visitor()


def test_proxy_with_its_password_is_believed(tmp_path: Path, sign_in: Any) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    door = {"authentication": "proxy", "roles": ROLES, "proxy_secret": tmp_path / "secret"}
    sign_in(door, person="ann", groups="science, radiology", proxy_secret="s3cret")

    assert access.visitor() == Visitor("ann", frozenset({Role.VIEWER, Role.RESEARCH}))


def test_proxy_that_names_nobody_is_refused(tmp_path: Path, sign_in: Any) -> None:
    (tmp_path / "secret").write_text("s3cret")
    door = {"authentication": "proxy", "roles": ROLES, "proxy_secret": tmp_path / "secret"}
    sign_in(door, groups="radiology", proxy_secret="s3cret")

    with pytest.raises(UserError, match="X-Forwarded-User"):
        access.visitor()


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.VIEWER, {Permission.SEE_PATIENTS}),
        (Role.REVIEWER, {Permission.SEE_PATIENTS, Permission.REVIEW}),
        (
            Role.QUALITY,
            {Permission.SEE_PATIENTS, Permission.ASK_SQL, Permission.TAKE_IDENTIFIED, Permission.SEE_AUDIT},
        ),
        (Role.RESEARCH, {Permission.ASK_SQL}),
    ],
)
def test_role_may(role: Role, allowed: set[Permission]) -> None:
    visitor = Visitor("v", frozenset({role}))

    assert {permission for permission in Permission if visitor.may(permission)} == allowed


def test_unknown_visitor_is_asked_to_sign_in(sign_in: Any, published: queries.Publication) -> None:
    sign_in(OIDC, is_logged_in=False)
    at = AppTest.from_file(APP, default_timeout=30).run()

    assert_labelled(at)
    assert [button.label for button in at.button] == ["Sign in"]
    assert "FLAGGED" not in written(at)


def test_visitor_without_role_sees_nothing_and_is_noted(
    sign_in: Any, folder: Path, published: queries.Publication
) -> None:
    sign_in(OIDC, **token(groups=["kitchen"]))
    at = AppTest.from_file(APP, default_timeout=30).run()

    assert_labelled(at)
    assert at.title[0].value == "No access"
    assert list(entries(DatabaseFolder(folder), 10)["action"]) == [AccessKind.DENIED]


@pytest.mark.parametrize("page", ["worklist", "patient"])
def test_research_gets_no_page_of_patients(sign_in: Any, published: queries.Publication, page: str) -> None:
    sign_in(OIDC, **token(groups=["science"]))
    start = AppTest.from_file(APP, default_timeout=30).run()

    assert start.title[0].value == "Sweeps"
    with pytest.raises(ValueError, match=page):
        run_page(page, patient=example.FIRST.patient_id)


def test_trail_that_cannot_be_written_shows_no_patient(folder: Path, published: queries.Publication) -> None:
    (folder / "audit").write_text("a file where the folder should be")
    at = run_page("patient", patient="FLAGGED-1")

    assert "Without it no patient is shown" in at.error[0].value
    assert len(at.title) == 0
