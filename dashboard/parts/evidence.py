"""The evidence of one measured study: picture, numbers, levels, and where every number comes from."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import wording
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


def show_table(frame: pd.DataFrame, columns: dict[str, Any], name: str) -> None:
    """Show rows as a table that has a name for screen readers."""
    st.dataframe(frame, column_config=columns, hide_index=True, placeholder=wording.MISSING, alt=name)


def show_numbers(result: dict[str, Any], measurements: pd.DataFrame) -> None:
    """Show BMD_CNN, T-score (Z-score under 50), probability and HU, and all densities on one time line."""
    applies = result["category"] is not None
    bmd, t_score = st.columns(2)
    bmd.metric(
        "BMD_CNN (g/cm²)",
        wording.number(result["bmd_cnn"], ".3f"),
        f"90 % interval {result['bmd_low']:.3f} – {result['bmd_high']:.3f}",
        delta_color="off", delta_arrow="off", border=True,
    )  # fmt: skip
    if applies:
        score = ("T-score", wording.number(result["t_score"], ".2f"))
        category = wording.category(result["category"], result["osteoporosis_rule"])
    else:
        score = ("Z-score", wording.number(result["z_score"], ".2f"))
        category = wording.Z_CATEGORIES.get(result["z_category"], "Age or sex unknown, or no reference for them")
    t_score.metric(*score, category, delta_color="off", delta_arrow="off", border=True)
    probability, attenuation = st.columns(2)
    probability.metric(
        "Probability of osteoporosis by BMD",
        wording.probability(result["osteoporosis_probability_percent"]) if applies else "Does not apply",
        wording.BANDS[result["band"]],
        delta_color="off", delta_arrow="off", border=True,
    )  # fmt: skip
    attenuation.metric(
        "Trabecular attenuation (HU)",
        wording.number(result["attenuation_hu"], ".0f"),
        f"as acquired, {result['levels']}",
        delta_color="off", delta_arrow="off", border=True,
    )  # fmt: skip
    if not applies:
        st.plotly_chart(charts.bmd_timeline(measurements), config={"displayModeBar": False})
        st.caption(
            "Under 50 years, or at an unknown age, T-scores and their categories do not apply. Z-score: against people "
            "of the same sex and age (NHANES 2005+, Hologic scale). Bar: 90 % prediction interval. DXA on the scale of "
            "its manufacturer."
        )
        return
    st.plotly_chart(charts.t_score_timeline(measurements), config={"displayModeBar": False})
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


def show_warnings(result: dict[str, Any], levels: pd.DataFrame) -> None:
    """Show what a reader must know before using the number."""
    lower = levels.loc[levels["reason"] == "height_loss", "level"]
    if not lower.empty:
        st.warning(f"Possible vertebral fracture: height loss of {', '.join(lower)}, left out of BMD\\_CNN.")
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
