"""A whole table or view -> a file, in a process of its own: a million rows are not made in the memory of the server.

`dashboard.rows.data` starts it as `python -m dashboard.file_process`, with the request as JSON on standard input and
the file that is to be filled as standard output.
"""

import gzip
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
from pyarrow import parquet

from dashboard import exports
from dashboard.console_process import attached

_COMPRESSION: Final = 3  # the next levels take twice the time for a tenth of the size
_QUESTION: Final = Path(__file__).parent / "sql" / "data_relation.sql"


@dataclass(frozen=True, slots=True)
class Said:
    """What a file says of its rows."""

    relation: str
    labels: list[str]  # what must be known of them wherever they go
    notes: list[str]  # the labels, and what each column means


def write(reader: pa.RecordBatchReader, form: str, said: Said, file: IO[Any], scratch: Path) -> None:
    """Write the rows as csv, csv.gz, xlsx or parquet; the labels stand in each."""
    if form == "parquet":
        _write_parquet(reader, said.notes, file)
    elif form == "xlsx":
        exports.write_xlsx(_tables(reader), file, sheet=said.relation[:31], notes=said.notes, scratch=scratch)
    elif form == "csv.gz":
        with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=_COMPRESSION) as packed:
            write(reader, "csv", said, packed, scratch)  # type: ignore[arg-type]  # a GzipFile can be written to
    else:
        exports.write_csv((noticed(table, said.labels) for table in _tables(reader)), file)


def noticed(table: pa.Table, labels: list[str]) -> pa.Table:
    """Add the labels as a last column."""
    return table.append_column("notice", pa.array([" ".join(labels)] * table.num_rows, pa.string()))


def _write_parquet(reader: pa.RecordBatchReader, notes: list[str], file: IO[bytes]) -> None:
    schema = reader.schema.with_metadata({"notes": json.dumps(notes)})
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))


def _tables(reader: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Yield the parts, and one of no rows where there is none, so that a file has its header."""
    first = next(reader, None)
    yield reader.schema.empty_table() if first is None else pa.Table.from_batches([first])
    for batch in reader:
        yield pa.Table.from_batches([batch])


def main() -> None:
    """Answer the request on standard input with a file on standard output."""
    os.nice(5)  # the pages come first
    asked = json.loads(sys.stdin.buffer.read())
    with (
        attached(Path(asked["database"]), Path(asked["scratch"])) as connection,
        os.fdopen(os.dup(sys.stdout.fileno()), "r+b") as file,
    ):
        rows = connection.sql(_QUESTION.read_text(encoding="utf-8"), params={"relation": asked["relation"]})
        reader = rows.to_arrow_reader(asked["part_rows"])
        said = Said(asked["relation"], asked["labels"], asked["notes"])
        write(reader, asked["form"], said, file, Path(asked["scratch"]))


if __name__ == "__main__":
    main()
