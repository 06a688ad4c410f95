"""One question in SQL -> its answer, from a process that can reach one database file and nothing else.

`dashboard.console` starts it anew for each question, so memory, time and crashes of a question are its own. It is run
as a file by an isolated Python, imports nothing of ours, and finds an empty environment: there is no secret to reach.
The file is attached read-only; after that DuckDB opens no other file, loads no extension, and its settings are locked.
Only statements that DuckDB itself takes for questions run. What a large question has to put aside lies in a folder of
its own, which `dashboard.console` removes.
"""

import contextlib
import json
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

MOST_ROWS: Final = 10_000
MOST_BYTES: Final = 64 * 2**20  # of an answer
TIME_LIMIT_S: Final = 30
MEMORY_LIMIT: Final = "512MiB"  # of DuckDB
THREADS: Final = 2
_ADDRESS_SPACE: Final = 3 * 2**30  # bytes: Python, the libraries, and what DuckDB does not count
_SCRATCH: Final = 2 * 2**30  # bytes on disk
_BATCH_ROWS: Final = 1_000
_LONGEST_SENTENCE: Final = 400  # characters
# EXPLAIN ANALYZE runs what it explains, be that a COPY over this very file, so what follows must be a question itself.
_EXPLAIN: Final = re.compile(r"\s*EXPLAIN\s+(ANALYZE\s+)?", re.IGNORECASE)


class NotAnswered(Exception):
    """Why a statement has no answer, as one sentence for whoever wrote it."""


def attached(database: Path, scratch: Path) -> duckdb.DuckDBPyConnection:
    """Open a database in memory with the file attached read-only, closed to everything else, for good."""
    connection = duckdb.connect(
        config={
            "memory_limit": MEMORY_LIMIT,
            "threads": THREADS,
            "temp_directory": str(scratch),
            "max_temp_directory_size": f"{_SCRATCH}B",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
        }
    )
    connection.execute("ATTACH $path AS published (READ_ONLY)", {"path": str(database)})
    connection.execute("USE published")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def answer(connection: duckdb.DuckDBPyConnection, statement: str) -> tuple[pa.Table, bool]:
    """Run one question; return its first rows, and whether there were more than are handed out.

    Raises:
        NotAnswered: it is no single question, is wrong, or asks for too much.
    """
    with _explained():
        question = _single(connection, statement)
        reader = connection.sql(question).to_arrow_reader(_BATCH_ROWS)
        batches, cut = _first_rows(reader)
        return _distinctly_named(pa.Table.from_batches(batches, reader.schema)), cut


def _single(connection: duckdb.DuckDBPyConnection, statement: str) -> duckdb.Statement:
    """Return the one question of the text.

    Raises:
        NotAnswered: it holds none, several, or something else than a question.
    """
    statements = connection.extract_statements(statement)
    if len(statements) != 1:
        raise NotAnswered(f"One statement is answered at a time, and these are {len(statements)}.")
    text = statements[0].query
    opening = _EXPLAIN.match(text)  # at the start alone: the word may stand in a comment or a text as well
    explained = text[opening.end() :] if opening else text
    if [one.type for one in connection.extract_statements(explained)] != [duckdb.StatementType.SELECT]:
        raise NotAnswered(
            "Only questions are answered: SELECT, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN. A PIVOT must list its values."
        )
    return statements[0]


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn what DuckDB says of a statement into one sentence without path or traceback.

    Raises:
        NotAnswered: it says something.
    """
    try:
        yield
    except duckdb.PermissionException as refusal:
        raise NotAnswered("The statement reaches outside this database, and that is closed.") from refusal
    except (duckdb.OutOfMemoryException, MemoryError) as refusal:
        raise NotAnswered(
            f"The answer needs more memory than the {MEMORY_LIMIT} of a question: "
            "ask for fewer columns or rows, or group them."
        ) from refusal
    except (duckdb.OperationalError, duckdb.InternalError, duckdb.FatalException) as problem:
        raise NotAnswered(f"The database cannot answer this ({type(problem).__name__}).") from problem
    except duckdb.Error as mistake:
        raise NotAnswered(_sentence(str(mistake))) from mistake
    except (ValueError, pa.ArrowException) as unknown:  # a kind of statement or value that the Python client lacks
        raise NotAnswered("A statement or value of this kind cannot be handed out.") from unknown


def _sentence(message: str) -> str:
    """Take DuckDB's own words about the statement, without the drawing of where in it."""
    said = re.split(r"\n\s*\n|\nLINE ", message)[0]
    words = " ".join(said.split())[:_LONGEST_SENTENCE]
    return words if words.endswith((".", "!", "?")) else f"{words}."


def _first_rows(reader: pa.RecordBatchReader) -> tuple[list[pa.RecordBatch], bool]:
    """Read until there are enough rows or bytes; tell whether more would come."""
    batches: list[pa.RecordBatch] = []
    row_count, byte_count = 0, 0
    for batch in reader:
        batches.append(batch.slice(0, MOST_ROWS - row_count))
        row_count, byte_count = row_count + batch.num_rows, byte_count + batch.nbytes
        if row_count > MOST_ROWS or byte_count > MOST_BYTES:
            return batches, True
    return batches, False


def _distinctly_named(table: pa.Table) -> pa.Table:
    """Number columns of the same name, as in `SELECT a.*, b.*`: "sex", "sex_2"."""
    names: list[str] = []
    for name in table.column_names:
        number = 1
        candidate = name
        while candidate in names:
            number += 1
            candidate = f"{name}_{number}"
        names.append(candidate)
    return table.rename_columns(names)


def _limit_process() -> None:
    """Bound what this process may use, whatever DuckDB does."""
    for kind, limit in (
        (resource.RLIMIT_CPU, TIME_LIMIT_S * THREADS),
        (resource.RLIMIT_AS, _ADDRESS_SPACE),
        (resource.RLIMIT_FSIZE, _SCRATCH),
        (resource.RLIMIT_CORE, 0),  # a core file would hold patient data
    ):
        resource.setrlimit(kind, (limit, limit))
    signal.alarm(TIME_LIMIT_S + 5)  # should nobody be left to end it
    os.nice(5)  # the pages come first


def main() -> None:
    """Answer the request on standard input: a line of JSON with what came of it, then the rows as an Arrow stream."""
    _limit_process()
    request = json.loads(sys.stdin.buffer.read())
    connection = attached(Path(request["database"]), Path(request["scratch"]))
    started = time.perf_counter()
    out = sys.stdout.buffer
    try:
        rows, cut = answer(connection, request["statement"])
    except NotAnswered as refusal:
        out.write(json.dumps({"refusal": str(refusal)}).encode() + b"\n")
        return
    out.write(json.dumps({"seconds": time.perf_counter() - started, "cut": cut}).encode() + b"\n")
    with pa.ipc.new_stream(out, rows.schema) as stream:
        stream.write_table(rows)


if __name__ == "__main__":
    main()
