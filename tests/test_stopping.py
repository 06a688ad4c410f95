import os
import signal
import time
from datetime import datetime, timedelta

import pytest

from screening.errors import UserError
from screening.stopping import next_time, stop_requested

EVENING = datetime(2026, 3, 1, 22, 30)


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ("06:00", datetime(2026, 3, 2, 6, 0)),
        ("22:31", datetime(2026, 3, 1, 22, 31)),
        ("22:30", datetime(2026, 3, 2, 22, 30)),
        ("22:29", datetime(2026, 3, 2, 22, 29)),
    ],
)
def test_the_next_time_the_clock_shows_it(clock: str, expected: datetime) -> None:
    assert next_time(clock, EVENING) == expected


@pytest.mark.parametrize("clock", ["24:00", "6", "06:00:00", "six"])
def test_another_word_is_no_time_of_day(clock: str) -> None:
    with pytest.raises(UserError, match="HH:MM"):
        next_time(clock, EVENING)


def test_the_hour_stops_a_sweep_and_nobody_asked() -> None:
    second = timedelta(seconds=1)
    with stop_requested(datetime.now() - second) as late, stop_requested(datetime.now() + 600 * second) as early:
        assert (late(), late.asked) == (True, False)
        assert not early()


def test_the_first_signal_is_a_wish_and_a_later_one_ends_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    with stop_requested(None) as stopping:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopping()
        assert stopping.asked
        later = time.monotonic() + 2.0
        monkeypatch.setattr(time, "monotonic", lambda: later)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_to_the_program_and_to_its_group_is_one_wish() -> None:
    with stop_requested(None) as stopping:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopping.asked
