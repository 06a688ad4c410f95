"""The archive's index in the database: which folders and files are known, which series they form, which studies wait.

Files are never held all at once: the walk goes folder by folder, and a folder's files are found in the series and
problems that name it. Every change that takes a file out of a row takes it out of its folder's count in the same
transaction, so that a sweep that dies leaves a folder that the next one compares anew.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

import duckdb

from screening.archive.folder import NOT_TRUSTED, UNREACHABLE_BYTES, KnownFolder, Listing, folder_id
from screening.archive.header import FileProblem, FoundFile, NotIndexed, displayable
from screening.archive.index import (
    IndexedSeries,
    Instance,
    files_of,
    indexed_series,
    study_fingerprint,
    unpack,
)
from screening.store.database import Row, transaction, write_rows

SeriesKey = tuple[str, str]  # StudyInstanceUID, SeriesInstanceUID
FolderFiles = dict[str, tuple[int, int]]  # name -> size in bytes, modification time in ns

# What may have passed by the next night: such a file is read again although it did not change.
_PASSING: Final = (FileProblem.NOT_REACHABLE, FileProblem.NO_PERMISSION, FileProblem.VANISHED, FileProblem.IO_ERROR)


@dataclass(frozen=True, slots=True)
class HeaderBatch:
    """What reading the headers of some files gave: every file is in one of the two."""

    series: tuple[IndexedSeries, ...]
    problems: tuple[tuple[FoundFile, NotIndexed], ...]


def known_folders(connection: duckdb.DuckDBPyConnection) -> dict[str, KnownFolder]:
    """Map every folder seen before to what it was then."""
    rows = connection.execute("SELECT encoded_path, mtime_ns, digest, file_count, reachable FROM folder_index")
    known = {}
    while chunk := rows.fetchmany(10_000):
        known.update({json.loads(encoded): KnownFolder(*facts) for encoded, *facts in chunk})
    return known


def known_files(connection: duckdb.DuckDBPyConnection, folders: Sequence[str]) -> dict[str, FolderFiles]:
    """Map each of these folders to the files known in it, indexed or not.

    A file with a passing problem is known as one that could not be looked at: once it can be, it has changed.
    """
    known: dict[str, FolderFiles] = {folder: {} for folder in folders}
    for _, _, packed in _series_in(connection, folders):
        for path, size_bytes, mtime_ns in files_of(packed):
            if (folder := str(path.parent)) in known:
                known[folder][path.name] = (size_bytes, mtime_ns)
    query = "SELECT encoded_path, size_bytes, mtime_ns, reason FROM file_problem WHERE list_contains(?, folder_id)"
    for encoded, size_bytes, mtime_ns, reason in connection.execute(query, [_ids(folders)]).fetchall():
        folder, name = os.path.split(json.loads(encoded))
        if folder in known:
            known[folder][name] = (UNREACHABLE_BYTES, 0) if reason in _PASSING else (size_bytes, mtime_ns)
    return known


def _series_in(connection: duckdb.DuckDBPyConnection, folders: Sequence[str]) -> list[tuple[str, str, bytes]]:
    query = (
        "SELECT study_instance_uid, series_instance_uid, instances FROM series_index "
        "WHERE present AND list_has_any(folder_ids, ?)"
    )
    return connection.execute(query, [_ids(folders)]).fetchall()


def _ids(folders: Iterable[str]) -> list[int]:
    return [folder_id(folder) for folder in folders]


def forget_files(connection: duckdb.DuckDBPyConnection, names: Mapping[str, frozenset[str]]) -> dict[SeriesKey, int]:
    """Take files out of the index, by folder: they vanished, or are about to be read again. Results are kept.

    Returns:
        For each series that lost files, how many.
    """
    leaving = {folder: files for folder, files in names.items() if files}
    if not leaving:
        return {}
    rows, lost = _series_without(connection, leaving)
    with transaction(connection):
        write_rows(connection, "series_index", rows)
        _delete_problems(connection, [_encoded(f"{folder}/{name}") for folder in leaving for name in leaving[folder]])
        _discount(connection, {folder: len(files) for folder, files in leaving.items()})
    return lost


def forget_folders(connection: duckdb.DuckDBPyConnection, folders: Sequence[str]) -> tuple[dict[SeriesKey, int], int]:
    """Take folders that are gone out of the index, with all that was known in them. Results are kept.

    Returns:
        For each series that lost files, how many; and how many files are gone in all.
    """
    held = {folder: frozenset(files) for folder, files in known_files(connection, folders).items()}
    rows, lost = _series_without(connection, held)
    with transaction(connection):
        write_rows(connection, "series_index", rows)
        connection.execute("DELETE FROM file_problem WHERE list_contains(?, folder_id)", [_ids(folders)])
        connection.execute("DELETE FROM folder_index WHERE list_contains(?, folder_id)", [_ids(folders)])
    return lost, sum(len(files) for files in held.values())


def _series_without(
    connection: duckdb.DuckDBPyConnection, names: Mapping[str, frozenset[str]]
) -> tuple[list[Row], dict[SeriesKey, int]]:
    """Make the rows of the series that lose files, and count what they lose."""
    lost: dict[SeriesKey, int] = {}
    rows = []
    for study, series, packed in _series_in(connection, list(names)):
        members = unpack(packed, copies=True)
        kept = [one for one in members if one.path.name not in names.get(str(one.path.parent), ())]
        if len(kept) < len(members):
            lost[study, series] = len(members) - len(kept)
            rows.append(_series_row(indexed_series(study, series, kept)))
    return rows, lost


def _delete_problems(connection: duckdb.DuckDBPyConnection, encoded_paths: Sequence[str]) -> None:
    connection.execute("DELETE FROM file_problem WHERE list_contains(?, encoded_path)", [encoded_paths])


def _discount(connection: duckdb.DuckDBPyConnection, leaving: Mapping[str, int]) -> None:
    """Lower the count of folders that lose files, and have them compared anew should the sweep end here."""
    for folder, count in leaving.items():
        connection.execute(
            "UPDATE folder_index SET file_count = greatest(file_count - ?, 0), mtime_ns = 0, digest = ''::BLOB "
            "WHERE encoded_path = ?",
            [count, _encoded(folder)],
        )


def add_headers(
    connection: duckdb.DuckDBPyConnection, batches: Sequence[HeaderBatch], finished: Sequence[Listing]
) -> int:
    """Merge batches and the folders they finish into the index in one transaction.

    Returns:
        Files of another place that these turned out to be: a move left them behind, and they are dropped there.
    """
    with transaction(connection):
        incoming: dict[SeriesKey, list[IndexedSeries]] = {}
        for series in (series for batch in batches for series in batch.series):
            incoming.setdefault((series.study_instance_uid, series.series_instance_uid), []).append(series)
        known = _indexed(connection, list(incoming))
        moved = 0
        rows = []
        for key, parts in incoming.items():
            if key not in known and len(parts) == 1:
                rows.append(_series_row(parts[0]))
                continue
            new = {one.path: one for part in parts for one in unpack(part.packed, copies=True)}
            there, left = _still_there(unpack(known[key], copies=True) if key in known else (), new)
            moved += sum(left.values())
            _discount(connection, left)
            rows.append(_series_row(indexed_series(*key, {**there, **new}.values())))
        write_rows(connection, "series_index", rows)
        problems = [row for batch in batches for row in batch.problems]
        write_rows(connection, "file_problem", [_problem_row(file, problem) for file, problem in problems])
        write_folders(connection, finished)
    return moved


def _still_there(
    known: Iterable[Instance], new: Mapping[Path, Instance]
) -> tuple[dict[Path, Instance], dict[str, int]]:
    """Tell known files of a series from those that came back under another path; count the latter by folder."""
    returned = {instance.sop_instance_uid for instance in new.values()}
    there: dict[Path, Instance] = {}
    left: dict[str, int] = {}
    for instance in known:
        if instance.sop_instance_uid in returned and instance.path not in new and not instance.path.exists():
            folder = str(instance.path.parent)
            left[folder] = left.get(folder, 0) + 1
        else:
            there[instance.path] = instance
    return there, left


def _indexed(connection: duckdb.DuckDBPyConnection, keys: Sequence[SeriesKey]) -> dict[SeriesKey, bytes]:
    rows = connection.execute(
        "SELECT study_instance_uid, series_instance_uid, instances FROM series_index "
        "WHERE present AND list_contains(?, study_instance_uid)",
        [[study for study, _ in keys]],
    ).fetchall()
    wanted = set(keys)
    return {(study, series): packed for study, series, packed in rows if (study, series) in wanted}


def write_folders(connection: duckdb.DuckDBPyConnection, listings: Sequence[Listing]) -> None:
    """Enter folders as they are now; the caller holds the transaction, and all their files are in the index.

    A folder with a passing problem is entered so that the next night looks into it. The folders in it are entered
    unlisted, if they are not known yet: should the sweep end here, the next one finds them by that.
    """
    ids = _ids(listing.path for listing in listings)
    query = "SELECT DISTINCT folder_id FROM file_problem WHERE list_contains(?, folder_id) AND list_contains(?, reason)"
    passing = {row[0] for row in connection.execute(query, [ids, [str(reason) for reason in _PASSING]]).fetchall()}
    rows = [
        _folder_row(listing.path, NOT_TRUSTED, b"", len(listing.files))
        if number in passing
        else _folder_row(listing.path, listing.mtime_ns, listing.digest, len(listing.files))
        for number, listing in zip(ids, listings, strict=True)
    ]
    write_rows(connection, "folder_index", rows)
    inside = {path: folder_id(path) for listing in listings for path in listing.folder_paths}
    query = "SELECT folder_id FROM folder_index WHERE list_contains(?, folder_id)"
    entered = {row[0] for row in connection.execute(query, [list(inside.values())]).fetchall()} if inside else set()
    unlisted = [_folder_row(path, NOT_TRUSTED, b"", 0) for path, number in inside.items() if number not in entered]
    write_rows(connection, "folder_index", unlisted)


def _folder_row(path: str, mtime_ns: int, digest: bytes, file_count: int, *, reachable: bool = True) -> Row:
    return {
        "encoded_path": _encoded(path),
        "folder_id": folder_id(path),
        "mtime_ns": mtime_ns,
        "digest": digest,
        "file_count": file_count,
        "reachable": reachable,
    }


def write_unreachable(connection: duckdb.DuckDBPyConnection, folder: str, known: KnownFolder | None) -> None:
    """Enter a folder that cannot be listed; the files known in it have neither changed nor vanished."""
    row = _folder_row(folder, NOT_TRUSTED, b"", known.file_count if known else 0, reachable=False)
    problem = _problem_row(FoundFile(Path(folder), 0, 0), NotIndexed(FileProblem.NOT_REACHABLE))
    with transaction(connection):
        write_rows(connection, "folder_index", [row])
        write_rows(connection, "file_problem", [{**problem, "folder_id": folder_id(folder)}])


def forget_unreachable(connection: duckdb.DuckDBPyConnection, folder: str) -> None:
    """Take back that a folder cannot be listed."""
    _delete_problems(connection, [_encoded(folder)])


def _series_row(series: IndexedSeries) -> Row:
    present = bool(series.instance_count)
    now = _now()
    return {
        "series_instance_uid": series.series_instance_uid,
        "study_instance_uid": series.study_instance_uid,
        "modality": series.modality,
        "instance_count": series.instance_count,
        "copy_count": series.copy_count,
        "newest_mtime_ns": series.newest_mtime_ns,
        "fingerprint": series.fingerprint,
        "folder_ids": _ids(series.folders),
        "instances": series.packed,
        "present": present,
        "gone_at": None if present else now,
        "indexed_at": now,
    }


def _problem_row(file: FoundFile, problem: NotIndexed) -> Row:
    return {
        "path": displayable(file.path),
        "encoded_path": _encoded(str(file.path)),
        "folder_id": folder_id(str(file.path.parent)),
        "size_bytes": file.size_bytes,
        "mtime_ns": file.mtime_ns,
        "reason": str(problem.problem),
        "detail": problem.detail,
        "found_at": _now(),
    }


def _encoded(path: str) -> str:
    """Write any file name as ASCII, also one that is no valid text."""
    return json.dumps(path)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class PendingStudy:
    """A study to read: its packed series travel to the worker as they are stored."""

    study_instance_uid: str
    file_fingerprint: str
    reading_fingerprint: str


@dataclass(frozen=True, slots=True)
class Settling:
    """Studies whose newest file is this young are still arriving: they wait for the next night."""

    after_ns: int
    until_ns: int

    @classmethod
    def at(cls, now_ns: int, settle_minutes: float) -> Self:
        """Make the window around a moment; clocks may differ by as much as a study is given to arrive."""
        reach_ns = round(settle_minutes * 60e9)
        return cls(now_ns - reach_ns, now_ns + reach_ns)


NOTHING_SETTLES: Final = Settling(0, 0)


def pending_studies(
    connection: duckdb.DuckDBPyConnection,
    checkpoint_sha256: str,
    reading_fingerprint: Callable[[str], str],
    *,
    retry_failed: bool,
    settling: Settling = NOTHING_SETTLES,
) -> tuple[int, list[PendingStudy]]:
    """Count the studies present and list those without an outcome for these files, settings and checkpoint.

    A study that failed is not read again before something changes, unless `retry_failed` asks for it. A study that is
    still arriving is counted and not listed.
    """
    present = connection.execute(
        "SELECT study_instance_uid, list(fingerprint), max(newest_mtime_ns) BETWEEN ? + 1 AND ? FROM series_index "
        "WHERE present GROUP BY 1 ORDER BY 1",
        [settling.after_ns, settling.until_ns],
    ).fetchall()
    read = dict(
        connection.execute(
            "SELECT study_instance_uid, reading_fingerprint FROM outcome "
            "WHERE checkpoint_sha256 = ? AND NOT (status = 'failed' AND ?)",
            [checkpoint_sha256, retry_failed],
        ).fetchall()
    )
    files = {study: study_fingerprint(fingerprints) for study, fingerprints, arriving in present if not arriving}
    pending = [PendingStudy(study, digest, reading_fingerprint(digest)) for study, digest in files.items()]
    unread = [study for study in pending if read.get(study.study_instance_uid) != study.reading_fingerprint]
    return len(present), unread


def packed_series(connection: duckdb.DuckDBPyConnection, study_instance_uid: str) -> list[bytes]:
    """Fetch a study's series as they are packed."""
    rows = connection.execute(
        "SELECT instances FROM series_index WHERE study_instance_uid = ? AND present ORDER BY series_instance_uid",
        [study_instance_uid],
    ).fetchall()
    return [row[0] for row in rows]


def adopt_earlier_rows(connection: duckdb.DuckDBPyConnection) -> None:
    """Enter the folders of rows that an earlier version wrote, so that the next look compares them file by file."""
    while rows := connection.execute(
        "SELECT study_instance_uid, series_instance_uid, instances FROM series_index "
        "WHERE present AND folder_ids IS NULL LIMIT 100"
    ).fetchall():
        series = [indexed_series(study, number, unpack(packed, copies=True)) for study, number, packed in rows]
        files = Counter(str(path.parent) for one in series for path, _, _ in files_of(one.packed))
        with transaction(connection):
            write_rows(connection, "series_index", [_series_row(one) for one in series])
            _adopt(connection, files)
    problems = connection.execute("SELECT encoded_path FROM file_problem WHERE folder_id IS NULL").fetchall()
    parents = {encoded: os.path.dirname(json.loads(encoded)) for (encoded,) in problems}  # noqa: PTH120
    with transaction(connection):
        for encoded, folder in parents.items():
            connection.execute(
                "UPDATE file_problem SET folder_id = ? WHERE encoded_path = ?", [folder_id(folder), encoded]
            )
        _adopt(connection, Counter(parents.values()))


def _adopt(connection: duckdb.DuckDBPyConnection, files: Mapping[str, int]) -> None:
    known = known_folders(connection) if files else {}
    before = {folder: known[folder].file_count if folder in known else 0 for folder in files}
    rows = [_folder_row(folder, NOT_TRUSTED, b"", count + before[folder]) for folder, count in files.items()]
    write_rows(connection, "folder_index", rows)


def full_walk_due(
    connection: duckdb.DuckDBPyConnection, archives: Sequence[Path], full_walk_days: float, now: datetime
) -> bool:
    """Tell whether an archive was never looked at file by file, or not for `full_walk_days`; `now` is UTC."""
    rows = connection.execute("SELECT archive, walked_at FROM full_walk").fetchall()
    walked = {archive: walked_at.replace(tzinfo=UTC) for archive, walked_at in rows}
    oldest = now - timedelta(days=full_walk_days)
    return any(
        walked.get(_encoded(str(archive.resolve())), datetime.min.replace(tzinfo=UTC)) <= oldest for archive in archives
    )


def record_full_walk(connection: duckdb.DuckDBPyConnection, archives: Sequence[Path], started_ns: int) -> None:
    """Enter that every file of these archives was looked at."""
    walked_at = datetime.fromtimestamp(started_ns / 1e9, UTC).replace(tzinfo=None)
    rows = [{"archive": _encoded(str(archive)), "walked_at": walked_at} for archive in archives]
    with transaction(connection):
        write_rows(connection, "full_walk", rows)
