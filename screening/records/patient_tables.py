"""Rows of CSV or Parquet -> facts about patients as text, by the columns that the site names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pandas as pd

from screening.errors import UserError
from screening.records.batch import CONTEXT_TEXT, Batch, Format, empty_text
from screening.records.settings import RecordSettings
from screening.records.tables import columns_of, malformed_rows, read_table

_REQUIRED: Final = ("patient_id", "fact")


def read_context_table(path: Path, source_format: Format, settings: RecordSettings) -> Iterator[tuple[Batch, int, int]]:
    """Read a CSV or Parquet file; yield each batch with how much of the file is done, of how much.

    Raises:
        UserError: the file cannot be read, or lacks a column.
    """
    header = columns_of(path, source_format, settings)
    missing = [name for name in _REQUIRED if _column(name, settings) not in header]
    if missing:
        raise UserError(
            f"{path} lacks the column {_column(missing[0], settings)}; expected patient_id and fact (diagnosis, "
            f"treatment, death or opt_out), found {len(header)} others in the first line: name them in "
            "records.context_columns."
        )
    for table in read_table(path, source_format, settings):
        batch = context_of_rows(table.text, table.row_number, source_format, path.name, settings)
        yield batch, table.done, table.total
        if table.malformed:
            yield malformed_rows(table, source_format, path.name, CONTEXT_TEXT), table.done, table.total


def context_of_rows(
    text: pd.DataFrame, row_number: "pd.Series[int]", source_format: Format, source_file: str, settings: RecordSettings
) -> Batch:
    """Take the fields of each row."""
    columns = {
        field: text.get(_column("patient_id" if field == "identifier" else field, settings), empty)
        for field, empty in empty_text(text.index, CONTEXT_TEXT).items()
    }
    records = pd.DataFrame(columns).assign(refusal="", place="", row_number=row_number)
    return Batch(source_format, source_file, records, text, settings.date_formats)


def _column(field: str, settings: RecordSettings) -> str:
    names: dict[str, str] = dict(settings.context_columns)
    return names.get(field, field).strip().lower()
