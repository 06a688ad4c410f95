"""Decisions of reviewers: kept in a small file of their own, folded into the database at publication.

The sweep may hold its file for hours, so a decision is never written there. It goes into a file that is open only for
the moment of one short transaction, and stays in it; every publication takes over what is new.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Final

import duckdb
import pyarrow as pa

from screening.errors import UserError
from screening.store.database import (
    STORAGE_VERSION,
    DatabaseFolder,
    fetch_one,
    sql,
    transaction,
    write_rows,
)

# A transaction takes some 20 ms: whoever waits longer than this waits for a program that holds the file open.
WAIT_S: Final = 20.0
_PAUSE_S: Final = 0.01


class ReviewAction(StrEnum):
    """What a reviewer can decide about a patient on the list."""

    ORDER_DXA = "order_dxa"
    ALREADY_KNOWN = "already_known"
    NOT_EVALUABLE = "not_evaluable"
    DISMISS = "dismiss"
    DEFER = "defer"
    REOPEN = "reopen"


@dataclass(frozen=True, slots=True)
class Review:
    """One decision about the CT that put a patient on the list."""

    patient_id: str
    study_instance_uid: str
    action: ReviewAction
    reviewer: str
    comment: str = ""
    defer_until: date | None = None  # first day on which a deferred patient is open again

    def __post_init__(self) -> None:
        """Refuse a decision that does not say enough.

        Raises:
            UserError: the reviewer is not named, or a day to defer to is missing or too much.
        """
        if not self.reviewer.strip():
            raise UserError("A decision needs the name of its reviewer.")
        if (self.action is ReviewAction.DEFER) != (self.defer_until is not None):
            raise UserError("To defer needs the day to look again, and only to defer has one.")


class StaleReview(UserError):
    """Somebody else decided about this CT after the reviewer had looked."""


def add_event(place: DatabaseFolder, review: Review, *, seen_event_id: int | None, wait_s: float = WAIT_S) -> int:
    """Append a decision and return its number.

    Args:
        place: of the database.
        review: the decision.
        seen_event_id: the newest decision about this CT that the reviewer had before them; None where there was none.
        wait_s: for other reviewers, s.

    Raises:
        StaleReview: a newer decision is there; the reviewer must see it first.
        UserError: the file is held by another program, or cannot be written.
    """
    with _opened(place, wait_s) as connection, transaction(connection):
        newest, event_id = fetch_one(
            connection,
            "SELECT max(event_id) FILTER (patient_id = ? AND study_instance_uid = ?), coalesce(max(event_id), 0) + 1 "
            "FROM review_event",
            [review.patient_id, review.study_instance_uid],
        )
        if newest != seen_event_id:
            raise StaleReview("Somebody has decided about this CT since it was shown: load it again, then decide.")
        made = {"made_at": datetime.now(UTC).replace(tzinfo=None), "seen_event_id": seen_event_id}
        row = asdict(review) | {"event_id": event_id, "action": str(review.action)} | made
        write_rows(connection, "review_event", [row])
    return int(event_id)


def events(place: DatabaseFolder, *, after: int = 0, wait_s: float = WAIT_S) -> pa.Table:
    """Return the decisions numbered above `after`, in their order, with the columns of table review_event.

    Raises:
        UserError: the file is held by another program.
    """
    with _opened(place, wait_s) as connection:
        return connection.sql(sql("queries/reviews_after"), params={"after": after}).to_arrow_table()


def fold_reviews(connection: duckdb.DuckDBPyConnection, place: DatabaseFolder) -> int:
    """Take over the decisions that table review_event does not have yet; return how many.

    The caller holds the transaction. Nothing is removed from the file of reviews, so that whatever ends this halfway
    loses nothing.

    Raises:
        UserError: the file is held by another program, or tells a decision otherwise than the database does.
    """
    if not place.reviews.exists():
        return 0
    connection.register("folded", events(place))
    try:
        (differing,) = fetch_one(connection, sql("queries/reviews_told_otherwise"))
        if differing:
            raise UserError(
                f"{place.reviews.name} and the database tell {differing} decisions of reviewers otherwise: one of them "
                "was replaced by an older copy. Restore the newest copy of both from the backup."
            )
        (added,) = fetch_one(connection, sql("queries/take_over_reviews"))
    finally:
        connection.unregister("folded")
    return int(added)


@contextmanager
def _opened(place: DatabaseFolder, wait_s: float) -> Iterator[duckdb.DuckDBPyConnection]:
    """Be the only one with the file of reviews open; a new one begins with the decisions that were published.

    Raises:
        UserError: it is held by another program for longer than `wait_s`, or cannot be written.
    """
    with _alone(place, wait_s) as until:
        connection = _connected(place, until)
        try:
            if not _has_reviews(connection):
                place.reviews.chmod(0o600)
                _begin(connection, place)
            yield connection
        finally:
            connection.close()


def _begin(connection: duckdb.DuckDBPyConnection, place: DatabaseFolder) -> None:
    """Make the table of a new file, and go on numbering where an earlier file, now lost, had come to."""
    with transaction(connection):
        connection.execute(sql("schema/reviews"))
        published = _published(place)
        if published is not None:
            connection.execute("INSERT INTO review_event BY NAME FROM published")


def _published(place: DatabaseFolder) -> pa.Table | None:
    """Return the decisions of the newest publication; one of an earlier version has no table for them."""
    if not place.published.exists():
        return None
    with duckdb.connect(place.published.resolve(), read_only=True) as connection:
        return connection.table("review_event").to_arrow_table() if _has_reviews(connection) else None


def _has_reviews(connection: duckdb.DuckDBPyConnection) -> bool:
    return bool(fetch_one(connection, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'review_event'")[0])


@contextmanager
def _alone(place: DatabaseFolder, wait_s: float) -> Iterator[float]:
    """Wait for the lock; yield the time.monotonic() until which may be waited for the file."""
    until = time.monotonic() + wait_s
    try:
        lock = os.open(place.reviews_lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise UserError(f"Cannot write into {place.folder}, where decisions are kept: {error.strerror}.") from error
    try:
        while not _taken(lock):
            _pause(place, until)
        yield until
    finally:
        os.close(lock)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _connected(place: DatabaseFolder, until: float) -> duckdb.DuckDBPyConnection:
    """Open the file; another program may have it open, a notebook say."""
    while True:
        try:
            return duckdb.connect(place.reviews, config={"storage_compatibility_version": STORAGE_VERSION})
        except duckdb.IOException:
            _pause(place, until)


def _pause(place: DatabaseFolder, until: float) -> None:
    if time.monotonic() > until:
        raise UserError(f"{place.reviews} is held by another program, or damaged: close the program, then try again.")
    time.sleep(_PAUSE_S)
