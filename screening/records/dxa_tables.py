"""Rows of CSV or Parquet -> DXA records as text, by the columns that the site names."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd

from screening.errors import UserError
from screening.records.batch import DXA_TEXT, Batch, Format, empty_text
from screening.records.refusals import Refusal
from screening.records.settings import RecordSettings
from screening.records.tables import columns_of, malformed_rows, read_table

_VALUES: Final = ("bmd_dxa", "t_score", "z_score")
_REQUIRED: Final = ("patient_id", "dxa_date")


def read_dxa_table(path: Path, source_format: Format, settings: RecordSettings) -> Iterator[tuple[Batch, int, int]]:
    """Read a CSV or Parquet file; yield each batch with how much of the file is done, of how much.

    Raises:
        UserError: the file cannot be read, or lacks a column.
    """
    _refuse_incomplete(path, columns_of(path, source_format, settings), settings)
    for table in read_table(path, source_format, settings):
        yield dxa_of_rows(table.text, table.row_number, source_format, path.name, settings), table.done, table.total
        if table.malformed:
            yield malformed_rows(table, source_format, path.name, DXA_TEXT), table.done, table.total


def dxa_of_rows(
    text: pd.DataFrame, row_number: "pd.Series[int]", source_format: Format, source_file: str, settings: RecordSettings
) -> Batch:
    """Take the fields of each row; where regions have columns of their own, one record a region that is stated.

    Args:
        text: columns under their names in lower case.
        row_number: number of each row in its file, on the same index.
        source_format: csv or parquet.
        source_file: name of the file.
        settings: names of the columns and what stands for missing ones.
    """
    wide = {region: columns for region, columns in settings.wide_columns.items() if _named(columns, text)}
    if not wide:
        records = _records(text, settings, {}).assign(row_number=row_number)
        return Batch(source_format, source_file, _in(source_format, records, settings), text, settings.date_formats)
    parts, rows = [], []
    stated_anywhere = pd.Series(False, index=text.index)
    for region, columns in wide.items():
        stated = _any_filled(text, columns)
        stated_anywhere |= stated
        part = _records(text[stated], settings, {name: column.lower() for name, column in columns.items()})
        parts.append(part.assign(region=region, place=region, row_number=row_number[stated]))
        rows.append(text[stated])
    empty = text[~stated_anywhere]
    without = _records(empty, settings, {}).assign(region=next(iter(wide)), refusal=Refusal.NO_VALUE.value)
    parts.append(without.assign(row_number=row_number[~stated_anywhere]))
    records = pd.concat(parts, ignore_index=True)
    verbatim = pd.concat([*rows, empty], ignore_index=True)
    return Batch(source_format, source_file, _in(source_format, records, settings), verbatim, settings.date_formats)


def _records(text: pd.DataFrame, settings: RecordSettings, wide: Mapping[str, str]) -> pd.DataFrame:
    """Take the columns that hold the fields; `wide` names those of one region's values."""
    names = {field: _column(field, settings) for field in DXA_TEXT} | dict(wide)
    if wide:
        names |= {value: "" for value in _VALUES if value not in wide}
    defaults = {"bmd_unit": settings.bmd_unit} | {_field(name): value for name, value in settings.defaults.items()}
    filled = {}
    for field, empty in empty_text(text.index, DXA_TEXT).items():
        column = text.get(names[field], empty) if field not in ("region_of_code", "refusal", "place") else empty
        default = defaults.get(field, "")
        filled[field] = column.where(column.str.strip() != "", default) if default else column
    return pd.DataFrame(filled)


def _in(source_format: Format, records: pd.DataFrame, settings: RecordSettings) -> pd.DataFrame:
    """Write the values of a CSV with a decimal point; where its mark is a comma, one with a point cannot be told."""
    if source_format is not Format.CSV or settings.decimal == ".":
        return records
    marks = str.maketrans({",": ".", ".": "?"})
    return records.assign(**{name: records[name].str.translate(marks) for name in _VALUES})


def _field(name: str) -> str:
    return "identifier" if name == "patient_id" else name


def _column(field: str, settings: RecordSettings) -> str:
    name = "patient_id" if field == "identifier" else field
    return settings.columns.get(name, name).strip().lower()


def _named(columns: Mapping[Any, str], text: pd.DataFrame) -> bool:
    return any(column.lower() in text.columns for column in columns.values())


def _any_filled(text: pd.DataFrame, columns: Mapping[Any, str]) -> "pd.Series[bool]":
    present = [column.lower() for column in columns.values() if column.lower() in text.columns]
    return pd.DataFrame({name: text[name] != "" for name in present}, index=text.index).any(axis=1)


def _refuse_incomplete(path: Path, header: list[str], settings: RecordSettings) -> None:
    """Refuse a file in which no row could be good."""
    wide = any(column.lower() in header for columns in settings.wide_columns.values() for column in columns.values())
    required = _REQUIRED if wide else (*_REQUIRED, "region")
    missing = [
        name
        for name in required
        if name not in settings.defaults and settings.columns.get(name, name).lower() not in header
    ]
    if missing:
        expected = ", ".join(settings.columns.get(name, name) for name in required)
        raise UserError(
            f"{path} lacks the column {settings.columns.get(missing[0], missing[0])}; expected {expected} and bmd_dxa "
            f"or t_score, separated by {_spoken(settings.delimiter)}, found {len(header)} others in the first line: "
            "name them in records.columns, or the separator in records.delimiter."
        )


def _spoken(delimiter: str) -> str:
    return {",": "commas", ";": "semicolons", "\t": "tabs"}.get(delimiter, delimiter)
