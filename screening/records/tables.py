"""CSV and Parquet -> frames of text, some rows at a time, with the number of each row in its file."""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet
from numpy.typing import NDArray

from screening.errors import UserError
from screening.records.batch import Batch, Format, text_frame
from screening.records.refusals import Refusal
from screening.records.settings import RecordSettings

_BLOCK_BYTES: Final = 16 * 2**20  # some 250,000 rows: large enough for vectors, small beside a worker's memory
_PARQUET_ROWS: Final = 250_000


@dataclass(frozen=True, slots=True)
class TextTable:
    """Some rows of a table.

    Attributes:
        text: its columns under their names in lower case; a missing value is "".
        row_number: number of each row in its file, the header being row 1, on the index of `text`.
        malformed: rows with a wrong number of fields, as JSON by their number.
        done, total: how much of the file has been read, in bytes or rows.
    """

    text: pd.DataFrame
    row_number: "pd.Series[int]"
    malformed: dict[int, str]
    done: int
    total: int


def read_table(path: Path, source_format: Format, settings: RecordSettings) -> Iterator[TextTable]:
    """Read a CSV or Parquet file some rows at a time; empty rows are none.

    Raises:
        UserError: the file cannot be read, or names a column twice.
    """
    with _unreadable_told(path, settings):
        if is_parquet(path, source_format):
            yield from _read_parquet(path)
        else:
            yield from _read_csv(path, settings)


@contextmanager
def _unreadable_told(path: Path, settings: RecordSettings) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror or 'it is no file of its format'}.") from error
    except (UnicodeError, LookupError, pa.ArrowInvalid, csv.Error) as error:
        raise UserError(
            f"{path} cannot be read as {settings.encoding} CSV or as Parquet ({type(error).__name__}): "
            "is the encoding right, and does each quoted field end?"
        ) from error


def columns_of(path: Path, source_format: Format, settings: RecordSettings) -> list[str]:
    """Return the column names of a CSV or Parquet file in lower case.

    Raises:
        UserError: the file cannot be read.
    """
    with _unreadable_told(path, settings):
        if is_parquet(path, source_format):
            return [name.strip().lower() for name in pa_parquet.read_schema(path).names]
        return _header_of(path, settings)


def is_parquet(path: Path, source_format: Format) -> bool:
    """Tell whether a table is Parquet; OMOP tables come as either."""
    return source_format is Format.PARQUET or path.suffix.lower() in (".parquet", ".pq")


def _header_of(path: Path, settings: RecordSettings) -> list[str]:
    with path.open(encoding=settings.encoding.replace("utf-8", "utf-8-sig"), newline="") as file:
        return [name.strip().lower() for name in next(csv.reader(file, delimiter=settings.delimiter), [])]


def _read_csv(path: Path, settings: RecordSettings) -> Iterator[TextTable]:
    header = _header_of(path, settings)
    _refuse_repeated(path, header)
    if not header:
        return
    total = path.stat().st_size
    with path.open("rb") as file:
        yield from _csv_tables(file, header, settings, total)


@dataclass(slots=True)
class _Malformed:
    """Rows that the parser hands out because their number of fields is wrong."""

    rows: dict[int, str] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)

    def __call__(self, row: pa_csv.InvalidRow) -> str:
        self.numbers.append(row.number)
        self.rows[row.number] = row.text
        return "skip"

    def taken(self) -> dict[int, str]:
        rows, self.rows = self.rows, {}
        return rows


def _csv_tables(file: BinaryIO, header: list[str], settings: RecordSettings, total: int) -> Iterator[TextTable]:
    malformed = _Malformed()
    reader = _open_csv(file, header, settings, malformed)
    following = 2
    for batch in reader:
        numbers, following = _numbers(following, batch.num_rows, malformed.numbers)
        text = pd.DataFrame({name: pd.Series(batch.column(name), dtype="str") for name in header})
        filled = np.logical_or.reduce([text[name] != "" for name in header])
        done = min(file.tell(), total)
        yield TextTable(text[filled].reset_index(drop=True), pd.Series(numbers[filled]), {}, done, total)
        if malformed.rows:
            yield _line_by_line(malformed.taken(), header, settings, done, total)
    if malformed.rows:
        yield _line_by_line(malformed.taken(), header, settings, total, total)


def _line_by_line(
    malformed: dict[int, str], header: list[str], settings: RecordSettings, done: int, total: int
) -> TextTable:
    """Take malformed rows apart: a quote that does not end has swallowed the lines up to the next one."""
    good: list[list[str]] = []
    numbers: list[int] = []
    bad: dict[int, str] = {}
    for number, row in malformed.items():
        for offset, line in enumerate(row.splitlines()):
            fields = next(csv.reader([line], delimiter=settings.delimiter), [])
            if len(fields) == len(header) and line.count('"') % 2 == 0:
                good.append(fields)
                numbers.append(number + offset)
            elif any(fields):
                bad[number + offset] = json.dumps({"fields": fields}, ensure_ascii=False)
    text = pd.DataFrame(good, columns=header, dtype="str")
    return TextTable(text, pd.Series(numbers, dtype="int64"), bad, done, total)


def _open_csv(
    file: BinaryIO, header: list[str], settings: RecordSettings, malformed: _Malformed
) -> pa_csv.CSVStreamingReader:
    return pa_csv.open_csv(
        file,
        read_options=pa_csv.ReadOptions(
            use_threads=False,  # rows are then numbered
            block_size=_BLOCK_BYTES,
            column_names=header,
            skip_rows_after_names=1,
            encoding=settings.encoding,
        ),
        parse_options=pa_csv.ParseOptions(
            delimiter=settings.delimiter,
            newlines_in_values=True,
            ignore_empty_lines=False,
            invalid_row_handler=malformed,
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types={name: pa.string() for name in header}, strings_can_be_null=False
        ),
    )


def _numbers(following: int, count: int, malformed: list[int]) -> tuple[NDArray[np.int64], int]:
    """Number good rows in their order, leaving out the numbers of malformed ones; return the next number too."""
    between = np.array([number for number in malformed if number >= following], dtype=np.int64)
    candidates = np.arange(following, following + count + len(between))
    numbers = np.setdiff1d(candidates, between, assume_unique=True)[:count]
    return numbers, int(numbers[-1]) + 1 if count else following


def _read_parquet(path: Path) -> Iterator[TextTable]:
    with pa_parquet.ParquetFile(path) as file:
        header = [name.strip().lower() for name in file.schema_arrow.names]
        _refuse_repeated(path, header)
        total, done = file.metadata.num_rows, 0
        for batch in file.iter_batches(_PARQUET_ROWS):
            text = pd.DataFrame(
                {name: _as_text(column, path, name) for name, column in zip(header, batch.columns, strict=True)}
            )
            numbers = pd.Series(range(done + 2, done + 2 + len(text)))
            done += len(text)
            yield TextTable(text, numbers, {}, done, total)


def _as_text(column: pa.Array, path: Path, name: str) -> pd.Series:
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        raise UserError(f"{path}, column {name}: expected text, numbers or dates, found {column.type}.")
    if pa.types.is_timestamp(column.type) and column.type.tz is None:
        midnight = column.cast(pa.date32(), safe=False).cast(column.type).equals(column)
        column = column.cast(pa.date32()) if midnight else column
    return pd.Series(column.cast(pa.string()).fill_null(""), dtype="str")


def _refuse_repeated(path: Path, header: list[str]) -> None:
    repeated = [name for name in header if header.count(name) > 1]
    if repeated:
        raise UserError(f"{path} names the column {repeated[0]} more than once.")


def malformed_rows(table: TextTable, source_format: Format, source_file: str, columns: tuple[str, ...]) -> Batch:
    """Make refused records of the rows whose number of fields is wrong."""
    rows = [{"refusal": Refusal.MALFORMED.value}] * len(table.malformed)
    records = text_frame(rows, columns).assign(row_number=list(table.malformed))
    verbatim = pd.DataFrame({"json": pd.Series(list(table.malformed.values()), dtype="str")})
    return Batch(source_format, source_file, records, verbatim)
