"""Working file -> a finished read-only copy under a stable name, swapped atomically."""

import os
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from screening.config import CareGapSettings
from screening.store.database import (
    UNFINISHED,
    DatabaseFolder,
    copy_durably,
    fetch_one,
    sql,
    transaction,
    write_rows,
)
from screening.store.reviews import fold_reviews
from screening.validation_settings import WINDOW_DAYS


def publish(
    connection: duckdb.DuckDBPyConnection,
    place: DatabaseFolder,
    care_gap: CareGapSettings | None,
    *,
    keep: int | None = None,
    window_days: int | None = None,
) -> Path:
    """Publish what has been committed; readers of older copies are not disturbed.

    Decisions of reviewers are taken over first, and who is newly on the list is entered.

    Without `care_gap` the limits of the publication before stay in force, without `window_days` its window between CT
    and DXA; without `keep` all publications stay, else
    so many. The copy is complete and on disk before the link moves, so a reader never opens a torn file; whatever ends
    this halfway leaves the link where it was, and the next publication clears away what is left.
    """
    _drop_unfinished(place)
    with transaction(connection):
        fold_reviews(connection, place)
        number = fetch_one(connection, "SELECT coalesce(max(publication_id), 0) + 1 FROM publication")[0]
        publication = _publication(number, care_gap or _limits_in_force(connection))
        window = {"validation_window_days": window_in_force(connection) if window_days is None else window_days}
        write_rows(connection, "publication", [publication | window])
        connection.execute(sql("queries/enter_new_flags"))
    connection.execute("CHECKPOINT")
    finished = place.publications / f"screening-{number:06}.duckdb"
    copy_durably(place.working, finished)
    _point(place.published, finished)
    _drop_old(place.publications, keep)
    _drop_pictures_without_row(connection, place.evidence)
    return finished


def _limits_in_force(connection: duckdb.DuckDBPyConnection) -> CareGapSettings:
    rows = connection.execute(
        "SELECT look_back_months, minimum_age_years FROM publication ORDER BY publication_id DESC LIMIT 1"
    ).fetchall()
    return CareGapSettings(look_back_months=rows[0][0], minimum_age_years=rows[0][1]) if rows else CareGapSettings()


def window_in_force(connection: duckdb.DuckDBPyConnection) -> int:
    """Days between CT and DXA that the newest publication allows; the default before the first."""
    rows = connection.execute(
        "SELECT validation_window_days FROM publication ORDER BY publication_id DESC LIMIT 1"
    ).fetchall()
    return int(rows[0][0]) if rows else WINDOW_DAYS


def _publication(number: int, care_gap: CareGapSettings) -> dict[str, object]:
    now = datetime.now(UTC).replace(tzinfo=None)
    as_of: date = care_gap.as_of_date or now.date()
    return {
        "publication_id": number,
        "published_at": now,
        "as_of_date": as_of,
        "look_back_months": care_gap.look_back_months,
        "minimum_age_years": care_gap.minimum_age_years,
    }


def _point(link: Path, target: Path) -> None:
    unfinished = link.with_suffix(".link")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(target.relative_to(link.parent))
    unfinished.replace(link)
    folder = os.open(link.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _drop_unfinished(place: DatabaseFolder) -> None:
    for folder in (place.publications, place.working.parent):
        for left in folder.glob(f"*{UNFINISHED}"):
            left.unlink()


def _drop_old(publications: Path, keep: int | None) -> None:
    if keep is not None:
        for old in sorted(publications.glob("screening-*.duckdb"))[:-keep]:
            old.unlink()


def _drop_pictures_without_row(connection: duckdb.DuckDBPyConnection, evidence: Path) -> None:
    named = {row[0] for row in connection.execute("SELECT evidence_file FROM study_bmd").fetchall()}
    for picture in evidence.iterdir():
        if picture.name not in named:
            picture.unlink()
