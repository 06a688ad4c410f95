"""Who is flagged, criterion by criterion, at the limits."""

from collections.abc import Iterator
from datetime import date, timedelta

import duckdb
import pytest
from care_gap_rows import AS_OF, CT, add_dxa, add_fact, add_patient, add_review, new_database, publish_on

CRITERIA = (
    "likely_osteoporosis, identified, old_enough, no_dxa_in_look_back, no_dxa_since_ct, alive, no_known_osteoporosis, "
    "not_treated, not_opted_out, open"
)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    return new_database()


@pytest.fixture
def connection(database: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    database.begin()
    yield database
    database.rollback()


def flagged(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT patient_id FROM flagged").fetchall()]


def states(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, bool, int | None]]:
    return connection.execute("SELECT patient_id, state, open, last_event_id FROM worklist").fetchall()


def test_likely_and_without_dxa_is_flagged(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection)
    assert flagged(connection) == ["A"]


@pytest.mark.parametrize("band", ["indeterminate", "not_flagged"])
def test_other_bands_are_not_flagged(connection: duckdb.DuckDBPyConnection, band: str) -> None:
    add_patient(connection, band=band)
    assert flagged(connection) == []


@pytest.mark.parametrize(("age", "expected"), [(49.99, []), (50.0, ["A"]), (None, [])])
def test_age_at_the_limit(connection: duckdb.DuckDBPyConnection, age: float | None, expected: list[str]) -> None:
    add_patient(connection, age=age)
    assert flagged(connection) == expected


@pytest.mark.parametrize(
    ("dxa_date", "expected"),
    [
        (date(2022, 5, 31), ["A"]),  # a day before the look-back opens
        (date(2022, 6, 1), []),
        (date(2022, 6, 2), []),
        (date(2025, 3, 1), []),  # the day of the CT
    ],
)
def test_dxa_at_the_look_back(connection: duckdb.DuckDBPyConnection, dxa_date: date, expected: list[str]) -> None:
    add_patient(connection)
    add_dxa(connection, dxa_date)
    assert flagged(connection) == expected


@pytest.mark.parametrize(("dxa_date", "expected"), [(date(2010, 1, 9), ["A"]), (date(2010, 1, 10), [])])
def test_a_dxa_since_an_old_ct_closes_the_gap(
    connection: duckdb.DuckDBPyConnection, dxa_date: date, expected: list[str]
) -> None:
    add_patient(connection, study_date=date(2010, 1, 10))
    add_dxa(connection, dxa_date)
    assert flagged(connection) == expected


@pytest.mark.parametrize("region", ["total_hip", "femoral_neck", "L2-L4", "L1"])
def test_any_central_dxa_closes_the_gap(connection: duckdb.DuckDBPyConnection, region: str) -> None:
    add_patient(connection)
    add_dxa(connection, AS_OF, region)
    assert flagged(connection) == []


def test_a_patient_without_identifier_is_not_flagged(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection, identified=False)
    assert flagged(connection) == []
    assert connection.execute("SELECT likely_osteoporosis, identified FROM care_gap").fetchall() == [(True, False)]


@pytest.mark.parametrize(("sex", "issuer"), [("M", ""), ("F", "other hospital")])
def test_studies_that_disagree_on_the_patient_are_not_flagged(
    connection: duckdb.DuckDBPyConnection, sex: str, issuer: str
) -> None:
    add_patient(connection, study="2.25.1", study_date=date(2024, 1, 1), issuer="this hospital")
    add_patient(connection, study="2.25.2", study_date=date(2023, 1, 1), sex=sex, issuer=issuer)
    assert flagged(connection) == []


def test_a_later_study_without_sex_takes_nothing_away(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection, study="2.25.1", study_date=date(2023, 1, 1), sex="F")
    add_patient(connection, study="2.25.2", study_date=date(2024, 1, 1), sex=None)
    assert connection.execute("SELECT sex FROM flagged").fetchall() == [("F",)]


@pytest.mark.parametrize(("study_date", "months"), [(date(2025, 5, 1), 1), (date(2025, 5, 2), 0)])
def test_months_since_the_ct_are_full_months(
    connection: duckdb.DuckDBPyConnection, study_date: date, months: int
) -> None:
    add_patient(connection, study_date=study_date)
    assert connection.execute("SELECT months_since_ct FROM worklist").fetchall() == [(months,)]


def test_only_the_newest_study_counts(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection, study="2.25.1", study_date=date(2020, 1, 1), band="likely")
    add_patient(connection, study="2.25.2", study_date=date(2024, 1, 1), band="not_flagged")
    assert flagged(connection) == []


def test_most_probable_first_then_oldest(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection, "A", study="2.25.1", osteoporosis_probability=0.6, age=80)
    add_patient(connection, "B", study="2.25.2", osteoporosis_probability=0.9, age=60)
    add_patient(connection, "C", study="2.25.3", osteoporosis_probability=0.9, age=70)
    rows = connection.execute("SELECT patient_id, position FROM worklist").fetchall()
    assert rows == [("C", 1), ("B", 2), ("A", 3)]


def test_results_of_an_inactive_checkpoint_are_not_shown(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection)
    connection.execute("UPDATE model SET active = false")
    assert connection.execute("SELECT count(*) FROM patient_bmd").fetchall() == [(0,)]


@pytest.mark.parametrize("fact", ["death", "diagnosis", "treatment", "opt_out"])
@pytest.mark.parametrize(("holds", "expected"), [(True, []), (False, ["A"])])
def test_what_else_is_known_keeps_off_the_list_while_it_holds(
    connection: duckdb.DuckDBPyConnection, fact: str, holds: bool, expected: list[str]
) -> None:
    add_patient(connection)
    add_fact(connection, fact, holds=holds)
    assert flagged(connection) == expected


@pytest.mark.parametrize(
    ("fact", "criterion"),
    [
        ("death", "alive"),
        ("diagnosis", "no_known_osteoporosis"),
        ("treatment", "not_treated"),
        ("opt_out", "not_opted_out"),
    ],
)
def test_a_criterion_is_not_known_until_its_list_was_imported(
    connection: duckdb.DuckDBPyConnection, fact: str, criterion: str
) -> None:
    add_patient(connection, "A", study="2.25.1")
    add_patient(connection, "B", study="2.25.2")
    query = f"SELECT {criterion} FROM care_gap ORDER BY patient_id"
    assert connection.execute(query).fetchall() == [(None,), (None,)]
    add_fact(connection, fact, patient_id="B")
    assert connection.execute(query).fetchall() == [(True,), (False,)]
    assert flagged(connection) == ["A"]


def test_an_unknown_age_is_not_known_and_never_flags(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection, age=None)
    assert connection.execute("SELECT old_enough, flagged FROM care_gap").fetchall() == [(None, False)]


def test_an_undated_ct_is_flagged_only_without_any_dxa(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection, study_date=None)
    assert flagged(connection) == ["A"]
    add_dxa(connection, date(2000, 1, 1))
    assert flagged(connection) == []


def test_every_criterion_is_a_column(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection)
    for fact in ("death", "diagnosis", "treatment", "opt_out"):
        add_fact(connection, fact, holds=False)
    assert connection.execute(f"SELECT {CRITERIA}, flagged FROM care_gap").fetchall() == [(True,) * 11]


@pytest.mark.parametrize(
    ("action", "state"),
    [
        ("order_dxa", "dxa_ordered"),
        ("already_known", "known"),
        ("not_evaluable", "not_evaluable"),
        ("dismiss", "dismissed"),
    ],
)
def test_a_decision_closes_and_stays_on_the_worklist(
    connection: duckdb.DuckDBPyConnection, action: str, state: str
) -> None:
    add_patient(connection)
    add_review(connection, 1, action)
    assert flagged(connection) == []
    assert states(connection) == [("A", state, False, 1)]


@pytest.mark.parametrize(
    ("until", "state", "opened"),
    [(AS_OF + DAY, "deferred", False), (AS_OF, "open", True), (AS_OF - DAY, "open", True)],
)
def test_a_deferred_patient_is_open_again_on_the_day(
    connection: duckdb.DuckDBPyConnection, until: date, state: str, opened: bool
) -> None:
    add_patient(connection)
    add_review(connection, 1, "defer", until)
    assert states(connection) == [("A", state, opened, 1)]
    assert flagged(connection) == ["A"] * opened


def test_the_newest_decision_counts(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection)
    add_review(connection, 2, "reopen")
    add_review(connection, 1, "dismiss")
    assert states(connection) == [("A", "reopened", True, 2)]
    add_review(connection, 3, "order_dxa")
    assert flagged(connection) == []


def test_a_new_ct_opens_anew(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection, study="2.25.1", study_date=CT)
    add_review(connection, 1, "dismiss", study="2.25.1")
    add_patient(connection, study="2.25.2", study_date=CT + DAY)
    assert states(connection) == [("A", "open", True, None)]


def test_who_waits_for_a_decision_comes_first(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection, "A", study="2.25.1", osteoporosis_probability=0.9)
    add_patient(connection, "B", study="2.25.2", osteoporosis_probability=0.6)
    add_review(connection, 1, "dismiss")
    assert connection.execute("SELECT patient_id, position FROM worklist").fetchall() == [("B", 1), ("A", 2)]


def test_who_had_a_dxa_leaves_the_worklist_whatever_was_decided(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection)
    add_review(connection, 1, "order_dxa")
    add_dxa(connection, AS_OF)
    assert states(connection) == []


def test_the_newest_publication_says_what_today_is(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection)
    add_dxa(connection, date(2022, 6, 1))
    assert flagged(connection) == []
    publish_on(connection, AS_OF + DAY, number=2)
    assert flagged(connection) == ["A"]


@pytest.mark.parametrize(("days", "pairs"), [(-181, 0), (-180, 1), (180, 1), (181, 0)])
def test_a_validation_pair_lies_within_180_days(connection: duckdb.DuckDBPyConnection, days: int, pairs: int) -> None:
    add_patient(connection)
    add_dxa(connection, CT + timedelta(days=days))

    assert connection.execute("SELECT days_to_dxa FROM validation_pair").fetchall() == [(days,)] * pairs
    assert connection.execute("SELECT days_to_dxa FROM ct_dxa_pair").fetchall() == [(days,)]


def test_a_patient_is_one_pair_of_the_nearest_ct_and_dxa(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection, study="2.25.1", study_date=date(2024, 1, 1))
    add_patient(connection, study="2.25.2", study_date=date(2024, 3, 1))
    add_dxa(connection, date(2023, 11, 1))
    add_dxa(connection, date(2024, 3, 11))

    pairs = connection.execute("SELECT study_instance_uid, days_to_dxa FROM ct_dxa_pair").fetchall()
    assert pairs == [("2.25.2", 10)]


def test_an_undated_study_is_no_pair(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection, study_date=None)
    add_dxa(connection, CT)

    assert connection.execute("FROM ct_dxa_pair").fetchall() == []


@pytest.mark.parametrize("region", ["L1", "L2-L4", "total_hip"])
def test_only_a_dxa_of_l1_to_l4_makes_a_pair(connection: duckdb.DuckDBPyConnection, region: str) -> None:
    add_patient(connection)
    add_dxa(connection, CT, region)

    assert connection.execute("FROM ct_dxa_pair").fetchall() == []
