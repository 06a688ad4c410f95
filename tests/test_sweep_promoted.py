"""Which checkpoint a sweep reads with: the configured, else the promoted, else the bundled one."""

from pathlib import Path

import duckdb
import numpy as np
import pytest
from dicom_files import ct_slice, write

from screening.comparison import compare
from screening.config import Settings
from screening.prediction.inference import bundled_checkpoint, checkpoint_facts, write_recalibrated
from screening.store.database import DatabaseFolder, open_writer
from screening.store.models import active_model, add_checkpoint, promote
from screening.store.publish import publish
from screening.sweep import SweepResult, run_sweep


def sweep(archive: Path, place: DatabaseFolder, **prediction: object) -> SweepResult:
    settings = Settings.model_validate({"sweep": {"workers": 0}, "prediction": {"device": "cpu"} | prediction})
    return run_sweep([archive], place, settings, progress=lambda what, done, total: None)


def read_with(place: DatabaseFolder) -> str:
    with duckdb.connect(place.published.resolve(), read_only=True) as connection:
        query = "SELECT checkpoint_sha256 FROM sweep ORDER BY sweep_id DESC LIMIT 1"
        return str(connection.execute(query).fetchall()[0][0])


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    write(tmp_path / "archive", "slice", ct_slice(1))
    return tmp_path / "archive"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.safetensors"
    write_recalibrated(
        bundled_checkpoint(), path, name="site", knots=((0.0, 0.05), (1.0, 0.95)), interval_half_width_g_cm2=0.1,
        metrics={}, reference="site scale",
    )  # fmt: skip
    return path


@pytest.fixture
def place(archive: Path, site: Path, tmp_path: Path) -> DatabaseFolder:
    """A database in which the site's checkpoint was promoted after a sweep with the bundled one."""
    folder = DatabaseFolder(tmp_path / "db")
    sweep(archive, folder)
    with open_writer(folder) as connection:
        candidate = add_checkpoint(connection, folder, site, checkpoint_facts(site), name="site")
        nothing = compare(*[np.array([], dtype=np.float64)] * 4)
        promote(connection, candidate, active_model(connection), nothing, forced=True)
        publish(connection, folder, None)
    return folder


def test_a_sweep_reads_with_the_promoted_checkpoint(archive: Path, site: Path, place: DatabaseFolder) -> None:
    result = sweep(archive, place)

    assert read_with(place) == checkpoint_facts(site).sha256
    assert result.trained_on == "simulated CT and recalibrated to DXA of a site"


def test_a_whole_sweep_makes_it_the_one_that_views_show(archive: Path, site: Path, place: DatabaseFolder) -> None:
    with open_writer(place) as connection:
        assert active_model(connection).checkpoint_sha256 == checkpoint_facts(bundled_checkpoint()).sha256

    sweep(archive, place)

    with open_writer(place) as connection:
        assert active_model(connection).name == "site"


def test_the_configuration_wins(archive: Path, place: DatabaseFolder) -> None:
    sweep(archive, place, checkpoint=bundled_checkpoint())

    assert read_with(place) == checkpoint_facts(bundled_checkpoint()).sha256
