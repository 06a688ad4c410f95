"""What the database holds, what its words mean, and its rows: to take along, or to ask in SQL."""

import streamlit as st

from dashboard import access, queries
from dashboard.access import Permission
from dashboard.parts import data_meaning, data_taking
from dashboard.rows import data as rows

PARTS = {
    "dictionary": "Dictionary",
    "definitions": "Definitions",
    "model": "Model card",
    "downloads": "Downloads",
    "sql": "SQL",
    "audit": "Audit",
}
NEEDED = {"sql": Permission.ASK_SQL, "audit": Permission.SEE_AUDIT}

# The dictionary has no rows; whoever may not take identified rows takes those of the pseudonymised copy.
NAMES_PATIENTS = {
    "dictionary": Permission.SEE_PATIENTS,
    "downloads": Permission.TAKE_IDENTIFIED,
    "sql": Permission.TAKE_IDENTIFIED,
}


def ask_part() -> str:
    """Return the part of the page that the address names."""
    allowed = [part for part in PARTS if part not in NEEDED or access.permitted(NEEDED[part])]
    chosen: str = st.segmented_control(
        "Part", allowed, default=allowed[0], format_func=PARTS.__getitem__, required=True, key="part",
        bind="query-params", label_visibility="collapsed", wrap=True,
    )  # fmt: skip
    return chosen


st.title("Data")
published = queries.publication()
part = ask_part()
if part == "audit":
    data_taking.show_audit()
elif part == "model":
    data_meaning.show_model_card(published)
elif part == "definitions":
    data_meaning.show_definitions(published)
else:
    with st.spinner("Opening the database"):
        asked = rows.source(published, identified=access.permitted(NAMES_PATIENTS[part]))
    {
        "dictionary": data_meaning.show_dictionary,
        "downloads": data_taking.show_downloads,
        "sql": data_taking.show_console,
    }[part](asked)
