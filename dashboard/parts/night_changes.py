"""What the newest night changed: who came onto the list and who left it, what failed and what does no longer."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from dashboard import access, queries, wording
from dashboard.access import Permission
from dashboard.parts.night_tables import COUNT_COLUMNS, FAILURE_CHANGE_COLUMNS, FLAG_COLUMNS, REASON_COLUMNS, show_table
from dashboard.rows import sweeps as rows
from dashboard.rows.sweeps import Night
from screening.store.audit import AccessKind

AGAIN = {True: "For the first time", False: "Again"}


def show_changes(published: queries.Publication, listed: pd.DataFrame, night: Night) -> None:
    """Show what the newest night changed, by the publications before and after it."""
    newest = rows.newest_ended(listed)
    if newest is None or rows.is_first(listed, newest):
        st.info("This was the first night: there is nothing to compare it with.")
        return
    if night.sweep_id != newest:
        st.info(f"Compared is the newest night only, sweep {newest}: of older ones the publications are cleared away.")
        return
    changes = rows.compared(published, newest)
    if changes is None:
        st.info(
            "The publication before this night is not kept any more, so that nothing can be compared. "
            "`keep_publications` under [sweep] in screening.toml says how many are kept."
        )
        return
    st.caption(f"Against publication {changes.publication_id} of {wording.moment(changes.published_at)}.")
    if changes.other_checkpoint:
        st.warning("Another checkpoint is active since then: every number was estimated anew.")
    tiles = {
        "Newly measured studies": changes.newly_measured_count,
        "Newly flagged patients": len(changes.came),
        "No longer flagged": len(changes.left),
        "New failures": len(changes.failed),
        "Failures gone": len(changes.recovered),
    }
    for column, (label, value) in zip(st.columns(5), tiles.items(), strict=True):
        column.metric(label, f"{value:,}", border=True)
    if access.permitted(Permission.SEE_PATIENTS):
        show_changed(changes, queries.headline(published))
    else:
        show_changed_counts(changes, queries.headline(published))


def show_changed(changes: rows.Changes, headline: queries.Headline) -> None:
    """List the patients and studies that changed."""
    lists = {
        "Newly flagged": (changes.came.assign(why=changes.came["first_time"].map(AGAIN)), FLAG_COLUMNS),
        "No longer flagged": (changes.left.assign(why=changes.left["why"].map(left_because(headline))), FLAG_COLUMNS),
        "New failures": (
            changes.failed.assign(status=changes.failed["status"].map(wording.STATUSES)),
            FAILURE_CHANGE_COLUMNS,
        ),
        "Failures gone": (
            changes.recovered.assign(
                status=changes.recovered["status"].map(
                    lambda status: wording.STATUSES.get(status, status.capitalize())
                ),
                reason=changes.recovered["reason"].map(wording.reason),
            ),
            FAILURE_CHANGE_COLUMNS,
        ),
    }
    listed = sum(len(frame) for frame, _ in lists.values())
    access.leave_trail(AccessKind.LIST, row_count=listed, detail="sweeps: changes since the night before")
    for name, (frame, columns) in lists.items():
        st.subheader(f"{name}: {len(frame):,}")
        if frame.empty:
            st.markdown("None.")
        else:
            show_table(frame, columns, name)
    st.caption("No longer flagged is not a finding: not flagged does not mean normal.")


def show_changed_counts(changes: rows.Changes, headline: queries.Headline) -> None:
    """Count the reasons of what changed, for those who see no patient."""
    st.subheader("No longer flagged, by reason")
    reasons = changes.left["why"].map(left_because(headline)).value_counts().rename_axis("reason")
    show_table(reasons.reset_index(name="study_count"), REASON_COLUMNS, "Patients no longer flagged by reason")
    st.subheader("New failures, by stage and exception")
    failed = changes.failed.value_counts(["stage", "reason"]).reset_index(name="study_count")
    show_table(failed, COUNT_COLUMNS, "New failures by stage and exception")
    st.caption("Your role sees counts, not patients. Not flagged does not mean normal.")


def left_because(headline: queries.Headline) -> Callable[[str], str]:
    """Return what words the reason why a patient is not flagged any more."""
    limits = {
        "minimum_age_years": headline.minimum_age_years,
        "look_back_months": headline.look_back_months,
        "as_of_date": wording.day(headline.as_of_date),
    }

    def word(why: str) -> str:
        if why in wording.CRITERIA:
            return f"Not met: {wording.criterion(why, limits)}"
        return f"A reviewer decided: {wording.STATES.get(why, wording.plain(why))}"

    return word
