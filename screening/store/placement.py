"""Another reference or rule -> results held against it anew, by arithmetic where that is enough.

A reference decides where a density stands, and what one T-score is: by that a level is left out that lies too far from
the others. Where this would turn out otherwise, the study is read again from its pixels.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from screening.prediction.patient import OUTLIER_T, outliers, two_apart
from screening.prediction.tscore import REFERENCES, Reference, Standard, place
from screening.store.database import Row, sql, transaction, write_rows


@dataclass(frozen=True, slots=True)
class Replaced:
    """What became of the results that were held against something else."""

    placed_count: int
    unread_count: int  # to be read again


def place_again(connection: duckdb.DuckDBPyConnection, standard: Standard, references: Iterable[Reference]) -> Replaced:
    """Hold every stored result against the standard in force, and keep what the references known are.

    Args:
        connection: the sweep's database.
        standard: reference and rule in force.
        references: all that are known.
    """
    with transaction(connection):
        write_rows(connection, "reference_population", [_reference_row(reference) for reference in references])
        given = _parameters(standard)
        found = connection.sql(sql("queries/placed_otherwise"), params=given).to_arrow_table()
        unread = _judged_otherwise(found, standard.reference.sd_g_cm2)
        placed = _placed(found.filter(pa.array(~unread)), standard)
        _run(connection, "place_again", "placed", placed, given)
        _run(connection, "read_again", "unread", found.filter(pa.array(unread)), None)
    return Replaced(placed.num_rows, int(unread.sum()))


def _reference_row(reference: Reference) -> Row:
    row = asdict(reference)
    return {"reference": row.pop("name"), **row}


def _parameters(standard: Standard) -> dict[str, str | float]:
    reference = standard.reference
    return {
        "reference": reference.name,
        "mean": reference.mean_g_cm2,
        "sd": reference.sd_g_cm2,
        "rule": str(standard.rule),
    }


def _placed(found: pa.Table, standard: Standard) -> pa.Table:
    """Compute the new columns, one row a result."""
    bmd, half_width, age = (_floats(found, name) for name in ("bmd_cnn", "half_width", "age_years"))
    sex = np.array(found.column("sex").to_pylist(), dtype=np.str_)
    placement = place(bmd, half_width, age, sex, standard)
    keys = found.select(["study_instance_uid", "checkpoint_sha256"])
    return pa.table(dict(zip(keys.column_names, keys.columns, strict=True)) | asdict(placement))


def _judged_otherwise(found: pa.Table, sd_g_cm2: float) -> NDArray[np.bool_]:
    """Tell where other levels would be used, or a warning be due, than when the result was stored.

    Nothing can change where the levels lie within one T-score of each other by the old and the new reference; the rest
    is few, and looked at one by one.
    """
    before, spread = _sd_before(found), _floats(found, "spread")
    unread: NDArray[np.bool_] = (before != sd_g_cm2) & (np.isnan(before) | np.isnan(spread))
    apart = (before != sd_g_cm2) & (spread > OUTLIER_T * np.minimum(before, sd_g_cm2))
    levels = found.column("level_bmd")
    for place_found in np.flatnonzero(apart):
        level_bmd = levels[int(place_found)].as_py()
        unread[place_found] = _judgement(level_bmd, before[place_found]) != _judgement(level_bmd, sd_g_cm2)
    return unread


def _sd_before(found: pa.Table) -> NDArray[np.float64]:
    """Return the standard deviation that each result was judged with; NaN where it cannot be known."""
    stored = _floats(found, "reference_sd")
    names = found.column("reference").to_pylist()
    by_name = np.array([REFERENCES[name].sd_g_cm2 if name in REFERENCES else np.nan for name in names])
    return np.where(np.isnan(stored), by_name, stored)


def _judgement(levels_g_cm2: list[float], sd_g_cm2: float) -> tuple[tuple[int, ...], bool]:
    dropped = outliers(levels_g_cm2, sd_g_cm2)
    used = [bmd for level, bmd in enumerate(levels_g_cm2) if level not in dropped]
    return dropped, two_apart(used, sd_g_cm2)


def _floats(table: pa.Table, name: str) -> NDArray[np.float64]:
    """Return a column; NaN where it is NULL."""
    return np.asarray(table.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _run(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    name: str,
    rows: pa.Table,
    parameters: dict[str, str | float] | None,
) -> None:
    """Run a statement of the queries over rows that it knows by a name."""
    if rows.num_rows:
        connection.register(name, rows)
        connection.execute(sql(f"queries/{query}"), parameters)
        connection.unregister(name)
