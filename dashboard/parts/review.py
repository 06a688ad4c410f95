"""What reviewers decided about a patient, and a place to decide."""

from datetime import timedelta
from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard import access, queries, wording
from dashboard.access import LOCAL_PERSON, Permission
from dashboard.rows import patient as rows
from screening.errors import UserError
from screening.store.audit import AccessKind
from screening.store.reviews import Review, ReviewAction, add_event

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
NAME: Final = "reviewer"
_MESSAGE: Final = "what became of the decision"
_SEEN: Final = "seen decisions"


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
    if not standing or (not standing["listed"] and standing["last_event_id"] is None):
        st.markdown("This patient is not on the list: there is nothing to decide.")
        return
    until = f" until {wording.day(standing['defer_until'])}" if standing["state"] == "deferred" else ""
    st.markdown(f"State: **{wording.STATES[standing['state']]}{until}**")
    if access.permitted(Permission.REVIEW):
        _decide(record, as_of)


def _decide(record: rows.PatientRecord, as_of: Any) -> None:
    """Offer the decisions; what others decided since the page was opened must be seen first."""
    study, newest = record.standing["study_instance_uid"], record.standing["last_event_id"]
    seen_by_study: dict[str, int | None] = st.session_state.setdefault(_SEEN, {})
    seen = seen_by_study.setdefault(study, newest)
    if seen != newest:
        st.warning("Somebody has decided about this CT since you opened it: see the history beside this.")
        st.button("I have seen it", on_click=seen_by_study.update, args=({study: newest},))
        return
    _ask_name()
    action = st.segmented_control("Decision", OFFERED, format_func=wording.ACTIONS.__getitem__, key=f"decide {study}")
    if action is ReviewAction.DEFER:
        until = as_of + USUAL_DEFERRAL
        st.date_input("Look again on", until, min_value=as_of + timedelta(days=1), key=f"defer {study}")
    st.text_input("Comment", key=f"comment {study}", placeholder="Optional; no names", max_chars=500)
    buttons = st.container(horizontal=True)
    patient_id = record.patient["patient_id"]
    buttons.button(
        "Record the decision", type="primary", disabled=action is None, on_click=_decided,
        args=(patient_id, study, seen),
    )  # fmt: skip
    before = rows.before_the_newest(record.decisions, study)
    if before is not None:
        taken_back = (patient_id, study, seen, before, f"takes decision {newest} back")
        buttons.button("Take the last decision back", on_click=_take_back, args=taken_back)


def _ask_name() -> None:
    """Ask who decides, where no sign-in tells it."""
    if _named_by_sign_in() is None:
        st.text_input("Your name", key=NAME, persist_state="session", max_chars=80)


def _named_by_sign_in() -> str | None:
    current = access.visitor()
    return current.name if current is not None and current.name != LOCAL_PERSON else None


def _decided(patient_id: str, study: str, seen: int | None) -> None:
    """Record what was filled in, and empty the fields: a second click on the same button decides nothing more."""
    state = st.session_state
    action = state[f"decide {study}"]
    if action is None:
        return
    until = state.get(f"defer {study}") if action is ReviewAction.DEFER else None
    if _record(patient_id, study, seen, rows.Decided(action, until), state[f"comment {study}"].strip()):
        state[f"decide {study}"], state[f"comment {study}"] = None, ""


def _take_back(patient_id: str, study: str, seen: int | None, before: rows.Decided, comment: str) -> None:
    """Record what held before once more."""
    _record(patient_id, study, seen, before, comment)


def _record(patient_id: str, study: str, seen: int | None, decided: rows.Decided, comment: str) -> bool:
    """Write the decision, its line in the audit trail first; tell the reviewer, and return whether it was written.

    Args:
        patient_id: whom it is about.
        study: UID of the CT.
        seen: the newest decision that the reviewer had before them when the button was drawn.
        decided: what.
        comment: the reviewer's, may be empty.
    """
    reviewer = _named_by_sign_in() or st.session_state.get(NAME, "")
    try:
        review = Review(patient_id, study, decided.action, reviewer, comment, decided.until)
        access.leave_trail(
            AccessKind.REVIEW, patient_id=patient_id, study_instance_uid=study, detail=str(decided.action)
        )
        event_id = add_event(queries.database_folder(), review, seen_event_id=seen)
    except UserError as mistake:  # outside of a page, where a sentence would be lost
        st.session_state[_MESSAGE] = (False, str(mistake))
        return False
    st.session_state[_SEEN][study] = event_id
    st.session_state[_MESSAGE] = (True, f"Recorded: {wording.ACTIONS[decided.action]}.")
    return True


def _show_message() -> None:
    recorded, text = st.session_state.pop(_MESSAGE, (True, ""))
    if text:
        (st.success if recorded else st.warning)(text)


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
