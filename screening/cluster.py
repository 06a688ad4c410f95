"""Dask: workers to connect to, and a bounded stream of tasks whose worker may die without losing another's task."""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import dask
from distributed import Client, Future, LocalCluster, Nanny, WorkerPlugin, wait
from distributed.scheduler import KilledWorker

from screening.errors import UserError

Item = TypeVar("Item")

_WAIT_FOR_WORKERS_S: Final = 120
_LOOK_EVERY_S: Final = 1.0


@contextmanager
def connected(address: str | None, workers: int | None, plugin: WorkerPlugin) -> Iterator[Client]:
    """Connect to the scheduler at `address`, or start worker processes here; `plugin` prepares every worker.

    Raises:
        UserError: no scheduler answers at the configured address.
    """
    cluster = None if address else local_cluster(workers)
    try:
        client = Client(address or cluster, timeout="30s")
    except (OSError, ValueError) as error:
        raise UserError(f"No Dask scheduler answers at {address}: start it, or leave out --scheduler.") from error
    with cluster or nullcontext(), client:
        client.register_plugin(plugin)
        yield client


def local_cluster(workers: int | None) -> LocalCluster:
    """Start worker processes on this machine, reachable from this machine alone."""
    # Saturation 1.0: a study that kills its worker takes no queued neighbour with it.
    with dask.config.set({"distributed.scheduler.worker-saturation": 1.0}), _without_interrupts():
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,  # inference with two threads a process is slower under load
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # any free port: several sweeps may run on one machine
            memory_limit=0,  # a study's volume is its memory; the machine's own limit holds
            silence_logs=logging.CRITICAL,
        )


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C; processes started meanwhile go on ignoring it, for it is this process's to handle."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@dataclass(frozen=True, slots=True)
class Done(Generic[Item]):
    """A task that ended: its result, or the name of what ended it without one."""

    item: Item
    result: bytes | None
    lost_to: str | None


def stream(
    client: Client,
    function: Callable[..., bytes],
    items: Iterator[tuple[Item, tuple[Any, ...]]],
    *,
    deadline_s: float,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[list[Done[Item]]]:
    """Run `function(*arguments)` for each (item, arguments), one on each worker thread, and yield what ended.

    Nothing waits in a queue, so the deadline is that of the task alone and a worker that dies takes one task with it.
    A task whose worker dies again and again, or that outlasts `deadline_s`, ends as lost; the others go on. Once
    `stopping()` is true no new task starts and those in flight are finished.

    Raises:
        UserError: no worker is left, and none came back.
    """
    in_flight: dict[Future[Any], tuple[Item, float]] = {}
    while True:
        for item, arguments in _refill(client, in_flight, items, stopping):
            in_flight[client.submit(function, *arguments, pure=False)] = (item, time.monotonic())
        if not in_flight:
            return
        ended = list(_ended(client, in_flight, deadline_s))
        if ended:
            yield ended


def _refill(
    client: Client,
    in_flight: dict[Future[Any], tuple[Item, float]],
    items: Iterator[tuple[Item, tuple[Any, ...]]],
    stopping: Callable[[], bool],
) -> Iterator[tuple[Item, tuple[Any, ...]]]:
    if not in_flight:
        _wait_for_worker(client)
    room = sum(client.nthreads().values()) - len(in_flight)
    for _ in range(room):
        following = None if stopping() else next(items, None)
        if following is None:
            return
        yield following


def _wait_for_worker(client: Client) -> None:
    try:
        client.wait_for_workers(1, timeout=_WAIT_FOR_WORKERS_S)
    except TimeoutError as error:
        raise UserError(
            f"No Dask worker came within {_WAIT_FOR_WORKERS_S} s: see the workers' log, then sweep again."
        ) from error


def _ended(client: Client, in_flight: dict[Future[Any], tuple[Item, float]], deadline_s: float) -> Iterator[Done[Item]]:
    try:
        finished = wait(list(in_flight), timeout=_LOOK_EVERY_S, return_when="FIRST_COMPLETED").done
    except TimeoutError:
        finished = set()
    for future in finished:
        item, _ = in_flight.pop(future)
        error = future.exception()
        if error is not None and not isinstance(error, KilledWorker):
            raise error
        yield Done(item, None, "KilledWorker") if error else Done(item, future.result(), None)
    for future in _overdue(in_flight, deadline_s):
        item, _ = in_flight.pop(future)
        _give_up(client, future)
        yield Done(item, None, "DeadlineExceeded")


def _overdue(in_flight: dict[Future[Any], tuple[Item, float]], deadline_s: float) -> list[Future[Any]]:
    now = time.monotonic()
    return [future for future, (_, started) in in_flight.items() if now - started > deadline_s]


def _give_up(client: Client, future: Future[Any]) -> None:
    """Cancel a task and end the process it occupies: a cancelled task would keep running. Its nanny starts anew."""
    busy = [address for address, keys in client.processing().items() if future.key in keys]
    future.cancel()
    if busy:
        client.run(_kill_worker, workers=busy, nanny=True, on_error="return")


def _kill_worker(dask_worker: Nanny) -> None:
    """Run by the nanny; `Client.restart_workers` does not bring back a worker that was lost once before."""
    os.kill(dask_worker.pid, signal.SIGKILL)
