"""A study that ends every process that decodes it costs three processes and no other study."""

import functools
from pathlib import Path

import duckdb
import pytest
from poisoned_readers import PoisonedReaders, decode_a_measurable_series, devour, die, small_studies
from pydantic import ByteSize

from screening.config import Settings, SweepSettings
from screening.store.database import DatabaseFolder
from screening.sweep import run_sweep

STUDIES = 10
MEMORY_LIMIT = ByteSize(3 * 2**29)  # twice what a worker takes that reads, less than the devouring study wants


def test_studies_that_kill_or_overfill_their_worker_are_failures_and_the_others_are_measured(
    simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, place = tmp_path / "archive", DatabaseFolder(tmp_path / "db")
    uids = small_studies(archive, STUDIES)
    poison = {uids[3]: devour, uids[7]: die}
    decode_a_measurable_series(simulated / "archive", tmp_path / "decoded")
    readers = functools.partial(PoisonedReaders, decoded=tmp_path / "decoded", poison=poison)
    monkeypatch.setattr("screening.sweep.ReadersPlugin", readers)

    settings = Settings(sweep=SweepSettings(workers=2, memory_limit=MEMORY_LIMIT))

    night = run_sweep([archive], place, settings, progress=lambda *_: None)

    assert (night.measured_count, night.failed_count, night.state) == (STUDIES - 2, 2, "completed")
    assert night.books.series.buckets == {("measured", ""): STUDIES - 2, ("failed", "worker"): 2}
    with duckdb.connect(place.published.resolve(), read_only=True) as connection:
        failures = connection.execute(
            "SELECT study_instance_uid, stage, reason FROM outcome WHERE status = 'failed' ORDER BY 1"
        ).fetchall()
    assert failures == [(uid, "worker", "KilledWorker") for uid in poison]
