"""The flow of studies adds up, whatever their outcome."""

import hashlib
from collections.abc import Iterator
from datetime import datetime

import duckdb
import pytest

from screening.errors import Exclusion
from screening.store.database import create_schema, write_rows

CHECKPOINT = hashlib.sha256(b"checkpoint").hexdigest()
AT = datetime(2026, 3, 1)
STAGES = ("found", "read", "ct", "eligible_series", "localised", "measured")
MODEL = {
    "checkpoint_sha256": CHECKPOINT, "name": "n", "data_kind": "simulated", "metrics": "{}", "active": True,
    "registered_at": AT,
}  # fmt: skip


def indexed(study: str, *, present: bool = True) -> dict[str, object]:
    return {
        "series_instance_uid": f"{study}.1", "study_instance_uid": study, "modality": "CT", "instance_count": 1,
        "fingerprint": "f", "instances": b"", "present": present, "indexed_at": AT,
    }  # fmt: skip


def ended(study: str, status: str, reason: str | None, checkpoint: str = CHECKPOINT) -> dict[str, object]:
    return {
        "study_instance_uid": study, "checkpoint_sha256": checkpoint, "sweep_id": 1, "status": status, "reason": reason,
        "detail": "", "stage": "screening.reading" if status == "failed" else None, "reading_fingerprint": "f",
        "read_seconds": 1.0, "read_at": AT,
    }  # fmt: skip


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    memory = duckdb.connect()
    create_schema(memory)
    write_rows(memory, "model", [MODEL])
    yield memory
    memory.close()


def flow(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str | None, int]]:
    return connection.execute("SELECT stage, reason, study_count FROM exclusion_flow").fetchall()


def test_every_study_stops_once_or_is_measured(connection: duckdb.DuckDBPyConnection) -> None:
    outcomes = [
        ended("2.25.1", "measured", None),
        ended("2.25.2", "excluded", "not_ct"),
        ended("2.25.3", "excluded", "contrast"),
        ended("2.25.4", "excluded", "contrast"),
        ended("2.25.5", "excluded", "implausible_hu"),
        ended("2.25.6", "excluded", "no_lumbar"),
        ended("2.25.7", "excluded", "too_few_levels"),
        ended("2.25.8", "failed", "ValueError"),
    ]
    write_rows(connection, "outcome", outcomes)
    write_rows(connection, "series_index", [indexed(f"2.25.{number}") for number in range(1, 10)])

    assert flow(connection) == [
        ("found", None, 9),
        ("read", "failed: ValueError", 1),
        ("read", "not_read_yet", 1),
        ("read", None, 7),
        ("ct", "not_ct", 1),
        ("ct", None, 6),
        ("eligible_series", "contrast", 2),
        ("eligible_series", "implausible_hu", 1),
        ("eligible_series", None, 3),
        ("localised", "no_lumbar", 1),
        ("localised", None, 2),
        ("measured", "too_few_levels", 1),
        ("measured", None, 1),
    ]


def test_every_exclusion_leaves_the_flow_adding_up(connection: duckdb.DuckDBPyConnection) -> None:
    outcomes = [ended(f"2.25.{place}", "excluded", str(reason)) for place, reason in enumerate(Exclusion)]
    write_rows(connection, "outcome", [*outcomes, ended("2.25.900", "measured", None)])

    rows = flow(connection)
    reached = {stage: count for stage, reason, count in rows if reason is None}
    lost = {stage: sum(n for at, reason, n in rows if at == stage and reason) for stage in STAGES}

    assert tuple(reached) == STAGES
    assert reached["found"] == len(Exclusion) + 1
    assert [reached[above] - reached[below] for above, below in zip(STAGES, STAGES[1:], strict=False)] == [
        lost[stage] for stage in STAGES[1:]
    ]
    assert reached["measured"] == 1
    assert sum(lost.values()) == len(Exclusion)


def test_a_vanished_study_keeps_its_place_and_another_checkpoint_does_not_count(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    write_rows(connection, "outcome", [ended("2.25.1", "measured", None), ended("2.25.2", "measured", None, "0" * 64)])
    write_rows(connection, "series_index", [indexed("2.25.1", present=False), indexed("2.25.2")])

    assert [row for row in flow(connection) if row[0] in ("found", "measured") or row[1]] == [
        ("found", None, 2),
        ("read", "not_read_yet", 1),
        ("measured", None, 1),
    ]


def test_an_empty_database_has_an_empty_flow(connection: duckdb.DuckDBPyConnection) -> None:
    assert {count for _, _, count in flow(connection)} == {0}
