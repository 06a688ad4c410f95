from datetime import date, datetime
from pathlib import Path

import duckdb

from screening.store.database import DatabaseFolder, open_writer, write_rows

EARLIER_TABLES = """
    CREATE TABLE dxa (
        patient_id VARCHAR NOT NULL, dxa_date DATE NOT NULL, region VARCHAR NOT NULL,
        bmd_dxa DOUBLE CHECK (bmd_dxa BETWEEN 0.2 AND 2.5), t_score DOUBLE CHECK (t_score BETWEEN -8 AND 8),
        manufacturer VARCHAR NOT NULL, source_file VARCHAR NOT NULL, imported_at TIMESTAMP NOT NULL,
        PRIMARY KEY (patient_id, dxa_date, region, manufacturer),
        CHECK (region IN ('L1-L4', 'L2-L4', 'L1', 'L2', 'L3', 'L4', 'total_hip', 'femoral_neck')),
        CHECK (bmd_dxa IS NOT NULL OR t_score IS NOT NULL)
    );
    CREATE TABLE rejected_record (
        record_digest VARCHAR PRIMARY KEY, source_file VARCHAR NOT NULL,
        row_number BIGINT NOT NULL CHECK (row_number >= 1), reason VARCHAR NOT NULL, record VARCHAR NOT NULL,
        rejected_at TIMESTAMP NOT NULL
    );
"""
EARLIER_DXA = {
    "patient_id": "A", "dxa_date": date(2024, 1, 1), "region": "L1-L4", "bmd_dxa": None, "t_score": -2.5,
    "manufacturer": "", "source_file": "dxa.csv", "imported_at": datetime(2024, 1, 2),
}  # fmt: skip
EARLIER_REJECT = {
    "record_digest": "0" * 64, "source_file": "dxa.csv", "row_number": 3, "reason": "patient_id: missing",
    "record": '{"patient_id": ""}', "rejected_at": datetime(2024, 1, 2),
}  # fmt: skip


def test_an_older_database_keeps_its_dxa_and_its_refused_rows(tmp_path: Path) -> None:
    place = DatabaseFolder(tmp_path / "db")
    place.create()
    with duckdb.connect(place.working) as older:
        older.execute(EARLIER_TABLES)
        write_rows(older, "dxa", [EARLIER_DXA])
        write_rows(older, "rejected_record", [EARLIER_REJECT])

    with open_writer(place):
        pass

    with open_writer(place) as reopened:
        (dxa,) = reopened.table("dxa").to_arrow_table().to_pylist()
        (record,) = reopened.table("dxa_record").to_arrow_table().to_pylist()
        (reject,) = reopened.table("rejected_record").to_arrow_table().to_pylist()
    assert dxa.items() >= EARLIER_DXA.items()
    assert (record["identifier"], record["t_score"], record["source_format"]) == ("A", -2.5, "earlier")
    assert reject.items() >= EARLIER_REJECT.items()
