"""Archives -> index -> outcomes -> publication: one night, resumable at every commit."""

import hashlib
import pickle
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import structlog

from screening.archive.folder import require_apart, require_folders
from screening.archive.index import study_fingerprint, unpack_study
from screening.cluster import connected
from screening.config import Settings
from screening.imaging.label_map_files import LumbarSettings, label_maps_digest
from screening.indexing import IndexedArchives, update_index
from screening.log import site_key, study_key
from screening.prediction.inference import CheckpointFacts, load_predictor
from screening.prediction.tscore import DEFAULT_REFERENCE
from screening.progress import Progress
from screening.reading import Failure, Outcome
from screening.stopping import stop_requested
from screening.store.database import DatabaseFolder, MemoryCare, fetch_one, full_disk_told, locked, open_writer
from screening.store.file_index import PendingStudy, PresentStudies, Settling, packed_series, pending_studies
from screening.store.folder_index import full_walk_due
from screening.store.ledger import Ledger, ledger, series_ledger
from screening.store.models import model_named, promoted_checkpoint, trained_on
from screening.store.placement import place_again
from screening.store.publish import publish
from screening.store.readings import commit_readings, forget_that_it_was_read
from screening.store.rows import ReadStudy
from screening.store.sweep_rows import begin_sweep, end_sweep
from screening.store.sweep_state import SweepTeller
from screening.streaming import Done, Here, Workers, stream
from screening.worker import ReadersPlugin, read_study_packed

# Settings that change what is read in a study; the others change who is flagged or how the night is run. What a density
# is held against is entered anew without reading (screening.store.placement).
_READING_SETTINGS: Final = {"eligibility", "lumbar", "prediction"}
_NOT_READING: Final = {"prediction": {"device", "checkpoint", "references", "osteoporosis_rule"}}

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep counted, and where the result lies."""

    sweep_id: int
    state: str  # completed or stopped
    asked_to_stop: bool  # by somebody, not by the clock
    index: IndexedArchives
    books: Ledger
    file_problem_count: int
    study_found_count: int
    study_settling_count: int
    study_pending_count: int
    study_read_count: int
    measured_count: int
    excluded_count: int
    failed_count: int
    published: Path
    trained_on: str = "simulated CT"  # the checkpoint that read

    @property
    def file_found_count(self) -> int:
        """Files that are there."""
        return self.index.found_count

    @property
    def file_read_count(self) -> int:
        """Headers read tonight."""
        return self.index.read_count

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
    recompute: bool = False,
    full: bool = False,
    until: datetime | None = None,
) -> SweepResult:
    """Index what changed, read what is pending, publish.

    Everything committed survives a crash, and the next sweep goes on there.

    Args:
        archives: folders to crawl.
        place: of the database.
        settings: the whole configuration.
        progress: told how far the sweep is.
        retry_failed: read failed studies again.
        recompute: read every study again, though nothing changed; what is not reached tonight is left to the next.
        full: look at every file, not only at folders that changed.
        until: local time after which no study is started.

    Raises:
        UserError: another sweep holds the database, an archive or the checkpoint cannot be read, the disk is full.
    """
    require_folders(archives)
    require_apart(archives, place.folder)
    checkpoint = settings.prediction.checkpoint or promoted_checkpoint(place)
    facts = load_predictor(checkpoint, "cpu").facts
    place.create()
    plugin = ReadersPlugin(checkpoint, settings.prediction.device)
    with (
        SweepTeller(place, progress) as telling,
        full_disk_told(place),
        locked(place),
        open_writer(place) as connection,
        stop_requested(until) as stopping,
        connected(settings.sweep, plugin) as workers,
    ):
        if isinstance(workers, Here):
            plugin.load()  # what cannot be loaded is told before anything is noted
        night = _begin(connection, place, archives, settings, facts)
        telling.begin(night.sweep_id)
        place_again(connection, settings.prediction.standard(), settings.prediction.known_references().values())
        if recompute:
            forget_that_it_was_read(connection, facts.sha256)
        full = full or full_walk_due(connection, archives, settings.sweep.full_walk_days, datetime.now(UTC))
        indexed = update_index(connection, workers, archives, settings, telling, stopping, full=full)
        cut_short = stopping()
        beside = _label_maps(connection, settings.lumbar)
        pending = _studies(connection, night, beside, retry_failed=retry_failed).pending
        statuses = _read(connection, workers, plugin, night, pending, telling, stopping)
        telling.enter("publication")
        state = "stopped" if cut_short or len(statuses) < len(pending) else "completed"
        counts, books = _reconciled(connection, night, indexed, beside, statuses)
        read_with = trained_on(connection, model_named(connection, facts.sha256))
        end_sweep(connection, night.sweep_id, state, counts | _index_counts(indexed), books)
        publish(
            connection,
            place,
            settings.care_gap,
            keep=settings.sweep.keep_publications,
            window_days=settings.validation.window_days,
        )
    _log_discrepancies(books)
    return SweepResult(
        sweep_id=night.sweep_id,
        state=state,
        asked_to_stop=stopping.asked,
        index=indexed,
        books=books,
        published=place.published,
        trained_on=read_with,
        **counts,
    )


@dataclass(frozen=True, slots=True)
class _Night:
    """What stays the same during one sweep."""

    sweep_id: int
    place: DatabaseFolder
    settings: Settings
    facts: CheckpointFacts
    key: bytes
    settling: Settling
    reading_settings: str

    def reading_fingerprint(self, file_fingerprint: str, label_maps: str) -> str:
        """Digest the files and label maps with the settings that decide what is read in them."""
        content = f"{file_fingerprint}\n{self.reading_settings}{label_maps}"
        return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def _begin(
    connection: duckdb.DuckDBPyConnection,
    place: DatabaseFolder,
    archives: Sequence[Path],
    settings: Settings,
    facts: CheckpointFacts,
) -> _Night:
    return _Night(
        sweep_id=begin_sweep(connection, archives, settings.model_dump_json(), facts),
        place=place,
        settings=settings,
        facts=facts,
        key=site_key(place.key),
        settling=Settling.at(time.time_ns(), settings.sweep.settle_minutes),
        reading_settings=_reading_settings(settings),
    )


def _reading_settings(settings: Settings) -> str:
    """Write the settings that decide a reading; whatever the reference, a database read with the default stays read."""
    prediction = settings.prediction.model_copy(update={"reference": DEFAULT_REFERENCE})
    decisive = settings.model_copy(update={"prediction": prediction})
    return decisive.model_dump_json(include=_READING_SETTINGS, exclude=_NOT_READING)


def _studies(
    connection: duckdb.DuckDBPyConnection, night: _Night, beside: Mapping[str, str], *, retry_failed: bool
) -> PresentStudies:
    """Tell which studies are to be read, by their files, the label maps beside them, checkpoint and settings."""
    return pending_studies(
        connection,
        night.facts.sha256,
        lambda files: night.reading_fingerprint(files, beside.get(files, "")),
        retry_failed=retry_failed,
        settling=night.settling,
    )


def _label_maps(connection: duckdb.DuckDBPyConnection, settings: LumbarSettings) -> dict[str, str]:
    """Digest the label maps beside each study, by the fingerprint of its files; none are looked for unless wanted."""
    if settings.localizer == "built_in":
        return {}
    present = "SELECT study_instance_uid, list(fingerprint) FROM series_index WHERE present GROUP BY 1"
    return {
        study_fingerprint(series): label_maps_digest(unpack_study(packed_series(connection, study)).series, settings)
        for study, series in connection.execute(present).fetchall()
    }


def _read(
    connection: duckdb.DuckDBPyConnection,
    workers: Workers | Here,
    plugin: ReadersPlugin,
    night: _Night,
    pending: Sequence[PendingStudy],
    telling: SweepTeller,
    stopping: Callable[[], bool],
) -> list[str]:
    """Read the pending studies and commit them in batches; return how they ended."""
    statuses: list[str] = []
    let_memory_go = MemoryCare(connection)
    telling("studies", 0, len(pending))
    for wave in _outcomes(connection, workers, plugin, night, pending, stopping):
        readings = commit_readings(connection, night.place, [_read_study(night, done) for done in wave])
        _log_failures(readings)
        ended = [read.status for read in readings]
        statuses.extend(ended)
        telling.outcomes(ended)
        telling("studies", len(statuses), len(pending))
        let_memory_go()
    return statuses


_StudyDone = Done[tuple[PendingStudy, list[bytes]]]


def _outcomes(
    connection: duckdb.DuckDBPyConnection,
    workers: Workers | Here,
    plugin: ReadersPlugin,
    night: _Night,
    pending: Sequence[PendingStudy],
    stopping: Callable[[], bool],
) -> Iterator[list[_StudyDone]]:
    """Yield what the workers made of the studies, wave by wave."""
    read = plugin.read if isinstance(workers, Here) else read_study_packed
    settings, sha256 = night.settings, night.facts.sha256
    packed = ((study, packed_series(connection, study.study_instance_uid)) for study in pending)
    tasks: Iterator[tuple[tuple[PendingStudy, list[bytes]], tuple[Any, ...]]] = (
        (item, (item[1], settings, sha256, settings.sweep.mapping_of_workers)) for item in packed
    )
    return stream(workers, read, tasks, deadline_s=settings.sweep.study_deadline_s, stopping=stopping)


def _read_study(night: _Night, done: _StudyDone) -> ReadStudy:
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


def _log_failures(readings: Sequence[ReadStudy]) -> None:
    for read in readings:
        if read.outcome.failure is not None:
            failure = read.outcome.failure
            _log.error("study failed", study=read.study_key, stage=failure.stage, exception=failure.exception_type)


def _reconciled(
    connection: duckdb.DuckDBPyConnection,
    night: _Night,
    indexed: IndexedArchives,
    beside: Mapping[str, str],
    statuses: Sequence[str],
) -> tuple[dict[str, int], Ledger]:
    """Count studies, and set what was found against what became of it."""
    left = _studies(connection, night, beside, retry_failed=False)
    files = ledger(
        connection,
        found=indexed.found_count,
        unvisited=indexed.unvisited_count,
        unread=indexed.unread_count,
        settling=night.settling,
    )
    counts = {
        "file_problem_count": fetch_one(connection, "SELECT count(*) FROM file_problem")[0],
        "study_found_count": left.count,
        "study_settling_count": len(left.settling),
        "study_pending_count": len(left.pending),
        "study_read_count": len(statuses),
        "measured_count": statuses.count("measured"),
        "excluded_count": statuses.count("excluded"),
        "failed_count": statuses.count("failed"),
    }
    return counts, Ledger(files, series_ledger(connection, night.facts.sha256, left))


def _log_discrepancies(books: Ledger) -> None:
    for discrepancy in books.discrepancies:
        _log.error("the books do not add up", discrepancy=discrepancy)


def _index_counts(indexed: IndexedArchives) -> dict[str, int | bool]:
    return {
        "full_walk": indexed.full,
        "file_found_count": indexed.found_count,
        "file_read_count": indexed.read_count,
        "file_added_count": indexed.added_count,
        "file_changed_count": indexed.changed_count,
        "file_moved_count": indexed.moved_count,
        "file_vanished_count": indexed.vanished_count,
    }
