"""FHIR R4 files -> their resources, and what these refer to."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from screening.errors import UserError
from screening.records.codings import Coding
from screening.records.identities import Identifier

Resource = dict[str, Any]


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
            self.reports |= {_reference(result): entry.resource for result in list_of(entry.resource, "result")}


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
    elif resource_of(value).get("resourceType") == "Bundle":
        for entry in list_of(value, "entry"):
            yield resource_of(resource_of(entry).get("resource")), str(resource_of(entry).get("fullUrl", ""))
    else:
        yield resource_of(value) or {"unreadable": value}, ""


def identifiers_in(subject: Resource, patient: Resource) -> list[Identifier]:
    """Return the identifiers that a reference and the patient it means state, those given up left out."""
    stated = [subject.get("identifier"), *list_of(patient, "identifier")]
    current = [one for one in map(resource_of, stated) if one.get("value") and one.get("use") != "old"]
    return [(str(one.get("system", "")), str(one["value"])) for one in current]


def patient_of(subject: Resource, resource: Resource, report: Resource, context: Context) -> Resource:
    """Find the patient that a reference means: contained, in the delivery, or nobody."""
    reference = str(subject.get("reference", ""))
    contained = {
        f"#{one.get('id')}": one
        for owner in (report, resource)
        for one in map(resource_of, list_of(owner, "contained"))
    }
    return contained.get(reference) or context.patients.get(reference) or _by_tail(reference, context) or {}


def _by_tail(reference: str, context: Context) -> Resource | None:
    """Find a patient that is referred to by an absolute address or one version of it."""
    parts = reference.split("/_history")[0].split("/")
    return context.patients.get("/".join(parts[-2:])) if len(parts) > 2 else None


def codings_of(concept: Any) -> list[Coding]:
    """Return code and display of each coding of a concept, and its text as a display of no code."""
    codings = [
        (str(one.get("code", "")), str(one.get("display", "")))
        for one in map(resource_of, list_of(resource_of(concept), "coding"))
    ]
    text = resource_of(concept).get("text")
    return [*codings, ("", str(text))] if text else codings


def with_patient(resource: Resource, context: Context) -> Resource:
    """The resource with what it refers to, so that it can be read again alone."""
    subject = str(resource_of(resource.get("subject")).get("reference", ""))
    patient = context.patients.get(subject) or _by_tail(subject, context)
    report = context.reports.get(f"Observation/{resource.get('id')}")
    beside = {"patient": patient, "report": report}
    return {"resource": resource} | {name: one for name, one in beside.items() if one}


def kept_entry(record: str) -> tuple[Entry, Context]:
    """Read a resource that was kept among the refused ones."""
    kept: Mapping[str, Any] = json.loads(record)
    resource = kept["resource"]
    context = Context()
    if "patient" in kept:
        reference = str(resource_of(resource.get("subject")).get("reference", ""))
        context.patients[reference] = kept["patient"]
    if "report" in kept:
        context.reports[f"Observation/{resource.get('id')}"] = kept["report"]
    return Entry(resource, 1), context


def _reference(value: Any) -> str:
    return str(resource_of(value).get("reference", ""))


def resource_of(value: Any) -> Resource:
    """Return a JSON object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def list_of(resource: Resource, name: str) -> list[Any]:
    """Return an element that repeats, or nothing."""
    value = resource.get(name)
    return value if isinstance(value, list) else []
