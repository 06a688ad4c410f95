"""The sweep's own DuckDB file: schema, one writer, rows written by Arrow table in one transaction."""

import errno
import fcntl
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from screening.errors import UserError

# Files that clients from DuckDB 1.4 on can read (R, DBeaver, older notebooks).
STORAGE_VERSION: Final = "v1.4.0"
# What DuckDB keeps of a file in memory may not grow with the archive; larger work goes through the disk beside it.
_WRITER_MEMORY: Final = "SET memory_limit = '2GiB'"
_LEAST_MEMORY: Final = "SET memory_limit = '1MiB'"
# Every column carries a COMMENT with its unit, DICOM tag or definition. Missing is NULL, never NaN: CHECK with BETWEEN
# refuses NaN, which DuckDB orders above every number. Times are UTC. `bmd` is areal (g/cm2).
SCHEMA: Final = ("sweeps", "archive", "references", "readings", "records", "reviews", "flags", "validation")
# A view may stand on views named before it.
VIEWS: Final = (
    "banded_patient",
    "measured_study",
    "person",
    "patient_bmd",
    "care_gap",
    "flagged",
    "worklist",
    "care_gap_month",
    "ct_dxa_pair",
    "validation_pair",
    "study_scanner",
    "scanner_month",
    "drift_alert",
    "open_reject",
    "sweep_summary",
    "exclusion_flow",
    "data_dictionary",
)

UNFINISHED: Final = ".unfinished"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DatabaseFolder:
    """What lies where in the folder that holds one database."""

    folder: Path

    @property
    def published(self) -> Path:
        """The stable path readers open read-only; a link to the newest publication."""
        return self.folder / "screening.duckdb"

    @property
    def publications(self) -> Path:
        """Finished copies, one a publication."""
        return self.folder / "publications"

    @property
    def working(self) -> Path:
        """The file the sweep writes; nobody else opens it."""
        return self.folder / "work" / "sweep.duckdb"

    @property
    def lock(self) -> Path:
        """Held by the one process that writes."""
        return self.folder / "work" / "lock"

    @property
    def progress(self) -> Path:
        """How far the running sweep is."""
        return self.folder / "work" / "progress.json"

    @property
    def key(self) -> Path:
        """The site's secret for study keys in logs and file names."""
        return self.folder / "work" / "site.key"

    @property
    def evidence(self) -> Path:
        """Pictures of what was read."""
        return self.folder / "evidence"

    @property
    def reviews(self) -> Path:
        """Decisions of reviewers, written by whoever reviews while the sweep writes its own file."""
        return self.folder / "reviews.duckdb"

    @property
    def reviews_lock(self) -> Path:
        """Held for the moment in which the file of reviews is open."""
        return self.folder / "reviews.lock"

    @property
    def audit(self) -> Path:
        """Who looked at whom, a file a month."""
        return self.folder / "audit"

    @property
    def models(self) -> Path:
        """Checkpoints that were registered here."""
        return self.folder / "models"

    def create(self) -> None:
        """Make the folders, closed to other users.

        Raises:
            UserError: the folder cannot be made.
        """
        try:
            for folder in (self.folder, self.publications, self.working.parent, self.evidence):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"Cannot make the database folder {self.folder}: {error.strerror}.") from error
        closed = [folder for folder in (self.folder, self.publications, self.working.parent) if not _writable(folder)]
        if closed:
            raise UserError(f"Cannot write into {closed[0]}: change its owner or mode, or name another folder.")


def _writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


def sql(name: str) -> str:
    """Return the text of a .sql file of this package, e.g. "schema/records" or "views/flagged"."""
    return files("screening.store").joinpath(f"{name}.sql").read_text(encoding="utf-8")


@contextmanager
def locked(place: DatabaseFolder) -> Iterator[None]:
    """Be the only process that writes this database; the lock says who it is, and ends with the process.

    Raises:
        UserError: another one is; names it.
    """
    with place.lock.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().strip() or "it has just started"
            raise UserError(
                f"Another sweep or import is writing {place.folder} ({holder}): wait for it to end."
            ) from error
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
        lock.flush()
        yield


@contextmanager
def full_disk_told(place: DatabaseFolder) -> Iterator[None]:
    """Say in one line that the disk is full; what was committed is kept, and the copy that readers have is whole.

    Raises:
        UserError: it is.
    """
    try:
        yield
    except (OSError, duckdb.Error) as error:
        if not any(_means_full_disk(one) for one in _with_causes(error)):
            raise
        raise UserError(
            f"The disk of {place.folder} is full: make room, then sweep again. What was committed is kept, and the "
            "publication before stands."
        ) from error


_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


def _means_full_disk(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in _FULL
    return isinstance(error, duckdb.Error) and any(os.strerror(number) in str(error) for number in _FULL)


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those it came of: DuckDB answers with another one once a write has failed."""
    following: BaseException | None = error
    while following is not None:
        yield following
        following = following.__cause__ or following.__context__


@contextmanager
def open_writer(place: DatabaseFolder) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the working file for writing, with schema and views in place; a lost one is restored from publication.

    Raises:
        UserError: the file is damaged or held by another process.
    """
    os.umask(0o077)
    if not place.working.exists() and place.published.exists():
        copy_durably(place.published, place.working)  # the working folder was lost; nothing else is
    try:
        connection = duckdb.connect(place.working, config={"storage_compatibility_version": STORAGE_VERSION})
    except duckdb.IOException as error:
        if _means_full_disk(error):
            raise
        raise UserError(
            f"Cannot open {place.working}: it is held by another program, or damaged. "
            f"Close the program; a damaged file can be replaced by a copy of {place.published}."
        ) from error
    try:
        connection.execute(_WRITER_MEMORY)
        create_schema(connection)
        yield connection
    finally:
        connection.close()


def copy_durably(source: Path, target: Path) -> None:
    """Copy a file so that `target` is there whole or not at all, whatever ends this process or machine."""
    with unfinished(target) as copy:
        shutil.copyfile(source, copy)


@contextmanager
def unfinished(target: Path) -> Iterator[Path]:
    """Yield a name to write to; what stands there at the end becomes `target`, on disk, closed to other users."""
    path = target.with_suffix(UNFINISHED)
    try:
        yield path
        path.chmod(0o600)
        _to_disk(path)
        path.replace(target)
    except BaseException:
        path.unlink(missing_ok=True)  # it may be what fills the disk
        raise
    _to_disk(target.parent)


def _to_disk(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


class MemoryCare:
    """Lets go of what DuckDB keeps of its file in memory, so that a long night takes no more than a short one.

    DuckDB keeps every page it has touched until its limit is reached; what is needed again is read again.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, every_s: float = 20.0) -> None:
        self._connection = connection
        self._every_s = every_s
        self._let_go_at = time.monotonic()

    def __call__(self) -> None:
        """Let go if it is time to; to be called between transactions."""
        if time.monotonic() - self._let_go_at < self._every_s:
            return
        with suppress(duckdb.OutOfMemoryException):  # so much is in use; all else is let go before this is raised
            self._connection.execute(_LEAST_MEMORY)
        self._connection.execute(_WRITER_MEMORY)
        self._let_go_at = time.monotonic()


def create_schema(connection: duckdb.DuckDBPyConnection) -> None:
    """Create what is missing; idempotent. A view's column takes the comment of the table column of that name."""
    with transaction(connection):
        earlier = _take_outdated(connection)
        for tables in SCHEMA:
            connection.execute(sql(f"schema/{tables}"))
        for table, rows in earlier.items():
            _insert(connection, table, rows)
        if "dxa" in earlier:
            connection.execute(sql("dxa_as_records"))
        for view in VIEWS:
            connection.execute(sql(f"views/{view}"))
        _comment_view_columns(connection)


def _take_outdated(connection: duckdb.DuckDBPyConnection) -> dict[str, pa.Table]:
    """Take away tables whose keys or rules have changed, and return their rows: DuckDB cannot alter these in place."""
    outdated = [table for (table,) in connection.execute(sql("outdated_tables")).fetchall()]
    earlier = {table: connection.table(table).to_arrow_table() for table in outdated}
    for table in outdated:
        connection.execute(f"DROP TABLE {table}")
    return earlier


def _comment_view_columns(connection: duckdb.DuckDBPyConnection) -> None:
    uncommented = connection.execute(sql("uncommented_view_columns")).fetchall()
    for view, column, comment in uncommented:
        quoted = comment.replace("'", "''")
        connection.execute(f"COMMENT ON COLUMN {view}.{column} IS '{quoted}'")


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit everything inside, or nothing."""
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def write_rows(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Row]) -> None:
    """Insert rows, replacing those with the same primary key; keys of a row are column names."""
    if rows:
        _insert(connection, table, pa.Table.from_pylist([dict(row) for row in rows]))


def _insert(connection: duckdb.DuckDBPyConnection, table: str, incoming: pa.Table) -> None:
    """Insert an Arrow table, which DuckDB finds by the name of the variable `incoming`."""
    columns = ", ".join(incoming.column_names)
    connection.execute(f"INSERT OR REPLACE INTO {table} ({columns}) SELECT {columns} FROM incoming")


def fetch_one(connection: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...]:
    """Return the one row of a query that always has one."""
    (row,) = connection.execute(query, list(parameters)).fetchall()
    return tuple(row)
