import pydoc
from datetime import date
from pathlib import Path

import duckdb
import pytest

from screening.config import CareGapSettings
from screening.store.database import DatabaseFolder, open_writer, write_rows
from screening.store.publish import publish


@pytest.fixture
def place(tmp_path: Path) -> DatabaseFolder:
    folder = DatabaseFolder(tmp_path / "db")
    folder.create()
    return folder


def add_and_publish(
    place: DatabaseFolder, patient_id: str, settings: CareGapSettings | None = None, keep: int | None = None
) -> Path:
    with open_writer(place) as connection:
        write_rows(connection, "patient", [{"patient_id": patient_id, "identified": True}])
        return publish(connection, place, settings or CareGapSettings(), keep=keep)


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


def test_as_many_publications_are_kept_as_asked_for(place: DatabaseFolder) -> None:
    published = [add_and_publish(place, name) for name in "ABCD"]
    assert sorted(place.publications.iterdir()) == published
    published.append(add_and_publish(place, "E", keep=2))
    assert sorted(place.publications.iterdir()) == published[-2:]


class PowerCut(BaseException):
    """Ends the program at once."""


# The steps of a publication, in order: what is called, and how often before it is cut.
STEPS = (
    ("shutil.copyfile", 0), ("os.fsync", 0), ("pathlib.Path.replace", 0), ("os.fsync", 1),
    ("pathlib.Path.symlink_to", 0), ("pathlib.Path.replace", 1), ("os.fsync", 2),
)  # fmt: skip


@pytest.mark.parametrize(("step", "calls_before"), STEPS)
def test_a_publication_cut_off_at_any_step_is_never_seen_torn(
    place: DatabaseFolder, monkeypatch: pytest.MonkeyPatch, step: str, calls_before: int
) -> None:
    add_and_publish(place, "A")
    real, calls = pydoc.locate(step), iter(range(calls_before))

    def cut(*arguments: object) -> object:
        if next(calls, None) is None:
            raise PowerCut
        return real(*arguments)

    with monkeypatch.context() as patched, pytest.raises(PowerCut):
        patched.setattr(step, cut)
        add_and_publish(place, "B")

    assert patients(place.published.resolve()) in (["A"], ["A", "B"])
    add_and_publish(place, "C")
    assert patients(place.published.resolve()) == ["A", "B", "C"]
    assert not list(place.folder.rglob("*.unfinished"))


def test_a_copy_that_a_power_cut_left_half_written_is_cleared_away(place: DatabaseFolder) -> None:
    add_and_publish(place, "A")
    (place.publications / "screening-000002.unfinished").write_bytes(b"half")
    add_and_publish(place, "B")
    assert len(list(place.publications.iterdir())) == 2
    assert patients(place.published.resolve()) == ["A", "B"]


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
