"""Folders -> the files in them, and what changed since the last look."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from screening.archive.header import FoundFile
from screening.errors import UserError


def require_folders(archives: Sequence[Path]) -> None:
    """Refuse a wrong path or a mount that is not there before anything is judged vanished.

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
        status = current.stat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        try:
            with os.scandir(current) as entries:
                ordered = sorted(entries, key=lambda entry: entry.name)
        except (PermissionError, FileNotFoundError):
            yield FoundFile(current, status.st_size, status.st_mtime_ns)  # becomes a counted problem
            continue
        pending.extend(Path(entry.path) for entry in reversed(ordered) if entry.is_dir())
        yield from (_found(entry) for entry in ordered if not entry.is_dir())


def _found(entry: "os.DirEntry[str]") -> FoundFile:
    status = entry.stat(follow_symlinks=entry.is_file())  # a dangling link or a socket is a counted problem too
    return FoundFile(Path(entry.path), status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Changes:
    """How the archive differs from its index."""

    found_count: int
    to_read: tuple[FoundFile, ...]  # new or changed since the last look
    vanished: frozenset[Path]  # indexed, but no longer there


def changes(found: Iterator[FoundFile], known: Mapping[Path, tuple[int, int]]) -> Changes:
    """Compare the files found with those known by path, size and modification time."""
    to_read = []
    seen = set()
    for file in found:
        seen.add(file.path)
        if known.get(file.path) != (file.size_bytes, file.mtime_ns):
            to_read.append(file)
    return Changes(len(seen), tuple(to_read), frozenset(known.keys() - seen))
