"""The running sweep, live, or where the last one broke off."""

import pandas as pd
import streamlit as st

from dashboard import access, wording
from dashboard.access import Permission
from dashboard.rows import sweeps as rows
from screening.errors import UserError
from screening.store.sweep_state import SweepState

LOOK_AGAIN_S = 3  # at the running sweep, which tells every two seconds at most
STAGES = {"start": "starting", "headers": "reading headers", "studies": "reading studies", "publication": "publishing"}


@st.fragment(run_every=LOOK_AGAIN_S)
def show_running(listed: pd.DataFrame) -> None:
    """Show how far the running sweep is, or where the last one broke off."""
    try:
        found = rows.told(listed)
    except UserError as mistake:
        st.warning(str(mistake))
        return
    if found is None:
        st.caption("No sweep is running.")
    elif found.runs:
        show_progress(found.state)
    else:
        show_broken(found.state)


def show_progress(state: SweepState) -> None:
    """Show stage, count, speed and the end in prospect of the running sweep."""
    stage = STAGES.get(state.stage, state.stage)
    with st.container(border=True):
        st.markdown(
            f":blue-badge[running] **Sweep {state.sweep_id}**, {stage}, since {wording.moment(state.started_at)}"
        )
        if state.total:
            st.progress(min(state.done / state.total, 1.0), how_far(state))
        ends_at = (
            state.stage_may_end_at if state.stage != "headers" else None
        )  # whose total is not known before the end
        facts = [
            f"{state.per_hour:,.0f} {unit(state)} an hour" if state.per_hour else None,
            f"may be done with them at {wording.moment(ends_at)}" if ends_at else None,
            so_far(state),
            f"last told {state.updated_at:%H:%M:%S} UTC by process {state.process_id} on {state.host}",
        ]
        st.caption(wording.stated(*facts, between=" · "))


def how_far(state: SweepState) -> str:
    """Say how many are done of how many."""
    known = " found so far" if state.stage == "headers" else ""
    return f"{state.done:,} of {state.total:,} {unit(state)}{known}"


def unit(state: SweepState) -> str:
    """Name what the stage counts."""
    return "headers" if state.stage == "headers" else "studies"


def so_far(state: SweepState) -> str:
    """Say what became of the studies read so far."""
    return f"so far {state.measured_count:,} measured, {state.excluded_count:,} excluded, {state.failed_count:,} failed"


def show_broken(state: SweepState) -> None:
    """Say that a sweep did not come to its end, where, and what to do."""
    ended_by = f" by {state.ended_by}" if state.ended_by else ""
    st.warning(
        f"Sweep {state.sweep_id} of {wording.moment(state.started_at)} broke off{ended_by}, last heard of at "
        f"{wording.moment(state.updated_at)} while {STAGES.get(state.stage, state.stage)} "
        f"({state.done:,} of {state.total:,}); {so_far(state)}. What it had read is kept and is published by the next "
        "`screening sweep`, which goes on there."
    )
    if state.advice and access.permitted(Permission.SEE_PATIENTS):
        st.warning(wording.verbatim(state.advice))
