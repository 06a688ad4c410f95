"""When a sweep stops before its end: when somebody asks, or at an hour."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import FrameType
from typing import Final

from screening.errors import UserError

# `timeout` and service managers signal a program and its group: two signals, one wish.
_ONE_WISH_S: Final = 1.0


class Stopping:
    """Whether no new study is to start; asked before every one."""

    def __init__(self, until: datetime | None) -> None:
        self._until = until
        self._asked_at: float | None = None
        self._struck = False

    @property
    def asked(self) -> bool:
        """Whether somebody asked, by Ctrl-C or SIGTERM."""
        return self._asked_at is not None

    def __call__(self) -> bool:
        """Tell whether it is time; once it was, it stays so, though the clock be set back."""
        self._struck |= self._until is not None and time.time() >= self._until.timestamp()
        return self.asked or self._struck

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Take the first signal for a wish to stop; another one, a second or more later, ends the program at once."""
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
        elif now - self._asked_at > _ONE_WISH_S:
            signal.default_int_handler(number, frame)


@contextmanager
def stop_requested(until: datetime | None) -> Iterator[Stopping]:
    """Stop at the first Ctrl-C or SIGTERM, or at `until`."""
    stopping = Stopping(until)
    previous = {number: signal.signal(number, stopping.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def next_time(clock: str, now: datetime) -> datetime:
    """Return the next moment at which the clock of this machine shows `clock`, HH:MM, after the local time `now`.

    Raises:
        UserError: it is no time of day.
    """
    try:
        at = datetime.strptime(clock, "%H:%M").time()
    except ValueError as error:
        raise UserError(f"Expected a time of day as HH:MM, e.g. 06:00, found {clock}.") from error
    moment = datetime.combine(now.date(), at)
    return moment if moment > now else moment + timedelta(days=1)
