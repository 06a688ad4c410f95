"""FHIR R4 Bundles, NDJSON or single resources -> DXA records as text.

An Observation gives a record for its value and one for each component; a DiagnosticReport of a DXA gives one that says
that a DXA was done. A resource that the rules of R4B refuse is one refused record; the others go on.
"""

import json
from collections.abc import Iterator
from typing import Final

import pandas as pd
from fhir.resources.R4B.diagnosticreport import DiagnosticReport
from fhir.resources.R4B.observation import Observation
from pydantic import ValidationError

from screening.records.batch import DXA_TEXT, Batch, Format, text_frame
from screening.records.codes import Code, Quantity
from screening.records.codings import code_of
from screening.records.fhir_resources import (
    Context,
    Entry,
    Resource,
    codings_of,
    identifiers_in,
    list_of,
    patient_of,
    resource_of,
    with_patient,
)
from screening.records.identities import Identities
from screening.records.refusals import Refusal
from screening.records.settings import RecordSettings

Row = dict[str, str]

_BATCH_RESOURCES: Final = 5_000
_LOINC_OF_REPORTS: Final = (Quantity.REPORT, Quantity.BMD, Quantity.T_SCORE, Quantity.Z_SCORE)


def dxa_batches(
    entries: list[Entry], context: Context, source_file: str, settings: RecordSettings, identities: Identities
) -> Iterator[Batch]:
    """Make batches of the DXA records of one file."""
    for first in range(0, len(entries), _BATCH_RESOURCES):
        yield _dxa_batch(entries[first : first + _BATCH_RESOURCES], context, source_file, settings, identities)


def _dxa_batch(
    entries: list[Entry], context: Context, source_file: str, settings: RecordSettings, identities: Identities
) -> Batch:
    rows: list[Row] = []
    numbers: list[int] = []
    verbatim: list[str] = []
    passed_over = 0
    for entry in entries:
        found = _rows(entry.resource, context, settings, identities)
        passed_over += not found
        rows.extend(found)
        numbers.extend([entry.number] * len(found))
        verbatim.extend([json.dumps(with_patient(entry.resource, context), ensure_ascii=False)] * len(found))
    records = text_frame(rows, DXA_TEXT).assign(row_number=pd.Series(numbers, dtype="int64"))
    return Batch(
        Format.FHIR,
        source_file,
        records,
        pd.DataFrame({"json": pd.Series(verbatim, dtype="str")}),
        passed_over=passed_over,
    )


def _rows(resource: Resource, context: Context, settings: RecordSettings, identities: Identities) -> list[Row]:
    kind = resource.get("resourceType")
    if kind == "Observation":
        return _observation(resource, {}, context, settings, identities)
    if kind == "DiagnosticReport":
        return _report(resource, context, settings, identities)
    if not isinstance(kind, str):
        return [{"refusal": Refusal.MALFORMED}]
    return []


def _report(report: Resource, context: Context, settings: RecordSettings, identities: Identities) -> list[Row]:
    code = code_of(codings_of(report.get("code")), "", settings)
    inside = [
        row
        for contained in list_of(report, "contained")
        if resource_of(contained).get("resourceType") == "Observation"
        for row in _observation(contained, report, context, settings, identities)
    ]
    if not (isinstance(code, Code) and code.quantity in _LOINC_OF_REPORTS):
        return inside
    if not _valid(DiagnosticReport, report):
        return [{"refusal": Refusal.MALFORMED}]
    head = _head(report, {}, context, identities)
    return [{**head, "region": "unspecified", "place": "report"}, *inside]


def _observation(
    observation: Resource, report: Resource, context: Context, settings: RecordSettings, identities: Identities
) -> list[Row]:
    report = report or context.reports.get(f"Observation/{observation.get('id')}", {})
    parts = [
        (place, part, code_of(codings_of(part.get("code")), _unit(part), settings))
        for place, part in _parts(observation)
    ]
    spoken = [(place, part, code) for place, part, code in parts if code is not None]
    if not spoken:
        return []
    if not _valid(Observation, observation):
        return [{"refusal": Refusal.MALFORMED}]
    head = _head(observation, report, context, identities)
    has_parts = len(spoken) > 1
    return [
        {**head, **_value(part, code), "place": place}
        for place, part, code in spoken
        if not (has_parts and isinstance(code, Code) and place == "" and not _has_value(part))
    ]


def _parts(observation: Resource) -> list[tuple[str, Resource]]:
    components = [
        (f"component {number}", resource_of(component))
        for number, component in enumerate(list_of(observation, "component"), start=1)
    ]
    return [("", observation), *components]


def _has_value(part: Resource) -> bool:
    return any(name.startswith("value") for name in part)


def _value(part: Resource, code: Code | Refusal) -> Row:
    if isinstance(code, Refusal):
        return {"refusal": code}
    if code.quantity is Quantity.NOT_A_DXA:
        return {"refusal": Refusal.NOT_A_DXA}
    if code.quantity is Quantity.REPORT:
        return {"region": code.region} if not _has_value(part) else {"refusal": Refusal.UNKNOWN_CODE}
    quantity = resource_of(part.get("valueQuantity"))
    value = quantity.get("value", part.get("valueString", ""))
    text = f"{quantity['comparator']}{value}" if "comparator" in quantity else str(value)
    unit = "bmd_unit" if code.quantity is Quantity.BMD else "score_unit"
    return {code.quantity.value: text, unit: _unit(part), "region_of_code": code.region}


def _unit(part: Resource) -> str:
    quantity = resource_of(part.get("valueQuantity"))
    return str(quantity.get("code") or quantity.get("unit") or "")


def _head(resource: Resource, report: Resource, context: Context, identities: Identities) -> Row:
    """What all values of a resource share; a contained one takes from its report what it does not say."""
    subject = resource_of(resource.get("subject") or report.get("subject"))
    issuer, identifier = identities.choose(identifiers_in(subject, patient_of(subject, resource, report, context)))
    return {
        "identifier": identifier,
        "issuer": issuer,
        "dxa_date": _day(resource) or _day(report),
        "region": _region(resource),
        "manufacturer": _maker(resource, context),
        "status": str(resource.get("status", "")),
        "issued_at": str(resource.get("issued") or report.get("issued") or ""),
    }


def _day(resource: Resource) -> str:
    moment = (
        resource.get("effectiveDateTime")
        or resource.get("effectiveInstant")
        or resource_of(resource.get("effectivePeriod")).get("start")
        or ""
    )
    return str(moment).partition("T")[0]


def _region(resource: Resource) -> str:
    site = resource_of(resource.get("bodySite"))
    return str(site.get("text") or next((display for _, display in codings_of(site) if display), ""))


def _maker(resource: Resource, context: Context) -> str:
    device = resource_of(resource.get("device"))
    contained = {f"#{one.get('id')}": one for one in map(resource_of, list_of(resource, "contained"))}
    reference = str(device.get("reference", ""))
    known = contained.get(reference) or context.devices.get(reference) or {}
    return str(known.get("manufacturer") or device.get("display") or "")


def _valid(kind: type[Observation] | type[DiagnosticReport], resource: Resource) -> bool:
    try:
        kind.model_validate(resource)
    except ValidationError:
        return False
    return True
