"""Read generated headers fast and with pydicom, and count where the two disagree: exit status 1 if they do anywhere.

    python tests/scale/headers_agree.py --count 5000 --seed 1

Seeds are printed, so that a disagreement can be made again. Ten neighbours share a seed.
"""

import argparse
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from archive.odd_headers import odd_series  # noqa: E402
from dicom_files import found  # noqa: E402

from screening.archive.header import FileProblem, FoundFile, NotIndexed, read_header  # noqa: E402
from screening.archive.header_reader import HeaderReader  # noqa: E402
from screening.archive.index import Instance  # noqa: E402

NEIGHBOURS = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    ways: Counter[str] = Counter()
    results: Counter[str] = Counter()
    differing = 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.seed, arguments.seed + arguments.count // NEIGHBOURS):
            files = write_series(Path(folder), seed)
            reader = HeaderReader()
            fast = [outcome(reader.read, file) for file in files]
            reference = [outcome(read_header, file) for file in files]
            ways.update(reader.counts)
            results.update("instance" if isinstance(one, Instance) else str(one[0]) for one in reference)
            if fast != reference:
                differing += 1
                sys.stdout.write(f"seed {seed}: {differences(fast, reference)}\n")
    sys.stdout.write(f"{sum(results.values())} headers from seed {arguments.seed}: {dict(results)}\n")
    sys.stdout.write(f"read by {dict(ways)}; series that differ: {differing}\n")
    return 1 if differing else 0


def write_series(folder: Path, seed: int) -> list[FoundFile]:
    paths = [folder / str(number) for number in range(NEIGHBOURS)]
    for path, content in zip(paths, odd_series(seed, NEIGHBOURS), strict=True):
        path.write_bytes(content)
    return [found(path) for path in paths]


def outcome(read, file: FoundFile) -> Instance | tuple[FileProblem, str]:  # type: ignore[no-untyped-def]
    try:
        return read(file)  # type: ignore[no-any-return]
    except NotIndexed as refused:
        return refused.problem, refused.detail


def differences(fast: list[object], reference: list[object]) -> list[str]:
    """Name the fields that differ."""
    pairs = [(one, two) for one, two in zip(fast, reference, strict=True) if one != two]
    return [
        str([name for name in Instance.__slots__ if getattr(one, name, one) != getattr(two, name, two)])
        for one, two in pairs
    ]


if __name__ == "__main__":
    sys.exit(main())
