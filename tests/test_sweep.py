"""Whole nights on real worker processes, undisturbed and disturbed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dicom_files import add_quick_files, ct_slice, write

from screening.config import Settings, SweepSettings
from screening.errors import UserError
from screening.store.database import DatabaseFolder, locked
from screening.sweep import SweepResult, run_sweep

TWO_WORKERS = Settings(sweep=SweepSettings(workers=2))
RESULTS = ("outcome", "series", "vertebra", "slice_prediction", "study_bmd", "patient", "study", "file_problem")
SIMULATED, SINGLE_SLICES = 4, 30
STUDIES = SIMULATED + SINGLE_SLICES
VOLATILE = {"sweep_id", "read_seconds", "read_at", "study_key", "evidence_file", "found_at"}


def sweep(archive: Path, place: DatabaseFolder, settings: Settings = TWO_WORKERS) -> SweepResult:
    return run_sweep([archive], place, settings, progress=lambda what, done, total: None)


def rows(place: DatabaseFolder, table: str) -> list[dict[str, Any]]:
    with duckdb.connect(place.published.resolve(), read_only=True) as connection:
        frame = connection.execute(f"SELECT * FROM {table} ORDER BY ALL").df()
    return frame.drop(columns=VOLATILE & set(frame.columns)).astype(str).to_dict("records")


def everything(place: DatabaseFolder) -> dict[str, list[dict[str, Any]]]:
    return {table: sorted(rows(place, table), key=str) for table in RESULTS}


@pytest.fixture(scope="module")
def archive(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulated patients, studies of a single slice, and files that are no DICOM."""
    folder = tmp_path_factory.mktemp("archive") / "all"
    shutil.copytree(simulated / "archive", folder)
    return add_quick_files(folder, SINGLE_SLICES)


@pytest.fixture(scope="module")
def undisturbed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[DatabaseFolder, SweepResult]:
    place = DatabaseFolder(tmp_path_factory.mktemp("undisturbed"))
    return place, sweep(archive, place)


def test_every_study_ends_in_exactly_one_row(undisturbed: tuple[DatabaseFolder, SweepResult]) -> None:
    place, result = undisturbed
    outcomes = rows(place, "outcome")

    assert result.study_found_count == result.study_read_count == len(outcomes) == STUDIES
    assert result.measured_count + result.excluded_count + result.failed_count == STUDIES
    assert result.failed_count == 0
    assert result.measured_count >= 2


def test_every_file_is_indexed_or_a_counted_problem(
    archive: Path, undisturbed: tuple[DatabaseFolder, SweepResult]
) -> None:
    place, result = undisturbed
    files = sum(path.is_file() for path in archive.rglob("*"))
    with duckdb.connect(place.published.resolve(), read_only=True) as connection:
        (indexed,) = connection.execute("SELECT sum(instance_count) FROM series_index").fetchall()
        problems = connection.execute("SELECT reason FROM file_problem ORDER BY reason").fetchall()

    assert result.file_found_count == files
    assert indexed[0] + len(problems) == files
    assert problems == [("empty",), ("not_dicom",)]


def test_a_measured_study_has_levels_slices_and_a_picture(undisturbed: tuple[DatabaseFolder, SweepResult]) -> None:
    place, result = undisturbed
    with duckdb.connect(place.published.resolve(), read_only=True) as connection:
        pictures = [row[0] for row in connection.execute("SELECT evidence_file FROM study_bmd").fetchall()]
        levels = connection.execute(
            "SELECT count(DISTINCT study_instance_uid), count(*) FROM vertebra WHERE used"
        ).fetchall()

    assert len(pictures) == result.measured_count == levels[0][0]
    assert levels[0][1] >= 2 * result.measured_count
    assert all((place.evidence / picture).read_bytes().startswith(b"\x89PNG") for picture in pictures)


def test_a_second_sweep_reads_nothing_and_adds_nothing(
    archive: Path, undisturbed: tuple[DatabaseFolder, SweepResult]
) -> None:
    place, _ = undisturbed
    before = everything(place)

    second = sweep(archive, place)

    assert (second.file_read_count, second.study_read_count) == (0, 0)
    assert everything(place) == before


def test_what_changed_is_read_again_and_what_vanished_keeps_its_result(tmp_path: Path) -> None:
    archive, place = add_quick_files(tmp_path / "archive", SINGLE_SLICES), DatabaseFolder(tmp_path / "db")
    first = sweep(archive, place)
    write(archive, "single/second", ct_slice(2, StudyInstanceUID="2.25.7700", SeriesInstanceUID="2.25.7700.1"))
    (archive / "single" / "1").unlink()
    (archive / "empty").unlink()

    second = sweep(archive, place)

    assert (first.file_read_count, first.study_read_count) == (SINGLE_SLICES + 2, SINGLE_SLICES)
    assert (second.file_read_count, second.study_read_count) == (1, 1)
    assert second.study_found_count == SINGLE_SLICES - 1
    assert len(rows(place, "outcome")) == SINGLE_SLICES
    assert [row["reason"] for row in rows(place, "file_problem")] == ["not_dicom"]
    assert sorted(row["instance_count"] for row in rows(place, "series_index")) == ["0", *["1"] * 28, "2"]


def test_only_settings_that_decide_the_reading_make_it_read_again(tmp_path: Path) -> None:
    archive, place = add_quick_files(tmp_path / "archive", SINGLE_SLICES), DatabaseFolder(tmp_path / "db")
    sweep(archive, place)
    wider = Settings.model_validate({"sweep": {"workers": 1}, "care_gap": {"look_back_months": 60}})
    stricter = Settings.model_validate({"sweep": {"workers": 1}, "eligibility": {"minimum_age_years": 21.0}})

    assert sweep(archive, place, wider).study_read_count == 0
    assert sweep(archive, place, stricter).study_read_count == SINGLE_SLICES


def test_a_study_that_cannot_be_reached_keeps_its_result_and_is_tried_again(tmp_path: Path, simulated: Path) -> None:
    """The index knows the files of an archive that is not swept tonight and has gone: as when a mount drops."""
    gone, place = tmp_path / "gone", DatabaseFolder(tmp_path / "db")
    study = next((simulated / "archive").glob("*/SIM1-000001"))
    shutil.copytree(study, gone)
    first = sweep(gone, place)
    before = rows(place, "study_bmd")
    shutil.rmtree(gone)
    other = write(tmp_path / "other", "slice", ct_slice(StudyInstanceUID="2.25.7", SeriesInstanceUID="2.25.7.1")).parent
    stricter = Settings.model_validate({"sweep": {"workers": 1}, "eligibility": {"minimum_age_years": 21.0}})

    second, third = sweep(other, place, stricter), sweep(other, place, stricter)

    assert first.measured_count == 1
    assert (second.failed_count, third.failed_count) == (1, 1)
    assert rows(place, "study_bmd") == before
    assert rows(place, "outcome")[0]["status"] == "measured"


def test_a_moved_archive_is_not_read_again_and_keeps_its_results(tmp_path: Path) -> None:
    archive, place = add_quick_files(tmp_path / "archive", SINGLE_SLICES), DatabaseFolder(tmp_path / "db")
    sweep(archive, place)
    before = rows(place, "outcome")
    archive.rename(tmp_path / "moved")

    result = sweep(tmp_path / "moved" / ".." / "moved", place)

    assert (result.file_read_count, result.study_read_count) == (SINGLE_SLICES + 2, 0)
    assert result.study_found_count == SINGLE_SLICES
    assert rows(place, "outcome") == before


def test_only_one_process_writes(tmp_path: Path) -> None:
    place = DatabaseFolder(tmp_path / "db")
    place.create()
    archive = tmp_path / "archive"
    archive.mkdir()
    holder = rf"Another sweep or import .* \(process {os.getpid()} on .* since 20..-..-.. ..:..:.. UTC\)"
    with locked(place), pytest.raises(UserError, match=holder):
        sweep(archive, place)


def test_a_missing_archive_is_an_expected_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Expected a folder"):
        sweep(tmp_path / "none", DatabaseFolder(tmp_path / "db"))


@pytest.fixture
def started(archive: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], DatabaseFolder]]:
    """A sweep in a process group of its own, so that a signal reaches it as it would from a terminal."""
    place = DatabaseFolder(tmp_path / "db")
    command = [sys.executable, "-c", "from screening.cli import main; main()", "sweep", str(archive)]
    process = subprocess.Popen(
        [*command, "--database", str(place.folder), "--workers", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    yield process, place
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def wait_for_first_result(place: DatabaseFolder) -> None:
    deadline = time.monotonic() + 120
    while not list(place.evidence.glob("*.png")):
        assert time.monotonic() < deadline, "no study was read in time"
        time.sleep(0.05)
    time.sleep(0.5)  # the picture is written just before its row is committed


def test_a_killed_sweep_is_completed_by_the_next(
    archive: Path,
    undisturbed: tuple[DatabaseFolder, SweepResult],
    started: tuple[subprocess.Popen[str], DatabaseFolder],
) -> None:
    process, place = started
    wait_for_first_result(place)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

    result = sweep(archive, place)

    assert 0 < result.study_read_count < STUDIES
    assert everything(place) == everything(undisturbed[0])
    assert [row["state"] for row in rows(place, "sweep")] == ["interrupted", "completed"]


def test_ctrl_c_keeps_what_was_read_and_the_next_sweep_goes_on(
    archive: Path,
    undisturbed: tuple[DatabaseFolder, SweepResult],
    started: tuple[subprocess.Popen[str], DatabaseFolder],
) -> None:
    process, place = started
    wait_for_first_result(place)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)

    assert process.returncode == 1, errors
    assert "the next sweep goes on there" in errors
    assert [row["state"] for row in rows(place, "sweep")] == ["stopped"]
    assert 1 <= len(rows(place, "outcome")) < STUDIES
    sweep(archive, place)
    assert everything(place) == everything(undisturbed[0])


READER = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
print(connection.execute("SELECT count(*) FROM outcome").fetchall()[0][0], flush=True)
sys.stdin.readline()
print(connection.execute("SELECT count(*) FROM outcome").fetchall()[0][0], flush=True)
"""


def test_an_open_notebook_neither_blocks_a_sweep_nor_is_blocked(
    archive: Path, undisturbed: tuple[DatabaseFolder, SweepResult], tmp_path: Path
) -> None:
    place = DatabaseFolder(tmp_path / "db")
    shutil.copytree(undisturbed[0].folder, place.folder, symlinks=True)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", READER, str(place.published)], **pipes) as notebook:  # type: ignore[call-overload]
        assert notebook.stdout.readline() == f"{STUDIES}\n"
        other = write(tmp_path / "more", "slice", ct_slice(StudyInstanceUID="2.25.78", SeriesInstanceUID="2.25.78.1"))
        sweep(other.parent, place)
        notebook.stdin.write("\n")
        notebook.stdin.flush()
        assert notebook.stdout.readline() == f"{STUDIES}\n"
    assert len(rows(place, "outcome")) == STUDIES + 1


def test_no_name_or_identifier_leaves_the_database(tmp_path: Path) -> None:
    archive, place = tmp_path / "archive", DatabaseFolder(tmp_path / "db")
    for number in range(1, 30):
        write(archive, f"{number}", ct_slice(number))
    broken = write(archive, "broken", ct_slice(40, StudyDate="20240115"))
    broken.write_bytes(broken.read_bytes().replace(b"20240115", b"SECRET!!"))
    command = [sys.executable, "-c", "from screening.cli import main; main()", "sweep", str(archive)]

    ended = subprocess.run([*command, "--database", str(place.folder)], capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr
    assert "SECRET" not in ended.stdout + ended.stderr
    assert not [path for path in place.folder.rglob("*") if "SECRET" in path.name]
    assert [row["patient_id"] for row in rows(place, "patient")] == ["SECRET-ID"]
