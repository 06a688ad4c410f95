"""A small published database with the real schema: one patient of each standing that the pages must show."""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
from PIL import Image, ImageDraw

from screening.store.database import DatabaseFolder, Row, create_schema, write_rows

CHECKPOINT = hashlib.sha256(b"checkpoint").hexdigest()
REFERENCE, MEAN_G_CM2, SD_G_CM2 = "hologic_l1_l4_female", 1.047, 0.110
READ_AT = datetime(2026, 3, 1, 2, 30)


@dataclass(frozen=True)
class Measured:
    """A patient with one measured CT, on whose numbers everything else in the row follows."""

    patient_id: str
    sex: str | None
    age_years: float
    t_score: float
    category: str | None
    band: str
    study_date: date = date(2025, 9, 1)
    warnings: tuple[str, ...] = ()

    @property
    def study_instance_uid(self) -> str:
        return f"2.25.{int(hashlib.sha256(f'{self.patient_id}{self.study_date}'.encode()).hexdigest()[:16], 16)}"

    @property
    def bmd_g_cm2(self) -> float:
        return MEAN_G_CM2 + self.t_score * SD_G_CM2


WARNING = "for review: network and region of interest differ by 31.4 HU in L3"
FIRST = Measured("FLAGGED-1", "F", 72.4, -3.20, "osteoporosis", "likely", warnings=(WARNING,))
SECOND = Measured("FLAGGED-2", "M", 68.9, -2.60, "osteoporosis", "likely")
RECENT_DXA = Measured("RECENT-DXA", "F", 70.0, -2.90, "osteoporosis", "likely")
INDETERMINATE = Measured("INDETERMINATE", "F", 61.0, -2.10, "osteopenia", "indeterminate")
HIGH = Measured("HIGH", "M", 63.0, -0.40, "normal", "not_flagged")
YOUNG = Measured("YOUNG", "F", 34.0, -1.20, None, "not_flagged")
EVERYBODY = (FIRST, SECOND, RECENT_DXA, INDETERMINATE, HIGH, YOUNG)
EARLIER = Measured("FLAGGED-1", "F", 69.4, -2.70, "osteoporosis", "likely", date(2022, 8, 1))

# Patient, study UID, outcome: a study without a result each.
EXCLUDED = ("EXCLUDED", "2.25.901", "excluded", "contrast", "aorta 190 HU", None)
FAILED = ("FAILED", "2.25.902", "failed", "ValueError", "", "screening.imaging.lumbar")
TOO_THICK = (FIRST.patient_id, "2.25.903", "excluded", "too_thick", "spacing 7.5 mm", None)
UNMEASURED = (EXCLUDED, FAILED, TOO_THICK)


def publish_example(folder: Path, patients: tuple[Measured, ...] = EVERYBODY, number: int = 1) -> None:
    """Publish these patients, and studies without a result, as the publication of this number."""
    publish_rows(folder, number, example_rows(patients))
    for patient in patients:
        draw_evidence(DatabaseFolder(folder).evidence / f"{patient.study_instance_uid}.png")


def publish_rows(folder: Path, number: int, rows_by_table: dict[str, list[Row]]) -> None:
    """Write a publication with the real schema and point the stable name to it in one step."""
    place = DatabaseFolder(folder)
    place.create()
    finished = place.publications / f"screening-{number:06}.duckdb"
    with duckdb.connect(finished) as connection:
        create_schema(connection)
        for table, rows in rows_by_table.items():
            write_rows(connection, table, rows)
    fresh = place.folder / "fresh.link"
    fresh.symlink_to(finished.relative_to(place.folder))
    fresh.replace(place.published)


def example_rows(patients: tuple[Measured, ...]) -> dict[str, list[Row]]:
    """Return the rows of every table."""
    unmeasured_patients = [patient_row(patient_id) for patient_id, *_ in (EXCLUDED, FAILED)]
    return {
        "sweep": [SWEEP],
        "model": [MODEL],
        "publication": [PUBLICATION],
        "patient": unmeasured_patients + [patient_row(p.patient_id) for p in patients],
        "study": [study_row(uid, patient_id, None, 75.0, date(2024, 5, 6)) for patient_id, uid, *_ in UNMEASURED]
        + [study_row(p.study_instance_uid, p.patient_id, p.sex, p.age_years, p.study_date) for p in patients],
        "series": [series_row("2.25.901", 1, "contrast", "aorta 190 HU")]
        + [series_row(p.study_instance_uid, 1, None, "") for p in patients]
        + [series_row(p.study_instance_uid, 2, "localizer", "ImageType LOCALIZER") for p in patients],
        "outcome": [outcome_row(uid, *outcome) for _, uid, *outcome in UNMEASURED]
        + [outcome_row(p.study_instance_uid, "measured", None, "", None) for p in patients],
        "study_bmd": [study_bmd_row(p) for p in patients],
        "vertebra": [row for p in patients for row in vertebra_rows(p)],
        "reference_population": [REFERENCE_ROW],
        "dxa": [
            dxa_row(RECENT_DXA.patient_id, date(2025, 1, 15), "L1-L4", 0.741, -2.8),
            dxa_row(RECENT_DXA.patient_id, date(2025, 1, 15), "femoral_neck", None, -2.2),
            dxa_row(SECOND.patient_id, date(2018, 6, 1), "L1-L4", 0.902, None),
        ],
    }


SWEEP: dict[str, Any] = {
    "sweep_id": 7, "started_at": datetime(2026, 3, 1, 1, 30), "ended_at": datetime(2026, 3, 1, 4, 5),
    "state": "completed", "archives": ["/archive"], "checkpoint_sha256": CHECKPOINT, "software_version": "0.1.0",
    "library_versions": "{}", "config": "{}",
}  # fmt: skip
MODEL: dict[str, Any] = {
    "checkpoint_sha256": CHECKPOINT, "name": "bmd_cnn-simulated", "data_kind": "simulated", "metrics": "{}",
    "active": True, "registered_at": READ_AT,
}  # fmt: skip


REFERENCE_ROW: dict[str, Any] = {
    "reference": REFERENCE, "mean_g_cm2": MEAN_G_CM2, "sd_g_cm2": SD_G_CM2, "manufacturer": "Hologic",
    "levels": "L1-L4", "source": "example", "verified": False,
}  # fmt: skip
PUBLICATION: dict[str, Any] = {
    "publication_id": 1, "published_at": READ_AT, "as_of_date": date(2026, 3, 1), "look_back_months": 36,
    "minimum_age_years": 50,
}  # fmt: skip


def patient_row(patient_id: str) -> Row:
    return {"patient_id": patient_id, "identified": True}


def study_row(uid: str, patient_id: str, sex: str | None, age_years: float, study_date: date) -> Row:
    return {
        "study_instance_uid": uid, "patient_id": patient_id, "study_key": uid, "study_date": study_date,
        "age_years": age_years, "sex": sex, "birth_date": sex and date(2025 - int(age_years), 4, 2),
        "issuer_of_patient_id": "", "accession_number": f"A-{uid[-5:]}", "study_description": "CT ABD_PELVIS",
        "institution_name": "General Hospital", "series_count": 2, "instance_count": 182, "fingerprint": "f",
    }  # fmt: skip


def series_row(uid: str, number: int, reason: str | None, detail: str) -> Row:
    return {
        "study_instance_uid": uid, "series_instance_uid": f"{uid}.{number}", "modality": "CT",
        "series_description": "Abdomen native", "manufacturer": "ACME", "manufacturer_model_name": "Sim 64",
        "kvp_kv": 120.0, "convolution_kernel": "B30f", "slice_thickness_mm": 2.5, "instance_count": 180,
        "chosen": reason is None, "reason": reason, "detail": detail,
    }  # fmt: skip


def outcome_row(uid: str, status: str, reason: str | None, detail: str, stage: str | None) -> Row:
    return {
        "study_instance_uid": uid, "checkpoint_sha256": CHECKPOINT, "sweep_id": 7, "status": status, "reason": reason,
        "detail": detail, "stage": stage, "reading_fingerprint": "f", "read_seconds": 1.5, "read_at": READ_AT,
    }  # fmt: skip


def study_bmd_row(patient: Measured) -> Row:
    return {
        "study_instance_uid": patient.study_instance_uid, "checkpoint_sha256": CHECKPOINT,
        "patient_id": patient.patient_id, "bmd_cnn": patient.bmd_g_cm2, "bmd_low": patient.bmd_g_cm2 - 0.11,
        "bmd_high": patient.bmd_g_cm2 + 0.11, "level_count": 3, "levels": ["L1", "L3", "L4"],
        "attenuation_hu": 190 + 30 * patient.t_score, "reference": REFERENCE, "t_score": patient.t_score,
        "yam_percent": 100 * patient.bmd_g_cm2 / MEAN_G_CM2, "category": patient.category,
        "osteoporosis_probability": 1 / (1 + 2.718 ** (3 * (patient.t_score + 2.5))), "band": patient.band,
        "level_certainty": "certain", "contrast_enhanced": False, "warnings": list(patient.warnings),
        "evidence_file": f"{patient.study_instance_uid}.png",
    }  # fmt: skip


# Level -> offset of its BMD from the patient's, g/cm2, and why it is not used.
LEVELS = {
    "T12": (-0.03, "not_a_dxa_level"),
    "L1": (-0.02, None),
    "L2": (0.19, "outlier"),
    "L3": (0.00, None),
    "L4": (0.02, None),
    "L5": (0.05, "not_a_dxa_level"),
}


def vertebra_rows(patient: Measured) -> list[Row]:
    return [
        {
            "study_instance_uid": patient.study_instance_uid, "checkpoint_sha256": CHECKPOINT,
            "series_instance_uid": f"{patient.study_instance_uid}.1", "level": level, "confidence": 0.95,
            "centre_x_mm": 0.0, "centre_y_mm": 20.0, "centre_z_mm": 300.0 - 32 * place,
            "upper_z_mm": 313.0 - 32 * place, "lower_z_mm": 287.0 - 32 * place,
            "attenuation_hu": 190 + 30 * patient.t_score + 200 * offset, "attenuation_sd_hu": 28.0,
            "attenuation_median_hu": 188 + 30 * patient.t_score, "roi_area_mm2": 410.0, "body_depth_mm": 30.0 + place,
            "attended_hu": 192 + 30 * patient.t_score, "bmd_cnn": patient.bmd_g_cm2 + offset, "bmd_sd": 0.05,
            "used": reason is None, "reason": reason,
        }
        for place, (level, (offset, reason)) in enumerate(LEVELS.items())
    ]  # fmt: skip


def dxa_row(patient_id: str, dxa_date: date, region: str, bmd: float | None, t_score: float | None) -> Row:
    return {
        "patient_id": patient_id, "dxa_date": dxa_date, "region": region, "bmd_dxa": bmd, "t_score": t_score,
        "manufacturer": "Hologic", "source_file": "dxa.csv", "imported_at": READ_AT,
    }  # fmt: skip


def draw_evidence(path: Path) -> None:
    """Draw a picture of the kind that the sweep stores: six axial bodies and a sagittal strip."""
    picture = Image.new("L", (960, 480), 30)
    draw = ImageDraw.Draw(picture)
    for left, top in ((0, 0), (240, 0), (480, 0), (0, 240), (240, 240), (480, 240)):
        draw.rectangle((left + 2, top + 2, left + 236, top + 236), fill=70)
        draw.ellipse((left + 60, top + 60, left + 180, top + 150), fill=210)
        draw.ellipse((left + 70, top + 68, left + 170, top + 142), fill=125)
        draw.ellipse((left + 85, top + 80, left + 155, top + 130), outline=255, width=2)
    for top in range(20, 460, 76):
        draw.rounded_rectangle((790, top, 890, top + 60), radius=8, fill=125, outline=210, width=5)
    picture.save(path)
