"""What a sweep tells of itself while it runs, and what is left of it when it does not."""

import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from dicom_files import add_quick_files

from screening.config import Settings, SweepSettings
from screening.errors import UserError
from screening.store.database import DatabaseFolder
from screening.store.sweep_state import SweepState, SweepTeller, ToldSweep, told_sweep
from screening.sweep import run_sweep

NIGHT = datetime(2026, 3, 1, 1, 0)
IN_THIS_PROCESS = Settings(sweep=SweepSettings(workers=0))
KILLED_SWEEP = """
import sys, time
from pathlib import Path
from screening.store.database import DatabaseFolder
from screening.store.sweep_state import SweepTeller

with SweepTeller(DatabaseFolder(Path(sys.argv[1])), lambda what, done, total: None) as telling:
    telling.begin(3)
    telling("studies", 40, 100)
    print("told", flush=True)
    time.sleep(60)
"""


def unseen(what: str, done: int, total: int) -> None:
    """Show nothing."""


def state(done: int, total: int, minutes: float) -> SweepState:
    return SweepState(
        sweep_id=1, started_at=NIGHT, stage="studies", stage_started_at=NIGHT, done=done, total=total,
        updated_at=NIGHT + timedelta(minutes=minutes), process_id=1, host="night",
    )  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> DatabaseFolder:
    folder = DatabaseFolder(tmp_path / "db")
    folder.create()
    return folder


def test_nothing_is_told_where_no_sweep_ran(place: DatabaseFolder) -> None:
    assert told_sweep(place) is None


def test_running_sweep_tells_its_stage_and_what_became_of_the_studies(place: DatabaseFolder) -> None:
    with SweepTeller(place, unseen) as telling:
        telling.begin(7)
        telling.outcomes(["measured", "excluded", "excluded", "failed", "measured", "measured"])
        telling("studies", 6, 10)
        found = told_sweep(place)

    assert found is not None
    assert found.runs
    assert (found.state.sweep_id, found.state.stage, found.state.done, found.state.total) == (7, "studies", 6, 10)
    assert (found.state.measured_count, found.state.excluded_count, found.state.failed_count) == (3, 2, 1)


def test_stage_that_does_not_count_is_told(place: DatabaseFolder) -> None:
    with SweepTeller(place, unseen) as telling:
        telling.begin(7)
        telling("studies", 1, 10)
        telling.enter("publication")
        found = told_sweep(place)

    assert found is not None
    assert found.state.stage == "publication"


def test_within_a_stage_the_file_is_written_every_two_seconds_at_most(
    place: DatabaseFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 100.0
    monkeypatch.setattr("screening.store.sweep_state.time.monotonic", lambda: clock)
    seen: list[ToldSweep | None] = []
    with SweepTeller(place, unseen) as telling:
        telling.begin(7)
        telling("studies", 0, 10)
        clock += 1.99
        telling("studies", 5, 10)
        seen.append(told_sweep(place))
        clock += 0.01
        telling("studies", 6, 10)
        seen.append(told_sweep(place))

    assert [found and found.state.done for found in seen] == [0, 6]


def test_screen_is_told_each_time(place: DatabaseFolder) -> None:
    shown: list[tuple[str, int, int]] = []
    with SweepTeller(place, lambda *what: shown.append(what)) as telling:
        telling.begin(7)
        telling("headers", 0, 4)
        telling("headers", 2, 4)
        telling("headers", 4, 4)

    assert shown == [("headers", 0, 4), ("headers", 2, 4), ("headers", 4, 4)]


def test_nothing_is_left_of_a_sweep_that_ended(place: DatabaseFolder) -> None:
    with SweepTeller(place, unseen) as telling:
        telling.begin(7)

    assert told_sweep(place) is None
    assert not place.progress.exists()


def test_file_is_closed_to_other_users(place: DatabaseFolder) -> None:
    with SweepTeller(place, unseen) as telling:
        telling.begin(7)

        assert {file.stat().st_mode & 0o777 for file in place.progress.parent.iterdir()} == {0o600}


def test_sweep_that_was_refused_does_not_speak_for_the_running_one(place: DatabaseFolder) -> None:
    with SweepTeller(place, unseen) as telling:
        telling.begin(7)
        with pytest.raises(UserError), SweepTeller(place, unseen):
            raise UserError("Another sweep or import is writing.")
        found = told_sweep(place)

    assert found is not None
    assert (found.runs, found.state.sweep_id) == (True, 7)


def test_sweep_that_a_mistake_ended_leaves_the_advice(place: DatabaseFolder) -> None:
    with pytest.raises(UserError), SweepTeller(place, unseen) as telling:
        telling.begin(7)
        raise UserError("The disk is full: make room, then sweep again.")
    found = told_sweep(place)

    assert found is not None
    assert not found.runs
    assert (found.state.ended_by, found.state.advice) == ("UserError", "The disk is full: make room, then sweep again.")


def test_sweep_that_a_bug_ended_leaves_its_type_and_no_text(place: DatabaseFolder) -> None:
    with pytest.raises(ValueError), SweepTeller(place, unseen) as telling:
        telling.begin(7)
        raise ValueError("SECRET^NAME")
    found = told_sweep(place)

    assert found is not None
    assert (found.state.ended_by, found.state.advice) == ("ValueError", None)
    assert "SECRET" not in place.progress.read_text()


def test_sweep_that_was_killed_does_not_run(place: DatabaseFolder) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED_SWEEP, str(place.folder)], stdout=subprocess.PIPE) as sweep:
        assert sweep.stdout is not None
        sweep.stdout.readline()
        alive = told_sweep(place)
        sweep.send_signal(signal.SIGKILL)
    dead = told_sweep(place)

    assert alive is not None
    assert alive.runs
    assert dead is not None
    assert not dead.runs
    assert (dead.state.sweep_id, dead.state.done, dead.state.ended_by) == (3, 40, None)


def test_next_sweep_takes_the_place_of_one_that_broke_off(place: DatabaseFolder) -> None:
    with pytest.raises(ValueError), SweepTeller(place, unseen) as telling:
        telling.begin(7)
        raise ValueError
    with SweepTeller(place, unseen) as telling:
        telling.begin(8)
        found = told_sweep(place)

    assert found is not None
    assert (found.runs, found.state.sweep_id, found.state.ended_by) == (True, 8, None)
    assert told_sweep(place) is None


def test_file_that_cannot_be_written_ends_no_sweep(place: DatabaseFolder) -> None:
    (place.progress / "in the way").mkdir(parents=True)
    shown: list[tuple[str, int, int]] = []
    with SweepTeller(place, lambda *what: shown.append(what)) as telling:
        telling.begin(7)
        telling("headers", 0, 4)

    assert shown == [("headers", 0, 4)]


def test_file_of_another_version_is_said_to_be_one(place: DatabaseFolder) -> None:
    place.progress.write_text('{"sweep": 1}')
    with pytest.raises(UserError, match="another version"):
        told_sweep(place)


@pytest.mark.parametrize(
    ("done", "total", "minutes", "per_hour", "ends_after_minutes"),
    [
        (0, 100, 5, None, None),
        (25, 100, 30, 50.0, 120.0),
        (99, 100, 99, 60.0, 100.0),
        (100, 100, 100, 60.0, None),
        (5, 0, 10, 30.0, None),
        (5, 100, 0, None, None),
    ],
)
def test_end_of_a_stage_follows_from_its_speed(
    done: int, total: int, minutes: float, per_hour: float | None, ends_after_minutes: float | None
) -> None:
    told_last = state(done, total, minutes)
    ends = told_last.stage_may_end_at

    assert told_last.per_hour == pytest.approx(per_hour)
    assert ends == (None if ends_after_minutes is None else NIGHT + timedelta(minutes=ends_after_minutes))


def test_whole_sweep_tells_of_itself_until_it_ends(tmp_path: Path) -> None:
    place = DatabaseFolder(tmp_path / "db")
    archive = add_quick_files(tmp_path / "archive", 3)
    seen: list[ToldSweep | None] = []
    run_sweep([archive], place, IN_THIS_PROCESS, progress=lambda *_: seen.append(told_sweep(place)))

    assert all(found is not None and found.runs for found in seen)
    assert {found.state.sweep_id for found in seen if found is not None} == {1}
    assert told_sweep(place) is None
