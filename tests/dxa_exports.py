"""DXA results -> the files that hospitals send, in every format that is read, some records faulty on purpose."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
from numpy.random import Generator
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import EnhancedSRStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from screening.records.refusals import Refusal

DIRTY_SHARE: Final = 0.03
# One result a row, all text: patient_id, dxa_date (ISO), region, bmd_dxa (g/cm2), t_score, manufacturer. The reserved
# columns below tell a writer to go wrong where a table could not.
Row = dict[str, str]
Fault = tuple[Row, Refusal]
# What spoils a result in any format, and the reason that must be told for each record it becomes.
FAULTS: Final[tuple[Fault, ...]] = (
    ({"bmd_dxa": "9.87", "t_score": ""}, Refusal.BMD_OUT_OF_RANGE),
    ({"bmd_dxa": "", "t_score": "-25"}, Refusal.T_SCORE_OUT_OF_RANGE),
    ({"dxa_date": "2031-05-05"}, Refusal.DATE_IN_FUTURE),
    ({"dxa_date": "1979-05-05"}, Refusal.DATE_BEFORE_DXA),
    ({"patient_id": ""}, Refusal.NO_PATIENT),
    ({"bmd_dxa": "n/a", "t_score": ""}, Refusal.NOT_A_NUMBER),
)
REGION_FAULTS: Final[tuple[Fault, ...]] = (
    ({"region": "Forearm UD"}, Refusal.NOT_CENTRAL),
    ({"region": "somewhere"}, Refusal.UNKNOWN_REGION),
)
TABLE_FAULTS: Final[tuple[Fault, ...]] = (
    ({"dxa_date": "05.05.2024"}, Refusal.UNREADABLE_DATE),
    ({"bmd_dxa": "", "t_score": ""}, Refusal.NO_VALUE),
)
UNIT_FAULTS: Final[tuple[Fault, ...]] = (
    ({"bmd_dxa": "", "t_score": "0.887", "score_unit": "g/cm2"}, Refusal.UNIT_NOT_OF_CODE),
    ({"t_score": "", "bmd_unit": "mg/cm3"}, Refusal.VOLUMETRIC),
)
STATUS_FAULTS: Final[tuple[Fault, ...]] = (({"status": "registered"}, Refusal.NO_RESULT_YET),)
LUMBAR_BMD, LUMBAR_T = "24966-4", "38267-1"


@dataclass(frozen=True)
class Export:
    """Files of one format, and why which of their records must be refused."""

    files: tuple[Path, ...]
    refusals: Counter[str]


def spoiled(rows: list[Row], faults: tuple[Fault, ...], rng: Generator) -> tuple[list[Row], list[Fault]]:
    """Add faulty copies of some rows, at least one of each fault, and put all in random order."""
    count = max(round(DIRTY_SHARE * len(rows)), len(faults))
    planted = [faults[number % len(faults)] for number in range(count)]
    copies = [rows[rng.integers(len(rows))] | fault for fault, _ in planted]
    mixed = rows + copies
    return [mixed[place] for place in rng.permutation(len(mixed))], planted


def records_of(fault: Row, values_a_record: int) -> int:
    """Count the records that a faulty result becomes where each record holds so many values."""
    values = 2 - (fault.get("bmd_dxa") == "") - (fault.get("t_score") == "")
    return 1 if values_a_record > 1 else max(values, 1)


def exported(
    rows: list[Row],
    faults: tuple[Fault, ...],
    rng: Generator,
    write: Callable[[list[Row]], tuple[Path, ...]],
    values_a_record: int,
) -> Export:
    """Write rows with faults among them by a writer of one format."""
    mixed, planted = spoiled(rows, faults, rng)
    refusals: Counter[str] = Counter()
    for fault, reason in planted:
        refusals[reason.value] += records_of(fault, values_a_record)
    return Export(write(mixed), refusals)


def csv_export(rows: list[Row], folder: Path, rng: Generator) -> Export:
    def write(mixed: list[Row]) -> tuple[Path, ...]:
        pd.DataFrame(mixed).to_csv(folder / "dxa.csv", index=False)
        return (folder / "dxa.csv",)

    return exported(rows, FAULTS + REGION_FAULTS + TABLE_FAULTS, rng, write, 2)


def parquet_export(rows: list[Row], folder: Path, rng: Generator) -> Export:
    def write(mixed: list[Row]) -> tuple[Path, ...]:
        pd.DataFrame(mixed).to_parquet(folder / "dxa.parquet", index=False)
        return (folder / "dxa.parquet",)

    return exported(rows, FAULTS + REGION_FAULTS + TABLE_FAULTS, rng, write, 2)


def fhir_export(rows: list[Row], folder: Path, rng: Generator) -> Export:
    """One Observation a value, one resource a line."""

    def write(mixed: list[Row]) -> tuple[Path, ...]:
        lines = [json.dumps(one) for row in mixed for one in observations(row)]
        (folder / "dxa.ndjson").write_text("\n".join(lines) + "\n")
        return (folder / "dxa.ndjson",)

    faults = (*FAULTS[:-1], *UNIT_FAULTS, *STATUS_FAULTS)
    return exported(rows, faults, rng, write, 1)


def observations(row: Row) -> list[dict[str, Any]]:
    coded = (
        (LUMBAR_BMD, row["bmd_dxa"], row.get("bmd_unit", "g/cm2")),
        (LUMBAR_T, row["t_score"], row.get("score_unit", "{T-score}")),
    )
    return [
        {
            "resourceType": "Observation",
            "status": row.get("status", "final"),
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "subject": {"identifier": {"value": row["patient_id"]}} if row["patient_id"] else {"display": "unknown"},
            "effectiveDateTime": row["dxa_date"],
            "bodySite": {"text": row["region"]},
            "device": {"display": row["manufacturer"]},
            "valueQuantity": {"value": float(value), "code": unit, "system": "http://unitsofmeasure.org"},
        }
        for code, value, unit in coded
        if value
    ]


def hl7_export(rows: list[Row], folder: Path, rng: Generator) -> Export:
    """One ORU^R01 a result, one OBX a value."""

    def write(mixed: list[Row]) -> tuple[Path, ...]:
        (folder / "dxa.hl7").write_text("".join(message(number, row) for number, row in enumerate(mixed)), newline="")
        return (folder / "dxa.hl7",)

    return exported(rows, FAULTS + UNIT_FAULTS, rng, write, 1)


def message(number: int, row: Row) -> str:
    day = row["dxa_date"].replace("-", "")
    coded = (
        (f"{LUMBAR_BMD}^BMD^LN", row["bmd_dxa"], row.get("bmd_unit", "g/cm2")),
        (f"{LUMBAR_T}^T-score^LN", row["t_score"], row.get("score_unit", "{T-score}")),
    )
    results = [
        f"OBX|{place}|NM|{code}|{row['region']}|{value}|{unit}|||||F"
        for place, (code, value, unit) in enumerate(coded, start=1)
        if value
    ]
    head = f"MSH|^~\\&|{row['manufacturer']}|DXA|RIS|HOSP|{day}||ORU^R01|{number}|P|2.5"
    patient = f"PID|1||{row['patient_id']}^^^^MR" if row["patient_id"] else "PID|1||"
    return "\r".join([head, patient, f"OBR|1||{number}|DXA^DXA lumbar spine^L|||{day}", *results]) + "\r"


def dicom_export(rows: list[Row], folder: Path, rng: Generator) -> Export:
    """Structured reports and pictures with XML in ImageComments, in turn."""
    place = folder / "dicom"
    place.mkdir()

    def write(mixed: list[Row]) -> tuple[Path, ...]:
        for number, row in enumerate(mixed):
            dataset = picture(row) if number % 2 else report(row)
            dataset.save_as(place / f"{number:05}", enforce_file_format=True)
        return (place,)

    return exported(rows, FAULTS[:-1] + REGION_FAULTS + UNIT_FAULTS, rng, write, 1)


def dicom_head(row: Row, sop_class: str) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid(entropy_srcs=[repr(sorted(row.items()))])
    dataset.PatientID, dataset.StudyDate = row["patient_id"], row["dxa_date"].replace("-", "")
    dataset.Manufacturer = row["manufacturer"]
    return dataset


def report(row: Row) -> Dataset:
    dataset = dicom_head(row, EnhancedSRStorage)
    values = (
        ("BMD", row["bmd_dxa"], row.get("bmd_unit", "g/cm2")),
        ("BMD_TSCORE", row["t_score"], row.get("score_unit", "{T-score}")),
    )
    numbers = [number_item(name, value, unit) for name, value, unit in values if value]
    trend = container("Trend", [number_item("BMD", "1.5", "g/cm2")])
    dataset.ContentSequence = [container("AP Spine", [container(row["region"], numbers), trend])]
    return dataset


def container(name: str, content: list[Dataset]) -> Dataset:
    item = Dataset()
    item.ValueType, item.ConceptNameCodeSequence, item.ContentSequence = "CONTAINER", [code_item(name)], content
    return item


def number_item(name: str, value: str, unit: str) -> Dataset:
    measured, item = Dataset(), Dataset()
    measured.NumericValue, measured.MeasurementUnitsCodeSequence = value, [code_item(unit)]
    item.ValueType, item.ConceptNameCodeSequence, item.MeasuredValueSequence = "NUM", [code_item(name)], [measured]
    return item


def code_item(meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = meaning, "99GE", meaning
    return item


def picture(row: Row) -> Dataset:
    dataset = dicom_head(row, SecondaryCaptureImageStorage)
    bmd, unit = row["bmd_dxa"], row.get("bmd_unit", "g/cm2")
    t_score, score_unit = row["t_score"], row.get("score_unit", "")
    values = (f'<BMD units="{unit}">{bmd}</BMD>' if bmd else "") + (
        f'<BMD_TSCORE units="{score_unit}">{t_score}</BMD_TSCORE>' if t_score else ""
    )
    dataset.ImageComments = f'<SCAN type="AP Spine"><ROI region="{row["region"]}">{values}</ROI></SCAN>'
    return dataset


OMOP_BMD, OMOP_T, OMOP_G_CM2 = "3033804", "3049654", "32700"


def omop_export(rows: list[Row], folder: Path, rng: Generator) -> Export:
    """One row of table measurement a value, and a crosswalk from person_id to PatientID."""
    persons = {patient: str(number) for number, patient in enumerate(sorted({row["patient_id"] for row in rows}), 1)}
    crosswalk = pd.DataFrame({"issuer": "omop", "identifier": persons.values(), "patient_id": persons.keys()})
    crosswalk.to_csv(folder / "crosswalk.csv", index=False)

    def write(mixed: list[Row]) -> tuple[Path, ...]:
        measurements = [one for row in mixed for one in measurement_rows(row, persons)]
        pd.DataFrame(measurements).to_csv(folder / "measurement.csv", index=False)
        return (folder / "measurement.csv",)

    stranger: Fault = ({"patient_id": "stranger"}, Refusal.NOT_IN_CROSSWALK)
    return exported(rows, (*FAULTS, stranger), rng, write, 1)


def measurement_rows(row: Row, persons: Mapping[str, str]) -> list[Row]:
    values = ((OMOP_BMD, row["bmd_dxa"], OMOP_G_CM2), (OMOP_T, row["t_score"], "0"))
    return [
        {
            "person_id": persons.get(row["patient_id"], row["patient_id"]),
            "measurement_concept_id": concept,
            "measurement_date": row["dxa_date"],
            "value_as_number": value,
            "unit_concept_id": unit,
        }
        for concept, value, unit in values
        if value
    ]


EXPORTS: Final = {
    "csv": csv_export,
    "parquet": parquet_export,
    "fhir": fhir_export,
    "hl7": hl7_export,
    "dicom": dicom_export,
    "omop": omop_export,
}
