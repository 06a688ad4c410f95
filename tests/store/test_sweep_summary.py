from datetime import datetime, timedelta

import duckdb
import pytest

from screening.store.database import create_schema, write_rows

STARTED = datetime(2026, 3, 1, 1, 0)


@pytest.mark.parametrize(("seconds", "an_hour"), [(59.999, None), (60, 600.0), (3600, 10.0)])
def test_speed_is_told_of_nights_that_lasted(seconds: float, an_hour: float | None) -> None:
    connection = duckdb.connect()
    create_schema(connection)
    sweep = {
        "sweep_id": 1, "started_at": STARTED, "ended_at": STARTED + timedelta(seconds=seconds), "state": "completed",
        "archives": ["/archive"], "checkpoint_sha256": "0" * 64, "software_version": "1", "library_versions": "{}",
        "config": "{}", "study_read_count": 10,
    }  # fmt: skip
    write_rows(connection, "sweep", [sweep])

    assert connection.execute("SELECT studies_per_hour FROM sweep_summary").fetchall() == [(an_hour,)]
