"""How far the running sweep is: told in a small file beside the database, read by whoever looks.

The database of a night is published when the night is over; until then this file is all that can be seen from outside.
It holds counts and times alone. That its sweep still runs is told by a lock and not by the file: a lock ends with its
process, however that ends, on this machine, in another container or behind a network file system.
"""

import fcntl
import os
import socket
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from screening.errors import UserError
from screening.progress import Progress
from screening.store.database import UNFINISHED, DatabaseFolder

TOLD_EVERY_S: Final = 2.0
# A reader holds the lock for some microseconds; a sweep that cannot have it for so long runs on untold.
_LOCK_WAIT_S: Final = 1.0
_LOCK_PAUSE_S: Final = 0.01

_log = structlog.get_logger()


class SweepState(BaseModel):
    """How far a sweep was when it last told; times are UTC."""

    model_config = ConfigDict(frozen=True)

    sweep_id: int
    started_at: datetime
    stage: str
    stage_started_at: datetime
    done: int
    total: int
    measured_count: int = 0  # of the studies read so far
    excluded_count: int = 0
    failed_count: int = 0
    updated_at: datetime
    process_id: int
    host: str
    ended_by: str | None = None  # type of the exception that ended it
    advice: str | None = None  # what the exception says to people

    @property
    def per_hour(self) -> float | None:
        """Items of this stage an hour since it began; None before the first."""
        seconds = (self.updated_at - self.stage_started_at).total_seconds()
        return self.done / seconds * 3600 if self.done and seconds > 0 else None

    @property
    def stage_may_end_at(self) -> datetime | None:
        """When the stage is done if it goes on like this; None while nobody can tell."""
        if self.per_hour is None or self.done >= self.total:
            return None
        return self.updated_at + timedelta(hours=(self.total - self.done) / self.per_hour)


@dataclass(frozen=True, slots=True)
class ToldSweep:
    """What a sweep told last, and whether it still runs; one that does not has broken off."""

    state: SweepState
    runs: bool


def told_sweep(place: DatabaseFolder) -> ToldSweep | None:
    """Return how far the running sweep is, or where the last one broke off; None where it came to its end.

    Raises:
        UserError: the file was written by another version.
    """
    state = _told(place)
    if state is None:
        return None
    if state.ended_by is None and _held(place):
        return ToldSweep(state, runs=True)
    still = _told(place)  # it may have ended while the lock was looked at; then the file is gone
    return ToldSweep(still, runs=False) if still is not None else None


def _told(place: DatabaseFolder) -> SweepState | None:
    try:
        return SweepState.model_validate_json(place.progress.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise UserError(
            f"{place.progress} was written by another version of this software, so that how far the sweep is cannot "
            "be shown."
        ) from error


def _held(place: DatabaseFolder) -> bool:
    """Tell whether a sweep holds the lock; a shared lock would be refused then."""
    try:
        lock = os.open(_lock_file(place), os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _lock_file(place: DatabaseFolder) -> Path:
    return place.progress.with_suffix(".lock")


class SweepTeller:
    """Tells how far a sweep is, on the screen and in the file, from `begin` to the end of the `with` block.

    A sweep that comes to its end takes the file away; one that an exception ends leaves in it what that was. Nothing
    that happens to the file ends the sweep.
    """

    def __init__(self, place: DatabaseFolder, shown: Progress) -> None:
        self._place = place
        self._shown = shown
        self._lock: int | None = None
        self._state: SweepState | None = None
        self._counts: Counter[str] = Counter()
        self._written_at = 0.0

    def __enter__(self) -> Self:
        """Tell nothing yet: another sweep may be running."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Take the file away, or leave in it what ended the sweep."""
        if self._state is None or self._lock is None:
            return
        if error is None:
            self._forget()
        else:
            advice = str(error) if isinstance(error, UserError) else None
            self._write(self._state.model_copy(update={"ended_by": type(error).__name__, "advice": advice}))
        self._release()

    def begin(self, sweep_id: int) -> None:
        """Tell from now on that this sweep runs."""
        now = _now()
        state = SweepState(
            sweep_id=sweep_id, started_at=now, stage="start", stage_started_at=now, done=0, total=0, updated_at=now,
            process_id=os.getpid(), host=socket.gethostname(),
        )  # fmt: skip
        try:
            self._lock = _locked(self._place)
        except OSError as error:
            self._give_up(error)
        else:
            self._write(state)

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` of the stage `what` are done."""
        self._shown(what, done, total)
        self._tell(what, done, total)

    def enter(self, stage: str) -> None:
        """Tell that a stage has begun which does not count."""
        self._tell(stage, 0, 0)

    def outcomes(self, statuses: Iterable[str]) -> None:
        """Count studies that were read by how they ended: measured, excluded or failed."""
        self._counts.update(statuses)

    def _tell(self, what: str, done: int, total: int) -> None:
        if self._state is None or self._lock is None:
            return
        enters = what != self._state.stage
        if not enters and time.monotonic() - self._written_at < TOLD_EVERY_S:
            return
        counts = {f"{status}_count": count for status, count in self._counts.items()}
        stage = {"stage": what, "stage_started_at": _now()} if enters else {}
        self._write(self._state.model_copy(update={**stage, **counts, "done": done, "total": total}))

    def _forget(self) -> None:
        try:
            self._place.progress.unlink(missing_ok=True)
        except OSError as error:
            self._give_up(error)

    def _write(self, state: SweepState) -> None:
        self._state = state.model_copy(update={"updated_at": _now()})
        unfinished = self._place.progress.with_suffix(UNFINISHED)
        try:
            _write_closed(unfinished, self._state.model_dump_json())
            unfinished.replace(self._place.progress)
        except OSError as error:
            self._give_up(error)
        self._written_at = time.monotonic()

    def _give_up(self, error: OSError) -> None:
        _log.warning("how far the sweep is cannot be told", exception=type(error).__name__, errno=error.errno)
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _locked(place: DatabaseFolder) -> int:
    """Take the lock that tells that a sweep runs.

    Raises:
        OSError: it cannot be had.
    """
    lock = os.open(_lock_file(place), os.O_RDWR | os.O_CREAT, 0o600)
    until = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > until:
                os.close(lock)
                raise
            time.sleep(_LOCK_PAUSE_S)
        else:
            return lock


def _write_closed(path: Path, content: str) -> None:
    """Write a file that other users cannot read."""
    with open(path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(content)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
