"""Who is likely osteoporotic and has had no DXA, in the order in which to look."""

import math
from io import BytesIO
from typing import Any

import pyarrow as pa
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import access, exports, queries, wording, workbook
from dashboard.rows import worklist as rows
from screening.store.audit import AccessKind

PATIENT_PAGE = "screens/patient.py"
TALL_PX, ROWS_OF_TALL = 560, 15  # a table of more rows scrolls within this height
WAITING = ("open", "reopened")

CLICKED = "clicked patient"
TABLE = "flagged"
LISTED = "patients of the rows"

COLUMNS: dict[str, Any] = {
    "position": st.column_config.NumberColumn("#", width=45, help="Place in the list; stays when it is narrowed"),
    "patient_id": st.column_config.ButtonColumn(
        "Patient ID", width=120, type="tertiary", alignment="left", key=CLICKED, help="Click to see the evidence"
    ),
    "sex": st.column_config.TextColumn("Sex", width=50),
    "age_years": st.column_config.NumberColumn("Age at CT", help="Completed years", width=80),
    "study_date": st.column_config.DateColumn("CT", format="YYYY-MM-DD", width=90),
    "months_since_ct": st.column_config.NumberColumn("Months", help="Full months since the CT", width=65),
    "bmd_cnn_g_cm2": st.column_config.NumberColumn(
        "BMD (g/cm²)", format="%.3f", help="BMD_CNN: areal BMD estimated from CT, mean of the used levels", width=95
    ),
    "interval_bar": st.column_config.ImageColumn(
        "90 % interval",
        help="BMD_CNN with its 90 % prediction interval from 0.3 to 1.3 g/cm²; dashed: the border of osteoporosis",
        width=150,
    ),
    "t_score": st.column_config.NumberColumn(
        "T-score", format="%.2f", help="BMD_CNN against the named reference; not a DXA T-score", width=65
    ),
    "osteoporosis_probability_percent": st.column_config.ProgressColumn(
        "Probability (%)",
        format="%.0f",
        min_value=0,
        max_value=100,
        width=120,
        help="Probability of osteoporosis by BMD: that it is at or below the border of osteoporosis",
    ),
    "possible_fracture": st.column_config.TextColumn(
        "Fracture?", help="Levels with height loss: a possible vertebral fracture, left out of BMD_CNN", width=75
    ),
    "last_dxa": st.column_config.TextColumn("Last central DXA", width=130),
    "state": st.column_config.SelectboxColumn(
        "State", options=list(wording.STATES), format_func=lambda state: wording.STATES[str(state)], width=110
    ),
    "institution_name": st.column_config.TextColumn("Site", width=120),
    "warnings": st.column_config.TextColumn("Warnings", width=160),
    "bmd_interval_90_g_cm2": st.column_config.TextColumn("90 % interval (g/cm²)"),
    "attenuation_hu": st.column_config.NumberColumn("Trabecular HU", format="%.0f"),
    "levels": st.column_config.TextColumn("Levels used"),
    "defer_until": st.column_config.DateColumn("Deferred until", format="YYYY-MM-DD"),
    "reviewer": st.column_config.TextColumn("Decided by"),
    "accession_number": st.column_config.TextColumn("Accession"),
    "reference": st.column_config.TextColumn("T-score reference"),
    "data_kind": st.column_config.TextColumn("Training data"),
    "study_key": None,
}


def show_headline(headline: queries.Headline, summary: rows.Summary) -> None:
    """Show the counts that put the list into proportion."""
    tiles = {
        "Waiting for a decision": (f"{summary.open_count:,}", "likely osteoporosis, no DXA"),
        "Measured patients": (f"{headline.measured_patient_count:,}", f"of {headline.patient_count:,} in the archive"),
        "Excluded studies": (
            f"{headline.excluded_study_count:,}",
            f"of {headline.study_count:,}; {headline.failed_study_count:,} failed",
        ),
        "Last sweep": (
            wording.day(headline.last_sweep_at),
            f"{wording.clock(headline.last_sweep_at)}, {headline.last_sweep_state}"
            if headline.last_sweep_at is not None
            else "none on record",
        ),
    }
    for column, (label, (value, context)) in zip(st.columns(4), tiles.items(), strict=True):
        column.metric(label, value, context, delta_color="off", delta_arrow="off", border=True)


def ask_band(place: DeltaGenerator) -> str:
    """Return the band to list; the indeterminate are not flagged, and listed on request alone."""
    chosen: str = place.segmented_control(
        "Band", list(wording.LISTED_BANDS), default="likely", format_func=wording.LISTED_BANDS.__getitem__,
        required=True, key="band", bind="query-params", wrap=True,
    )  # fmt: skip
    return chosen


def ask(band: str, state_place: DeltaGenerator, summary: rows.Summary) -> rows.Asked:
    """Return what the reader asks for; all of it but the search for an ID stands in the address."""
    states = state_place.pills(
        "State", list(wording.STATES), selection_mode="multi", default=WAITING, key="state", bind="query-params",
        format_func=wording.STATES.__getitem__, wrap=True,
        help="By the newest decision about the CT; none chosen shows all",
    )  # fmt: skip
    counts = summary.state_counts
    told = [f"{words} {counts[state]:,}" for state, words in wording.STATES.items() if state in counts]
    state_place.caption(" · ".join(told))
    search_place, site_place, sex_place, age_place, months_place = st.columns([3, 3, 3, 4, 4], gap="medium")
    search = search_place.text_input("Patient ID", placeholder="Part of it")
    sites = site_place.multiselect("Site", summary.sites, key="site", bind="query-params", placeholder="All")
    sexes = sex_place.multiselect(
        "Sex", list(wording.SEXES), format_func=wording.SEXES.__getitem__, key="sex", bind="query-params",
        placeholder="All",
    )  # fmt: skip
    whole_ages = (summary.youngest_years, max(summary.oldest_years, summary.youngest_years + 1))
    ages = age_place.slider("Age at CT (years)", *whole_ages, whole_ages, key="age", bind="query-params")
    whole_months = (summary.newest_months, max(summary.oldest_months, summary.newest_months + 1))
    months = months_place.slider("Months since CT", *whole_months, whole_months, key="months", bind="query-params")
    return rows.Asked(band, tuple(states), tuple(sexes), tuple(sites), ages, months, search)


def open_patient(address: dict[str, str]) -> None:
    """Go to the page of the patient."""
    st.switch_page(PATIENT_PAGE, query_params=address)


def open_clicked() -> None:
    """Open the patient that was clicked on or selected, by the list as it stood then: meanwhile it may have changed."""
    clicked, selected = st.session_state.get(CLICKED), st.session_state.get(TABLE)
    rows_met = [clicked.row] if clicked else selected.selection.rows if selected else []
    listed: list[str] = st.session_state.get(LISTED, [])
    if rows_met and rows_met[0] < len(listed):
        open_patient({"study": listed[rows_met[0]]})


def show_list(shown: pa.Table) -> None:
    """Show the list, and remember whom each row is about."""
    st.session_state[LISTED] = shown.column("study_key").to_pylist()
    st.dataframe(
        shown, column_config=COLUMNS, hide_index=True, placeholder=wording.MISSING,
        height=TALL_PX if len(shown) > ROWS_OF_TALL else "auto",
        on_select="rerun", selection_mode="single-row", key=TABLE,
        alt="Patients of the list, most probable first", column_order=list(COLUMNS),
    )  # fmt: skip


def ask_page(place: DeltaGenerator, row_count: int) -> int:
    """Return the page of a long list, from 1."""
    page_count = math.ceil(row_count / rows.PAGE_ROWS)
    if page_count == 1:
        return 1
    return int(place.pagination(page_count, key="page"))


def whole_list(published: queries.Publication, asked: rows.Asked) -> pa.Table:
    """Ask for all pages of the list."""
    with rows.found(published, asked) as found:
        return found.whole()


def offer_files(published: queries.Publication, asked: rows.Asked, row_count: int) -> None:
    """Offer all pages of the list as files that carry their labels."""
    headline = queries.headline(published)
    labels = queries.labels(published)
    notes = [
        *labels,
        f"Published {wording.moment(headline.published_at)}; list as of {wording.day(headline.as_of_date)}.",
        f"Asked for: {asked}",
        "bmd_cnn_g_cm2: areal BMD estimated from CT by BMD_CNN, g/cm2. Not a DXA.",
    ]

    def csv() -> bytes:
        file = BytesIO()
        table = whole_list(published, asked)
        exports.write_csv([table.append_column("notice", pa.array([" ".join(labels)] * len(table)))], file)
        return file.getvalue()

    def xlsx() -> bytes:
        file = BytesIO()
        scratch = queries.database_folder().working.parent
        exports.write_xlsx([whole_list(published, asked)], file, sheet="Worklist", notes=notes, scratch=scratch)
        return file.getvalue()

    too_long = row_count > workbook.MOST_ROWS
    files = st.container(horizontal=True)
    for name, kind, make in (("worklist.csv", exports.CSV_TYPE, csv), ("worklist.xlsx", exports.XLSX_TYPE, xlsx)):
        data = access.traced(make, AccessKind.DOWNLOAD, row_count=row_count, detail=f"{name}: {asked}")
        label = f"Download this list ({name.rpartition('.')[2].upper()})"
        files.download_button(label, data, name, kind, disabled=too_long and make is xlsx)
    if too_long:
        st.caption(f"An Excel workbook has {workbook.MOST_ROWS:,} rows at most: take CSV.")


open_clicked()
st.title("Worklist")
published = queries.publication()
headline = queries.headline(published)
if headline.study_count == 0:
    st.info("No study has been read yet. Run `screening sweep` to fill this list.")
    st.stop()
st.markdown(
    f"Likely osteoporosis by BMD_CNN at {headline.minimum_age_years} years or older, and no central DXA in the "
    f"{headline.look_back_months} months before {wording.day(headline.as_of_date)} nor since the CT. "
    "Click on a patient ID to see the evidence."
)
tiles = st.container()
band_place, state_place = st.columns([2, 5], gap="medium")
band = ask_band(band_place)
summary = rows.summary(published, band=band)
with tiles:
    show_headline(headline, rows.summary(published))
if not summary.state_counts:
    st.info("No patient is on this list. Not flagged does not mean normal: look a patient up on the page Patient.")
    st.stop()
asked = ask(band, state_place, summary)
if band != "likely":
    st.info(
        "These patients are not flagged: the interval of their BMD_CNN reaches the border of osteoporosis. "
        "That does not mean normal."
    )
with rows.found(published, asked) as found:
    row_count = found.count()
    if row_count == 0:
        st.info(
            "No patient of the list matches. Not flagged does not mean normal: look the patient up on the page Patient."
        )
        st.stop()
    count_place, page_place = st.columns([2, 5], gap="medium", vertical_alignment="center")
    count_place.caption(wording.counted(row_count, "patient"))
    page = ask_page(page_place, row_count)
    shown = found.page(page)
access.leave_trail(AccessKind.LIST, row_count=len(shown), detail=f"worklist page {page}: {asked}")
show_list(shown)
offer_files(published, asked, row_count)
