"""Statements against the console: what it answers, and that it can be led nowhere else."""

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from dashboard import console, console_process
from dashboard.console import NotAnswered, ask
from dashboard.console_process import answer, attached
from screening.store.database import DatabaseFolder

QUESTIONS = [
    ("SELECT count(*) AS n FROM patient", {"n": [8]}),
    ("FROM patient SELECT count(*) AS n;", {"n": [8]}),
    ("WITH a AS (SELECT 1 AS x) SELECT x FROM a -- all", {"x": [1]}),
    ("VALUES (1)", {"col0": [1]}),
    ("SELECT 1 AS a, 2 AS a, 3 AS a", {"a": [1], "a_2": [2], "a_3": [3]}),
    ("SELECT patient_id FROM flagged WHERE false", {"patient_id": []}),
    ("SELECT comment FROM data_dictionary WHERE relation = 'patient' AND column_name = 'identified' LIMIT 0",
     {"comment": []}),
]  # fmt: skip
DESCRIPTIONS = [
    "SHOW TABLES",
    "DESCRIBE flagged",
    "SUMMARIZE patient",
    "EXPLAIN FROM flagged",
    "EXPLAIN ANALYZE FROM dxa",
]

NO_QUESTIONS = [
    "ATTACH '{file}' AS other",
    "ATTACH ':memory:' AS other",
    "DETACH published",
    "USE memory",
    "COPY patient TO '{out}'",
    "COPY (FROM patient) TO '{out}' (FORMAT parquet)",
    "COPY patient FROM '/etc/passwd'",
    "EXPORT DATABASE '{out}'",
    "IMPORT DATABASE '{out}'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '{out}'",
    "PRAGMA database_list",
    "PRAGMA enable_external_access",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "SET memory_limit = '64GB'",
    "RESET memory_limit",
    "SET VARIABLE x = 1",
    "CALL pragma_version()",
    "CHECKPOINT",
    "VACUUM",
    "CREATE TABLE x AS FROM patient",
    "CREATE TEMP TABLE x AS FROM patient",
    "CREATE SECRET s (TYPE s3)",
    "CREATE MACRO f() AS 1",
    "INSERT INTO patient VALUES ('X', true)",
    "UPDATE patient SET identified = false",
    "DELETE FROM patient",
    "MERGE INTO patient USING (SELECT 'X' AS p) ON p = patient_id WHEN MATCHED THEN DELETE",
    "DROP TABLE patient",
    "ALTER TABLE patient ADD COLUMN x INTEGER",
    "COMMENT ON TABLE patient IS 'x'",
    "BEGIN",
    "PREPARE p AS FROM patient",
    "EXECUTE p",
    "PIVOT dxa ON region USING count(*)",
    "UPDATE EXTENSIONS",
    "EXPLAIN ANALYZE COPY patient TO '{out}'",
    "EXPLAIN ANALYZE COPY patient TO '{file}'",
    "explain\tanalyze\nCOPY patient TO '{file}.wal'",
    "EXPLAIN ANALYZE CREATE TABLE memory.x AS FROM patient",
    "EXPLAIN ANALYZE DELETE FROM patient",
    "EXPLAIN COPY patient TO '{file}'",
    "/* EXPLAIN */ EXPLAIN ANALYZE COPY patient TO '{file}'",
    "COPY (SELECT 1) TO '{file}' -- EXPLAIN",
]
OUTSIDE = [
    "FROM read_csv('/etc/passwd')",
    "FROM read_text('/etc/passwd')",
    "FROM read_blob('/proc/self/environ')",
    "FROM read_text('/proc/self/environ')",
    "FROM glob('/*')",
    "FROM sniff_csv('/etc/passwd')",
    "FROM '/etc/hosts.csv'",
    "FROM 'http://127.0.0.1/x.csv'",
    "FROM read_parquet('{out}')",
    "FROM parquet_metadata('{out}')",
    "FROM read_json('{out}')",
    "FROM read_duckdb('{other}', table_name = 'secret')",
    "FROM '{other}'",
    "FROM read_blob('{other}')",
    "FROM read_blob('{scratch}/../other.duckdb')",
    "FROM query('FROM read_duckdb(''{other}'')')",
    "FROM query('FROM read_text(''/etc/passwd'')')",
    "FROM query_table('/etc/hosts.csv')",
    "SELECT (SELECT content FROM read_text('/etc/passwd'))",
    "EXPLAIN ANALYZE FROM read_csv('/etc/passwd')",
    "DESCRIBE FROM read_csv('/etc/passwd')",
    "SUMMARIZE FROM read_csv('/etc/passwd')",
]
WITHOUT_ANSWER = [
    "SELECT getenv('HOME')",
    "FROM enable_logging(storage = 'file', storage_config = {{'path': '{out}'}})",
    "FROM query('COPY patient TO ''{out}''')",
    "FROM json_execute_serialized_sql('{{}}')",
    "WITH x AS (DELETE FROM patient RETURNING *) FROM x",
    "EXPLAIN ANALYZE ATTACH '{file}' AS other",
    "EXPLAIN EXPLAIN SELECT 1",
    "EXPLAIN (FORMAT json) COPY patient TO '{file}'",
    "FROM connection",
    "FROM statement",
    "FROM arrow_scan(1, 1, 1)",
    "FROM sqlite_scan('{file}', 'patient')",
    "SELECT * FROM other.patient",
    "SELECT ?",
    "SELECT $patient",
    "SELEC 1",
]


@pytest.fixture(scope="session")
def published_file(example_folder: Path) -> Path:
    return DatabaseFolder(example_folder).published.resolve()


@pytest.fixture
def file(published_file: Path) -> Iterator[Path]:
    """Name the published file, and see that a test left it as it was."""
    before = hashlib.sha256(published_file.read_bytes()).digest()
    yield published_file
    assert hashlib.sha256(published_file.read_bytes()).digest() == before
    assert [other.name for other in published_file.parent.iterdir()] == [published_file.name]


@pytest.fixture(autouse=True)
def other(tmp_path: Path) -> Path:
    """Put another database beside, of what nobody may ask here."""
    path = tmp_path / "other.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE secret AS SELECT 'SECRET^NAME' AS name")
    return path


@pytest.fixture
def connection(file: Path, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with attached(file, tmp_path / "scratch") as opened:
        yield opened


def filled(statement: str, file: Path, tmp_path: Path) -> str:
    return statement.format(
        file=file, out=tmp_path / "out", other=tmp_path / "other.duckdb", scratch=tmp_path / "scratch"
    )


@pytest.mark.parametrize(("statement", "expected"), QUESTIONS)
def test_questions_are_answered(
    connection: duckdb.DuckDBPyConnection, statement: str, expected: dict[str, list[object]]
) -> None:
    rows, cut = answer(connection, statement)
    assert rows.to_pydict() == expected
    assert not cut


@pytest.mark.parametrize("statement", DESCRIPTIONS)
def test_the_database_describes_itself(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    rows, _ = answer(connection, statement)
    assert rows.num_rows > 0


@pytest.mark.parametrize("statement", NO_QUESTIONS)
def test_only_questions_run(connection: duckdb.DuckDBPyConnection, file: Path, tmp_path: Path, statement: str) -> None:
    with pytest.raises(console_process.NotAnswered, match=r"Only questions are answered|cannot be handed out"):
        answer(connection, filled(statement, file, tmp_path))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("statement", OUTSIDE)
def test_nothing_outside_the_database_can_be_reached(
    connection: duckdb.DuckDBPyConnection, file: Path, tmp_path: Path, statement: str
) -> None:
    with pytest.raises(
        console_process.NotAnswered, match=r"^The statement reaches outside this database, and that is closed\.$"
    ):
        answer(connection, filled(statement, file, tmp_path))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("statement", WITHOUT_ANSWER)
def test_what_cannot_be_answered_gets_one_sentence(
    connection: duckdb.DuckDBPyConnection, file: Path, tmp_path: Path, statement: str
) -> None:
    with pytest.raises(console_process.NotAnswered, match=r"\A[A-Z][^\n]{5,420}[.!?]\Z") as refusal:
        answer(connection, filled(statement, file, tmp_path))
    assert "LINE" not in str(refusal.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("statements", "count"), [("SELECT 1; SELECT 2", 2), ("", 0), ("-- nothing", 0), ("SELECT 1; DROP TABLE dxa;", 2)]
)
def test_one_statement_is_answered_at_a_time(
    connection: duckdb.DuckDBPyConnection, statements: str, count: int
) -> None:
    with pytest.raises(console_process.NotAnswered, match=f"these are {count}"):
        answer(connection, statements)


def test_a_long_answer_is_cut(connection: duckdb.DuckDBPyConnection) -> None:
    rows, cut = answer(connection, "FROM range(1_000_000_000)")
    assert rows.num_rows == console_process.MOST_ROWS
    assert cut


def test_an_answer_of_just_the_limit_is_whole(connection: duckdb.DuckDBPyConnection) -> None:
    rows, cut = answer(connection, f"FROM range({console_process.MOST_ROWS})")
    assert rows.num_rows == console_process.MOST_ROWS
    assert not cut


def test_a_wide_answer_is_cut(connection: duckdb.DuckDBPyConnection) -> None:
    rows, cut = answer(connection, "SELECT repeat('x', 100_000) FROM range(5_000)")
    assert rows.nbytes < 3 * console_process.MOST_BYTES
    assert cut


def test_too_much_memory_is_refused(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(console_process.NotAnswered, match="more memory than the 512MiB"):
        answer(connection, "SELECT list(range) FROM range(1_000_000_000)")


def test_a_question_goes_to_a_process_of_its_own_and_leaves_nothing(file: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    found = ask(file, "SELECT patient_id FROM patient ORDER BY ALL LIMIT 2", scratch)
    assert found.rows.to_pydict() == {"patient_id": ["EXCLUDED", "FAILED"]}
    assert not found.cut
    assert 0 < found.seconds < 10
    assert list(scratch.iterdir()) == []


def test_a_refusal_crosses_from_the_process(file: Path, tmp_path: Path) -> None:
    with pytest.raises(NotAnswered, match="reaches outside"):
        ask(file, "FROM read_text('/etc/passwd')", tmp_path / "scratch")


def test_a_long_question_is_ended(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "TIME_LIMIT_S", 1)
    started = time.monotonic()
    with pytest.raises(NotAnswered, match="no answer within 1 s"):
        ask(file, "SELECT count(*) FROM range(1_000_000_000_000)", tmp_path / "scratch")
    assert time.monotonic() - started < 5
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_process_that_dies_is_told(file: Path, tmp_path: Path) -> None:
    with pytest.raises(NotAnswered, match="ended its own process"):
        ask(tmp_path / "no such file", "SELECT 1", tmp_path / "scratch")


def test_a_question_waits_for_a_place_only_so_long(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "TIME_LIMIT_S", 0.01)
    with console._place(), console._place(), pytest.raises(NotAnswered, match="ask again in a minute"):
        ask(file, "SELECT 1", tmp_path / "scratch")


def test_what_an_ended_server_left_is_removed(file: Path, tmp_path: Path) -> None:
    left = tmp_path / "scratch" / "question-old"
    left.mkdir(parents=True)
    os.utime(left, (0, 0))
    ask(file, "SELECT 1", tmp_path / "scratch")
    assert not left.exists()


def test_a_folder_that_another_question_removes_is_passed_over(file: Path, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "question-gone").symlink_to(tmp_path / "nowhere")
    assert ask(file, "SELECT 1 AS n", tmp_path / "scratch").rows.to_pydict() == {"n": [1]}


def test_the_word_explain_inside_a_statement_is_left_alone(connection: duckdb.DuckDBPyConnection) -> None:
    rows, _ = answer(connection, "SELECT 'please EXPLAIN ANALYZE this' AS said")
    assert rows.to_pydict() == {"said": ["please EXPLAIN ANALYZE this"]}
