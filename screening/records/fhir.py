"""FHIR R4 Bundles, NDJSON or single resources -> DXA records as text.

An Observation gives a record for its value and one for each component; a DiagnosticReport of a DXA gives one that says
that a DXA was done. A resource that the rules of R4B refuse is one refused record; the others go on.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd
from fhir.resources.R4B.diagnosticreport import DiagnosticReport
from fhir.resources.R4B.observation import Observation
from pydantic import ValidationError

from screening.errors import UserError
from screening.records.batch import DXA_TEXT, Batch, Format, text_frame
from screening.records.codes import Code, Quantity
from screening.records.codings import Coding, code_of
from screening.records.identities import Identifier, Identities
from screening.records.refusals import Refusal
from screening.records.settings import RecordSettings

Resource = dict[str, Any]
Row = dict[str, str]

_BATCH_RESOURCES: Final = 5_000
_LOINC_OF_REPORTS: Final = (Quantity.REPORT, Quantity.BMD, Quantity.T_SCORE, Quantity.Z_SCORE)


@dataclass(frozen=True, slots=True)
class Entry:
    """A resource and where it stands: `number` is its place in the file, from 1."""

    resource: Resource
    number: int
    full_url: str = ""


@dataclass(slots=True)
class Context:
    """What resources of a delivery refer to: patients, devices, and the report that an Observation belongs to."""

    patients: dict[str, Resource] = field(default_factory=dict)
    devices: dict[str, Resource] = field(default_factory=dict)
    reports: dict[str, Resource] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Remember a resource by every reference that can name it."""
        kind = entry.resource.get("resourceType")
        names = {entry.full_url, f"{kind}/{entry.resource.get('id')}"} - {"", f"{kind}/None"}
        for name in names:
            if kind == "Patient":
                self.patients[name] = entry.resource
            if kind == "Device":
                self.devices[name] = entry.resource
        if kind == "DiagnosticReport":
            self.reports |= {_reference(result): entry.resource for result in _list(entry.resource, "result")}


def read_entries(path: Path) -> Iterator[Entry]:
    """Read the resources of a Bundle, a list, an NDJSON file or a single resource.

    Raises:
        UserError: the file is no JSON.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        try:
            values = [json.loads(text)]
        except json.JSONDecodeError:
            values = [json.loads(line) for line in text.splitlines() if line.strip()]
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as FHIR JSON or NDJSON ({type(error).__name__}).") from error
    yield from _numbered(values)


def _numbered(values: list[Any]) -> Iterator[Entry]:
    number = 0
    for value in values:
        for resource, full_url in _unpacked(value):
            number += 1
            yield Entry(resource, number, full_url)


def _unpacked(value: Any) -> Iterator[tuple[Resource, str]]:
    if isinstance(value, list):
        for one in value:
            yield from _unpacked(one)
    elif _dict(value).get("resourceType") == "Bundle":
        for entry in _list(value, "entry"):
            yield _dict(_dict(entry).get("resource")), str(_dict(entry).get("fullUrl", ""))
    else:
        yield _dict(value) or {"unreadable": value}, ""


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
        verbatim.extend([_verbatim(entry.resource, context)] * len(found))
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
    code = code_of(_codings(report.get("code")), "", settings)
    inside = [
        row
        for contained in _list(report, "contained")
        if _dict(contained).get("resourceType") == "Observation"
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
        (place, part, code_of(_codings(part.get("code")), _unit(part), settings)) for place, part in _parts(observation)
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
        (f"component {number}", _dict(component))
        for number, component in enumerate(_list(observation, "component"), start=1)
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
    quantity = _dict(part.get("valueQuantity"))
    value = quantity.get("value", part.get("valueString", ""))
    text = f"{quantity['comparator']}{value}" if "comparator" in quantity else str(value)
    unit = "bmd_unit" if code.quantity is Quantity.BMD else "score_unit"
    return {code.quantity.value: text, unit: _unit(part), "region_of_code": code.region}


def _unit(part: Resource) -> str:
    quantity = _dict(part.get("valueQuantity"))
    return str(quantity.get("code") or quantity.get("unit") or "")


def _head(resource: Resource, report: Resource, context: Context, identities: Identities) -> Row:
    """What all values of a resource share; a contained one takes from its report what it does not say."""
    subject = _dict(resource.get("subject") or report.get("subject"))
    issuer, identifier = identities.choose(_identifiers(subject, resource, report, context))
    return {
        "identifier": identifier,
        "issuer": issuer,
        "dxa_date": _day(resource) or _day(report),
        "region": _region(resource),
        "manufacturer": _maker(resource, context),
        "status": str(resource.get("status", "")),
        "issued_at": str(resource.get("issued") or report.get("issued") or ""),
    }


def _identifiers(subject: Resource, resource: Resource, report: Resource, context: Context) -> list[Identifier]:
    reference = str(subject.get("reference", ""))
    contained = {
        f"#{one.get('id')}": one for owner in (report, resource) for one in map(_dict, _list(owner, "contained"))
    }
    patient = contained.get(reference) or context.patients.get(reference) or _by_tail(reference, context)
    stated = [subject.get("identifier"), *_list(patient or {}, "identifier")]
    current = [one for one in map(_dict, stated) if one.get("value") and one.get("use") != "old"]
    return [(str(one.get("system", "")), str(one["value"])) for one in current]


def _by_tail(reference: str, context: Context) -> Resource | None:
    """Find a patient that is referred to by an absolute address or one version of it."""
    parts = reference.split("/_history")[0].split("/")
    return context.patients.get("/".join(parts[-2:])) if len(parts) > 2 else None


def _day(resource: Resource) -> str:
    moment = (
        resource.get("effectiveDateTime")
        or resource.get("effectiveInstant")
        or _dict(resource.get("effectivePeriod")).get("start")
        or ""
    )
    return str(moment).partition("T")[0]


def _region(resource: Resource) -> str:
    site = _dict(resource.get("bodySite"))
    return str(site.get("text") or next((display for _, display in _codings(site) if display), ""))


def _maker(resource: Resource, context: Context) -> str:
    device = _dict(resource.get("device"))
    contained = {f"#{one.get('id')}": one for one in map(_dict, _list(resource, "contained"))}
    reference = str(device.get("reference", ""))
    known = contained.get(reference) or context.devices.get(reference) or {}
    return str(known.get("manufacturer") or device.get("display") or "")


def _codings(concept: Any) -> list[Coding]:
    codings = [
        (str(one.get("code", "")), str(one.get("display", ""))) for one in map(_dict, _list(_dict(concept), "coding"))
    ]
    text = _dict(concept).get("text")
    return [*codings, ("", str(text))] if text else codings


def _valid(kind: type[Observation] | type[DiagnosticReport], resource: Resource) -> bool:
    try:
        kind.model_validate(resource)
    except ValidationError:
        return False
    return True


def _verbatim(resource: Resource, context: Context) -> str:
    """The resource with what it refers to, so that it can be read again alone."""
    subject = str(_dict(resource.get("subject")).get("reference", ""))
    patient = context.patients.get(subject) or _by_tail(subject, context)
    report = context.reports.get(f"Observation/{resource.get('id')}")
    beside = {"patient": patient, "report": report}
    kept = {"resource": resource} | {name: one for name, one in beside.items() if one}
    return json.dumps(kept, ensure_ascii=False)


def kept_entry(record: str) -> tuple[Entry, Context]:
    """Read a resource that was kept among the refused ones."""
    kept: Mapping[str, Any] = json.loads(record)
    resource = kept["resource"]
    context = Context()
    if "patient" in kept:
        reference = str(_dict(resource.get("subject")).get("reference", ""))
        context.patients[reference] = kept["patient"]
    if "report" in kept:
        context.reports[f"Observation/{resource.get('id')}"] = kept["report"]
    return Entry(resource, 1), context


def _reference(value: Any) -> str:
    return str(_dict(value).get("reference", ""))


def _dict(value: Any) -> Resource:
    return value if isinstance(value, dict) else {}


def _list(resource: Resource, name: str) -> list[Any]:
    value = resource.get(name)
    return value if isinstance(value, list) else []
