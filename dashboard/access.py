"""Who is looking, what they may see and do, and the trail of what they saw."""

import hmac
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Final

import streamlit as st

from dashboard import queries
from screening.dashboard_settings import PERSON, Authentication, DashboardSettings, Role
from screening.errors import UserError
from screening.store.audit import Access, AccessKind, record

SETTINGS_VARIABLE: Final = "SCREENING_DASHBOARD"  # JSON of DashboardSettings, set by `screening dashboard`
LOCAL_PERSON: Final = "user of this machine"
_IN_VIEW: Final = "accesses in view"
_PAGE: Final = "page in view"
_SIGNED_IN: Final = "sign-in noted"
_LOOKS: Final = (AccessKind.LIST, AccessKind.VIEW, AccessKind.DENIED)


class Permission(Enum):
    """What a page asks for before it shows or does something."""

    SEE_PATIENTS = auto()
    REVIEW = auto()
    ASK_SQL = auto()  # of the pseudonymised copy, where TAKE_IDENTIFIED is not held as well
    TAKE_IDENTIFIED = auto()  # ask the publication itself in SQL, and take its tables whole
    SEE_AUDIT = auto()


PERMISSIONS: Final = {
    Role.VIEWER: {Permission.SEE_PATIENTS},
    Role.REVIEWER: {Permission.SEE_PATIENTS, Permission.REVIEW},
    Role.QUALITY: {
        Permission.SEE_PATIENTS,
        Permission.ASK_SQL,
        Permission.TAKE_IDENTIFIED,
        Permission.SEE_AUDIT,
    },
    Role.RESEARCH: {Permission.ASK_SQL},
}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who has signed in, or sits at this machine."""

    name: str
    roles: frozenset[Role]

    def may(self, permission: Permission) -> bool:
        """Tell whether one of the roles allows it."""
        return any(permission in PERMISSIONS[role] for role in self.roles)


def settings() -> DashboardSettings:
    """Return how the dashboard was started; on this machine alone where nothing says otherwise.

    Raises:
        UserError: the server listens elsewhere than the settings allow, as after `streamlit run` by hand.
    """
    given = os.environ.get(SETTINGS_VARIABLE)
    wanted = DashboardSettings.model_validate_json(given) if given else DashboardSettings()
    if wanted.authentication is Authentication.NONE and st.get_option("server.address") != wanted.address:
        raise UserError(
            "The dashboard listens on other addresses than this machine's, without sign-in. "
            "Start it with `screening dashboard`."
        )
    return wanted


def visitor() -> Visitor | None:
    """Return who is looking, or None where nobody has signed in yet.

    Raises:
        UserError: the request did not come through the proxy, or the server is not closed as its settings say.
    """
    door = settings()
    if door.authentication is Authentication.NONE:
        return Visitor(LOCAL_PERSON, frozenset({Role.VIEWER, Role.REVIEWER, Role.QUALITY}))
    user = st.user.to_dict()
    if door.authentication is Authentication.PROXY:
        return _from_proxy(door, user)
    if not user.get("is_logged_in") or _expired(door, user):
        return None
    return _known(door, user.get(door.name_claim), user.get(door.groups_claim))


def permitted(permission: Permission) -> bool:
    """Tell whether whoever is looking may do this."""
    current = visitor()
    return current is not None and current.may(permission)


def leave_trail(
    action: AccessKind, *, patient_id: str | None = None, study_instance_uid: str | None = None,
    row_count: int | None = None, detail: str = "",
) -> None:  # fmt: skip
    """Enter what was seen into the audit trail, once as long as it stays in view.

    Raises:
        UserError: the trail cannot be written; nothing may be shown then.
    """
    access = _access(action, patient_id, study_instance_uid, row_count, detail)
    in_view: dict[tuple[AccessKind, str], Access] = st.session_state.setdefault(_IN_VIEW, {})
    if action in _LOOKS and in_view.get((action, detail)) == access:
        return
    record(queries.database_folder(), access)
    in_view[action, detail] = access


def turn_to(page: str) -> bool:
    """Forget what was in view when another page comes: who comes back looks again.

    Returns whether it is the first page of the session.
    """
    first = _PAGE not in st.session_state
    if st.session_state.get(_PAGE) != page:
        st.session_state[_PAGE] = page
        st.session_state.pop(_IN_VIEW, None)
    return first


def note_sign_in() -> None:
    """Enter the sign-in into the audit trail, once a session."""
    if _SIGNED_IN not in st.session_state:
        leave_trail(AccessKind.SIGN_IN)
        st.session_state[_SIGNED_IN] = True


def traced(
    make: Callable[[], bytes], action: AccessKind, *, row_count: int | None = None, detail: str = ""
) -> Callable[[], bytes]:
    """Return `make` with an entry in the audit trail before it, for a file that is made when somebody asks for it."""
    place, access = queries.database_folder(), _access(action, None, None, row_count, detail)

    def made() -> bytes:
        record(place, access)
        return make()

    return made


def _access(
    action: AccessKind, patient_id: str | None, study_instance_uid: str | None, row_count: int | None, detail: str
) -> Access:
    current = visitor()
    if current is None:
        raise UserError("Sign in first.")
    return Access(current.name, tuple(sorted(current.roles)), action, patient_id, study_instance_uid, row_count, detail)


def _from_proxy(door: DashboardSettings, user: Mapping[str, object]) -> Visitor:
    """Believe the headers of the proxy.

    Raises:
        UserError: they are not the proxy's, or name nobody.
    """
    if door.proxy_secret is not None:
        expected = Path(door.proxy_secret).read_text(encoding="utf-8").strip()
        given = str(user.get("proxy_secret") or "")
        if not hmac.compare_digest(expected.encode(), given.encode()):
            raise UserError("This request did not come through the sign-in of the hospital.")
    if not user.get("person"):
        raise UserError(f"The proxy names nobody: it must send the header {door.name_header}.")
    return _known(door, user["person"], str(user.get("groups") or "").split(","))


def _known(door: DashboardSettings, name: object, groups: object) -> Visitor:
    """Give a person the roles of their groups.

    Raises:
        UserError: the sign-in service does not name the person.
    """
    if not isinstance(name, str) or not name:
        raise UserError(f"The sign-in service names nobody: its token must hold the claim {door.name_claim}.")
    listed = groups if isinstance(groups, list) else [groups]
    belongs = {str(group).strip() for group in listed if group} | {f"{PERSON}{name}"}
    return Visitor(name, frozenset(role for role, members in door.roles.items() if belongs & set(members)))


def _expired(door: DashboardSettings, user: Mapping[str, object]) -> bool:
    """Tell whether the sign-in (claim iat) is too long ago; Streamlit's own cookie would last 30 days."""
    since = user.get("iat")
    return not isinstance(since, int | float) or time.time() > since + door.session_hours * 3600
