"""One patient: the evidence, the numbers, why flagged or not, and where every number comes from."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import queries, wording
from dashboard.charts import patient as charts
from dashboard.rows import patient as rows

LEVEL_COLUMNS = {
    "level": st.column_config.TextColumn("Level", width=50),
    "bmd_cnn": st.column_config.NumberColumn("BMD_CNN (g/cm²)", format="%.3f", width=115),
    "bmd_sd": st.column_config.NumberColumn("SD (g/cm²)", format="%.3f", help="As the network states it", width=85),
    "attenuation_hu": st.column_config.NumberColumn("Trabecular HU", format="%.0f", help="As acquired", width=100),
    "attended_hu": st.column_config.NumberColumn(
        "HU attended", format="%.0f", help="What BMD_CNN attended, 120 kVp equivalent", width=90
    ),
    "body_depth_mm": st.column_config.NumberColumn("Depth (mm)", format="%.1f", width=80),
    "use": st.column_config.TextColumn("Used", width=190),
}
PROVENANCE_COLUMNS = {
    "fact": st.column_config.TextColumn("Fact", width=160),
    "value": st.column_config.TextColumn("Value", width=900),
}
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


def show_table(frame: pd.DataFrame, columns: dict[str, Any], name: str) -> None:
    """Show rows as a table that has a name for screen readers."""
    st.dataframe(frame, column_config=columns, hide_index=True, placeholder=wording.MISSING, alt=name)


def forget_patient() -> None:
    """Let a new search win over the patient of the address."""
    st.query_params.clear()


def ask_patient(published: queries.Publication) -> str | None:
    """Return the patient of the address, else the one that the search finds."""
    search = st.text_input(
        "Find a patient", placeholder="Part of the patient ID, or an accession number", on_change=forget_patient
    )
    if "patient" in st.query_params:
        return st.query_params["patient"]
    if not search.strip():
        st.info("Look up any patient of the archive, flagged or not, or select a row of the worklist.")
        return None
    found = rows.find_patients(published, search)
    if found.empty:
        st.warning("No patient of the archive matches.")
        return None
    return found["patient_id"].iloc[0] if len(found) == 1 else choose_patient(found)


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


def choose_result(record: rows.PatientRecord) -> dict[str, Any] | None:
    """Return the study of the address, the newest by default; offer the others where there are several."""
    asked = st.query_params.get("study")
    result = record.result(asked)
    if asked and result and result["study_instance_uid"] != asked:
        st.warning("The study asked for has no BMD_CNN; shown is the newest measured one.")
    if result is None or len(record.results) == 1:
        return result
    dates = dict(zip(record.results["study_instance_uid"], record.results["study_date"], strict=True))
    chosen = st.segmented_control(
        "Measured CT (the worklist judges the newest)",
        list(dates),
        default=result["study_instance_uid"],
        format_func=lambda uid: wording.day(dates[uid]),
        required=True,
    )
    return record.result(chosen)


def show_header(record: rows.PatientRecord, result: dict[str, Any] | None) -> None:
    """Show who this is and where the patient stands."""
    patient = record.patient
    badge = ":red-badge[Flagged]" if patient["flagged"] else ":gray-badge[Not flagged]"
    st.title(f"Patient {wording.verbatim(patient['patient_id'])}")
    facts = [
        badge if patient["measured"] else ":gray-badge[No BMD\\_CNN]",
        wording.SEXES[patient["sex"] or "unknown"],
        f"born {wording.day(patient['birth_date'])}",
    ]
    if patient["flagged"]:
        months = wording.number(patient["months_since_ct"], ".0f")
        facts.insert(1, f"no. {patient['position']} on the worklist, CT {months} months ago")
    if result is not None:
        facts += [
            f"CT {wording.day(result['study_date'])} at {wording.number(result['age_years'], '.0f')} years",
            wording.verbatim(result["institution_name"]),
            f"accession {wording.verbatim(result['accession_number'])}",
        ]
    st.markdown(" · ".join(facts))


def show_numbers(result: dict[str, Any], measurements: pd.DataFrame) -> None:
    """Show BMD_CNN, T-score, probability and attenuation, and all densities on one chart."""
    applies = result["category"] is not None
    bmd, t_score = st.columns(2)
    bmd.metric(
        "BMD_CNN (g/cm²)",
        wording.number(result["bmd_cnn"], ".3f"),
        f"90 % interval {result['bmd_low']:.3f} – {result['bmd_high']:.3f}",
        delta_color="off", delta_arrow="off", border=True,
    )  # fmt: skip
    t_score.metric(
        "T-score",
        wording.number(result["t_score"], ".2f") if applies else "Does not apply",
        wording.CATEGORIES[result["category"]] if applies else "Under 50 years, or age unknown",
        delta_color="off", delta_arrow="off", border=True,
    )  # fmt: skip
    probability, attenuation = st.columns(2)
    probability.metric(
        "Probability of T ≤ −2.5",
        f"{result['osteoporosis_probability_percent']:.0f} %" if applies else "Does not apply",
        wording.BANDS[result["band"]] if applies else wording.BANDS["not_flagged"],
        delta_color="off", delta_arrow="off", border=True,
    )  # fmt: skip
    attenuation.metric(
        "Trabecular attenuation (HU)",
        wording.number(result["attenuation_hu"], ".0f"),
        f"as acquired, {result['levels']}",
        delta_color="off", delta_arrow="off", border=True,
    )  # fmt: skip
    if not applies:
        st.plotly_chart(charts.bmd_chart(measurements), config={"displayModeBar": False})
        st.caption(
            "Under 50 years, or at an unknown age, T-scores and their categories do not apply: compare with people of "
            "the same age (Z-score). Bar: 90 % prediction interval."
        )
        return
    st.plotly_chart(charts.t_score_chart(measurements), config={"displayModeBar": False})
    st.caption(
        f"Reference of BMD\\_CNN: {wording.reference(result['reference'])}; "
        f"{wording.number(result['yam_percent'], '.0f')} % of its young adult mean. Bar: 90 % prediction interval. "
        "DXA T-scores as reported, against the reference of the densitometer."
    )


def show_picture(result: dict[str, Any]) -> None:
    """Show what was read, or say that the evidence is missing."""
    picture = rows.evidence_picture(result["evidence_file"])
    if picture is None:
        st.warning("The evidence picture is not in the evidence folder. Do not act on a number without evidence.")
        return
    st.image(
        picture,
        caption="The axial slices that were read, with their regions of interest and where the network looked, and the "
        "sagittal view",
    )


def show_criteria(criteria: dict[str, Any], headline: queries.Headline) -> None:
    """Show each criterion of the care gap with its answer."""
    limits = {
        "minimum_age_years": headline.minimum_age_years,
        "look_back_months": headline.look_back_months,
        "as_of_date": wording.day(headline.as_of_date),
    }
    st.subheader("Why flagged" if criteria["flagged"] else "Why not flagged")
    answers = {True: ":blue-badge[met]", False: ":orange-badge[not met]", None: ":gray-badge[not known]"}
    st.markdown(
        "\n".join(
            f"- {answers[value]} {wording.criterion(column, limits)}"
            for column, value in criteria.items()
            if column != "flagged" and (value is None or isinstance(value, bool)) and not column.endswith("_date")
        )
    )
    if not criteria["flagged"]:
        st.caption("Not flagged does not mean normal.")


def show_warnings(result: dict[str, Any]) -> None:
    """Show what a reader must know before using the number."""
    for warning in result["warnings"]:
        st.warning(wording.verbatim(wording.plain(warning)))
    if result["contrast_enhanced"]:
        st.warning("Measured on a contrast-enhanced series: the density reads too high.")
    if result["level_certainty"] == "uncertain":
        st.warning("The names of the levels are uncertain.")


def show_levels(levels: pd.DataFrame) -> None:
    """Show what was read in each body, and why one is not used."""
    st.subheader("Levels")
    table, chart = st.columns([2, 1], gap="medium")
    with table:
        use = "no: " + levels["reason"].map(wording.level_problem, na_action="ignore")
        show_table(levels.assign(use=use.fillna("yes"))[list(LEVEL_COLUMNS)], LEVEL_COLUMNS, "Levels")
    chart.plotly_chart(charts.level_chart(levels), config={"displayModeBar": False})


def show_dxa(dxa: pd.DataFrame) -> None:
    """Show every DXA of the patient, or that there is none."""
    st.subheader("DXA")
    if dxa.empty:
        st.markdown("**No DXA on record**")
        return
    show_table(dxa, DXA_COLUMNS, "DXA results")


def show_without_result(record: rows.PatientRecord) -> None:
    """Show the studies that were excluded, failed or not read yet, and the reasons of their series."""
    st.subheader("Studies without BMD_CNN")
    studies = record.without_result
    if studies.empty:
        st.markdown("None: every study of this patient was measured.")
    else:
        worded = studies.assign(
            status=studies["status"].map(wording.STATUSES),
            reason=studies["reason"].map(wording.reason, na_action="ignore"),
        )
        show_table(worded, WITHOUT_RESULT_COLUMNS, "Studies without BMD_CNN")
    if not record.series.empty:
        with st.expander("Series that were looked at"):
            series = record.series.assign(reason=record.series["reason"].map(wording.reason, na_action="ignore"))
            unsplit = series["acquisition"].isna().all()
            show_table(series.drop(columns=["acquisition"] if unsplit else []), SERIES_COLUMNS, "Series")


def show_provenance(result: dict[str, Any]) -> None:
    """Show checkpoint, training data, sweep and series behind the numbers."""
    st.subheader("Where the numbers come from")
    facts = {
        "Checkpoint": f"{result['checkpoint_name']} (SHA-256 {result['checkpoint_sha256']})",
        "Trained on": wording.DATA_KINDS[result["data_kind"]],
        "Read": f"{wording.moment(result['read_at'])}, sweep {result['sweep_id']}, "
        f"software {result['software_version']}",
        "Scanner": wording.stated(result["manufacturer"], result["manufacturer_model_name"], between=" "),
        "Series": wording.stated(
            result["series_description"],
            result["acquisition"],
            wording.with_unit(result["kvp_kv"], "kVp"),
            result["convolution_kernel"],
            wording.with_unit(result["slice_thickness_mm"], "mm"),
            between=", ",
        ),
        "Study Instance UID": result["study_instance_uid"],
    }
    show_table(pd.DataFrame(facts.items(), columns=list(PROVENANCE_COLUMNS)), PROVENANCE_COLUMNS, "Provenance")


def show_result(published: queries.Publication, record: rows.PatientRecord, result: dict[str, Any]) -> None:
    """Show evidence, numbers and reasons of one measured study."""
    show_warnings(result)
    picture, numbers = st.columns([1, 1], gap="medium")
    with picture:
        show_picture(result)
        show_criteria(record.criteria, queries.headline(published))
    with numbers:
        show_numbers(result, record.measurements)
    show_levels(rows.levels(published, result["study_instance_uid"]))


published = queries.publication()
search_place, study_place = st.columns([2, 3], gap="medium")
with search_place:
    patient_id = ask_patient(published)
if patient_id is None:
    st.stop()
record = rows.patient_record(published, patient_id)
if record is None:
    st.warning("No patient of the archive has this ID.")
    st.stop()
with study_place:
    result = choose_result(record)
show_header(record, result)
if result is None:
    st.info(
        "No study of this patient has a BMD_CNN. That says nothing about the bone: not flagged does not mean normal."
    )
else:
    show_result(published, record, result)
show_dxa(record.dxa)
show_without_result(record)
if result is not None:
    show_provenance(result)
