"""DICOM objects of densitometers -> DXA records as text: structured reports, and XML in ImageComments.

Names differ between makers and versions, so the tree of a report is walked by what its names mean: the containers above
a number tell the region, its own name the quantity. Trends repeat older examinations and are left out.
"""

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pandas as pd
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from screening.records.batch import DXA_TEXT, Batch, Format, text_frame
from screening.records.codes import LOINC, Quantity
from screening.records.refusals import Refusal

Row = dict[str, str]

_NAMES: Final = {
    "bmd": Quantity.BMD, "arealbmd": Quantity.BMD, "bonemineraldensity": Quantity.BMD,
    "tscore": Quantity.T_SCORE, "bmdtscore": Quantity.T_SCORE, "youngadulttscore": Quantity.T_SCORE,
    "yatscore": Quantity.T_SCORE,
    "zscore": Quantity.Z_SCORE, "bmdzscore": Quantity.Z_SCORE, "agematchedzscore": Quantity.Z_SCORE,
    "amzscore": Quantity.Z_SCORE,
}  # fmt: skip
_TREND: Final = "trend"


def dxa_batch(path: Path) -> Batch:
    """Read one DICOM object; one that holds no densitometry is passed over."""
    try:
        dataset = dcmread(path, stop_before_pixels=True)
    except (InvalidDicomError, EOFError, ValueError, KeyError, NotImplementedError, AttributeError):
        return _refused(path, {"file": path.name})
    rows = list(_rows(dataset))
    if not rows:
        return Batch(Format.DICOM, path.name, _numbered([]), _verbatim([]), passed_over=1)
    return batch_of_rows([{**_head(dataset), **row} for row in rows], path.name)


def batch_of_rows(rows: list[Row], source_file: str) -> Batch:
    """Make a batch of rows that were read before; a row is its own verbatim record."""
    return Batch(Format.DICOM, source_file, _numbered(rows), _verbatim(rows))


def _refused(path: Path, record: Row) -> Batch:
    return Batch(Format.DICOM, path.name, _numbered([{"refusal": Refusal.MALFORMED}]), _verbatim([record]))


def _numbered(rows: list[Row]) -> pd.DataFrame:
    return text_frame(rows, DXA_TEXT).assign(row_number=pd.Series([0] * len(rows), dtype="int64"))


def _verbatim(rows: list[Row]) -> pd.DataFrame:
    return pd.DataFrame({"json": pd.Series([json.dumps(row, ensure_ascii=False) for row in rows], dtype="str")})


def _rows(dataset: Dataset) -> Iterator[Row]:
    comments = str(dataset.get("ImageComments", "") or "").strip()
    if "ContentSequence" in dataset:
        yield from _tree_rows(dataset, ())
    elif comments.startswith("<"):
        yield from _xml_rows(comments)


def _head(dataset: Dataset) -> Row:
    issued = _text(dataset, "ContentDate"), _text(dataset, "ContentTime")
    return {
        "identifier": _text(dataset, "PatientID"),
        "issuer": _text(dataset, "IssuerOfPatientID"),
        "dxa_date": _day(_text(dataset, "StudyDate") or _text(dataset, "AcquisitionDate") or issued[0]),
        "manufacturer": _text(dataset, "Manufacturer") or _text(dataset, "ManufacturerModelName"),
        "status": "preliminary" if _text(dataset, "PreliminaryFlag") == "PRELIMINARY" else "final",
        "issued_at": _moment(*issued),
    }


def _text(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword, "") or "").strip()


def _day(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if re.fullmatch(r"\d{8}", text) else text


def _moment(day: str, time: str) -> str:
    clock = re.match(r"(\d\d)(\d\d)(\d\d)", time)
    return _day(day) + ("T" + ":".join(clock.groups()) if clock and day else "")


def _tree_rows(item: Dataset, above: tuple[str, ...]) -> Iterator[Row]:
    for number, child in enumerate(_items(item, "ContentSequence"), start=1):
        name, code = _concept(child)
        if _TREND in name.lower():
            continue
        quantity = _quantity(name, code)
        if child.get("ValueType") == "NUM" and quantity is not None:
            yield {
                **_measured(child, quantity),
                "region": _region(above),
                "place": "/".join((*above, f"{name} {number}")),
            }
        yield from _tree_rows(child, (*above, name) if child.get("ValueType") == "CONTAINER" else above)


def _items(item: Dataset, keyword: str) -> list[Dataset]:
    return list(item.get(keyword) or [])


def _concept(item: Dataset) -> tuple[str, str]:
    concepts = _items(item, "ConceptNameCodeSequence")
    return (_text(concepts[0], "CodeMeaning"), _text(concepts[0], "CodeValue")) if concepts else ("", "")


def _quantity(name: str, code: str) -> Quantity | None:
    if code in LOINC:
        return LOINC[code].quantity
    return _NAMES.get(re.sub(r"[^a-z]", "", name.lower()))


def _measured(item: Dataset, quantity: Quantity) -> Row:
    values = _items(item, "MeasuredValueSequence")
    value = _text(values[0], "NumericValue") if values else ""
    units = _items(values[0], "MeasurementUnitsCodeSequence") if values else []
    unit = _text(units[0], "CodeValue") if units else ""
    return _coded(quantity, value, unit)


def _coded(quantity: Quantity, value: str, unit: str) -> Row:
    if quantity in (Quantity.NOT_A_DXA, Quantity.REPORT):
        return {"refusal": Refusal.NOT_A_DXA}
    return {quantity.value: value, "bmd_unit" if quantity is Quantity.BMD else "score_unit": unit}


_GENERAL: Final = re.compile(r"report|results?|measurements?|imaging|findings|analysis", re.IGNORECASE)


def _region(above: tuple[str, ...]) -> str:
    """The containers above a number that name a part of the body, outermost first."""
    return " ".join(name for name in above if not _GENERAL.search(name))


def _xml_rows(text: str) -> Iterator[Row]:
    """Read GE's <SCAN type><ROI region>: values of each region; document types, which could expand, are refused."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        yield {"refusal": Refusal.MALFORMED, "text": text}
        return
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        yield {"refusal": Refusal.MALFORMED, "text": text}
        return
    yield from _element_rows(root, _with_name(root, ()))


def _element_rows(element: ElementTree.Element, above: tuple[str, ...]) -> Iterator[Row]:
    for child in element:
        if _TREND in child.tag.lower():
            continue
        quantity = _quantity(child.tag, "")
        if quantity is not None and not len(child):
            unit = child.get("units", child.get("unit", ""))
            yield {
                **_coded(quantity, (child.text or "").strip(), unit),
                "region": " ".join(above),
                "place": "/".join((*above, child.tag)),
            }
        yield from _element_rows(child, _with_name(child, above))


def _with_name(element: ElementTree.Element, above: tuple[str, ...]) -> tuple[str, ...]:
    name = element.get("region") or element.get("type") or ""
    return (*above, name) if name else above
