"""Dask: what runs on a worker, and a bounded stream of tasks whose worker may die without losing another's task."""

import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import dask
from distributed import Client, Future, LocalCluster, Worker, WorkerPlugin, get_worker, wait
from distributed.scheduler import KilledWorker

from screening.archive.header import FoundFile, NotIndexed, read_header
from screening.archive.index import unpack_study
from screening.config import Settings
from screening.errors import UserError
from screening.imaging.lumbar import Localizer, find_lumbar_spine
from screening.prediction.inference import Predictor, load_predictor
from screening.reading import outcome_of

Item = TypeVar("Item")

_PLUGIN: Final = "study-readers"
_WAIT_FOR_WORKERS_S: Final = 120
_LOOK_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Readers:
    """What a worker holds between studies."""

    localizer: Localizer
    predictor: Predictor


class ReadersPlugin(WorkerPlugin):  # type: ignore[misc]
    """Load the network once a worker process."""

    name = _PLUGIN

    def __init__(self, checkpoint: Path | None, device: str) -> None:
        self._checkpoint = checkpoint
        self._device = device

    def setup(self, worker: Worker) -> None:
        """Load what reads studies; Ctrl-C is the client's to handle, not the worker's."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        worker.readers = Readers(find_lumbar_spine, load_predictor(self._checkpoint, self._device))


@contextmanager
def connected(settings: Settings) -> Iterator[Client]:
    """Connect to the configured scheduler, or start one worker process a core on this machine.

    Raises:
        UserError: no scheduler answers at the configured address.
    """
    # Saturation 1.0: a study that kills its worker takes no queued neighbour with it.
    with dask.config.set({"distributed.scheduler.worker-saturation": 1.0}):
        address = settings.sweep.scheduler
        cluster = None if address else _local_cluster(settings.sweep.workers)
        try:
            client = Client(address or cluster, timeout="30s", set_as_default=False)
        except OSError as error:
            raise UserError(f"No Dask scheduler answers at {address}: start it, or leave out --scheduler.") from error
        with client:
            client.register_plugin(ReadersPlugin(settings.prediction.checkpoint, settings.prediction.device))
            client.wait_for_workers(1, timeout=_WAIT_FOR_WORKERS_S)
            yield client
        if cluster is not None:
            cluster.close()


def _local_cluster(workers: int | None) -> LocalCluster:
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,  # inference with two threads a process is slower under load
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        memory_limit=0,  # a study's volume is its memory; the machine's own limit holds
        silence_logs=50,
    )


def read_headers_packed(batch: Sequence[tuple[str, int, int]]) -> bytes:
    """Read the headers of some files on a worker; one bytes object travels back."""
    instances, problems = [], []
    for path, size_bytes, mtime_ns in batch:
        file = FoundFile(Path(path), size_bytes, mtime_ns)
        try:
            instances.append(read_header(file))
        except NotIndexed as problem:
            problems.append((file, problem))
    return pickle.dumps((tuple(instances), tuple(problems)))


def read_study_packed(packed_series: list[bytes], settings: Settings) -> bytes:
    """Read one study on a worker; one bytes object travels back."""
    readers: Readers = get_worker().readers
    return pickle.dumps(outcome_of(unpack_study(packed_series), readers.localizer, readers.predictor, settings))


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
) -> Iterator[Done[Item]]:
    """Run `function(*arguments)` for each (item, arguments), never many more in flight than there are workers.

    A task whose worker dies again and again, or that outlasts `deadline_s`, ends as lost; the others go on.
    Once `stopping()` is true no new task starts and those in flight are finished.
    """
    in_flight: dict[Future, tuple[Item, float]] = {}
    while True:
        for item, arguments in _refill(client, in_flight, items, stopping):
            in_flight[client.submit(function, *arguments, pure=False)] = (item, time.monotonic())
        if not in_flight:
            return
        yield from _ended(client, in_flight, deadline_s)


def _refill(
    client: Client,
    in_flight: dict[Future, tuple[Item, float]],
    items: Iterator[tuple[Item, tuple[Any, ...]]],
    stopping: Callable[[], bool],
) -> Iterator[tuple[Item, tuple[Any, ...]]]:
    room = max(2, len(client.nthreads()) + 1) - len(in_flight)
    for _ in range(room):
        if stopping():
            return
        following = next(items, None)
        if following is None:
            return
        yield following


def _ended(client: Client, in_flight: dict[Future, tuple[Item, float]], deadline_s: float) -> Iterator[Done[Item]]:
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


def _overdue(in_flight: dict[Future, tuple[Item, float]], deadline_s: float) -> list[Future]:
    now = time.monotonic()
    return [future for future, (_, started) in in_flight.items() if now - started > deadline_s]


def _give_up(client: Client, future: Future) -> None:
    """Cancel a task and restart the worker it occupies: a cancelled task would keep running."""
    busy = [address for address, keys in client.processing().items() if future.key in keys]
    future.cancel()
    if busy:
        client.restart_workers(busy, timeout=_WAIT_FOR_WORKERS_S)
