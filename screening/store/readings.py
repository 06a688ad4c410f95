"""Outcomes of a sweep -> committed rows with their pictures, a batch in one transaction."""

from dataclasses import replace

import duckdb

from screening.reading import Outcome, failure_of
from screening.store.database import DatabaseFolder, fetch_one, transaction, unfinished
from screening.store.rows import ReadStudy, write_readings


def commit_readings(
    connection: duckdb.DuckDBPyConnection, place: DatabaseFolder, readings: list[ReadStudy]
) -> list[ReadStudy]:
    """Write what ended and return it; a study whose numbers the database refuses becomes a failure of its own."""
    try:
        _write(connection, place, readings)
    except duckdb.ConstraintException as error:
        if len(readings) > 1:
            return [read for one in readings for read in commit_readings(connection, place, [one])]
        refused = Outcome(None, failure_of(error), readings[0].outcome.read_seconds)
        readings = [replace(readings[0], outcome=refused)]
        _write(connection, place, readings)
    return readings


def _write(connection: duckdb.DuckDBPyConnection, place: DatabaseFolder, readings: list[ReadStudy]) -> None:
    """Write pictures first, so that no row names a picture that is not there."""
    for read in readings:
        if read.measured is not None:
            with unfinished(place.evidence / read.evidence_file) as picture:
                picture.write_bytes(read.measured.evidence_png)
    with transaction(connection):
        write_readings(connection, [read for read in readings if not _better_known(connection, read)])


def _better_known(connection: duckdb.DuckDBPyConnection, read: ReadStudy) -> bool:
    """Tell whether a dropped mount or the like must not wipe out an earlier result; the next sweep tries again."""
    if read.outcome.failure is None or not read.outcome.failure.transient:
        return False
    query = "SELECT count(*) FROM outcome WHERE study_instance_uid = ? AND checkpoint_sha256 = ?"
    return bool(fetch_one(connection, query, [read.study.study_instance_uid, read.checkpoint_sha256])[0])


def forget_that_it_was_read(connection: duckdb.DuckDBPyConnection, checkpoint_sha256: str) -> None:
    """Have every study read again; each result stays until the new one takes its place, be it nights later."""
    with transaction(connection):
        connection.execute(
            "UPDATE outcome SET reading_fingerprint = '' WHERE checkpoint_sha256 = ?", [checkpoint_sha256]
        )
