from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from screening.errors import UserError
from screening.records.batch import Format
from screening.records.checking import Checked
from screening.records.dxa import check_dxa
from screening.records.dxa_tables import dxa_of_rows
from screening.records.identities import Identities
from screening.records.patient_tables import context_of_rows
from screening.records.patients import check_context
from screening.records.regions import REGIONS
from screening.records.settings import RecordSettings
from screening.store.database import DatabaseFolder, create_schema, open_writer, write_rows
from screening.store.records import ImportCounts, store_context, store_dxa

EARLIER_TABLES = """
    CREATE TABLE dxa (
        patient_id VARCHAR NOT NULL, dxa_date DATE NOT NULL, region VARCHAR NOT NULL,
        bmd_dxa DOUBLE CHECK (bmd_dxa BETWEEN 0.2 AND 2.5), t_score DOUBLE CHECK (t_score BETWEEN -8 AND 8),
        manufacturer VARCHAR NOT NULL, source_file VARCHAR NOT NULL, imported_at TIMESTAMP NOT NULL,
        PRIMARY KEY (patient_id, dxa_date, region, manufacturer),
        CHECK (region IN ('L1-L4', 'L2-L4', 'L1', 'L2', 'L3', 'L4', 'total_hip', 'femoral_neck')),
        CHECK (bmd_dxa IS NOT NULL OR t_score IS NOT NULL)
    );
    CREATE TABLE rejected_record (
        record_digest VARCHAR PRIMARY KEY, source_file VARCHAR NOT NULL,
        row_number BIGINT NOT NULL CHECK (row_number >= 1), reason VARCHAR NOT NULL, record VARCHAR NOT NULL,
        rejected_at TIMESTAMP NOT NULL
    );
"""
EARLIER_DXA = {
    "patient_id": "A", "dxa_date": date(2024, 1, 1), "region": "L1-L4", "bmd_dxa": None, "t_score": -2.5,
    "manufacturer": "", "source_file": "dxa.csv", "imported_at": datetime(2024, 1, 2),
}  # fmt: skip
EARLIER_REJECT = {
    "record_digest": "0" * 64, "source_file": "dxa.csv", "row_number": 3, "reason": "patient_id: missing",
    "record": '{"patient_id": ""}', "rejected_at": datetime(2024, 1, 2),
}  # fmt: skip


def test_an_older_database_keeps_its_dxa_and_its_refused_rows(tmp_path: Path) -> None:
    place = DatabaseFolder(tmp_path / "db")
    place.create()
    with duckdb.connect(place.working) as older:
        older.execute(EARLIER_TABLES)
        write_rows(older, "dxa", [EARLIER_DXA])
        write_rows(older, "rejected_record", [EARLIER_REJECT])

    with open_writer(place):
        pass

    with open_writer(place) as reopened:
        (dxa,) = reopened.table("dxa").to_arrow_table().to_pylist()
        (record,) = reopened.table("dxa_record").to_arrow_table().to_pylist()
        (reject,) = reopened.table("rejected_record").to_arrow_table().to_pylist()
    assert dxa.items() >= EARLIER_DXA.items()
    assert (record["identifier"], record["t_score"], record["source_format"]) == ("A", -2.5, "earlier")
    assert reject.items() >= EARLIER_REJECT.items()


NOW = datetime(2025, 6, 30, 12)
TODAY = date(2025, 6, 30)
SETTINGS = RecordSettings(defaults={"patient_id": "A", "dxa_date": "2024-03-01", "region": "L1-L4"})
HELD = "patient_id, dxa_date, region, manufacturer, bmd_dxa, t_score, z_score, conflict, status, issued_at"
TABLES = {
    "dxa": HELD,
    "dxa_record": f"record_digest, identifier, {HELD.replace('conflict, ', '')}",
    "rejected_record": "record_digest, reason, record, patient_id, dxa_date, region",
    "patient_context": "patient_id, fact, holds, since_date, recorded_on",
}

Record = dict[str, str]


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    memory = duckdb.connect()
    create_schema(memory)
    return memory


def checked(records: list[Record], file: str = "dxa.csv") -> Checked:
    names = sorted({name for record in records for name in record} | {"patient_id"})
    text = pd.DataFrame({name: pd.Series([one.get(name, "") for one in records], dtype="str") for name in names})
    numbers = pd.Series(range(2, len(records) + 2))
    batch = dxa_of_rows(text, numbers, Format.CSV, file, SETTINGS)
    return check_dxa(batch, SETTINGS, Identities.load(SETTINGS), TODAY)


def store(connection: duckdb.DuckDBPyConnection, *records: Record) -> ImportCounts:
    return store_dxa(connection, [checked(list(records))], NOW)


def held(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT bmd_dxa, t_score, conflict, status FROM dxa ORDER BY ALL").fetchall()


def tables(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table: connection.execute(f"SELECT {columns} FROM {table} ORDER BY ALL").fetchall()
        for table, columns in TABLES.items()
    }


def test_a_second_import_adds_nothing(connection: duckdb.DuckDBPyConnection) -> None:
    first = store(connection, {"bmd_dxa": "0.8"}, {"bmd_dxa": "8"})
    before = tables(connection)
    second = store(connection, {"bmd_dxa": "0.8"}, {"bmd_dxa": "8"})
    assert (first.added, first.updated, first.unchanged, first.rejected) == (1, 0, 0, 1)
    assert (second.added, second.updated, second.unchanged, second.rejected) == (0, 0, 1, 1)
    assert tables(connection) == before


def test_values_of_one_result_come_together(connection: duckdb.DuckDBPyConnection) -> None:
    store(connection, {"bmd_dxa": "0.8"})
    counts = store(connection, {"t_score": "-2.5"})
    assert counts.updated == 1
    assert held(connection) == [(0.8, -2.5, False, "final")]


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ({"bmd_dxa": "0.9", "status": "corrected"}, (0.9, None, False, "corrected")),
        ({"bmd_dxa": "0.9", "status": "preliminary"}, (0.8, None, False, "final")),
        ({"bmd_dxa": "0.9", "issued_at": "2024-03-05"}, (0.9, None, False, "final")),
        ({"bmd_dxa": "0.9", "issued_at": "2024-03-05", "status": "preliminary"}, (0.9, None, False, "preliminary")),
        ({"bmd_dxa": "0.9"}, (None, None, True, "final")),
        ({"bmd_dxa": "0.8", "t_score": "-2"}, (0.8, -2.0, False, "final")),
    ],
)
def test_the_newest_then_the_most_settled_counts_in_any_order(
    connection: duckdb.DuckDBPyConnection, later: Record, expected: tuple[Any, ...]
) -> None:
    store(connection, later)
    store(connection, {"bmd_dxa": "0.8"})
    assert held(connection) == [expected]


def test_a_contradiction_is_counted_and_ends_with_a_correction(connection: duckdb.DuckDBPyConnection) -> None:
    assert store(connection, {"bmd_dxa": "0.8"}, {"bmd_dxa": "0.9"}).conflicts == 1
    assert store(connection, {"bmd_dxa": "0.85", "status": "corrected"}).conflicts == 0
    assert held(connection) == [(0.85, None, False, "corrected")]


def test_another_maker_is_another_result(connection: duckdb.DuckDBPyConnection) -> None:
    store(connection, {"bmd_dxa": "0.8", "manufacturer": "GE"}, {"bmd_dxa": "0.9", "manufacturer": "Hologic"})
    assert len(held(connection)) == 2


@pytest.mark.parametrize(
    ("withdrawal", "left"),
    [
        ({"status": "entered-in-error"}, []),
        ({"status": "entered-in-error", "bmd_dxa": "0.8", "t_score": "-2"}, []),
        ({"status": "entered-in-error", "bmd_dxa": "0.8"}, [(None, -2.0, False, "final")]),
        ({"status": "entered-in-error", "issued_at": "2024-03-04"}, [(0.8, -2.0, False, "final")]),
        ({"status": "entered-in-error", "issued_at": "2024-03-05"}, []),
    ],
)
def test_a_withdrawal_is_refused_and_takes_back_what_was_issued_until_then(
    connection: duckdb.DuckDBPyConnection, withdrawal: Record, left: list[tuple[Any, ...]]
) -> None:
    store(connection, {"bmd_dxa": "0.8", "t_score": "-2", "issued_at": "2024-03-05"})
    counts = store(connection, withdrawal)
    assert (counts.accepted, counts.rejected) == (0, 1)
    assert held(connection) == left
    assert connection.execute("SELECT reason FROM rejected_record").fetchall() == [("withdrawn",)]
    assert connection.execute("FROM open_reject").fetchall() == []


def test_a_record_goes_with_its_patient_when_the_crosswalk_is_mended(connection: duckdb.DuckDBPyConnection) -> None:
    before = checked([{"bmd_dxa": "0.8"}])
    store_dxa(connection, [before], NOW)
    moved = replace(before, accepted=before.accepted.assign(patient_id="B"))
    assert store_dxa(connection, [moved], NOW).updated == 1
    assert connection.execute("SELECT patient_id FROM dxa").fetchall() == [("B",)]


def test_a_refused_record_is_answered_by_a_result_of_its_place(connection: duckdb.DuckDBPyConnection) -> None:
    store(connection, {"bmd_dxa": "81"})
    assert connection.execute("SELECT reason FROM open_reject").fetchall() == [("bmd_out_of_range",)]
    store(connection, {"bmd_dxa": "0.81"})
    assert connection.execute("FROM open_reject").fetchall() == []
    assert connection.execute("SELECT reason FROM rejected_record").fetchall() == [("bmd_out_of_range",)]


def test_nothing_is_stored_when_reading_breaks_off(connection: duckdb.DuckDBPyConnection) -> None:
    def broken() -> Iterator[Checked]:
        yield checked([{"bmd_dxa": "0.8"}])
        raise UserError("the second file cannot be read")

    with pytest.raises(UserError):
        store_dxa(connection, broken(), NOW)
    assert held(connection) == []


def test_every_region_can_be_stored(connection: duckdb.DuckDBPyConnection) -> None:
    counts = store(connection, *({"region": region, "bmd_dxa": "0.8"} for region in REGIONS if region != "unspecified"))
    assert counts.added == len(REGIONS) - 1


def facts(*rows: str) -> Checked:
    text = pd.read_csv(StringIO("\n".join(["patient_id,fact,holds,since_date,recorded_on", *rows])), dtype=str)
    batch = context_of_rows(
        text.fillna("").astype("str"), pd.Series(range(2, len(rows) + 2)), Format.CSV, "f", SETTINGS
    )
    return check_context(batch, SETTINGS, Identities.load(SETTINGS), TODAY, TODAY)


def test_the_newest_record_of_a_fact_counts_and_of_one_day_that_it_holds(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    store_context(connection, [facts("A,death,yes,,2024-01-01", "B,opt_out,no,,2024-01-01")], NOW)
    counts = store_context(
        connection, [facts("A,death,no,,2024-01-02", "B,opt_out,yes,,2024-01-01", "C,sneeze,yes,,", "D,death,?,,")], NOW
    )
    assert (counts.added, counts.updated, counts.unchanged, counts.rejected) == (0, 2, 0, 2)
    assert connection.execute("SELECT patient_id, holds FROM patient_context ORDER BY 1").fetchall() == [
        ("A", False),
        ("B", True),
    ]
