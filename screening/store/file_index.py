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
from pathlib import Path
from typing import Final, Self

import duckdb

from screening.archive.folder import NOT_TRUSTED, UNREACHABLE_BYTES, Listing, folder_id
from screening.archive.header import FoundFile, NotIndexed
from screening.archive.index import (
    IndexedSeries,
    Instance,
    files_of,
    indexed_series,
    study_fingerprint,
    unpack,
)
from screening.store.database import Row, transaction, write_rows
from screening.store.folder_index import (
    PASSING,
    delete_problems,
    discount,
    encoded_path,
    folder_row,
    ids_of,
    known_folders,
    now_utc,
    problem_row,
    write_folders,
)

SeriesKey = tuple[str, str]  # StudyInstanceUID, SeriesInstanceUID
FolderFiles = dict[str, tuple[int, int]]  # name -> size in bytes, modification time in ns


@dataclass(frozen=True, slots=True)
class HeaderBatch:
    """What reading the headers of some files gave: every file is in one of the two."""

    series: tuple[IndexedSeries, ...]
    problems: tuple[tuple[FoundFile, NotIndexed], ...]


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
    for encoded, size_bytes, mtime_ns, reason in connection.execute(query, [ids_of(folders)]).fetchall():
        folder, name = os.path.split(json.loads(encoded))
        if folder in known:
            known[folder][name] = (UNREACHABLE_BYTES, 0) if reason in PASSING else (size_bytes, mtime_ns)
    return known


def _series_in(connection: duckdb.DuckDBPyConnection, folders: Sequence[str]) -> list[tuple[str, str, bytes]]:
    query = (
        "SELECT study_instance_uid, series_instance_uid, instances FROM series_index "
        "WHERE present AND list_has_any(folder_ids, ?)"
    )
    return connection.execute(query, [ids_of(folders)]).fetchall()


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
        delete_problems(
            connection, [encoded_path(f"{folder}/{name}") for folder in leaving for name in leaving[folder]]
        )
        discount(connection, {folder: len(files) for folder, files in leaving.items()})
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
        connection.execute("DELETE FROM file_problem WHERE list_contains(?, folder_id)", [ids_of(folders)])
        connection.execute("DELETE FROM folder_index WHERE list_contains(?, folder_id)", [ids_of(folders)])
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
            discount(connection, left)
            rows.append(_series_row(indexed_series(*key, {**there, **new}.values())))
        write_rows(connection, "series_index", rows)
        problems = [row for batch in batches for row in batch.problems]
        write_rows(connection, "file_problem", [problem_row(file, problem) for file, problem in problems])
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
        if instance.sop_instance_uid in returned and instance.path not in new and _is_gone(instance.path):
            folder = str(instance.path.parent)
            left[folder] = left.get(folder, 0) + 1
        else:
            there[instance.path] = instance
    return there, left


def _is_gone(path: Path) -> bool:
    """Tell whether a file is known not to be there: one that cannot be looked at tonight may be."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _indexed(connection: duckdb.DuckDBPyConnection, keys: Sequence[SeriesKey]) -> dict[SeriesKey, bytes]:
    rows = connection.execute(
        "SELECT study_instance_uid, series_instance_uid, instances FROM series_index "
        "WHERE present AND list_contains(?, study_instance_uid)",
        [[study for study, _ in keys]],
    ).fetchall()
    wanted = set(keys)
    return {(study, series): packed for study, series, packed in rows if (study, series) in wanted}


def _series_row(series: IndexedSeries) -> Row:
    present = bool(series.instance_count)
    now = now_utc()
    return {
        "series_instance_uid": series.series_instance_uid,
        "study_instance_uid": series.study_instance_uid,
        "modality": series.modality,
        "instance_count": series.instance_count,
        "copy_count": series.copy_count,
        "newest_mtime_ns": series.newest_mtime_ns,
        "fingerprint": series.fingerprint,
        "folder_ids": ids_of(series.folders),
        "instances": series.packed,
        "present": present,
        "gone_at": None if present else now,
        "indexed_at": now,
    }


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
    rows = [folder_row(folder, NOT_TRUSTED, b"", count + before[folder]) for folder, count in files.items()]
    write_rows(connection, "folder_index", rows)


@dataclass(frozen=True, slots=True)
class PendingStudy:
    """A study to read: its packed series travel to the worker as they are stored."""

    study_instance_uid: str
    file_fingerprint: str
    reading_fingerprint: str


@dataclass(frozen=True, slots=True)
class PresentStudies:
    """The studies of the index that are there."""

    count: int
    settling: tuple[str, ...]  # StudyInstanceUIDs of those still arriving
    pending: tuple[PendingStudy, ...]  # to be read


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
) -> PresentStudies:
    """Tell which studies present have no outcome for these files, settings and checkpoint, or are still arriving.

    A study that failed is not read again before something changes, unless `retry_failed` asks for it.
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
    return PresentStudies(len(present), tuple(study for study, _, arriving in present if arriving), tuple(unread))


def packed_series(connection: duckdb.DuckDBPyConnection, study_instance_uid: str) -> list[bytes]:
    """Fetch a study's series as they are packed."""
    rows = connection.execute(
        "SELECT instances FROM series_index WHERE study_instance_uid = ? AND present ORDER BY series_instance_uid",
        [study_instance_uid],
    ).fetchall()
    return [row[0] for row in rows]
