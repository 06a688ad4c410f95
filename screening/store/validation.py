"""Pairs of the database -> a comparison with DXA, kept as one row of validation_run and its figures."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from screening.errors import UserError
from screening.pairing import Pairs, pairs_on_one_scale
from screening.prediction.tscore import Reference
from screening.statistics import share
from screening.store.database import fetch_one, sql, transaction, write_rows
from screening.store.models import Model, active_model, left_out_readings, trained_on
from screening.validation import Figure, figures
from screening.validation_report import ValidationReport
from screening.validation_settings import ValidationSettings
from screening.verification import Unverified, Verified, weighted_figures


def read_pairs(
    connection: duckdb.DuckDBPyConnection, settings: ValidationSettings, references: Mapping[str, Reference]
) -> Pairs:
    """Read the pairs of the active checkpoint and bring them to one scale."""
    rows = _paired_rows(connection, settings)
    return pairs_on_one_scale(rows, settings, references, active_model(connection).reference)


def _paired_rows(connection: duckdb.DuckDBPyConnection, settings: ValidationSettings) -> pd.DataFrame:
    return connection.execute(sql("queries/paired_patients"), {"window_days": settings.window_days}).df()


def validate(
    connection: duckdb.DuckDBPyConnection, settings: ValidationSettings, references: Mapping[str, Reference]
) -> ValidationReport:
    """Compare the active checkpoint with the DXA on record and keep the figures.

    Args:
        connection: the database, open for writing.
        settings: window, scale and limits.
        references: reference populations by name.

    Raises:
        UserError: nothing was measured, or there is no pair.
    """
    model = active_model(connection)
    rows = _paired_rows(connection, settings)
    pairs = pairs_on_one_scale(rows, settings, references, model.reference)
    measured_count = fetch_one(connection, sql("queries/measured_patients"))[0]
    if not len(pairs):
        raise UserError(
            f"None of {measured_count} measured patients has a DXA of L1-L4 within {settings.window_days} days: import "
            "DXA with screening import dxa, or allow more days with validation.window_days."
        )
    found = [*figures(pairs, settings.smallest_group), *_weighted(connection, rows, pairs, settings)]
    found.append(_verified_fraction(pairs, measured_count))
    report = _report(connection, model, pairs, settings, measured_count, found)
    with transaction(connection):
        _keep(connection, report)
    return report


def _weighted(
    connection: duckdb.DuckDBPyConnection, rows: pd.DataFrame, pairs: Pairs, settings: ValidationSettings
) -> list[Figure]:
    """Let each pair stand for patients that have no DXA."""
    connection.register("paired", pa.table({"patient_id": pa.array(rows["patient_id"], pa.string())}))
    others = connection.execute(sql("queries/unpaired_patients")).df()
    connection.unregister("paired")
    told = np.flatnonzero(~np.isnan(pairs.osteoporosis))
    verified = Verified(
        age_years=pairs.age_years[told],
        sex=[pairs.sex[place] for place in told],
        bmd_cnn=pairs.bmd_cnn[told],
        likely=pairs.likely[told],
        osteoporosis=pairs.osteoporosis[told] == 1,
    )
    unverified = Unverified(
        age_years=others["age_years"].to_numpy(np.float64, na_value=np.nan),
        sex=others["sex"].tolist(),
        bmd_cnn=others["bmd_cnn"].to_numpy(np.float64),
        patients=others["patients"].to_numpy(np.float64),
    )
    found = weighted_figures(verified, unverified, settings.weight_cap)
    return [Figure("weighted", "overall", "all", metric, estimate) for metric, estimate in found.items()]


def _verified_fraction(pairs: Pairs, measured_count: int) -> Figure:
    told = int((~np.isnan(pairs.osteoporosis)).sum())
    estimate = share(np.arange(measured_count) < told)
    return Figure("bmd_cnn", "overall", "all", "verified_fraction", estimate)


def _report(
    connection: duckdb.DuckDBPyConnection,
    model: Model,
    pairs: Pairs,
    settings: ValidationSettings,
    measured_count: int,
    found: list[Figure],
) -> ValidationReport:
    return ValidationReport(
        run_id=fetch_one(connection, "SELECT coalesce(max(run_id), 0) + 1 FROM validation_run")[0],
        validated_at=datetime.now(UTC).replace(tzinfo=None),
        software_version=version("ct-bmd-screening"),
        checkpoint=model.name,
        checkpoint_sha256=model.checkpoint_sha256,
        data_kind=model.data_kind,
        trained_on=trained_on(connection, model),
        window_days=settings.window_days,
        scale=pairs.scale,
        measured_count=measured_count,
        pair_count=len(pairs),
        bmd_count=int((~np.isnan(pairs.bmd_dxa)).sum()),
        label_count=int((~np.isnan(pairs.osteoporosis)).sum()),
        osteoporosis_count=int(np.nansum(pairs.osteoporosis)),
        seen_count=int((~np.isnan(left_out_readings(connection, model, pairs.study_instance_uid))).sum()),
        left_out=dict(pairs.left_out),
        settings=settings.model_dump(mode="json"),
        figures=found,
    )


_COUNTS = ("measured_count", "pair_count", "bmd_count", "label_count", "osteoporosis_count", "seen_count")


def _keep(connection: duckdb.DuckDBPyConnection, report: ValidationReport) -> None:
    facts = ("run_id", "validated_at", "software_version", "checkpoint_sha256", "data_kind", "window_days", "scale")
    row = {name: getattr(report, name) for name in facts + _COUNTS}
    documents = {"settings": json.dumps(report.settings), "left_out": json.dumps(report.left_out)}
    write_rows(connection, "validation_run", [row | documents])
    write_rows(connection, "validation_metric", [_metric_row(report.run_id, figure) for figure in report.figures])


def _metric_row(run_id: int, figure: Figure) -> dict[str, object]:
    estimate = figure.estimate
    return {
        "run_id": run_id,
        "reader": figure.reader,
        "dimension": figure.dimension,
        "subgroup": figure.subgroup,
        "metric": figure.metric,
        "value": estimate.value,
        "ci_low": estimate.low,
        "ci_high": estimate.high,
        "n": estimate.n,
        "note": estimate.note,
    }
