"""Checkpoints of a database: kept, compared, promoted, and read with by the next sweep."""

from pathlib import Path

import duckdb
import numpy as np
import pytest
import random_hospital
from random_hospital import Law

from screening.comparison import compare
from screening.errors import UserError
from screening.prediction.inference import bundled_checkpoint, checkpoint_facts, write_recalibrated
from screening.store.database import DatabaseFolder, open_writer
from screening.store.models import (
    active_model,
    add_checkpoint,
    keep_left_out,
    model_named,
    promote,
    promoted_checkpoint,
    promoted_model,
    readings,
    trained_on,
)
from screening.store.publish import publish

BEND = ((0.3, 0.4), (0.8, 0.8), (1.4, 1.3))


@pytest.fixture
def place(tmp_path: Path) -> DatabaseFolder:
    folder = DatabaseFolder(tmp_path / "db")
    folder.create()
    return folder


@pytest.fixture
def connection(place: DatabaseFolder, monkeypatch: pytest.MonkeyPatch):
    """A hospital read with the bundled checkpoint."""
    facts = checkpoint_facts(bundled_checkpoint())
    monkeypatch.setattr(random_hospital, "SHA", facts.sha256)
    monkeypatch.setitem(random_hospital.MODEL, "checkpoint_sha256", facts.sha256)
    with open_writer(place) as opened:
        random_hospital.fill(opened, Law(patients=200, excluded_share=0.0), seed=1)
        yield opened


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.safetensors"
    write_recalibrated(
        bundled_checkpoint(), path, name="site", knots=BEND, interval_half_width_g_cm2=0.09, metrics={"n": 200.0},
        reference="DXA of this site, GE L1-L4 scale",
    )  # fmt: skip
    return path


def registered(connection, place, site):
    document = {"kind": "isotonic", "knots": BEND}
    return add_checkpoint(connection, place, site, checkpoint_facts(site), name="site", recalibration=document)


def comparison(worse=False):
    random = np.random.default_rng(0)
    dxa = random.normal(0.88, 0.14, 200)
    errors = sorted([0.05, 0.09], reverse=not worse)
    current, candidate = (dxa + random.normal(0, error, 200) for error in errors)
    return compare(current, candidate, dxa, (dxa < 0.772).astype(float))


def test_a_checkpoint_is_kept_with_what_it_says_of_itself(connection, place, site):
    model = registered(connection, place, site)

    assert (place.models / model.file_name).read_bytes() == site.read_bytes()
    assert (place.models / model.file_name).stat().st_mode & 0o077 == 0
    assert model.parent_sha256 == active_model(connection).checkpoint_sha256
    assert (model.name, model.data_kind, model.active) == ("site", "site", False)
    assert model.reference == "DXA of this site, GE L1-L4 scale"
    assert model.metrics == {"n": 200.0}


def test_adding_it_again_changes_nothing(connection, place, site):
    assert registered(connection, place, site) == registered(connection, place, site)


def test_a_name_that_is_taken_is_refused(connection, place, site):
    with pytest.raises(UserError, match="has another checkpoint 'synthetic'"):
        add_checkpoint(connection, place, site, checkpoint_facts(site), name="synthetic")


def test_a_checkpoint_is_found_by_name_or_by_the_beginning_of_its_digest(connection, place, site):
    model = registered(connection, place, site)

    assert model_named(connection, "site") == model_named(connection, model.checkpoint_sha256[:8]) == model


def test_a_name_that_is_not_there_is_answered_with_those_that_are(connection):
    with pytest.raises(UserError, match="no checkpoint 'elsewhere' .* known are: synthetic"):
        model_named(connection, "elsewhere")


def test_a_recalibrated_checkpoint_is_read_off_its_parent(connection, place, site):
    model = registered(connection, place, site)
    studies = ["2.25.3", "2.25.4", "2.25.nobody"]
    parent = readings(connection, active_model(connection), studies)

    found = readings(connection, model, studies)

    assert found[:2] == pytest.approx(np.interp(parent[:2], *np.array(BEND).T))
    assert np.isnan(found[2])


def test_pairs_it_was_fitted_to_are_as_fits_without_them_read_them(connection, place, site):
    model = registered(connection, place, site)
    keep_left_out(connection, model.checkpoint_sha256, ["2.25.3"], np.array([0.7123]))

    assert readings(connection, model, ["2.25.3"]).tolist() == [0.7123]


def test_its_weights_are_still_those_of_its_parent(connection, place, site):
    model = registered(connection, place, site)

    assert trained_on(connection, active_model(connection)) == "simulated CT"
    assert trained_on(connection, model) == "simulated CT and recalibrated to DXA of a site"


def test_the_next_sweep_reads_with_what_was_promoted(connection, place, site):
    model = registered(connection, place, site)

    promote(connection, model, active_model(connection), comparison(), forced=False)
    publish(connection, place, None)

    assert promoted_checkpoint(place) == place.models / model.file_name
    assert active_model(connection).name == "synthetic"


def test_nothing_promoted_leaves_the_choice_to_the_configuration(connection, place):
    assert promoted_checkpoint(place) is None
    publish(connection, place, None)
    assert promoted_checkpoint(place) is None


def test_a_worse_one_is_refused(connection, place, site):
    model = registered(connection, place, site)

    with pytest.raises(UserError, match=r"site is not promoted: its mean absolute error is larger .* say --force"):
        promote(connection, model, active_model(connection), comparison(worse=True), forced=False)

    assert promoted_model(connection) is None


def test_a_forced_promotion_says_so(connection, place, site):
    model = registered(connection, place, site)

    promote(connection, model, active_model(connection), comparison(worse=True), forced=True)

    [(forced, verdict, pairs, previous)] = connection.execute(
        "SELECT forced, verdict, pair_count, previous_sha256 FROM promotion"
    ).fetchall()
    assert forced and "larger" in verdict
    assert (pairs, previous) == (200, active_model(connection).checkpoint_sha256)


def test_the_last_promotion_counts(connection, place, site):
    model, before = registered(connection, place, site), active_model(connection)

    promote(connection, model, before, comparison(), forced=False)
    promote(connection, before, model, comparison(), forced=False)

    assert promoted_model(connection) == before


def test_a_promoted_file_that_is_gone_is_told(connection, place, site):
    model = registered(connection, place, site)
    promote(connection, model, active_model(connection), comparison(), forced=False)
    publish(connection, place, None)
    (place.models / model.file_name).unlink()

    with pytest.raises(UserError, match="promoted checkpoint site is gone"):
        promoted_checkpoint(place)


def test_a_database_of_an_earlier_version_has_promoted_none(tmp_path):
    place = DatabaseFolder(tmp_path)
    with duckdb.connect(place.published) as earlier:
        earlier.execute("CREATE TABLE publication (publication_id INTEGER PRIMARY KEY)")

    assert promoted_checkpoint(place) is None
