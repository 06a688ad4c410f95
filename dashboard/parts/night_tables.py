"""The tables of the page of sweeps: titles with units, widths, and a name for screen readers."""

from collections.abc import Mapping

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard import wording

STUDY_LINK = st.column_config.LinkColumn("Study", display_text="Open", width=60)
STUDY_DATE = st.column_config.DateColumn("Study date", format="YYYY-MM-DD", width=90)

FAILURE_COLUMNS = {
    "study_date": STUDY_DATE,
    "study_description": st.column_config.TextColumn("Description", width=170),
    "accession_number": st.column_config.TextColumn("Accession", width=110),
    "patient_page": STUDY_LINK,
    "stage": st.column_config.TextColumn("Broke in", width=190),
    "reason": st.column_config.TextColumn("Exception", width=120),
    "detail": st.column_config.TextColumn("Detail", width=220),
    "read_at": st.column_config.DatetimeColumn("Read (UTC)", format="YYYY-MM-DD HH:mm", width=125),
    "study_instance_uid": st.column_config.TextColumn("Study Instance UID"),
}
COUNT_COLUMNS = {
    "stage": st.column_config.TextColumn("Broke in", width=220),
    "reason": st.column_config.TextColumn("Reason", width=280),
    "study_count": st.column_config.NumberColumn("Studies", format="localized", width=80),
}
REASON_COLUMNS = {
    "reason": st.column_config.TextColumn("Reason", width=420),
    "study_count": st.column_config.NumberColumn("Patients", format="localized", width=80),
}
NIGHT_COLUMNS = {
    "sweep_id": st.column_config.NumberColumn("Sweep", width=60),
    "started_at": st.column_config.DatetimeColumn("Start (UTC)", format="YYYY-MM-DD HH:mm", width=125),
    "state": st.column_config.TextColumn("State", width=90),
    "duration_hours": st.column_config.NumberColumn("Duration (h)", format="%.1f", width=80),
    "study_found_count": st.column_config.NumberColumn(
        "Found", format="localized", width=75, help="Studies in the archive"
    ),
    "study_read_count": st.column_config.NumberColumn("Read", format="localized", width=70),
    "measured_count": st.column_config.NumberColumn("Measured", format="localized", width=80),
    "excluded_count": st.column_config.NumberColumn("Excluded", format="localized", width=80),
    "failed_count": st.column_config.NumberColumn("Failed", format="localized", width=70),
    "failed_share_percent": st.column_config.NumberColumn("Failed (%)", format="%.1f", width=80),
    "studies_per_hour": st.column_config.NumberColumn("Speed (1/h)", format="%.0f", width=85),
    "study_pending_count": st.column_config.NumberColumn(
        "Wait", format="localized", width=60, help="Studies without a result yet"
    ),
    "file_found_count": st.column_config.NumberColumn("Files found", format="localized", width=85),
    "software_version": st.column_config.TextColumn("Software", width=70),
    "checkpoint_name": st.column_config.TextColumn("Checkpoint"),
}
BOOK_COLUMNS = {
    "bucket": st.column_config.TextColumn("Found, or what became of them", width=225),
    "item_count": st.column_config.NumberColumn("Count", format="localized", width=80),
    "reason": st.column_config.TextColumn("Reason", width=185),
}
FLOW_COLUMNS = {
    "study_count": st.column_config.NumberColumn("Studies", format="localized", width=70),
    "reason": st.column_config.TextColumn("Reason", width=200),
    "stage": st.column_config.TextColumn("Did not get to", width=150),
}
PROBLEM_COLUMNS = {
    "reason": st.column_config.TextColumn("Reason", width=180),
    "file_count": st.column_config.NumberColumn("Files", format="localized", width=90),
    "size_mb": st.column_config.NumberColumn("Size (MB)", format="%.1f", width=90),
    "last_found_at": st.column_config.DatetimeColumn("Last looked at (UTC)", format="YYYY-MM-DD HH:mm", width=150),
}
FILE_COLUMNS = {
    "path": st.column_config.TextColumn("Path", width=560),
    "detail": st.column_config.TextColumn("Detail", width=160),
    "size_mb": st.column_config.NumberColumn("Size (MB)", format="%.3f", width=90),
    "found_at": st.column_config.DatetimeColumn("Looked at (UTC)", format="YYYY-MM-DD HH:mm", width=130),
}
FLAG_COLUMNS = {
    "patient_id": st.column_config.TextColumn("Patient ID", width=130),
    "patient_page": STUDY_LINK,
    "study_date": STUDY_DATE,
    "t_score": st.column_config.NumberColumn("T-score", format="%.2f", width=70, help="BMD_CNN; not a DXA T-score"),
    "osteoporosis_probability_percent": st.column_config.NumberColumn(
        "Probability of osteoporosis (%)", format="%.0f", width=110
    ),
    "why": st.column_config.TextColumn("Why", width=420),
}
FAILURE_CHANGE_COLUMNS = {
    "study_date": STUDY_DATE,
    "accession_number": st.column_config.TextColumn("Accession", width=110),
    "patient_page": STUDY_LINK,
    "stage": st.column_config.TextColumn("Broke in", width=190),
    "status": st.column_config.TextColumn("Now", width=100),
    "reason": st.column_config.TextColumn("Reason", width=260),
}


def show_table(frame: pd.DataFrame, columns: Mapping[str, ColumnConfig], name: str) -> None:
    """Show rows as a table that has a name for screen readers."""
    shown = [column for column in columns if column in frame.columns]
    st.dataframe(
        frame[shown], column_config=columns, hide_index=True, placeholder=wording.MISSING, alt=name, lazy=True
    )  # fmt: skip
