"""The folders of the archives in the database, and when every file in them was last looked at."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import duckdb

from screening.archive.folder import NOT_TRUSTED, KnownFolder, Listing, folder_id
from screening.archive.header import FileProblem, FoundFile, NotIndexed, displayable
from screening.store.database import Row, transaction, write_rows

# What may have passed by the next night: such a file is read again although it did not change.
PASSING: Final = (FileProblem.NOT_REACHABLE, FileProblem.NO_PERMISSION, FileProblem.VANISHED, FileProblem.IO_ERROR)


def known_folders(connection: duckdb.DuckDBPyConnection) -> dict[str, KnownFolder]:
    """Map every folder seen before to what it was then."""
    rows = connection.execute("SELECT encoded_path, mtime_ns, digest, file_count, reachable FROM folder_index")
    known = {}
    while chunk := rows.fetchmany(10_000):
        known.update({json.loads(encoded): KnownFolder(*facts) for encoded, *facts in chunk})
    return known


def write_folders(connection: duckdb.DuckDBPyConnection, listings: Sequence[Listing]) -> None:
    """Enter folders as they are now; the caller holds the transaction, and all their files are in the index.

    A folder with a passing problem is entered so that the next night looks into it. The folders in it are entered
    unlisted, if they are not known yet: should the sweep end here, the next one finds them by that.
    """
    ids = ids_of(listing.path for listing in listings)
    query = "SELECT DISTINCT folder_id FROM file_problem WHERE list_contains(?, folder_id) AND list_contains(?, reason)"
    passing = {row[0] for row in connection.execute(query, [ids, [str(reason) for reason in PASSING]]).fetchall()}
    rows = [
        folder_row(listing.path, NOT_TRUSTED, b"", len(listing.files))
        if number in passing
        else folder_row(listing.path, listing.mtime_ns, listing.digest, len(listing.files))
        for number, listing in zip(ids, listings, strict=True)
    ]
    write_rows(connection, "folder_index", rows)
    inside = {path: folder_id(path) for listing in listings for path in listing.folder_paths}
    query = "SELECT folder_id FROM folder_index WHERE list_contains(?, folder_id)"
    entered = {row[0] for row in connection.execute(query, [list(inside.values())]).fetchall()} if inside else set()
    unlisted = [folder_row(path, NOT_TRUSTED, b"", 0) for path, number in inside.items() if number not in entered]
    write_rows(connection, "folder_index", unlisted)


def folder_row(path: str, mtime_ns: int, digest: bytes, file_count: int, *, reachable: bool = True) -> Row:
    """Describe a folder as table folder_index does."""
    return {
        "encoded_path": encoded_path(path),
        "folder_id": folder_id(path),
        "mtime_ns": mtime_ns,
        "digest": digest,
        "file_count": file_count,
        "reachable": reachable,
    }


def write_unreachable(connection: duckdb.DuckDBPyConnection, folder: str, known: KnownFolder | None) -> None:
    """Enter a folder that cannot be listed; the files known in it have neither changed nor vanished."""
    row = folder_row(folder, NOT_TRUSTED, b"", known.file_count if known else 0, reachable=False)
    problem = problem_row(FoundFile(Path(folder), 0, 0), NotIndexed(FileProblem.NOT_REACHABLE))
    with transaction(connection):
        write_rows(connection, "folder_index", [row])
        write_rows(connection, "file_problem", [{**problem, "folder_id": folder_id(folder)}])


def forget_unreachable(connection: duckdb.DuckDBPyConnection, folder: str) -> None:
    """Take back that a folder cannot be listed."""
    delete_problems(connection, [encoded_path(folder)])


def discount(connection: duckdb.DuckDBPyConnection, leaving: Mapping[str, int]) -> None:
    """Lower the count of folders that lose files, and have them compared anew should the sweep end here."""
    for folder, count in leaving.items():
        connection.execute(
            "UPDATE folder_index SET file_count = greatest(file_count - ?, 0), mtime_ns = 0, digest = ''::BLOB "
            "WHERE encoded_path = ?",
            [count, encoded_path(folder)],
        )


def delete_problems(connection: duckdb.DuckDBPyConnection, encoded_paths: Sequence[str]) -> None:
    """Take files out of table file_problem."""
    connection.execute("DELETE FROM file_problem WHERE list_contains(?, encoded_path)", [encoded_paths])


def problem_row(file: FoundFile, problem: NotIndexed) -> Row:
    """Describe a file as table file_problem does."""
    return {
        "path": displayable(file.path),
        "encoded_path": encoded_path(str(file.path)),
        "folder_id": folder_id(str(file.path.parent)),
        "size_bytes": file.size_bytes,
        "mtime_ns": file.mtime_ns,
        "reason": str(problem.problem),
        "detail": problem.detail,
        "found_at": now_utc(),
    }


def encoded_path(path: str) -> str:
    """Write any file name as ASCII, also one that is no valid text."""
    return json.dumps(path)


def now_utc() -> datetime:
    """Return the time as the tables hold it: UTC, without saying so."""
    return datetime.now(UTC).replace(tzinfo=None)


def ids_of(folders: Iterable[str]) -> list[int]:
    """Return the numbers that stand for folders."""
    return [folder_id(folder) for folder in folders]


def full_walk_due(
    connection: duckdb.DuckDBPyConnection, archives: Sequence[Path], full_walk_days: float, now: datetime
) -> bool:
    """Tell whether an archive was never looked at file by file, or not for `full_walk_days`; `now` is UTC."""
    rows = connection.execute("SELECT archive, walked_at FROM full_walk").fetchall()
    walked = {archive: walked_at.replace(tzinfo=UTC) for archive, walked_at in rows}
    oldest = now - timedelta(days=full_walk_days)
    return any(
        walked.get(encoded_path(str(archive.resolve())), datetime.min.replace(tzinfo=UTC)) <= oldest
        for archive in archives
    )


def record_full_walk(connection: duckdb.DuckDBPyConnection, archives: Sequence[Path], started_ns: int) -> None:
    """Enter that every file of these archives was looked at."""
    walked_at = datetime.fromtimestamp(started_ns / 1e9, UTC).replace(tzinfo=None)
    rows = [{"archive": encoded_path(str(archive)), "walked_at": walked_at} for archive in archives]
    with transaction(connection):
        write_rows(connection, "full_walk", rows)
