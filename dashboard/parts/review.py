"""What reviewers decided about a patient, and a place to decide."""

from datetime import timedelta
from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard import access, queries, wording
from dashboard.access import LOCAL_PERSON, Permission
from dashboard.rows import patient as rows
from screening.store.audit import AccessKind
from screening.store.reviews import Review, ReviewAction, StaleReview, add_event

COLUMNS: Final[dict[str, Any]] = {
    "made_at": st.column_config.DatetimeColumn("When (UTC)", format="YYYY-MM-DD HH:mm"),
    "decision": "Decision",
    "comment": "Comment",
    "reviewer": "By",
    "about": "About the CT",
}
# What may be decided; to reopen is to take a decision back.
OFFERED: Final = (
    ReviewAction.ORDER_DXA,
    ReviewAction.ALREADY_KNOWN,
    ReviewAction.NOT_EVALUABLE,
    ReviewAction.DISMISS,
    ReviewAction.DEFER,
)
USUAL_DEFERRAL: Final = timedelta(days=90)
_MESSAGE: Final = "what became of the decision"


def show_review(record: rows.PatientRecord, as_of: Any) -> None:
    """Show the history, and let a reviewer decide about a patient of the list.

    Args:
        record: the patient.
        as_of: date of the publication; a deferral ends after it.
    """
    st.subheader("Review")
    _show_message()
    decision, history = st.columns([1, 1], gap="medium")
    with decision:
        _show_state(record, as_of)
    with history:
        _show_history(record)


def _show_state(record: rows.PatientRecord, as_of: Any) -> None:
    """Show where the patient stands, and let a reviewer decide."""
    standing = record.standing
    if not standing or (not standing["in_gap"] and standing["last_event_id"] is None):
        st.markdown("This patient is not on the list: there is nothing to decide.")
        return
    until = f" until {wording.day(standing['defer_until'])}" if standing["state"] == "deferred" else ""
    st.markdown(f"State: **{wording.STATES[standing['state']]}{until}**")
    if access.permitted(Permission.REVIEW):
        _decide(record, as_of)


def _decide(record: rows.PatientRecord, as_of: Any) -> None:
    """Offer the decisions; what others decided since the page was opened must be seen first."""
    study, newest = record.standing["study_instance_uid"], record.standing["last_event_id"]
    seen_by_study: dict[str, int | None] = st.session_state.setdefault("seen decisions", {})
    seen = seen_by_study.setdefault(study, newest)
    if seen != newest:
        st.warning("Somebody has decided about this CT since you opened it: see the history beside this.")
        st.button("I have seen it", on_click=seen_by_study.update, args=({study: newest},))
        return
    reviewer = _reviewer()
    action = st.segmented_control(
        "Decision", OFFERED, format_func=wording.ACTIONS.__getitem__, key=f"decide {study}", wrap=True
    )
    until = None
    if action is ReviewAction.DEFER:
        until = st.date_input("Look again on", as_of + USUAL_DEFERRAL, min_value=as_of + timedelta(days=1))
    comment = st.text_input("Comment", key=f"comment {study}", placeholder="Optional; no names", max_chars=500)
    buttons = st.container(horizontal=True)
    if buttons.button("Record the decision", type="primary", disabled=action is None) and action is not None:
        _record(Review(record.patient["patient_id"], study, action, reviewer, comment.strip(), until), seen)
    before = rows.before_the_newest(record.decisions, study)
    if before is not None and buttons.button("Take the last decision back"):
        comment = f"takes decision {newest} back"
        _record(Review(record.patient["patient_id"], study, before.action, reviewer, comment, before.until), seen)


def _reviewer() -> str:
    """Return who decides: whoever has signed in, or the name that is given on this machine."""
    current = access.visitor()
    if current is not None and current.name != LOCAL_PERSON:
        return current.name
    return st.text_input("Your name", key="reviewer", persist_state="session", max_chars=80)


def _record(review: Review, seen: int | None) -> None:
    """Write the decision and show the page again."""
    try:
        event_id = add_event(queries.database_folder(), review, seen_event_id=seen)
    except StaleReview as late:
        st.session_state[_MESSAGE] = ("warning", str(late))
    else:
        st.session_state["seen decisions"][review.study_instance_uid] = event_id
        access.leave_trail(
            AccessKind.REVIEW, patient_id=review.patient_id, study_instance_uid=review.study_instance_uid,
            detail=f"decision {event_id}: {review.action}",
        )  # fmt: skip
        st.session_state[_MESSAGE] = ("success", f"Recorded: {wording.ACTIONS[review.action]}.")
    st.rerun()


def _show_message() -> None:
    kind, text = st.session_state.pop(_MESSAGE, (None, ""))
    if kind is not None:
        (st.success if kind == "success" else st.warning)(text)


def _show_history(record: rows.PatientRecord) -> None:
    """Show every decision about the patient, newest first."""
    if record.decisions.empty:
        st.caption("Nothing has been decided yet.")
        return
    dates = dict(zip(record.results["study_instance_uid"], record.results["study_date"], strict=True))
    worded = record.decisions.assign(
        decision=record.decisions["action"].map(lambda action: wording.ACTIONS[ReviewAction(action)])
        + record.decisions["defer_until"].map(lambda day: f" until {wording.day(day)}" if pd.notna(day) else ""),
        about=record.decisions["study_instance_uid"].map(lambda uid: wording.day(dates.get(uid))),
    )
    st.dataframe(worded[list(COLUMNS)], column_config=COLUMNS, hide_index=True, alt="Decisions, newest first")
