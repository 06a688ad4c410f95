"""Read headers fast and with pydicom, and count where the two disagree: exit status 1 if they do anywhere.

    python tests/scale/header_equality.py [--count 5000] [--seed 1] [--folder FOLDER ...]
    python tests/scale/header_equality.py --planted

The headers are generated, those of `--folder` (by default the zoo beside the repository, where it is) and those that
pydicom ships. Seeds are printed, so that a disagreement can be made again; ten neighbours share a seed. `--planted`
breaks one rule of the fast reading after the other and expects the generated headers to find each of these faults.
Rules that another one backs up (order of tags, ends of sequences and files) are not among them.
"""

import argparse
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import ANY, patch

import pydicom.data

sys.path.insert(0, str(Path(__file__).parents[1]))

from archive.odd_headers import odd_series  # noqa: E402

from screening.archive import header_layout  # noqa: E402
from screening.archive.folder import files_below  # noqa: E402
from screening.archive.header import FileProblem, FoundFile, NotIndexed, read_header  # noqa: E402
from screening.archive.header_reader import HeaderReader  # noqa: E402
from screening.archive.index import Instance  # noqa: E402

NEIGHBOURS = 10
SHIPPED = Path(pydicom.data.__file__).parent
ZOO = Path(__file__).parents[2].parent / "shared" / "data" / "zoo"

Outcome = Instance | tuple[FileProblem, str]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, nargs="*", default=[ZOO] if ZOO.exists() else [])
    parser.add_argument("--planted", action="store_true", help="expect planted faults to be found")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    seeds = range(arguments.seed, arguments.seed + arguments.count // NEIGHBOURS)
    if arguments.planted:
        found = [finds(name, seeds) for name in FAULTS]  # each of them is tried
        return 0 if all(found) else 1
    differing = show(f"generated, seeds {seeds.start} to {seeds.stop - 1}", generated(seeds))
    for folder in (*arguments.folder, SHIPPED):
        differing += show(folder.name, {folder.name: compared(list(files_below(folder)))})
    return 1 if differing else 0


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class Comparison:
    """What two readings of some files gave."""

    ways: Counter[str]  # of the fast reading
    outcomes: Counter[str]  # by pydicom
    differences: list[str] = field(default_factory=list)


def show(title: str, comparisons: dict[str, Comparison]) -> int:
    """Print what was compared; return the number of files that differ."""
    ways = sum((one.ways for one in comparisons.values()), Counter[str]())
    outcomes = sum((one.outcomes for one in comparisons.values()), Counter[str]())
    differing = sum(len(one.differences) for one in comparisons.values())
    for name, one in comparisons.items():
        for difference in one.differences:
            say(f"{name}: {difference}")
    say(
        f"{title}: {outcomes.total()} files, differing {differing}; by layout {ways['layout']}, walked {ways['walk']}, "
        f"pydicom {ways['pydicom']}; {', '.join(f'{name} {count}' for name, count in outcomes.most_common())}"
    )
    return differing


def generated(seeds: range) -> dict[str, Comparison]:
    with tempfile.TemporaryDirectory() as folder:
        return {f"seed {seed}": compared(write_series(Path(folder), seed)) for seed in seeds}


def write_series(folder: Path, seed: int) -> list[FoundFile]:
    for number, content in enumerate(odd_series(seed, NEIGHBOURS)):
        (folder / str(number)).write_bytes(content)
    return list(files_below(folder))


def compared(files: Sequence[FoundFile]) -> Comparison:
    """Read the files one after the other with one fast reader, and each with pydicom."""
    reader = HeaderReader()
    fast = [outcome(reader.read, file) for file in files]
    reference = [outcome(read_header, file) for file in files]
    return Comparison(
        ways=Counter(reader.counts),
        outcomes=Counter("instance" if isinstance(one, Instance) else str(one[0]) for one in reference),
        differences=[
            f"file {file.path.name}: {differing_fields(one, two)}"
            for file, one, two in zip(files, fast, reference, strict=True)
            if one != two
        ],
    )


def outcome(read: Callable[[FoundFile], Instance], file: FoundFile) -> Outcome:
    try:
        return read(file)
    except NotIndexed as refused:
        return refused.problem, refused.detail


def differing_fields(fast: Outcome, reference: Outcome) -> str:
    if isinstance(fast, Instance) and isinstance(reference, Instance):
        names = [name for name in Instance.__slots__ if getattr(fast, name) != getattr(reference, name)]
        return ", ".join(names)
    return " against ".join("instance" if isinstance(one, Instance) else str(one) for one in (fast, reference))


def finds(name: str, seeds: range) -> bool:
    """Say whether a planted fault is found."""
    with FAULTS[name]():
        comparisons = generated(seeds)
    found = sum(len(one.differences) for one in comparisons.values())
    say(f"{name}: {found} files differ {'' if found else 'NOT FOUND'}")
    return found > 0


@contextmanager
def tags_not_compared() -> Iterator[None]:
    """Whatever stands where a tag, representation or length was expected is taken for it."""
    runs = header_layout._runs
    with patch.object(
        header_layout, "_runs", lambda shape, varying: [replace(run, expected=ANY) for run in runs(shape, varying)]
    ):
        yield


@contextmanager
def end_not_compared() -> Iterator[None]:
    """A header is taken to end where its neighbour's did."""
    with patch.object(header_layout.Layout, "_ends", lambda layout, head, position: True):
        yield


@contextmanager
def varying_value_lost() -> Iterator[None]:
    """A value of varying length is passed over and not taken."""
    runs = header_layout._runs
    with patch.object(
        header_layout,
        "_runs",
        lambda shape, varying: [replace(run, varying_place=None) for run in runs(shape, varying)],
    ):
        yield


@contextmanager
def character_set_forgotten() -> Iterator[None]:
    """Every text is read as ASCII."""
    with patch.object(header_layout, "encodings_named", lambda character_set: ("iso8859",)):
        yield


@contextmanager
def same_length_taken_for_same() -> Iterator[None]:
    """A value as long as that of the file before is not read again."""
    converted = HeaderReader._converted

    def stale(reader: HeaderReader, raw: header_layout.RawHeader) -> tuple[object, ...]:
        before = reader._before
        if before is None:
            return converted(reader, raw)
        pairs = zip(converted(reader, raw), raw.values, before.raw.values, before.values, strict=True)
        return tuple(known if len(one or b"") == len(two or b"") else new for new, one, two, known in pairs)

    with patch.object(HeaderReader, "_converted", stale):
        yield


FAULTS = {
    fault.__name__: fault
    for fault in (
        tags_not_compared,
        end_not_compared,
        varying_value_lost,
        character_set_forgotten,
        same_length_taken_for_same,
    )
}

if __name__ == "__main__":
    sys.exit(main())
