"""The ten worked questions answer rightly where the answers are known, and stand in the README as they are."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from care_gap_rows import AS_OF, CT, NOW, SHA, add_dxa, add_flag, add_patient, add_review, new_database

from screening.store.database import write_rows

ROOT = Path(__file__).parents[1]
QUESTIONS = sorted((ROOT / "screening" / "store" / "questions").glob("*.sql"))
ENOUGH_PAIRS = 20


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    return new_database()


@pytest.fixture
def connection(database: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    database.begin()
    yield database
    database.rollback()


def ask(connection: duckdb.DuckDBPyConnection, question: str) -> list[tuple[Any, ...]]:
    text = (ROOT / "screening" / "store" / "questions" / f"{question}.sql").read_text(encoding="utf-8")
    return connection.execute(text).fetchall()


def add_series(connection: duckdb.DuckDBPyConnection, study: str, model: str = "S1", kvp: float = 120.0) -> None:
    row = {"study_instance_uid": study, "series_instance_uid": f"{study}.1", "modality": "CT", "kvp_kv": kvp}
    made = {"series_description": "", "manufacturer": "ACME", "manufacturer_model_name": model}
    rest = {"convolution_kernel": "", "instance_count": 1, "chosen": True, "detail": ""}
    write_rows(connection, "series", [row | made | rest])


def add_outcome(connection: duckdb.DuckDBPyConnection, study: str, status: str, reason: str | None = None) -> None:
    row = {"study_instance_uid": study, "checkpoint_sha256": SHA, "sweep_id": 1, "status": status, "reason": reason}
    rest = {"detail": "", "stage": "screening.reading" if status == "failed" else None, "reading_fingerprint": ""}
    write_rows(connection, "outcome", [row | rest | {"read_seconds": 1.0, "read_at": NOW}])


def add_l1(connection: duckdb.DuckDBPyConnection, study: str, hu: float, reason: str | None = None) -> None:
    key = {"study_instance_uid": study, "checkpoint_sha256": SHA, "series_instance_uid": f"{study}.1", "level": "L1"}
    where = dict.fromkeys(("centre_x_mm", "centre_y_mm", "centre_z_mm", "upper_z_mm", "lower_z_mm"), 0.0)
    read = {"confidence": 1.0, "attenuation_hu": hu, "bmd_cnn": 0.8, "used": reason is None, "reason": reason}
    write_rows(connection, "vertebra", [key | where | read])


def test_prevalence_is_of_patients_from_fifty_on(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection, "A", study="2.25.1", age=70.0)
    add_patient(connection, "B", study="2.25.2", age=79.9, band="not_flagged")
    add_patient(connection, "C", study="2.25.3", age=50.0, sex="M")
    add_patient(connection, "D", study="2.25.4", age=49.9)
    assert ask(connection, "prevalence") == [(50, "M", 1, 1, 1.0), (70, "F", 2, 1, 0.5)]


def test_agreement_is_given_from_twenty_pairs_on(connection: duckdb.DuckDBPyConnection) -> None:
    for number in range(2 * ENOUGH_PAIRS - 1):
        patient, study, bmd = f"P{number}", f"2.25.{number}", 0.6 + 0.005 * number
        add_patient(connection, patient, study=study, bmd_cnn=bmd, bmd_high=1.0)
        add_series(connection, study, "S1" if number < ENOUGH_PAIRS else "S2")
        add_dxa(connection, CT, patient_id=patient, bmd_dxa=bmd + 0.02, manufacturer="Hologic")
    enough, too_few = ask(connection, "agreement_by_scanner")
    assert enough[:3] == ("ACME S1", "Hologic", ENOUGH_PAIRS)
    assert enough[3:] == pytest.approx((1.0, -0.02, 0.02))
    assert too_few == ("ACME S2", "Hologic", ENOUGH_PAIRS - 1, None, None, None)


def test_exclusions_add_up_to_each_site(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection, "A", study="2.25.1", institution="North")
    add_patient(connection, "A", study="2.25.2", institution="North")
    add_patient(connection, "A", study="2.25.3", institution="North")
    add_patient(connection, "A", study="2.25.4", institution="North")
    add_patient(connection, "B", study="2.25.5", institution="South")
    add_outcome(connection, "2.25.1", "measured")
    add_outcome(connection, "2.25.2", "measured")
    add_outcome(connection, "2.25.3", "excluded", "contrast")
    add_outcome(connection, "2.25.4", "failed", "ValueError")
    add_outcome(connection, "2.25.5", "excluded", "no_lumbar")
    assert ask(connection, "exclusions_by_site") == [
        ("North", "measured", None, 2, 0.5),
        ("North", "failed", "ValueError", 1, 0.25),
        ("North", "excluded", "contrast", 1, 0.25),
        ("South", "excluded", "no_lumbar", 1, 1.0),
    ]


def test_time_to_dxa_starts_with_the_flag(connection: duckdb.DuckDBPyConnection) -> None:
    add_flag(connection, date(2024, 1, 1), study="2.25.1", patient_id="A")
    add_dxa(connection, date(2023, 12, 31), patient_id="A")
    add_dxa(connection, date(2024, 1, 11), patient_id="A")
    add_dxa(connection, date(2024, 6, 1), patient_id="A")
    add_flag(connection, date(2024, 3, 1), study="2.25.2", patient_id="B")
    add_dxa(connection, date(2024, 3, 31), patient_id="B")
    add_flag(connection, date(2024, 3, 1), study="2.25.3", patient_id="C")
    add_flag(connection, date(2025, 3, 1), study="2.25.4", patient_id="D")
    assert ask(connection, "time_to_dxa") == [(2024, 3, 2, [15.0, 20.0, 25.0]), (2025, 1, 0, None)]


def test_coverage_counts_dxa_inside_the_interval(connection: duckdb.DuckDBPyConnection) -> None:
    add_patient(connection, "A", study="2.25.1", bmd_low=0.6, bmd_high=0.8)
    add_dxa(connection, CT, patient_id="A", bmd_dxa=0.8, manufacturer="Hologic")
    add_patient(connection, "B", study="2.25.2", bmd_low=0.6, bmd_high=1.0)
    add_dxa(connection, CT, patient_id="B", bmd_dxa=1.01, manufacturer="Hologic")
    ((densitometer, pairs, covered, width),) = ask(connection, "interval_coverage")
    assert (densitometer, pairs, covered) == ("Hologic", 2, 0.5)
    assert width == pytest.approx(0.3)


def test_attenuation_is_of_used_l1_at_120_kvp(connection: duckdb.DuckDBPyConnection) -> None:
    for study, hu, kvp, reason in (
        ("2.25.1", 140.0, 120.0, None),
        ("2.25.2", 160.0, 120.0, None),
        ("2.25.3", 999.0, 100.0, None),
        ("2.25.4", 999.0, 120.0, "outlier"),
    ):
        add_patient(connection, study, study=study, age=65.0)
        add_series(connection, study, kvp=kvp)
        add_l1(connection, study, hu, reason)
    assert ask(connection, "attenuation_by_age") == [(60, "F", 2, 150.0, pytest.approx(200.0**0.5))]


def test_kvp_mix_adds_up_to_each_scanner(connection: duckdb.DuckDBPyConnection) -> None:
    for number, kvp in enumerate((120.0, 120.0, 100.0, 120.0)):
        add_series(connection, f"2.25.{number}", kvp=kvp)
    assert ask(connection, "kvp_mix") == [("ACME S1", 100.0, 1, 0.25), ("ACME S1", 120.0, 3, 0.75)]


def test_each_month_of_flags_says_what_was_decided(connection: duckdb.DuckDBPyConnection) -> None:
    for number, action in enumerate(("order_dxa", "dismiss", "reopen"), start=1):
        add_flag(connection, date(2025, 1, 31), study=f"2.25.{number}")
        add_review(connection, number, action, study=f"2.25.{number}")
    add_review(connection, 4, "order_dxa", study="2.25.2")
    add_flag(connection, date(2025, 2, 1), study="2.25.4")
    assert ask(connection, "flagged_by_month") == [(date(2025, 1, 1), 3, 2, 0, 1), (date(2025, 2, 1), 1, 0, 0, 1)]


def test_a_longer_look_back_flags_fewer(connection: duckdb.DuckDBPyConnection) -> None:
    for number, months in enumerate((25, 40, 70)):
        add_patient(connection, f"P{number}", study=f"2.25.{number}")
        add_dxa(connection, AS_OF - timedelta(days=30.5 * months), patient_id=f"P{number}")
    add_patient(connection, "none", study="2.25.8")
    add_patient(connection, "dismissed", study="2.25.9")
    add_review(connection, 1, "dismiss", study="2.25.9", patient_id="dismissed")
    assert ask(connection, "care_gap_by_look_back") == [(24, 4), (36, 3), (60, 2)]
    assert connection.execute("SELECT count(*) FROM flagged").fetchall() == [(3,)]


def test_who_is_not_measured_is_told_by_age_and_sex(connection: duckdb.DuckDBPyConnection) -> None:
    for number, (age, status, reason) in enumerate(
        ((61.0, "measured", None), (79.9, "excluded", "contrast"), (80.0, "excluded", "no_lumbar"))
    ):
        add_patient(connection, study=f"2.25.{number}", age=age)
        add_outcome(connection, f"2.25.{number}", status, reason)
    assert ask(connection, "who_is_not_measured") == [(60, "F", 2, 0.5, "contrast"), (80, "F", 1, 1.0, "no_lumbar")]


def test_there_are_ten() -> None:
    assert len(QUESTIONS) == 10


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda path: path.stem)
def test_each_stands_in_the_readme_as_it_is(question: Path) -> None:
    text = question.read_text(encoding="utf-8")
    assert text.startswith("-- ")
    assert text.splitlines()[0].endswith("?")
    assert f"```sql\n{text}```" in (ROOT / "README.md").read_text(encoding="utf-8")
