"""Archives -> index -> outcomes -> publication: one night, resumable at every commit."""

import hashlib
import json
import pickle
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any, Final, Protocol

import duckdb
import structlog
from distributed import Client

from screening.archive.folder import changes, require_folders, walk
from screening.archive.index import unpack_study
from screening.cluster import Done, connected, stream
from screening.config import Settings
from screening.log import site_key, study_key
from screening.prediction.inference import CheckpointFacts, load_predictor
from screening.reading import Failure, Outcome
from screening.store.database import DatabaseFolder, fetch_one, locked, open_writer, transaction, write_rows
from screening.store.file_index import (
    HeaderBatch,
    PendingStudy,
    add_headers,
    below,
    forget_files,
    known_files,
    packed_series,
    pending_studies,
)
from screening.store.publish import publish
from screening.store.rows import ReadStudy, write_readings
from screening.worker import ReadersPlugin, read_headers_packed, read_study_packed

LIBRARIES: Final = ("numpy", "scipy", "pydicom", "python-gdcm", "torch", "dask", "distributed", "duckdb")
# Settings that change what is read in a study; the others change who is flagged or how the night is run.
_READING_SETTINGS: Final = {"eligibility", "prediction"}
_NOT_READING: Final = {"prediction": {"device", "checkpoint"}}

# The rows of a few seconds are lost at most when the machine dies; a commit costs about 10 ms.
COMMIT_EVERY_S: Final = 2.0

_log = structlog.get_logger()


class Progress(Protocol):
    """Told how far the night is; `what` is the stage."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` are done."""
        ...


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep counted, and where the result lies."""

    sweep_id: int
    state: str
    file_found_count: int
    file_read_count: int
    file_problem_count: int
    study_found_count: int
    study_read_count: int
    measured_count: int
    excluded_count: int
    failed_count: int
    published: Path

    @property
    def failed_share(self) -> float:
        """Failures among the studies read."""
        return self.failed_count / self.study_read_count if self.study_read_count else 0.0


def run_sweep(
    archives: Sequence[Path],
    place: DatabaseFolder,
    settings: Settings,
    *,
    progress: Progress,
    retry_failed: bool = False,
) -> SweepResult:
    """Index what changed, read what is pending, publish.

    Everything committed survives a crash, and the next sweep goes on there.

    Raises:
        UserError: another sweep holds the database, an archive or the checkpoint cannot be read.
    """
    require_folders(archives)
    facts = load_predictor(settings.prediction.checkpoint, "cpu").facts
    place.create()
    plugin = ReadersPlugin(settings.prediction.checkpoint, settings.prediction.device)
    with (
        locked(place),
        open_writer(place) as connection,
        _stop_requested() as stopping,
        connected(settings.sweep.scheduler, settings.sweep.workers, plugin) as client,
    ):
        night = _begin(connection, place, archives, settings, facts)
        found, read = _index(connection, client, archives, settings, progress)
        present, pending = pending_studies(
            connection, facts.sha256, night.reading_fingerprint, retry_failed=retry_failed
        )
        counts = _read(connection, client, night, pending, progress, stopping)
        state = "stopped" if stopping() else "completed"
        problems = fetch_one(connection, "SELECT count(*) FROM file_problem")[0]
        totals = {
            "file_found_count": found,
            "file_read_count": read,
            "file_problem_count": problems,
            "study_found_count": present,
            **counts,
        }
        _end(connection, night.sweep_id, state, totals)
        publish(connection, place, settings.care_gap)
    return SweepResult(sweep_id=night.sweep_id, state=state, published=place.published, **totals)


@contextmanager
def _stop_requested() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C or SIGTERM into a wish to stop; the second one ends the program at once."""
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if asked:
            signal.default_int_handler(number, frame)
        asked.append(number)

    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@dataclass(frozen=True, slots=True)
class _Night:
    """What stays the same during one sweep."""

    sweep_id: int
    place: DatabaseFolder
    settings: Settings
    facts: CheckpointFacts
    key: bytes

    def reading_fingerprint(self, file_fingerprint: str) -> str:
        """Digest the files with the settings that decide what is read in them."""
        reading = self.settings.model_dump_json(include=_READING_SETTINGS, exclude=_NOT_READING)
        return hashlib.blake2b(f"{file_fingerprint}\n{reading}".encode(), digest_size=16).hexdigest()


def _begin(
    connection: duckdb.DuckDBPyConnection,
    place: DatabaseFolder,
    archives: Sequence[Path],
    settings: Settings,
    facts: CheckpointFacts,
) -> _Night:
    sweep_id = fetch_one(connection, "SELECT coalesce(max(sweep_id), 0) + 1 FROM sweep")[0]
    with transaction(connection):
        connection.execute("UPDATE sweep SET state = 'interrupted' WHERE state = 'running'")
        connection.execute("UPDATE model SET active = false")
        write_rows(connection, "model", [_model(facts)])
        write_rows(connection, "sweep", [_sweep(sweep_id, archives, settings, facts)])
    return _Night(sweep_id, place, settings, facts, site_key(place.key))


def _model(facts: CheckpointFacts) -> dict[str, Any]:
    return {
        "checkpoint_sha256": facts.sha256,
        "name": facts.name,
        "data_kind": facts.data_kind,
        "metrics": json.dumps(facts.metrics),
        "active": True,
        "registered_at": _now(),
    }


def _sweep(sweep_id: int, archives: Sequence[Path], settings: Settings, facts: CheckpointFacts) -> dict[str, Any]:
    return {
        "sweep_id": sweep_id,
        "started_at": _now(),
        "state": "running",
        "archives": [str(archive) for archive in archives],
        "checkpoint_sha256": facts.sha256,
        "software_version": version("ct-bmd-screening"),
        "library_versions": json.dumps({library: version(library) for library in LIBRARIES}),
        "config": settings.model_dump_json(),
    }


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _index(
    connection: duckdb.DuckDBPyConnection,
    client: Client,
    archives: Sequence[Path],
    settings: Settings,
    progress: Progress,
) -> tuple[int, int]:
    """Bring the index up to date; count the files found and those whose header was read."""
    roots = [archive.absolute() for archive in archives]
    known = {path: facts for path, facts in known_files(connection).items() if below(path, roots)}
    changed = changes(walk(archives), known)
    forget_files(connection, changed.vanished | frozenset(file.path for file in changed.to_read if file.path in known))
    done = 0
    progress("headers", done, len(changed.to_read))
    for ended in stream(
        client,
        read_headers_packed,
        _header_batches(changed.to_read, settings),
        deadline_s=settings.sweep.study_deadline_s,
    ):
        if ended.result is None:
            raise RuntimeError(f"reading headers ended with {ended.lost_to}")
        add_headers(connection, HeaderBatch(*pickle.loads(ended.result)))
        done += ended.item
        progress("headers", done, len(changed.to_read))
    return changed.found_count, len(changed.to_read)


def _header_batches(files: Sequence[Any], settings: Settings) -> Iterator[tuple[int, tuple[Any, ...]]]:
    for start in range(0, len(files), settings.sweep.header_batch):
        batch = [
            (str(file.path), file.size_bytes, file.mtime_ns)
            for file in files[start : start + settings.sweep.header_batch]
        ]
        yield len(batch), (batch,)


def _read(
    connection: duckdb.DuckDBPyConnection,
    client: Client,
    night: _Night,
    pending: Sequence[PendingStudy],
    progress: Progress,
    stopping: Callable[[], bool],
) -> dict[str, int]:
    """Read the pending studies and commit them in batches; count how they ended."""
    statuses: list[str] = []
    progress("studies", 0, len(pending))
    tasks = ((study, (packed_series(connection, study.study_instance_uid), night.settings)) for study in pending)
    ended = stream(
        client, read_study_packed, tasks, deadline_s=night.settings.sweep.study_deadline_s, stopping=stopping
    )
    for some in _gathered(ended, night.settings.sweep.commit_studies):
        readings = [_read_study(connection, night, done) for done in some]
        _commit(connection, night.place, readings)
        statuses.extend(read.status for read in readings)
        progress("studies", len(statuses), len(pending))
    return {
        "study_read_count": len(statuses),
        "measured_count": statuses.count("measured"),
        "excluded_count": statuses.count("excluded"),
        "failed_count": statuses.count("failed"),
    }


def _gathered(ended: Iterator[Done[PendingStudy]], size: int) -> Iterator[list[Done[PendingStudy]]]:
    """Gather what belongs into one commit: `size` studies, or what came in a few seconds."""
    some: list[Done[PendingStudy]] = []
    since = time.monotonic()
    for done in ended:
        some.append(done)
        if len(some) >= size or time.monotonic() - since > COMMIT_EVERY_S:
            yield some
            some, since = [], time.monotonic()
    if some:
        yield some


def _read_study(connection: duckdb.DuckDBPyConnection, night: _Night, done: Done[PendingStudy]) -> ReadStudy:
    pending = done.item
    return ReadStudy(
        study=unpack_study(packed_series(connection, pending.study_instance_uid)),
        outcome=_lost(done.lost_to) if done.result is None else pickle.loads(done.result),
        sweep_id=night.sweep_id,
        checkpoint_sha256=night.facts.sha256,
        study_key=study_key(pending.study_instance_uid, night.key),
        file_fingerprint=pending.file_fingerprint,
        reading_fingerprint=pending.reading_fingerprint,
    )


def _lost(to: str | None) -> Outcome:
    return Outcome(None, Failure("worker", to or "no result"), 0.0)


def _commit(connection: duckdb.DuckDBPyConnection, place: DatabaseFolder, readings: list[ReadStudy]) -> None:
    """Write pictures first, so that no row names a picture that is not there."""
    for read in readings:
        if read.measured is not None:
            picture = place.evidence / read.evidence_file
            unfinished = picture.with_suffix(".unfinished")
            unfinished.write_bytes(read.measured.evidence_png)
            unfinished.replace(picture)
        if read.outcome.failure is not None:
            failure = read.outcome.failure
            _log.error("study failed", study=read.study_key, stage=failure.stage, exception=failure.exception_type)
    with transaction(connection):
        write_readings(connection, readings)


def _end(connection: duckdb.DuckDBPyConnection, sweep_id: int, state: str, totals: dict[str, int]) -> None:
    assignments = ", ".join(f"{column} = ${column}" for column in totals)
    connection.execute(
        f"UPDATE sweep SET ended_at = $ended_at, state = $state, {assignments} WHERE sweep_id = $sweep_id",
        {"ended_at": _now(), "state": state, "sweep_id": sweep_id, **totals},
    )
