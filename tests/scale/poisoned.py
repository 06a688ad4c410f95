"""Sweep many studies of which one kills every process that decodes it: it alone may be lost, after three strikes.

    python tests/scale/poisoned.py --studies 200 --workers 2

Exit status 1 if anything else is lost.
"""

import argparse
import functools
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1]))

from poisoned_readers import PoisonedReaders, decode_a_measurable_series, die, small_studies  # noqa: E402

from screening.config import Settings, SweepSettings  # noqa: E402
from screening.simulation.archive_writer import write_archive  # noqa: E402
from screening.store.database import DatabaseFolder  # noqa: E402
from screening.sweep import run_sweep  # noqa: E402


def progress(what: str, done: int, total: int) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {what}: {done} of {total}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_archive(folder / "simulated", patients=4, seed=1, institution=1, matrix=256)
        decode_a_measurable_series(folder / "simulated" / "archive", folder / "decoded")
        uids = small_studies(folder / "archive", arguments.studies)
        readers = functools.partial(PoisonedReaders, decoded=folder / "decoded", poison={uids[len(uids) // 3]: die})
        settings = Settings(sweep=SweepSettings(workers=arguments.workers))
        started = time.monotonic()
        with patch("screening.sweep.ReadersPlugin", readers):
            night = run_sweep([folder / "archive"], DatabaseFolder(folder / "db"), settings, progress=progress)
        seconds = time.monotonic() - started
    sys.stdout.write(
        f"{arguments.studies} studies, one of them deadly, {arguments.workers} workers, {seconds:.0f} s: "
        f"{night.measured_count} measured, {night.failed_count} failed, books {dict(night.books.series.buckets)}\n"
    )
    return 0 if (night.measured_count, night.failed_count) == (arguments.studies - 1, 1) else 1


if __name__ == "__main__":
    raise SystemExit(main())
