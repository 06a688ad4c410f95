"""Months of scanners in the database, and what is kept of their drift."""

import duckdb
import pandas as pd
import pytest
from random_hospital import Law, fill

from screening.errors import UserError
from screening.store.database import create_schema, sql
from screening.store.drift import watch_drift
from screening.validation_settings import DriftSettings

DRIFTING = Law(patients=5000, drifting_scanner=2)
SCANNER = "ACME / Sim 64 / CT2 / North"


@pytest.fixture(scope="module")
def drifting():
    connection = duckdb.connect()
    truth = fill(connection, DRIFTING, seed=3)
    return connection, truth, watch_drift(connection, DriftSettings())


def test_planted_drift_alerts_within_a_month_and_no_other_scanner_does(drifting):
    found = drifting[0].execute("SELECT DISTINCT scanner, min(month) FROM drift_alert GROUP BY ALL").df()

    assert found["scanner"].tolist() == [SCANNER]
    assert pd.Timestamp("2025-09-01") <= found.iloc[0, 1] <= pd.Timestamp("2025-10-01")


def test_a_month_is_the_mean_of_its_measured_studies(drifting):
    connection, truth, _ = drifting
    chosen = (truth["scanner"] == 5) & (truth["month"] == 4)
    row = connection.execute("SELECT * FROM scanner_month WHERE scanner LIKE '%CT5%' AND month = '2025-04-01'").df()

    measured = chosen & truth["measured"]
    assert row["study_count"].item() == chosen.sum()
    assert row["measured_count"].item() == row["fat_hu_count"].item() == measured.sum()
    assert row["excluded_count"].item() == chosen.sum() - measured.sum()
    assert row["fat_hu"].item() == pytest.approx(truth["fat"][measured].mean())
    assert row["muscle_hu_sd"].item() == pytest.approx(truth["muscle"][measured].std(ddof=1))
    assert row["likely_count"].item() == (truth["t_cnn"][measured] <= -2.5).sum()


def test_bone_is_adjusted_for_who_was_scanned():
    connection = duckdb.connect()
    fill(connection, Law(patients=2000, scanners=2), seed=4)
    connection.execute("UPDATE study SET sex = 'M', age_years = 45 WHERE study_instance_uid IN (" + OF_CT1 + ")")
    connection.execute("UPDATE study SET sex = 'F', age_years = 85 WHERE study_instance_uid NOT IN (" + OF_CT1 + ")")
    connection.execute("UPDATE study_bmd SET bmd_cnn = bmd_cnn + 0.1 WHERE study_instance_uid IN (" + OF_CT1 + ")")

    found = connection.execute("SELECT scanner, avg(bmd_cnn) FROM scanner_month GROUP BY 1 ORDER BY 1").fetchall()

    assert found[0][1] == pytest.approx(found[1][1], abs=0.02)


OF_CT1 = "SELECT study_instance_uid FROM series WHERE station_name = 'CT1'"


def test_tissue_is_adjusted_for_the_voltage():
    connection = duckdb.connect()
    fill(connection, Law(patients=3000, scanners=2), seed=5)
    connection.execute(
        "UPDATE series SET kvp_kv = 80, fat_hu = fat_hu - 12 FROM study "
        "WHERE study.study_instance_uid = series.study_instance_uid AND station_name = 'CT1' "
        "AND (study_date >= '2025-09-01' OR hash(study.study_instance_uid) % 4 = 0)"
    )

    found = watch_drift(connection, DriftSettings())

    assert found[found["metric"] == "fat_hu"]["state"].isin(["baseline", "stable"]).all()


def test_a_reason_that_does_not_occur_in_a_month_counts_as_none(drifting):
    connection, truth, _ = drifting
    connection.execute("BEGIN")
    connection.execute(
        "UPDATE outcome SET reason = 'no_lumbar' WHERE study_instance_uid IN "
        "(SELECT study_instance_uid FROM study_scanner WHERE month = '2025-02-01' AND reason IS NOT NULL)"
    )

    found = share_rows(connection)
    connection.execute("ROLLBACK")

    contrast = found[(found["metric"] == "excluded: contrast") & (found["month"] == pd.Timestamp("2025-02-01"))]
    assert len(contrast) == 8
    assert (contrast["holds"] == 0).all()


def share_rows(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    return connection.execute(sql("queries/drift_shares")).df()


def test_every_study_is_counted_for_one_scanner(drifting):
    connection, truth, _ = drifting

    assert connection.execute("SELECT sum(study_count) FROM scanner_month").fetchall() == [(len(truth["age"]),)]


def test_what_was_found_is_kept_and_written_anew(drifting):
    connection, _, found = drifting

    again = watch_drift(connection, DriftSettings())

    assert connection.execute("SELECT count(*) FROM drift_metric").fetchall() == [(len(found),)]
    pd.testing.assert_frame_equal(again, found)


def test_results_of_another_checkpoint_are_not_counted(drifting):
    connection = drifting[0]
    connection.execute("BEGIN")
    connection.execute("UPDATE model SET active = false")

    months = connection.execute("SELECT count(*) FROM scanner_month").fetchall()
    connection.execute("ROLLBACK")

    assert months == [(0,)]


def test_a_scanner_that_is_not_there_is_a_message_for_people(drifting):
    with pytest.raises(UserError, match="names 'CT9', which is no scanner"):
        watch_drift(drifting[0], DriftSettings(baseline_from={"CT9": "2025-01-01"}))


def test_an_empty_database_is_a_message_for_people():
    connection = duckdb.connect()
    create_schema(connection)

    with pytest.raises(UserError, match="No dated study"):
        watch_drift(connection, DriftSettings())
