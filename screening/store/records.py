"""Checked records -> the tables dxa_record, dxa and rejected_record, by set operations in one transaction.

`dxa` follows from the set of all records ever accepted: of each value the newest counts (`issued_at`, then corrected
before final before preliminary), whatever the order in which files came. Of values of the same standing that differ
none is kept. A withdrawal takes back what was issued until then.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import duckdb
import pandas as pd
import pyarrow as pa

from screening.records.checking import Checked
from screening.store.database import fetch_one, sql, transaction

DXA: Final = "dxa"
PATIENTS: Final = "patients"


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """What became of the records of an import; each is one of added, updated, unchanged or rejected."""

    added: int  # tell of a result that was not known
    updated: int  # new ones of a known result
    unchanged: int  # known already
    rejected: int
    conflicts: int  # results of the import whose records contradict each other
    passed_over: int  # records in the files that speak of something else

    @property
    def accepted(self) -> int:
        """Records that passed every rule."""
        return self.added + self.updated + self.unchanged

    def with_passed_over(self, more: int) -> "ImportCounts":
        """Count what was passed over before reading."""
        return replace(self, passed_over=self.passed_over + more)


def store_dxa(
    connection: duckdb.DuckDBPyConnection,
    batches: Iterable[Checked],
    now: datetime,
    read_again: pd.DataFrame | None = None,
) -> ImportCounts:
    """Store what an import brings, all of it or nothing.

    Args:
        connection: the working file.
        batches: checked records; nothing is stored before all of them have been read.
        now: time of the import, UTC.
        read_again: refused records, as `kept_rejects` gives them, that these batches hold; who passes leaves them.
    """
    connection.execute(sql("merge/stage"))
    if read_again is not None:
        _register_read_again(connection, read_again)
    passed_over = 0
    for checked in batches:
        passed_over += checked.batch.passed_over
        _stage_dxa(connection, checked, now)
        stage_rejects(connection, checked, DXA, now)
    connection.execute(sql("merge/touch"))
    connection.execute(sql("merge/current"))
    added, updated, unchanged, rejected = fetch_one(connection, sql("merge/count"))
    (conflicts,) = fetch_one(connection, "SELECT count(*) FROM current_result WHERE conflict")
    with transaction(connection):
        connection.execute(sql("merge/merge"))
        connection.execute(sql("merge/merge_rejects"))
    connection.execute(sql("merge/unstage"))
    return ImportCounts(added, updated, unchanged, rejected, conflicts, passed_over)


def store_context(
    connection: duckdb.DuckDBPyConnection,
    batches: Iterable[Checked],
    now: datetime,
    read_again: pd.DataFrame | None = None,
) -> ImportCounts:
    """Store facts about patients, all of an import or nothing; the arguments are those of `store_dxa`."""
    connection.execute(sql("merge/stage"))
    if read_again is not None:
        _register_read_again(connection, read_again)
    passed_over = 0
    for checked in batches:
        passed_over += checked.batch.passed_over
        _stage_context(connection, checked, now)
        stage_rejects(connection, checked, PATIENTS, now)
    connection.execute(sql("merge/current_context"))
    added, updated, unchanged, rejected = fetch_one(connection, sql("merge/count_context"))
    with transaction(connection):
        connection.execute("INSERT OR REPLACE INTO patient_context BY NAME SELECT * FROM current_fact")
        connection.execute(sql("merge/merge_rejects"))
    connection.execute(sql("merge/unstage"))
    return ImportCounts(added, updated, unchanged, rejected, 0, passed_over)


def _stage_context(connection: duckdb.DuckDBPyConnection, checked: Checked, now: datetime) -> None:
    if len(checked.accepted):
        connection.register("accepted", pa.Table.from_pandas(checked.accepted, preserve_index=False))
        connection.execute(sql("merge/stage_context"), {"source_file": checked.batch.source_file, "imported_at": now})
        connection.unregister("accepted")


def kept_rejects(
    connection: duckdb.DuckDBPyConnection, kind: str, *, reason: str | None = None, files: list[str] | None = None
) -> pd.DataFrame:
    """Return refused records that may be good today, of one reason or of some files where these are given."""
    return connection.execute(sql("queries/kept_records"), {"kind": kind, "reason": reason, "files": files}).df()


def not_refused_now(connection: duckdb.DuckDBPyConnection, kept: pd.DataFrame) -> pd.DataFrame:
    """Leave out those that the import just done has refused again."""
    refused = connection.execute("SELECT record_digest FROM incoming_reject").df()["record_digest"]
    return kept[~kept["record_digest"].isin(refused)]


def _register_read_again(connection: duckdb.DuckDBPyConnection, read_again: pd.DataFrame) -> None:
    connection.register("kept", pa.Table.from_pandas(read_again[["record_digest"]], preserve_index=False))
    connection.execute("INSERT INTO read_again SELECT DISTINCT record_digest FROM kept")
    connection.unregister("kept")


def _stage_dxa(connection: duckdb.DuckDBPyConnection, checked: Checked, now: datetime) -> None:
    if len(checked.accepted):
        connection.register("accepted", pa.Table.from_pandas(checked.accepted, preserve_index=False))
        connection.execute(sql("merge/stage_dxa"), _origin(checked, now))
        connection.unregister("accepted")


def stage_rejects(connection: duckdb.DuckDBPyConnection, checked: Checked, kind: str, now: datetime) -> None:
    """Put the refused records of a batch beside those of the batches before it."""
    if len(checked.rejected):
        connection.register("rejected", pa.Table.from_pandas(checked.rejected, preserve_index=False))
        connection.execute(sql("merge/stage_reject"), _origin(checked, now) | {"kind": kind})
        connection.unregister("rejected")


def _origin(checked: Checked, now: datetime) -> dict[str, object]:
    return {
        "source_format": checked.batch.source_format.value,
        "source_file": checked.batch.source_file,
        "imported_at": now,
    }
