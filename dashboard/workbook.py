"""Arrow tables -> an Excel workbook (ECMA-376): the rows on one sheet, what must be known of them on a second.

Written by whole columns, because a cell at a time takes 10 µs of a server that others wait for: 7 s for 33,000 rows of
20 columns, and 3 minutes for a million.
"""

import re
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from itertools import chain
from typing import IO, Any, Final
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile

import pyarrow as pa
import pyarrow.compute as pc

from screening.errors import UserError

MOST_ROWS: Final = 1_048_575  # of a sheet, below its header row
MOST_CHARACTERS: Final = 32_767  # of a cell
# Start of a text, or of a cell within it where the spreadsheet's locale parts cells at semicolons and so does not see
# the quotes; then what spreadsheets pass over; then what makes a formula, full width as well (OWASP, CSV Injection).
FORMULA: Final = "(^|[;\\t\\r\\n])([ \"'\u00a0\u200b\ufeff\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f]*[=+@＝＋－＠-])"

_PART_ROWS: Final = 20_000  # turned into XML at a time
_EXACT_BELOW: Final = 10**15  # Excel keeps 15 digits of a number
_FIRST_DAY: Final = -25_508  # 1900-03-01 in days since 1970; Excel takes 1900 for a leap year, so days before are off
_DAYS_BEFORE_1970: Final = 25_569  # in Excel's calendar
_MS_PER_DAY: Final = 86_400_000
_WIDTH: Final = (8, 48)  # narrowest and widest column, characters
_ABOUT_WIDTH: Final = 120  # characters
_SAMPLE: Final = 500  # rows that the widths of columns are taken from
_COMPRESSION: Final = 3  # the next levels take twice the time for a twentieth of the size
# Characters that XML cannot hold or would change, and what looks like their escape (ECMA-376, 22.9.2.19).
_UNWRITABLE: Final = "[\\x00-\\x08\\x0b-\\x1f\ufffe\uffff]|_x[0-9A-Fa-f]{4}_"
_UNWRITABLE_CHARACTERS: Final = re.compile(_UNWRITABLE)
# Places in the list of cell formats of _STYLES.
_HEADER, _DATE, _TIME, _QUOTED = 1, 2, 3, 4

_XML: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_SPREADSHEET: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_FIXED_PARTS: Final = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_SPREADSHEET}.sheet.main+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_SPREADSHEET}.styles+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_SPREADSHEET}.worksheet+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet2.xml" ContentType="{_SPREADSHEET}.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet2.xml"/>'
    f'<Relationship Id="rId3" Type="{_RELATIONS}/styles" Target="styles.xml"/></Relationships>',
    "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><numFmts count="2">'
    '<numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/>'
    '<numFmt numFmtId="165" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/></numFmts>'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>'
    '</fills><borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="5"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>'
    '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="165" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0" quotePrefix="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>',
}


def write_workbook(parts: Iterable[pa.Table], file: IO[bytes], *, sheet: str, notes: list[str]) -> int:
    """Write the parts of one table below each other, without keeping them; return the rows.

    Args:
        parts: at least one; of whole and broken numbers, decimals, truth values, dates, times in ms, and texts.
        file: where the workbook goes.
        sheet: name of the sheet with the rows.
        notes: lines of the second sheet, "About".

    Raises:
        UserError: there are more rows than a sheet holds.
    """
    remaining = iter(parts)
    first = next(remaining)
    with ZipFile(file, "w", ZIP_DEFLATED, compresslevel=_COMPRESSION) as book:
        for name, text in (_FIXED_PARTS | {"xl/workbook.xml": _workbook(sheet)}).items():
            book.writestr(name, _XML + text)
        with (
            book.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as raw,
            TextIOWrapper(raw, encoding="utf-8", newline="\n") as out,
        ):
            count, cut_count = _write_rows(chain([first], remaining), first, out)
        cut = (
            f"{cut_count:,} texts are longer than the {MOST_CHARACTERS:,} characters that a cell holds and are cut; "
            "the CSV file has them whole."
        )
        book.writestr("xl/worksheets/sheet2.xml", _XML + _about([*notes, cut] if cut_count else notes))
    return count


def _write_rows(parts: Iterable[pa.Table], first: pa.Table, out: IO[str]) -> tuple[int, int]:
    """Write the sheet of rows; return the rows, and the texts that had to be cut."""
    count, cut_count = 0, 0
    letters = [_letters(place) for place in range(first.num_columns)]
    out.write(
        f'{_XML}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
        f"<cols>{''.join(_widths(first))}</cols><sheetData>"
        f"{_row(1, first.column_names, letters, _HEADER)}"
    )
    for part in chain.from_iterable(_slices(whole) for whole in parts):
        if count + part.num_rows > MOST_ROWS:
            raise UserError(f"An Excel sheet holds {MOST_ROWS:,} rows, and there are more. Take CSV or Parquet.")
        numbers = pa.array(range(count + 2, count + 2 + part.num_rows)).cast(pa.string())
        cells = [_cells(column, letter, numbers) for column, letter in zip(part.columns, letters, strict=True)]
        rows = pc.binary_join_element_wise('<row r="', numbers, '">', *cells, "</row>", "")
        out.writelines(rows.to_pylist())
        cut_count += sum(_cut(column) for column in part.columns)
        count += part.num_rows
    out.write(f'</sheetData><autoFilter ref="A1:{letters[-1]}{count + 1}"/></worksheet>')
    return count, cut_count


def _slices(table: pa.Table) -> Iterator[pa.Table]:
    return (table.slice(start, _PART_ROWS) for start in range(0, table.num_rows, _PART_ROWS))


def _cells(column: pa.ChunkedArray, letter: str, numbers: pa.Array) -> pa.Array:
    """Turn a column into XML, one text a cell, empty where the value is missing; it says of each value what it is."""
    values = column.combine_chunks()
    kind = values.type
    place = pc.binary_join_element_wise(f'<c r="{letter}', numbers, '"', "")
    if pa.types.is_boolean(kind):
        return _as_number(place, values.cast(pa.int8()), ' t="b"')
    if pa.types.is_date(kind):
        days = values.cast(pa.int32())
        return _calendar(place, values, days, days, f' s="{_DATE}"')
    if pa.types.is_timestamp(kind):
        milliseconds = values.cast(pa.int64())
        days = pc.divide(milliseconds.cast(pa.float64()), _MS_PER_DAY)
        return _calendar(place, values, days, pc.floor(days).cast(pa.int32()), f' s="{_TIME}"')
    if pa.types.is_string(kind):
        return _as_text(place, values)
    exact = pc.less(pc.abs(values.cast(pa.float64(), safe=False)), _EXACT_BELOW)
    return pc.if_else(pc.fill_null(exact, True), _as_number(place, values), _as_text(place, values.cast(pa.string())))


def _calendar(place: pa.Array, values: pa.Array, days: pa.Array, day: pa.Array, style: str) -> pa.Array:
    """Write days since 1970 in Excel's calendar, and as ISO text where that calendar does not reach back."""
    written = _as_number(place, pc.add(days, _DAYS_BEFORE_1970), style)
    return pc.if_else(
        pc.fill_null(pc.greater_equal(day, _FIRST_DAY), True), written, _as_text(place, values.cast(pa.string()))
    )


def _as_number(place: pa.Array, numbers: pa.Array, attributes: str = "") -> pa.Array:
    cells = pc.binary_join_element_wise(place, f"{attributes}><v>", numbers.cast(pa.string()), "</v></c>", "")
    return pc.fill_null(cells, "")


def _as_text(place: pa.Array, texts: pa.Array) -> pa.Array:
    """Write texts; one that looks like a formula stays text even when somebody edits the cell."""
    style = pc.if_else(pc.match_substring_regex(texts, f"^(?:{FORMULA})"), f' s="{_QUOTED}"', "")
    safe = _escaped(pc.utf8_slice_codeunits(texts, 0, MOST_CHARACTERS))
    opening = ' t="inlineStr"><is><t xml:space="preserve">'
    return pc.fill_null(pc.binary_join_element_wise(place, style, opening, safe, "</t></is></c>", ""), "")


def _escaped(texts: pa.Array) -> pa.Array:
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        texts = pc.replace_substring(texts, character, entity)
    if pc.any(pc.match_substring_regex(texts, _UNWRITABLE)).as_py():
        return pa.array([text and _writable(text) for text in texts.to_pylist()], pa.string())
    return texts


def _writable(text: str) -> str:
    """Write each character that XML cannot hold as _xHHHH_, and the underscore of what looks like that."""
    return _UNWRITABLE_CHARACTERS.sub(
        lambda found: f"_x{ord(found[0]):04X}_" if len(found[0]) == 1 else f"_x005F{found[0]}", text
    )


def _cut(column: pa.ChunkedArray) -> int:
    if not pa.types.is_string(column.type):
        return 0
    return pc.sum(pc.greater(pc.utf8_length(column), MOST_CHARACTERS)).as_py() or 0


def _row(number: int, texts: Iterable[str], letters: list[str], style: int) -> str:
    cells = "".join(
        f'<c r="{letter}{number}" s="{style}" t="inlineStr"><is><t xml:space="preserve">'
        f"{_writable(escape(text))}</t></is></c>"
        for letter, text in zip(letters, texts, strict=True)
    )
    return f'<row r="{number}">{cells}</row>'


def _widths(table: pa.Table) -> Iterator[str]:
    """Make each column as wide as its name and first values, within limits."""
    sample = table.slice(0, _SAMPLE)
    for number, (name, column) in enumerate(zip(table.column_names, sample.columns, strict=True), 1):
        texts = [name, *(_shown(value) for value in column.to_pylist())]
        width = min(max(*map(len, texts), _WIDTH[0]) + 2, _WIDTH[1])
        yield f'<col min="{number}" max="{number}" width="{width}" customWidth="1"/>'


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _about(notes: list[str]) -> str:
    rows = "".join(_row(number, [note], ["A"], _QUOTED) for number, note in enumerate(notes, 1))
    return (
        f'<worksheet xmlns="{_MAIN}"><cols><col min="1" max="1" width="{_ABOUT_WIDTH}" customWidth="1"/></cols>'
        f"<sheetData>{rows}</sheetData></worksheet>"
    )


def _workbook(sheet: str) -> str:
    name = escape(sheet, {'"': "&quot;"})
    return (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets><sheet name="{name}" sheetId="1" r:id="rId1"/>'
        '<sheet name="About" sheetId="2" r:id="rId2"/></sheets></workbook>'
    )


def _letters(place: int) -> str:
    """Name a column from 0 as A, B, ... Z, AA, AB."""
    return (_letters(place // 26 - 1) if place >= 26 else "") + chr(ord("A") + place % 26)
