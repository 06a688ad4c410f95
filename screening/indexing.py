"""Archives -> an index that is up to date: look for what changed, read its headers, store.

The archive streams through, folder by folder: nothing here grows with the number of files. A folder is entered once
all its files are in the index, so a sweep that dies or is stopped goes on there the next night.
"""

import pickle
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import duckdb

from screening.archive.folder import (
    Gone,
    KnownFolder,
    Listing,
    Unchanged,
    below,
    folder_changes,
    found_file,
    require_still_there,
    revisit,
    walk,
)
from screening.archive.header import FileProblem, NotIndexed
from screening.archive.header_reader import ListedFiles, index_headers
from screening.config import Settings, SweepSettings
from screening.path_mapping import index_headers_elsewhere
from screening.progress import Progress
from screening.store.database import MemoryCare
from screening.store.file_index import (
    HeaderBatch,
    SeriesKey,
    add_headers,
    adopt_earlier_rows,
    forget_files,
    forget_folders,
    known_files,
)
from screening.store.folder_index import forget_unreachable, known_folders, record_full_walk, write_unreachable
from screening.streaming import Done, Here, Workers, stream

_FOLDERS_AT_ONCE: Final = 64  # compared with the index in one query
_COMMIT_FILES: Final = 5000
_COMMIT_EVERY_S: Final = 1.0

Look = Listing | Unchanged | Gone
Batch = list[ListedFiles]


@dataclass(frozen=True, slots=True)
class IndexedArchives:
    """What one look at the archives found and did."""

    full: bool  # every file was looked at, not only its folder
    found_count: int  # files that are there, and folders that cannot be listed
    read_count: int  # headers read tonight
    unread_count: int  # new or changed, but the sweep was stopped before
    unvisited_count: int  # known files that were not looked at: of other archives, below a closed folder, or stopped
    added_count: int
    changed_count: int
    moved_count: int  # gone in one place and come in another, within a series
    vanished_count: int


def update_index(
    connection: duckdb.DuckDBPyConnection,
    workers: Workers | Here,
    archives: Sequence[Path],
    settings: Settings,
    progress: Progress,
    stopping: Callable[[], bool],
    *,
    full: bool,
) -> IndexedArchives:
    """Bring the index up to date, by a look at every file if `full`, else at the folders that changed.

    Raises:
        UserError: an archive that held files holds none any more.
    """
    started_ns = time.time_ns()
    roots = [archive.resolve() for archive in archives]
    adopt_earlier_rows(connection)
    known = known_folders(connection)
    require_still_there(roots, known)
    update = _Update(connection, known, stopping)
    looks = walk(roots) if full else revisit(roots, known)
    update.read(workers, looks, settings.sweep, progress)
    if not stopping():
        update.forget_gone([str(root) for root in roots] if full else [])
        if full:
            record_full_walk(connection, roots, started_ns)
    return update.result(full=full)


class _Update:
    """One look at the archives: what was found so far, which folders wait for their headers, what is to be stored."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, known: dict[str, KnownFolder], stopping: Callable[[], bool]
    ) -> None:
        self._connection = connection
        self._known = known
        self._unvisited = dict(known)
        self._stopping = stopping
        self._closed: list[str] = []  # folders that cannot be listed tonight
        self._gone: list[str] = []
        self._waiting: dict[str, tuple[Listing, int]] = {}  # a folder and how many of its headers are still to come
        self._batches: list[HeaderBatch] = []  # not yet stored
        self._finished: list[Listing] = []  # not yet stored
        self._stored_at = time.monotonic()
        self._let_memory_go = MemoryCare(connection)
        self._lost: Counter[SeriesKey] = Counter()
        self._gained: Counter[SeriesKey] = Counter()
        self._count: Counter[str] = Counter()

    def read(self, workers: Workers | Here, looks: Iterator[Look], settings: SweepSettings, progress: Progress) -> None:
        """Read the headers of what is new or changed and store them; a batch that was lost is read file by file."""
        progress("headers", 0, 0)
        listed: Iterable[ListedFiles] = self._to_read(looks)
        elsewhere = settings.mapping_of_workers
        function, *mapping = (index_headers_elsewhere, elsewhere) if elsewhere else (index_headers,)
        for size in (settings.header_batch, 1):
            lost: list[ListedFiles] = []
            items = ((batch, (pickle.dumps(batch), *mapping)) for batch in _batches(listed, size))
            for wave in stream(workers, function, items, deadline_s=settings.study_deadline_s, stopping=self._stopping):
                for done in wave:
                    lost.extend(self._take(done))
                self._store_now_and_then()
                progress("headers", self._count["read"], self._count["to_read"])
            listed = lost
        self._store()

    def _take(self, done: Done[Batch]) -> Iterator[ListedFiles]:
        """Take what a batch gave; yield its files one by one where the batch was lost."""
        files = [(folder, file) for folder, files in done.item for file in files]
        if done.result is None and len(files) > 1:
            yield from ((folder, (file,)) for folder, file in files)
            return
        if done.result is None:
            problem = NotIndexed(FileProblem.READER_FAILED, done.lost_to or "")
            self._batches.append(HeaderBatch((), tuple((found_file(*one), problem) for one in files)))
        else:
            self._batches.append(HeaderBatch(*pickle.loads(done.result)))
        self._count["read"] += len(files)
        for folder, part in done.item:
            listing, left = self._waiting.pop(folder)
            if left > len(part):
                self._waiting[folder] = (listing, left - len(part))
            else:
                self._finished.append(listing)

    def _store_now_and_then(self) -> None:
        buffered = sum(series.instance_count for batch in self._batches for series in batch.series)
        if buffered >= _COMMIT_FILES or time.monotonic() - self._stored_at > _COMMIT_EVERY_S:
            self._store()

    def _store(self) -> None:
        self._count["moved"] += add_headers(self._connection, self._batches, self._finished)
        for series in (series for batch in self._batches for series in batch.series):
            key = (series.study_instance_uid, series.series_instance_uid)
            if key in self._lost:
                self._gained[key] += series.instance_count + series.copy_count
        self._batches, self._finished, self._stored_at = [], [], time.monotonic()
        self._let_memory_go()

    def _to_read(self, looks: Iterator[Look]) -> Iterator[ListedFiles]:
        """Yield the new and changed files of every folder, after what is no longer true of it was forgotten."""
        to_compare: list[Listing] = []
        for look in looks:
            if self._stopping():
                break
            if self._finished:  # thousands, where many folders were touched and no file changed
                self._store_now_and_then()
            listing = self._differing(look)
            if listing is None:
                continue
            to_compare.append(listing)
            if len(to_compare) == _FOLDERS_AT_ONCE:
                yield from self._compared(to_compare)
                to_compare = []
        yield from self._compared(to_compare)

    def _differing(self, look: Look) -> Listing | None:
        """Count a folder that is as it was, or is gone or closed; return it if it has to be compared."""
        if isinstance(look, Gone):
            self._gone.append(look.path)
            return None
        known = self._known.get(look.path)
        if isinstance(look, Unchanged):
            self._count["found"] += self._unvisited.pop(look.path).file_count
            return None
        if not look.reachable:
            self._close(look.path)
            return None
        look = self._without_closed_folders(look)
        if known is None or known.digest != look.digest:
            return look
        self._visit(look)
        if known.mtime_ns != look.mtime_ns:
            self._finished.append(look)
        return None

    def _without_closed_folders(self, listing: Listing) -> Listing:
        """Take a known folder that is listed as a file, for nobody can look at it tonight, for what it is."""
        unreachable = {str(found_file(listing.path, file).path): file for file in listing.unreachable_files}
        closed = {path: file for path, file in unreachable.items() if path in self._known}
        if not closed:
            return listing
        for path in closed.keys() - set(self._closed):
            self._close(path)
        return replace(listing, files=tuple(file for file in listing.files if file not in closed.values()))

    def _close(self, path: str) -> None:
        write_unreachable(self._connection, path, self._known.get(path))
        self._closed.append(path)
        self._count["found"] += 1

    def _visit(self, listing: Listing) -> None:
        self._unvisited.pop(listing.path, None)
        self._count["found"] += len(listing.files)

    def _compared(self, listings: Sequence[Listing]) -> Iterator[ListedFiles]:
        known = [listing.path for listing in listings if listing.path in self._known]
        held = known_files(self._connection, known) if known else {}
        changes = {listing.path: folder_changes(listing, held.get(listing.path, {})) for listing in listings}
        forgotten = {path: change.vanished | change.changed for path, change in changes.items()}
        self._lost.update(forget_files(self._connection, forgotten))
        for listing in listings:
            change = changes[listing.path]
            self._visit(listing)
            if listing.path in self._known and not self._known[listing.path].reachable:
                forget_unreachable(self._connection, listing.path)
            self._count["to_read"] += len(change.to_read)
            self._count["changed"] += len(change.changed)
            self._count["vanished"] += len(change.vanished)
            if change.to_read:
                self._waiting[listing.path] = (listing, len(change.to_read))
                yield listing.path, change.to_read
            else:
                self._finished.append(listing)

    def forget_gone(self, roots: Sequence[str]) -> None:
        """Forget the folders that are gone: those said to be, and those below `roots` that the walk did not meet."""
        self._gone += [path for path in self._unvisited if below(path, roots) and not below(path, self._closed)]
        for start in range(0, len(self._gone), _FOLDERS_AT_ONCE):
            folders = self._gone[start : start + _FOLDERS_AT_ONCE]
            lost, file_count = forget_folders(self._connection, folders)
            self._lost.update(lost)
            self._count["vanished"] += file_count
            for path in folders:
                del self._unvisited[path]

    def result(self, *, full: bool) -> IndexedArchives:
        """Sum up."""
        count = self._count
        back = sum(min(files, self._gained[key]) for key, files in self._lost.items()) - count["changed"]
        moved_here = max(back, 0)  # seen to go before they came; count["moved"] were seen to come before they went
        return IndexedArchives(
            full=full,
            found_count=count["found"],
            read_count=count["read"],
            unread_count=count["to_read"] - count["read"],
            unvisited_count=self._unvisited_files(),
            added_count=max(count["read"] - count["changed"] - moved_here - count["moved"], 0),
            changed_count=count["changed"],
            moved_count=moved_here + count["moved"],
            vanished_count=max(count["vanished"] - moved_here, 0),
        )

    def _unvisited_files(self) -> int:
        """Count what the index holds of folders not looked into tonight, and of those, the ones closed before."""
        if not self._unvisited:
            return 0
        held = known_folders(self._connection)
        folders = [(path, held[path]) for path in self._unvisited]
        return sum(folder.file_count + (not folder.reachable and path not in self._closed) for path, folder in folders)


def _batches(listed: Iterable[ListedFiles], size: int) -> Iterator[Batch]:
    """Gather folders to batches of about `size` files; a folder is split only where it is larger than that."""
    batch: Batch = []
    room = size
    for folder, files in listed:
        if batch and len(files) > room:
            yield batch
            batch, room = [], size
        for start in range(0, len(files), size):
            part = files[start : start + size]
            batch.append((folder, part))
            room -= len(part)
            if room <= 0:
                yield batch
                batch, room = [], size
    if batch:
        yield batch
