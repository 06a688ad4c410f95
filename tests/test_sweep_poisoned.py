"""A study that kills every process that decodes it costs three processes and no other study."""

import functools
from pathlib import Path

import duckdb
import pytest
from poisoned_readers import PoisonedReaders, decode_a_measurable_series, small_studies

from screening.config import Settings, SweepSettings
from screening.store.database import DatabaseFolder
from screening.sweep import run_sweep

STUDIES = 20


def test_a_study_that_kills_its_worker_is_a_failure_and_the_others_are_measured(
    simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, place = tmp_path / "archive", DatabaseFolder(tmp_path / "db")
    uids = small_studies(archive, STUDIES)
    decode_a_measurable_series(simulated / "archive", tmp_path / "decoded")
    readers = functools.partial(PoisonedReaders, decoded=tmp_path / "decoded", poison=uids[7])
    monkeypatch.setattr("screening.sweep.ReadersPlugin", readers)

    night = run_sweep([archive], place, Settings(sweep=SweepSettings(workers=2)), progress=lambda *_: None)

    assert (night.measured_count, night.failed_count, night.state) == (STUDIES - 1, 1, "completed")
    assert night.books.series.buckets == {("measured", ""): STUDIES - 1, ("failed", "worker"): 1}
    with duckdb.connect(place.published.resolve(), read_only=True) as connection:
        failures = connection.execute(
            "SELECT study_instance_uid, stage, reason FROM outcome WHERE status = 'failed'"
        ).fetchall()
    assert failures == [(uids[7], "worker", "KilledWorker")]
