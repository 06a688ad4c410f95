"""OMOP CDM table measurement (CSV or Parquet) -> DXA records as text; person_id is an identifier of issuer "omop"."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pandas as pd

from screening.errors import UserError
from screening.records.batch import DXA_TEXT, Batch, Format, empty_text
from screening.records.checking import Texts
from screening.records.codes import LOINC, OMOP_CONCEPTS, OMOP_UNITS, Quantity
from screening.records.refusals import Refusal
from screening.records.settings import RecordSettings
from screening.records.tables import columns_of, malformed_rows, read_table

ISSUER: Final = "omop"
_REQUIRED: Final = ("person_id", "measurement_concept_id", "measurement_date", "value_as_number")
_NO_CONCEPT: Final = ("", "0")


def is_measurement(columns: list[str]) -> bool:
    """Tell whether columns are those of the table measurement."""
    return "measurement_concept_id" in columns


def read_measurements(path: Path, settings: RecordSettings) -> Iterator[tuple[Batch, int, int]]:
    """Read a table; yield each batch with how much of the file is done, of how much.

    Raises:
        UserError: the file cannot be read, or lacks a column.
    """
    missing = [name for name in _REQUIRED if name not in columns_of(path, Format.OMOP, settings)]
    if missing:
        raise UserError(f"{path} lacks the column {missing[0]} of the OMOP table measurement.")
    for table in read_table(path, Format.OMOP, settings):
        batch = dxa_of_measurements(table.text, table.row_number, path.name, settings)
        yield batch, table.done, table.total
        if table.malformed:
            yield malformed_rows(table, Format.OMOP, path.name, DXA_TEXT), table.done, table.total


def dxa_of_measurements(
    text: pd.DataFrame, row_number: "pd.Series[int]", source_file: str, settings: RecordSettings
) -> Batch:
    """Take the rows whose concept is of a DXA; the others are passed over."""
    concepts = OMOP_CONCEPTS | settings.omop_concepts
    is_dxa = text["measurement_concept_id"].str.strip().isin(list(concepts)).to_numpy(bool)
    chosen = text[is_dxa]
    code = Texts.of(chosen["measurement_concept_id"])
    of_concept = {concept: LOINC[loinc] for concept, loinc in concepts.items()}
    quantity = code.words(lambda concept: of_concept[concept].quantity.value)
    unit, value = _units(chosen, settings), chosen["value_as_number"]
    columns = empty_text(chosen.index, DXA_TEXT) | {
        "identifier": chosen["person_id"],
        "issuer": pd.Series(ISSUER, index=chosen.index, dtype="str"),
        "dxa_date": chosen["measurement_date"],
        "region_of_code": code.words(lambda concept: of_concept[concept].region),
        "region": Texts.of(quantity).words(lambda one: "unspecified" if one == Quantity.REPORT else ""),
        "bmd_unit": unit.where(quantity == Quantity.BMD, ""),
        "score_unit": unit.where(quantity != Quantity.BMD, ""),
        "refusal": Texts.of(quantity).words(lambda one: Refusal.NOT_A_DXA if one == Quantity.NOT_A_DXA else ""),
    }
    columns |= {name: value.where(quantity == name, "") for name in ("bmd_dxa", "t_score", "z_score")}
    records = pd.DataFrame(columns).assign(row_number=row_number[is_dxa])
    passed_over = int((~is_dxa).sum())
    return Batch(Format.OMOP, source_file, records, chosen, settings.date_formats, passed_over)


def _units(rows: pd.DataFrame, settings: RecordSettings) -> pd.Series:
    """Take the unit of its concept, or as the source wrote it; a concept that is not known is no unit."""
    known = OMOP_UNITS | settings.omop_units
    nothing = pd.Series("", index=rows.index, dtype="str")
    concept = Texts.of(rows.get("unit_concept_id", nothing))
    of_concept = concept.words(lambda one: known.get(one, "" if one in _NO_CONCEPT else f"concept {one}"))
    source = rows.get("unit_source_value", nothing)
    unknown = of_concept.str.startswith("concept")
    return of_concept.where((of_concept != "") & ~(unknown & (source != "")), source)
