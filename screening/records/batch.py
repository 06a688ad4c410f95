"""What every reader of records hands on: text as it was found, and the record it was found in."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import pandas as pd

# All text, "" where a record does not say. `refusal` holds a reason that only the reader could see; `place` is where
# in the record the result stands; `row_number` is that of the record in its file, 0 where it is not counted.
DXA_TEXT: Final = (
    "identifier", "issuer", "dxa_date", "region", "region_of_code", "bmd_dxa", "bmd_unit", "t_score", "z_score",
    "score_unit", "manufacturer", "status", "issued_at", "refusal", "place",
)  # fmt: skip
CONTEXT_TEXT: Final = (
    "identifier", "issuer", "fact", "holds", "since_date", "recorded_on", "refusal", "place",
)  # fmt: skip


class Format(StrEnum):
    """Formats that can be read; the value is stored with each record."""

    CSV = "csv"
    PARQUET = "parquet"
    FHIR = "fhir"
    HL7 = "hl7"
    DICOM = "dicom"
    OMOP = "omop"


@dataclass(frozen=True, slots=True)
class Batch:
    """Some records of one file.

    Attributes:
        records: one row a result; the columns DXA_TEXT or CONTEXT_TEXT, and row_number.
        verbatim: the record of each row on the same index: its columns as text, or one column "json".
        date_formats: how its dates are written, the first that fits counts.
        passed_over: records in the file that speak of something else.
    """

    source_format: Format
    source_file: str
    records: pd.DataFrame
    verbatim: pd.DataFrame
    date_formats: tuple[str, ...] = ("%Y-%m-%d",)
    passed_over: int = 0


def text_frame(rows: list[dict[str, str]], columns: tuple[str, ...]) -> pd.DataFrame:
    """Make a frame of text from rows; what a row does not name is empty."""
    return pd.DataFrame({name: pd.Series([row.get(name, "") for row in rows], dtype="str") for name in columns})


def empty_text(index: pd.Index, columns: tuple[str, ...]) -> dict[str, pd.Series]:
    """Make columns that say nothing."""
    return {name: pd.Series("", index=index, dtype="str") for name in columns}
