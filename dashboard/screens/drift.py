"""Whether every scanner still reads as it did in its first months."""

from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard import figure_words, queries, wording
from dashboard.charts import drift as charts
from dashboard.rows import drift as rows

SCANNER_COLUMNS = {
    "scanner": st.column_config.TextColumn("Scanner", width=330, help="Manufacturer / model / station / institution"),
    "state": st.column_config.TextColumn("Newest month", width=110),
    "newest_month": st.column_config.DateColumn("Month", format="YYYY-MM", width=75),
    "study_count": st.column_config.NumberColumn("Studies", format="localized", help="In the newest month", width=70),
    "worst": st.column_config.TextColumn(
        "Shift that stands out most", help="In the newest month, in its unit; z: in standard errors", width=295
    ),
    "z_limit": st.column_config.NumberColumn("z limit", format="%.1f", help="What chance keeps z within", width=65),
    "alert_month_count": st.column_config.NumberColumn("Alerts", help="Months with an alert so far", width=60),
    "last_alert_month": st.column_config.DateColumn("Last alert", format="YYYY-MM", width=80),
}
HISTORY_COLUMNS: Final[dict[str, Any]] = {
    "month": st.column_config.DateColumn("Month", format="YYYY-MM"),
    "value": st.column_config.NumberColumn("Value", format="%.4g"),
    "n": st.column_config.NumberColumn("Studies", format="localized"),
    "state": "State",
    "baseline": st.column_config.NumberColumn("Baseline", format="%.4g"),
    "baseline_n": st.column_config.NumberColumn("Studies of the baseline", format="localized"),
    "shift": st.column_config.NumberColumn("Shift", format="%+.3g"),
    "material_shift": st.column_config.NumberColumn("Matters from", format="%.3g"),
    "months": st.column_config.NumberColumn("Over months"),
    "z": st.column_config.NumberColumn("z", format="%+.1f"),
    "z_limit": st.column_config.NumberColumn("z limit", format="%.1f"),
}
ALL_METRICS = "all of them"
MOST_SCANNERS_SAID = 8
NO_BAR = {"displayModeBar": False}


def metric_title(metric: str) -> str:
    """Name a metric in a list that may hold all of them."""
    return "All, the gravest state" if metric == ALL_METRICS else figure_words.drift_title(metric)


def show_alerts(published: queries.Publication, standing: rows.Standing) -> None:
    """Say who reads otherwise now, or that nobody does."""
    alerts = rows.alerts(published)
    if not standing.judged_count:
        st.info(
            f"None of {standing.scanner_count} scanners could be judged in the newest months, up to "
            f"{standing.newest_month:%Y-%m}: too few studies, or its first months are still being learned."
        )
    elif not alerts:
        st.success(
            f"{standing.judged_count} of {standing.scanner_count} scanners could be judged in the newest months, up to "
            f"{standing.newest_month:%Y-%m}: none reads otherwise than in its first months."
        )
    for scanner, told in list(alerts.items())[:MOST_SCANNERS_SAID]:
        lines = "\n".join(f"- {wording.verbatim(words)}" for words in told)
        st.error(f"**{wording.verbatim(scanner)}**\n{lines}")
    if len(alerts) > MOST_SCANNERS_SAID:
        st.markdown(f"… and {len(alerts) - MOST_SCANNERS_SAID} more scanners with alerts: see the table.")
    if standing.later_months:
        st.info(
            f"There are measured CT up to {wording.day(standing.newest_study_date)} that have not been judged yet. "
            "Run `screening drift` to take them in."
        )


def show_scanners(scanners: pd.DataFrame) -> None:
    """Show where each scanner stands."""
    st.subheader("Scanners")
    st.dataframe(
        scanners, column_config=SCANNER_COLUMNS, column_order=list(SCANNER_COLUMNS), hide_index=True,
        placeholder=wording.MISSING, alt="Scanners, alerts first",
    )  # fmt: skip


def show_states(published: queries.Publication, scanners: list[str]) -> None:
    """Show every scanner and month."""
    st.subheader("Every month")
    metric = st.selectbox(
        "States of", [ALL_METRICS, *rows.metrics(published)], format_func=metric_title, key="states",
        bind="query-params", width=460,
    )  # fmt: skip
    drawn = scanners[: charts.MOST_SCANNERS]
    months = rows.months(published, None if metric == ALL_METRICS else metric)
    st.plotly_chart(charts.states_chart(months, drawn), config=NO_BAR, alt="States of scanners by month")
    if len(drawn) < len(scanners):
        st.caption(f"{len(drawn)} of {len(scanners)} scanners, in the order of the table.")


def show_history(published: queries.Publication, scanners: list[str]) -> None:
    """Show what one scanner read in each month."""
    st.subheader("One scanner")
    scanner_field, metric_field = st.columns(2, gap="medium")
    scanner = scanner_field.selectbox("Scanner", scanners, key="scanner", bind="query-params")
    metric = metric_field.selectbox(
        "Metric", rows.metrics(published, scanner), format_func=figure_words.drift_title, key="metric",
        bind="query-params",
    )  # fmt: skip
    history = rows.history(published, scanner, metric)
    st.plotly_chart(charts.history_chart(history, metric), config=NO_BAR, alt="Months of one scanner")
    st.caption(
        "Above: the month's value; dashed: its first months; grey: shifts that do not matter. Middle: the shift in "
        "standard errors; dotted: limits of chance, given how many scanners and metrics are looked at. An alert lies "
        "outside of both. Means are adjusted for tube voltage; those of bone also for age, sex and contrast."
    )
    with st.expander("These months as a table"):
        st.dataframe(
            history.assign(state=history["state"].map(figure_words.STATES)), column_config=HISTORY_COLUMNS,
            column_order=list(HISTORY_COLUMNS), hide_index=True, placeholder=wording.MISSING, alt="Months",
        )  # fmt: skip


st.title("Drift")
published = queries.publication()
standing = rows.standing(published)
if standing.newest_month is None:
    st.info("No scanner has been judged yet. Run `screening drift` to hold every month against the first ones.")
    st.stop()
st.markdown(
    "Each scanner is held against its own first months: attenuation of air, fat, muscle and L1, BMD\\_CNN, and the "
    "shares of studies that are flagged, excluded or failed."
)
show_alerts(published, standing)
scanners = rows.scanners(published)
show_scanners(scanners)
show_states(published, list(scanners["scanner"]))
show_history(published, list(scanners["scanner"]))
