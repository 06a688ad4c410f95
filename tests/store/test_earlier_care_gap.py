"""A database made before references, reviews and facts about patients were stored opens and answers the same."""

import duckdb
from care_gap_rows import add_patient, new_database

from screening.store.database import create_schema

ADDED = ("reference_mean", "reference_sd", "osteoporosis_rule", "z_score", "z_category")
TABLES = ("flag_event", "review_event", "reference_population", "patient_context")
VIEWS = (
    "worklist", "flagged", "care_gap_month", "care_gap", "patient_bmd", "person", "measured_study", "banded_patient"
)  # fmt: skip


def as_it_was_made_earlier() -> duckdb.DuckDBPyConnection:
    connection = new_database()
    add_patient(connection)
    for view in VIEWS:
        connection.execute(f"DROP VIEW {view}")
    for table in TABLES:
        connection.execute(f"DROP TABLE {table}")
    connection.execute(f"CREATE TABLE earlier AS SELECT * EXCLUDE ({', '.join(ADDED)}) FROM study_bmd")
    connection.execute("DROP TABLE study_bmd")
    connection.execute("ALTER TABLE earlier RENAME TO study_bmd")
    return connection


def test_an_earlier_database_opens_with_its_results() -> None:
    connection = as_it_was_made_earlier()
    create_schema(connection)
    assert connection.execute("SELECT patient_id, z_score, reference_sd FROM flagged").fetchall() == [("A", None, None)]
    assert connection.execute("SELECT state, alive FROM worklist JOIN care_gap USING (patient_id)").fetchall() == [
        ("open", None)
    ]
    uncommented = "SELECT relation, column_name FROM data_dictionary WHERE comment IS NULL"
    assert connection.execute(uncommented).fetchall() == []
