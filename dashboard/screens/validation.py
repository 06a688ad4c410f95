"""Whether the numbers can be trusted: BMD_CNN against every DXA there is, as it was compared last."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import exports, figure_words, queries, wording
from dashboard.charts import validation as charts
from dashboard.rows import validation as rows
from screening.agreement_curves import AgreementCurves
from screening.errors import UserError
from screening.validation import PAPER_SOURCE

TILES = {
    "pearson_r": "Pearson r with DXA",
    "auc": "AUC for osteoporosis by DXA",
    "bias_g_cm2": "Bias, BMD_CNN − DXA (g/cm²)",
    "coverage_90": "DXA within the 90 % interval",
}
FIGURE_COLUMNS = {
    "figure": st.column_config.TextColumn("Figure", width=285),
    "value": st.column_config.TextColumn("Value", width=65),
    "interval": st.column_config.TextColumn("95 % interval", width=125),
    "n": st.column_config.NumberColumn("n", format="localized", help="Patients", width=55),
}
PAPER_COLUMNS = {
    "figure": "Figure", "here": "Here (95 % interval; n)", "internal": "Paper, internal", "external": "Paper, external",
}  # fmt: skip
ATTENUATION_COLUMNS = {
    "figure": st.column_config.TextColumn("Figure", width=250),
    "bmd_cnn": st.column_config.TextColumn("BMD_CNN (95 % interval; n)", width=270),
    "hu_regression": st.column_config.TextColumn("Straight line through HU", width=270),
    "difference": st.column_config.TextColumn("Difference", width=270),
}
NO_BAR = {"displayModeBar": False}


def ask_run(runs: pd.DataFrame) -> int:
    """Return the comparison of the address, the newest by default."""
    names = {
        row["run_id"]: f"Run {row['run_id']}, {wording.moment(row['validated_at'])}, {row['checkpoint']}"
        for row in queries.records(runs)
    }
    chosen: int = st.selectbox(
        "Comparison", list(names), format_func=names.__getitem__, key="run", bind="query-params", width=520
    )
    return chosen


def show_table(frame: pd.DataFrame, columns: dict[str, Any], name: str) -> None:
    """Show rows as a table that has a name for screen readers."""
    st.dataframe(frame, column_config=columns, hide_index=True, placeholder=wording.MISSING, alt=name)


def show_basis(compared: rows.Comparison) -> None:
    """Say in one line what was compared with what."""
    report = compared.report
    checkpoint = f"{wording.verbatim(report.checkpoint)} ({report.checkpoint_sha256[:12]})"
    st.markdown(
        f"BMD\\_CNN of checkpoint {checkpoint}, **trained on {report.trained_on}**, against DXA of L1–L4 within "
        f"{report.window_days} days of the CT, one pair a patient, on the scale of "
        f"{report.scale or 'BMD_CNN, which is not known'}. {report.pair_count:,} of {report.measured_count:,} measured "
        "patients have such a DXA."
    )


def show_warnings(compared: rows.Comparison) -> None:
    """Say what makes these figures flatter, older or other than what is published."""
    report, standing = compared.report, compared.standing
    if report.seen_count:
        st.warning(
            f"{report.seen_count:,} of {report.pair_count:,} pairs were used to recalibrate this checkpoint. That "
            "flatters every figure here; it does not show how the checkpoint reads new patients."
        )
    if not standing.active:
        current = wording.verbatim(standing.active_checkpoint)
        st.warning(f"Another checkpoint is in use ({current}). Run `screening validate` to compare that one.")
    if news := [name for name, came in standing.news.items() if came]:
        st.info(f"{' and '.join(news)} came in after this comparison. Run `screening validate` to take them in.")


def show_tiles(compared: rows.Comparison) -> None:
    """Show the four figures to look at first, each with its interval and n."""
    for column, (metric, label) in zip(st.columns(len(TILES)), TILES.items(), strict=True):
        estimate = compared.estimate(metric)
        context = f"95 % CI {figure_words.interval(metric, estimate)}; {figure_words.patients(estimate.n)}"
        column.metric(
            label, figure_words.value(metric, estimate.value), context if estimate.known else estimate.note,
            delta_color="off", delta_arrow="off", border=True,
        )  # fmt: skip


def show_picture(place: DeltaGenerator, title: str, picture: go.Figure, caption: str) -> None:
    """Show one picture below its title, and what it says in figures below it."""
    place.subheader(title)
    place.plotly_chart(picture, config=NO_BAR, alt=title)
    place.caption(caption)


def show_pictures(compared: rows.Comparison, drawn: AgreementCurves) -> None:
    """Show cloud, differences, ROC, calibration and coverage."""
    if not rows.same_pairs(compared, drawn):
        st.warning(
            f"The pairs have changed since this comparison: now {drawn.counts.pair_count:,}, then "
            f"{compared.report.pair_count:,}. The pictures show the pairs of now, the figures those of then. "
            "Run `screening validate` to bring them together."
        )
    left, right = st.columns(2, gap="medium")
    show_agreement(left, compared, drawn)
    show_differences(right, compared, drawn)
    left, middle, right = st.columns(3, gap="medium")
    show_discrimination(left, compared, drawn)
    show_reliability(middle, compared, drawn)
    show_coverage(right, compared, drawn)


def told(compared: rows.Comparison, *metrics: str) -> str:
    """Write figures with interval and n, one after the other."""
    text = "; ".join(figure_words.sentence(metric, compared.estimate(metric)) for metric in metrics)
    return f"{text[:1].upper()}{text[1:]}."


def show_agreement(place: DeltaGenerator, compared: rows.Comparison, drawn: AgreementCurves) -> None:
    """Show DXA against BMD_CNN."""
    slope, intercept = compared.estimate("calibration_slope"), compared.estimate("calibration_intercept_g_cm2")
    show_picture(
        place, "Agreement", charts.agreement_chart(drawn.points, slope, intercept),
        f"{len(drawn.points):,} of {drawn.counts.bmd_count:,} pairs drawn. "
        f"{told(compared, 'pearson_r', 'calibration_slope', 'calibration_intercept_g_cm2')}",
    )  # fmt: skip


def show_differences(place: DeltaGenerator, compared: rows.Comparison, drawn: AgreementCurves) -> None:
    """Show the differences by Bland and Altman."""
    limits = ("bias_g_cm2", "lower_limit_g_cm2", "upper_limit_g_cm2")
    show_picture(
        place, "Differences (Bland–Altman)",
        charts.bland_altman_chart(drawn.points, *(compared.estimate(metric) for metric in limits)),
        f"{len(drawn.points):,} of {drawn.counts.bmd_count:,} pairs drawn; shaded: 95 % intervals. "
        f"{told(compared, *limits)}",
    )  # fmt: skip


def show_discrimination(place: DeltaGenerator, compared: rows.Comparison, drawn: AgreementCurves) -> None:
    """Show the ROC curve with the point at which patients are flagged."""
    point = ("sensitivity", "specificity")
    show_picture(
        place, "Telling osteoporosis (ROC)",
        charts.roc_chart(drawn.roc, *(compared.estimate(metric) for metric in point)),
        f"All {drawn.counts.label_count:,} pairs whose DXA tells osteoporosis (T ≤ −2.5), "
        f"{drawn.counts.osteoporosis_count:,} of them with it. {told(compared, 'auc', *point)}",
    )  # fmt: skip


def show_reliability(place: DeltaGenerator, compared: rows.Comparison, drawn: AgreementCurves) -> None:
    """Show whether stated probabilities come true."""
    show_picture(
        place, "Stated probability", charts.reliability_chart(drawn.reliability),
        f"{drawn.counts.label_count:,} pairs by tenths of the probability of osteoporosis. {small_groups(compared)} "
        f"{told(compared, 'brier', 'probability_slope', 'probability_in_the_large')}",
    )  # fmt: skip


def show_coverage(place: DeltaGenerator, compared: rows.Comparison, drawn: AgreementCurves) -> None:
    """Show how often DXA lies within the 90 % interval."""
    show_picture(
        place, "90 % interval", charts.coverage_chart(drawn.coverage),
        f"{drawn.counts.bmd_count:,} pairs in {len(drawn.coverage)} groups of one size by BMD\\_CNN. "
        f"{small_groups(compared)} {told(compared, 'coverage_90')}",
    )  # fmt: skip


def small_groups(compared: rows.Comparison) -> str:
    """Say what the bars are and what is not drawn."""
    return f"Bars: 95 % intervals; groups of fewer than {compared.smallest_group} patients are not drawn."


def show_comparators(compared: rows.Comparison) -> None:
    """Show the paper, and the ruler that a network must beat."""
    st.subheader("Beside the paper")
    show_table(rows.beside_paper(compared), PAPER_COLUMNS, "Beside the paper")
    st.caption(
        f"{PAPER_SOURCE}. Other patients, other scanners, another network: the figures stand beside each other and "
        "are not the same measurement."
    )
    st.subheader("Beside trabecular attenuation")
    show_table(rows.beside_attenuation(compared), ATTENUATION_COLUMNS, "Beside trabecular attenuation")
    st.caption(
        "The straight line from trabecular HU (120 kVp equivalent) to DXA is fitted to four fifths of the patients and "
        "read off for the others: what any picture archive could do without a network. Difference: BMD_CNN less it."
    )


def show_verification(compared: rows.Comparison) -> None:
    """Show what the figures would be if everybody had had a DXA, and who the pairs are."""
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("If everybody had had a DXA")
        show_table(rows.overall(compared, "weighted"), FIGURE_COLUMNS, "Weighted figures")
        st.caption(
            f"{told(compared, 'verified_fraction')} Who gets a DXA is not like who is scanned; here each pair stands "
            "for the scanned patients of its age, sex and BMD_CNN that have none."
        )
    with right:
        st.subheader("Who was compared, who was left out")
        st.markdown("\n".join(f"- {wording.verbatim(what)}: **{count}**" for what, count in rows.basis(compared)))


def show_groups(compared: rows.Comparison) -> None:
    """Show one figure in the groups of one dimension."""
    st.subheader("Subgroups")
    metric_field, dimension_field = st.columns(2, gap="medium")
    metric = metric_field.selectbox(
        "Figure", rows.metrics(compared), format_func=figure_words.metric, key="figure", bind="query-params"
    )
    dimension = dimension_field.selectbox(
        "By", [name for name in rows.dimensions(compared) if name != "ct_month"],
        format_func=figure_words.DIMENSIONS.__getitem__, key="by", bind="query-params",
    )  # fmt: skip
    groups, everybody = rows.groups(compared, dimension, metric), compared.estimate(metric)
    st.plotly_chart(charts.forest_chart(groups, everybody, *figure_words.axis(metric)), config=NO_BAR, alt="Subgroups")
    st.caption(
        f"Bars: 95 % intervals. Dashed, shaded: all patients, {figure_words.sentence(metric, everybody)}. Groups of "
        f"fewer than {compared.smallest_group} patients say so instead. Many groups are looked at: one in twenty lies "
        "outside its interval by chance alone."
    )


def show_over_time(compared: rows.Comparison, runs: pd.DataFrame) -> None:
    """Show a figure of successive comparisons, and by month of the CT in this one."""
    st.subheader("Over time")
    metric = st.segmented_control(
        "Figure over time", list(TILES), default="pearson_r", format_func=TILES.__getitem__, required=True,
        key="over_time", bind="query-params", wrap=True,
    )  # fmt: skip
    axis = figure_words.axis(metric)
    left, right = st.columns(2, gap="medium")
    left.plotly_chart(charts.runs_chart(runs, metric, *axis), config=NO_BAR, alt="Successive comparisons")
    left.caption(f"Comparisons so far: {len(runs)}, with 95 % intervals. Each checkpoint has its own mark.")
    months = rows.groups(compared, "ct_month", metric)
    right.plotly_chart(
        charts.months_chart(months, compared.estimate(metric), *axis), config=NO_BAR, alt="By month of the CT"
    )
    right.caption(
        f"By month of the CT; dashed: all patients. {int(months['value'].isna().sum())} of {len(months)} months have "
        f"fewer than {compared.smallest_group} patients, or give no figure, and are not drawn."
    )


def show_everything(compared: rows.Comparison) -> None:
    """Show every figure over all patients, and offer all of them with those of the groups."""
    with st.expander("All figures of BMD_CNN over all patients"):
        show_table(rows.overall(compared, "bmd_cnn"), FIGURE_COLUMNS, "All figures")
    st.download_button(
        "Download all figures (CSV)",
        exports.csv_bytes(rows.export(compared)),
        file_name=f"validation-{compared.report.run_id}.csv",
        mime=exports.CSV_TYPE,
    )


def fill_pictures(place: DeltaGenerator, published: queries.Publication, compared: rows.Comparison) -> None:
    """Draw the pictures where the page has left room; where they cannot be had the figures stand alone."""
    if not compared.standing.active:
        place.info("Pictures are drawn of the checkpoint in use alone; of this one the figures are kept.")
        return
    with place, st.spinner("Reading the pairs"):
        try:
            drawn = rows.curves(published, compared.report.run_id)
        except UserError as mistake:
            st.warning(str(mistake))
            return
        show_pictures(compared, drawn)


st.title("Validation")
published = queries.publication()
runs = rows.runs(published)
if runs.empty:
    st.info(
        "BMD_CNN has not been held against DXA yet. Import DXA with `screening import dxa`, then run "
        "`screening validate` to fill this page."
    )
    st.stop()
compared = rows.comparison(published, ask_run(runs))
show_basis(compared)
show_warnings(compared)
show_tiles(compared)
# The pictures need every pair; the figures are there at once, so they are shown first.
pictures = st.container()
show_comparators(compared)
show_verification(compared)
show_groups(compared)
show_over_time(compared, runs)
show_everything(compared)
fill_pictures(pictures, published, compared)
