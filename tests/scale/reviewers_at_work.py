"""Two reviewers with browsers, an open notebook and sweeps that publish, all at once: nothing breaks, nothing is lost.

    python tests/scale/reviewers_at_work.py [--minutes 10] [--patients 12] [--seed 1] [--folder FOLDER]

Simulated patients are swept once. Then sweeps that read every study again and publish follow one another, a notebook
keeps its connection open and asks, and two reviewers decide about the same patients, take decisions back, and meet each
other's. Every decision that the page calls recorded is counted, and must stand in the file of decisions, once, and in
the last publication. Exit status 1 if one is lost, or anything ends with an error.
"""

import argparse
import multiprocessing
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from playwright.sync_api import Error as BrowserError
from playwright.sync_api import Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from scale.dashboard_speed import ARGUMENTS, free_port, say, served, settled  # noqa: E402

from screening.dashboard_settings import DashboardSettings  # noqa: E402
from screening.simulation.archive_writer import write_archive  # noqa: E402
from screening.store.database import DatabaseFolder  # noqa: E402
from screening.store.reviews import events  # noqa: E402

DECISIONS = ("DXA ordered", "Already known", "Not evaluable", "Dismissed")
SCREENING = [sys.executable, "-c", "from screening.cli import main; main()"]
MESSAGE_MS = 60_000
# A reference that puts nearly everybody on the list: few of a dozen simulated patients would be there by another.
CONFIGURATION = """
[prediction]
reference = "of this test"
references = { "of this test" = { mean_g_cm2 = 1.5, sd_g_cm2 = 0.1, source = "none, for this test" } }
"""


@dataclass
class Told:
    """What somebody met."""

    recorded: int = 0
    collided: int = 0
    errors: list[str] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="for archive and database; kept. A temporary one if left out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        write_archive(folder / "simulated", patients=arguments.patients, seed=arguments.seed, institution=1, matrix=128)
        (folder / "screening.toml").write_text(CONFIGURATION)
        return 0 if worked(folder, arguments.minutes * 60, arguments.seed) else 1


def worked(folder: Path, duration_s: float, seed: int) -> bool:
    """Let everybody work for so long; return whether all went well."""
    place = DatabaseFolder(folder / "db")
    sweep(folder)
    patients = listed(place)
    say(f"{len(patients)} patients to decide about")
    if not patients:
        return False
    until = time.time() + duration_s
    notebook_errors: multiprocessing.Queue[str] = multiprocessing.Queue()
    settings = DashboardSettings(port=free_port())
    reviewers = [Told(), Told()]
    with served(place.folder, settings):
        address = f"http://127.0.0.1:{settings.port}"
        notebook = multiprocessing.Process(target=ask_from_a_notebook, args=(place.published, until, notebook_errors))
        notebook.start()
        working = [
            threading.Thread(target=review, args=(address, name, patients, until, seed + place_of, told))
            for place_of, (name, told) in enumerate(zip(("First", "Second"), reviewers, strict=True))
        ]
        for thread in working:
            thread.start()
        statuses = [sweep(folder) for _ in iter(lambda: time.time() < until, False)]
        for thread in working:
            thread.join()
        notebook.join()
    statuses.append(sweep(folder))
    return judged(place, statuses, reviewers, notebook_errors)


def sweep(folder: Path) -> int:
    """Read every study again and publish."""
    archive, database = folder / "simulated" / "archive", folder / "db"
    options = ["--workers", "1", "--recompute", "--config", str(folder / "screening.toml")]
    command = [*SCREENING, "sweep", str(archive), "--database", str(database), *options]
    return subprocess.run(command, capture_output=True, check=False).returncode


def listed(place: DatabaseFolder) -> list[str]:
    """Name the patients of the list; decisions are about CT on the list."""
    with duckdb.connect(place.published, read_only=True) as connection:
        return [key for (key,) in connection.execute("SELECT study_key FROM worklist ORDER BY position").fetchall()]


def ask_from_a_notebook(published: Path, until: float, errors: "multiprocessing.Queue[str]") -> None:
    """Keep one connection open throughout, and ask; open another now and then."""
    try:
        with duckdb.connect(published, read_only=True) as connection:
            while time.time() < until:
                connection.execute("SELECT count(*) FROM care_gap").fetchall()
                time.sleep(1)
    except duckdb.Error as error:
        errors.put(f"{type(error).__name__}: {error}")


def review(address: str, name: str, patients: list[str], until: float, seed: int, told: Told) -> None:
    """Decide about one patient after another, in a browser of one's own."""
    chance = random.Random(seed)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS.split())
        page = chromium.new_page()
        page.set_default_timeout(MESSAGE_MS)
        page.on("pageerror", lambda error: told.errors.append(str(error)))
        while time.time() < until:
            try:
                decide(page, f"{address}/patient?study={chance.choice(patients)}", name, chance, told)
            except (AssertionError, BrowserError) as error:
                told.errors.append(f"{type(error).__name__}: {error}"[:300])
        chromium.close()


def decide(page: Page, address: str, name: str, chance: random.Random, told: Told) -> None:
    """Open a patient and decide; whoever is told of another's decision looks at it and decides anew."""
    page.goto(address)
    expect(page.get_by_role("heading", name="Review", exact=True)).to_be_visible(timeout=MESSAGE_MS)
    settled(page)
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Your name").press("Enter")
    settled(page)
    page.wait_for_timeout(chance.uniform(0, 3000))
    if page.get_by_role("button", name="I have seen it").count():
        told.collided += 1
        return
    back = page.get_by_role("button", name="Take the last decision back")
    if back.count() and chance.random() < 0.3:
        back.click()
    else:
        page.get_by_role("radio", name=chance.choice(DECISIONS)).click()
        chosen = page.get_by_role("button", name="Record the decision", disabled=False)
        told_of_another = page.get_by_role("button", name="I have seen it")
        expect(chosen.or_(told_of_another)).to_be_visible(timeout=MESSAGE_MS)
        if told_of_another.count():
            told.collided += 1
            return
        chosen.click()
    message = page.get_by_text("Recorded: ").or_(page.get_by_text("since you opened it"))
    expect(message.first).to_be_visible(timeout=MESSAGE_MS)
    if page.get_by_text("Recorded: ").count():
        told.recorded += 1
    else:
        told.collided += 1
    if page.get_by_test_id("stException").count():
        told.errors.append("an error on the page")


def judged(place: DatabaseFolder, statuses: list[int], reviewers: list[Told], notebook_errors: object) -> bool:
    """Count what became of every decision; return whether none is lost and nothing broke."""
    stored = events(place)
    with duckdb.connect(place.published, read_only=True) as connection:
        (published,) = connection.execute("SELECT count(*) FROM review_event").fetchall()[0]
    recorded = sum(told.recorded for told in reviewers)
    errors = [error for told in reviewers for error in told.errors]
    while not notebook_errors.empty():  # type: ignore[attr-defined]
        errors.append(notebook_errors.get())  # type: ignore[attr-defined]
    say(f"{len(statuses)} sweeps with publication, exit statuses {sorted(set(statuses))}")
    say(f"decisions: {recorded} recorded by pages, {stored.num_rows} in their file, {published} in the publication")
    say(f"collisions told {sum(told.collided for told in reviewers)}; errors {len(errors)}: {errors[:3]}")
    numbers = stored.column("event_id").to_pylist()
    whole = numbers == list(range(1, len(numbers) + 1))
    return whole and recorded == stored.num_rows == published and not errors and set(statuses) == {0}


if __name__ == "__main__":
    sys.exit(main())
