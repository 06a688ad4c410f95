"""Decisions of reviewers while the sweep writes: appended, folded in, none lost, none twice."""

import multiprocessing
import stat
from datetime import date
from pathlib import Path

import duckdb
import pytest

from screening.config import CareGapSettings
from screening.errors import UserError
from screening.store.database import DatabaseFolder, fetch_one, open_writer
from screening.store.publish import publish
from screening.store.reviews import Review, ReviewAction, StaleReview, add_event, events, fold_reviews

WRITERS, DECISIONS_EACH, PUBLICATIONS = 2, 6, 2


@pytest.fixture
def place(tmp_path: Path) -> DatabaseFolder:
    folder = DatabaseFolder(tmp_path / "db")
    folder.create()
    return folder


def dismissal(study: str = "2.25.1") -> Review:
    return Review("A", study, ReviewAction.DISMISS, reviewer="R")


def publish_now(place: DatabaseFolder) -> None:
    with open_writer(place) as connection:
        publish(connection, place, CareGapSettings())


def published_events(place: DatabaseFolder) -> list[tuple[int, str]]:
    with duckdb.connect(place.published.resolve(), read_only=True) as connection:
        return connection.execute("SELECT event_id, study_instance_uid FROM review_event ORDER BY 1").fetchall()


def test_decisions_are_numbered_and_kept_as_they_were_made(place: DatabaseFolder) -> None:
    add_event(place, dismissal("2.25.1"), seen_event_id=None)
    deferral = Review("B", "2.25.2", ReviewAction.DEFER, "R", "after surgery", date(2026, 3, 1))
    assert add_event(place, deferral, seen_event_id=None) == 2

    row = events(place, after=1).to_pylist()[0]
    assert (row["event_id"], row["patient_id"], row["action"], row["comment"]) == (2, "B", "defer", "after surgery")
    assert (row["defer_until"], row["reviewer"], row["seen_event_id"]) == (date(2026, 3, 1), "R", None)


def test_a_publication_takes_over_what_is_new_once(place: DatabaseFolder) -> None:
    add_event(place, dismissal("2.25.1"), seen_event_id=None)
    publish_now(place)
    add_event(place, dismissal("2.25.2"), seen_event_id=None)
    publish_now(place)
    assert published_events(place) == [(1, "2.25.1"), (2, "2.25.2")]


def test_without_any_decision_there_is_nothing_to_take_over(place: DatabaseFolder) -> None:
    with open_writer(place) as connection:
        assert fold_reviews(connection, place) == 0
    assert not place.reviews.exists()


@pytest.mark.parametrize("seen", [None, 2])
def test_a_stale_view_is_told_and_adds_nothing(place: DatabaseFolder, seen: int | None) -> None:
    add_event(place, dismissal(), seen_event_id=None)
    with pytest.raises(StaleReview, match="load it again"):
        add_event(place, dismissal(), seen_event_id=seen)
    assert events(place).num_rows == 1


def test_who_has_seen_the_newest_decision_may_change_it(place: DatabaseFolder) -> None:
    first = add_event(place, dismissal(), seen_event_id=None)
    reopened = Review("A", "2.25.1", ReviewAction.REOPEN, reviewer="S")
    assert add_event(place, reopened, seen_event_id=first) == first + 1


def test_a_decision_about_another_study_makes_no_view_stale(place: DatabaseFolder) -> None:
    add_event(place, dismissal("2.25.1"), seen_event_id=None)
    assert add_event(place, dismissal("2.25.2"), seen_event_id=None) == 2


@pytest.mark.parametrize(
    ("action", "reviewer", "until"),
    [
        (ReviewAction.DEFER, "R", None),
        (ReviewAction.DISMISS, "R", date(2026, 1, 1)),
        (ReviewAction.DISMISS, "  ", None),
    ],
)
def test_a_decision_that_does_not_say_enough_is_refused(
    action: ReviewAction, reviewer: str, until: date | None
) -> None:
    with pytest.raises(UserError):
        Review("A", "2.25.1", action, reviewer, defer_until=until)


def test_numbers_go_on_after_the_file_of_reviews_was_lost(place: DatabaseFolder) -> None:
    add_event(place, dismissal("2.25.1"), seen_event_id=None)
    publish_now(place)
    place.reviews.unlink()

    assert add_event(place, dismissal("2.25.2"), seen_event_id=None) == 2
    publish_now(place)
    assert published_events(place) == [(1, "2.25.1"), (2, "2.25.2")]


def test_a_decision_told_otherwise_stops_the_publication(place: DatabaseFolder) -> None:
    add_event(place, dismissal("2.25.1"), seen_event_id=None)
    publish_now(place)
    with duckdb.connect(place.reviews) as connection:
        connection.execute("UPDATE review_event SET action = 'reopen'")
    with pytest.raises(UserError, match="tell 1 decisions"):
        publish_now(place)


def test_a_file_that_stays_held_is_told_in_one_line(place: DatabaseFolder) -> None:
    add_event(place, dismissal(), seen_event_id=None)
    with multiprocessing.get_context("spawn").Pool(1) as other:
        other.apply(hold_open, (place.reviews,))
        with pytest.raises(UserError, match="held by another program"):
            events(place, wait_s=0.1)


def test_the_file_is_closed_to_other_users(place: DatabaseFolder) -> None:
    add_event(place, dismissal(), seen_event_id=None)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (place.reviews, place.reviews_lock)}
    assert modes == {0o600}


def test_nothing_is_lost_when_reviewers_and_publications_meet(place: DatabaseFolder) -> None:
    publish_now(place)
    with multiprocessing.get_context("spawn").Pool(WRITERS) as reviewers:
        under_way = reviewers.starmap_async(decide, [(place, writer) for writer in range(WRITERS)])
        for _ in range(PUBLICATIONS):
            publish_now(place)
        under_way.get(timeout=60)
    publish_now(place)

    decided = published_events(place)
    assert [number for number, _ in decided] == list(range(1, WRITERS * DECISIONS_EACH + 1))
    assert len({study for _, study in decided}) == WRITERS * DECISIONS_EACH


def decide(place: DatabaseFolder, writer: int) -> None:
    for number in range(DECISIONS_EACH):
        add_event(place, dismissal(f"2.25.{writer}{number:03}"), seen_event_id=None)


held: list[duckdb.DuckDBPyConnection] = []  # by the other process, until it ends


def hold_open(path: Path) -> int:
    held.append(duckdb.connect(path))
    return int(fetch_one(held[0], "SELECT count(*) FROM review_event")[0])
