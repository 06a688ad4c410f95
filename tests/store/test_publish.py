from datetime import date
from pathlib import Path

import duckdb
import pytest

from screening.config import CareGapSettings
from screening.store.database import DatabaseFolder, open_writer, write_rows
from screening.store.publish import KEPT_PUBLICATIONS, publish


@pytest.fixture
def place(tmp_path: Path) -> DatabaseFolder:
    folder = DatabaseFolder(tmp_path / "db")
    folder.create()
    return folder


def add_and_publish(place: DatabaseFolder, patient_id: str, settings: CareGapSettings | None = None) -> Path:
    with open_writer(place) as connection:
        write_rows(connection, "patient", [{"patient_id": patient_id, "identified": True}])
        return publish(connection, place, settings or CareGapSettings())


def patients(path: Path) -> list[str]:
    with duckdb.connect(path, read_only=True) as connection:
        return [row[0] for row in connection.execute("SELECT patient_id FROM patient ORDER BY 1").fetchall()]


def test_the_stable_path_shows_the_newest_publication(place: DatabaseFolder) -> None:
    add_and_publish(place, "A")
    assert patients(place.published) == ["A"]
    add_and_publish(place, "B")
    assert patients(place.published.resolve()) == ["A", "B"]


def test_a_reader_of_the_old_copy_is_not_disturbed(place: DatabaseFolder) -> None:
    add_and_publish(place, "A")
    with duckdb.connect(place.published, read_only=True) as reader:
        add_and_publish(place, "B")
        assert reader.execute("SELECT count(*) FROM patient").fetchall() == [(1,)]


def test_few_old_publications_are_kept(place: DatabaseFolder) -> None:
    published = [add_and_publish(place, name) for name in "ABCDE"]
    assert sorted(place.publications.iterdir()) == published[-KEPT_PUBLICATIONS:]


def test_the_limits_of_the_care_gap_are_published(place: DatabaseFolder) -> None:
    settings = CareGapSettings(look_back_months=24, minimum_age_years=65, as_of_date=date(2025, 6, 1))
    add_and_publish(place, "A", settings)
    with duckdb.connect(place.published, read_only=True) as connection:
        row = connection.execute("SELECT as_of_date, look_back_months, minimum_age_years FROM publication").fetchall()
    assert row == [(date(2025, 6, 1), 24, 65)]


def test_an_import_without_settings_keeps_the_limits_in_force(place: DatabaseFolder) -> None:
    add_and_publish(place, "A", CareGapSettings(look_back_months=24, minimum_age_years=65))
    with open_writer(place) as connection:
        publish(connection, place, None)
        rows = connection.execute("SELECT look_back_months, minimum_age_years FROM publication").fetchall()
    assert rows == [(24, 65), (24, 65)]


def test_a_lost_working_file_is_restored_from_the_publication(place: DatabaseFolder) -> None:
    for name in "ABCD":
        add_and_publish(place, name)
    place.working.unlink()

    finished = add_and_publish(place, "E")

    assert finished.name == "screening-000005.duckdb"
    assert patients(place.published.resolve()) == list("ABCDE")


def test_the_copy_can_be_read_by_duckdb_1_4(place: DatabaseFolder) -> None:
    """The storage version is written into the header of the file; 1.4 reads up to 67."""
    add_and_publish(place, "A")
    with place.published.open("rb") as file:
        head = file.read(64)
    assert head[8:12] == b"DUCK"
    assert int.from_bytes(head[12:20], "little") <= 67


def test_a_picture_that_no_row_names_is_dropped(place: DatabaseFolder) -> None:
    (place.evidence / "old.png").write_bytes(b"x")
    add_and_publish(place, "A")
    assert list(place.evidence.iterdir()) == []
