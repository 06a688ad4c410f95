"""Kill sweeps at random moments; whatever they leave, the next ones must complete: exit status 1 if tables differ.

    python tests/scale/killed.py [--kills 100] [--seed 1] [--patients 2] [--workers 2] [--folder FOLDER]

A sweep of a small simulated archive is disturbed by one `kill -9` of the client, of a worker or of both, at a moment
drawn from the time an undisturbed sweep takes; the next sweep goes on in the same database and is disturbed in turn,
until one comes to its end. What it then holds is compared with the undisturbed tables, apart from ids and times, and a
new database is begun. Every kill is printed, and so is every difference.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from dicom_files import add_quick_files  # noqa: E402

from screening.simulation.archive_writer import write_archive  # noqa: E402
from screening.store.database import DatabaseFolder  # noqa: E402

VICTIMS = ("client", "worker", "both")
SINGLE_SLICES = 30
# Differ between any two sweeps: ids, times, and what is named by the secret of a database.
VOLATILE = {"sweep_id", "read_seconds", "study_key", "evidence_file"}
# Count sweeps, not what is in the archive; the books of the last one are compared.
OF_SWEEPS = {"sweep", "sweep_ledger", "publication", "full_walk"}
LAST_BOOKS = "FROM sweep_ledger WHERE sweep_id = (SELECT max(sweep_id) FROM sweep)"
PATIENCE_S = 1800.0

Tables = dict[str, Counter[str]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patients", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="for archive and databases; kept. A temporary one if left out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        archive = write_small_archive(folder / "archive", arguments.patients, arguments.seed)
        return disturb(folder, archive, arguments.kills, arguments.seed, arguments.workers)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def write_small_archive(archive: Path, patients: int, seed: int) -> Path:
    """Write simulated patients, studies of a single slice that are read in no time, and files that are no DICOM."""
    if archive.exists():
        return archive
    archive.mkdir(parents=True)
    if patients:
        write_archive(archive, patients=patients, seed=seed, institution=1, matrix=128)
    return add_quick_files(archive, SINGLE_SLICES)


def disturb(folder: Path, archive: Path, kills: int, seed: int, workers: int) -> int:
    """Disturb sweeps until there were enough kills; count the databases that differ from the undisturbed one."""
    undisturbed = Night(archive, DatabaseFolder(folder / "undisturbed"), workers)
    lasts_s = undisturbed.lasts_s()
    reference = tables(undisturbed.place)
    say(f"seed {seed}; undisturbed: {lasts_s:.1f} s, {sum(sum(rows.values()) for rows in reference.values())} rows")
    rng = random.Random(seed)
    done: Counter[str] = Counter()
    differing = databases = 0
    while done.total() < kills:
        databases += 1
        place = DatabaseFolder(folder / f"database{databases}")
        struck_here, broken = disturbed(Night(archive, place, workers), rng, lasts_s, kills - done.total())
        done += struck_here
        different = broken + differences(reference, tables(place)) + missing_pictures(place)
        differing += bool(different)
        say(f"database {databases}: {'; '.join(different) or 'as undisturbed'} ({done.total()} kills so far)")
    told = ", ".join(f"{victim} {done[victim]}" for victim in VICTIMS)
    say(f"{done.total()} kills ({told}) in {databases} databases, {differing} of them differ from the undisturbed one")
    return 1 if differing else 0


@dataclass(frozen=True)
class Night:
    """What is swept into which database."""

    archive: Path
    place: DatabaseFolder
    workers: int

    def begun(self) -> subprocess.Popen[bytes]:
        """Start a sweep in a process group of its own and wait until it holds its database."""
        command = [sys.executable, "-c", "from screening.cli import main; main()", "sweep", str(self.archive)]
        options = ["--database", str(self.place.folder), "--workers", str(self.workers)]
        held_before = self.place.lock.stat().st_mtime_ns if self.place.lock.exists() else 0
        self.place.folder.parent.mkdir(parents=True, exist_ok=True)
        with self.place.folder.with_suffix(".log").open("ab") as log:
            process = subprocess.Popen([*command, *options], stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + PATIENCE_S
        while process.poll() is None and not self._held(held_before):
            assert time.monotonic() < deadline, "a sweep did not begin"
            time.sleep(0.05)
        return process

    def _held(self, before_ns: int) -> bool:
        return self.place.lock.exists() and self.place.lock.stat().st_mtime_ns > before_ns

    def lasts_s(self) -> float:
        """Sweep undisturbed; return the seconds from the hold of the database to the end."""
        process = self.begun()
        started = time.monotonic()
        status = process.wait(timeout=PATIENCE_S)
        assert status == 0, f"an undisturbed sweep ended with status {status}; see the log beside its database"
        return time.monotonic() - started


def disturbed(night: Night, rng: random.Random, lasts_s: float, most: int) -> tuple[Counter[str], list[str]]:
    """Sweep into one database, kill after kill, until a sweep comes to its end.

    Returns:
        The kills by victim, and what ended badly: a sweep has to get over the death of a worker.
    """
    kills: Counter[str] = Counter()
    broken: list[str] = []
    while True:
        victim, after_s = rng.choice(VICTIMS), rng.uniform(0, lasts_s)
        process = night.begun()
        killed = kills.total() < most and struck(process, victim, after_s)
        if killed:
            kills[victim] += 1
            say(f"  {victim} killed after {after_s:.2f} s")
        status = process.wait(timeout=PATIENCE_S)
        require_readable(night.place)
        if status == 0:
            return kills, broken
        if not killed or victim == "worker":
            broken.append(f"a sweep {'that lost a worker' if killed else 'left alone'} ended with status {status}")
        if not killed:
            return kills, broken


def struck(process: subprocess.Popen[bytes], victim: str, after_s: float) -> bool:
    """Kill at a moment; tell whether the sweep still ran, and had a worker if one was to be killed."""
    try:
        process.wait(timeout=after_s)
    except subprocess.TimeoutExpired:
        workers = workers_of(process.pid)
        if victim == "worker" and not workers:
            return False
        if victim in ("worker", "both"):
            kill(workers if victim == "both" else workers[:1])
        if victim in ("client", "both"):
            process.kill()
        return True
    return False


def workers_of(client: int) -> list[psutil.Process]:
    """Find the processes that read: those that the client spawned, its resource tracker apart."""
    children = psutil.Process(client).children(recursive=True)
    return [child for child in children if child.is_running() and "spawn_main" in " ".join(cmdline(child))]


def cmdline(process: psutil.Process) -> Sequence[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return ()


def kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # ended by itself meanwhile


def require_readable(place: DatabaseFolder) -> None:
    """Open what is published, as a reader would at any moment."""
    if place.published.exists():
        with duckdb.connect(place.published.resolve(), read_only=True) as connection:
            connection.execute("SELECT count(*) FROM outcome").fetchall()


def tables(place: DatabaseFolder) -> Tables:
    """Read every table of a publication as a bag of rows."""
    with duckdb.connect(place.published.resolve(), read_only=True) as connection:
        names = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' ORDER BY table_name"
        ).fetchall()
        steady = {name: rows_of(connection.table(name)) for (name,) in names if name not in OF_SWEEPS}
        return {**steady, "books of the last sweep": rows_of(connection.sql(LAST_BOOKS))}


def rows_of(table: duckdb.DuckDBPyRelation) -> Counter[str]:
    frame = table.df()
    steady = [column for column in frame.columns if column not in VOLATILE and not column.endswith("_at")]
    return Counter(str(row) for row in frame[steady].astype(str).to_dict("records"))


def differences(reference: Tables, found: Tables) -> list[str]:
    """Say of every table which rows it lacks and which it has beside."""
    return [
        f"{table}: lacks {list((reference.get(table, Counter()) - found.get(table, Counter())).elements())}, "
        f"has beside {list((found.get(table, Counter()) - reference.get(table, Counter())).elements())}"
        for table in sorted(reference.keys() | found.keys())
        if reference.get(table, Counter()) != found.get(table, Counter())
    ]


def missing_pictures(place: DatabaseFolder) -> list[str]:
    """Name the pictures that rows name and that are not whole."""
    with duckdb.connect(place.published.resolve(), read_only=True) as connection:
        named = connection.execute("SELECT evidence_file FROM study_bmd").fetchall()
    return [
        f"picture {name}"
        for (name,) in named
        if not (place.evidence / name).exists() or not (place.evidence / name).read_bytes().endswith(b"IEND\xaeB`\x82")
    ]


if __name__ == "__main__":
    sys.exit(main())
