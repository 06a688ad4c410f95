"""Real CT through the whole chain: the bundled one always, the development set where it is at hand."""

import csv
from pathlib import Path

import pytest

from screening.archive.folder import files_below
from screening.archive.header import read_header
from screening.archive.index import Series, Study
from screening.config import Settings
from screening.errors import Exclusion
from screening.imaging.lumbar import find_lumbar_spine
from screening.prediction.inference import load_predictor
from screening.reading import StudyReading, deciding_series, read_study

ROOT = Path(__file__).parents[1]
BUNDLED = ROOT / "screening" / "demo_data" / "totalsegmentator_example"
SHARED = ROOT.parent / "shared" / "data"
LEVELS = ("L1", "L2", "L3", "L4")
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data")


def reading_of(folder: Path, settings: Settings = Settings()) -> StudyReading:  # noqa: B008  frozen
    instances = [read_header(file) for file in files_below(folder) if file.path.suffix == ".dcm"]
    study = Study(instances[0].study_instance_uid, (Series(instances[0].series_instance_uid, tuple(instances)),))
    return read_study(study, find_lumbar_spine, load_predictor(device="cpu"), settings)


@pytest.fixture(scope="module")
def bundled() -> StudyReading:
    return reading_of(BUNDLED)


@pytest.fixture(scope="module")
def bundled_truth() -> dict[str, dict[str, float]]:
    """Centres and attenuation of the label map that came with the CT (a model's output, not a person's)."""
    with (ROOT / "tests" / "data" / "totalsegmentator_example_truth.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {row.pop("level"): {name: float(value) for name, value in row.items()} for row in rows}


@pytest.mark.parametrize("level", LEVELS)
def test_levels_of_the_bundled_ct_lie_where_its_label_map_says(
    bundled: StudyReading, bundled_truth: dict[str, dict[str, float]], level: str
) -> None:
    assert bundled.measured is not None
    (found,) = [one for one in bundled.measured.patient.levels if one.vertebra.level == level]
    truth = bundled_truth[level]

    assert found.vertebra.centre_mm == pytest.approx((truth["x_mm"], truth["y_mm"], truth["z_mm"]), abs=10)
    assert found.trabecular.mean_hu == pytest.approx(truth["median_hu"], abs=15)
    assert found.attended_hu == pytest.approx(truth["median_hu"], abs=20)


def test_the_bundled_ct_has_a_plausible_value(bundled: StudyReading) -> None:
    """0.60 + 0.0025 x HU x depth / 33 mm gives 0.87 to 0.95 for HU 100 to 118 and 39 mm."""
    assert bundled.measured is not None
    assert 0.75 <= bundled.measured.patient.bmd_g_cm2 <= 1.15
    assert bundled.measured.contrast_enhanced is False
    assert any("tube voltage" in warning for warning in bundled.measured.warnings)


@needs_shared
def test_an_unenhanced_ct_is_measured_with_the_right_names() -> None:
    measured = reading_of(SHARED / "ct" / "ccth_a01").measured
    with (SHARED / "lumbar_truth.csv").open() as file:
        truth = {
            row["level"]: float(row["z_centre_mm"]) for row in csv.DictReader(file) if row["series_key"] == "CCTH-A01"
        }

    assert measured is not None
    found = {level.vertebra.level: level.vertebra.centre_mm[2] for level in measured.patient.levels}
    assert [found[level] for level in LEVELS] == pytest.approx([truth[level] for level in LEVELS], abs=10)


@needs_shared
@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        ("acrin_001_head_chest", Exclusion.NO_LUMBAR),
        ("tcga_ay_4070", Exclusion.CONTRAST),
        ("hcc_006", Exclusion.CONTRAST),
        ("crlm_1006", Exclusion.CONTRAST),
        ("lidc_idri_0001", Exclusion.CONTRAST),
    ],
)
def test_what_must_not_be_measured_is_excluded(folder: str, reason: Exclusion) -> None:
    reading = reading_of(SHARED / "ct" / folder)
    assert reading.measured is None
    assert deciding_series(reading).reason is reason


@needs_shared
@pytest.mark.parametrize("folder", ["tcga_ay_4070", "hcc_006", "crlm_1006"])
def test_enhanced_series_are_marked_where_the_site_allows_them(folder: str) -> None:
    allowed = Settings.model_validate({"eligibility": {"allow_enhanced": True}})
    measured = reading_of(SHARED / "ct" / folder, allowed).measured
    assert measured is not None
    assert measured.contrast_enhanced is True
    assert "contrast-enhanced: attenuation of bone is raised" in measured.warnings
