"""Archives -> folders with what they hold, either all of them or those that changed since the last look.

Adding, removing or renaming a file touches the folder it lies in; rewriting a file in place does not. So a night looks
at the modification time of every known folder (`revisit`), and now and then at every file (`walk`).
"""

import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from screening.archive.header import FoundFile
from screening.errors import UserError

# Coarsest modification time in use (FAT: 2 s): a folder this young may change again without a trace.
_CLOCK_TICK_NS: Final = 2_000_000_000
NOT_TRUSTED: Final = 0  # stands for the time of a folder that has to be listed again
UNREACHABLE_BYTES: Final = -1  # size of a file that is there but could not be looked at

File = tuple[str, int, int]  # name, size in bytes, modification time in ns
_Place = tuple[int, int]  # device and inode: a folder is visited once, however many links lead there


@dataclass(frozen=True, slots=True)
class KnownFolder:
    """A folder as it was at the last look."""

    mtime_ns: int
    digest: bytes
    file_count: int
    reachable: bool

    @property
    def never_listed(self) -> bool:
        """Whether it is known by its name in another folder alone."""
        return self.reachable and not self.digest and not self.file_count


@dataclass(frozen=True, slots=True)
class Listing:
    """A folder as it is now."""

    path: str
    mtime_ns: int  # NOT_TRUSTED where it may change again within the tick of its clock
    files: tuple[File, ...]  # in name order
    folders: tuple[str, ...]  # names, in name order
    reachable: bool = True

    @property
    def folder_paths(self) -> tuple[str, ...]:
        """Paths of the folders in it."""
        return tuple(_join(self.path, name) for name in self.folders)

    @property
    def unreachable_files(self) -> tuple[File, ...]:
        """What could not be looked at, so that it may be a folder."""
        return tuple(file for file in self.files if file[1] == UNREACHABLE_BYTES)

    @property
    def digest(self) -> bytes:
        """Digest name, size and time of every file."""
        return hashlib.blake2b(repr(self.files).encode(), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A known folder whose modification time says that no file came, went or was renamed."""

    path: str


@dataclass(frozen=True, slots=True)
class Gone:
    """A known folder that is no longer there."""

    path: str


def require_folders(archives: Sequence[Path]) -> None:
    """Refuse a wrong path before anything is judged vanished.

    Raises:
        UserError: an archive is no folder.
    """
    for archive in archives:
        if not archive.is_dir():
            raise UserError(f"Expected a folder to sweep, found none at {archive}: check the path or the mount.")


def require_apart(archives: Sequence[Path], folder: Path) -> None:
    """Refuse to keep the database where it would be swept itself.

    Raises:
        UserError: `folder` lies in an archive.
    """
    for archive in archives:
        if folder.resolve().is_relative_to(archive.resolve()):
            raise UserError(f"The database folder {folder} lies in the archive {archive}: choose one outside of it.")


def require_still_there(archives: Sequence[Path], known: Mapping[str, KnownFolder]) -> None:
    """Refuse an archive of which nothing is left: an unmounted folder is an empty one.

    Raises:
        UserError: every known file of an archive has vanished, and none has come.
    """
    for archive in archives:
        held = any(folder.file_count and below(path, [str(archive)]) for path, folder in known.items())
        if held and not any(listing.files or not listing.reachable for listing in walk([archive])):
            raise UserError(f"{archive} held files at the last sweep and holds none now: is it mounted?")


def below(path: str, folders: Sequence[str]) -> bool:
    """Tell whether a path is one of these folders or lies in one of them."""
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def walk(archives: Sequence[Path]) -> Iterator[Listing]:
    """Yield every folder below the archives with its files, in name order, each real folder once.

    Symbolic links are followed; a loop ends because a folder is known by device and inode.
    """
    yield from _walk([str(archive.absolute()) for archive in archives], set())


def revisit(archives: Sequence[Path], known: Mapping[str, KnownFolder]) -> Iterator[Listing | Unchanged | Gone]:
    """Yield every known folder below the archives and those that are new, listing only what may have changed."""
    roots = [str(archive.absolute()) for archive in archives]
    seen: set[_Place] = set()
    changed: list[str] = []
    # What was never listed comes last: it may be another way to a folder that was.
    for path in sorted((path for path in known if below(path, roots)), key=lambda path: known[path].never_listed):
        try:
            status = os.stat(path)  # noqa: PTH116  a Path for each of 100,000 folders would take longer than the look
        except (FileNotFoundError, NotADirectoryError):
            yield Gone(path)
            continue
        except OSError:
            yield Listing(path, NOT_TRUSTED, (), (), reachable=False)
            continue
        if known[path].never_listed and (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        if status.st_mtime_ns == known[path].mtime_ns:
            yield Unchanged(path)
        else:
            changed.append(path)
    for path in changed:
        listing = _listing(path)
        yield listing
        yield from _walk([folder for folder in listing.folder_paths if folder not in known], seen)
    yield from _walk([root for root in roots if root not in known], seen)


def _walk(folders: Sequence[str], seen: set[_Place]) -> Iterator[Listing]:
    pending = list(reversed(folders))
    while pending:
        path = pending.pop()
        place = _place(path)
        if place in seen:
            continue
        if place is not None:
            seen.add(place)
        listing = _listing(path)
        yield listing
        pending.extend(reversed(listing.folder_paths))


def _place(path: str) -> _Place | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _listing(path: str) -> Listing:
    """List a folder; a dangling link, or a file gone meanwhile, becomes a counted problem later."""
    files: list[File] = []
    folders: list[str] = []
    try:
        mtime_ns = os.stat(path).st_mtime_ns  # noqa: PTH116  before listing: what comes meanwhile is seen the next night
        with os.scandir(path) as entries:
            for entry in entries:
                try:
                    if entry.is_dir():
                        folders.append(entry.name)
                        continue
                    status = entry.stat()
                    files.append((entry.name, status.st_size, status.st_mtime_ns))
                except OSError:  # a link that points to itself, or nowhere
                    files.append((entry.name, UNREACHABLE_BYTES, 0))
    except OSError:
        return Listing(path, NOT_TRUSTED, (), (), reachable=False)
    files.sort()
    folders.sort()
    settled = time.time_ns() - mtime_ns > _CLOCK_TICK_NS
    return Listing(path, mtime_ns if settled else NOT_TRUSTED, tuple(files), tuple(folders))


def _join(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}"


def folder_id(path: str) -> int:
    """Return a number that stands for a folder: a digest of its path in 64 bits."""
    return int.from_bytes(hashlib.blake2b(os.fsencode(path), digest_size=8).digest(), signed=True)


def found_file(folder: str, file: File) -> FoundFile:
    """Describe a listed file for those who read it."""
    name, size_bytes, mtime_ns = file
    path = Path(_join(folder, name))
    if size_bytes == UNREACHABLE_BYTES:
        return FoundFile(path, 0, 0, unreachable=True)
    return FoundFile(path, size_bytes, mtime_ns)


def files_below(folder: Path) -> Iterator[FoundFile]:
    """Yield every file below a folder."""
    for listing in walk([folder]):
        yield from (found_file(listing.path, file) for file in listing.files)


def found_folder(folder: str) -> FoundFile:
    """Describe a folder that cannot be listed, so that it is counted."""
    return FoundFile(Path(folder), 0, 0, unreachable=True)


@dataclass(frozen=True, slots=True)
class FolderChanges:
    """How a folder's files differ from those known."""

    to_read: tuple[File, ...]  # new, or changed in size or time
    changed: frozenset[str]  # names among them that were known
    vanished: frozenset[str]  # names


def folder_changes(listing: Listing, known: Mapping[str, tuple[int, int]]) -> FolderChanges:
    """Compare a folder with what is known of it, file by file.

    What cannot be reached tonight, and what lies below it, has neither changed nor vanished.
    """
    if not listing.reachable:
        return FolderChanges((), frozenset(), frozenset())
    names = {file[0] for file in listing.files}
    to_read = tuple(
        file
        for file in listing.files
        if known.get(file[0]) != file[1:] and not (file[1] == UNREACHABLE_BYTES and file[0] in known)
    )
    changed = frozenset(file[0] for file in to_read if file[0] in known)
    return FolderChanges(to_read, changed, frozenset(known.keys() - names))
