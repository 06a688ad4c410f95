"""Sweep many simulated studies and watch memory and open handles: exit status 1 if they grow beyond noise.

    python tests/scale/soak.py [--studies 2000] [--workers 2] [--folder FOLDER] [--plot FILE.png]

A few simulated patients are written once and then copied under new UIDs, byte for byte otherwise. While the sweep reads
studies, resident memory and open handles of the client and of every worker are noted each second. After a warm-up the
slope is fitted to means of blocks of time, for neighbouring samples repeat each other.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import psutil
import pydicom
from PIL import Image, ImageDraw
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[1]))

from scale.killed import workers_of  # noqa: E402

from screening.simulation.archive_writer import write_archive  # noqa: E402
from screening.simulation.series_writer import deterministic_uid  # noqa: E402
from screening.store.database import DatabaseFolder  # noqa: E402

PATTERNS = 4
WARM_UP_SHARE = 0.25  # of the time in which studies are read: every kind of study was met, every buffer filled
BLOCKS = 20
# A night of 5,000 studies may cost so much more than one of none, and nobody would notice.
MEMORY_MIB_A_THOUSAND, HANDLES_A_THOUSAND = 16.0, 1.0
MIB = 1024.0**2
UID_KEYWORDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="for archive and database; kept. A temporary one if left out")
    parser.add_argument("--plot", type=Path, help="PNG of memory and handles over time")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        place = DatabaseFolder(folder / "database")
        if place.working.exists():
            raise SystemExit(f"{place.folder} holds results already: remove it, for what was read is not read again")
        archive = write_copies(folder, arguments.studies, arguments.seed)
        tracks = watched_sweep(archive, place, arguments.workers)
        read, measured = outcomes(place)
    if arguments.plot:
        plot(tracks, arguments.plot)
    say(f"{read} studies read, {measured} of them measured")
    # A worker that lived for moments says nothing about growth; the others have to be there.
    reading = tracks[0].reading  # the client's, which is there from first to last
    a_thousand_s = 1000.0 * (reading[-1][0] - reading[0][0]) / read
    judged = [judge(track, a_thousand_s) for track in tracks if len(track.reading) >= 2 * BLOCKS]
    return 0 if measured and all(judged) and len(judged) > arguments.workers else 1


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def write_copies(folder: Path, studies: int, seed: int) -> Path:
    """Write an archive of so many studies, each with UIDs and files of its own."""
    archive = folder / "archive"
    if archive.exists():
        return archive
    write_archive(folder / "patterns", patients=PATTERNS, seed=seed, institution=1, matrix=128)
    patterns = sorted((folder / "patterns" / "archive").glob("*/*"))
    needed = sum(path.stat().st_size for one in patterns for path in one.rglob("IM*")) * studies / len(patterns)
    if shutil.disk_usage(folder).free < 2 * needed:
        raise SystemExit(f"{needed / 2**30:.1f} GiB of studies leave too little room in {folder}")
    contents = [[(path.relative_to(one), path.read_bytes()) for path in sorted(one.rglob("IM*"))] for one in patterns]
    uids = [uids_of(one) for one in patterns]
    for number in range(studies):
        pattern = number % len(patterns)
        write_copy(archive / f"study{number:05}", contents[pattern], uids[pattern], number)
    say(f"{studies} studies of {len(patterns)} patterns, {needed / 2**30:.2f} GiB")
    return archive


def uids_of(study: Path) -> set[str]:
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in study.rglob("IM*")]
    return {str(header[keyword].value) for header in headers for keyword in UID_KEYWORDS if keyword in header}


def write_copy(folder: Path, contents: Sequence[tuple[Path, bytes]], uids: set[str], number: int) -> None:
    """Write one study; a new UID is as long as the one before, so that all else stands where it stood."""
    renamed = {uid.encode(): deterministic_uid(uid, number)[: len(uid)].ljust(len(uid), "1").encode() for uid in uids}
    for name, content in contents:
        for old, new in renamed.items():
            if old in content:
                content = content.replace(old, new)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@dataclass
class Track:
    """What was seen of one process: seconds since the start, MiB, handles; which samples fell into the reading."""

    name: str
    samples: list[tuple[float, float, float]] = field(default_factory=list)
    reading: list[tuple[float, float, float]] = field(default_factory=list)


def outcomes(place: DatabaseFolder) -> tuple[int, int]:
    """Count the studies that were read and, among them, those measured."""
    with duckdb.connect(place.published.resolve(), read_only=True) as connection:
        question = "SELECT count(*), count(*) FILTER (status = 'measured') FROM outcome"
        read, measured = connection.execute(question).fetchall()[0]
    return read, measured


def watched_sweep(archive: Path, place: DatabaseFolder, workers: int) -> list[Track]:
    """Sweep; return what was seen of each process."""
    log_path = place.folder.with_suffix(".log")
    command = [sys.executable, "-c", "from screening.cli import main; main()", "sweep", str(archive)]
    options = ["--database", str(place.folder), "--workers", str(workers)]
    tracks: dict[int, Track] = {}
    with log_path.open("wb") as log:
        client = psutil.Popen([*command, *options], stdout=log, stderr=log)
        tracks[client.pid] = Track("client")
        began = time.monotonic()
        while client.poll() is None:
            note(tracks, client, time.monotonic() - began, reading=stage_of(log_path) == "studies")
            time.sleep(1.0)
    say(log_path.read_text(encoding="utf-8")[-1500:])
    if client.returncode:
        raise SystemExit(f"the sweep ended with status {client.returncode}; see {log_path}")
    return list(tracks.values())


def stage_of(log: Path) -> str:
    """Tell by the log which stage is under way; none once the last study was read."""
    for line in reversed(log.read_text(encoding="utf-8").splitlines()):
        if line.startswith("{"):
            told = json.loads(line)
            if told.get("event") == "progress":
                return "" if told["done"] == told["total"] > 0 else str(told["stage"])
    return ""


def note(tracks: dict[int, Track], client: psutil.Process, now_s: float, *, reading: bool) -> None:
    for process in (client, *workers_of(client.pid)):
        track = tracks.setdefault(process.pid, Track(f"worker {len(tracks)}"))
        try:
            sample = (now_s, process.memory_info().rss / MIB, float(process.num_fds()))
        except psutil.NoSuchProcess:
            continue  # ended between the listing and the look
        track.samples.append(sample)
        if reading:
            track.reading.append(sample)


def judge(track: Track, a_thousand_s: float) -> bool:
    """Print slopes with their 95 % confidence interval, a thousand studies; tell whether they are as allowed."""
    flat = True
    kept = np.array(track.reading[int(WARM_UP_SHARE * len(track.reading)) :])
    for column, unit, allowed in ((1, "MiB", MEMORY_MIB_A_THOUSAND), (2, "handles", HANDLES_A_THOUSAND)):
        blocks = np.array([block.mean(axis=0) for block in np.array_split(kept, BLOCKS)])
        fit = stats.linregress(blocks[:, 0], blocks[:, column])
        error = 0.0 if np.ptp(blocks[:, column]) == 0 else fit.stderr  # what never changes has no scatter to fit
        half = float(stats.t.ppf(0.975, BLOCKS - 2)) * error * a_thousand_s
        slope = fit.slope * a_thousand_s
        within = slope <= allowed
        flat &= within
        say(
            f"{track.name}: {kept[:, column].min():.0f} to {kept[:, column].max():.0f} {unit}, slope {slope:+.1f} "
            f"({slope - half:+.1f} to {slope + half:+.1f}) {unit} a thousand studies, {allowed:g} allowed: "
            f"{'flat' if within else 'GROWS'}"
        )
    return flat


COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def plot(tracks: Sequence[Track], path: Path) -> None:
    """Draw memory and handles over time, one below the other."""
    image = Image.new("RGB", (900, 640), "white")
    draw = ImageDraw.Draw(image)
    last_s = max(sample[0] for track in tracks for sample in track.samples)
    for panel, (column, unit) in enumerate(((1, "resident memory, MiB"), (2, "open handles"))):
        top = 1.1 * max(sample[column] for track in tracks for sample in track.samples)
        foot = 300 + 310 * panel
        draw.line([(45, foot - 260), (45, foot), (855, foot)], fill="black")
        draw.text((45, foot - 285), f"{unit} (top of the axis {top:.0f})", fill="black")
        for number, track in enumerate(tracks):
            points = [(45 + 810 * sample[0] / last_s, foot - 260 * sample[column] / top) for sample in track.samples]
            draw.line(points, fill=COLOURS[number % len(COLOURS)], width=2)
            draw.text((400 + 90 * number, foot - 285), track.name, fill=COLOURS[number % len(COLOURS)])
    draw.text((730, 620), f"time, s (to {last_s:.0f})", fill="black")
    image.save(path)


if __name__ == "__main__":
    sys.exit(main())
