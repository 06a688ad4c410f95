"""The index after any night is the index of the archive as it lies there, and the books add up."""

import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from dicom_files import ct_slice, write
from distributed import Client, LocalCluster

from screening.archive.folder import Listing
from screening.archive.index import Instance, unpack
from screening.config import Settings, SweepSettings
from screening.indexing import IndexedArchives, update_index
from screening.store.database import create_schema
from screening.store.file_index import (
    NOTHING_SETTLES,
    HeaderBatch,
    Settling,
    add_headers,
    forget_files,
    pending_studies,
)
from screening.store.ledger import FileLedger, ledger
from screening.streaming import Workers

SMALL_BATCHES = Settings(sweep=SweepSettings(header_batch=7))
DAY_NS = 86_400 * 10**9
DAY_MINUTES = 24 * 60.0


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as connected,
    ):
        yield connected


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    memory = duckdb.connect()
    create_schema(memory)
    return memory


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Three series of five slices in folders of their own, and files that are no DICOM; all a day old."""
    folder = tmp_path / "archive"
    for series in range(3):
        for number in range(1, 6):
            write(folder, f"series{series}/{number}", one_slice(series, number))
    (folder / "notes.txt").write_text("no DICOM " * 40)
    (folder / "series0" / "empty").touch()
    return make_old(folder)


def one_slice(series: int, number: int, **elements: object):  # type: ignore[no-untyped-def]
    uid = f"2.25.{series}"
    values = {"SOPInstanceUID": f"{uid}.1.{number}", "StudyInstanceUID": uid, "SeriesInstanceUID": f"{uid}.1"}
    return ct_slice(number, **values, **elements)


def make_old(folder: Path) -> Path:
    """Set all clocks back by a day, deepest first, so that the next look trusts the folders."""
    for path in sorted(folder.rglob("*"), reverse=True):
        os.utime(path, ns=(time.time_ns() - DAY_NS,) * 2, follow_symlinks=False)
    os.utime(folder, ns=(time.time_ns() - DAY_NS,) * 2)
    return folder


Night = Callable[..., IndexedArchives]


@pytest.fixture
def night(client: Client, connection: duckdb.DuckDBPyConnection) -> Night:
    def index(*archives: Path, full: bool = False, stop_after: int = 10**9) -> IndexedArchives:
        looks = iter(range(10**9))
        return update_index(
            connection,
            Workers(client),
            archives,
            SMALL_BATCHES,
            lambda what, done, total: None,
            lambda: next(looks) >= stop_after,
            full=full,
        )

    return index


def books(connection: duckdb.DuckDBPyConnection, found: IndexedArchives, settle_minutes: float = 0.0) -> FileLedger:
    return ledger(
        connection,
        found=found.found_count,
        unvisited=found.unvisited_count,
        unread=found.unread_count,
        settling=Settling.at(time.time_ns(), settle_minutes),
    )


def contents(connection: duckdb.DuckDBPyConnection) -> tuple[set[Instance], list[tuple[object, ...]]]:
    """All instances, copies too, and all problems."""
    packed = connection.execute("SELECT instances FROM series_index WHERE present").fetchall()
    problems = connection.execute("SELECT path, size_bytes, mtime_ns, reason FROM file_problem ORDER BY ALL").fetchall()
    return {one for (content,) in packed for one in unpack(content, copies=True)}, problems


def test_the_first_night_reads_everything_and_the_second_nothing(
    night: Night, archive: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    first, second, third = night(archive), night(archive), night(archive, full=True)

    assert (first.found_count, first.read_count, first.added_count) == (17, 17, 17)
    assert (second.found_count, second.read_count, third.found_count, third.read_count) == (17, 0, 17, 0)
    assert [books(connection, one).adds_up for one in (first, second, third)] == [True] * 3
    assert books(connection, third) == FileLedger(
        found=17, unvisited=0, indexed=15, duplicate=0, settling=0, not_dicom=1, unreadable={"empty": 1}, unread=0
    )


def test_added_changed_and_vanished_files_are_noticed(
    night: Night, archive: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    night(archive)
    write(archive, "series0/6", one_slice(0, 6))
    write(archive, "new/1", one_slice(9, 1))
    (archive / "series1" / "5").unlink()
    shutil.rmtree(archive / "series2")
    (archive / "series0" / "empty").unlink()

    second = night(archive)

    assert (second.added_count, second.changed_count, second.moved_count, second.vanished_count) == (2, 0, 0, 7)
    assert books(connection, second).adds_up
    rows = connection.execute(
        "SELECT study_instance_uid, instance_count, present, gone_at IS NOT NULL FROM series_index ORDER BY ALL"
    ).fetchall()
    assert rows == [
        ("2.25.0", 6, True, False),
        ("2.25.1", 4, True, False),
        ("2.25.2", 0, False, True),
        ("2.25.9", 1, True, False),
    ]


def test_a_file_rewritten_in_place_is_noticed_by_the_full_walk(
    night: Night, archive: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    night(archive)
    rewritten = archive / "series0" / "1"
    rewritten.write_bytes(rewritten.read_bytes().replace(b"SECRET-ID", b"OTHER-ID "))

    fast, full = night(archive), night(archive, full=True)

    assert (fast.changed_count, full.changed_count, full.read_count) == (0, 1, 1)
    instances, _ = contents(connection)
    assert {one.patient_id for one in instances if one.study_instance_uid == "2.25.0"} == {"SECRET-ID", "OTHER-ID"}


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("target", ["aaa", "zzz"])  # met before and after the place it left
def test_a_moved_series_is_the_same_series(
    night: Night, archive: Path, connection: duckdb.DuckDBPyConnection, target: str, full: bool
) -> None:
    night(archive)
    before = connection.execute("SELECT fingerprint FROM series_index ORDER BY ALL").fetchall()
    (archive / "series1").rename(archive / target)

    moved = night(archive, full=full)

    assert (moved.moved_count, moved.added_count, moved.vanished_count) == (5, 0, 0)
    assert connection.execute("SELECT fingerprint FROM series_index ORDER BY ALL").fetchall() == before
    assert books(connection, moved).adds_up


def test_a_moved_archive_leaves_no_ghosts(night: Night, archive: Path, connection: duckdb.DuckDBPyConnection) -> None:
    night(archive)
    archive.rename(archive.parent / "moved")

    moved = night(archive.parent / "moved")

    assert (moved.found_count, moved.moved_count) == (17, 15)
    assert books(connection, moved).adds_up
    assert {one.path.parts[-3] for one in contents(connection)[0]} == {"moved"}


def test_a_copy_is_a_duplicate_and_stands_in_when_the_original_goes(
    night: Night, archive: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    night(archive)
    before = connection.execute("SELECT fingerprint FROM series_index ORDER BY ALL").fetchall()
    shutil.copytree(archive / "series1", archive / "series1 copy")

    copied = night(archive)
    books_with_copy = books(connection, copied)
    same = connection.execute("SELECT fingerprint FROM series_index ORDER BY ALL").fetchall()
    shutil.rmtree(archive / "series1")
    gone = night(archive)

    assert (books_with_copy.indexed, books_with_copy.duplicate, books_with_copy.adds_up) == (15, 5, True)
    assert same == before
    assert (books(connection, gone).indexed, books(connection, gone).duplicate) == (15, 0)
    assert {one.path.parent.name for one in contents(connection)[0]} == {"series0", "series1 copy", "series2"}


def test_files_that_share_a_uid_and_differ_all_stay(
    night: Night, archive: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    write(archive, "series1/other", one_slice(1, 3, PatientID="OTHER"))
    first = night(archive)
    assert (books(connection, first).indexed, books(connection, first).duplicate) == (16, 0)


def test_a_study_still_arriving_waits_and_is_counted(
    night: Night, archive: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    write(archive, "series1/6", one_slice(1, 6))
    (archive / "half").write_bytes(b"")
    first = night(archive)
    arriving = Settling.at(time.time_ns(), settle_minutes=60.0)

    held = books(connection, first, settle_minutes=60.0)
    studies = pending_studies(connection, "0" * 64, str, retry_failed=False, settling=arriving)

    assert (held.settling, held.indexed, held.unreadable, held.adds_up) == (7, 10, {"empty": 1}, True)
    assert (studies.count, studies.settling) == (3, ("2.25.1",))
    assert [study.study_instance_uid for study in studies.pending] == ["2.25.0", "2.25.2"]
    everything = pending_studies(connection, "0" * 64, str, retry_failed=False, settling=NOTHING_SETTLES)
    assert (len(everything.pending), everything.settling) == (3, ())


def test_settling_ends_at_the_minute() -> None:
    now_ns = 10**18
    window = Settling.at(now_ns, settle_minutes=10.0)
    assert window == Settling(now_ns - 600 * 10**9, now_ns + 600 * 10**9)


def test_files_of_another_archive_are_unvisited(
    night: Night, archive: Path, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    night(archive)
    other = write(tmp_path / "other", "1", one_slice(8, 1)).parent

    second = night(other)

    assert (second.found_count, second.unvisited_count) == (1, 17)
    assert books(connection, second).adds_up


@pytest.mark.parametrize("stop_after", (1, 2, 3, 5, 8))
def test_a_stopped_night_adds_up_and_the_next_one_goes_on(
    night: Night, archive: Path, connection: duckdb.DuckDBPyConnection, stop_after: int
) -> None:
    stopped = night(archive, stop_after=stop_after)
    assert books(connection, stopped).adds_up
    resumed = night(archive)
    assert resumed.read_count == 17 - stopped.read_count
    assert stopped.added_count + resumed.added_count == 17
    assert books(connection, resumed).indexed == 15


def test_a_night_that_died_after_forgetting_is_made_good_by_the_next(
    night: Night, archive: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    night(archive)
    night(archive)
    forget_files(connection, {str(archive / "series1"): frozenset({"2", "3"})})

    resumed = night(archive)

    assert resumed.read_count == 2
    assert books(connection, resumed).adds_up


def test_a_link_to_nowhere_is_looked_at_until_it_leads_somewhere(
    night: Night, archive: Path, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    (archive / "series1" / "link").symlink_to(tmp_path / "later")
    make_old(archive)
    first, second = night(archive), night(archive)
    write(tmp_path, "later", one_slice(1, 6))
    third = night(archive)

    assert (first.read_count, second.read_count, third.read_count) == (18, 0, 1)
    assert books(connection, third).indexed == 16
    assert books(connection, third).adds_up


@pytest.mark.parametrize("parent_changes", [False, True])
def test_a_linked_folder_that_cannot_be_looked_at_tonight_keeps_its_files(
    night: Night, archive: Path, connection: duckdb.DuckDBPyConnection, tmp_path: Path, parent_changes: bool
) -> None:
    """As the owner of the process meets it behind a link into a share that is closed to it for a night."""
    share = tmp_path / "share"
    (archive / "series1").rename(share)
    (archive / "linked").symlink_to(share)
    first = night(make_old(archive), full=True)
    share.rename(tmp_path / "away")
    share.symlink_to(share)  # neither a file nor a folder for whoever asks
    closed_nights = []
    for number, full in enumerate((True, False, True, False)):
        if parent_changes:
            (archive / f"new{number}").touch()
        closed_nights.append((night(archive, full=full), books(connection, night(archive))))
    share.unlink()
    (tmp_path / "away").rename(share)
    opened = night(archive, full=True)

    assert [(seen.vanished_count, held.indexed, held.adds_up) for seen, held in closed_nights] == [(0, 15, True)] * 4
    assert (opened.found_count, opened.vanished_count) == (first.found_count + 4 * parent_changes, 0)
    assert books(connection, opened).adds_up
    assert books(connection, night(archive)).adds_up


def test_a_copy_does_not_replace_a_file_that_cannot_be_looked_at_tonight(
    night: Night, archive: Path, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    share = tmp_path / "share"
    (archive / "series1").rename(share)
    (archive / "linked").symlink_to(share)
    night(make_old(archive), full=True)
    shutil.copytree(share, archive / "copy")
    share.rename(tmp_path / "away")
    share.symlink_to(share)

    closed = night(archive, full=True)

    assert (closed.moved_count, closed.vanished_count) == (0, 0)
    assert (books(connection, closed).indexed, books(connection, closed).duplicate) == (15, 5)
    assert books(connection, closed).adds_up


def test_touched_folders_are_entered_as_they_come(night: Night, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive of which every folder was touched, as by a restore, is never held whole."""
    night(archive)
    for folder in archive.iterdir():
        os.utime(folder, ns=(time.time_ns() - 2 * DAY_NS,) * 2)
    entered: list[int] = []

    def noting(connection: duckdb.DuckDBPyConnection, batches: list[HeaderBatch], finished: list[Listing]) -> int:
        entered.append(len(finished))
        return add_headers(connection, batches, finished)

    monkeypatch.setattr("screening.indexing.add_headers", noting)
    monkeypatch.setattr("screening.indexing._COMMIT_EVERY_S", -1.0)

    assert night(archive).read_count == 0
    assert sum(entered) >= 3
    assert max(entered) == 1


def test_an_index_of_an_earlier_version_is_taken_over(
    night: Night, archive: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    night(archive)
    before = contents(connection)
    connection.execute("UPDATE series_index SET folder_ids = NULL")
    connection.execute("UPDATE file_problem SET folder_id = NULL")
    connection.execute("DELETE FROM folder_index")

    taken_over = night(archive, full=True)

    assert taken_over.read_count == 0
    assert books(connection, taken_over).adds_up
    assert contents(connection) == before


@pytest.mark.parametrize("seed", range(3))
def test_after_any_nights_the_index_is_that_of_the_archive(
    night: Night, archive: Path, connection: duckdb.DuckDBPyConnection, client: Client, seed: int
) -> None:
    rng = random.Random(seed)
    for _ in range(6):
        disturb(archive, rng)
        found = night(archive, full=rng.random() < 0.5)
        assert books(connection, found).adds_up
    last = night(archive, full=True)

    fresh = duckdb.connect()
    create_schema(fresh)
    update_index(fresh, Workers(client), [archive], SMALL_BATCHES, lambda *_: None, lambda: False, full=True)
    assert contents(connection) == contents(fresh)
    assert books(connection, last).adds_up


def disturb(archive: Path, rng: random.Random) -> None:
    """Do to an archive what happens to archives, a few times over."""
    for number in range(rng.randrange(1, 6)):
        files = sorted(path for path in archive.rglob("*") if path.is_file())
        folders = sorted(path for path in archive.rglob("*") if path.is_dir())
        file, folder = rng.choice(files), rng.choice([archive, *folders])
        name = f"{rng.getrandbits(32):x}"
        rng.choice(
            (
                lambda: write(folder, name, one_slice(rng.randrange(5), rng.randrange(30))),  # noqa: B023
                lambda: file.unlink() if len(files) > 5 else None,  # noqa: B023
                lambda: file.rename(folder / name),  # noqa: B023
                lambda: shutil.copyfile(file, folder / name),  # noqa: B023
                lambda: file.write_bytes(file.read_bytes()[: rng.randrange(400)]),  # noqa: B023
                lambda: (folder / name).mkdir(),  # noqa: B023
                lambda: folders and rng.choice(folders).rename(archive / name),  # noqa: B023
                lambda: folders and shutil.rmtree(rng.choice(folders)) if len(files) > 30 else None,  # noqa: B023
                lambda: make_old(archive),
            )
        )()
        assert number < 6
