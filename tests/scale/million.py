"""Measure what a hospital of a million patients costs: the list, the questions, validation, and import of its DXA.

    python tests/scale/million.py build    --database FOLDER [--patients 1000000]
    python tests/scale/million.py views    --database FOLDER [--explain VIEW]
    python tests/scale/million.py validate --database FOLDER
    python tests/scale/million.py import   --database FOLDER

`build` makes a database of hashes, the same in every run: 1.3 studies a patient, nine DXA rows of a third of them.
Times are medians of several rounds, wall and CPU seconds; wall times hold for a machine that does nothing else.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb

from screening.config import CareGapSettings
from screening.store.database import DatabaseFolder, open_writer
from screening.store.publish import publish

HERE = Path(__file__).parent
QUESTIONS = HERE.parents[1] / "screening" / "store" / "questions"
VIEWS = ("flagged", "care_gap", "worklist", "care_gap_month", "patient_bmd", "validation_pair")
LIMITS_S = {"flagged": 1.0, "care_gap": 3.0}
VALIDATE_LIMIT_S = 60.0
IMPORT_LIMIT_ROWS_A_SECOND = 100_000
ROUNDS = 5
AS_OF = date(2025, 12, 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=list(MEASUREMENTS))
    parser.add_argument("--database", type=Path, required=True, help="folder; its parent holds what is imported")
    parser.add_argument("--patients", type=int, default=1_000_000)
    parser.add_argument("--explain", help="view whose plan is printed with its times")
    arguments = parser.parse_args()
    return 0 if MEASUREMENTS[arguments.what](arguments) else 1


def build(arguments: argparse.Namespace) -> bool:
    place = DatabaseFolder(arguments.database)
    place.create()
    given = {"patients": arguments.patients, "checkpoint": "a" * 64}
    with open_writer(place) as connection:
        connection.execute("SET preserve_insertion_order = false")
        for script in ("million_hospital", "million_records"):
            for statement in connection.extract_statements((HERE / f"{script}.sql").read_text(encoding="utf-8")):
                wanted = {name: given[name] for name in statement.named_parameters}
                connection.execute(statement, wanted or None)
        started = time.monotonic()
        publish(connection, place, CareGapSettings(as_of_date=AS_OF))
        told("publication", time.monotonic() - started)
        for table in ("patient", "study", "study_bmd", "dxa", "patient_context", "review_event", "flag_event"):
            say(f"{table:16} {connection.table(table).count('*').fetchall()[0][0]:>10,}")
    return True


def views(arguments: argparse.Namespace) -> bool:
    with duckdb.connect(DatabaseFolder(arguments.database).published.resolve(), read_only=True) as connection:
        if arguments.explain:
            say(connection.execute(f"EXPLAIN ANALYZE FROM {arguments.explain}").fetchall()[0][1])
            return True
        kept = [measured(connection, view, f"FROM {view}", LIMITS_S.get(view)) for view in VIEWS]
        for question in sorted(QUESTIONS.glob("*.sql")):
            measured(connection, question.stem, question.read_text(encoding="utf-8"), None)
    return all(kept)


def measured(connection: duckdb.DuckDBPyConnection, name: str, query: str, limit_s: float | None) -> bool:
    """Print medians of the rounds; tell whether the limit is kept."""
    walls, cpus = [], []
    for _ in range(ROUNDS):
        wall, cpu = time.monotonic(), cpu_s(resource.RUSAGE_SELF)
        rows = connection.sql(query).to_arrow_table().num_rows
        walls.append(time.monotonic() - wall)
        cpus.append(cpu_s(resource.RUSAGE_SELF) - cpu)
    median = statistics.median(walls)
    told(name, median, f"CPU {statistics.median(cpus):6.2f} s, {rows:,} rows", limit_s)
    return limit_s is None or median < limit_s


def validate(arguments: argparse.Namespace) -> bool:
    seconds = run_screening("validate", "--database", str(arguments.database))
    told("screening validate", seconds, "", VALIDATE_LIMIT_S)
    return seconds < VALIDATE_LIMIT_S


def import_dxa(arguments: argparse.Namespace) -> bool:
    """Import the DXA of the hospital, written as CSV, into a database that knows its patients but no DXA."""
    file, place = arguments.database.parent / "million_dxa.csv", DatabaseFolder(arguments.database.parent / "imported")
    place.create()
    columns = "patient_id, dxa_date, region, bmd_dxa, t_score, manufacturer"
    with duckdb.connect(DatabaseFolder(arguments.database).published.resolve(), read_only=True) as connection:
        rows = connection.table("dxa").count("*").fetchall()[0][0]
        connection.execute(f"COPY (SELECT {columns} FROM dxa) TO '{file}' (HEADER)")
    with open_writer(place) as connection:
        publish(connection, place, CareGapSettings(as_of_date=AS_OF))
    speed = rows / run_screening("import", "dxa", str(file), "--database", str(place.folder))
    say(f"import: {speed:,.0f} rows/s of {rows:,} (limit {IMPORT_LIMIT_ROWS_A_SECOND:,})")
    return bool(speed >= IMPORT_LIMIT_ROWS_A_SECOND)


def run_screening(*words: str) -> float:
    started = time.monotonic()
    subprocess.run([Path(sys.executable).with_name("screening"), *words], check=True)
    return time.monotonic() - started


def cpu_s(whose: int) -> float:
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime


def told(what: str, seconds: float, more: str = "", limit_s: float | None = None) -> None:
    limit = f" (limit {limit_s:g} s)" if limit_s else ""
    say(f"{what:24} {seconds:7.2f} s{limit} {more}")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


MEASUREMENTS: dict[str, Callable[[argparse.Namespace], bool]] = {
    "build": build,
    "views": views,
    "validate": validate,
    "import": import_dxa,
}

if __name__ == "__main__":
    sys.exit(main())
