"""Who is flagged, criterion by criterion, at the limits."""

import json
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import pytest

from screening.store.database import create_schema, write_rows

SHA = "a" * 64
NOW = datetime(2025, 6, 1)
AS_OF = date(2025, 6, 1)
CT = date(2025, 3, 1)


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    memory = duckdb.connect()
    create_schema(memory)
    model = {"checkpoint_sha256": SHA, "name": "m", "data_kind": "simulated", "metrics": json.dumps({}), "active": True}
    write_rows(memory, "model", [model | {"registered_at": NOW}])
    publication = {"publication_id": 1, "published_at": NOW, "as_of_date": AS_OF}
    write_rows(memory, "publication", [publication | {"look_back_months": 36, "minimum_age_years": 50}])
    return memory


def add_patient(
    connection: duckdb.DuckDBPyConnection,
    patient_id: str = "A",
    *,
    study: str = "2.25.1",
    study_date: date | None = CT,
    age: float | None = 70.0,
    band: str = "likely",
    probability: float = 0.8,
    identified: bool = True,
    sex: str | None = "F",
    issuer: str = "",
) -> None:
    write_rows(connection, "patient", [{"patient_id": patient_id, "identified": identified}])
    study_row = {
        "study_instance_uid": study,
        "patient_id": patient_id,
        "study_key": study,
        "study_date": study_date,
        "age_years": age,
        "sex": sex,
        "birth_date": None,
        "issuer_of_patient_id": issuer,
        "accession_number": "",
        "study_description": "",
        "institution_name": "",
        "series_count": 1,
        "instance_count": 1,
        "fingerprint": "",
    }
    write_rows(connection, "study", [study_row])
    write_rows(connection, "study_bmd", [study_bmd(patient_id, study, band, probability)])


def study_bmd(patient_id: str, study: str, band: str, probability: float) -> dict[str, Any]:
    return {
        "study_instance_uid": study,
        "checkpoint_sha256": SHA,
        "patient_id": patient_id,
        "bmd_cnn": 0.7,
        "bmd_low": 0.6,
        "bmd_high": 0.8,
        "level_count": 4,
        "levels": ["L1", "L2", "L3", "L4"],
        "attenuation_hu": 60.0,
        "reference": "hologic_l1_l4_female",
        "t_score": -3.2,
        "yam_percent": 67.0,
        "category": "osteoporosis",
        "osteoporosis_probability": probability,
        "band": band,
        "level_certainty": "certain",
        "contrast_enhanced": False,
        "warnings": [],
        "evidence_file": "x.png",
    }


def add_dxa(connection: duckdb.DuckDBPyConnection, on: date, region: str = "L1-L4") -> None:
    row = {"patient_id": "A", "dxa_date": on, "region": region, "bmd_dxa": 0.9, "t_score": None, "manufacturer": ""}
    write_rows(connection, "dxa", [row | {"source_file": "dxa.csv", "imported_at": NOW}])


def flagged(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT patient_id FROM flagged").fetchall()]


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
    add_patient(connection, "A", study="2.25.1", probability=0.6, age=80)
    add_patient(connection, "B", study="2.25.2", probability=0.9, age=60)
    add_patient(connection, "C", study="2.25.3", probability=0.9, age=70)
    rows = connection.execute("SELECT patient_id, position FROM worklist").fetchall()
    assert rows == [("C", 1), ("B", 2), ("A", 3)]


def test_results_of_an_inactive_checkpoint_are_not_shown(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection)
    connection.execute("UPDATE model SET active = false")
    assert connection.execute("SELECT count(*) FROM patient_bmd").fetchall() == [(0,)]


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
