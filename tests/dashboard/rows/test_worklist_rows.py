"""Who is listed, by what was published and by what was decided since."""

from datetime import date
from pathlib import Path
from typing import Any

import published_example as example
import pytest

from dashboard import queries
from dashboard.rows.worklist import Asked, found, next_open, summary
from screening.store.database import DatabaseFolder
from screening.store.reviews import Review, ReviewAction, add_event


def listed(published: queries.Publication, asked: Asked) -> list[str]:
    with found(published, asked) as patients:
        assert patients.whole().column("patient_id") == patients.page(1).column("patient_id")
        return list(patients.page(1).column("patient_id").to_pylist())


def row(published: queries.Publication, patient_id: str) -> dict[str, Any]:
    with found(published, Asked(search=patient_id)) as patients:
        (only,) = patients.page(1).to_pylist()
    return dict(only)


def decide(folder: Path, action: ReviewAction, **more: Any) -> None:
    review = Review(example.FIRST.patient_id, example.FIRST.study_instance_uid, action, "A. Reviewer", **more)
    add_event(DatabaseFolder(folder), review, seen_event_id=None)


def test_list_holds_the_flagged_most_probable_first(published: queries.Publication) -> None:
    assert listed(published, Asked()) == ["FLAGGED-1", "FLAGGED-2"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Asked(sexes=("M",)), ["FLAGGED-2"]),
        (Asked(sexes=("unknown",)), []),
        (Asked(ages_years=(72, 130)), ["FLAGGED-1"]),
        (Asked(ages_years=(73, 130)), []),
        (Asked(ages_years=(0, 71)), ["FLAGGED-2"]),
        (Asked(months_since_ct=(6, 6)), ["FLAGGED-1", "FLAGGED-2"]),
        (Asked(months_since_ct=(7, 100)), []),
        (Asked(sites=("General Hospital",)), ["FLAGGED-1", "FLAGGED-2"]),
        (Asked(sites=("not stated",)), []),
        (Asked(states=("dismissed",)), []),
        (Asked(search=" flagged-2 "), ["FLAGGED-2"]),
        (Asked(search="%"), []),
        (Asked(search="' OR true --"), []),
        (Asked(band="indeterminate"), ["INDETERMINATE"]),
    ],
)
def test_list_is_narrowed(published: queries.Publication, asked: Asked, expected: list[str]) -> None:
    assert listed(published, asked) == expected


def test_row_carries_interval_months_and_absent_dxa(published: queries.Publication) -> None:
    first = row(published, "FLAGGED-1")

    assert first["bmd_cnn_g_cm2"] == pytest.approx(1.047 - 3.20 * 0.110)
    assert first["bmd_interval_90_g_cm2"] == "0.585 – 0.805"
    assert first["months_since_ct"] == 6
    assert first["last_dxa"] == "No DXA on record"
    assert first["study_key"] == example.FIRST.study_instance_uid


def test_bar_is_drawn_to_scale(published: queries.Publication) -> None:
    """140 pixels for 0.3 to 1.3 g/cm2: 0.585 lies at 39.9, 0.805 at 70.7, T = -2.5 (0.772) at 66.1."""
    bar = row(published, "FLAGGED-1")["interval_bar"]

    assert "M39.9 12H70.7" in bar
    assert "M66.1 1V23" in bar
    assert "%" not in bar.replace("%22", "").replace("%23", "")


def test_row_carries_the_old_dxa(published: queries.Publication) -> None:
    assert row(published, "FLAGGED-2")["last_dxa"] == "2018-06-01"


def test_decision_counts_at_once(folder: Path, published: queries.Publication) -> None:
    decide(folder, ReviewAction.ORDER_DXA)

    assert listed(published, Asked(states=("open", "reopened"))) == ["FLAGGED-2"]
    assert listed(published, Asked()) == ["FLAGGED-2", "FLAGGED-1"]
    assert row(published, "FLAGGED-1")["state"] == "dxa_ordered"
    assert row(published, "FLAGGED-1")["reviewer"] == "A. Reviewer"
    assert summary(published).state_counts == {"open": 1, "dxa_ordered": 1}
    assert summary(published).open_count == 1


@pytest.mark.parametrize(("until", "state"), [(date(2026, 3, 2), "deferred"), (date(2026, 3, 1), "open")])
def test_deferral_ends_on_its_day(folder: Path, published: queries.Publication, until: date, state: str) -> None:
    decide(folder, ReviewAction.DEFER, defer_until=until)

    assert row(published, "FLAGGED-1")["state"] == state
    assert row(published, "FLAGGED-1")["defer_until"] == until


def test_summary_tells_the_limits(published: queries.Publication) -> None:
    told = summary(published)

    assert told.sites == ("General Hospital",)
    assert (told.youngest_years, told.oldest_years) == (68, 72)
    assert (told.newest_months, told.oldest_months) == (0, 6)


def test_summary_of_nobody_is_empty(folder: Path) -> None:
    example.publish_rows(folder, 1, {})

    assert summary(queries.publication()).state_counts == {}


def test_next_one_waits_and_is_less_probable(published: queries.Publication) -> None:
    assert next_open(published, "FLAGGED-1") == example.SECOND.study_instance_uid
    assert next_open(published, "FLAGGED-2") is None


def test_next_one_of_somebody_already_decided_about_is_the_same(folder: Path, published: queries.Publication) -> None:
    decide(folder, ReviewAction.DISMISS)

    assert next_open(published, "FLAGGED-1") == example.SECOND.study_instance_uid


def test_next_one_of_somebody_off_the_list_is_the_first(published: queries.Publication) -> None:
    assert next_open(published, "HIGH") == example.FIRST.study_instance_uid


def test_what_was_asked_is_said_in_words() -> None:
    asked = Asked("likely", ("open", "reopened"), ("F",), (), (50, 89), (0, 26), "P1")

    assert (
        str(asked)
        == "likely; states open, reopened; sexes F; ages 50 to 89 years; CT 0 to 26 months ago; patient ID with P1"
    )
