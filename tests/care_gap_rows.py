"""Rows of a small database, one call a fact: what the views of the care gap are asked about."""

import json
from datetime import date, datetime
from typing import Any

import duckdb

from screening.store.database import create_schema, write_rows

SHA = "a" * 64
NOW = datetime(2025, 6, 1)
AS_OF = date(2025, 6, 1)
CT = date(2025, 3, 1)
LEVELS = ["L1", "L2", "L3", "L4"]


def new_database() -> duckdb.DuckDBPyConnection:
    """Make an empty database with an active checkpoint, published with a look-back of 36 months."""
    memory = duckdb.connect()
    create_schema(memory)
    model = {"checkpoint_sha256": SHA, "name": "m", "data_kind": "simulated", "metrics": json.dumps({}), "active": True}
    write_rows(memory, "model", [model | {"registered_at": NOW}])
    publish_on(memory, AS_OF)
    return memory


def publish_on(connection: duckdb.DuckDBPyConnection, as_of: date, number: int = 1) -> None:
    publication = {"publication_id": number, "published_at": NOW, "as_of_date": as_of}
    write_rows(connection, "publication", [publication | {"look_back_months": 36, "minimum_age_years": 50}])


def add_patient(
    connection: duckdb.DuckDBPyConnection,
    patient_id: str = "A",
    *,
    study: str = "2.25.1",
    study_date: date | None = CT,
    age: float | None = 70.0,
    identified: bool = True,
    sex: str | None = "F",
    issuer: str = "",
    institution: str = "",
    **bmd: Any,
) -> None:
    """Add a measured study of a patient; `bmd` replaces columns of study_bmd."""
    write_rows(connection, "patient", [{"patient_id": patient_id, "identified": identified}])
    study_row = {
        "study_instance_uid": study, "patient_id": patient_id, "study_key": study, "study_date": study_date,
        "age_years": age, "sex": sex, "birth_date": None, "issuer_of_patient_id": issuer, "accession_number": "",
        "study_description": "", "institution_name": institution, "series_count": 1, "instance_count": 1,
        "fingerprint": "",
    }  # fmt: skip
    write_rows(connection, "study", [study_row])
    write_rows(connection, "study_bmd", [study_bmd(patient_id, study) | bmd])


def study_bmd(patient_id: str, study: str) -> dict[str, Any]:
    return {
        "study_instance_uid": study, "checkpoint_sha256": SHA, "patient_id": patient_id, "bmd_cnn": 0.7,
        "bmd_low": 0.6, "bmd_high": 0.8, "level_count": 4, "levels": LEVELS, "attenuation_hu": 60.0,
        "reference": "hologic_l1_l4_female", "t_score": -3.2, "yam_percent": 67.0, "category": "osteoporosis",
        "osteoporosis_probability": 0.8, "band": "likely", "level_certainty": "certain", "contrast_enhanced": False,
        "warnings": [], "evidence_file": "x.png",
    }  # fmt: skip


def add_dxa(
    connection: duckdb.DuckDBPyConnection, on: date, region: str = "L1-L4", patient_id: str = "A", **values: Any
) -> None:
    row = {"patient_id": patient_id, "dxa_date": on, "region": region, "bmd_dxa": 0.9, "manufacturer": ""}
    write_rows(connection, "dxa", [row | {"source_file": "dxa.csv", "imported_at": NOW} | values])


def add_fact(connection: duckdb.DuckDBPyConnection, fact: str, *, holds: bool = True, patient_id: str = "A") -> None:
    row = {"patient_id": patient_id, "fact": fact, "holds": holds, "recorded_on": AS_OF}
    write_rows(connection, "patient_context", [row | {"source_file": "patients.csv", "imported_at": NOW}])


def add_review(
    connection: duckdb.DuckDBPyConnection,
    event_id: int,
    action: str,
    until: date | None = None,
    *,
    study: str = "2.25.1",
    patient_id: str = "A",
) -> None:
    row = {"event_id": event_id, "patient_id": patient_id, "study_instance_uid": study, "action": action}
    made = {"defer_until": until, "comment": "", "reviewer": "R", "made_at": NOW}
    write_rows(connection, "review_event", [row | made])


def add_flag(connection: duckdb.DuckDBPyConnection, on: date, *, study: str = "2.25.1", patient_id: str = "A") -> None:
    row = {"patient_id": patient_id, "study_instance_uid": study, "flagged_on": on, "publication_id": 1}
    write_rows(connection, "flag_event", [row])
