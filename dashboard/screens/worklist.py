"""Who is likely osteoporotic and has had no DXA, in the order in which to look."""

import pandas as pd
import streamlit as st

from dashboard import queries, wording
from dashboard.rows import worklist as rows
from screening.labels import NOTICE

PATIENT_PAGE = "screens/patient.py"

COLUMNS = {
    "position": st.column_config.NumberColumn("#", width=40),
    "patient_id": st.column_config.TextColumn("Patient ID", width=110),
    "sex": st.column_config.TextColumn("Sex", width=50),
    "age_years": st.column_config.NumberColumn("Age (years)", help="At the CT, completed years", width=75),
    "study_date": st.column_config.DateColumn("CT", format="YYYY-MM-DD", width=90),
    "months_since_ct": st.column_config.NumberColumn("Since CT (months)", width=115),
    "bmd_cnn_g_cm2": st.column_config.NumberColumn(
        "BMD_CNN (g/cm²)", format="%.3f", help="Areal BMD estimated from CT, mean of the used levels", width=115
    ),
    "bmd_interval_90_g_cm2": st.column_config.TextColumn("90 % interval (g/cm²)", width=140),
    "t_score": st.column_config.NumberColumn(
        "T-score", format="%.2f", help="BMD_CNN against the named reference; not a DXA T-score", width=70
    ),
    "osteoporosis_probability_percent": st.column_config.ProgressColumn(
        "Probability T ≤ −2.5 (%)", format="%.0f", min_value=0, max_value=100, width=150
    ),
    "last_dxa": st.column_config.TextColumn("Last central DXA", width=140),
    "attenuation_hu": st.column_config.NumberColumn("Trabecular HU", format="%.0f", width=100),
    "levels": st.column_config.TextColumn("Levels used", width=100),
    "warnings": st.column_config.TextColumn("Warnings"),
    "institution_name": st.column_config.TextColumn("Institution"),
    "accession_number": st.column_config.TextColumn("Accession"),
    "reference": st.column_config.TextColumn("T-score reference"),
    "data_kind": st.column_config.TextColumn("Training data"),
    "study_instance_uid": None,
}


def show_headline(headline: queries.Headline) -> None:
    """Show the counts that put the list into proportion."""
    tiles = {
        "Flagged patients": (f"{headline.flagged_count:,}", "likely osteoporosis, no DXA"),
        "Measured patients": (f"{headline.measured_patient_count:,}", f"of {headline.patient_count:,} in the archive"),
        "Excluded studies": (
            f"{headline.excluded_study_count:,}",
            f"of {headline.study_count:,}; {headline.failed_study_count:,} failed",
        ),
        "Last sweep": (
            wording.day(headline.last_sweep_at),
            f"{wording.clock(headline.last_sweep_at)}, {headline.last_sweep_state}",
        ),
    }
    for column, (label, (value, context)) in zip(st.columns(4), tiles.items(), strict=True):
        column.metric(label, value, context, delta_color="off", delta_arrow="off", border=True)


def ask_worklist(published: queries.Publication, headline: queries.Headline) -> pd.DataFrame:
    """Return the flagged patients that the reader asks for."""
    search_field, sex_field, age_field = st.columns([2, 2, 3], gap="medium")
    search = search_field.text_input("Patient ID", placeholder="Any part of the ID")
    sexes = sex_field.pills(
        "Sex", list(wording.SEXES), selection_mode="multi", format_func=wording.SEXES.__getitem__,
        help="None chosen shows all",
    )  # fmt: skip
    limits = (headline.youngest_years or 0, headline.oldest_years or 1)
    youngest, oldest = age_field.slider("Age at CT (years)", *limits, limits)
    return rows.worklist(published, sexes or list(wording.SEXES), youngest, oldest, search)


def open_patient(patient_id: str, study_instance_uid: str | None = None) -> None:
    """Go to the page of the patient."""
    study = {"study": study_instance_uid} if study_instance_uid else {}
    st.switch_page(PATIENT_PAGE, query_params={"patient": patient_id, **study})


def show_list(shown: pd.DataFrame) -> None:
    """Show the list, open the patient of a selected row, and offer what is shown as CSV."""
    event = st.dataframe(
        shown, column_config=COLUMNS, hide_index=True, placeholder=wording.MISSING,
        on_select="rerun", selection_mode=["single-row", "single-cell"], key="flagged",
        alt="Flagged patients, most probable first",
    )  # fmt: skip
    selected = event.selection.rows or [row for row, _ in event.selection.cells]
    if selected:
        row = shown.iloc[selected[0]]
        open_patient(row["patient_id"], row["study_instance_uid"])
    st.download_button(
        "Download this list (CSV)",
        shown.assign(notice=NOTICE).to_csv(index=False),
        file_name="worklist.csv",
        mime="text/csv",
    )


if "patient" in st.query_params:
    open_patient(st.query_params["patient"], st.query_params.get("study"))
st.title("Worklist")
published = queries.publication()
headline = queries.headline(published)
if headline.study_count == 0:
    st.info("No study has been read yet. Run `screening sweep` to fill this list.")
    st.stop()
st.markdown(
    f"Likely osteoporosis by BMD_CNN at {headline.minimum_age_years} years or older, and no central DXA in the "
    f"{headline.look_back_months} months before {wording.day(headline.as_of_date)} nor since the CT. "
    "Select a row to see the evidence."
)
show_headline(headline)
if headline.flagged_count == 0:
    st.info("No patient is flagged. Not flagged does not mean normal: look a patient up on the page Patient.")
    st.stop()
shown = ask_worklist(published, headline)
if shown.empty:
    st.info("No flagged patient matches. Not flagged does not mean normal: look the patient up on the page Patient.")
    st.stop()
show_list(shown)
