"""How quickly the pages of a large hospital paint, as a browser sees it, and how much memory the server takes.

    python tests/scale/dashboard_speed.py DATABASE [--rounds 10]

DATABASE is a folder with a publication, e.g. of a million patients by `million.py build`; it gets entries in its audit
trail. Each page is opened by address, which loads the application anew, and by a click in the open tab. It has painted
when its script has ended and its table, or its picture, charts and last heading, are drawn. The visitor looks at a page
for a second before asking for the next, so that none pays for what the one before left behind. The first round after
the start of the server is printed apart: it asks the database what is kept for the others. Exit status 1 where a median
is too long.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from playwright.sync_api import Page, sync_playwright

from screening.commands.dashboard import environment_of, streamlit_command
from screening.dashboard_settings import DashboardSettings

LIMITS_S = {"worklist": 2.0, "patient": 1.0, "validation": 3.0}
MEMORY_LIMIT_MB = 1500.0
WAIT_MS = 120_000
LOOKS_MS = 1000
ARGUMENTS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"
SETTLED = "document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"
TABLE = "document.querySelector('[data-testid=stDataFrame] canvas')?.checkVisibility()"
PICTURE = "document.querySelector('[data-testid=stImage] img')?.naturalWidth > 0"
CHART = "document.querySelector('.js-plotly-plot .main-svg')?.checkVisibility()"
ROW_HEIGHT_PX, FIRST_ROW_PX, PATIENT_ID_PX = 35, 52, 120  # of the table of the worklist


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    settings = DashboardSettings(port=free_port())
    with served(arguments.database, settings) as server, sync_playwright() as playwright:
        watch = MemoryWatch(server.pid)
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS.split())
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        rounds = [
            one_round(page, f"http://127.0.0.1:{settings.port}", number) for number in range(arguments.rounds + 1)
        ]
        chromium.close()
        peak = watch.peak_mb()
    return report(rounds, peak)


def one_round(page: Page, address: str, number: int) -> dict[str, float]:
    """Open each page by address, then by click in the tab that is open; return the seconds until it had painted."""
    took = {"worklist, by address": timed(page, lambda: page.goto(address), worklist_painted)}
    click_on_patient(page, number)
    patient_painted(page)
    patient = page.url
    took["patient, by address"] = timed(page, lambda: page.goto(patient), patient_painted)
    validation = f"{address}/validation"
    took["validation, by address"] = timed(page, lambda: page.goto(validation), validation_painted)
    took["worklist, by click"] = timed(page, lambda: click_on(page, "Worklist"), worklist_painted)
    took["patient, by click"] = timed(page, lambda: click_on_patient(page, number + 1), patient_painted)
    took["validation, by click"] = timed(page, lambda: click_on(page, "Validation"), validation_painted)
    return took


def click_on(page: Page, title: str) -> None:
    page.get_by_role("link", name=title, exact=True).click()


def click_on_patient(page: Page, number: int) -> None:
    """Click on a patient ID of the worklist, another one each time."""
    row_px = FIRST_ROW_PX + ROW_HEIGHT_PX * (number % 12)
    page.get_by_test_id("stDataFrame").first.click(position={"x": PATIENT_ID_PX, "y": row_px})


def timed(page: Page, start: Callable[[], object], painted: Callable[[Page], None]) -> float:
    page.wait_for_timeout(LOOKS_MS)
    begun = time.perf_counter()
    start()
    painted(page)
    return time.perf_counter() - begun


def worklist_painted(page: Page) -> None:
    wait_for(page, heading("Worklist"), TABLE, SETTLED)


def patient_painted(page: Page) -> None:
    wait_for(page, heading("Where the numbers come from"), PICTURE, CHART, SETTLED)


def validation_painted(page: Page) -> None:
    wait_for(page, heading("Validation"), CHART, SETTLED)


def heading(text: str) -> str:
    return f"[...document.querySelectorAll('h1, h2, h3')].some(one => one.textContent === {json.dumps(text)})"


def settled(page: Page) -> None:
    wait_for(page, SETTLED)


def wait_for(page: Page, *drawn: str) -> None:
    """Wait until all hold, asked at each frame that the browser draws: Playwright's assertions ask once a second."""
    page.wait_for_function(" && ".join(drawn), polling="raf", timeout=WAIT_MS)


def report(rounds: list[dict[str, float]], peak_mb: float) -> int:
    """Print the first round, and medians of the others; return the exit status."""
    held = peak_mb < MEMORY_LIMIT_MB
    for name in rounds[0]:
        later = [one[name] for one in rounds[1:]]
        limit = LIMITS_S[name.partition(",")[0]]
        median = statistics.median(later)
        held = held and median < limit
        spread = f"{min(later):.2f} to {max(later):.2f}"
        first = rounds[0][name]
        say(f"{name:<24} median of {len(later)}: {median:.2f} s ({spread}), limit {limit} s; first {first:.2f} s")
    say(f"memory of the server at most {peak_mb:.0f} MB, limit {MEMORY_LIMIT_MB:.0f} MB")
    return 0 if held else 1


class MemoryWatch:
    """Notes the largest resident memory of a process and its children."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._peak = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while self._process.is_running():
            try:
                family = [self._process, *self._process.children(recursive=True)]
                self._peak = max(self._peak, sum(one.memory_info().rss for one in family))
            except psutil.NoSuchProcess:
                continue
            time.sleep(0.1)

    def peak_mb(self) -> float:
        return self._peak / 1e6


@contextmanager
def served(database: Path, settings: DashboardSettings) -> Iterator[subprocess.Popen[bytes]]:
    """Serve a database as `screening dashboard` does."""
    environment = os.environ | environment_of(database, settings)
    server = subprocess.Popen(streamlit_command(settings), env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_until_healthy(f"http://127.0.0.1:{settings.port}/_stcore/health")
        yield server
    finally:
        server.terminate()
        server.wait(timeout=20)


def wait_until_healthy(address: str) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except urllib.error.URLError:
            time.sleep(0.2)
    raise SystemExit("the dashboard did not start")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
