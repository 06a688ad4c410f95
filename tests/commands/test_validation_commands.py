"""screening validate, drift, recalibrate and model, from the command line on a small hospital."""

import json
from pathlib import Path

import duckdb
import pytest
import random_hospital
import typer
from random_hospital import Law
from typer.testing import CliRunner

from screening.commands.drift import drift
from screening.commands.model import model_app
from screening.commands.recalibrate import recalibrate
from screening.commands.validate import validate
from screening.errors import UserError
from screening.prediction.inference import bundled_checkpoint, checkpoint_facts
from screening.store.database import DatabaseFolder, open_writer
from screening.store.publish import publish

app = typer.Typer()
app.add_typer(model_app, name="model")
for command in (validate, drift, recalibrate):
    app.command()(command)


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200", "TERM": "dumb"})


def hospital(folder: Path, law: Law, seed: int = 1) -> Path:
    place = DatabaseFolder(folder)
    place.create()
    with open_writer(place) as connection:
        random_hospital.fill(connection, law, seed)
        publish(connection, place, None)
    return folder


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """BMD_CNN of the bundled checkpoint is off the DXA by a line."""
    facts = checkpoint_facts(bundled_checkpoint())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(random_hospital, "SHA", facts.sha256)
        patch.setitem(random_hospital.MODEL, "checkpoint_sha256", facts.sha256)
        return hospital(tmp_path_factory.mktemp("hospital"), Law(patients=600, bias_g_cm2=0.2, slope=0.85))


def query(database, question):
    with duckdb.connect(DatabaseFolder(database).published.resolve(), read_only=True) as connection:
        return connection.execute(question).fetchall()


def test_validate_prints_exports_keeps_and_publishes(database, tmp_path):
    result = run("validate", "--database", database, "--json", tmp_path / "v.json", "--markdown", tmp_path / "v.md")

    assert result.exit_code == 0, result.output
    assert "Beside the paper" in result.output and "0.852 (n = 45)" in result.output
    assert "BMD_CNN is trained on simulated CT." in result.output
    assert json.loads((tmp_path / "v.json").read_text())["pair_count"] > 100
    assert "## By sex" in (tmp_path / "v.md").read_text()
    assert query(database, "SELECT count(*) > 0 FROM validation_metric") == [(True,)]


def test_the_window_of_the_configuration_is_published(database, tmp_path):
    (tmp_path / "screening.toml").write_text("[validation]\nwindow_days = 60\n")

    result = run("validate", "--database", database, "--config", tmp_path / "screening.toml")

    assert "within 60 days" in result.output
    assert query(database, "SELECT max(abs(days_to_dxa)) <= 60 FROM validation_pair") == [(True,)]


def test_an_export_that_cannot_be_written_is_a_message_for_people(database, tmp_path):
    result = run("validate", "--database", database, "--json", tmp_path / "nowhere" / "v.json")

    assert isinstance(result.exception, UserError)
    assert "Cannot write" in str(result.exception)


@pytest.mark.parametrize("words", [("validate",), ("drift",), ("model", "list"), ("model", "promote", "x")])
def test_a_folder_without_a_database_is_a_message_for_people(tmp_path, words):
    result = run(*words, "--database", tmp_path)

    assert isinstance(result.exception, UserError)
    assert "No published database" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_drift_ends_with_status_4_where_a_scanner_alerts(tmp_path):
    place = hospital(tmp_path / "db", Law(patients=3000, scanners=5, drifting_scanner=1))

    result = run("drift", "--database", place, "--json", tmp_path / "d.json")

    assert result.exit_code == 4, result.output
    assert "soft_tissue_hu" in result.output
    rows = json.loads((tmp_path / "d.json").read_text())["drift"]
    assert {row["scanner"] for row in rows if row["state"] == "alert"} == {"ACME / Sim 64 / CT1 / North"}
    assert query(place, "SELECT count(*) > 0 FROM drift_alert") == [(True,)]


def test_drift_ends_well_where_none_does(database):
    result = run("drift", "--database", database)

    assert result.exit_code == 0, result.output
    assert "scanners could be judged: none reads otherwise" in " ".join(result.output.split())


def test_recalibrate_then_promote(database, tmp_path):
    output = tmp_path / "site-2026.safetensors"

    fitted = run("recalibrate", "--database", database, "--kind", "linear", "--output", output)
    promoted = run("model", "promote", "site-2026", "--database", database)
    listed = run("model", "list", "--database", database)

    assert fitted.exit_code == 0, fitted.output
    assert "Registered: site-2026" in fitted.output
    assert checkpoint_facts(output).parent_sha256 == checkpoint_facts(bundled_checkpoint()).sha256
    assert checkpoint_facts(output).metrics["mae_g_cm2"] < checkpoint_facts(output).metrics["mae_g_cm2_before"]
    assert promoted.exit_code == 0, promoted.output
    assert "Promoted: site-2026" in promoted.output
    assert "shown by the views" in listed.output and "promoted" in listed.output
    back = run("model", "promote", "synthetic", "--database", database)
    assert "synthetic is not promoted" in str(back.exception)


def test_compare_shows_both_sides(database, tmp_path):
    run("recalibrate", "--database", database, "--kind", "isotonic", "--output", tmp_path / "bent.safetensors")

    result = run("model", "compare", "synthetic", "bent", "--database", database)

    assert result.exit_code == 0, result.output
    assert "mean absolute error" in result.output and "difference" in result.output


def test_a_checkpoint_of_elsewhere_is_added_and_cannot_be_compared_before_it_has_read(database, tmp_path):
    file = tmp_path / "elsewhere.safetensors"
    run("recalibrate", "--database", database, "--kind", "linear", "--output", file)
    other = hospital(tmp_path / "other", Law(patients=100))

    added = run("model", "add", file, "--database", other, "--name", "guest")
    refused = run("model", "promote", "guest", "--database", other)

    assert added.exit_code == 0, added.output
    assert "read only 0 pairs with a DXA on their scale, too few to compare" in str(refused.exception)


def test_few_pairs_are_refused(tmp_path):
    place = hospital(tmp_path / "db", Law(patients=60))

    result = run("recalibrate", "--database", place, "--output", tmp_path / "x.safetensors")

    assert isinstance(result.exception, UserError)
    assert not (tmp_path / "x.safetensors").exists()


def test_a_file_that_is_there_is_not_overwritten(database, tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"kept")

    result = run("recalibrate", "--database", database, "--output", tmp_path / "x.safetensors")

    assert "is there already" in str(result.exception)
    assert (tmp_path / "x.safetensors").read_bytes() == b"kept"
