"""FHIR R4 Patient, Condition and Medication resources -> facts about patients as text.

Patient.deceased is a death, a Condition of osteoporosis a diagnosis, a MedicationStatement or MedicationRequest of a
drug against it a treatment. Other conditions and drugs are passed over.
"""

import json
from typing import Any, Final

import pandas as pd
from fhir.resources.R4B.condition import Condition
from fhir.resources.R4B.medicationrequest import MedicationRequest
from fhir.resources.R4B.medicationstatement import MedicationStatement
from fhir.resources.R4B.patient import Patient
from pydantic import BaseModel, ValidationError

from screening.records.batch import CONTEXT_TEXT, Batch, Format, text_frame
from screening.records.fhir_resources import (
    Context,
    Entry,
    Resource,
    codings_of,
    identifiers_in,
    patient_of,
    resource_of,
    with_patient,
)
from screening.records.identities import Identities
from screening.records.refusals import Refusal
from screening.records.settings import RecordSettings

Row = dict[str, str]

_MODELS: Final[dict[str, type[BaseModel]]] = {
    "Patient": Patient,
    "Condition": Condition,
    "MedicationStatement": MedicationStatement,
    "MedicationRequest": MedicationRequest,
}
_TAKEN_BACK: Final = frozenset({"entered-in-error", "cancelled", "refuted"})
_NOT_SURE: Final = frozenset(
    {"draft", "intended", "unconfirmed", "provisional", "differential", "not-taken", "unknown"}
)


def context_batch(
    entries: list[Entry], context: Context, source_file: str, settings: RecordSettings, identities: Identities
) -> Batch:
    """Make a batch of the facts of one file."""
    rows: list[Row] = []
    numbers: list[int] = []
    verbatim: list[str] = []
    for entry in entries:
        row = _row(entry.resource, context, settings, identities)
        if row is not None:
            rows.append(row)
            numbers.append(entry.number)
            verbatim.append(json.dumps(with_patient(entry.resource, context), ensure_ascii=False))
    records = text_frame(rows, CONTEXT_TEXT).assign(row_number=pd.Series(numbers, dtype="int64"))
    kept = pd.DataFrame({"json": pd.Series(verbatim, dtype="str")})
    return Batch(Format.FHIR, source_file, records, kept, passed_over=len(entries) - len(rows))


def _row(resource: Resource, context: Context, settings: RecordSettings, identities: Identities) -> Row | None:
    kind = str(resource.get("resourceType"))
    fact = _fact(kind, resource, settings)
    if not fact:
        return None
    if not _valid(kind, resource):
        return {"refusal": Refusal.MALFORMED}
    own = resource if kind == "Patient" else patient_of(resource_of(resource.get("subject")), resource, {}, context)
    issuer, identifier = identities.choose(identifiers_in(resource_of(resource.get("subject")), own))
    return {
        "identifier": identifier,
        "issuer": issuer,
        "fact": fact,
        "holds": "false" if resource.get("deceasedBoolean") is False else "true",
        "since_date": _since(resource),
        "recorded_on": _recorded(resource),
        "refusal": _refusal(_statuses(resource)),
    }


def _fact(kind: str, resource: Resource, settings: RecordSettings) -> str:
    if kind == "Patient":
        return "death" if "deceasedBoolean" in resource or "deceasedDateTime" in resource else ""
    if kind == "Condition":
        return "diagnosis" if _coded(resource.get("code"), settings.diagnosis_codes) else ""
    if kind in _MODELS:
        drug = resource.get("medicationCodeableConcept") or _contained_code(resource)
        return "treatment" if _coded(drug, settings.treatment_codes) else ""
    return ""


def _contained_code(resource: Resource) -> Any:
    reference = str(resource_of(resource.get("medicationReference")).get("reference", ""))
    contained = {f"#{one.get('id')}": one for one in map(resource_of, resource.get("contained") or [])}
    return contained.get(reference, {}).get("code")


def _coded(concept: Any, beginnings: tuple[str, ...]) -> bool:
    """Tell whether a code is one of these or, of ICD-10 and ATC, below it; M8140/3 is a tumour's (ICD-O), not M81."""
    codes = [code.replace(".", "") for code, _ in codings_of(concept) if "/" not in code]
    return any(code.startswith(one) if one[:1].isalpha() else code == one for code in codes for one in beginnings)


def _statuses(resource: Resource) -> set[str]:
    concepts = [resource.get("clinicalStatus"), resource.get("verificationStatus")]
    coded = {code for concept in concepts for code, _ in codings_of(concept)}
    return coded | {str(resource.get("status", ""))}


def _refusal(statuses: set[str]) -> str:
    """What is over still holds: who was once diagnosed or treated is known to the hospital."""
    if statuses & _TAKEN_BACK:
        return Refusal.WITHDRAWN
    return Refusal.NO_RESULT_YET if statuses & _NOT_SURE else ""


def _since(resource: Resource) -> str:
    period = resource_of(resource.get("effectivePeriod") or resource.get("onsetPeriod"))
    moment = (
        resource.get("deceasedDateTime")
        or resource.get("onsetDateTime")
        or resource.get("effectiveDateTime")
        or period.get("start")
        or ""
    )
    day = str(moment).partition("T")[0]
    return day if len(day) == len("2024-01-01") else ""  # a year alone is no day


def _recorded(resource: Resource) -> str:
    moment = (
        resource.get("recordedDate")
        or resource.get("dateAsserted")
        or resource.get("authoredOn")
        or resource_of(resource.get("meta")).get("lastUpdated")
        or ""
    )
    day = str(moment).partition("T")[0]
    return day if len(day) == len("2024-01-01") else ""


def _valid(kind: str, resource: Resource) -> bool:
    try:
        _MODELS[kind].model_validate(resource)
    except ValidationError:
        return False
    return True
