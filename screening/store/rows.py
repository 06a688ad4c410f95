"""Outcome -> rows: what a reading looks like in the tables, in one place."""

import hashlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

import duckdb

from screening.archive.index import Instance, Study, age_at_study_years
from screening.errors import Exclusion
from screening.imaging.body_heights import BodyHeights
from screening.imaging.series_facts import SeriesFacts, series_facts
from screening.prediction.patient import LevelBmd
from screening.reading import Outcome, SeriesDecision, SeriesReading, deciding_series
from screening.store.database import Row, write_rows

# Tables that hold what a checkpoint read in a study; a new reading replaces the old one in all of them.
_READING_TABLES: Final = ("outcome", "vertebra", "slice_prediction", "study_bmd")


@dataclass(frozen=True, slots=True)
class ReadStudy:
    """An outcome with everything its rows need."""

    study: Study
    outcome: Outcome
    sweep_id: int
    checkpoint_sha256: str
    study_key: str
    file_fingerprint: str
    reading_fingerprint: str

    @property
    def measured(self) -> SeriesReading | None:
        """The measured series, if there is one."""
        return self.outcome.reading.measured if self.outcome.reading else None

    @property
    def status(self) -> str:
        """Measured, excluded or failed."""
        if self.outcome.failure is not None:
            return "failed"
        return "measured" if self.measured is not None else "excluded"

    @property
    def decision(self) -> SeriesDecision | None:
        """The decision that speaks for the study; None where the program broke."""
        return deciding_series(self.outcome.reading) if self.outcome.reading else None

    @property
    def worth_another_try(self) -> bool:
        """Whether the next sweep reads the study again although nothing changed."""
        return self.outcome.failure is not None and self.outcome.failure.transient

    @property
    def described_by(self) -> Instance:
        """The instance that speaks for the patient: of the measured series, else of a CT, else the first."""
        if self.measured is not None:
            return self.measured.series.first
        firsts = [series.first for series in self.study.series]
        return next((first for first in firsts if first.modality == "CT"), firsts[0])

    @property
    def evidence_file(self) -> str:
        """Name of the picture in the evidence folder; a new reading gets a new one, so that no old row shows it."""
        return f"{self.study_key}-{self.reading_fingerprint[:8]}.png"


def write_readings(connection: duckdb.DuckDBPyConnection, readings: list[ReadStudy]) -> None:
    """Replace everything known of these studies under their checkpoint; the caller holds the transaction."""
    for read in readings:
        _forget(connection, read)
    write_rows(connection, "patient", list({patient_id(read): _patient(read) for read in readings}.values()))
    write_rows(connection, "study", [_study(read) for read in readings])
    write_rows(connection, "series", [row for read in readings for row in series_rows(read)])
    write_rows(connection, "outcome", [outcome_row(read) for read in readings])
    measured = [(read, read.measured) for read in readings if read.measured is not None]
    write_rows(connection, "vertebra", [row for read in readings for row in vertebra_rows(read)])
    write_rows(connection, "slice_prediction", [row for read, series in measured for row in _slices(read, series)])
    write_rows(connection, "study_bmd", [study_bmd_row(read, series) for read, series in measured])


def patient_id(read: ReadStudy) -> str:
    """PatientID, or a name of its own for a study that has none: two such studies are never taken for one person's."""
    if read.described_by.patient_id:
        return read.described_by.patient_id
    return "unidentified:" + hashlib.sha256(read.study.study_instance_uid.encode()).hexdigest()[:16]


def _forget(connection: duckdb.DuckDBPyConnection, read: ReadStudy) -> None:
    key = [read.study.study_instance_uid, read.checkpoint_sha256]
    for table in _READING_TABLES:
        connection.execute(f"DELETE FROM {table} WHERE study_instance_uid = ? AND checkpoint_sha256 = ?", key)
    connection.execute("DELETE FROM series WHERE study_instance_uid = ?", key[:1])


def _patient(read: ReadStudy) -> Row:
    return {"patient_id": patient_id(read), "identified": bool(read.described_by.patient_id)}


def _study(read: ReadStudy) -> Row:
    first = read.described_by
    return {
        "study_instance_uid": read.study.study_instance_uid,
        "patient_id": patient_id(read),
        "study_key": read.study_key,
        "study_date": first.study_date,
        "age_years": age_at_study_years(first),
        "sex": first.patient_sex or None,
        "birth_date": first.patient_birth_date,
        "issuer_of_patient_id": first.issuer_of_patient_id,
        "accession_number": first.accession_number,
        "study_description": first.study_description,
        "institution_name": first.institution_name,
        "series_count": len(read.study.series),
        "instance_count": read.study.instance_count,
        "fingerprint": read.file_fingerprint,
    }


def series_rows(read: ReadStudy) -> list[Row]:
    """One row a series, or an acquisition in it, with the facts of the decision."""
    if read.outcome.reading is None:
        return [_series_row(read, SeriesDecision(series_facts(series)), "failed") for series in read.study.series]
    decisions = read.outcome.reading.decisions
    return [_series_row(read, one, None if one.reason is None else str(one.reason)) for one in decisions]


def _series_row(read: ReadStudy, decision: SeriesDecision, reason: str | None) -> Row:
    return {
        "study_instance_uid": read.study.study_instance_uid,
        **_facts(decision.facts),
        **_sight(decision),
        "chosen": reason is None,
        "reason": reason,
        "detail": decision.detail,
    }


def _facts(facts: SeriesFacts) -> Row:
    row = asdict(facts)
    del row["age_years"]  # stands with the study
    return row | {
        "kvp_kv": _within(facts.kvp_kv, 1000),
        "kernel": str(facts.kernel),
        "slice_thickness_mm": _within(facts.slice_thickness_mm, 1000),
        "stated_phase": str(facts.stated_phase),
    }


def _sight(decision: SeriesDecision) -> Row:
    sight = decision.sight
    anchors = sight.anchors if sight else None
    return {
        **{f"{name}_hu": getattr(anchors, f"{name}_hu", None) for name in ("aorta", "kidney", "air", "fat", "muscle")},
        "level_certainty": str(sight.certainty) if sight else None,
        "level_detail": sight.detail if sight else None,
    }


def _within(value: float | None, upper: float) -> float | None:
    return value if value is not None and 0 <= value <= upper else None


def outcome_row(read: ReadStudy) -> Row:
    """Tell how the study ended."""
    reason, detail, stage = _why(read)
    return {
        "study_instance_uid": read.study.study_instance_uid,
        "checkpoint_sha256": read.checkpoint_sha256,
        "sweep_id": read.sweep_id,
        "status": read.status,
        "reason": reason,
        "detail": detail,
        "stage": stage,
        "reading_fingerprint": "" if read.worth_another_try else read.reading_fingerprint,
        "read_seconds": read.outcome.read_seconds,
        "read_at": datetime.now(UTC).replace(tzinfo=None),
    }


def _why(read: ReadStudy) -> tuple[str | None, str, str | None]:
    if read.outcome.failure is not None:
        return read.outcome.failure.exception_type, "", read.outcome.failure.stage
    if read.decision is None or read.decision.reason is None:
        return None, "", None
    return str(read.decision.reason), read.decision.detail, None


def _key(read: ReadStudy) -> dict[str, str]:
    return {"study_instance_uid": read.study.study_instance_uid, "checkpoint_sha256": read.checkpoint_sha256}


def vertebra_rows(read: ReadStudy) -> list[Row]:
    """One row a body that was read in the series that speaks for the study."""
    if read.decision is None:
        return []
    series = read.decision.facts
    key = {**_key(read), "series_instance_uid": series.series_instance_uid, "acquisition": series.acquisition}
    return [{**key, **_vertebra(level), **_use(level, read.decision.reason)} for level in read.decision.levels]


def _use(level: LevelBmd, reason: Exclusion | None) -> Row:
    """Whether the level enters a value; none does where the study has none."""
    problem = level.problem or reason
    return {"used": problem is None, "reason": None if problem is None else str(problem)}


def _vertebra(level: LevelBmd) -> Row:
    x, y, z = level.vertebra.centre_mm
    return {
        "level": level.vertebra.level,
        "confidence": level.vertebra.confidence,
        "centre_x_mm": x,
        "centre_y_mm": y,
        "centre_z_mm": z,
        "upper_z_mm": level.vertebra.upper_z_mm,
        "lower_z_mm": level.vertebra.lower_z_mm,
        "attenuation_hu": level.trabecular.mean_hu,
        "attenuation_sd_hu": level.trabecular.sd_hu,
        "attenuation_median_hu": level.trabecular.median_hu,
        "roi_area_mm2": level.trabecular.area_mm2,
        "body_depth_mm": level.trabecular.body_depth_mm,
        **_heights(level.quality.heights),
        "height_loss": level.quality.height_loss,
        "metal_mm3": level.quality.metal_mm3,
        "dark_share": level.quality.dark_share,
        "attended_hu": level.attended_hu,
        "bmd_cnn": level.bmd_g_cm2,
        "bmd_sd": level.sd_g_cm2,
    }


def _heights(heights: BodyHeights | None) -> Row:
    return {
        "anterior_height_mm": heights.anterior_mm if heights else None,
        "middle_height_mm": heights.middle_mm if heights else None,
        "posterior_height_mm": heights.posterior_mm if heights else None,
    }


def _slices(read: ReadStudy, measured: SeriesReading) -> list[Row]:
    return [
        {
            **_key(read),
            "level": level.vertebra.level,
            "slab": number,
            "z_mm": slab.z_mm,
            "bmd_cnn": slab.bmd_g_cm2,
            "bmd_sd": slab.sd_g_cm2,
            "attended_hu": slab.attended_hu,
            "body_depth_mm": slab.body_depth_mm,
        }
        for level in measured.patient.levels
        for number, slab in enumerate(level.slabs)
    ]


def study_bmd_row(read: ReadStudy, measured: SeriesReading) -> Row:
    """The patient's value."""
    patient = measured.patient
    used = patient.used_levels
    return {
        **_key(read),
        "patient_id": patient_id(read),
        "bmd_cnn": patient.bmd_g_cm2,
        "bmd_low": patient.low_g_cm2,
        "bmd_high": patient.high_g_cm2,
        "level_count": len(used),
        "levels": [level.vertebra.level for level in used],
        "attenuation_hu": sum(level.trabecular.mean_hu for level in used) / len(used),
        "reference": patient.reference.name,
        "reference_mean": patient.reference.mean_g_cm2,
        "reference_sd": patient.reference.sd_g_cm2,
        "osteoporosis_rule": str(patient.rule),
        "t_score": patient.t_score,
        "yam_percent": patient.yam_percent,
        "z_score": patient.z_score,
        "category": None if patient.category is None else str(patient.category),
        "z_category": None if patient.z_category is None else str(patient.z_category),
        "osteoporosis_probability": patient.osteoporosis_probability,
        "band": str(patient.band),
        "level_certainty": str(measured.spine.certainty),
        "contrast_enhanced": measured.contrast_enhanced,
        "readers_disagree": bool(patient.disagreeing_levels),
        "warnings": list(measured.warnings),
        "evidence_file": read.evidence_file,
    }
