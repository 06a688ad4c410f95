import os
import stat
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest

from screening.errors import UserError
from screening.records.regions import REGIONS
from screening.store.database import (
    DatabaseFolder,
    MemoryCare,
    create_schema,
    fetch_one,
    open_writer,
    transaction,
    write_rows,
)

PATIENT = {"patient_id": "A", "identified": True}
DXA = {
    "patient_id": "A",
    "dxa_date": date(2024, 1, 1),
    "region": "L1-L4",
    "bmd_dxa": None,
    "t_score": -2.5,
    "manufacturer": "",
    "source_file": "dxa.csv",
    "imported_at": datetime(2024, 1, 2),
}
VERTEBRA = {
    "study_instance_uid": "2.25.1", "checkpoint_sha256": "0" * 64, "series_instance_uid": "2.25.1.1", "level": "L1",
    "confidence": 0.9, "centre_x_mm": 0.0, "centre_y_mm": 0.0, "centre_z_mm": 0.0, "upper_z_mm": 13.0,
    "lower_z_mm": -13.0, "attenuation_hu": 120.0, "bmd_cnn": 0.8, "bmd_sd": 0.03, "used": True, "reason": None,
}  # fmt: skip


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    memory = duckdb.connect()
    create_schema(memory)
    return memory


def test_a_row_with_the_same_key_replaces_the_first(connection: duckdb.DuckDBPyConnection) -> None:
    write_rows(connection, "patient", [PATIENT])
    write_rows(connection, "patient", [PATIENT | {"identified": False}])
    assert connection.execute("SELECT patient_id, identified FROM patient").fetchall() == [("A", False)]


def test_nothing_of_a_broken_transaction_is_kept(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.ConstraintException), transaction(connection):
        write_rows(connection, "patient", [PATIENT])
        write_rows(connection, "patient", [PATIENT | {"identified": None}])
    assert fetch_one(connection, "SELECT count(*) FROM patient") == (0,)


def test_nan_is_refused(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.ConstraintException):
        write_rows(connection, "dxa", [DXA | {"bmd_dxa": float("nan")}])


def test_every_region_that_can_be_imported_can_be_stored(connection: duckdb.DuckDBPyConnection) -> None:
    write_rows(connection, "dxa", [DXA | {"region": region} for region in REGIONS])
    assert fetch_one(connection, "SELECT count(*) FROM dxa") == (len(REGIONS),)


def test_no_rows_are_no_work(connection: duckdb.DuckDBPyConnection) -> None:
    write_rows(connection, "patient", [])
    assert fetch_one(connection, "SELECT count(*) FROM patient") == (0,)


def test_an_older_database_gets_the_column_for_review(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("ALTER TABLE study_bmd DROP COLUMN readers_disagree")

    create_schema(connection)

    assert connection.execute("SELECT readers_disagree FROM patient_bmd").fetchall() == []


OLDER_SERIES = """
    CREATE TABLE series (
        study_instance_uid VARCHAR NOT NULL, series_instance_uid VARCHAR NOT NULL, modality VARCHAR NOT NULL,
        series_description VARCHAR NOT NULL, manufacturer VARCHAR NOT NULL, manufacturer_model_name VARCHAR NOT NULL,
        kvp_kv DOUBLE, convolution_kernel VARCHAR NOT NULL, slice_thickness_mm DOUBLE, instance_count INTEGER NOT NULL,
        chosen BOOLEAN NOT NULL, reason VARCHAR, detail VARCHAR NOT NULL,
        PRIMARY KEY (study_instance_uid, series_instance_uid)
    )
"""
SERIES = {
    "study_instance_uid": "2.25.1", "series_instance_uid": "2.25.1.1", "modality": "CT", "series_description": "",
    "manufacturer": "", "manufacturer_model_name": "", "kvp_kv": 120.0, "convolution_kernel": "B30f",
    "slice_thickness_mm": 2.5, "instance_count": 90, "chosen": True, "reason": None, "detail": "",
}  # fmt: skip


def test_the_memory_of_the_writer_is_bounded(tmp_path: Path) -> None:
    place = DatabaseFolder(tmp_path / "db")
    place.create()
    with open_writer(place) as connection:
        assert connection.execute("SELECT current_setting('memory_limit')").fetchall() == [("2.0 GiB",)]


def kept_bytes(connection: duckdb.DuckDBPyConnection) -> int:
    (kept,) = fetch_one(connection, "SELECT sum(memory_usage_bytes) FROM duckdb_memory()")
    return int(kept)


def test_what_is_kept_of_the_file_is_let_go_when_it_is_time(tmp_path: Path) -> None:
    place = DatabaseFolder(tmp_path)
    place.create()
    with open_writer(place) as connection:
        connection.execute("CREATE TABLE long AS SELECT md5(range::VARCHAR) AS text FROM range(1_000_000)")
        connection.execute("CHECKPOINT")
        full = kept_bytes(connection)
        MemoryCare(connection)()
        still_full = kept_bytes(connection)
        MemoryCare(connection, every_s=0.0)()

        assert still_full >= full > 10_000_000
        assert kept_bytes(connection) < full / 4
        assert fetch_one(connection, "SELECT count(DISTINCT text) FROM long") == (1_000_000,)
        assert fetch_one(connection, "SELECT current_setting('memory_limit')") == ("2.0 GiB",)


def test_an_older_database_keeps_its_series_and_takes_their_acquisitions(tmp_path: Path) -> None:
    place = DatabaseFolder(tmp_path / "db")
    place.create()
    with duckdb.connect(place.working) as older:
        older.execute(OLDER_SERIES)
        write_rows(older, "series", [SERIES])

    with open_writer(place) as connection:
        kept = connection.table("series").to_arrow_table().to_pylist()
        write_rows(connection, "series", [SERIES | {"acquisition": "2", "chosen": False, "reason": "contrast"}])
        both = connection.execute("SELECT acquisition, chosen FROM series ORDER BY acquisition").fetchall()

    assert SERIES.items() <= kept[0].items()
    assert both == [("", True), ("2", False)]


def test_an_older_database_keeps_its_vertebrae(tmp_path: Path) -> None:
    place = DatabaseFolder(tmp_path / "db")
    place.create()
    heights = (
        "anterior_height_mm",
        "middle_height_mm",
        "posterior_height_mm",
        "height_loss",
        "metal_mm3",
        "dark_share",
    )
    with open_writer(place) as connection:
        write_rows(connection, "vertebra", [VERTEBRA])
        older = f"SELECT * EXCLUDE (acquisition, {', '.join(heights)}) FROM vertebra"
        connection.execute(f"CREATE TABLE older AS {older}")
        connection.execute("DROP TABLE vertebra")
        connection.execute("ALTER TABLE older RENAME TO vertebra")

    with open_writer(place) as reopened:
        (kept,) = reopened.table("vertebra").to_arrow_table().to_pylist()
        keyed = reopened.execute("SELECT has_primary_key FROM duckdb_tables() WHERE table_name = 'vertebra'").fetchall()

    assert VERTEBRA.items() <= kept.items()
    assert {kept[name] for name in heights} == {None}
    assert keyed == [(True,)]


def test_the_files_are_closed_to_other_users(tmp_path: Path) -> None:
    place = DatabaseFolder(tmp_path / "db")
    place.create()
    with open_writer(place):
        pass
    assert stat.S_IMODE(place.working.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.folder.stat().st_mode) == 0o700


def test_a_damaged_file_is_said_in_one_line(tmp_path: Path) -> None:
    place = DatabaseFolder(tmp_path)
    place.create()
    place.working.write_bytes(os.urandom(4096))
    with pytest.raises(UserError, match="held by another program, or damaged"), open_writer(place):
        pass


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="Cannot make the database folder"):
        DatabaseFolder(tmp_path / "file" / "db").create()
