"""Archive -> files and studies that stand for it, drawn at random among what a short walk meets."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from screening.archive.folder import Listing, found_file, walk
from screening.archive.header import FileProblem, FoundFile
from screening.archive.header_reader import read_headers
from screening.archive.index import Study, studies_of
from screening.errors import UserError
from screening.progress import Progress

LOOKED_AT_FILES: Final = 200_000  # enough for the speed of a walk; a hospital's whole archive would take minutes
FILES_A_STUDY: Final = 10_000  # no study of the sample is larger; bounds the search for studies
SERIES_FOLDERS: Final = 100  # a folder with more of them holds studies, not the series of one
SEED: Final = 1
# What cannot be timed: pipes and devices have no head, and some files break the reader.
_UNREAD: Final = frozenset({FileProblem.NOT_A_FILE, FileProblem.READER_FAILED})


@dataclass(frozen=True, slots=True)
class Look:
    """The folders that were listed."""

    root: str
    listings: tuple[Listing, ...]
    file_count: int
    seconds: float
    whole: bool  # False: the archive holds more


@dataclass(frozen=True, slots=True)
class Sample:
    """Files whose headers were read, but for pipes and those that break the reader, and the studies they belong to."""

    files: tuple[FoundFile, ...]
    studies: tuple[Study, ...]
    problems: Counter[str]


def look_at(archive: Path, progress: Progress) -> Look:
    """List folders until enough files were seen; the clock stands still while progress is shown."""
    listings: list[Listing] = []
    count, seconds, looks = 0, 0.0, walk([archive])
    while count < LOOKED_AT_FILES:
        started = time.perf_counter()
        listing = next(looks, None)
        seconds += time.perf_counter() - started
        if listing is None:
            break
        listings.append(listing)
        count += len(listing.files)
        if listing.files:
            progress("walk", count, max(LOOKED_AT_FILES, count + 1))  # its end is told once
    progress("walk", count, count)
    return Look(str(archive.absolute()), tuple(listings), count, seconds, whole=listing is None)


def sample_of(look: Look, files: int, studies: int, progress: Progress) -> Sample:
    """Read headers of places drawn at random until there are enough files and studies.

    Raises:
        UserError: there is no study.
    """
    read: list[FoundFile] = []
    found: list[Study] = []
    problems: Counter[str] = Counter()
    for place in _places(look):
        progress("sample", len(read), max(files, len(read) + 1))
        instances, refused = read_headers(place)
        unread = {file.path for file, problem in refused if problem.problem in _UNREAD}
        read += [file for file in place if file.path not in unread]
        problems.update(str(problem.problem) for _, problem in refused)
        found += studies_of(instances)
        if len(read) >= files and len(found) >= studies:
            break
    progress("sample", len(read), len(read))
    if not found:
        reasons = ", ".join(f"{reason} {count}" for reason, count in problems.most_common()) or "no file at all"
        raise UserError(f"Found no DICOM image of a study in {look.root}: {reasons}.")
    return Sample(tuple(read), tuple(found[:studies]), problems)


def _places(look: Look) -> Iterator[list[FoundFile]]:
    """Yield the files of places that may hold whole studies: a folder with its neighbours, or a folder alone."""
    neighbours = Counter(_parent(listing.path) for listing in look.listings)
    places: dict[str, list[Listing]] = {}
    for listing in look.listings:
        parent = _parent(listing.path)
        alone = look.root in (listing.path, parent) or neighbours[parent] > SERIES_FOLDERS
        places.setdefault(listing.path if alone else parent, []).append(listing)
    drawn = [folders for _, folders in sorted(places.items())]
    random.Random(SEED).shuffle(drawn)
    for folders in drawn:
        found = (found_file(folder.path, file) for folder in folders for file in folder.files)
        files = list(islice(found, FILES_A_STUDY))
        if files:
            yield files


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
