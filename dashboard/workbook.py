"""Arrow tables -> an Excel workbook by XlsxWriter: the rows on one sheet, what must be known of them on a second."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from screening.errors import UserError

# A cell takes about 10 µs, so this many rows of 25 columns take half a minute; a sheet would hold 1,048,575.
MOST_ROWS: Final = 100_000
MOST_CHARACTERS: Final = 32_767  # of a cell, in UTF-16 units
# Start of a text, or of a cell within it where the spreadsheet's locale parts cells at semicolons and so does not see
# the quotes; then what spreadsheets pass over; then what makes a formula, full width as well (OWASP, CSV Injection).
FORMULA: Final = "(^|[;\\t\\r\\n])([ \"'\u00a0\u200b\ufeff\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f]*[=+@＝＋－＠-])"

_FORMULA_START: Final = re.compile(FORMULA)
_OPTIONS: Final = {
    "constant_memory": True,  # a row at a time, the rows before in a file
    "use_zip64": True,  # where long texts make a sheet of more than 2 GiB
}
_PART_ROWS: Final = 5_000  # turned into Python values at a time
_EXACT_BELOW: Final = 10**15  # Excel keeps 15 digits of a number
_CALENDAR: Final = (date(1900, 3, 1), date(9999, 12, 31))  # Excel takes 1900 for a leap year, so days before are off
_WIDTH: Final = (8, 48)  # narrowest and widest column, characters
_ABOUT_WIDTH: Final = 120  # characters
_SAMPLE: Final = 500  # rows that the widths of columns are taken from
_CUT: Final = (
    f"{{:,}} texts are longer than the {MOST_CHARACTERS:,} characters that a cell holds and are cut; "
    "the CSV file has them whole."
)


@dataclass(frozen=True, slots=True)
class _Formats:
    """How cells look."""

    header: Format
    date: Format
    time: Format
    quoted: Format  # stays text when somebody edits the cell


def write_workbook(
    parts: Iterable[pa.Table], file: IO[bytes], *, sheet: str, notes: list[str], scratch: Path | None = None
) -> int:
    """Write the parts of one table below each other, without keeping them; return the rows.

    Args:
        parts: at least one; of whole and broken numbers, decimals, truth values, dates, times in ms, and texts.
        sheet: name of the sheet with the rows.
        notes: lines of the second sheet, "About".
        scratch: folder for what is put aside meanwhile; nothing stays there. None: the system's.

    Raises:
        UserError: there are more than MOST_ROWS rows.
    """
    remaining = iter(parts)
    first = next(remaining)
    with TemporaryDirectory(dir=scratch) as aside, Workbook(file, {**_OPTIONS, "tmpdir": aside}) as book:
        formats = _Formats(
            header=book.add_format({"bold": True}),
            date=book.add_format({"num_format": "yyyy-mm-dd"}),
            time=book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
            quoted=book.add_format({"quote_prefix": True}),
        )
        rows, about = book.add_worksheet(sheet), book.add_worksheet("About")
        _write_header(rows, first, formats)
        count, cut_count = _write_rows(rows, chain([first], remaining), formats)
        rows.autofilter(0, 0, count, first.num_columns - 1)
        about.set_column(0, 0, _ABOUT_WIDTH)
        for row, note in enumerate([*notes, _CUT.format(cut_count)] if cut_count else notes):
            _write_text(about, row, 0, note, formats.quoted)
    return count


def _write_header(sheet: Worksheet, table: pa.Table, formats: _Formats) -> None:
    """Write the names of the columns, keep them in view, and make the columns as wide as names and first values."""
    sample = table.slice(0, _SAMPLE)
    for place, (name, column) in enumerate(zip(table.column_names, sample.columns, strict=True)):
        _write_text(sheet, 0, place, name, formats.header)
        shown = (f"{value:.6g}" if isinstance(value, float) else str(value) for value in _values(column))
        sheet.set_column(place, place, min(max(_WIDTH[0], len(name), *map(len, shown)) + 2, _WIDTH[1]))
    sheet.freeze_panes(1, 0)


def _write_rows(sheet: Worksheet, parts: Iterable[pa.Table], formats: _Formats) -> tuple[int, int]:
    """Write the cells below the header; return the rows, and the texts that had to be cut."""
    count, cut_count = 0, 0
    for batch in chain.from_iterable(part.to_batches(_PART_ROWS) for part in parts):
        if count + batch.num_rows > MOST_ROWS:
            raise UserError(f"A workbook has {MOST_ROWS:,} rows at most, and there are more. Take CSV or Parquet.")
        for row, values in enumerate(zip(*map(_values, batch.columns), strict=True), count + 1):
            for place, value in enumerate(values):
                cut_count += _write_cell(sheet, row, place, value, formats)
        count += batch.num_rows
    return count, cut_count


def _values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Return the values of a column; dates that the calendar of Excel does not reach are ISO texts."""
    if not pa.types.is_temporal(column.type):
        return list(column.to_pylist())
    first, last = (pa.scalar(day).cast(column.type) for day in _CALENDAR)
    reached = pc.and_(pc.greater_equal(column, first), pc.less_equal(column, last))
    days, texts = pc.if_else(reached, column, None).to_pylist(), column.cast(pa.string()).to_pylist()
    return [text if day is None else day for day, text in zip(days, texts, strict=True)]


def _write_cell(sheet: Worksheet, row: int, place: int, value: Any, formats: _Formats) -> bool:
    """Write one cell as what it is, nothing where the value is missing; tell whether it was cut."""
    if isinstance(value, str):
        return _write_text(sheet, row, place, value, formats.quoted if _FORMULA_START.match(value) else None)
    if isinstance(value, bool):
        sheet.write_boolean(row, place, value)
    elif isinstance(value, date):
        sheet.write_datetime(row, place, value, formats.time if isinstance(value, datetime) else formats.date)
    elif isinstance(value, int | float | Decimal) and -_EXACT_BELOW < value < _EXACT_BELOW:
        # XlsxWriter writes 16 digits of a float, which makes 0.8120000000000001 of 0.812; of a decimal its own.
        sheet.write_number(row, place, Decimal(str(value)) if isinstance(value, float) else value)
    elif value is not None:
        sheet.write_string(row, place, str(value))
    return False


def _write_text(sheet: Worksheet, row: int, place: int, text: str, look: Format | None) -> bool:
    """Write as much of a text as a cell holds, never half a character; tell whether it was cut."""
    held = text
    if len(text) > MOST_CHARACTERS // 2:
        held = text.encode("utf-16-le")[: 2 * MOST_CHARACTERS].decode("utf-16-le", "ignore")
    if held.startswith("<r>") and held.endswith("</r>"):
        # XlsxWriter takes such a text for the XML of a cell and would not escape it; pieces of one it does escape.
        sheet.write_rich_string(row, place, held[0], held[1], held[2:])
    else:
        sheet.write_string(row, place, held, look)
    return held != text
