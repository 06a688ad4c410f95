"""Settings -> workers: processes on this machine, those of a Dask scheduler elsewhere, or this process alone."""

import logging
import signal
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import dask
from distributed import Client, LocalCluster, WorkerPlugin
from distributed.comm.core import CommClosedError
from distributed.security import Security

from screening.config import SweepSettings
from screening.errors import UserError
from screening.streaming import Here, Workers

_CONNECT_S: Final = 30
# A task is given up when so many workers have died of it, and one more: three strikes.
_ALLOWED_FAILURES: Final = 2
_TRIES: Final = 3  # to start workers, and to prepare them
# A worker keeps nothing between studies, so there is nothing to write to disk, and pausing it would free nothing.
_WORKER_CONFIG: Final = {f"distributed.worker.memory.{measure}": False for measure in ("target", "spill", "pause")}
# For its developers, Dask keeps its last thousand messages with all that they carry and an hour of its measurements,
# which makes a process grow all night, and looks a hundred times a second at what a worker does.
_KEEP_LITTLE: Final = {
    "distributed.admin.low-level-log-length": 10,
    "distributed.admin.system-monitor.log-length": 10,
    "distributed.admin.tick.interval": "500ms",
    "distributed.worker.profile.enabled": False,
}


@contextmanager
def connected(settings: SweepSettings, plugin: WorkerPlugin) -> Iterator[Workers | Here]:
    """Connect to the configured scheduler, or start worker processes here; `plugin` prepares every worker.

    With no workers at all, tasks run in this process and nothing is prepared.

    Raises:
        UserError: no scheduler answers at the configured address, or not to these certificates.
    """
    if settings.scheduler is not None:
        with _remote(settings.scheduler, security(settings)) as client:
            _prepare(client, plugin)
            yield Workers(client, settings.worker_wait_s)
    elif settings.workers == 0:
        yield Here()
    else:
        with local_cluster(_first_workers(settings), settings.memory_limit) as cluster, Client(cluster) as client:
            _prepare(client, plugin)
            yield Workers(client, settings.worker_wait_s, lambda wanted: _hire(cluster, settings, wanted))


def _prepare(client: Client, plugin: WorkerPlugin) -> None:
    """Prepare every worker; one that dies meanwhile is prepared once its nanny has brought it back.

    Raises:
        UserError: workers died at every try.
    """
    for _ in range(_TRIES):
        with suppress(CommClosedError):
            client.register_plugin(plugin)
            return
    raise UserError(
        "Workers die while they load the network: see their log and the machine's memory, then sweep again."
    )


def _first_workers(settings: SweepSettings) -> int | None:
    adapts = settings.workers is None and settings.workers_max is not None
    return settings.workers_min if adapts else settings.workers


def _hire(cluster: LocalCluster, settings: SweepSettings, wanted: int) -> None:
    """Have more workers started where the number may grow."""
    if settings.workers is None and settings.workers_max is not None:
        cluster.scale(min(wanted, settings.workers_max))


@contextmanager
def _remote(address: str, secured: Security | None) -> Iterator[Client]:
    dask.config.set(_KEEP_LITTLE)
    try:
        client = Client(address, security=secured, timeout=f"{_CONNECT_S}s")
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"No Dask scheduler answers at {address}: start it, or leave out --scheduler."
            if not address.startswith("tls:")
            else f"No Dask scheduler answers at {address} to these certificates: start it, and check "
            "sweep.tls_ca_file, tls_cert_file and tls_key_file of screening.toml."
        ) from error
    with client:
        yield client


def security(settings: SweepSettings) -> Security | None:
    """Gather the certificates for a tls:// scheduler; None where the site's Dask configuration is to say.

    Raises:
        UserError: a file cannot be read or is no certificate or key.
    """
    files: dict[str, Path | None] = {
        "tls_ca_file": settings.tls_ca_file,
        "tls_client_cert": settings.tls_cert_file,
        "tls_client_key": settings.tls_key_file,
    }
    given: dict[str, Any] = {name: str(file) for name, file in files.items() if file is not None}
    if not given:
        return None
    try:
        context = ssl.create_default_context(cafile=given.get("tls_ca_file"))
        if settings.tls_cert_file is not None:
            context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file)
    except OSError as error:  # ssl.SSLError is one
        raise UserError(
            f"Cannot use the certificates named by sweep.tls_* ({error.strerror or type(error).__name__}): expected "
            f"PEM files at {', '.join(given.values())}."
        ) from error
    return Security(require_encryption=True, **given)


def local_cluster(workers: int | None, memory_limit: int | None = None) -> LocalCluster:
    """Start worker processes on this machine, reachable from this machine alone; try again where one dies at once.

    Args:
        workers: how many; None is one a core.
        memory_limit: bytes a process may take before it is ended and started anew; None is no limit, for a study's
            volume is its memory and the machine's own limit holds.

    Raises:
        UserError: a worker died at every try, before it could say that it is there.
    """
    # Saturation 1.0: a study that kills its worker takes no queued neighbour with it.
    scheduler = {
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.scheduler.allowed-failures": _ALLOWED_FAILURES,
    }
    # Read whenever a worker is lost, so it stays set: after 15 s, the default, a nanny that is still starting the next
    # process (on a busy machine loading the network takes longer) is closed, and the worker never comes back.
    dask.config.set({"distributed.deploy.lost-worker-timeout": "1 day"})
    dask.config.set(_KEEP_LITTLE)  # read whenever a connection is made
    for _ in range(_TRIES):
        with dask.config.set(scheduler), _without_interrupts(), suppress(RuntimeError):
            return LocalCluster(
                n_workers=workers,
                threads_per_worker=1,  # inference with two threads a process is slower under load
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",  # any free port: several sweeps may run on one machine
                memory_limit=memory_limit or 0,
                silence_logs=logging.CRITICAL,
                config=_WORKER_CONFIG | _KEEP_LITTLE,
            )
    raise UserError("Workers die as soon as they start: look at the machine's memory and its log, then sweep again.")


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C; processes started meanwhile go on ignoring it, for it is this process's to handle."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
