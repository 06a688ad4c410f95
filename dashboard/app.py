"""The dashboard: pages, the labels that stand on each, and the one place where a mistake becomes a sentence.

The folder of the pages must not be called `pages`: beside the main script Streamlit takes such a folder for its older
kind of app and opens a deep link to a page without this file, so without its labels.
"""

from pathlib import Path

import streamlit as st

from dashboard import queries
from screening.errors import UserError
from screening.labels import NOTICE, SIMULATED_NOTICE

ICON = str(Path(__file__).parent / "icon.png")  # without a local file the browser asks a font server for one

st.set_page_config(
    page_title="CT bone density screening",
    page_icon=ICON,
    layout="wide",
    menu_items={"About": f"{NOTICE} {SIMULATED_NOTICE}."},
)
page = st.navigation(
    [
        st.Page("screens/worklist.py", title="Worklist", default=True),
        st.Page("screens/patient.py", title="Patient", url_path="patient"),
    ],
    position="top",
)
st.logo(ICON, size="large")
# Streamlit leaves six empty lines above the first element, made for a toolbar that this page does not have.
st.html("<style>.stMainBlockContainer {padding-top: 4.5rem; padding-bottom: 3rem}</style>")
labels = st.empty()
labels.markdown(f":small[{NOTICE}]")
try:
    if queries.headline(queries.publication()).simulated:
        labels.markdown(f":orange-badge[{SIMULATED_NOTICE}] :small[{NOTICE}]")
    page.run()
except UserError as mistake:
    st.error(str(mistake))
