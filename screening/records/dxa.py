"""CSV of DXA results -> rows for the table `dxa`, and every refused row verbatim with its reason."""

import csv
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pandera.pandas as pa

from screening.errors import UserError

# What a result must hold to be believed: areal BMD in g/cm2 (not mg/cm3, not a T-score in the wrong column).
REGIONS: Final = ("L1-L4", "L2-L4", "L1", "L2", "L3", "L4", "total_hip", "femoral_neck")
BMD_RANGE_G_CM2: Final = (0.2, 2.5)
T_SCORE_RANGE: Final = (-8.0, 8.0)
OLDEST_DATE: Final = pd.Timestamp("1987-01-01")  # the first DXA device was sold in 1987

_KEY: Final = ("patient_id", "dxa_date", "region", "manufacturer")  # of the table dxa
REQUIRED_COLUMNS: Final = ("patient_id", "dxa_date", "region")


@dataclass(frozen=True, slots=True)
class DxaImport:
    """Rows ready for the tables `dxa` and `rejected_record`."""

    accepted: tuple[dict[str, Any], ...]
    rejected: tuple[dict[str, Any], ...]


def read_dxa_csv(path: Path) -> DxaImport:
    """Read a CSV with patient_id, dxa_date (YYYY-MM-DD), region and bmd_dxa (g/cm2) or t_score, or both.

    Of rows with the same patient, date, region and manufacturer the last one counts; the others are refused.

    Raises:
        UserError: the file cannot be read as CSV, or a required column is missing.
    """
    header, records = _read_records(path)
    complete = {number: record for number, record in records.items() if len(record) == len(header)}
    parsed = _parse(pd.DataFrame(complete.values(), index=list(complete), columns=header, dtype=str))
    reasons = dict.fromkeys(records.keys() - complete.keys(), "wrong number of fields") | _reasons(parsed)
    now = datetime.now(UTC).replace(tzinfo=None)
    accepted = [_accepted(row, path.name, now) for number, row in parsed.iterrows() if number not in reasons]
    rejected = [
        _rejected(number, reason, _verbatim(header, records[number]), path.name, now)
        for number, reason in sorted(reasons.items())
    ]
    return DxaImport(tuple(accepted), tuple(rejected))


def _read_records(path: Path) -> tuple[list[str], dict[int, list[str]]]:
    """Return the column names in lower case, and the fields of each row by its line number; empty lines are none."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip().lower() for name in next(reader, [])]
            numbered = [(reader.line_num, record) for record in reader]
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as UTF-8 CSV ({type(error).__name__}).") from error
    missing = [column for column in REQUIRED_COLUMNS if column not in header]
    if missing:
        raise UserError(
            f"{path} lacks the column {missing[0]}; expected {', '.join(REQUIRED_COLUMNS)} and bmd_dxa or t_score, "
            f"separated by commas, found {', '.join(header) or 'nothing'}."
        )
    repeated = [name for name in header if header.count(name) > 1]
    if repeated:
        raise UserError(f"{path} names the column {repeated[0]} more than once.")
    return header, {number: record for number, record in numbered if any(field.strip() for field in record)}


def _verbatim(header: list[str], record: list[str]) -> dict[str, str | list[str]]:
    if len(record) == len(header):
        return dict(zip(header, record, strict=True))
    return {"fields": record}


def _parse(verbatim: pd.DataFrame) -> pd.DataFrame:
    """Convert text to values; what cannot be converted becomes missing and is then refused by the schema."""
    stripped = verbatim.apply(lambda column: column.str.strip())
    return pd.DataFrame(
        {
            "patient_id": stripped["patient_id"],
            "dxa_date": pd.to_datetime(stripped["dxa_date"], format="%Y-%m-%d", errors="coerce").astype(
                "datetime64[us]"
            ),
            "region": stripped["region"],
            "bmd_dxa": _numbers(stripped, "bmd_dxa"),
            "t_score": _numbers(stripped, "t_score"),
            "manufacturer": stripped.get("manufacturer", pd.Series("", index=stripped.index)),
        }
    )


def _numbers(frame: pd.DataFrame, column: str) -> pd.Series:
    """Empty text is a missing value; other text that is no number is infinite, so that the range refuses it."""
    text = frame.get(column, pd.Series("", index=frame.index))
    numbers = pd.to_numeric(text, errors="coerce").astype(float)
    return numbers.where(numbers.notna() | (text == ""), float("inf"))


_SCHEMA: Final = pa.DataFrameSchema(
    {
        "patient_id": pa.Column(str, pa.Check.str_length(min_value=1)),
        "dxa_date": pa.Column("datetime64[us]", pa.Check.ge(OLDEST_DATE)),
        "region": pa.Column(str, pa.Check.isin(REGIONS)),
        "bmd_dxa": pa.Column(float, pa.Check.in_range(*BMD_RANGE_G_CM2), nullable=True),
        "t_score": pa.Column(float, pa.Check.in_range(*T_SCORE_RANGE), nullable=True),
        "manufacturer": pa.Column(str),
    },
    checks=pa.Check(lambda frame: frame["bmd_dxa"].notna() | frame["t_score"].notna(), error="bmd_dxa or t_score"),
)


def _reasons(parsed: pd.DataFrame) -> dict[int, str]:
    """Map the index of each refused row to the first rule that refused it."""
    reasons: dict[int, str] = {}
    try:
        _SCHEMA.validate(parsed, lazy=True)
    except pa.errors.SchemaErrors as errors:
        for case in errors.failure_cases.itertuples():
            reasons.setdefault(int(case.index), _reason(case.column, case.check))
    future = parsed.index[parsed["dxa_date"] > pd.Timestamp.now()]
    reasons |= {int(number): "dxa_date: in the future" for number in future if int(number) not in reasons}
    good = parsed.drop(index=list(reasons))
    repeated = good.index[good.duplicated(list(_KEY), keep="last")]
    return reasons | {int(number): "replaced by a later row of the file" for number in repeated}


def _reason(column: str | None, check: str) -> str:
    if check == "bmd_dxa or t_score":
        return "bmd_dxa, t_score: both missing"
    return {
        "patient_id": "patient_id: missing",
        "dxa_date": f"dxa_date: expected YYYY-MM-DD from {OLDEST_DATE:%Y} on",
        "region": f"region: expected one of {', '.join(REGIONS)}",
        "bmd_dxa": f"bmd_dxa: expected {BMD_RANGE_G_CM2[0]} to {BMD_RANGE_G_CM2[1]} g/cm2",
        "t_score": f"t_score: expected {T_SCORE_RANGE[0]:.0f} to {T_SCORE_RANGE[1]:.0f}",
    }.get(column or "", f"{column}: {check}")


def _accepted(row: "pd.Series[Any]", source_file: str, now: datetime) -> dict[str, Any]:
    return {
        "patient_id": row["patient_id"],
        "dxa_date": row["dxa_date"].date(),
        "region": row["region"],
        "bmd_dxa": None if pd.isna(row["bmd_dxa"]) else float(row["bmd_dxa"]),
        "t_score": None if pd.isna(row["t_score"]) else float(row["t_score"]),
        "manufacturer": row["manufacturer"],
        "source_file": source_file,
        "imported_at": now,
    }


def _rejected(
    row_number: int, reason: str, record: dict[str, str | list[str]], source_file: str, now: datetime
) -> dict[str, Any]:
    verbatim = json.dumps(record, ensure_ascii=False)
    return {
        "record_digest": hashlib.sha256(f"{source_file}\n{row_number}\n{verbatim}".encode()).hexdigest(),
        "source_file": source_file,
        "row_number": row_number,
        "reason": reason,
        "record": verbatim,
        "rejected_at": now,
    }
