"""Folders -> the files in them, and what changed since the last look."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from screening.archive.header import FoundFile
from screening.errors import UserError


def require_folders(archives: Sequence[Path]) -> None:
    """Refuse a wrong path before anything is judged vanished.

    Raises:
        UserError: an archive is no folder.
    """
    for archive in archives:
        if not archive.is_dir():
            raise UserError(f"Expected a folder to sweep, found none at {archive}: check the path or the mount.")


def walk(archives: Sequence[Path]) -> Iterator[FoundFile]:
    """Yield every regular file below the archives, folders in name order, each real folder once.

    Symbolic links are followed; a loop ends because a folder is known by device and inode.
    """
    seen: set[tuple[int, int]] = set()
    for archive in archives:
        yield from _walk_folder(archive.absolute(), seen)


def _walk_folder(folder: Path, seen: set[tuple[int, int]]) -> Iterator[FoundFile]:
    pending = [folder]
    while pending:
        current = pending.pop()
        try:
            status = current.stat()
            with os.scandir(current) as entries:
                ordered = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            yield FoundFile(current, 0, 0, unreachable=True)
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        kinds = [(entry, _is_folder(entry)) for entry in ordered]
        pending.extend(Path(entry.path) for entry, is_folder in reversed(kinds) if is_folder)
        yield from (_found(entry) for entry, is_folder in kinds if not is_folder)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that points to itself
        return False


def _found(entry: "os.DirEntry[str]") -> FoundFile:
    """Describe a file; a dangling link, a socket or a file gone meanwhile becomes a counted problem later."""
    path = Path(entry.path)
    try:
        status = entry.stat()
    except OSError:
        return FoundFile(path, 0, 0, unreachable=True)
    return FoundFile(path, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Changes:
    """How the archive differs from its index."""

    found_count: int
    to_read: tuple[FoundFile, ...]  # new or changed since the last look
    vanished: frozenset[Path]  # indexed, but no longer there


def changes(found: Iterator[FoundFile], known: Mapping[Path, tuple[int, int]]) -> Changes:
    """Compare the files found with those known by path, size and modification time.

    What cannot be reached tonight, and what lies below it, has neither changed nor vanished.
    """
    to_read, unreachable = [], []
    seen = set()
    for file in found:
        seen.add(file.path)
        if file.unreachable:
            unreachable.append(file.path)
            if file.path in known:
                continue
        if known.get(file.path) != (file.size_bytes, file.mtime_ns):
            to_read.append(file)
    vanished = frozenset(path for path in known.keys() - seen if not below(path, unreachable))
    return Changes(len(seen), tuple(to_read), vanished)


def below(path: Path, folders: Iterable[Path]) -> bool:
    """Tell whether a path is one of these folders or lies in one of them."""
    return any(path.is_relative_to(folder) for folder in folders)


def require_still_there(archives: Sequence[Path], changed: Changes, known: Iterable[Path]) -> None:
    """Refuse an archive of which nothing is left: an unmounted folder is an empty one.

    Raises:
        UserError: every known file of an archive has vanished.
    """
    left = set(known) - changed.vanished | {file.path for file in changed.to_read}
    for archive in archives:
        if any(below(path, [archive]) for path in changed.vanished) and not any(
            below(path, [archive]) for path in left
        ):
            raise UserError(f"{archive} held files at the last sweep and holds none now: is it mounted?")
