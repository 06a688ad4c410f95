"""The published database -> data frames for the pages; the only place of the dashboard that opens DuckDB."""

import os
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import streamlit as st

from screening.errors import UserError
from screening.store.database import DatabaseFolder

DATABASE_VARIABLE = "SCREENING_DATABASE"  # names the folder that `screening sweep` publishes to
SQL_FOLDER = Path(__file__).parent / "sql"
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
    flagged_count: int
    measured_patient_count: int
    excluded_study_count: int
    failed_study_count: int
    last_sweep_at: datetime | None  # UTC
    last_sweep_state: str | None
    as_of_date: date | None
    look_back_months: int | None
    minimum_age_years: int | None
    youngest_years: int | None  # of the flagged
    oldest_years: int | None
    simulated: bool  # the active checkpoint was trained on simulated CT


@dataclass(frozen=True, slots=True)
class PatientRecord:
    """All that is known of one patient; one row a study, body, DXA or series in each frame."""

    patient: dict[str, Any]
    results: pd.DataFrame  # newest first
    measurements: pd.DataFrame
    criteria: dict[str, Any]  # the row of care_gap, empty where nothing was measured
    dxa: pd.DataFrame
    without_result: pd.DataFrame
    series: pd.DataFrame

    def result(self, study_instance_uid: str | None) -> dict[str, Any] | None:
        """Return the measured study asked for, else the newest, else None."""
        asked = self.results[self.results["study_instance_uid"] == study_instance_uid]
        rows = _records(self.results if asked.empty else asked)
        return rows[0] if rows else None


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


@st.cache_data(show_spinner=False, max_entries=CACHED_ANSWERS)
def _answer(published: Publication, name: str, parameters: dict[str, Any]) -> pd.DataFrame:
    """Run one file of the sql folder on a connection that lives no longer than the question."""
    question = (SQL_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    try:
        with duckdb.connect(published.path, read_only=True) as connection:
            return connection.execute(question, parameters or None).df()
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


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Turn rows into plain values, missing as None."""
    present = frame.astype(object).where(frame.notna(), None)
    return [{str(column): value for column, value in row.items()} for row in present.to_dict("records")]


def headline(published: Publication) -> Headline:
    """Count what the publication holds."""
    return Headline(**_records(_answer(published, "headline", {}))[0])


def worklist(
    published: Publication, sexes: list[str], youngest_years: int, oldest_years: int, search: str
) -> pd.DataFrame:
    """List the flagged patients of these sexes and ages (completed years) whose ID contains the search text."""
    return _answer(
        published,
        "worklist",
        {
            "sexes": sorted(sexes),
            "youngest_years": youngest_years,
            "oldest_years": oldest_years,
            "search": search.strip(),
        },
    )


def find_patients(published: Publication, search: str) -> pd.DataFrame:
    """List patients, flagged or not, by part of their ID or by an accession number; 50 at most."""
    return _answer(published, "find_patients", {"search": search.strip()})


def patient_record(published: Publication, patient_id: str) -> PatientRecord | None:
    """Collect all that is known of the patient, or None where the archive holds no such patient."""
    asked = {"patient_id": patient_id}
    found = _records(_answer(published, "patient", asked))
    if not found:
        return None
    return PatientRecord(
        patient=found[0],
        results=_answer(published, "patient_results", asked),
        measurements=_answer(published, "patient_measurements", asked),
        criteria=next(iter(_records(_answer(published, "patient_criteria", asked))), {}),
        dxa=_answer(published, "patient_dxa", asked),
        without_result=_answer(published, "patient_without_result", asked),
        series=_answer(published, "patient_series", asked),
    )


def levels(published: Publication, study_instance_uid: str) -> pd.DataFrame:
    """List the vertebral bodies of a measured study, cranial first."""
    return _answer(published, "patient_levels", {"study_instance_uid": study_instance_uid})


def evidence_picture(evidence_file: str) -> Path | None:
    """Return the stored picture, or None where the evidence folder does not hold it."""
    folder = database_folder().evidence.resolve()
    picture = (folder / evidence_file).resolve()
    return picture if picture.is_relative_to(folder) and picture.is_file() else None
