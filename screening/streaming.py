"""Tasks -> results in a bounded stream; a worker may die without losing another's task.

The tasks run on the workers of a Dask cluster or, without one, in this process, one after the other.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from distributed import Client, Future, Nanny, wait
from distributed.scheduler import KilledWorker

from screening.errors import UserError

Item = TypeVar("Item")
Task = tuple[Item, tuple[Any, ...]]  # what the task is about, and the arguments of the function

WORKER_WAIT_S: Final = 300.0  # a worker that loads the network on a busy machine takes a minute or two
_LOOK_EVERY_S: Final = 1.0
_OVERDUE: Final = "DeadlineExceeded"
_SCHEDULER_GONE: Final = "The Dask scheduler is gone: start it, then sweep again; what was read is kept."


@dataclass(frozen=True, slots=True)
class Here:
    """Stands in for a cluster where there is none: tasks run in this process, and a hang or a crash is its own."""


@dataclass(frozen=True, slots=True)
class Workers:
    """A cluster with what is known of its workers."""

    client: Client
    wait_s: float = WORKER_WAIT_S  # with no worker for so long, give up
    hire: Callable[[int], None] = lambda workers: None  # ask for so many workers


@dataclass(frozen=True, slots=True)
class Done(Generic[Item]):
    """A task that ended: its result, or the name of what ended it without one."""

    item: Item
    result: bytes | None
    lost_to: str | None


def stream(
    workers: Workers | Here,
    function: Callable[..., bytes],
    items: Iterator[Task[Item]],
    *,
    deadline_s: float,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[list[Done[Item]]]:
    """Run `function(*arguments)` for each (item, arguments), one on each worker thread, and yield what ended.

    Nothing waits in a queue, so the deadline is that of the task alone and a worker that dies takes one task with it.
    A task whose worker dies again and again, or that outlasts `deadline_s`, ends as lost; the others go on. Once
    `stopping()` is true no new task starts and those in flight are finished.

    Raises:
        UserError: no worker is left and none came back, or the scheduler is gone.
    """
    if isinstance(workers, Here):
        yield from _here(function, items, stopping)
        return
    flight: _Flight[Item] = _Flight(workers, function, items)
    while flight.start(stopping):
        ended = list(flight.ended(deadline_s))
        try:
            flight.fill(stopping)  # no worker waits while the caller stores what ended
        finally:
            if ended:
                yield ended


def _here(
    function: Callable[..., bytes], items: Iterator[Task[Item]], stopping: Callable[[], bool]
) -> Iterator[list[Done[Item]]]:
    while not stopping() and (following := next(items, None)) is not None:
        item, arguments = following
        yield [Done(item, function(*arguments), None)]


class _Flight(Generic[Item]):
    """Tasks that were started and have not ended."""

    def __init__(self, workers: Workers, function: Callable[..., bytes], items: Iterator[Task[Item]]) -> None:
        self._workers = workers
        self._client = workers.client
        self._function = function
        self._items = items
        self._waiting: Task[Item] | None = None
        self._running: dict[Future[Any], tuple[Item, float]] = {}
        self._staffed_at = time.monotonic()

    def start(self, stopping: Callable[[], bool]) -> bool:
        """Start tasks, wait for a worker where there is none; tell whether any task is running."""
        if not self._running and not stopping() and self._next() is not None:
            self._wait_for_worker(stopping)
        self.fill(stopping)
        return bool(self._running) or (not stopping() and self._next() is not None)

    def fill(self, stopping: Callable[[], bool]) -> None:
        """Start a task on every thread that is free."""
        threads = self._threads()
        while len(self._running) < threads and not stopping() and (task := self._next()) is not None:
            self._waiting = None
            item, arguments = task
            with _scheduler_there():
                future = self._client.submit(self._function, *arguments, pure=False)
            self._running[future] = (item, time.monotonic())
        if self._running and not stopping() and self._next() is not None:
            self._workers.hire(2 * threads)

    def _next(self) -> Task[Item] | None:
        if self._waiting is None:
            self._waiting = next(self._items, None)
        return self._waiting

    def _wait_for_worker(self, stopping: Callable[[], bool]) -> None:
        while not self._threads() and not stopping():
            time.sleep(_LOOK_EVERY_S)

    def _threads(self) -> int:
        """Count the threads of all workers, in a cluster that has not been without any for too long."""
        with _scheduler_there():
            threads: int = sum(self._client.nthreads().values())
        now = time.monotonic()
        if threads:
            self._staffed_at = now
        elif now - self._staffed_at > self._workers.wait_s:
            raise UserError(
                f"No Dask worker came within {self._workers.wait_s:g} s: see the workers' log, then sweep again."
            )
        return threads

    def ended(self, deadline_s: float) -> Iterator[Done[Item]]:
        """Wait a little for tasks to end; give up those that take too long."""
        for future in self._finished():
            item, _ = self._running.pop(future)
            yield self._result(item, future, deadline_s)
        for future in self._overdue(deadline_s):
            item, _ = self._running.pop(future)
            self._give_up(future)
            yield Done(item, None, _OVERDUE)

    def _finished(self) -> set[Future[Any]]:
        with _scheduler_there():
            try:
                done: set[Future[Any]] = wait(
                    list(self._running), timeout=_LOOK_EVERY_S, return_when="FIRST_COMPLETED"
                ).done
            except TimeoutError:
                return set()
        return done

    def _result(self, item: Item, future: Future[Any], deadline_s: float) -> Done[Item]:
        try:
            return Done(item, future.result(timeout=deadline_s), None)
        except KilledWorker:
            return Done(item, None, KilledWorker.__name__)
        except TimeoutError:  # its worker died with the result, and now it runs anew
            self._give_up(future)
            return Done(item, None, _OVERDUE)
        except CancelledError as error:
            raise UserError(_SCHEDULER_GONE) from error

    def _overdue(self, deadline_s: float) -> list[Future[Any]]:
        now = time.monotonic()
        return [future for future, (_, started) in self._running.items() if now - started > deadline_s]

    def _give_up(self, future: Future[Any]) -> None:
        """Cancel a task and end the process it occupies: a cancelled task would go on. Its nanny starts anew."""
        with _scheduler_there():
            busy = [address for address, keys in self._client.processing().items() if future.key in keys]
            future.cancel()
            if busy:
                self._client.run(_kill_worker, workers=busy, nanny=True, on_error="return")


@contextmanager
def _scheduler_there() -> Iterator[None]:
    """Say in one line that the scheduler is gone, where Dask says it in several ways.

    Raises:
        UserError: it is.
    """
    try:
        yield
    except (CancelledError, OSError) as error:
        raise UserError(_SCHEDULER_GONE) from error


def _kill_worker(dask_worker: Nanny) -> None:
    """Run by the nanny; `Client.restart_workers` does not bring back a worker that was lost once before."""
    os.kill(dask_worker.pid, signal.SIGKILL)
