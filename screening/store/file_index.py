"""The archive's index in the database: which files are known, which series they form, which studies wait."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from screening.archive.header import FoundFile, NotIndexed, displayable
from screening.archive.index import (
    Instance,
    files_of,
    fingerprint,
    pack,
    series_of,
    study_fingerprint,
    unpack,
)
from screening.store.database import Row, transaction, write_rows

SeriesKey = tuple[str, str]  # StudyInstanceUID, SeriesInstanceUID


@dataclass(frozen=True, slots=True)
class HeaderBatch:
    """What reading the headers of some files gave: every file is in one of the two."""

    instances: tuple[Instance, ...]
    problems: tuple[tuple[FoundFile, NotIndexed], ...]


def known_files(connection: duckdb.DuckDBPyConnection) -> dict[Path, tuple[int, int]]:
    """Map every file seen before, indexed or not, to its size and modification time."""
    known = {}
    for (packed,) in connection.execute("SELECT instances FROM series_index WHERE present").fetchall():
        known.update({path: (size, mtime) for path, size, mtime in files_of(packed)})
    for encoded, size, mtime in connection.execute(
        "SELECT encoded_path, size_bytes, mtime_ns FROM file_problem"
    ).fetchall():
        known[Path(json.loads(encoded))] = (size, mtime)
    return known


def forget_files(connection: duckdb.DuckDBPyConnection, paths: frozenset[Path]) -> None:
    """Take files out of the index: they vanished, or are about to be read again. Results are kept."""
    if not paths:
        return
    affected = []
    for study, series, packed in connection.execute(
        "SELECT study_instance_uid, series_instance_uid, instances FROM series_index WHERE present"
    ).fetchall():
        if any(path in paths for path, _, _ in files_of(packed)):
            kept = [instance for instance in unpack(packed) if instance.path not in paths]
            affected.append(_index_row((study, series), kept))
    with transaction(connection):
        write_rows(connection, "series_index", affected)
        connection.executemany(
            "DELETE FROM file_problem WHERE encoded_path = ?", [[_encoded(path)] for path in sorted(paths)]
        )


def add_headers(connection: duckdb.DuckDBPyConnection, batch: HeaderBatch) -> None:
    """Merge a batch into the index in one transaction; files that a move left behind under old paths are dropped."""
    with transaction(connection):
        rows = []
        for key, series in series_of(batch.instances).items():
            there = [instance for instance in _indexed(connection, key) if os.path.exists(instance.path)]  # noqa: PTH110
            merged = {instance.path: instance for instance in (*there, *series.instances)}
            rows.append(_index_row(key, list(merged.values())))
        write_rows(connection, "series_index", rows)
        write_rows(connection, "file_problem", [_problem_row(file, problem) for file, problem in batch.problems])


def _indexed(connection: duckdb.DuckDBPyConnection, key: SeriesKey) -> tuple[Instance, ...]:
    rows = connection.execute(
        "SELECT instances FROM series_index WHERE study_instance_uid = ? AND series_instance_uid = ? AND present",
        list(key),
    ).fetchall()
    return tuple(instance for (packed,) in rows for instance in unpack(packed))


def _index_row(key: SeriesKey, instances: Sequence[Instance]) -> Row:
    ordered = sorted(instances, key=lambda instance: instance.path)
    return {
        "series_instance_uid": key[1],
        "study_instance_uid": key[0],
        "modality": ordered[0].modality if ordered else "",
        "instance_count": len(ordered),
        "fingerprint": fingerprint(ordered),
        "instances": pack(ordered),
        "present": bool(ordered),
        "indexed_at": datetime.now(UTC).replace(tzinfo=None),
    }


def _problem_row(file: FoundFile, problem: NotIndexed) -> Row:
    return {
        "path": displayable(file.path),
        "encoded_path": _encoded(file.path),
        "size_bytes": file.size_bytes,
        "mtime_ns": file.mtime_ns,
        "reason": str(problem.problem),
        "detail": problem.detail,
        "found_at": datetime.now(UTC).replace(tzinfo=None),
    }


def _encoded(path: Path) -> str:
    """Write any file name as ASCII, also one that is no valid text."""
    return json.dumps(str(path))


@dataclass(frozen=True, slots=True)
class PendingStudy:
    """A study to read: its packed series travel to the worker as they are stored."""

    study_instance_uid: str
    file_fingerprint: str
    reading_fingerprint: str


def pending_studies(
    connection: duckdb.DuckDBPyConnection,
    checkpoint_sha256: str,
    reading_fingerprint: Callable[[str], str],
    *,
    retry_failed: bool,
) -> tuple[int, list[PendingStudy]]:
    """Count the studies present and list those without an outcome for these files, settings and checkpoint.

    A study that failed is not read again before something changes, unless `retry_failed` asks for it.
    """
    present = connection.execute(
        "SELECT study_instance_uid, list(fingerprint) FROM series_index WHERE present GROUP BY 1 ORDER BY 1"
    ).fetchall()
    read = dict(
        connection.execute(
            "SELECT study_instance_uid, reading_fingerprint FROM outcome "
            "WHERE checkpoint_sha256 = ? AND NOT (status = 'failed' AND ?)",
            [checkpoint_sha256, retry_failed],
        ).fetchall()
    )
    files = {study: study_fingerprint(fingerprints) for study, fingerprints in present}
    pending = [PendingStudy(study, digest, reading_fingerprint(digest)) for study, digest in files.items()]
    return len(files), [study for study in pending if read.get(study.study_instance_uid) != study.reading_fingerprint]


def packed_series(connection: duckdb.DuckDBPyConnection, study_instance_uid: str) -> list[bytes]:
    """Fetch a study's series as they are packed."""
    rows = connection.execute(
        "SELECT instances FROM series_index WHERE study_instance_uid = ? AND present ORDER BY series_instance_uid",
        [study_instance_uid],
    ).fetchall()
    return [row[0] for row in rows]
