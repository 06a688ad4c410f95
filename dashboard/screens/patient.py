"""One patient: the evidence, the numbers, why flagged or not, what was decided, and where every number comes from."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import access, queries, wording
from dashboard.parts.evidence import (
    show_levels,
    show_numbers,
    show_picture,
    show_provenance,
    show_table,
    show_warnings,
)
from dashboard.parts.review import show_review
from dashboard.rows import patient as rows
from dashboard.rows import worklist
from screening.store.audit import AccessKind

DXA_COLUMNS = {
    "dxa_date": st.column_config.DateColumn("Date", format="YYYY-MM-DD"),
    "region": "Region",
    "bmd_dxa": st.column_config.NumberColumn("BMD (g/cm²)", format="%.3f"),
    "t_score": st.column_config.NumberColumn("T-score", format="%.1f"),
    "manufacturer": "Manufacturer",
    "source_file": "Source",
}

WITHOUT_RESULT_COLUMNS = {
    "study_date": st.column_config.DateColumn("Study", format="YYYY-MM-DD"),
    "status": "Status",
    "reason": "Reason",
    "detail": "Measured facts",
    "stage": "Stage",
    "study_description": "Description",
    "accession_number": "Accession",
    "study_instance_uid": "Study Instance UID",
}

SERIES_COLUMNS = {
    "study_date": st.column_config.DateColumn("Study", format="YYYY-MM-DD"),
    "modality": "Modality",
    "series_description": "Description",
    "acquisition": st.column_config.TextColumn("Acquisition", help="Where one series holds several"),
    "instance_count": "Slices",
    "slice_thickness_mm": st.column_config.NumberColumn("Thickness (mm)", format="%.2f"),
    "kvp_kv": st.column_config.NumberColumn("kVp (kV)", format="%.0f"),
    "convolution_kernel": "Kernel",
    "chosen": st.column_config.CheckboxColumn("Measured"),
    "reason": "Why not",
    "detail": "Measured facts",
}


def named_by_address(published: queries.Publication) -> rows.Named | None:
    """Return the patient and study of the address; a patient ID in it is replaced by the key of a study at once."""
    asked = st.query_params.get("study")
    if "patient" in st.query_params:
        asked = asked or rows.study_key_of(published, st.query_params["patient"])
        del st.query_params["patient"]
        if asked is None:
            st.warning("No patient of the archive has this ID.")
            return None
    if asked is None:
        return None
    named = rows.named_by_study(published, asked)
    if named is None:
        st.warning("No study of the archive has this key.")
        return None
    if st.query_params.get("study") != named.study_key:
        st.query_params["study"] = named.study_key
    return named


def forget_patient() -> None:
    """Let a new search win over the patient of the address."""
    st.query_params.clear()


def ask_patient(published: queries.Publication) -> rows.Named | None:
    """Return the patient of the address, else the one that the search finds."""
    search = st.text_input(
        "Find a patient", placeholder="Part of the patient ID, or an accession number", on_change=forget_patient
    )
    if set(st.query_params) & {"patient", "study"}:
        return named_by_address(published)
    if not search.strip():
        st.info("Look up any patient of the archive, flagged or not, or select a row of the worklist.")
        return None
    found = rows.find_patients(published, search)
    if found.empty:
        st.warning("No patient of the archive matches.")
        return None
    access.leave_trail(AccessKind.LIST, row_count=len(found), detail=f"search: {search.strip()}")
    patient_id = found["patient_id"].iloc[0] if len(found) == 1 else choose_patient(found)
    key = rows.study_key_of(published, patient_id) if patient_id is not None else None
    if key is None:
        return None
    if len(found) == 1:
        st.query_params["study"] = key
    return rows.named_by_study(published, key)


def choose_patient(found: pd.DataFrame) -> str | None:
    """Offer the patients that match with their standing."""
    standing = dict(zip(found["patient_id"], found["standing"], strict=True))
    chosen: str | None = st.selectbox(
        f"{found['match_count'].iloc[0]:,} patients match",
        list(standing),
        index=None,
        format_func=lambda patient_id: f"{patient_id} ({standing[patient_id]})",
        placeholder="Choose one (the first 50 are listed)",
    )
    return chosen


def choose_result(record: rows.PatientRecord, named: rows.Named, *, by_address: bool) -> dict[str, Any] | None:
    """Return the study of the address, the newest by default; offer the others where there are several."""
    result = record.result(named.study_instance_uid)
    if by_address and result and result["study_instance_uid"] != named.study_instance_uid:
        st.warning("The study asked for has no BMD_CNN; shown is the newest measured one.")
    if result is None or len(record.results) == 1:
        return result
    dates = dict(zip(record.results["study_key"], record.results["study_date"], strict=True))
    chosen = st.segmented_control(
        "Measured CT (the worklist judges the newest)",
        list(dates),
        default=result["study_key"],
        format_func=lambda key: wording.day(dates[key]),
        required=True,
    )
    uids = dict(zip(record.results["study_key"], record.results["study_instance_uid"], strict=True))
    return record.result(uids[chosen])


def badge(record: rows.PatientRecord) -> str:
    """Say in a word or two where the patient stands."""
    standing = record.standing
    if not record.patient["measured"]:
        return ":gray-badge[No BMD\\_CNN]"
    if standing["listed"] and not standing["open"]:
        return f":blue-badge[{wording.LISTED_BANDS[standing['band']]}: {wording.STATES[standing['state']]}]"
    if standing["flagged"]:
        return ":red-badge[Flagged]"
    return ":orange-badge[Indeterminate, not flagged]" if standing["listed"] else ":gray-badge[Not flagged]"


def show_header(record: rows.PatientRecord, result: dict[str, Any] | None) -> None:
    """Show who this is and where the patient stands."""
    patient, standing = record.patient, record.standing
    st.title(f"Patient {wording.verbatim(patient['patient_id'])}")
    facts = [
        badge(record),
        wording.SEXES[patient["sex"] or "unknown"],
        f"born {wording.day(patient['birth_date'])}",
    ]
    if standing.get("listed"):
        months = wording.number(standing["months_since_ct"], ".0f")
        facts.insert(1, f"CT {months} months ago")
    if result is not None:
        facts += [
            f"CT {wording.day(result['study_date'])} at {wording.number(result['age_years'], '.0f')} years",
            wording.verbatim(result["institution_name"]),
            f"accession {wording.verbatim(result['accession_number'])}",
        ]
    st.markdown(" · ".join(facts))
    if patient["identity_conflict"]:
        st.warning(
            "Studies under this patient ID disagree in sex, birth date or issuer: they may be of different people."
        )


def show_criteria(standing: dict[str, Any], headline: queries.Headline) -> None:
    """Show each criterion of the care gap with its answer."""
    limits = {
        "minimum_age_years": headline.minimum_age_years,
        "look_back_months": headline.look_back_months,
        "as_of_date": wording.day(headline.as_of_date),
    }
    closed = standing["likely_osteoporosis"] and standing["listed"] and not standing["open"]
    st.subheader("Why flagged" if standing["flagged"] else "Closed by a reviewer" if closed else "Why not flagged")
    answers = {True: ":blue-badge[met]", False: ":orange-badge[not met]", None: ":gray-badge[not known]"}
    unasked = {
        column: ":gray-badge[no list imported]" for column in wording.CRITERIA_BY_LIST if standing[column] is None
    }
    st.markdown(
        "\n".join(
            f"- {unasked.get(column) or answers[standing[column]]} {wording.criterion(column, limits)}"
            for column in wording.CRITERIA
        )
    )
    if not standing["flagged"]:
        st.caption("Not flagged does not mean normal.")


def show_dxa(dxa: pd.DataFrame) -> None:
    """Show every DXA of the patient, or that there is none."""
    st.subheader("DXA")
    if dxa.empty:
        st.markdown("**No DXA on record**")
        return
    show_table(dxa, DXA_COLUMNS, "DXA results")


def show_without_result(published: queries.Publication, patient_id: str) -> None:
    """Show the studies that were excluded, failed or not read yet, and the reasons of their series."""
    st.subheader("Studies without BMD_CNN")
    studies = rows.without_result(published, patient_id)
    if studies.empty:
        st.markdown("None: every study of this patient was measured.")
    else:
        worded = studies.assign(
            status=studies["status"].map(wording.STATUSES),
            reason=studies["reason"].map(wording.reason, na_action="ignore"),
        )
        show_table(worded, WITHOUT_RESULT_COLUMNS, "Studies without BMD_CNN")
    looked_at = rows.series(published, patient_id)
    if not looked_at.empty:
        with st.expander("Series that were looked at"):
            series = looked_at.assign(reason=looked_at["reason"].map(wording.reason, na_action="ignore"))
            unsplit = series["acquisition"].isna().all()
            show_table(series.drop(columns=["acquisition"] if unsplit else []), SERIES_COLUMNS, "Series")


def show_result(published: queries.Publication, record: rows.PatientRecord, result: dict[str, Any]) -> None:
    """Show evidence, numbers, reasons and decisions about one measured study."""
    levels = rows.levels(published, result["study_instance_uid"])
    show_warnings(result, levels)
    headline = queries.headline(published)
    picture, numbers = st.columns([1, 1], gap="medium")
    with picture:
        show_picture(result)
        show_criteria(record.standing, headline)
    with numbers:
        show_numbers(result, record.measurements)
    show_review(record, headline.as_of_date)
    offer_next(published, record)
    show_levels(levels)


def offer_next(published: queries.Publication, record: rows.PatientRecord) -> None:
    """Lead on to the next patient that waits for a decision."""
    if not record.standing["listed"] or not st.button("Next patient of the worklist"):
        return
    key = worklist.next_open(published, record.patient["patient_id"])
    if key is None:
        st.info("This was the last one that waits for a decision.")
    else:
        st.switch_page("screens/patient.py", query_params={"study": key})


published = queries.publication()
title = st.empty()
search_place, study_place = st.columns([2, 3], gap="medium")
with search_place:
    by_address = bool(set(st.query_params) & {"patient", "study"})
    named = ask_patient(published)
if named is None:
    title.title("Patient")
    st.stop()
record = rows.patient_record(published, named.patient_id)
if record is None:
    st.warning("No patient of the archive has this ID.")
    st.stop()
with study_place:
    result = choose_result(record, named, by_address=by_address)
shown_study = result["study_instance_uid"] if result is not None else named.study_instance_uid
access.leave_trail(AccessKind.VIEW, patient_id=named.patient_id, study_instance_uid=shown_study)
show_header(record, result)
if result is None:
    st.info(
        "No study of this patient has a BMD_CNN. That says nothing about the bone: not flagged does not mean normal."
    )
else:
    show_result(published, record, result)
show_dxa(rows.dxa(published, named.patient_id))
show_without_result(published, named.patient_id)
if result is not None:
    show_provenance(result)
