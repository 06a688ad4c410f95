"""The published database -> data frames; the only place of the dashboard that opens DuckDB."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import streamlit as st

from screening.errors import UserError
from screening.labels import NOTICE, SIMULATED_NOTICE
from screening.store import reviews
from screening.store.database import DatabaseFolder

DATABASE_VARIABLE = "SCREENING_DATABASE"  # names the folder that `screening sweep` publishes to
Connection = duckdb.DuckDBPyConnection
SQL_FOLDER = Path(__file__).parent / "sql"
MEMORY_LIMIT = "768MiB"  # of each open publication; the whole server stays under 1.5 GB
CACHED_ANSWERS = 256  # answers kept in memory over all sessions; a worklist of 1,000 rows is about 0.5 MB


@dataclass(frozen=True, slots=True)
class Publication:
    """One published database file; names its content, so that answers may be kept by it."""

    path: str
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Headline:
    """What stands above every list: counts under the active checkpoint, the last sweep, the limits in force."""

    patient_count: int
    study_count: int
    measured_patient_count: int
    excluded_study_count: int
    failed_study_count: int
    last_sweep_at: datetime | None  # UTC
    last_sweep_state: str | None
    published_at: datetime | None  # UTC
    as_of_date: date | None
    look_back_months: int | None
    minimum_age_years: int | None
    last_event_id: int  # the newest decision of a reviewer that was folded in, 0 for none
    simulated: bool  # the active checkpoint was trained on simulated CT


def database_folder() -> DatabaseFolder:
    """Return the folder that holds the published database and the evidence pictures."""
    folder = os.environ.get(DATABASE_VARIABLE, "")
    if not folder:
        raise UserError(
            f"No database folder is named. Start with `screening dashboard --database DIR`, or set {DATABASE_VARIABLE}."
        )
    return DatabaseFolder(Path(folder))


def publication() -> Publication:
    """Resolve the published link to the versioned file behind it.

    A process that has a replaced file open keeps getting the old content under the same name; the versioned name
    is never reused for another content while the database lives, so a new publication shows up at once.
    """
    link = database_folder().published
    if not link.exists():
        raise UserError(
            f"No published database at `{link}`. Run `screening sweep` (or `screening demo`) with this folder first."
        )
    path = link.resolve()
    return Publication(str(path), path.stat().st_mtime_ns)


@st.cache_resource(show_spinner=False, max_entries=3)
def _database(published: Publication) -> duckdb.DuckDBPyConnection:
    """Open a publication for all questions to it; the ones before stay open for sessions that still show them.

    One that is let go closes with the last question to it.

    It is attached to a database in memory: a second connection to the same path would show what lay there before.
    """
    spill = database_folder().working.parent / "dashboard"
    database = duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": str(spill)})
    database.execute("ATTACH $path AS published (READ_ONLY)", {"path": published.path})
    return database


def question(name: str) -> str:
    """Return the text of a file of the sql folder, e.g. "patient_dxa"."""
    return (SQL_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


@contextmanager
def opened(published: Publication) -> Iterator[duckdb.DuckDBPyConnection]:
    """Ask the publication something; read-only, and as many at once as there are questions.

    Raises:
        UserError: the file is damaged, or of another version.
    """
    try:
        with _database(published).cursor() as connection:
            connection.execute("USE published")
            yield connection
    except (duckdb.OperationalError, duckdb.InternalError, duckdb.FatalException) as problem:
        raise UserError(
            f"The published database {Path(published.path).name} cannot be read ({type(problem).__name__}). "
            "Run `screening sweep` to publish it again; if that does not help, restore the folder from its backup."
        ) from problem
    except (duckdb.CatalogException, duckdb.BinderException) as problem:
        raise UserError(
            f"The published database {Path(published.path).name} was written by another version of this software. "
            "Run `screening sweep` with the installed version to publish it again."
        ) from problem


@st.cache_data(show_spinner=False, max_entries=CACHED_ANSWERS)
def answer(published: Publication, name: str, parameters: dict[str, Any] | None = None) -> pd.DataFrame:
    """Run one file of the sql folder, e.g. "patient_dxa"; the answer is kept as long as the publication is shown.

    Raises:
        UserError: the file is damaged, or of another version.
    """
    with opened(published) as connection:
        return connection.execute(question(name), parameters or None).df()


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Turn rows into plain values, missing as None."""
    present = frame.astype(object).where(frame.notna(), None)
    return [{str(column): value for column, value in row.items()} for row in present.to_dict("records")]


def later_decisions(published: Publication) -> pa.Table:
    """Return the decisions of reviewers that are newer than the publication, with the columns of review_event."""
    file = database_folder().reviews
    if not file.exists():
        with opened(published) as connection:
            return connection.sql("FROM review_event LIMIT 0").to_arrow_table()
    state = file.stat()
    return _decisions_after(published, state.st_mtime_ns, state.st_size)


@st.cache_resource(show_spinner=False, max_entries=2)
def _decisions_after(published: Publication, mtime_ns: int, size: int) -> pa.Table:
    """Read the file of decisions once as long as it stays as it is: whoever writes it changes its time."""
    return reviews.events(database_folder(), after=headline(published).last_event_id)


def labels(published: Publication) -> list[str]:
    """Return the sentences that must stand on whatever is shown or taken along."""
    return [NOTICE, f"{SIMULATED_NOTICE}."] if headline(published).simulated else [NOTICE]


def headline(published: Publication) -> Headline:
    """Count what the publication holds."""
    return Headline(**records(answer(published, "headline"))[0])
