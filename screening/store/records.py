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
    passed_over = _stage(connection, batches, DXA, now, read_again)
    connection.execute(sql("merge/touch"))
    connection.execute(sql("merge/current"))
    added, updated, unchanged, rejected = fetch_one(connection, sql("merge/count"))
    (conflicts,) = fetch_one(connection, "SELECT count(*) FROM current_result WHERE conflict")
    with transaction(connection):
        connection.execute(sql("merge/merge"))
        connection.execute(sql("merge/merge_rejects"))
    connection.execute(sql("merge/unstage"))
    return ImportCounts(added, updated, unchanged, rejected, conflicts, passed_over)


def store_context(connection: duckdb.DuckDBPyConnection, batches: Iterable[Checked], now: datetime) -> ImportCounts:
    """Store facts about patients, all of an import or nothing; the arguments are those of `store_dxa`."""
    passed_over = _stage(connection, batches, PATIENTS, now)
    connection.execute(sql("merge/current_context"))
    added, updated, unchanged, rejected = fetch_one(connection, sql("merge/count_context"))
    with transaction(connection):
        connection.execute("INSERT OR REPLACE INTO patient_context BY NAME SELECT * FROM current_fact")
        connection.execute(sql("merge/merge_rejects"))
    connection.execute(sql("merge/unstage"))
    return ImportCounts(added, updated, unchanged, rejected, 0, passed_over)


def _stage(
    connection: duckdb.DuckDBPyConnection,
    batches: Iterable[Checked],
    kind: str,
    now: datetime,
    read_again: pd.DataFrame | None = None,
) -> int:
    """Lay out beside the tables what the batches hold; count the records that speak of something else."""
    connection.execute(sql("merge/stage"))
    if read_again is not None:
        _insert(connection, "kept", read_again[["record_digest"]], "stage_read_again", {})
    passed_over = 0
    for checked in batches:
        passed_over += checked.batch.passed_over
        origin: dict[str, object] = {"source_file": checked.batch.source_file, "imported_at": now}
        source_format = {"source_format": checked.batch.source_format.value}
        of_accepted = origin | source_format if kind == DXA else origin
        _insert(connection, "accepted", checked.accepted, f"stage_{kind}", of_accepted)
        _insert(connection, "rejected", checked.rejected, "stage_reject", origin | source_format | {"kind": kind})
    return passed_over


def _insert(
    connection: duckdb.DuckDBPyConnection, name: str, rows: pd.DataFrame, script: str, parameters: dict[str, object]
) -> None:
    """Run a script of merge/ over rows, which it knows by this name."""
    if len(rows):
        connection.register(name, pa.Table.from_pandas(rows, preserve_index=False))
        connection.execute(sql(f"merge/{script}"), parameters)
        connection.unregister(name)


def kept_rejects(
    connection: duckdb.DuckDBPyConnection, kind: str, *, reason: str | None = None, files: list[str] | None = None
) -> pd.DataFrame:
    """Return refused records that may be good today, of one reason or of some files where these are given."""
    return connection.execute(sql("queries/kept_records"), {"kind": kind, "reason": reason, "files": files}).df()


def not_refused_now(connection: duckdb.DuckDBPyConnection, kept: pd.DataFrame) -> pd.DataFrame:
    """Leave out those that the import just done has refused again."""
    refused = connection.execute("SELECT record_digest FROM incoming_reject").df()["record_digest"]
    return kept[~kept["record_digest"].isin(refused)]
