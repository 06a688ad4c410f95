"""A published hospital of random numbers whose CT were held against its DXA, and whose scanners were watched."""

from datetime import datetime
from pathlib import Path

import duckdb
import published_example as example
import random_hospital
from random_hospital import Law

from screening.prediction.tscore import REFERENCES
from screening.store.database import DatabaseFolder
from screening.store.drift import watch_drift
from screening.store.validation import validate
from screening.validation_settings import DriftSettings, ValidationSettings

LAW = Law(patients=1500, scanners=3, drifting_scanner=2, drift_hu=20.0, bias_g_cm2=0.02)
SEED = 11
COMPARED_AT = datetime(2026, 2, 3, 4, 5)


def publish_hospital(folder: Path, *, compared: int = 1, watched: bool = True, law: Law = LAW) -> None:
    """Publish the hospital after so many comparisons with DXA."""
    example.publish_rows(folder, 1, {})
    with duckdb.connect(DatabaseFolder(folder).published.resolve()) as connection:
        random_hospital.fill(connection, law, SEED)
        for _ in range(compared):
            validate(connection, ValidationSettings(), REFERENCES)
        connection.execute("UPDATE validation_run SET validated_at = ? + to_days(run_id)", [COMPARED_AT])
        if watched:
            watch_drift(connection, DriftSettings())


def change(folder: Path, statement: str) -> None:
    """Change a publication before anybody has opened it."""
    with duckdb.connect(DatabaseFolder(folder).published.resolve()) as connection:
        connection.execute(statement)
