"""The dashboard: its door, its pages, the labels on each, and the one place where a mistake becomes a sentence.

The folder of the pages must not be called `pages`: beside the main script Streamlit takes such a folder for its older
kind of app and opens a deep link to a page without this file, so without its labels and without its door.
"""

from pathlib import Path
from typing import Final

import streamlit as st

from dashboard import access, queries, wording
from dashboard.access import Permission, Visitor
from screening.dashboard_settings import Authentication
from screening.errors import UserError
from screening.labels import NOTICE, SIMULATED_NOTICE
from screening.store.audit import AccessKind

ICON: Final = str(Path(__file__).parent / "icon.png")  # without a local file the browser asks a font server for one
# Streamlit leaves six empty lines above the first element, made for a toolbar that this page does not have, and cuts
# off the words of a narrow tile, as on a tablet: an interval without its end is worse than a second line.
# White words on the light blue of the dark theme would have a contrast of 2.3 to 1; on this blue it is 5.2 to 1.
STYLE: Final = """
.stMainBlockContainer {padding-top: 4.5rem; padding-bottom: 3rem}
[data-testid="stMetric"] :is(p, div) {white-space: normal; overflow: visible; text-overflow: clip}
@media (max-width: 1000px) {[data-testid="stMetricValue"] {font-size: 1.5rem}}
[data-testid^="stBaseButton-primary"]:enabled {background-color: #0072b2; border-color: #0072b2}
"""
LOOK_AGAIN_S: Final = 20  # a new publication is told of after so many seconds

# Address -> title, and what a visitor must be allowed to for it; the first that is allowed is the start page.
PAGES: Final = {
    "worklist": ("Worklist", Permission.SEE_PATIENTS),
    "patient": ("Patient", Permission.SEE_PATIENTS),
    "sweeps": ("Sweeps", None),
    "validation": ("Validation", None),
    "drift": ("Drift", None),
    "data": ("Data", None),
}
# Whoever arrives with one of these in the address of the start page wants to see a patient.
NAMES_A_PATIENT: Final = {"patient", "study"}


def sign_in() -> None:
    """Ask an unknown visitor to sign in; nothing of the database is on this page."""
    st.title("CT bone density screening")
    st.markdown("Sign in to see anything.")
    if st.button("Sign in", type="primary"):
        st.login()


def no_role(visitor: Visitor) -> None:
    """Tell somebody who may not look so."""
    access.leave_trail(AccessKind.DENIED)
    st.title("No access")
    st.warning(f"{wording.verbatim(visitor.name)} has signed in and has no role here. Ask the quality team for one.")
    sign_out()


def refused() -> None:
    """Stand in for a page that the visitor may not see."""
    access.leave_trail(AccessKind.DENIED, detail="page of patients")
    st.title("No access")
    st.warning("Your role does not show this page.")


def sign_out() -> None:
    """Offer to sign out where somebody has signed in here."""
    if access.settings().authentication is Authentication.OIDC and st.button("Sign out"):
        st.logout()


def navigation(visitor: Visitor) -> None:
    """Run the page of the address; one that is not allowed says so instead."""
    allowed = [name for name, (_, needed) in PAGES.items() if needed is None or visitor.may(needed)]
    pages = {
        name: st.Page(f"screens/{name}.py", title=title, url_path=name, default=name == allowed[0])
        if name in allowed
        else st.Page(refused, title=title, url_path=name, visibility="hidden")
        for name, (title, _) in PAGES.items()
    }
    page = st.navigation(list(pages.values()), position="top")
    named = {name: st.query_params[name] for name in NAMES_A_PATIENT & set(st.query_params)}
    if access.turn_to(page.url_path) and page.url_path == "" and named:
        st.switch_page(pages["patient"], query_params=named)
    page.run()


@st.fragment(run_every=LOOK_AGAIN_S)
def tell_of_news(shown: queries.Publication) -> None:
    """Offer the newest results to a page that was opened before they were published."""
    if queries.publication() != shown and st.button("New results were published. Show them", type="primary"):
        st.rerun()


def open_door() -> None:
    """Show the page to whom it is for, under its labels."""
    visitor = access.visitor()
    if visitor is None:
        everywhere = [st.Page(sign_in, title="Sign in", url_path=name, default=name == "worklist") for name in PAGES]
        st.navigation(everywhere, position="hidden").run()
        return
    if not visitor.roles:
        st.navigation([st.Page(lambda: no_role(visitor), title="No access")]).run()
        return
    access.note_sign_in()
    published = queries.publication()
    simulated = f":orange-badge[{SIMULATED_NOTICE}] " if queries.headline(published).simulated else ""
    labels.markdown(f"{simulated}:small[{NOTICE}]")
    tell_of_news(published)
    navigation(visitor)
    sign_out()


st.set_page_config(
    page_title="CT bone density screening",
    page_icon=ICON,
    layout="wide",
    menu_items={"About": f"{NOTICE} {SIMULATED_NOTICE}."},
)
st.logo(ICON, size="large")
st.html(f"<style>{STYLE}</style>")
labels = st.empty()
labels.markdown(f":small[{NOTICE}]")
try:
    open_door()
except UserError as mistake:
    st.error(str(mistake))
