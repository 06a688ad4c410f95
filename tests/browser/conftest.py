"""Streamlit serving a published example on a free local port, and Debian's Chromium to look at it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from screening.commands.dashboard import environment_of, streamlit_command
from screening.dashboard_settings import DashboardSettings

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "dashboard"))

import published_example  # noqa: E402
from visits import PROXY_SECRET  # noqa: E402

START_S = 60
STOP_S = 60
CHROMIUM_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def dashboard_address(tmp_path: Path) -> Iterator[str]:
    """Serve the example from a server that nobody has visited yet; yield its address."""
    published_example.publish_example(tmp_path / "database")
    with served(tmp_path / "database", DashboardSettings(port=free_port()), tmp_path / "streamlit.log") as address:
        yield address


@contextmanager
def served_behind_proxy(database: Path, roles: dict[str, list[str]], folder: Path) -> Iterator[str]:
    """Serve a database to whoever comes through a proxy (`visits.arriving_as`); yield the address."""
    secret = folder / "proxy.secret"
    secret.touch(mode=0o600)
    secret.write_text(PROXY_SECRET)
    door = {"port": free_port(), "authentication": "proxy", "proxy_secret": secret, "roles": roles}
    with served(database, DashboardSettings.model_validate(door), folder / "streamlit.log") as address:
        yield address


@contextmanager
def served(database: Path, settings: DashboardSettings, log: Path) -> Iterator[str]:
    """Serve a database as `screening dashboard` does; yield the address."""
    with log.open("wb") as output:
        environment = os.environ | environment_of(database, settings) | {"PYTHONFAULTHANDLER": "1"}
        command = streamlit_command(settings)
        server = subprocess.Popen(command, env=environment, cwd=log.parent, stdout=output, stderr=output)
        address = f"http://127.0.0.1:{settings.port}"
        try:
            wait_until_answers(f"{address}/_stcore/health", server)
            yield address
        finally:
            server.terminate()
            assert_ends(server, log)


def assert_ends(server: subprocess.Popen[bytes], log: Path) -> None:
    """Fail with the stacks of all threads if a server that was asked to stop does not."""
    try:
        server.wait(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGABRT)
        server.wait()
        pytest.fail(f"the server did not stop within {STOP_S} s:\n{log.read_text(errors='replace')}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_answers(address: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except urllib.error.URLError:
            time.sleep(0.2)
    pytest.fail(f"{address} did not answer; see the logs in the folder of this test")
