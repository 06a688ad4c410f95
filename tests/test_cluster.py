"""Where tasks run: processes here, this process, or a scheduler elsewhere that asks for certificates."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from dicom_files import ct_slice, write
from distributed import LocalCluster, Worker, WorkerPlugin
from distributed.security import Security

from screening.cluster import connected, security
from screening.config import Settings, SweepSettings
from screening.errors import UserError
from screening.store.database import DatabaseFolder
from screening.streaming import Here, Workers, stream
from screening.sweep import run_sweep


class NoPlugin(WorkerPlugin):
    """Prepares nothing."""

    name = "nothing"


class DeadlyOnce(WorkerPlugin):
    """Ends the first process that it is to prepare."""

    name = "deadly once"

    def __init__(self, witness: Path) -> None:
        self._witness = witness

    def setup(self, worker: Worker) -> None:
        if not self._witness.exists():
            self._witness.touch()
            os._exit(1)


def pid(number: int) -> bytes:
    return str(os.getpid()).encode()


def run(settings: SweepSettings, count: int) -> list[bytes | None]:
    with connected(settings, NoPlugin()) as workers:
        tasks = ((number, (number,)) for number in range(count))
        return [done.result for wave in stream(workers, pid, tasks, deadline_s=60) for done in wave]


def test_no_workers_mean_this_process() -> None:
    with connected(SweepSettings(workers=0), NoPlugin()) as workers:
        assert workers == Here()
    assert run(SweepSettings(workers=0), 3) == [str(os.getpid()).encode()] * 3


def test_workers_come_while_tasks_wait_and_no_more_than_allowed() -> None:
    with connected(SweepSettings(workers_max=2), NoPlugin()) as workers:
        assert isinstance(workers, Workers)
        assert len(workers.client.nthreads()) == 1
        workers.hire(8)
        workers.client.wait_for_workers(2, timeout=240)
        assert len(workers.client.cluster.worker_spec) == 2


def test_a_worker_that_dies_while_it_is_prepared_comes_back(tmp_path: Path) -> None:
    plugin = DeadlyOnce(tmp_path / "died")

    with connected(SweepSettings(workers=1), plugin) as workers:
        assert isinstance(workers, Workers)
        workers.client.wait_for_workers(1, timeout=120)
        assert plugin.name in workers.client.run(lambda dask_worker: list(dask_worker.plugins)).popitem()[1]

    assert (tmp_path / "died").exists()


def kill_starting_workers(count: int) -> None:
    """Kill so many child processes, each as soon as it can be seen to be a worker's."""
    struck: set[int] = set()
    deadline = time.monotonic() + 60
    while len(struck) < count and time.monotonic() < deadline:
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if child.pid not in struck and "spawn_main" in " ".join(child.cmdline()):
                    child.kill()
                    struck.add(child.pid)
        time.sleep(0.01)


def test_a_worker_that_dies_while_it_starts_is_started_again() -> None:
    killer = threading.Thread(target=kill_starting_workers, args=(1,))
    killer.start()
    with connected(SweepSettings(workers=1), NoPlugin()) as workers:
        killer.join()
        assert isinstance(workers, Workers)
        workers.client.wait_for_workers(1, timeout=120)


def test_workers_that_die_again_and_again_while_they_start_are_an_expected_error() -> None:
    killer = threading.Thread(target=kill_starting_workers, args=(3,))
    killer.start()
    with pytest.raises(UserError, match="as soon as they start"), connected(SweepSettings(workers=1), NoPlugin()):
        pass
    killer.join()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that is its own authority, with its key; and another one of somebody else."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make certificates")
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("ours", "theirs"):
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={name}"]
        files = ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem")]
        subprocess.run([*command, *files], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def tls_scheduler(certificates: Path) -> Iterator[str]:
    secured = Security(
        require_encryption=True,
        tls_ca_file=str(certificates / "ours.pem"),
        **{
            f"tls_{role}_{kind}": str(certificates / f"ours.{suffix}")
            for role in ("scheduler", "worker", "client")
            for kind, suffix in (("cert", "pem"), ("key", "key"))
        },
    )
    with LocalCluster(
        n_workers=1,
        processes=False,
        security=secured,
        protocol="tls",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    ) as cluster:
        yield cluster.scheduler_address


def tls(scheduler: str, certificates: Path, name: str) -> SweepSettings:
    return SweepSettings(
        scheduler=scheduler,
        tls_ca_file=certificates / f"{name}.pem",
        tls_cert_file=certificates / f"{name}.pem",
        tls_key_file=certificates / f"{name}.key",
    )


def test_a_scheduler_that_asks_for_certificates_is_shown_ours(tls_scheduler: str, certificates: Path) -> None:
    assert tls_scheduler.startswith("tls://")
    assert run(tls(tls_scheduler, certificates, "ours"), 2) == [str(os.getpid()).encode()] * 2


def test_no_certificates_are_an_expected_error(tls_scheduler: str) -> None:
    with pytest.raises(UserError, match="to these certificates: start it, and check"):
        run(SweepSettings(scheduler=tls_scheduler), 1)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Cannot use the certificates .*No such file.*ca\.pem"):
        security(SweepSettings(tls_ca_file=tmp_path / "ca.pem"))


def test_a_file_that_is_no_certificate_is_an_expected_error(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(UserError, match="Cannot use the certificates"):
        security(SweepSettings(tls_ca_file=tmp_path / "ca.pem"))


def test_without_certificates_the_configuration_of_dask_is_to_say() -> None:
    assert security(SweepSettings()) is None


def test_workers_elsewhere_read_the_archive_by_the_path_mapping(tmp_path: Path) -> None:
    """What lies at the client's path has names, sizes and times alone: its content can only come from elsewhere."""
    there, here = tmp_path / "there", tmp_path / "here"
    for number in range(3):
        uid = f"2.25.7{number}"
        path = write(there, f"{number}/slice", ct_slice(StudyInstanceUID=uid, SeriesInstanceUID=f"{uid}.1"))
        hollow = here / path.relative_to(there)
        hollow.parent.mkdir(parents=True)
        hollow.write_bytes(bytes(path.stat().st_size))
    with LocalCluster(n_workers=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster:
        sections = {"scheduler": cluster.scheduler_address, "path_mapping": {str(here): str(there)}}
        settings = Settings.model_validate({"sweep": sections})
        night = run_sweep([here], DatabaseFolder(tmp_path / "db"), settings, progress=lambda *_: None)

    assert (night.books.files.indexed, night.excluded_count) == (3, 3)
    assert night.books.discrepancies == ()
