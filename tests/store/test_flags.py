"""Who comes onto the list is entered with the day, once."""

from datetime import date
from pathlib import Path

import duckdb
import pytest
from care_gap_rows import SHA, add_dxa, add_patient

from screening.config import CareGapSettings
from screening.store.database import DatabaseFolder, open_writer, write_rows
from screening.store.publish import publish

FIRST, SECOND = date(2025, 6, 1), date(2025, 6, 2)


@pytest.fixture
def place(tmp_path: Path) -> DatabaseFolder:
    folder = DatabaseFolder(tmp_path / "db")
    folder.create()
    return folder


def publish_on(connection: duckdb.DuckDBPyConnection, place: DatabaseFolder, day: date) -> list[tuple[str, str, date]]:
    publish(connection, place, CareGapSettings(as_of_date=day))
    return connection.execute(
        "SELECT patient_id, study_instance_uid, flagged_on FROM flag_event ORDER BY flagged_on, study_instance_uid"
    ).fetchall()


def test_a_patient_is_entered_once_with_each_ct_that_flagged(place: DatabaseFolder) -> None:
    with open_writer(place) as connection:
        model = {"checkpoint_sha256": SHA, "name": "m", "data_kind": "simulated", "metrics": "{}", "active": True}
        write_rows(connection, "model", [model | {"registered_at": FIRST}])
        add_patient(connection, "A", study="2.25.1", study_date=date(2025, 1, 1))
        add_patient(connection, "B", study="2.25.2", band="indeterminate")
        first = ("A", "2.25.1", FIRST)
        assert publish_on(connection, place, FIRST) == [first]
        assert publish_on(connection, place, SECOND) == [first]

        add_patient(connection, "A", study="2.25.3", study_date=date(2025, 2, 1))
        assert publish_on(connection, place, SECOND) == [first, ("A", "2.25.3", SECOND)]

        add_dxa(connection, SECOND)
        assert publish_on(connection, place, SECOND) == [first, ("A", "2.25.3", SECOND)]
