"""Months of every scanner in the database -> table drift_metric, written anew."""

import duckdb
import pandas as pd
import pyarrow as pa

from screening.drift import judged
from screening.errors import UserError
from screening.store.database import sql, transaction
from screening.validation_settings import DriftSettings


def watch_drift(connection: duckdb.DuckDBPyConnection, settings: DriftSettings) -> pd.DataFrame:
    """Judge every month of every scanner under the active checkpoint, and keep what was found.

    Returns:
        The rows of table drift_metric.

    Raises:
        UserError: there is nothing to judge, or the settings name a scanner that is not there.
    """
    means = connection.execute(sql("queries/drift_means")).df()
    shares = connection.execute(sql("queries/drift_shares")).df()
    if means.empty and shares.empty:
        raise UserError("No dated study has been read in this database: run screening sweep ARCHIVE first.")
    unknown = sorted(set(settings.baseline_from) - set(means["scanner"]) - set(shares["scanner"]))
    if unknown:
        raise UserError(
            f"drift.baseline_from names {unknown[0]!r}, which is no scanner of this database: the view scanner_month "
            "lists them."
        )
    found = judged(means, shares, settings)
    with transaction(connection):
        _keep(connection, found)
    return found


def _keep(connection: duckdb.DuckDBPyConnection, found: pd.DataFrame) -> None:
    connection.register("found", pa.Table.from_pandas(found, preserve_index=False))
    connection.execute("DELETE FROM drift_metric")
    connection.execute("INSERT INTO drift_metric BY NAME SELECT * FROM found")
    connection.unregister("found")
