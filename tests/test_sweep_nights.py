"""Nights in this process alone: what is looked at, what waits, what is kept, and what is said when it goes wrong."""

import os
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dicom_files import ct_slice, write
from typer.testing import CliRunner

from screening.cli import app
from screening.config import Settings
from screening.errors import UserError
from screening.store.database import DatabaseFolder, locked
from screening.sweep import SweepResult, run_sweep

STUDIES = 6
HERE = {"workers": 0}
DAY_NS = 86_400 * 10**9


def sweep(
    archive: Path, place: DatabaseFolder, *, sections: dict[str, Any] | None = None, **options: Any
) -> SweepResult:
    settings = Settings.model_validate({"sweep": HERE | (sections or {})})
    return run_sweep([archive], place, settings, progress=lambda what, done, total: None, **options)


def query(place: DatabaseFolder, question: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(place.published.resolve(), read_only=True) as connection:
        return connection.execute(question).fetchall()


def change(place: DatabaseFolder, statement: str) -> None:
    """Alter the working file, as a fault of the software would."""
    with duckdb.connect(place.working) as connection:
        connection.execute(statement)


@pytest.fixture
def place(tmp_path: Path) -> DatabaseFolder:
    return DatabaseFolder(tmp_path / "db")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Studies of a single slice, a day old."""
    folder = tmp_path / "archive"
    for number in range(STUDIES):
        write(folder, f"study{number}/slice", one_slice(number))
    return make_old(folder)


def one_slice(study: int, number: int = 1) -> Any:
    uid = f"2.25.77{study:02}"
    return ct_slice(number, SOPInstanceUID=f"{uid}.1.{number}", StudyInstanceUID=uid, SeriesInstanceUID=f"{uid}.1")


def make_old(folder: Path) -> Path:
    """Set all clocks back by a day, deepest first, so that the next look trusts the folders."""
    for path in [*sorted(folder.rglob("*"), reverse=True), folder]:
        os.utime(path, ns=(time.time_ns() - DAY_NS,) * 2)
    return folder


def rewrite_in_place(archive: Path) -> None:
    slice_ = archive / "study0" / "slice"
    slice_.write_bytes(slice_.read_bytes().replace(b"SECRET-ID", b"OTHER-ID "))


def test_folders_are_looked_at_each_night_and_files_when_the_last_full_walk_is_old(
    archive: Path, place: DatabaseFolder
) -> None:
    first = sweep(archive, place)
    rewrite_in_place(archive)

    second, third = sweep(archive, place), sweep(archive, place, sections={"full_walk_days": 0.0})

    assert [night.index.full for night in (first, second, third)] == [True, False, True]
    assert [night.index.changed_count for night in (first, second, third)] == [0, 0, 1]
    assert [night.study_read_count for night in (first, second, third)] == [STUDIES, 0, 1]
    assert query(place, "SELECT full_walk, file_changed_count FROM sweep ORDER BY sweep_id") == [
        (True, 0), (False, 0), (True, 1)
    ]  # fmt: skip


def test_a_full_walk_can_be_asked_for(archive: Path, place: DatabaseFolder) -> None:
    sweep(archive, place)
    rewrite_in_place(archive)
    assert sweep(archive, place, full=True).index.changed_count == 1


def test_a_study_still_arriving_waits_for_the_next_night(archive: Path, place: DatabaseFolder) -> None:
    write(archive, "study0/second", one_slice(0, 2))

    first = sweep(archive, place, sections={"settle_minutes": 60.0})
    os.utime(archive / "study0" / "second", ns=(time.time_ns() - DAY_NS,) * 2)
    second = sweep(archive, place, sections={"settle_minutes": 60.0}, full=True)

    assert (first.study_settling_count, first.study_read_count, first.study_found_count) == (1, STUDIES - 1, STUDIES)
    assert (first.books.files.settling, first.books.series.buckets["pending", "settling"]) == (2, 1)
    assert (second.study_settling_count, second.study_read_count) == (0, 1)
    assert first.books.discrepancies == second.books.discrepancies == ()


def test_the_hour_ends_the_night_and_the_rest_is_pending(archive: Path, place: DatabaseFolder) -> None:
    sweep(archive, place)
    for number in range(STUDIES, STUDIES + 3):
        write(archive, f"study{number}/slice", one_slice(number))

    late = sweep(archive, place, until=datetime.now() + timedelta(seconds=0))
    early = sweep(archive, place, until=datetime.now() + timedelta(hours=1))

    assert (late.state, late.asked_to_stop, late.study_read_count) == ("stopped", False, 0)
    assert late.books.discrepancies == ()
    assert (early.state, early.study_read_count) == ("completed", 3)


def test_studies_left_at_the_hour_are_counted_as_pending(
    archive: Path, place: DatabaseFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hour strikes after the index is made and two studies are read."""
    at = datetime.now()
    looks = iter([at.timestamp() - 1] * 1000)

    def clock() -> float:
        read = query_open(place, "SELECT count(*) FROM outcome")
        return at.timestamp() + 1 if read >= 2 else next(looks)

    monkeypatch.setattr("screening.stopping.time.time", clock)
    night = sweep(archive, place, until=at)
    monkeypatch.undo()

    assert (night.state, night.study_read_count, night.study_pending_count) == ("stopped", 2, STUDIES - 2)
    assert night.books.series.buckets["pending", "not_read"] == STUDIES - 2
    assert night.books.discrepancies == ()
    assert sweep(archive, place).study_read_count == STUDIES - 2


def query_open(place: DatabaseFolder, question: str) -> Any:
    """Ask the database that a sweep of this process holds open."""
    with duckdb.connect(place.working, config={"storage_compatibility_version": "v1.4.0"}) as connection:
        return connection.execute(question).fetchall()[0][0]


def test_what_did_not_change_is_read_again_on_request_alone(archive: Path, place: DatabaseFolder) -> None:
    sweep(archive, place)
    again, after = sweep(archive, place, recompute=True), sweep(archive, place)
    assert (again.study_read_count, after.study_read_count) == (STUDIES, 0)


def test_a_request_to_read_again_outlives_the_night(archive: Path, place: DatabaseFolder) -> None:
    sweep(archive, place)
    stopped = sweep(archive, place, recompute=True, until=datetime.now())
    assert stopped.books.series.buckets == {("pending", "read_before"): STUDIES}
    assert query(place, "SELECT count(*) FROM outcome WHERE status = 'excluded'") == [(STUDIES,)]
    assert sweep(archive, place).study_read_count == STUDIES


def test_only_a_result_that_there_is_stands_until_a_series_is_read_again(archive: Path, place: DatabaseFolder) -> None:
    """One study failed, and one series was not known when its study was read."""
    sweep(archive, place)
    change(place, "UPDATE outcome SET status = 'failed', stage = 'test' WHERE study_instance_uid = '2.25.7700'")
    change(place, "DELETE FROM series WHERE study_instance_uid = '2.25.7701'")

    stopped = sweep(archive, place, recompute=True, until=datetime.now())

    assert stopped.books.series.buckets == {("pending", "read_before"): STUDIES - 2, ("pending", "not_read"): 2}


def test_the_books_of_a_night_are_stored_and_add_up(archive: Path, place: DatabaseFolder) -> None:
    (archive / "notes.txt").write_text("no DICOM " * 40)
    (archive / "empty").touch()
    sweep(archive, place)

    assert query(place, "SELECT * EXCLUDE (sweep_id) FROM sweep_ledger ORDER BY ALL") == [
        ("file", "accounted", "indexed", "", STUDIES),
        ("file", "accounted", "not_dicom", "", 1),
        ("file", "accounted", "unreadable", "empty", 1),
        ("file", "found", "looked_at", "", STUDIES + 2),
        ("series", "accounted", "excluded", "too_few_slices", STUDIES),
        ("series", "found", "present", "", STUDIES),
    ]


FAULTS = (
    ("DELETE FROM series WHERE study_instance_uid = '2.25.7700'", "6 series found, 5 accounted for"),
    ("DELETE FROM folder_index WHERE encoded_path LIKE '%study0%'", "5 files found, 6 accounted for"),
    ("UPDATE folder_index SET file_count = 3 WHERE encoded_path LIKE '%study0%'", "8 files found, 6 accounted for"),
)
UNMENDED = (
    "UPDATE series_index SET instance_count = 2 WHERE study_instance_uid = '2.25.7701'",
    "6 files found, 7 accounted for",
)


@pytest.mark.parametrize(("fault", "told"), [*FAULTS, UNMENDED])
def test_a_planted_discrepancy_shows(archive: Path, place: DatabaseFolder, fault: str, told: str) -> None:
    sweep(archive, place)
    change(place, fault)

    ended = CliRunner().invoke(app, ["sweep", str(archive), "--database", str(place.folder), "--workers", "0"])

    assert ended.exit_code == 4, ended.output
    assert f"the books do not add up: {told}" in ended.stderr


@pytest.mark.parametrize(("fault", "told"), FAULTS)
def test_the_next_night_looks_anew_at_what_did_not_add_up(
    archive: Path, place: DatabaseFolder, fault: str, told: str
) -> None:
    sweep(archive, place)
    change(place, fault)
    second, third, fourth = (sweep(archive, place) for _ in range(3))

    assert second.books.discrepancies == (told,)
    assert (third.index.full, third.books.discrepancies) == (True, ())
    assert (fourth.index.full, fourth.books.discrepancies) == (False, ())


def test_the_hour_is_a_normal_end(archive: Path, place: DatabaseFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screening.commands.sweep.next_time", lambda clock, now: now)
    command = ["sweep", str(archive), "--database", str(place.folder), "--workers", "0", "--until", "06:00"]
    ended = CliRunner().invoke(app, command)
    assert ended.exit_code == 0, ended.output
    assert "Sweep 1: stopped" in ended.output


def test_so_many_publications_are_kept_as_configured(archive: Path, place: DatabaseFolder) -> None:
    for _ in range(3):
        sweep(archive, place, sections={"keep_publications": 2})
    names = sorted(path.name for path in place.publications.iterdir())
    assert names == ["screening-000002.duckdb", "screening-000003.duckdb"]


def test_the_second_of_two_sweeps_says_who_holds_the_lock(archive: Path, place: DatabaseFolder) -> None:
    place.create()
    with locked(place), pytest.raises(UserError, match=rf"process {os.getpid()} on \S+ since 20\d\d-.* UTC"):
        sweep(archive, place)
    assert sweep(archive, place).state == "completed"


OLDER = """
    DROP TABLE sweep_ledger;
    ALTER TABLE sweep DROP COLUMN full_walk; ALTER TABLE sweep DROP COLUMN file_added_count;
    ALTER TABLE sweep DROP COLUMN file_changed_count; ALTER TABLE sweep DROP COLUMN file_moved_count;
    ALTER TABLE sweep DROP COLUMN file_vanished_count; ALTER TABLE sweep DROP COLUMN study_settling_count;
    ALTER TABLE sweep DROP COLUMN study_pending_count;
    UPDATE series_index SET folder_ids = NULL; DELETE FROM folder_index; DELETE FROM full_walk;
"""


def test_a_database_of_an_earlier_version_goes_on(archive: Path, place: DatabaseFolder) -> None:
    sweep(archive, place)
    change(place, OLDER)

    night = sweep(archive, place)

    assert (night.index.full, night.study_read_count, night.books.discrepancies) == (True, 0, ())
    assert query(place, "SELECT sweep_id, full_walk FROM sweep ORDER BY 1") == [(1, None), (2, True)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 40 MB."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small disk")
    mount = tmp_path / "disk"
    mount.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(mount)], check=False)
    if mounted.returncode != 0:
        pytest.skip("this system mounts no tmpfs")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


@pytest.mark.parametrize("left_bytes", [0, 100_000, 1_500_000])
def test_a_full_disk_is_said_in_one_line_and_the_next_sweep_completes(
    archive: Path, small_disk: Path, left_bytes: int
) -> None:
    place = DatabaseFolder(small_disk / "db")
    sweep(archive, place)
    for number in range(STUDIES, 3 * STUDIES):
        write(archive, f"study{number}/slice", one_slice(number))
    filler = fill(small_disk, left_bytes)

    with pytest.raises(UserError, match="The disk of .* is full: make room, then sweep again"):
        sweep(archive, place)

    assert query(place, "SELECT count(*) FROM outcome") == [(STUDIES,)]
    filler.unlink()
    night = sweep(archive, place)
    assert (night.state, night.books.discrepancies) == ("completed", ())
    assert query(place, "SELECT count(*) FROM outcome") == [(3 * STUDIES,)]


def fill(disk: Path, left_bytes: int) -> Path:
    """Write a file that leaves so much room."""
    room = os.statvfs(disk)
    filler = disk / "filler"
    filler.write_bytes(bytes(max(room.f_bavail * room.f_frsize - left_bytes, 0)))
    return filler
