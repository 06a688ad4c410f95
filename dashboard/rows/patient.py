"""All that is known of one patient."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dashboard import queries


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
        rows = queries.records(self.results if asked.empty else asked)
        return rows[0] if rows else None


def find_patients(published: queries.Publication, search: str) -> pd.DataFrame:
    """List patients, flagged or not, by part of their ID or by an accession number; 50 at most."""
    return queries.answer(published, "find_patients", {"search": search.strip()})


def patient_record(published: queries.Publication, patient_id: str) -> PatientRecord | None:
    """Collect all that is known of the patient, or None where the archive holds no such patient."""
    asked = {"patient_id": patient_id}
    found = queries.records(queries.answer(published, "patient", asked))
    if not found:
        return None
    return PatientRecord(
        patient=found[0],
        results=queries.answer(published, "patient_results", asked),
        measurements=queries.answer(published, "patient_measurements", asked),
        criteria=next(iter(queries.records(queries.answer(published, "patient_criteria", asked))), {}),
        dxa=queries.answer(published, "patient_dxa", asked),
        without_result=queries.answer(published, "patient_without_result", asked),
        series=queries.answer(published, "patient_series", asked),
    )


def levels(published: queries.Publication, study_instance_uid: str) -> pd.DataFrame:
    """List the vertebral bodies of a measured study, cranial first."""
    return queries.answer(published, "patient_levels", {"study_instance_uid": study_instance_uid})


def evidence_picture(evidence_file: str) -> Path | None:
    """Return the stored picture, or None where the evidence folder does not hold it."""
    folder = queries.database_folder().evidence.resolve()
    picture = (folder / evidence_file).resolve()
    return picture if picture.is_relative_to(folder) and picture.is_file() else None
