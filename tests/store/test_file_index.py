from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from screening.store.database import create_schema
from screening.store.file_index import Settling
from screening.store.folder_index import full_walk_due, record_full_walk
from screening.store.ledger import FileLedger, ledger

WALKED_AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    memory = duckdb.connect()
    create_schema(memory)
    return memory


@pytest.mark.parametrize(("days", "due"), [(6.99, False), (7.0, True), (7.01, True)])
def test_a_full_walk_is_due_after_so_many_days(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, days: float, due: bool
) -> None:
    record_full_walk(connection, [tmp_path], int(WALKED_AT.timestamp() * 1e9))
    assert full_walk_due(connection, [tmp_path], 7.0, WALKED_AT + timedelta(days=days)) is due


def test_a_full_walk_is_due_for_an_archive_that_never_had_one(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    record_full_walk(connection, [tmp_path / "a"], int(WALKED_AT.timestamp() * 1e9))
    assert full_walk_due(connection, [tmp_path / "a", tmp_path / "b"], 7.0, WALKED_AT)


def test_a_file_that_is_in_no_bucket_shows(connection: duckdb.DuckDBPyConnection) -> None:
    books = ledger(connection, found=1, unvisited=0, unread=0, settling=Settling.at(0, 0.0))
    assert not books.adds_up
    assert books == FileLedger(1, 0, 0, 0, 0, 0, {}, 0)


def test_every_bucket_counts() -> None:
    books = FileLedger(
        found=27, unvisited=1, indexed=1, duplicate=2, settling=3, not_dicom=4, unreadable={"empty": 5, "vanished": 6},
        unread=7,
    )  # fmt: skip
    assert books.accounted == 28
    assert books.adds_up
