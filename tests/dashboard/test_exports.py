"""Tables as CSV and Excel, read back by the standard library, pandas and DuckDB."""

import csv
from datetime import date, datetime
from io import BytesIO, StringIO
from pathlib import Path
from xml.etree import ElementTree
from zipfile import ZipFile

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dashboard import workbook
from dashboard.exports import csv_bytes, write_csv, write_xlsx, xlsx_bytes
from screening.errors import UserError

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
FORMULAS = [
    "=1+1",
    "+1",
    "-2+3",
    "@SUM(A1)",
    "=cmd|'/C calc'!A0",
    '=HYPERLINK("http://example.org?x="&A1,"click")',
    "   =1+1",
    "\u00a0=1+1",
    "\ufeff=1+1",
    "\x00=1+1",
    "'=1+1",
    '"=1+1',
    " \"' =1+1",
    "＝1+1",
    "＠SUM(A1)",
    "-12",
]
LATER_FORMULAS = {
    "SECRET;=1+1": "SECRET;'=1+1",
    "a;  +1": "a;'  +1",
    "a\n=1+1": "a\n'=1+1",
    "a\r\n@x": "a\r\n'@x",
    "a\t-1": "a\t'-1",
    'a;"=1': "a;'\"=1",
}
CONTROLS = ["\tx", "\rx", "\nx"]
HARMLESS = ["PAT-0001", "a=b", "DOE^JANE", "L1, -2.5", "−2.5 to −1.9", "T ≤ −2.5", "0012", "x - y", ""]

CT = pd.DataFrame(
    {
        "Patient ID": ["0012", "P-2", None],
        "BMD_CNN (g/cm²)": [0.812, np.nan, -0.5],
        "CT": pd.Series([datetime(2024, 2, 29), None, datetime(1899, 12, 31)], dtype="datetime64[us]"),
        "Reviewed (UTC)": pd.Series(
            [datetime(2024, 2, 29, 13, 5, 7), None, datetime(2024, 3, 1)], dtype="datetime64[us]"
        ).dt.tz_localize("UTC"),
        "Since CT (months)": [12.0, np.nan, 40.0],
        "Open": [True, False, None],
        "Warnings": [["one", "two"], [], None],
    }
)


def read_csv(content: bytes) -> list[list[str]]:
    return list(csv.reader(StringIO(content.decode("utf-8-sig"), newline="")))


def sheet(content: bytes, number: int = 1) -> ElementTree.Element:
    return ElementTree.fromstring(ZipFile(BytesIO(content)).read(f"xl/worksheets/sheet{number}.xml"))


def cells(content: bytes, number: int = 1) -> dict[str, str]:
    """Map "A1" to the text of the cell."""
    found = sheet(content, number).iter(f"{MAIN}c")
    return {cell.attrib["r"]: "".join(cell.itertext()) for cell in found}


def attributes(content: bytes, place: str) -> dict[str, str]:
    return next(cell.attrib for cell in sheet(content).iter(f"{MAIN}c") if cell.attrib["r"] == place)


@pytest.mark.parametrize("text", FORMULAS)
def test_csv_marks_a_text_that_a_spreadsheet_would_run(text: str) -> None:
    assert read_csv(csv_bytes(pd.DataFrame({"id": [text]}))) == [["id"], ["'" + text]]


@pytest.mark.parametrize(("text", "marked"), LATER_FORMULAS.items())
def test_csv_marks_a_formula_behind_a_semicolon_or_a_line_break(text: str, marked: str) -> None:
    assert read_csv(csv_bytes(pd.DataFrame({"id": [text]})))[1] == [marked]


@pytest.mark.parametrize("text", CONTROLS)
def test_csv_marks_a_leading_tab_or_line_break(text: str) -> None:
    assert read_csv(csv_bytes(pd.DataFrame({"id": [text]})))[1] == ["'" + text]


@pytest.mark.parametrize("text", HARMLESS)
def test_csv_leaves_other_texts_as_they_are(text: str) -> None:
    assert read_csv(csv_bytes(pd.DataFrame({"id": [text], "n": [1]})))[1] == [text, "1"]


def test_csv_marks_the_names_of_columns_too() -> None:
    assert read_csv(csv_bytes(pd.DataFrame({"=1+1": [1]})))[0] == ["'=1+1"]


def test_csv_keeps_numbers_dates_and_missing_values() -> None:
    assert read_csv(csv_bytes(CT)) == [
        list(CT.columns),
        ["0012", "0.812", "2024-02-29", "2024-02-29 13:05:07.000", "12", "true", "one; two"],
        ["P-2", "", "", "", "", "false", ""],
        ["", "-0.5", "1899-12-31", "2024-03-01 00:00:00.000", "40", "", ""],
    ]


def test_csv_is_utf_8_for_excel_pandas_and_duckdb() -> None:
    content = csv_bytes(CT)
    assert content.startswith(b"\xef\xbb\xbf")
    assert pd.read_csv(BytesIO(content))["BMD_CNN (g/cm²)"].tolist()[::2] == [0.812, -0.5]
    assert duckdb.read_csv(BytesIO(content)).columns == list(CT.columns)


def test_csv_of_an_empty_table_is_its_header() -> None:
    assert read_csv(csv_bytes(CT.iloc[:0])) == [list(CT.columns)]


def test_values_of_several_kinds_in_one_column_become_text() -> None:
    odd = pd.DataFrame({"odd": [1, "=x", [1, None], {"a": 1}, b"\x01\xff", None, date(2024, 1, 1)], "n": 1})
    assert [row[0] for row in read_csv(csv_bytes(odd))[1:]] == ["1", "'=x", "1; ", "a: 1", "01ff", "", "2024-01-01"]


def test_parts_stand_below_each_other_under_one_header() -> None:
    file = BytesIO()
    assert write_csv([pa.table({"n": [1, 2]}), pa.table({"n": [3]})], file) == 3
    assert read_csv(file.getvalue()) == [["n"], ["1"], ["2"], ["3"]]


@pytest.mark.parametrize("text", [*FORMULAS, *LATER_FORMULAS, *CONTROLS, *HARMLESS])
def test_workbook_holds_every_text_as_text(text: str) -> None:
    content = xlsx_bytes(pd.DataFrame({"id": [text]}), sheet="Rows", notes=[])
    assert attributes(content, "A2")["t"] == "inlineStr"
    assert cells(content)["A2"] == text.replace("\x00", "_x0000_").replace("\r", "_x000D_")
    assert sheet(content).findall(f".//{MAIN}f") == []


def test_workbook_keeps_a_formula_text_when_its_cell_is_edited() -> None:
    content = xlsx_bytes(pd.DataFrame({"id": ["=1+1", "P-1"]}), sheet="Rows", notes=[])
    style = int(attributes(content, "A2")["s"])
    formats = ElementTree.fromstring(ZipFile(BytesIO(content)).read("xl/styles.xml")).find(f"{MAIN}cellXfs")
    assert formats is not None
    assert formats[style].attrib["quotePrefix"] == "1"
    assert "s" not in attributes(content, "A3")


def test_workbook_keeps_numbers_dates_and_missing_values() -> None:
    content = xlsx_bytes(CT, sheet="Rows", notes=[])
    written = cells(content)
    days = (datetime(2024, 2, 29) - datetime(1899, 12, 30)).days
    assert [written[f"{letter}1"] for letter in "ABCDEFG"] == list(CT.columns)
    assert [written.get(f"{letter}2") for letter in "ABCEFG"] == ["0012", "0.812", str(days), "12", "1", "one; two"]
    assert float(written["D2"]) == pytest.approx(days + (13 * 3600 + 5 * 60 + 7) / 86400, abs=1e-8)
    assert [written.get(f"{letter}3") for letter in "ABCDEFG"] == ["P-2", None, None, None, None, "0", ""]
    assert [written.get(f"{letter}4") for letter in "ABCEFG"] == [None, "-0.5", "1899-12-31", "40", None, None]
    assert attributes(content, "A2")["t"] == "inlineStr"
    assert "t" not in attributes(content, "B2")


def test_workbook_has_a_header_in_view_and_an_about_sheet() -> None:
    notes = ["Not a DXA.", "=not a formula", "Published 2024-03-01 & later"]
    content = xlsx_bytes(CT, sheet='Work & "list"', notes=notes)
    pane = sheet(content).find(f".//{MAIN}pane")
    filtered = sheet(content).find(f"{MAIN}autoFilter")
    book = ElementTree.fromstring(ZipFile(BytesIO(content)).read("xl/workbook.xml"))
    assert pane is not None and pane.attrib["state"] == "frozen"
    assert filtered is not None and filtered.attrib["ref"] == "A1:G4"
    assert [tab.attrib["name"] for tab in book.iter(f"{MAIN}sheet")] == ['Work & "list"', "About"]
    assert list(cells(content, 2).values()) == notes


def test_workbook_of_an_empty_table_is_its_header() -> None:
    assert list(cells(xlsx_bytes(CT.iloc[:0], sheet="Rows", notes=[])).values()) == list(CT.columns)


def test_workbook_keeps_digits_that_excel_would_round() -> None:
    content = xlsx_bytes(pd.DataFrame({"ns": [10**18 + 1, 7], "x": [np.inf, 1.5]}), sheet="Rows", notes=[])
    assert [cells(content)[place] for place in ("A2", "A3", "B2", "B3")] == [str(10**18 + 1), "7", "inf", "1.5"]
    assert attributes(content, "A2")["t"] == "inlineStr"


def test_workbook_says_where_it_had_to_cut_a_text() -> None:
    content = xlsx_bytes(pd.DataFrame({"text": ["x" * 40_000]}), sheet="Rows", notes=[])
    assert len(cells(content)["A2"]) == workbook.MOST_CHARACTERS
    assert cells(content, 2)["A1"].startswith("1 texts are longer")


def test_workbook_escapes_what_looks_like_an_escape() -> None:
    content = xlsx_bytes(pd.DataFrame({"text": ["_x000D_ & <b> \x1f\uffff"]}), sheet="Rows", notes=[])
    assert cells(content)["A2"] == "_x005F_x000D_ & <b> _x001F__xFFFF_"


def test_workbook_takes_more_columns_than_the_alphabet_has_letters() -> None:
    content = xlsx_bytes(pd.DataFrame([range(703)]).rename(columns=str), sheet="Rows", notes=[])
    assert [cells(content)[place] for place in ("Z2", "AA2", "ZZ2", "AAA2")] == ["25", "26", "701", "702"]


@pytest.mark.parametrize(
    "text", ["<r></r>", "<r><t>x</t></r>", '<r></r></is></c><c r="B2"><f>1+1</f></c><c><is><r></r>']
)
def test_workbook_takes_no_text_for_the_xml_of_a_cell(text: str) -> None:
    content = xlsx_bytes(pd.DataFrame({"text": [text]}), sheet="Rows", notes=[])
    assert cells(content) == {"A1": "text", "A2": text}
    assert sheet(content).findall(f".//{MAIN}f") == []


def test_workbook_cuts_a_text_that_would_be_xml_after_the_cut() -> None:
    text = "<r>" + "x" * (workbook.MOST_CHARACTERS - 7) + "</r>" + "x"
    content = xlsx_bytes(pd.DataFrame({"text": [text]}), sheet="Rows", notes=[])
    assert cells(content)["A2"] == text[:-1]
    assert cells(content, 2)["A1"].startswith("1 texts are longer")


def test_workbook_cuts_between_characters_and_counts_as_excel_does() -> None:
    texts = ["\N{BONE}" * 16_383, "\N{BONE}" * 16_384]
    content = xlsx_bytes(pd.DataFrame({"text": texts}), sheet="Rows", notes=[])
    assert [cells(content)[place] for place in ("A2", "A3")] == [texts[0], texts[0]]
    assert cells(content, 2)["A1"].startswith("1 texts are longer")


def test_workbook_keeps_texts_of_dates_that_its_calendar_does_not_reach() -> None:
    days = [date(1900, 2, 28), date(1900, 3, 1), date(9999, 12, 31), None]
    times = [datetime(1900, 2, 28, 23, 59), datetime(1900, 3, 1, 6), None, None]
    file = BytesIO()
    write_xlsx([pa.table({"day": days, "time": times})], file, sheet="Rows", notes=[])
    written = cells(file.getvalue())
    assert [written.get(f"A{row}") for row in (2, 3, 4, 5)] == ["1900-02-28", "61", "2958465", None]
    assert [written.get(f"B{row}") for row in (2, 3, 4)] == ["1900-02-28 23:59:00.000", "61.25", None]


def test_workbook_writes_a_number_with_the_digits_it_has() -> None:
    numbers = [0.812, -1e-09, 123456.789, 99999999999999.5]
    content = xlsx_bytes(pd.DataFrame({"x": numbers}), sheet="Rows", notes=[])
    assert [float(cells(content)[f"A{row}"]) for row in (2, 3, 4, 5)] == numbers
    assert cells(content)["A2"] == "0.812"


def test_workbook_of_parts_has_one_header() -> None:
    file = BytesIO()
    assert write_xlsx([pa.table({"n": [1, 2]}), pa.table({"n": [3]})], file, sheet="Rows", notes=[]) == 3
    assert cells(file.getvalue()) == {"A1": "n", "A2": "1", "A3": "2", "A4": "3"}


def test_workbook_refuses_more_rows_than_are_offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(workbook, "MOST_ROWS", 3)
    parts = [pa.table({"n": [1, 2]}), pa.table({"n": [3, 4]})]
    with pytest.raises(UserError, match="3 rows at most"):
        write_xlsx(parts, BytesIO(), sheet="Rows", notes=[], scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_workbook_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write_xlsx([pa.table({"n": [1]})], BytesIO(), sheet="Rows", notes=[], scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []
