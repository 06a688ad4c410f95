"""A table on the screen -> a file that somebody takes along: CSV or an Excel workbook.

CSV starts with a byte order mark: without one Excel reads UTF-8 in the code page of the machine and spoils g/cm² and
names; pandas, R and DuckDB skip it. A spreadsheet runs a text as a formula where it stands as one in a CSV file
(OWASP, "CSV Injection"), so such texts get an apostrophe before them; a workbook says of each cell that it is text.
"""

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from dashboard.workbook import FORMULA, write_workbook

CSV_TYPE: Final = "text/csv"
XLSX_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_AFTER_APOSTROPHE: Final = "\\1'\\2"
_CONTROL_START: Final = "^([\\t\\r\\n])"
_EXACT_BELOW: Final = 10**15  # whole numbers that a broken number holds without loss, with room to spare


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """Write a table as CSV: UTF-8 with byte order mark, dates in ISO 8601 (times in UTC), missing as an empty cell."""
    file = BytesIO()
    write_csv([_table(frame)], file)
    return file.getvalue()


def xlsx_bytes(frame: pd.DataFrame, *, sheet: str, notes: list[str]) -> bytes:
    """Write a table as an Excel workbook, with the notes (labels, filters, units) on a second sheet "About".

    Raises:
        UserError: it has more rows than a workbook may have.
    """
    file = BytesIO()
    write_xlsx([_table(frame)], file, sheet=sheet, notes=notes)
    return file.getvalue()


def write_csv(parts: Iterable[pa.Table], file: IO[bytes]) -> int:
    """Write the parts of one table below each other, as `csv_bytes` does; return the rows."""
    count = 0
    file.write(b"\xef\xbb\xbf")
    for number, part in enumerate(parts):
        safe = _harmless(_plain(part))
        csv.write_csv(safe, file, csv.WriteOptions(include_header=number == 0))
        count += part.num_rows
    return count


def write_xlsx(
    parts: Iterable[pa.Table], file: IO[bytes], *, sheet: str, notes: list[str], scratch: Path | None = None
) -> int:
    """Write the parts of one table below each other, as `xlsx_bytes` does, without keeping them; return the rows.

    `scratch` is a folder for what is put aside meanwhile; nothing stays there. None: the system's.

    Raises:
        UserError: there are more rows than a workbook may have.
    """
    return write_workbook((_plain(part) for part in parts), file, sheet=sheet, notes=notes, scratch=scratch)


def _table(frame: pd.DataFrame) -> pa.Table:
    """Turn a data frame into Arrow; values of several kinds in one column become text, NaN and NaT missing."""
    ready = {
        str(name): column.map(_text, na_action="ignore")
        if pd.api.types.infer_dtype(column, skipna=True).startswith("mixed")
        else column
        for name, column in frame.items()
    }
    return pa.Table.from_pandas(pd.DataFrame(ready, index=frame.index), preserve_index=False)


def _plain(table: pa.Table) -> pa.Table:
    """Bring each column to one of the kinds a cell can hold: number, truth value, date, time or text."""
    return pa.table([_plain_column(column) for column in table.columns], names=table.column_names)


def _plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain_column(column.cast(kind.value_type))
    if pa.types.is_floating(kind):
        return _plain_numbers(column.cast(pa.float64()))
    if pa.types.is_timestamp(kind):
        return _plain_times(column)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_date(kind) or pa.types.is_decimal(kind):
        return column
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        return column.cast(pa.string())
    return pa.array([None if value is None else _text(value) for value in column.to_pylist()], pa.string())


def _plain_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Take NaN for missing; counts that became fractions because some are missing are counts again."""
    numbers = pc.if_else(pc.is_nan(column), None, column)
    whole = pc.all(pc.and_(pc.equal(pc.floor(numbers), numbers), pc.less(pc.abs(numbers), _EXACT_BELOW)))
    return numbers.cast(pa.int64()) if whole.as_py() else numbers


def _plain_times(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Bring times to UTC without zone, in milliseconds; a column of midnights is one of dates."""
    times = column.cast(pa.timestamp("us")).cast(pa.timestamp("ms"), safe=False)
    days = times.cast(pa.date32(), safe=False)
    return days if pc.all(pc.equal(days.cast(times.type), times)).as_py() else times


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_text(held)}" for key, held in value.items())
    if isinstance(value, Iterable) and not isinstance(value, str):
        return "; ".join(_text(held) for held in value)
    return "" if value is None else str(value)


def _harmless(table: pa.Table) -> pa.Table:
    """Put an apostrophe before each text, column names included, that a spreadsheet would run as a formula."""
    columns = [_harmless_text(column) if pa.types.is_string(column.type) else column for column in table.columns]
    return pa.table(columns, names=_harmless_text(pa.array(table.column_names, pa.string())).to_pylist())


def _harmless_text(texts: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    marked = pc.replace_substring_regex(texts, pattern=FORMULA, replacement=_AFTER_APOSTROPHE)
    return pc.replace_substring_regex(marked, pattern=_CONTROL_START, replacement="'\\1")
