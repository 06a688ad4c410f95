"""Archives -> index -> outcomes -> publication: one night, resumable at every commit."""

import hashlib
import json
import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any, Final

import duckdb
import structlog
from distributed import Client

from screening.archive.folder import require_folders
from screening.archive.index import study_fingerprint, unpack_study
from screening.cluster import Done, connected, stream
from screening.config import Settings
from screening.imaging.label_map_files import LumbarSettings, label_maps_digest
from screening.indexing import index_archives
from screening.log import site_key, study_key
from screening.prediction.inference import CheckpointFacts, load_predictor
from screening.progress import Progress
from screening.reading import Failure, Outcome, failure_of
from screening.store.database import DatabaseFolder, fetch_one, locked, open_writer, transaction, write_rows
from screening.store.file_index import PendingStudy, packed_series, pending_studies
from screening.store.publish import publish
from screening.store.rows import ReadStudy, write_readings
from screening.worker import ReadersPlugin, read_study_packed

LIBRARIES: Final = ("numpy", "scipy", "pydicom", "python-gdcm", "torch", "dask", "distributed", "duckdb")
# Settings that change what is read in a study; the others change who is flagged or how the night is run.
_READING_SETTINGS: Final = {"eligibility", "lumbar", "prediction"}
_NOT_READING: Final = {"prediction": {"device", "checkpoint"}}

_log = structlog.get_logger()


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
        found, read = index_archives(connection, client, archives, settings, progress, stopping)
        beside = _label_maps(connection, settings.lumbar)
        present, pending = pending_studies(
            connection,
            facts.sha256,
            lambda files: night.reading_fingerprint(files, beside.get(files, "")),
            retry_failed=retry_failed,
        )
        counts = _read(connection, client, night, pending, progress, stopping)
        totals = {
            "file_found_count": found,
            "file_read_count": read,
            "file_problem_count": fetch_one(connection, "SELECT count(*) FROM file_problem")[0],
            "study_found_count": present,
            **counts,
        }
        state = "stopped" if stopping() else "completed"
        _end(connection, night, state, totals)
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

    def reading_fingerprint(self, file_fingerprint: str, label_maps: str) -> str:
        """Digest the files and label maps with the settings that decide what is read in them."""
        reading = self.settings.model_dump_json(include=_READING_SETTINGS, exclude=_NOT_READING)
        return hashlib.blake2b(f"{file_fingerprint}\n{reading}{label_maps}".encode(), digest_size=16).hexdigest()


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
        _register(connection, facts)
        write_rows(connection, "sweep", [_sweep(sweep_id, archives, settings, facts)])
    return _Night(sweep_id, place, settings, facts, site_key(place.key))


def _label_maps(connection: duckdb.DuckDBPyConnection, settings: LumbarSettings) -> dict[str, str]:
    """Digest the label maps beside each study, by the fingerprint of its files; none are looked for unless wanted."""
    if settings.localizer == "built_in":
        return {}
    present = "SELECT study_instance_uid, list(fingerprint) FROM series_index WHERE present GROUP BY 1"
    return {
        study_fingerprint(series): label_maps_digest(unpack_study(packed_series(connection, study)).series, settings)
        for study, series in connection.execute(present).fetchall()
    }


def _register(connection: duckdb.DuckDBPyConnection, facts: CheckpointFacts) -> None:
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
    packed = ((study, packed_series(connection, study.study_instance_uid)) for study in pending)
    tasks = ((item, (item[1], night.settings, night.facts.sha256)) for item in packed)
    waves = stream(
        client, read_study_packed, tasks, deadline_s=night.settings.sweep.study_deadline_s, stopping=stopping
    )
    for wave in waves:
        readings = _commit(connection, night.place, [_read_study(night, done) for done in wave])
        statuses.extend(read.status for read in readings)
        progress("studies", len(statuses), len(pending))
    return {
        "study_read_count": len(statuses),
        "measured_count": statuses.count("measured"),
        "excluded_count": statuses.count("excluded"),
        "failed_count": statuses.count("failed"),
    }


def _read_study(night: _Night, done: Done[tuple[PendingStudy, list[bytes]]]) -> ReadStudy:
    pending, packed = done.item
    return ReadStudy(
        study=unpack_study(packed),
        outcome=_lost(done.lost_to) if done.result is None else pickle.loads(done.result),
        sweep_id=night.sweep_id,
        checkpoint_sha256=night.facts.sha256,
        study_key=study_key(pending.study_instance_uid, night.key),
        file_fingerprint=pending.file_fingerprint,
        reading_fingerprint=pending.reading_fingerprint,
    )


def _lost(to: str | None) -> Outcome:
    return Outcome(None, Failure("worker", to or "no result", transient=False), 0.0)


def _commit(connection: duckdb.DuckDBPyConnection, place: DatabaseFolder, readings: list[ReadStudy]) -> list[ReadStudy]:
    """Write what ended and return it; a study whose numbers the database refuses becomes a failure of its own."""
    try:
        _write(connection, place, readings)
    except duckdb.ConstraintException as error:
        if len(readings) > 1:
            return [read for one in readings for read in _commit(connection, place, [one])]
        refused = Outcome(None, failure_of(error), readings[0].outcome.read_seconds)
        readings = [replace(readings[0], outcome=refused)]
        _write(connection, place, readings)
    for read in readings:
        if read.outcome.failure is not None:
            failure = read.outcome.failure
            _log.error("study failed", study=read.study_key, stage=failure.stage, exception=failure.exception_type)
    return readings


def _write(connection: duckdb.DuckDBPyConnection, place: DatabaseFolder, readings: list[ReadStudy]) -> None:
    """Write pictures first, so that no row names a picture that is not there."""
    for read in readings:
        if read.measured is not None:
            picture = place.evidence / read.evidence_file
            unfinished = picture.with_suffix(".unfinished")
            unfinished.write_bytes(read.measured.evidence_png)
            unfinished.replace(picture)
    with transaction(connection):
        write_readings(connection, [read for read in readings if not _better_known(connection, read)])


def _better_known(connection: duckdb.DuckDBPyConnection, read: ReadStudy) -> bool:
    """Tell whether a dropped mount or the like must not wipe out an earlier result; the next sweep tries again."""
    if read.outcome.failure is None or not read.outcome.failure.transient:
        return False
    query = "SELECT count(*) FROM outcome WHERE study_instance_uid = ? AND checkpoint_sha256 = ?"
    return bool(fetch_one(connection, query, [read.study.study_instance_uid, read.checkpoint_sha256])[0])


def _end(connection: duckdb.DuckDBPyConnection, night: _Night, state: str, totals: dict[str, int]) -> None:
    assignments = ", ".join(f"{column} = ${column}" for column in totals)
    with transaction(connection):
        connection.execute(
            f"UPDATE sweep SET ended_at = $ended_at, state = $state, {assignments} WHERE sweep_id = $sweep_id",
            {"ended_at": _now(), "state": state, "sweep_id": night.sweep_id, **totals},
        )
        if state == "completed":  # else a worklist read half with another checkpoint would be published
            connection.execute("UPDATE model SET active = (checkpoint_sha256 = ?)", [night.facts.sha256])
