import json
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from screening.errors import UserError
from screening.records.batch import Format
from screening.records.checking import Checked
from screening.records.dxa import check_dxa
from screening.records.files import context_batches, dxa_batches, find_sources
from screening.records.identities import Identities
from screening.records.patients import check_context
from screening.records.settings import RecordSettings

TODAY = date(2025, 6, 30)
HOSPITAL = "urn:hospital"
SETTINGS = RecordSettings(own_issuers=(HOSPITAL,))
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": "urn:elsewhere", "value": "X9"}, {"system": HOSPITAL, "value": "A"}],
}


def coded(code: str, system: str = "http://loinc.org") -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def observation(code: str, value: float | None, unit: str, **more: Any) -> dict[str, Any]:
    stated = {"value": value, "unit": unit} if unit else {"value": value}
    quantity = {} if value is None else {"valueQuantity": stated}
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": coded(code),
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2024-03-01T23:30:00+09:00",
        **quantity,
        **more,
    }


def read(folder: Path, *resources: Any, settings: RecordSettings = SETTINGS) -> list[Checked]:
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in resources]}
    file = folder / "bundle.json"
    file.write_text(json.dumps(bundle), encoding="utf-8")
    return read_files([file], settings)


def read_files(files: list[Path], settings: RecordSettings = SETTINGS) -> list[Checked]:
    sources = find_sources(files, None, settings)
    identities = Identities.load(settings)
    batches = dxa_batches(sources, settings, identities, lambda done, total: None)
    return [check_dxa(batch, settings, identities, TODAY) for batch in batches]


def accepted(checked: list[Checked]) -> pd.DataFrame:
    return pd.concat([one.accepted for one in checked], ignore_index=True)


def reasons(checked: list[Checked]) -> list[str]:
    return pd.concat([one.rejected for one in checked])["reason"].to_list()


def test_a_bmd_of_a_patient_of_the_bundle(tmp_path: Path) -> None:
    (row,) = accepted(read(tmp_path, PATIENT, observation("24966-4", 0.812, "g/cm2"))).to_dict("records")
    assert (row["patient_id"], row["issuer"]) == ("A", HOSPITAL)
    assert (row["dxa_date"].date(), row["region"], row["bmd_dxa"]) == (date(2024, 3, 1), "L1-L4", 0.812)


def test_components_are_one_record_each_and_a_wrong_one_does_not_spoil_the_others(tmp_path: Path) -> None:
    panel = observation(
        "83311-1",
        None,
        "",
        component=[
            {"code": coded("24966-4"), "valueQuantity": {"value": 812, "code": "mg/cm2"}},
            {"code": coded("38267-1"), "valueQuantity": {"value": 0.887, "unit": "g/cm2"}},
            {"code": coded("85394-5"), "valueQuantity": {"value": -1.1, "code": "{Z-score}"}},
        ],
    )
    checked = read(tmp_path, PATIENT, panel)
    rows = accepted(checked)
    assert rows["bmd_dxa"].dropna().to_list() == [0.812]
    assert rows["z_score"].dropna().to_list() == [-1.1]
    assert reasons(checked) == ["unit_not_of_code"]


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        (observation("38267-1", 0.887, "g/cm2"), "unit_not_of_code"),
        (observation("24966-4", 0.887, ""), "no_unit"),
        (observation("24966-4", 120, "mg/cm3"), "volumetric"),
        (observation("24966-4", None, ""), "no_value"),
        (observation("104938-6", -2.5, "{T-score}"), "not_a_dxa"),
        (observation("99999-9", 0.8, "g/cm2"), "unknown_code"),
        (observation("24966-4", 0.8, "g/cm2", status="entered-in-error"), "withdrawn"),
        (observation("24966-4", 0.8, "g/cm2", status="cancelled"), "withdrawn"),
        (observation("24966-4", 0.8, "g/cm2", status="registered"), "no_result_yet"),
        (observation("24966-4", 0.8, "g/cm2", effectiveDateTime="2024-03"), "unreadable_date"),
        (observation("24966-4", 0.8, "g/cm2", subject={"reference": "Patient/p2"}), "no_patient"),
        (observation("24966-4", 0.8, "g/cm2", bodySite={"text": "Left hip"}), "region_not_of_code"),
        (observation("24966-4", 0.8, "g/cm2", invented="element"), "malformed"),
        (
            observation("24966-4", 0.8, "g/cm2", subject={"identifier": {"system": "urn:x", "value": "1"}}),
            "unknown_issuer",
        ),
    ],
)
def test_a_bad_observation_is_refused_and_the_others_are_read(
    tmp_path: Path, resource: dict[str, Any], reason: str
) -> None:
    good = observation("38263-0", -2.5, "{T-score}")
    checked = read(tmp_path, PATIENT, resource, good)
    assert reasons(checked) == [reason]
    assert accepted(checked)["t_score"].dropna().to_list() == [-2.5]


def test_a_refused_resource_is_kept_with_its_patient(tmp_path: Path) -> None:
    resource = observation("24966-4", 9.9, "g/cm2")
    (checked,) = read(tmp_path, PATIENT, resource)
    assert json.loads(checked.rejected["record"].item()) == {"resource": resource, "patient": PATIENT}
    assert checked.rejected["row_number"].item() == 2


def test_other_observations_are_passed_over_and_counted(tmp_path: Path) -> None:
    (checked,) = read(tmp_path, PATIENT, observation("2345-7", 100, "mg/dL"), observation("24966-4", 0.8, "g/cm2"))
    assert (checked.batch.passed_over, checked.read_count) == (2, 1)


def test_a_report_says_that_a_dxa_was_done_and_carries_its_results(tmp_path: Path) -> None:
    report = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": coded("38269-7"),
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2024-03-01",
        "issued": "2024-03-02T08:00:00Z",
        "contained": [
            {
                "resourceType": "Observation",
                "id": "o1",
                "status": "amended",
                "code": coded("38264-8"),
                "bodySite": {"text": "Femoral neck, left"},
                "valueQuantity": {"value": -2.5, "code": "{T-Score}"},
            }
        ],
        "result": [{"reference": "#o1"}],
    }
    rows = accepted(read(tmp_path, PATIENT, report))
    assert rows["region"].to_list() == ["unspecified", "femoral_neck_left"]
    assert rows["status"].to_list() == ["final", "corrected"]
    assert set(rows["issued_at"]) == {pd.Timestamp("2024-03-02 08:00")}
    assert set(rows["patient_id"]) == {"A"}


def test_patients_may_stand_in_another_file_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "Patient.ndjson").write_text(json.dumps(PATIENT) + "\n")
    lines = [json.dumps(observation("24966-4", bmd, "g/cm2")) for bmd in (0.8, 9.0)]
    (tmp_path / "Observation.ndjson").write_text("\n".join(lines) + "\n")
    checked = read_files([tmp_path])
    assert accepted(checked)["bmd_dxa"].to_list() == [0.8]
    assert reasons(checked) == ["bmd_out_of_range"]


def test_a_file_that_is_no_json_is_said(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"resourceType": "Bundle", ')
    with pytest.raises(UserError, match="cannot be read as FHIR"):
        read_files([tmp_path / "broken.json"])


def test_local_codes_are_mapped(tmp_path: Path) -> None:
    settings = RecordSettings(own_issuers=(HOSPITAL,), codes={"BMD-LWS": "24966-4"}, message_bmd_unit="g/cm2")
    checked = read(tmp_path, PATIENT, observation("BMD-LWS", 0.8, ""), settings=settings)
    assert accepted(checked)["bmd_dxa"].to_list() == [0.8]


def facts(folder: Path, *resources: Any) -> Checked:
    file = folder / "facts.json"
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in resources]}
    file.write_text(json.dumps(bundle), encoding="utf-8")
    identities = Identities.load(SETTINGS)
    sources = find_sources([file], Format.FHIR, SETTINGS)
    (batch,) = context_batches(sources, SETTINGS, identities, lambda done, total: None)
    return check_context(batch, SETTINGS, identities, TODAY, TODAY)


SUBJECT = {"reference": "Patient/p1"}
CONDITION = {"resourceType": "Condition", "subject": SUBJECT, "recordedDate": "2024-05-01"}
DRUG = {"resourceType": "MedicationStatement", "status": "active", "subject": SUBJECT}


@pytest.mark.parametrize(
    ("resource", "fact"),
    [
        (
            CONDITION | {"code": coded("M81.0", "http://hl7.org/fhir/sid/icd-10"), "onsetDateTime": "2020-02-03"},
            "diagnosis",
        ),
        (CONDITION | {"code": coded("64859006", "http://snomed.info/sct"), "onsetDateTime": "2020-02-03"}, "diagnosis"),
        (DRUG | {"medicationCodeableConcept": coded("M05BA04"), "effectiveDateTime": "2020-02-03"}, "treatment"),
        (PATIENT | {"deceasedDateTime": "2020-02-03"}, "death"),
    ],
)
def test_a_fact_about_a_patient(tmp_path: Path, resource: dict[str, Any], fact: str) -> None:
    (row,) = facts(tmp_path, PATIENT, resource).accepted.to_dict("records")
    assert (row["patient_id"], row["fact"], row["holds"]) == ("A", fact, True)
    assert row["since_date"].date() == date(2020, 2, 3)


def test_other_conditions_are_passed_over_and_what_is_taken_back_is_refused(tmp_path: Path) -> None:
    flu = CONDITION | {"code": coded("J10")}
    wrong = CONDITION | {"code": coded("M80"), "verificationStatus": coded("entered-in-error")}
    checked = facts(tmp_path, PATIENT, flu, wrong)
    assert checked.accepted.empty
    assert checked.batch.passed_over == 2
    assert checked.rejected["reason"].to_list() == ["withdrawn"]


def test_who_lives_is_not_dead(tmp_path: Path) -> None:
    (row,) = facts(tmp_path, PATIENT | {"deceasedBoolean": False}).accepted.to_dict("records")
    assert (row["fact"], row["holds"]) == ("death", False)


@pytest.mark.parametrize("code", ["M8140/3", "M82.0", "648590061"])
def test_a_code_that_only_begins_like_one_of_osteoporosis_is_passed_over(tmp_path: Path, code: str) -> None:
    checked = facts(tmp_path, PATIENT, CONDITION | {"code": coded(code)})
    assert (len(checked.accepted), len(checked.rejected)) == (0, 0)


def test_undated_facts_may_be_of_an_earlier_day_than_dated_ones(tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    file.write_text(json.dumps(PATIENT | {"deceasedDateTime": "2024-06-01"}), encoding="utf-8")
    identities = Identities.load(SETTINGS)
    sources = find_sources([file], Format.FHIR, SETTINGS)
    (batch,) = context_batches(sources, SETTINGS, identities, lambda done, total: None)
    checked = check_context(batch, SETTINGS, identities, date(2024, 1, 1), TODAY)
    assert checked.accepted["since_date"].dt.date.to_list() == [date(2024, 6, 1)]
