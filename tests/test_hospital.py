"""A year of a hospital of 5,000 patients with everything planted: what comes out is held against what went in."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import duckdb
import hospital_truth
import numpy as np
import pandas as pd
import pytest
import random_hospital
from dxa_exports import EXPORTS
from random_hospital import MEAN_G_CM2, SD_G_CM2

from screening.commands.imports import import_context_files, import_dxa_files
from screening.config import CareGapSettings
from screening.prediction.tscore import REFERENCES
from screening.records.settings import RecordSettings
from screening.statistics import Estimate
from screening.store.database import DatabaseFolder, open_writer
from screening.store.drift import watch_drift
from screening.store.validation import validate
from screening.validation_settings import DriftSettings, ValidationSettings

AS_OF = date(2026, 1, 1)
SEED = 20
LAW = replace(hospital_truth.PLANTED, patients=5000)
CARE_GAP = CareGapSettings(as_of_date=AS_OF)
FORMAT_SHARES = {"csv": 0.4, "parquet": 0.2, "fhir": 0.15, "hl7": 0.15, "dicom": 0.02, "omop": 0.08}


@dataclass(frozen=True)
class Year:
    """What is true, what was imported, and where it all went."""

    place: DatabaseFolder
    people: pd.DataFrame  # one row a patient, with the DXA that everybody would have had
    dxa: pd.DataFrame  # what the hospital knows: patient_id, dxa_date, bmd_dxa, t_score
    context: pd.DataFrame
    refusals: dict[str, Counter[str]]  # by format


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Year:
    folder = tmp_path_factory.mktemp("hospital")
    place = DatabaseFolder(folder / "db")
    place.create()
    rng = np.random.default_rng(SEED)
    truth = random_hospital.people(LAW, rng)
    with open_writer(place) as connection:
        random_hospital.write(connection, truth, without=("dxa",))
    people = frame_of(truth)
    dxa = known_dxa(people, rng)
    refusals = import_everything(place, dxa, folder, rng)
    context = known_context(people, rng)
    context.to_csv(folder / "patients.csv", index=False)
    import_context_files([folder / "patients.csv"], place, RecordSettings(), CARE_GAP, recorded_on=AS_OF)
    return Year(place, people, dxa, context, refusals)


def frame_of(truth: dict[str, np.ndarray]) -> pd.DataFrame:
    months = [pd.Timestamp(2025, month, 15) for month in truth["month"]]
    people = pd.DataFrame(truth).assign(study_date=months, t_score=((truth["bmd_dxa"] - MEAN_G_CM2) / SD_G_CM2))
    return people.assign(patient_id="P" + people.index.astype(str), t_score=people["t_score"].clip(-7.9, 7.9).round(2))


def known_dxa(people: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Those who were sent to DXA about their CT, and some who had one years ago; none later than today."""
    long_ago = ~people["has_dxa"] & (rng.random(len(people)) < 0.2)
    days = people["days_to_dxa"].where(people["has_dxa"], -rng.integers(300, 2200, len(people)))
    dated = people.assign(dxa_date=people["study_date"] + pd.to_timedelta(days, unit="D"))
    known = dated[(people["has_dxa"] | long_ago) & (dated["dxa_date"] < pd.Timestamp(AS_OF))]
    source = rng.choice(list(FORMAT_SHARES), p=list(FORMAT_SHARES.values()), size=len(known))
    return known[["patient_id", "dxa_date", "bmd_dxa", "t_score"]].round({"bmd_dxa": 3}).assign(source=source)


def known_context(people: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    shares = {"diagnosis": 0.06, "treatment": 0.08, "death": 0.03, "opt_out": 0.01}
    told = [people[["patient_id"]][rng.random(len(people)) < share].assign(fact=fact) for fact, share in shares.items()]
    return pd.concat(told, ignore_index=True)


def import_everything(
    place: DatabaseFolder, dxa: pd.DataFrame, folder: Path, rng: np.random.Generator
) -> dict[str, Counter[str]]:
    refusals = {}
    for name, own in dxa.groupby("source"):
        text = own.assign(dxa_date=own["dxa_date"].dt.strftime("%Y-%m-%d"), region="L1-L4", manufacturer="Hologic")
        rows = text.drop(columns="source").astype(str).to_dict("records")
        export = EXPORTS[str(name)](rows, folder, rng)
        crosswalk = folder / "crosswalk.csv"
        settings = RecordSettings(crosswalk=crosswalk if crosswalk.exists() else None)
        import_dxa_files(export.files, place, settings, CARE_GAP)
        refusals[str(name)] = export.refusals
    return refusals


def query(place: DatabaseFolder, text: str) -> pd.DataFrame:
    with duckdb.connect(place.published.resolve(), read_only=True) as connection:
        return connection.execute(text).df()


@pytest.mark.parametrize("name", list(FORMAT_SHARES))
def test_every_dirty_row_is_refused_with_its_reason(year: Year, name: str) -> None:
    found = query(year.place, f"SELECT reason FROM rejected_record WHERE source_format = '{name}'")
    assert Counter(found["reason"]) == year.refusals[name]


def test_every_clean_row_is_there_with_its_values(year: Year) -> None:
    found = query(year.place, "SELECT patient_id, dxa_date, bmd_dxa, t_score FROM dxa ORDER BY patient_id")
    expected = year.dxa.drop(columns="source").sort_values("patient_id").reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, atol=1e-9)


def test_the_flagged_are_those_that_another_computation_finds(year: Year) -> None:
    found = query(year.place, "SELECT patient_id FROM flagged")["patient_id"]
    people = year.people[year.people["measured"] & (year.people["t_cnn"] <= -2.5) & (year.people["age"] >= 50)]
    last = people["patient_id"].map(year.dxa.groupby("patient_id")["dxa_date"].max())
    lacking = last.isna() | ((last < pd.Timestamp(2023, 1, 1)) & (last < people["study_date"]))
    expected = people[lacking & ~people["patient_id"].isin(year.context["patient_id"])]
    assert len(found) > 100
    assert found.to_list() == expected.sort_values(["bmd_cnn", "age"], ascending=[True, False])["patient_id"].to_list()


def test_planted_drift_alerts_within_a_month_and_no_other_scanner_does(year: Year) -> None:
    with open_writer(year.place) as connection:
        watch_drift(connection, DriftSettings())
        found = connection.execute("SELECT scanner, min(month) AS month FROM drift_alert GROUP BY 1").fetchall()
    ((scanner, month),) = found
    assert "CT2" in scanner
    assert date(2025, LAW.drift_from_month, 1) <= month <= date(2025, LAW.drift_from_month + 1, 1)


@pytest.fixture(scope="module")
def figures(year: Year) -> dict[tuple[str, str], Estimate]:
    with open_writer(year.place) as connection:
        report = validate(connection, ValidationSettings(), REFERENCES)
    return {(one.reader, one.metric): one.estimate for one in report.figures if one.dimension == "overall"}


@pytest.mark.parametrize("metric", list(hospital_truth.VERIFIED))
def test_what_is_said_of_those_with_a_dxa_is_true_of_them(figures: dict, metric: str) -> None:
    assert near(figures["bmd_cnn", metric], hospital_truth.VERIFIED[metric](LAW))


@pytest.mark.parametrize("metric", list(hospital_truth.EVERYBODY))
def test_what_is_said_of_everybody_is_true_though_not_everybody_has_a_dxa(figures: dict, metric: str) -> None:
    assert near(figures["weighted", metric], hospital_truth.EVERYBODY[metric](LAW))


def test_verification_bias_is_larger_than_chance_without_weights(figures: dict) -> None:
    found = figures["bmd_cnn", "auc"]
    assert found.high < hospital_truth.EVERYBODY["auc"](LAW)


def near(found: Estimate, planted: float) -> bool:
    """Within one and a half intervals of the truth: chance alone leaves that once in 300 times."""
    centre, half = (found.high + found.low) / 2, (found.high - found.low) / 2
    return abs(planted - centre) <= 1.5 * half
