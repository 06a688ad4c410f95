"""How far long work is: bars for people, JSON lines for machines."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

_HEARTBEAT_S: Final = 30.0

_log = structlog.get_logger()


class Progress(Protocol):
    """Told how far the work is; `what` is the stage."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` are done."""
        ...


@contextmanager
def shown_progress(console: Console) -> Iterator[Progress]:
    """Show progress as bars on a terminal, else as log lines twice a minute."""
    if not console.is_terminal:
        yield _Heartbeat()
        return
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console) as bars:
        yield _BarPerStage(bars)


class _Heartbeat:
    """Log a stage when it starts, when it ends, and now and then between."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done in (0, total) or now - self._last >= _HEARTBEAT_S:
            self._last = now
            _log.info("progress", stage=what, done=done, total=total)


class _BarPerStage:
    """Keep one bar a stage."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, Any] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total)
        self._bars.update(self._tasks[what], completed=done, total=total)
