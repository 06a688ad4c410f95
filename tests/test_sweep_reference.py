"""Another reference population is entered without reading pixels, and as reading enters it."""

import shutil
from pathlib import Path
from typing import Any

import duckdb

from screening.config import Settings
from screening.store.database import DatabaseFolder
from screening.sweep import SweepResult, run_sweep

HERE = {"sweep": {"workers": 0}}
JAPANESE = {"prediction": {"reference": "japan_l1_l4_hologic", "osteoporosis_rule": "yam"}}
SITE = {
    "prediction": {
        "reference": "ours",
        "references": {"ours": {"mean_g_cm2": 1.0, "sd_g_cm2": 0.11, "source": "women of the site, 2020"}},
    }
}
NUMBERS = (
    "reference, reference_mean, reference_sd, osteoporosis_rule, t_score, yam_percent, z_score, category, z_category, "
    "osteoporosis_probability, band, warnings"
)


def sweep(archive: Path, place: DatabaseFolder, settings: dict[str, Any], *, recompute: bool = False) -> SweepResult:
    given = Settings.model_validate(HERE | settings)
    return run_sweep([archive], place, given, progress=lambda what, done, total: None, recompute=recompute)


def numbers(place: DatabaseFolder) -> list[tuple[Any, ...]]:
    with duckdb.connect(place.published.resolve(), read_only=True) as connection:
        return connection.execute(f"SELECT {NUMBERS} FROM study_bmd").fetchall()


def test_another_reference_is_entered_without_reading(simulated: Path, tmp_path: Path) -> None:
    archive, place = tmp_path / "archive", DatabaseFolder(tmp_path / "db")
    shutil.copytree(next((simulated / "archive").glob("*/SIM1-000001")), archive)
    sweep(archive, place, {})

    assert sweep(archive, place, JAPANESE).study_read_count == 0
    entered = numbers(place)
    assert entered[0][:4] == ("japan_l1_l4_hologic", 0.989, 0.112, "yam")
    assert sweep(archive, place, SITE).study_read_count == 0
    assert numbers(place)[0][:4] == ("ours", 1.0, 0.11, "t_score")

    assert sweep(archive, place, JAPANESE, recompute=True).study_read_count == 1
    assert numbers(place) == entered
