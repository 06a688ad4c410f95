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


def store_dxa(connection: duckdb.DuckDBPyConnection, batches: Iterable[Checked], now: datetime) -> ImportCounts:
    """Store what an import brings, all of it or nothing.

    Args:
        connection: the working file.
        batches: checked records; nothing is stored before all of them have been read.
        now: time of the import, UTC.
    """
    connection.execute(sql("merge/stage"))
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
    connection.execute(sql("merge/unstage"))
    return ImportCounts(added, updated, unchanged, rejected, conflicts, passed_over)


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
