"""Measure what indexing costs, as ratios within one run, medians of several rounds that take turns.

    python tests/scale/index_speed.py headers   --archive TREE [--files 2000]
    python tests/scale/index_speed.py unchanged --archive TREE --database FOLDER
    python tests/scale/index_speed.py workers   --archive TREE
    python tests/scale/index_speed.py growth    --archive TREE --database FOLDER [--plot FILE]

TREE is made by `screening.simulation.headers_only.write_headers_only`. `unchanged` and `growth` index it first if the
database does not hold it yet. Times are wall and CPU seconds of this process, for machines that others use too.
"""

import argparse
import os
import pickle
import resource
import statistics
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pydicom
from distributed import Client
from PIL import Image, ImageDraw

from screening.archive.folder import File, Listing, walk
from screening.archive.header_fields import FIELD_TAGS
from screening.archive.header_reader import ListedFiles, index_headers
from screening.cluster import local_cluster
from screening.config import Settings
from screening.indexing import IndexedArchives, update_index
from screening.store.database import create_schema
from screening.store.file_index import NOTHING_SETTLES, HeaderBatch, add_headers
from screening.store.ledger import ledger
from screening.streaming import Here, Workers

ROUNDS = 5
SETTINGS = Settings()
MIB = 1024.0**2
FLAT_MIB = 48.0  # what half a million files may cost: a tenth of what the process takes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=list(MEASUREMENTS))
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--database", type=Path, help="folder for the index; kept")
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--plot", type=Path, help="PNG of memory and files over time")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    return 0 if MEASUREMENTS[arguments.what](arguments) else 1


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def timed(action: Callable[[], object]) -> tuple[float, float]:
    """Return wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - wall, time.process_time() - cpu


def take_turns(actions: dict[str, Callable[[], object]], rounds: int) -> dict[str, tuple[float, float]]:
    """Return median wall and CPU seconds of each action, measured in turns after one round to warm up."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in actions}
    for number in range(rounds + 1):
        for name, action in actions.items():
            taken = timed(action)
            if number:
                times[name].append(taken)
    return {
        name: (statistics.median(wall for wall, _ in taken), statistics.median(cpu for _, cpu in taken))
        for name, taken in times.items()
    }


def verdict(name: str, value: float, limit: float, *, at_least: bool) -> bool:
    """Say whether a ratio meets its limit."""
    met = value >= limit if at_least else value <= limit
    say(f"{name}: {value:.2f} ({'at least' if at_least else 'at most'} {limit} wanted) {'ok' if met else 'MISSED'}")
    return met


def measure_headers(arguments: argparse.Namespace) -> bool:
    """First index against pydicom, one process, the same files."""
    listed = list(some_files(arguments.archive, arguments.files))
    paths = [f"{folder}/{name}" for folder, files in listed for name, _, _ in files]
    packed = pickle.dumps(listed)
    with tempfile.TemporaryDirectory() as folder:
        databases = iter([empty_index(Path(folder) / str(number)) for number in range(arguments.rounds + 1)])
        taken = take_turns(
            {
                "pydicom": lambda: [all_tags(path) for path in paths],
                "headers": lambda: index_headers(packed),
                "first index": lambda: index_here(next(databases), packed),
            },
            arguments.rounds,
        )
    for name, (wall, cpu) in taken.items():
        say(f"{name}: {len(paths) / wall:,.0f} files/s, {1e6 * cpu / len(paths):.0f} us CPU a file")
    say(f"by wall clock: {taken['pydicom'][0] / taken['first index'][0]:.1f}x")
    by_cpu = taken["pydicom"][1] / taken["first index"][1]
    return verdict("first index against pydicom, by CPU time", by_cpu, 10.0, at_least=True)


def some_files(archive: Path, count: int) -> Iterator[ListedFiles]:
    folders = ((listing.path, listing.files) for listing in walk([archive]) if listing.files)
    room = count
    for path, files in folders:
        yield path, files[:room]
        room -= len(files)
        if room <= 0:
            return


def all_tags(path: str) -> list[object]:
    header = pydicom.dcmread(path, stop_before_pixels=True)
    return [header.get(tag) for tag in FIELD_TAGS]


def empty_index(path: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(path)
    create_schema(connection)
    return connection


@contextmanager
def elsewhere(workers: int) -> Iterator[Client]:
    """Worker processes, as the sweep starts them."""
    with local_cluster(workers) as cluster, Client(cluster) as client:
        client.wait_for_workers(workers, timeout=120)
        yield client


def index_here(connection: duckdb.DuckDBPyConnection, packed: bytes) -> None:
    """Do what the sweep does with some files, without Dask: read, pack, store."""
    finished = [Listing(path, 1, files, ()) for path, files in pickle.loads(packed)]
    add_headers(connection, [HeaderBatch(*pickle.loads(index_headers(packed)))], finished)
    connection.close()


def index(
    connection: duckdb.DuckDBPyConnection, workers: Workers | Here, archive: Path, *, full: bool
) -> IndexedArchives:
    return update_index(
        connection, workers, [archive], SETTINGS, lambda what, done, total: None, lambda: False, full=full
    )


@contextmanager
def opened(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(folder / "index.duckdb", config={"storage_compatibility_version": "v1.4.0"}) as connection:
        create_schema(connection)
        yield connection


def measure_unchanged(arguments: argparse.Namespace) -> bool:
    """Directory pass and full pass of an archive that did not change, against a bare walk."""
    found: list[IndexedArchives] = []
    workers = Here()  # in this process, so that its memory is all there is
    with opened(arguments.database) as connection:
        first = index(connection, workers, arguments.archive, full=True)
        say(f"{first.found_count:,} files, {first.read_count:,} read, peak {peak_mib():.0f} MiB so far")
        index(connection, workers, arguments.archive, full=True)  # folders are trusted once they are two seconds old
        taken = take_turns(
            {
                "bare walk": lambda: bare_walk(arguments.archive),
                "directory pass": lambda: found.append(index(connection, workers, arguments.archive, full=False)),
                "full pass": lambda: found.append(index(connection, workers, arguments.archive, full=True)),
            },
            arguments.rounds,
        )
    for name, (wall, cpu) in taken.items():
        say(f"{name}: {1e3 * wall:.0f} ms, CPU {1e3 * cpu:.0f} ms")
    bare = taken["bare walk"]
    same = {(one.found_count, one.read_count) for one in found} == {(first.found_count, 0)}
    say(f"every pass found all files and read none: {same}")
    met = [
        verdict(f"{name} against a bare walk, by {clock}", taken[name][place] / bare[place], limit, at_least=False)
        for name, limit in (("directory pass", 0.25), ("full pass", 1.6))
        for place, clock in enumerate(("wall clock", "CPU time"))
    ]
    return same and all(met) & verdict("peak memory, MiB", peak_mib(), 400.0, at_least=False)


def bare_walk(archive: Path) -> list[File]:
    """What the operating system asks for names, sizes and times: nothing is compared or kept beyond that."""
    pending, files = [str(archive)], []
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    pending.append(entry.path)
                else:
                    status = entry.stat()
                    files.append((entry.name, status.st_size, status.st_mtime_ns))
    return files


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def measure_workers(arguments: argparse.Namespace) -> bool:
    """First index with one and with two worker processes."""
    with elsewhere(1) as alone, elsewhere(2) as both:
        for client in (alone, both):
            client.run(index_headers, pickle.dumps(list(some_files(arguments.archive, 100))))
        taken = take_turns(
            {
                "one worker": lambda: first_index(alone, arguments.archive),
                "two workers": lambda: first_index(both, arguments.archive),
            },
            arguments.rounds,
        )
    for name, (wall, cpu) in taken.items():
        say(f"{name}: {wall:.2f} s, CPU of the client {cpu:.2f} s")
    return verdict("two workers against one", taken["one worker"][0] / taken["two workers"][0], 1.7, at_least=True)


def first_index(client: Client, archive: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as connection:
        index(connection, Workers(client), archive, full=True)


def measure_growth(arguments: argparse.Namespace) -> bool:
    """First and incremental index of a large tree: books, bytes a file, memory over time."""
    met = []
    with opened(arguments.database) as connection, elsewhere(1) as client, watched(client) as memory:
        for name, full in (("first", True), ("second, directory pass", False), ("third, full pass", True)):
            started = time.perf_counter(), time.process_time()
            found = index(connection, Workers(client), arguments.archive, full=full)
            wall, cpu = time.perf_counter() - started[0], time.process_time() - started[1]
            books = ledger(connection, found=found.found_count, unvisited=0, unread=0, settling=NOTHING_SETTLES)
            say(f"{name}: {found.found_count:,} files, {found.read_count:,} read, {wall:.1f} s, CPU {cpu:.1f} s")
            say(f"books add up: {books.adds_up}; {books}")
            met.append(books.adds_up and (name == "first" or found.read_count == 0))
        connection.execute("CHECKPOINT")
    size = (arguments.database / "index.duckdb").stat().st_size
    for number, name in enumerate(WATCHED):
        track = [mib[number] for _, mib in memory]
        quarters = [track[len(track) * k // 4 :][: len(track) // 4 + 1] for k in range(4)]
        most = ", ".join(f"{max(part):.0f}" for part in quarters)
        say(f"memory of the {name}: {track[0]:.0f} MiB at the start, at most by quarters {most} MiB")
        grown = statistics.median(quarters[3]) - statistics.median(quarters[1])
        met.append(verdict(f"{name}, median of the last quarter over the second, MiB", grown, FLAT_MIB, at_least=False))
    if arguments.plot:
        plot(memory, arguments.plot)
    return all(met) & verdict("index, bytes a file", size / found.found_count, 120.0, at_least=False)


WATCHED = ("client", "worker")
Sample = tuple[float, tuple[float, ...]]  # seconds, MiB of each process watched


@contextmanager
def watched(client: Client) -> Iterator[list[Sample]]:
    """Note the resident memory of this process and of the worker's, each second."""
    processes = [os.getpid(), *client.run(os.getpid).values()]
    began = time.monotonic()
    samples: list[Sample] = [(0.0, resident_mib(processes))]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(1.0):
            samples.append((time.monotonic() - began, resident_mib(processes)))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def resident_mib(processes: list[int]) -> tuple[float, ...]:
    texts = [Path(f"/proc/{process}/statm").read_text(encoding="ascii") for process in processes]
    return tuple(int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB for text in texts)


def plot(memory: list[Sample], path: Path) -> None:
    """Draw memory over time as a PNG, without a plotting library."""
    width, height, margin = 900, 320, 45
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    last, top = memory[-1][0], 1.1 * max(max(mib) for _, mib in memory)
    draw.line([(margin, margin), (margin, height - margin), (width - margin, height - margin)], fill="black")
    for number, (name, colour) in enumerate(zip(WATCHED, ("#0072B2", "#D55E00"), strict=True)):
        points = [
            (margin + (width - 2 * margin) * at / last, height - margin - (height - 2 * margin) * mib[number] / top)
            for at, mib in memory
        ]
        draw.line(points, fill=colour, width=2)
        draw.text((margin + 330 + 80 * number, 10), name, fill=colour)
    draw.text((margin, 10), f"resident memory, MiB (top of the axis {top:.0f})", fill="black")
    draw.text((width - 200, height - 30), f"time, s (to {last:.0f})", fill="black")
    image.save(path)


MEASUREMENTS = {
    "headers": measure_headers,
    "unchanged": measure_unchanged,
    "workers": measure_workers,
    "growth": measure_growth,
}

if __name__ == "__main__":
    sys.exit(main())
