"""Rows of a small hospital made of random numbers of known law, one CT a patient, to hold statistics against."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from screening.store.database import create_schema

SHA = "a" * 64
NOW = datetime(2026, 1, 1)
MEAN_G_CM2, SD_G_CM2 = 1.047, 0.110  # hologic_l1_l4_female


@dataclass(frozen=True, slots=True)
class Law:
    """What is true of the hospital, and what is wrong with it."""

    patients: int = 800
    scanners: int = 8
    months: int = 12
    error_g_cm2: float = 0.06  # SD of BMD_CNN about slope x DXA + bias
    bias_g_cm2: float = 0.0
    slope: float = 1.0
    dxa_chance: float = 0.5  # of a patient with T = -1.5 by CT
    leaning: float = 0.0  # how much more often the low get a DXA: logit a T-score
    drifting_scanner: int = -1
    drift_hu: float = 8.0
    drift_from_month: int = 9
    excluded_share: float = 0.2


def fill(connection: duckdb.DuckDBPyConnection, law: Law, seed: int) -> dict[str, Any]:
    """Write everything, and return what is true of every patient (n,)."""
    create_schema(connection)
    truth = people(law, np.random.default_rng(seed))
    insert(connection, "publication", pa.Table.from_pylist([PUBLICATION]))
    write(connection, truth)
    return truth


def write(connection: duckdb.DuckDBPyConnection, truth: dict[str, Any], *, without: tuple[str, ...] = ()) -> None:
    """Write what the nights have left, but for some tables."""
    insert(connection, "model", pa.Table.from_pylist([MODEL]))
    for table, columns in tables(truth).items():
        if table not in without:
            insert(connection, table, pa.table(columns))


def insert(connection: duckdb.DuckDBPyConnection, table: str, content: pa.Table) -> None:
    connection.register("content", content)
    connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM content")
    connection.unregister("content")


def people(law: Law, random: np.random.Generator) -> dict[str, Any]:
    n = law.patients
    age = random.uniform(40, 90, n)
    female = random.random(n) < 0.55
    bmd_dxa = MEAN_G_CM2 + SD_G_CM2 * (-1.2 - 0.03 * (age - 65) - 0.3 * female + random.normal(0, 1.1, n))
    bmd_dxa = bmd_dxa.clip(0.25, 2.4)
    scanner, month = random.integers(law.scanners, size=n), random.integers(1, law.months + 1, n)
    offset_hu = np.where((scanner == law.drifting_scanner) & (month >= law.drift_from_month), law.drift_hu, 0.0)
    bmd_cnn = law.bias_g_cm2 + law.slope * bmd_dxa + random.normal(0, law.error_g_cm2, n) + 0.0025 * offset_hu
    t_cnn = (bmd_cnn.clip(0.12, 2.5) - MEAN_G_CM2) / SD_G_CM2
    logit = np.log(law.dxa_chance / (1 - law.dxa_chance)) - law.leaning * (t_cnn + 1.5)
    return {
        "age": age,
        "female": female,
        "bmd_dxa": bmd_dxa,
        "osteoporosis": bmd_dxa <= MEAN_G_CM2 - 2.5 * SD_G_CM2,
        "scanner": scanner,
        "month": month,
        "bmd_cnn": bmd_cnn.clip(0.12, 2.5),
        "t_cnn": t_cnn,
        "hu": 140 + 300 * (bmd_dxa - 0.95) + random.normal(0, 25, n) + offset_hu,
        "air": -1000 + random.normal(0, 1.5, n),
        "fat": -100 + random.normal(0, 7, n) + offset_hu,
        "muscle": 50 + random.normal(0, 8, n) + offset_hu,
        "measured": random.random(n) >= law.excluded_share,
        "has_dxa": random.random(n) < 1 / (1 + np.exp(-logit)),
        "days_to_dxa": random.integers(-170, 170, n),
    }


def tables(truth: dict[str, Any]) -> dict[str, dict[str, Any]]:
    n = len(truth["age"])
    patient = np.char.add("P", np.arange(n).astype(str))
    study = np.char.add("2.25.", np.arange(n).astype(str))
    day = np.array([date(2025 + (month - 1) // 12, (month - 1) % 12 + 1, 15) for month in truth["month"]])
    read = truth["measured"]
    paired = read & truth["has_dxa"]
    return {
        "patient": {"patient_id": patient, "identified": np.ones(n, bool)},
        "study": columns(
            n,
            {"study_instance_uid": study, "patient_id": patient, "study_key": study, "study_date": day},
            {"age_years": truth["age"], "sex": np.where(truth["female"], "F", "M")},
            issuer_of_patient_id="", accession_number="", study_description="CT ABDOMEN", institution_name="North",
            series_count=1, instance_count=180, fingerprint="f",
        ),
        "series": columns(
            n,
            {"study_instance_uid": study, "series_instance_uid": np.char.add(study, ".1")},
            {"station_name": np.char.add("CT", truth["scanner"].astype(str))},
            {"air_hu": truth["air"], "fat_hu": truth["fat"], "muscle_hu": truth["muscle"], "chosen": read},
            {"reason": [None if one else "contrast" for one in read]},
            modality="CT", series_description="AXIAL", manufacturer="ACME", manufacturer_model_name="Sim 64",
            kvp_kv=120.0, convolution_kernel="B30f", slice_thickness_mm=2.5, instance_count=180, detail="",
        ),
        "outcome": columns(
            n,
            {"study_instance_uid": study, "status": np.where(read, "measured", "excluded")},
            {"reason": [None if one else "contrast" for one in read]},
            checkpoint_sha256=SHA, sweep_id=1, detail="", reading_fingerprint="f", read_seconds=1.0, read_at=NOW,
        ),
        "study_bmd": bmd_columns(truth, study, patient, read),
        "vertebra": columns(
            int(read.sum()),
            {"study_instance_uid": study[read], "attenuation_hu": truth["hu"][read], "bmd_cnn": truth["bmd_cnn"][read]},
            checkpoint_sha256=SHA, series_instance_uid="s", level="L1", confidence=0.9, centre_x_mm=0.0,
            centre_y_mm=0.0, centre_z_mm=0.0, upper_z_mm=12.0, lower_z_mm=-12.0, used=True,
        ),
        "dxa": columns(
            int(paired.sum()),
            {"patient_id": patient[paired], "bmd_dxa": truth["bmd_dxa"][paired]},
            {"dxa_date": (day.astype("datetime64[D]") + truth["days_to_dxa"])[paired]},
            {"t_score": ((truth["bmd_dxa"] - MEAN_G_CM2) / SD_G_CM2)[paired].clip(-7.9, 7.9)},
            region="L1-L4", manufacturer="Hologic", conflict=False, source_file="dxa.csv", imported_at=NOW,
        ),
    }  # fmt: skip


def bmd_columns(truth: dict[str, Any], study: Any, patient: Any, read: Any) -> dict[str, Any]:
    bmd, t = truth["bmd_cnn"][read], truth["t_cnn"][read]
    chance = 1 / (1 + np.exp(4 * (t + 2.5)))
    return columns(
        len(bmd),
        {"study_instance_uid": study[read], "patient_id": patient[read], "evidence_file": study[read]},
        {"bmd_cnn": bmd, "bmd_low": bmd - 0.1, "bmd_high": bmd + 0.1, "attenuation_hu": truth["hu"][read]},
        {"t_score": t, "yam_percent": 100 * bmd / MEAN_G_CM2, "osteoporosis_probability": chance},
        {"band": np.where(t <= -2.5, "likely", "not_flagged")},
        checkpoint_sha256=SHA, level_count=4, levels=["L1", "L2", "L3", "L4"], reference="hologic_l1_l4_female",
        level_certainty="certain", contrast_enhanced=False, readers_disagree=False, warnings=["none"],
    )  # fmt: skip


def columns(n: int, *varying: dict[str, Any], **same: Any) -> dict[str, Any]:
    """Columns of arrays, and of one value for all n rows."""
    arrays = {name: pa.array(values) for part in varying for name, values in part.items()}
    return arrays | {name: pa.array([value] * n) for name, value in same.items()}


MODEL: dict[str, Any] = {
    "checkpoint_sha256": SHA, "name": "synthetic", "data_kind": "simulated", "metrics": "{}", "active": True,
    "registered_at": NOW, "reference": "simulated DXA, Hologic-type L1-L4 scale",
}  # fmt: skip
PUBLICATION: dict[str, Any] = {
    "publication_id": 1, "published_at": NOW, "as_of_date": NOW.date(), "look_back_months": 36,
    "minimum_age_years": 50,
}  # fmt: skip
