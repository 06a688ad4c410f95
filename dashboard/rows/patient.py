"""All that is known of one patient, and what was decided."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from dashboard import queries
from screening.store.reviews import ReviewAction


@dataclass(frozen=True, slots=True)
class PatientRecord:
    """What the evidence of one patient rests on; one row a study, measurement or decision in each frame."""

    patient: dict[str, Any]
    results: pd.DataFrame  # newest first
    measurements: pd.DataFrame
    standing: dict[str, Any]  # the criteria of care_gap as of now, empty where nothing was measured
    decisions: pd.DataFrame  # rows of review_event, newest first

    def result(self, study_instance_uid: str | None) -> dict[str, Any] | None:
        """Return the measured study asked for, else the newest, else None."""
        asked = self.results[self.results["study_instance_uid"] == study_instance_uid]
        rows = queries.records(self.results if asked.empty else asked)
        return rows[0] if rows else None


@dataclass(frozen=True, slots=True)
class Named:
    """A patient and a study, as the address names them."""

    patient_id: str
    study_key: str
    study_instance_uid: str


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided about a CT, and until when where it was deferred."""

    action: ReviewAction
    until: date | None


def find_patients(published: queries.Publication, search: str) -> pd.DataFrame:
    """List patients, flagged or not, by part of their ID or by an accession number; 50 at most."""
    return queries.answer(published, "find_patients", {"search": search.strip()})


def named_by_study(published: queries.Publication, study: str) -> Named | None:
    """Return whose study it is, by its key, or None where the archive holds no such study."""
    found = queries.records(queries.answer(published, "patient_of_study", {"study": study}))
    return Named(**found[0]) if found else None


def study_key_of(published: queries.Publication, patient_id: str) -> str | None:
    """Return the key by which an address names the patient without telling who it is, or None for an unknown one."""
    found = queries.records(queries.answer(published, "patient_key", {"patient_id": patient_id}))
    return str(found[0]["study_key"]) if found else None


def patient_record(published: queries.Publication, patient_id: str) -> PatientRecord | None:
    """Collect what the evidence rests on, or None where the archive holds no such patient."""
    asked = {"patient_id": patient_id}
    found = queries.records(queries.answer(published, "patient", asked))
    if not found:
        return None
    with queries.opened(published) as connection:
        connection.register("later_event", queries.later_decisions(published))
        decisions = connection.sql(queries.question("patient_decisions"), params=asked).to_arrow_table()
        connection.register("patient_event", decisions)
        standing = connection.execute(queries.question("patient_standing"), asked).df()
    return PatientRecord(
        patient=found[0],
        results=queries.answer(published, "patient_results", asked),
        measurements=queries.answer(published, "patient_measurements", asked),
        standing=next(iter(queries.records(standing)), {}),
        decisions=decisions.to_pandas().iloc[::-1].reset_index(drop=True),
    )


def before_the_newest(decisions: pd.DataFrame, study_instance_uid: str) -> Decided | None:
    """Return what held before the newest decision about a CT, or None where there is nothing to take back.

    Args:
        decisions: of the patient, newest first.
        study_instance_uid: the CT.
    """
    about = queries.records(decisions[decisions["study_instance_uid"] == study_instance_uid])
    if not about or (len(about) == 1 and about[0]["action"] == ReviewAction.REOPEN):
        return None
    if len(about) == 1:
        return Decided(ReviewAction.REOPEN, None)
    return Decided(ReviewAction(about[1]["action"]), about[1]["defer_until"])


def dxa(published: queries.Publication, patient_id: str) -> pd.DataFrame:
    """List every DXA of the patient, newest first."""
    return queries.answer(published, "patient_dxa", {"patient_id": patient_id})


def without_result(published: queries.Publication, patient_id: str) -> pd.DataFrame:
    """List the studies of the patient that have no BMD_CNN, and why, newest first."""
    return queries.answer(published, "patient_without_result", {"patient_id": patient_id})


def series(published: queries.Publication, patient_id: str) -> pd.DataFrame:
    """List the series of the patient's studies, and why they were not measured."""
    return queries.answer(published, "patient_series", {"patient_id": patient_id})


def levels(published: queries.Publication, study_instance_uid: str) -> pd.DataFrame:
    """List the vertebral bodies of a measured study, cranial first."""
    return queries.answer(published, "patient_levels", {"study_instance_uid": study_instance_uid})


def evidence_picture(evidence_file: str) -> Path | None:
    """Return the stored picture, or None where the evidence folder does not hold it."""
    folder = queries.database_folder().evidence.resolve()
    picture = (folder / evidence_file).resolve()
    return picture if picture.is_relative_to(folder) and picture.is_file() else None
