"""A sweep's own row: entered as running when it begins, completed with its counts and books when it ends."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb

from screening.archive.folder import NOT_TRUSTED
from screening.store.database import fetch_one, transaction, write_rows
from screening.store.ledger import Ledger, ledger_rows

if TYPE_CHECKING:
    from screening.prediction.inference import CheckpointFacts

LIBRARIES: Final = ("numpy", "scipy", "pydicom", "python-gdcm", "torch", "dask", "distributed", "duckdb")


def begin_sweep(
    connection: duckdb.DuckDBPyConnection, archives: Sequence[Path], config: str, facts: "CheckpointFacts"
) -> int:
    """Enter the sweep and its checkpoint; one that was left running is known now to have been interrupted.

    Args:
        connection: the sweep's database.
        archives: what is swept.
        config: the settings in force, JSON.
        facts: of the checkpoint that reads.

    Returns:
        The number of the sweep.
    """
    sweep_id: int = fetch_one(connection, "SELECT coalesce(max(sweep_id), 0) + 1 FROM sweep")[0]
    row = {
        "sweep_id": sweep_id,
        "started_at": _now(),
        "state": "running",
        "archives": [str(archive) for archive in archives],
        "checkpoint_sha256": facts.sha256,
        "software_version": version("ct-bmd-screening"),
        "library_versions": json.dumps({library: version(library) for library in LIBRARIES}),
        "config": config,
    }
    with transaction(connection):
        connection.execute("UPDATE sweep SET state = 'interrupted' WHERE state = 'running'")
        _register(connection, facts)
        write_rows(connection, "sweep", [row])
    return sweep_id


def _register(connection: duckdb.DuckDBPyConnection, facts: "CheckpointFacts") -> None:
    """Enter the checkpoint at its first use; the first of a database is active at once, others after a whole sweep."""
    known = connection.execute("SELECT checkpoint_sha256 FROM model").fetchall()
    if (facts.sha256,) not in known:
        model = {
            "checkpoint_sha256": facts.sha256,
            "name": facts.name,
            "data_kind": facts.data_kind,
            "metrics": json.dumps(facts.metrics),
            "active": not known,
            "registered_at": _now(),
        }
        write_rows(connection, "model", [model])
    connection.execute(
        "UPDATE model SET reference = ?, parent_sha256 = ? WHERE checkpoint_sha256 = ?",
        [facts.reference, facts.parent_sha256, facts.sha256],
    )


def end_sweep(
    connection: duckdb.DuckDBPyConnection, sweep_id: int, state: str, counts: Mapping[str, int | bool], books: Ledger
) -> None:
    """Enter how the sweep ended; a whole sweep makes its checkpoint the active one.

    Args:
        connection: the sweep's database.
        sweep_id: its number.
        state: completed, or stopped.
        counts: columns of table sweep with what was counted.
        books: the reconciliation.
    """
    assignments = ", ".join(f"{column} = ${column}" for column in counts)
    with transaction(connection):
        if books.discrepancies:
            _distrust(connection)
        connection.execute(
            f"UPDATE sweep SET ended_at = $ended_at, state = $state, {assignments} WHERE sweep_id = $sweep_id",
            {"ended_at": _now(), "state": state, "sweep_id": sweep_id, **counts},
        )
        write_rows(connection, "sweep_ledger", ledger_rows(sweep_id, books))
        if state == "completed":  # else a worklist read half with another checkpoint would be published
            connection.execute(
                "UPDATE model SET active = (checkpoint_sha256 = "
                "(SELECT checkpoint_sha256 FROM sweep WHERE sweep_id = ?))",
                [sweep_id],
            )


def _distrust(connection: duckdb.DuckDBPyConnection) -> None:
    """Have the next sweep compare every file with the index, and read the studies whose series are not all decided."""
    connection.execute("DELETE FROM full_walk")
    connection.execute("UPDATE folder_index SET mtime_ns = ?, digest = ''::BLOB", [NOT_TRUSTED])
    connection.execute(
        "UPDATE outcome SET reading_fingerprint = '' WHERE study_instance_uid IN ("
        "SELECT study_instance_uid FROM series_index ANTI JOIN series USING (study_instance_uid, series_instance_uid) "
        "WHERE series_index.present)"
    )


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
