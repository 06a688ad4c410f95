"""Every night: how it ended, what did not get through and why, what changed, and how far the running one is."""

import shlex

import pandas as pd
import streamlit as st

from dashboard import access, queries, wording
from dashboard.access import Permission
from dashboard.charts import sweeps as charts
from dashboard.parts.night_changes import show_changes
from dashboard.parts.night_tables import (
    BOOK_COLUMNS,
    COUNT_COLUMNS,
    FAILURE_COLUMNS,
    FILE_COLUMNS,
    FLOW_COLUMNS,
    NIGHT_COLUMNS,
    PROBLEM_COLUMNS,
    show_table,
)
from dashboard.parts.running_sweep import show_running
from dashboard.rows import sweeps as rows
from dashboard.rows.sweeps import Night
from screening.store.audit import AccessKind

NOT_MEASURED, CHANGES, FLOW, BOOKS, EVERY_NIGHT = (
    "Not measured", "Since the night before", "Where studies went", "Books and files", "Every night",
)  # fmt: skip
SECTIONS = (NOT_MEASURED, CHANGES, FLOW, BOOKS, EVERY_NIGHT)
NIGHTS_SHOWN = {"30": 30, "90": 90, "365": 365, "all": None}  # the newest, in the chart


def count(number: int | None) -> str:
    """Write a count with its thousands."""
    return wording.number(number, ",d")


def duration(hours: float | None) -> str:
    """Write how long a sweep took: in hours, in minutes where it took less than one, in seconds under two minutes."""
    if hours is None:
        return wording.MISSING
    if hours >= 1:
        return f"{hours:.1f} h"
    return f"{60 * hours:.0f} min" if 60 * hours >= 2 else f"{3600 * hours:.0f} s"


def choose_night(listed: pd.DataFrame) -> Night:
    """Return the night that is chosen here, in the table or in the address; the newest by default."""
    starts = dict(zip(listed["sweep_id"], listed["started_at"], strict=True))
    numbers = [str(number) for number in starts]
    asked = st.query_params.get("night", numbers[0])
    if asked not in numbers:
        st.warning("There is no sweep of this number; shown is the newest.")
    key = chooser_key(listed)
    chosen: int = st.selectbox(
        "Night", list(starts), index=numbers.index(asked) if asked in numbers else 0, key=key, width=420,
        format_func=lambda number: f"Sweep {number}, {wording.moment(starts[number])}",
        on_change=lambda: choose(key, st.session_state[key]),
    )  # fmt: skip
    return rows.night(listed, chosen)


def chooser_key(listed: pd.DataFrame) -> str:
    """Name the choice of a night anew with each night, so that the newest is shown when it comes."""
    return f"night, newest {listed['sweep_id'].iloc[0]}"


def choose(key: str, sweep_id: int) -> None:
    """Choose a night, and let the address say so."""
    st.session_state[key] = sweep_id
    st.query_params["night"] = str(sweep_id)


def warn(night: Night) -> None:
    """Say what is wrong with the night."""
    if not night.ended:
        st.warning(
            "This sweep was interrupted and has no counts. What it had read was kept; the next sweep went on there."
        )
        return
    if night.state == "stopped":
        st.warning(
            f"This sweep was stopped before its end: {count(night.study_pending_count)} studies wait for the next."
        )
    if not night.adds_up:
        st.error(
            f"The books do not add up: {count(night.file_booked_count)} files found, "
            f"{count(night.file_accounted_count)} accounted for; "
            f"{count(night.series_booked_count)} series found, "
            f"{count(night.series_accounted_count)} accounted for. The next sweep looks at all files anew."
        )
    if night.failed_too_often:
        st.error(
            f"{night.failed_share_percent:.1f} % of the studies read failed; "
            f"the limit is {night.failed_share_limit_percent:.1f} %."
        )


def show_glance(night: Night) -> None:
    """Show what the night counted."""
    limit = night.failed_share_limit_percent
    tiles = {
        "Studies read": (count(night.study_read_count), f"of {count(night.study_found_count)} found"),
        "Measured": (count(night.measured_count), f"{count(night.excluded_count)} excluded"),
        "Failed": (
            count(night.failed_count),
            f"{wording.number(night.failed_share_percent, '.1f')} %"
            + (f", limit {limit:g} %" if limit is not None else ""),
        ),
        "Waiting": (count(night.study_pending_count), f"{count(night.study_settling_count)} more still arriving"),
        "Duration": (
            duration(night.duration_hours),
            f"{wording.clock(night.started_at)} to {wording.clock(night.ended_at)}",
        ),
        "Speed (studies/h)": (wording.number(night.studies_per_hour, ",.0f"), "from start to end"),
        "New files": (count(night.file_added_count), f"of {count(night.file_found_count)} found"),
        "Headers read": (
            count(night.file_read_count),
            f"{count(night.file_changed_count)} changed, {count(night.file_moved_count)} moved, "
            f"{count(night.file_vanished_count)} gone",
        ),
    }
    for start in (0, 4):
        for column, (label, (value, context)) in zip(
            st.columns(4), list(tiles.items())[start : start + 4], strict=True
        ):
            column.metric(label, value, context, delta_color="off", delta_arrow="off", border=True)
    walk = {True: "every file looked at", False: "folders that changed looked at", None: None}[night.full_walk]
    st.caption(
        wording.stated(
            f"Sweep {night.sweep_id}, {night.state}",
            walk,
            f"checkpoint {night.checkpoint_name or 'not known'} ({night.checkpoint_sha256[:12]})",
            f"software {night.software_version}",
            between=" · ",
        )  # fmt: skip
    )


def show_not_measured(published: queries.Publication, night: Night) -> None:
    """Show the failures of the night with the way to read more, and why studies were excluded."""
    failed, excluded = (rows.unmeasured(published, night.sweep_id, status) for status in ("failed", "excluded"))
    still = int(failed["study_count"].sum())
    st.subheader(f"Failures of sweep {night.sweep_id}: {still:,}")
    if night.failed_count is not None and still != night.failed_count:
        st.caption(f"{night.failed_count:,} failed that night; listed are those that no later sweep has read again.")
    if failed.empty:
        st.info("No study failed.")
    elif access.permitted(Permission.SEE_PATIENTS):
        show_failures(rows.failures(published, night.sweep_id), night.sweep_id)
    else:
        show_table(failed, COUNT_COLUMNS, "Failures by stage and exception")
        st.caption("Your role sees counts, not studies.")
    st.subheader(f"Excluded by sweep {night.sweep_id}: {excluded['study_count'].sum():,}")
    if excluded.empty:
        st.info("No study of this sweep is excluded.")
        return
    worded = excluded.assign(reason=excluded["reason"].map(wording.reason)).drop(columns="stage")
    show_table(worded, COUNT_COLUMNS, "Excluded studies by reason")
    st.caption("Studies last read by this sweep. An exclusion says what the study lacks; nothing broke.")


def show_failures(failures: pd.DataFrame, sweep_id: int) -> None:
    """List the studies that failed, and the command that tells more of the selected one."""
    access.leave_trail(AccessKind.LIST, row_count=len(failures), detail=f"failures of sweep {sweep_id}")
    event = st.dataframe(
        failures, column_config=FAILURE_COLUMNS, column_order=list(FAILURE_COLUMNS), hide_index=True,
        placeholder=wording.MISSING, on_select="rerun", selection_mode="single-row", key=f"failures of {sweep_id}",
        alt="Studies that failed",
    )  # fmt: skip
    selected = [row for row in event.selection.rows if row < len(failures)]
    chosen = failures.iloc[selected[0] if selected else 0]
    place = shlex.quote(str(queries.database_folder().folder))
    st.markdown("To read more about the selected study (the first, if none is), run on the machine of the sweep:")
    st.code(f"screening explain {chosen['study_instance_uid']} --database {place}", language="bash", wrap_lines=True)
    st.caption("`screening sweep --retry-failed` reads failed studies again.")


def show_flow(published: queries.Publication) -> None:
    """Show the flow of all studies to a result, under the active checkpoint."""
    flow = rows.flow(published)
    chart, table = st.columns([4, 3], gap="medium")
    figure = charts.flow_chart(flow, charts.INK[st.context.theme.type or "light"])
    chart.plotly_chart(figure, config={"displayModeBar": False}, alt="Flow of studies to a result")
    stopped = flow.dropna(subset="reason")
    worded = stopped.assign(
        stage=stopped["stage"].map(wording.FLOW_STAGES), reason=stopped["reason"].map(charts.flow_reason)
    )
    with table:
        show_table(worded, FLOW_COLUMNS, "Studies without a result by stage and reason")
    st.caption(
        "All studies present at the last sweep or read before, by the active checkpoint; shares are of all of them. "
        "Each stage and the studies that did not get to it add up to the stage above (after STARD 2015)."
    )


def show_books(published: queries.Publication, night: Night) -> None:
    """Show both sides of the night's books, and the files that are in no series."""
    books = rows.ledger(published, night.sweep_id)
    if books.empty:
        st.info("No books were kept of this sweep.")
    for unit_, found, accounted in rows.sides(books):
        st.subheader(f"{unit_}: {found['item_count'].sum():,} found, {accounted['item_count'].sum():,} accounted for")
        for column, frame in zip(st.columns(2, gap="medium"), (found, accounted), strict=True):
            with column:
                worded = frame.assign(
                    bucket=frame["bucket"].map(lambda bucket: wording.BUCKETS.get(bucket, wording.plain(bucket))),
                    reason=frame["reason"].map(book_reason),
                )
                show_table(worded, BOOK_COLUMNS, f"{unit_} of the books")
    show_file_problems(published)


def book_reason(reason: str) -> str:
    """Word the reason of a line of the books: of a file, an exclusion, or where a study broke."""
    return wording.FILE_PROBLEMS.get(reason) or wording.BUCKETS.get(reason) or wording.reason(reason)


def show_file_problems(published: queries.Publication) -> None:
    """Show the files that are in no series by reason; whoever may see patients sees where they lie."""
    problems = rows.file_problems(published)
    st.subheader(f"Files that belong to no series: {problems['file_count'].sum():,}")
    if problems.empty:
        st.info("Every file of the archives is indexed.")
        return
    show_table(problems.assign(reason=problems["reason"].map(wording.file_problem)), PROBLEM_COLUMNS, "Files by reason")
    if not access.permitted(Permission.SEE_PATIENTS):
        return
    reason = st.selectbox(
        "List the files of a reason", list(problems["reason"]), index=None, format_func=wording.file_problem, width=420
    )
    if reason is not None:
        files = rows.problem_files(published, reason)
        access.leave_trail(AccessKind.LIST, row_count=len(files), detail=f"sweeps: files, {reason}")
        show_table(files, FILE_COLUMNS, "Files that belong to no series")
        st.caption(f"The {len(files):,} last looked at. A path may hold identifiers.")


def choose_selected(listed: pd.DataFrame) -> None:
    """Choose the night of the selected row."""
    selected = st.session_state["nights"].selection.rows
    if selected:
        choose(chooser_key(listed), int(listed["sweep_id"].iloc[selected[0]]))


def show_every_night(listed: pd.DataFrame) -> None:
    """Show all nights over time and as a table; a selected row becomes the chosen night."""
    shown = st.segmented_control(
        "Nights in the chart", list(NIGHTS_SHOWN), default="90", key="nights_shown", bind="query-params", required=True
    )
    figure = charts.nights_chart(listed.head(NIGHTS_SHOWN[shown] or len(listed)))
    st.plotly_chart(figure, config={"displayModeBar": False}, alt="What became of the studies of each night")
    st.caption(f"{len(listed):,} sweeps. Select a row to see that night above.")
    st.dataframe(
        listed, column_config=NIGHT_COLUMNS, column_order=list(NIGHT_COLUMNS), hide_index=True,
        placeholder=wording.MISSING, key="nights", on_select=lambda: choose_selected(listed),
        selection_mode="single-row", alt="Every sweep, newest first",
    )  # fmt: skip


st.title("Sweeps")
published = queries.publication()
listed = rows.nights(published)
show_running(listed)
if listed.empty:
    st.info("No sweep is on record. `screening sweep ARCHIVE --database DIR` reads an archive and fills this page.")
    st.stop()
night = choose_night(listed)
warn(night)
show_glance(night)
section = st.segmented_control(
    "Show",
    SECTIONS,
    default=NOT_MEASURED,
    key="show",
    bind="query-params",
    required=True,
    wrap=True,
    label_visibility="collapsed",
)
if section == NOT_MEASURED:
    show_not_measured(published, night)
elif section == CHANGES:
    show_changes(published, listed, night)
elif section == FLOW:
    show_flow(published)
elif section == BOOKS:
    show_books(published, night)
else:
    show_every_night(listed)
