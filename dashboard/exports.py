"""A table on the screen -> a file that somebody takes along: CSV or an Excel workbook.

CSV starts with a byte order mark: without one Excel reads UTF-8 in the code page of the machine and spoils g/cm² and
names; pandas, R and DuckDB skip it. A spreadsheet runs a text as a formula where it stands as one in a CSV file
(OWASP, "CSV Injection"), so such texts get an apostrophe before them; a workbook says of each cell that it is text.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from io import BytesIO
from typing import IO, Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import xlsxwriter
from pyarrow import csv
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from screening.errors import UserError

CSV_TYPE: Final = "text/csv"
XLSX_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
XLSX_MOST_ROWS: Final = 1_048_575  # of a sheet, below its header row

# Start of a text, or of a cell within it where the spreadsheet's locale parts cells at semicolons and so does not see
# the quotes; then what spreadsheets pass over; then what makes a formula, full width as well.
_FORMULA: Final = "(^|[;\\t\\r\\n])([ \"'\u00a0\u200b\ufeff\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f]*[=+@＝＋－＠-])"
_FORMULA_START: Final = re.compile(_FORMULA)
_CONTROL_START: Final = "^([\\t\\r\\n])"
_AFTER_APOSTROPHE: Final = "\\1'\\2"
_CELL_MOST_CHARACTERS: Final = 32_767  # of Excel
_EXACT_BELOW: Final = 10**15  # Excel keeps 15 digits of a number
_FIRST_YEAR: Final = 1900  # of Excel's calendar
_WIDTH: Final = (8, 48)  # narrowest and widest column, characters
_ABOUT_WIDTH: Final = 120  # characters
_SAMPLE: Final = 500  # rows that the widths of columns are taken from


@dataclass(frozen=True, slots=True)
class _Formats:
    """How the cells of a workbook look."""

    header: Format
    date: Format
    time: Format
    quoted: Format  # stays text when somebody edits the cell


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """Write a table as CSV: UTF-8 with byte order mark, dates in ISO 8601 (times in UTC), missing as an empty cell."""
    file = BytesIO()
    write_csv([_table(frame)], file)
    return file.getvalue()


def xlsx_bytes(frame: pd.DataFrame, *, sheet: str, notes: list[str]) -> bytes:
    """Write a table as an Excel workbook, with the notes (labels, filters, units) on a second sheet "About".

    Raises:
        UserError: it has more rows than a sheet holds.
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


def write_xlsx(parts: Iterable[pa.Table], file: IO[bytes], *, sheet: str, notes: list[str]) -> int:
    """Write the parts of one table below each other, as `xlsx_bytes` does, without keeping them; return the rows.

    Raises:
        UserError: there are more rows than a sheet holds.
    """
    book = xlsxwriter.Workbook(file, {"constant_memory": True})
    formats = _Formats(
        header=book.add_format({"bold": True, "bottom": 1}),
        date=book.add_format({"num_format": "yyyy-mm-dd"}),
        time=book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        quoted=book.add_format({"quote_prefix": True}),
    )
    rows = book.add_worksheet(sheet)
    count, cut_count = 0, 0
    for part in parts:
        if count + part.num_rows > XLSX_MOST_ROWS:
            raise UserError(f"An Excel sheet holds {XLSX_MOST_ROWS:,} rows, and there are more. Take CSV or Parquet.")
        plain = _plain(part)
        if count == 0:
            _write_header(rows, plain, formats)
        cut_count += _write_rows(rows, plain, count + 1, formats)
        count += part.num_rows
    if count:
        rows.autofilter(0, 0, count, rows.dim_colmax or 0)
    _write_about(book.add_worksheet("About"), notes, cut_count)
    book.close()
    return count


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
    marked = pc.replace_substring_regex(texts, pattern=_FORMULA, replacement=_AFTER_APOSTROPHE)
    return pc.replace_substring_regex(marked, pattern=_CONTROL_START, replacement="'\\1")


def _write_header(sheet: Worksheet, table: pa.Table, formats: _Formats) -> None:
    """Write the names of the columns, keep them in view, and make the columns as wide as their values."""
    sample = table.slice(0, _SAMPLE)
    for place, (name, column) in enumerate(zip(table.column_names, sample.columns, strict=True)):
        sheet.write_string(0, place, name, formats.header)
        longest = max(len(str(value)) for value in [name, *column.to_pylist()])
        sheet.set_column(place, place, min(max(longest + 2, _WIDTH[0]), _WIDTH[1]))
    sheet.freeze_panes(1, 0)


def _write_rows(sheet: Worksheet, table: pa.Table, first_row: int, formats: _Formats) -> int:
    """Write the cells, row by row as the sheet wants them; return how many texts had to be cut."""
    cut_count = 0
    values = zip(*(column.to_pylist() for column in table.columns), strict=True)
    for row, cells in enumerate(values, first_row):
        for place, value in enumerate(cells):
            if value is not None:
                cut_count += _write_cell(sheet, row, place, value, formats)
    return cut_count


def _write_cell(sheet: Worksheet, row: int, place: int, value: Any, formats: _Formats) -> bool:
    """Write one cell as what it is; tell whether it was cut."""
    if isinstance(value, bool):
        sheet.write_boolean(row, place, value)
    elif isinstance(value, int | float | Decimal) and abs(value) < _EXACT_BELOW:
        sheet.write_number(row, place, float(value))
    elif isinstance(value, date) and value.year >= _FIRST_YEAR:
        sheet.write_datetime(row, place, value, formats.time if isinstance(value, datetime) else formats.date)
    else:
        text = value if isinstance(value, str) else str(value)
        formula = _FORMULA_START.match(text) is not None
        sheet.write_string(row, place, text[:_CELL_MOST_CHARACTERS], formats.quoted if formula else None)
        return len(text) > _CELL_MOST_CHARACTERS
    return False


def _write_about(sheet: Worksheet, notes: list[str], cut_count: int) -> None:
    if cut_count:
        notes = [
            *notes,
            f"{cut_count:,} texts are longer than the {_CELL_MOST_CHARACTERS:,} characters that a cell holds and are "
            "cut; the CSV file has them whole.",
        ]
    sheet.set_column(0, 0, _ABOUT_WIDTH)
    for row, note in enumerate(notes):
        sheet.write_string(row, 0, note)
