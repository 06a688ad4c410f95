"""What became of the flagged, by month of the CT."""

from collections.abc import Iterator
from datetime import date, timedelta

import duckdb
import pytest
from care_gap_rows import AS_OF, CT, add_dxa, add_flag, add_patient, new_database

FLAGGED_ON = date(2025, 3, 1)
COUNTS = "measured_count, likely_count, flagged_count, had_dxa_already_count, dxa_within_12_weeks_count"


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    return new_database()


@pytest.fixture
def connection(database: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    database.begin()
    yield database
    database.rollback()


def test_each_month_and_sex_is_a_row_with_its_shares(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection, "A", study="2.25.1", study_date=date(2024, 1, 31))
    add_patient(connection, "B", study="2.25.2", study_date=date(2024, 2, 1))
    add_patient(connection, "C", study="2.25.3", study_date=date(2024, 2, 29), band="not_flagged")
    add_patient(connection, "D", study="2.25.4", study_date=date(2024, 2, 1), sex="M")
    add_flag(connection, FLAGGED_ON, study="2.25.2", patient_id="B")

    rows = connection.execute(
        "SELECT ct_month, sex, measured_count, likely_share, flagged_share, dxa_within_12_weeks_share "
        "FROM care_gap_month"
    ).fetchall()
    assert rows == [
        (date(2024, 1, 1), "F", 1, 1.0, 0.0, None),
        (date(2024, 2, 1), "F", 2, 0.5, 0.5, 0.0),
        (date(2024, 2, 1), "M", 1, 1.0, 0.0, None),
    ]


@pytest.mark.parametrize(
    ("days", "within", "already", "share"),
    [(-1, 0, 1, None), (0, 1, 0, 1.0), (84, 1, 0, 1.0), (85, 0, 0, 0.0)],
)
def test_a_dxa_counts_from_the_flag_to_twelve_weeks_after(
    connection: duckdb.DuckDBPyConnection, days: int, within: int, already: int, share: float | None
) -> None:
    add_patient(connection, study_date=FLAGGED_ON - timedelta(days=10))
    add_flag(connection, FLAGGED_ON)
    add_dxa(connection, FLAGGED_ON + timedelta(days=days))
    row = connection.execute(f"SELECT {COUNTS}, dxa_within_12_weeks_share FROM care_gap_month").fetchall()
    assert row == [(1, 1, 1, already, within, share)]


@pytest.mark.parametrize(("days_ago", "waiting", "share"), [(84, 1, None), (85, 0, 0.0)])
def test_who_is_not_due_yet_is_in_no_share(
    connection: duckdb.DuckDBPyConnection, days_ago: int, waiting: int, share: float | None
) -> None:
    add_patient(connection)
    add_flag(connection, AS_OF - timedelta(days=days_ago))
    row = connection.execute("SELECT not_yet_due_count, dxa_within_12_weeks_share FROM care_gap_month").fetchall()
    assert row == [(waiting, share)]


def test_a_dxa_before_the_ct_is_not_the_answer_to_it(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection, study_date=CT)
    add_flag(connection, CT)
    add_dxa(connection, CT - timedelta(days=1))
    assert connection.execute(f"SELECT {COUNTS} FROM care_gap_month").fetchall() == [(1, 1, 1, 0, 0)]


def test_whoever_was_ever_flagged_stays_counted(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection)
    add_flag(connection, CT)
    connection.execute("UPDATE model SET active = false")
    assert connection.execute(f"SELECT {COUNTS} FROM care_gap_month").fetchall() == [(0, 0, 1, 0, 0)]
