"""Nights: how each ended, what did not get through, what changed since the one before, how far the running one is."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from dashboard import queries
from screening.store.sweep_state import ToldSweep, told_sweep

ENDED = ("completed", "stopped")  # states of a night whose results were published
MOST_FILES = 10_000  # paths listed at once


@dataclass(frozen=True, slots=True)
class Night:
    """One sweep as it was published; counts are None where it did not come to its end."""

    sweep_id: int
    started_at: datetime  # UTC
    state: str
    duration_hours: float | None
    study_found_count: int | None
    study_read_count: int | None
    measured_count: int | None
    excluded_count: int | None
    failed_count: int | None
    failed_share_percent: float | None
    failed_share_limit_percent: float | None
    studies_per_hour: float | None
    study_pending_count: int | None
    study_settling_count: int | None
    full_walk: bool | None
    file_found_count: int | None
    file_read_count: int | None
    file_added_count: int | None
    file_changed_count: int | None
    file_moved_count: int | None
    file_vanished_count: int | None
    file_problem_count: int | None
    file_booked_count: int | None  # found, by the books
    file_accounted_count: int | None
    series_booked_count: int | None
    series_accounted_count: int | None
    checkpoint_name: str | None
    checkpoint_sha256: str
    software_version: str
    ended_at: datetime | None

    @property
    def ended(self) -> bool:
        """Whether it came to its end, or was stopped in good order."""
        return self.state in ENDED

    @property
    def adds_up(self) -> bool:
        """Whether what was found is what was accounted for."""
        return (
            self.file_booked_count == self.file_accounted_count
            and self.series_booked_count == self.series_accounted_count
        )

    @property
    def failed_too_often(self) -> bool:
        """Whether the failed share was above the limit in force that night; False where there was none."""
        share, limit = self.failed_share_percent, self.failed_share_limit_percent
        return share is not None and limit is not None and share > limit


@dataclass(frozen=True, slots=True)
class Changes:
    """What is otherwise now than in an earlier publication."""

    before: queries.Publication
    publication_id: int
    published_at: datetime  # UTC
    other_checkpoint: bool
    newly_measured_count: int
    flags: pd.DataFrame  # rows of sweeps_flag_changes.sql
    failures: pd.DataFrame  # rows of sweeps_failure_changes.sql

    @property
    def came(self) -> pd.DataFrame:
        """Patients that are flagged now and were not."""
        return _of(self.flags, "came")

    @property
    def left(self) -> pd.DataFrame:
        """Patients that were flagged and are not now."""
        return _of(self.flags, "left")

    @property
    def failed(self) -> pd.DataFrame:
        """Studies that have failed and had not."""
        return _of(self.failures, "came")

    @property
    def recovered(self) -> pd.DataFrame:
        """Studies that had failed and have not now."""
        return _of(self.failures, "went")


def nights(published: queries.Publication) -> pd.DataFrame:
    """List the sweeps, newest first."""
    return queries.answer(published, "sweeps_nights")


def night(listed: pd.DataFrame, sweep_id: int | None) -> Night:
    """Return the night of this number, the newest where there is none."""
    asked = listed[listed["sweep_id"] == sweep_id]
    return Night(**_whole_numbers(queries.records(listed if asked.empty else asked)[0]))


def newest_ended(listed: pd.DataFrame) -> int | None:
    """Return the number of the newest night that published results."""
    ended = listed.loc[listed["state"].isin(ENDED), "sweep_id"]
    return int(ended.iloc[0]) if len(ended) else None


def told(listed: pd.DataFrame) -> ToldSweep | None:
    """Return how far the running sweep is, or where the last one broke off unless it had published its results.

    Raises:
        UserError: another version tells of it.
    """
    found = told_sweep(queries.database_folder())
    if found is None or found.runs:
        return found
    published = listed.loc[listed["state"].isin(ENDED), "sweep_id"]
    return None if found.state.sweep_id in set(published) else found


def ledger(published: queries.Publication, sweep_id: int) -> pd.DataFrame:
    """List both sides of the night's books."""
    return queries.answer(published, "sweeps_ledger", {"sweep_id": sweep_id})


def sides(books: pd.DataFrame) -> list[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Split the books into what was found and what was accounted for, of each unit that they are kept of."""
    found, accounted = (books[books["side"] == side] for side in ("found", "accounted"))
    return [
        (name, found[found["unit"] == unit], accounted[accounted["unit"] == unit])
        for unit, name in (("file", "Files"), ("series", "Series"))
        if (books["unit"] == unit).any()
    ]


def flow(published: queries.Publication) -> pd.DataFrame:
    """Count the studies that reached each stage, and why the others did not."""
    return queries.answer(published, "sweeps_flow")


def failures(published: queries.Publication, sweep_id: int) -> pd.DataFrame:
    """List the studies that failed in the night."""
    return queries.answer(published, "sweeps_failures", {"sweep_id": sweep_id})


def unmeasured(published: queries.Publication, sweep_id: int, status: str) -> pd.DataFrame:
    """Count the studies of the night that were excluded or failed, by stage and reason."""
    counts = queries.answer(published, "sweeps_unmeasured", {"sweep_id": sweep_id})
    return counts[counts["status"] == status].drop(columns="status").reset_index(drop=True)


def file_problems(published: queries.Publication) -> pd.DataFrame:
    """Count the files that are not indexed by reason."""
    return queries.answer(published, "sweeps_file_problems")


def problem_files(published: queries.Publication, reason: str) -> pd.DataFrame:
    """List the newest MOST_FILES files that are not indexed for this reason."""
    return queries.answer(published, "sweeps_problem_files", {"reason": reason, "most": MOST_FILES})


def compared(published: queries.Publication, sweep_id: int) -> Changes | None:
    """Compare what is shown with the results before the night; None where no publication of then is left.

    That is the publication with which the night before ended or, if it was cleared away, the next one before this
    night that is still there.

    Raises:
        UserError: the earlier publication is damaged, or of another version.
    """
    candidates = queries.records(queries.answer(published, "sweeps_publications_before", {"sweep_id": sweep_id}))
    folder = queries.database_folder().publications
    for candidate in candidates:
        path = folder / f"screening-{candidate['publication_id']:06}.duckdb"
        if path.exists():
            return _changes(published, path, candidate)
    return None


def is_first(listed: pd.DataFrame, sweep_id: int) -> bool:
    """Tell whether no night before this one published results."""
    return not (listed["state"].isin(ENDED) & (listed["sweep_id"] < sweep_id)).any()


def _of(changed: pd.DataFrame, change: str) -> pd.DataFrame:
    return changed[changed["change"] == change].drop(columns="change").reset_index(drop=True)


def _changes(published: queries.Publication, path: Path, candidate: dict[str, Any]) -> Changes:
    before = queries.Publication(str(path), path.stat().st_mtime_ns)
    return _compared(
        published,
        before,
        int(candidate["publication_id"]),
        candidate["published_at"],
        int(candidate["sweep_id_before"]),
    )


@st.cache_data(show_spinner="Comparing with the night before", max_entries=4)
def _compared(
    published: queries.Publication,
    before: queries.Publication,
    publication_id: int,
    published_at: datetime,
    sweep_id_before: int,
) -> Changes:
    measured = _table(published, "sweeps_measured_since", {"sweep_id_before": sweep_id_before})
    newly = _asked_with(before, "sweeps_newly_measured", {"measured_since": measured})
    flagged = {"flagged_before": _table(before, "sweeps_flagged_before")}
    failed = {"failed_before": _table(before, "sweeps_failed_before")}
    return Changes(
        before=before,
        publication_id=publication_id,
        published_at=published_at,
        other_checkpoint=not _active_checkpoint(before).equals(_active_checkpoint(published)),
        newly_measured_count=int(newly["study_count"].iloc[0]),
        flags=_asked_with(published, "sweeps_flag_changes", flagged, {"publication_id_before": publication_id}),
        failures=_asked_with(published, "sweeps_failure_changes", failed),
    )


def _active_checkpoint(publication: queries.Publication) -> pd.DataFrame:
    return queries.answer(publication, "sweeps_active_checkpoint")


def _table(publication: queries.Publication, name: str, parameters: dict[str, Any] | None = None) -> pa.Table:
    """Ask for rows that are to be handed to a question to another publication."""
    with queries.opened(publication) as connection:
        return connection.sql(queries.question(name), params=parameters).to_arrow_table()


def _asked_with(
    publication: queries.Publication, name: str, tables: dict[str, pa.Table], parameters: dict[str, Any] | None = None
) -> pd.DataFrame:
    """Ask a question that needs rows of another publication."""
    with queries.opened(publication) as connection:
        for table, rows in tables.items():
            connection.register(table, rows)
        return connection.execute(queries.question(name), parameters).df()


def _whole_numbers(row: dict[str, Any]) -> dict[str, Any]:
    """Give counts back as whole numbers: a column in which one is missing comes as floating point."""
    return {
        column: int(value) if column.endswith("_count") and value is not None else value
        for column, value in row.items()
    }
