"""Pairs of the database, the window, and what is kept of a comparison."""

import json
from datetime import date, timedelta

import duckdb
import numpy as np
import pytest
from random_hospital import SHA, Law, fill

from screening.errors import UserError
from screening.prediction.tscore import REFERENCES
from screening.store.database import create_schema
from screening.store.validation import read_pairs, validate
from screening.validation_report import to_json, to_markdown
from screening.validation_settings import ValidationSettings


@pytest.fixture(scope="module")
def hospital():
    connection = duckdb.connect()
    truth = fill(connection, Law(patients=1500, bias_g_cm2=0.03), seed=1)
    return connection, truth


@pytest.fixture
def few():
    connection = duckdb.connect()
    truth = fill(connection, Law(patients=60, excluded_share=0.0, dxa_chance=0.9999), seed=2)
    return connection, truth


@pytest.fixture(scope="module")
def report(hospital):
    return validate(hospital[0], ValidationSettings(), REFERENCES)


def value(report, metric, reader="bmd_cnn", subgroup="all"):
    return next(f.estimate for f in report.figures if (f.metric, f.reader, f.subgroup) == (metric, reader, subgroup))


def test_the_figures_are_those_of_the_patients_with_a_dxa(hospital, report):
    truth = hospital[1]
    paired = truth["measured"] & truth["has_dxa"]
    error = (truth["bmd_cnn"] - truth["bmd_dxa"])[paired]

    assert report.pair_count == report.bmd_count == paired.sum()
    assert report.measured_count == truth["measured"].sum()
    assert report.osteoporosis_count == truth["osteoporosis"][paired].sum()
    assert value(report, "bias_g_cm2").value == pytest.approx(error.mean())
    assert value(report, "mae_g_cm2").value == pytest.approx(np.abs(error).mean())


def test_subgroups_are_those_of_the_headers(hospital, report):
    truth = hospital[1]
    women = truth["measured"] & truth["has_dxa"] & truth["female"]

    assert value(report, "mae_g_cm2", subgroup="F").n == women.sum()
    assert {"sex", "age", "manufacturer", "scanner", "kvp", "kernel", "slice_thickness", "ct_month"} < set(
        report.dimensions
    )


def test_the_verified_fraction_is_of_all_measured_patients(hospital, report):
    truth = hospital[1]

    found = value(report, "verified_fraction")

    assert found.n == truth["measured"].sum()
    assert found.value == pytest.approx(truth["has_dxa"][truth["measured"]].mean())


def test_every_figure_is_kept_and_traced_to_its_checkpoint(hospital, report):
    connection = hospital[0]
    [(run, sha, kind, window, scale)] = connection.execute(
        "SELECT run_id, checkpoint_sha256, data_kind, window_days, scale FROM validation_run WHERE run_id = ?",
        [report.run_id],
    ).fetchall()
    kept = connection.execute("SELECT count(*) FROM validation_metric WHERE run_id = ?", [run]).fetchall()

    assert (sha, kind, window, scale) == (SHA, "simulated", 180, "Hologic")
    assert kept == [(len(report.figures),)]


def test_another_comparison_is_another_run(few):
    runs = [validate(few[0], ValidationSettings(), REFERENCES).run_id for _ in range(2)]

    assert runs == [1, 2]


@pytest.mark.parametrize("within", [0, 60, 180])
def test_pairs_lie_within_the_window(hospital, within):
    connection, truth = hospital
    expected = truth["measured"] & truth["has_dxa"] & (np.abs(truth["days_to_dxa"]) <= within)

    assert len(read_pairs(connection, ValidationSettings(window_days=within), REFERENCES)) == expected.sum()


def test_the_view_takes_the_window_of_the_publication(few):
    connection, truth = few
    connection.execute("UPDATE publication SET validation_window_days = 60")

    assert connection.execute("SELECT count(*) FROM validation_pair").fetchall() == [
        (int((np.abs(truth["days_to_dxa"]) <= 60).sum()),)
    ]


def test_a_database_of_an_earlier_version_has_the_window_of_180_days():
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE publication (publication_id INTEGER PRIMARY KEY, published_at TIMESTAMP NOT NULL, as_of_date "
        "DATE NOT NULL, look_back_months INTEGER NOT NULL, minimum_age_years INTEGER NOT NULL)"
    )
    connection.execute("INSERT INTO publication VALUES (1, '2025-01-01', '2025-01-01', 36, 50)")
    connection.execute(
        "CREATE TABLE model (checkpoint_sha256 VARCHAR PRIMARY KEY, name VARCHAR NOT NULL, data_kind VARCHAR NOT NULL, "
        "metrics JSON NOT NULL, active BOOLEAN NOT NULL, registered_at TIMESTAMP NOT NULL)"
    )
    connection.execute("INSERT INTO model VALUES (repeat('a', 64), 'm', 'simulated', '{}', true, '2025-01-01')")

    create_schema(connection)

    assert connection.execute("SELECT validation_window_days FROM publication").fetchall() == [(180,)]
    assert connection.execute("SELECT reference, file_name FROM model").fetchall() == [(None, None)]


def test_results_that_contradict_each_other_make_no_pair(few):
    connection, _ = few
    connection.execute("UPDATE dxa SET conflict = true, bmd_dxa = NULL, t_score = NULL WHERE patient_id = 'P0'")

    assert "2.25.0" not in read_pairs(connection, ValidationSettings(), REFERENCES).study_instance_uid


def test_of_two_results_the_nearest_counts(few):
    connection, truth = few
    study_date = connection.execute("SELECT study_date FROM study WHERE patient_id = 'P0'").fetchall()[0][0]
    add_dxa(connection, study_date + timedelta(days=1), 1.234)

    found = read_pairs(connection, ValidationSettings(), REFERENCES)

    assert found.bmd_dxa[found.study_instance_uid.index("2.25.0")] == pytest.approx(1.234)


def test_a_t_score_alone_tells_osteoporosis_but_no_bmd(few):
    connection, _ = few
    connection.execute("UPDATE dxa SET bmd_dxa = NULL, t_score = -3.0 WHERE patient_id = 'P0'")

    found = read_pairs(connection, ValidationSettings(), REFERENCES)

    place = found.study_instance_uid.index("2.25.0")
    assert np.isnan(found.bmd_dxa[place]) and found.osteoporosis[place] == 1


def add_dxa(connection: duckdb.DuckDBPyConnection, on: date, bmd: float) -> None:
    connection.execute(
        "INSERT INTO dxa BY NAME SELECT 'P0' AS patient_id, ? AS dxa_date, 'L1-L4' AS region, ? AS bmd_dxa, "
        "'Hologic' AS manufacturer, 'x' AS source_file, TIMESTAMP '2025-01-01' AS imported_at",
        [on, bmd],
    )


def test_patients_of_uncertain_identity_are_left_out_and_counted(few):
    connection, _ = few
    connection.execute("UPDATE patient SET identified = false WHERE patient_id IN ('P0', 'P1')")

    report = validate(connection, ValidationSettings(), REFERENCES)

    assert report.left_out["identity not certain"] == 2
    assert report.pair_count == 58


def test_without_a_dxa_there_is_a_message_for_people(few):
    few[0].execute("DELETE FROM dxa")

    with pytest.raises(UserError, match="None of 60 measured patients has a DXA of L1-L4 within 180 days"):
        validate(few[0], ValidationSettings(), REFERENCES)


def test_without_a_sweep_there_is_a_message_for_people():
    connection = duckdb.connect()
    create_schema(connection)

    with pytest.raises(UserError, match="run screening sweep"):
        validate(connection, ValidationSettings(), REFERENCES)


def test_the_exports_carry_the_notice_and_what_it_was_trained_on(report):
    document, text = json.loads(to_json(report)), to_markdown(report)

    assert document["trained_on"] == "simulated CT"
    for written in (" ".join(document["notice"]), text):
        assert "not a medical device" in written
        assert "BMD_CNN is trained on simulated CT." in written


def test_the_exports_hold_every_figure_and_the_papers_four(report):
    document, text = json.loads(to_json(report)), to_markdown(report)

    assert len(document["figures"]) == len(report.figures)
    assert [(one["pearson_r"], one["auc"]) for one in document["paper"]["results"]] == [(0.852, 0.965), (0.840, 0.970)]
    assert "0.852 (n = 45)" in text and "0.970 (n = 50)" in text


def test_exports_name_no_patient(report):
    assert "2.25." not in to_json(report) and "P10" not in to_json(report)
