import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from dicom_files import ct_slice, found, write
from numpy.typing import NDArray
from roi_predictor import RoiPredictor

from screening.archive.folder import files_below
from screening.archive.header import read_header
from screening.archive.index import Series, Study, series_of
from screening.config import PredictionSettings, Settings
from screening.errors import Excluded, Exclusion
from screening.imaging.attenuation import TissueAnchors
from screening.imaging.eligibility import EligibilitySettings
from screening.imaging.hounsfield import Volume
from screening.imaging.lumbar import LevelCertainty, LumbarSpine, find_lumbar_spine
from screening.imaging.series_facts import series_facts
from screening.prediction.inference import Predictor, SlicePredictions
from screening.reading import (
    SeriesDecision,
    SeriesSight,
    StudyReading,
    deciding_series,
    failure_of,
    outcome_of,
    read_study,
)
from screening.store.database import create_schema
from screening.store.rows import ReadStudy, write_readings


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    return RoiPredictor()


@pytest.fixture(scope="session")
def studies(simulated: Path) -> list[Study]:
    series: dict[str, list[Series]] = {}
    for (study, _), one in series_of(read_header(file) for file in files_below(simulated / "archive")).items():
        series.setdefault(study, []).append(one)
    return [Study(study, tuple(members)) for study, members in sorted(series.items())]


@pytest.fixture(scope="session")
def measurable(studies: list[Study], predictor: Predictor) -> Study:
    """A study that is measured with the default settings."""
    outcomes = {study: outcome_of(study, find_lumbar_spine, predictor, Settings()) for study in studies}
    return next(study for study, outcome in outcomes.items() if outcome.reading and outcome.reading.measured)


def test_every_series_is_measured_or_has_a_reason(studies: list[Study], predictor: Predictor) -> None:
    for study in studies:
        outcome = outcome_of(study, find_lumbar_spine, predictor, Settings())
        assert outcome.failure is None
        assert outcome.reading is not None
        decisions = outcome.reading.decisions
        decided = sorted(decision.facts.series_instance_uid for decision in decisions)
        assert decided == sorted(series.series_instance_uid for series in study.series)
        assert all((decision.reason is None) == (decision.measured is not None) for decision in decisions)
        assert sum(decision.measured is not None for decision in decisions) <= 1


def test_the_patient_value_is_the_mean_of_two_to_four_levels(measurable: Study, predictor: Predictor) -> None:
    measured = read_study(measurable, find_lumbar_spine, predictor, Settings()).measured
    assert measured is not None
    used = measured.patient.used_levels
    assert 2 <= len(used) <= 4
    assert measured.patient.bmd_g_cm2 == pytest.approx(np.mean([level.bmd_g_cm2 for level in used]))
    assert measured.evidence_png.startswith(b"\x89PNG")


def uncertain_spine(volume: Volume) -> LumbarSpine:
    spine = find_lumbar_spine(volume)
    return LumbarSpine(spine.vertebrae, LevelCertainty.UNCERTAIN, "no anchor")


def test_uncertain_names_exclude_unless_the_site_allows_them(measurable: Study, predictor: Predictor) -> None:
    refused = read_study(measurable, uncertain_spine, predictor, Settings())
    allowed = Settings(prediction=PredictionSettings(allow_uncertain_levels=True))
    measured = read_study(measurable, uncertain_spine, predictor, allowed).measured

    assert refused.measured is None
    assert deciding_series(refused).reason is Exclusion.LEVEL_UNCERTAIN
    assert measured is not None
    assert "level names uncertain: no anchor" in measured.warnings


@pytest.mark.parametrize(("limit_hu", "stored"), [(0.001, True), (1000.0, False)])
def test_readers_that_differ_by_more_than_the_site_allows_are_stored_for_review(
    measurable: Study, predictor: Predictor, limit_hu: float, stored: bool
) -> None:
    settings = Settings(prediction=PredictionSettings(readers_disagree_hu=limit_hu))
    outcome = outcome_of(measurable, find_lumbar_spine, predictor, settings)
    memory = duckdb.connect()
    create_schema(memory)

    write_readings(memory, [ReadStudy(measurable, outcome, 1, predictor.facts.sha256, "key", "files", "reading")])

    [(disagree, warnings)] = memory.execute("SELECT readers_disagree, warnings FROM study_bmd").fetchall()
    assert disagree is stored
    assert any(warning.startswith("for review: network and region of interest") for warning in warnings) is stored
    memory.close()


def no_spine(volume: Volume) -> LumbarSpine:
    raise Excluded(Exclusion.NO_LUMBAR, "nothing there")


def test_what_a_stage_refuses_is_the_reason_of_the_study(measurable: Study, predictor: Predictor) -> None:
    reading = read_study(measurable, no_spine, predictor, Settings())
    assert reading.measured is None
    assert (deciding_series(reading).reason, deciding_series(reading).detail) == (Exclusion.NO_LUMBAR, "nothing there")


def test_a_label_map_that_is_missing_or_refused_is_a_reason_of_its_own(
    measurable: Study, predictor: Predictor, tmp_path: Path
) -> None:
    beside = {"localizer": "segmentation", "without_label_map": "exclude"}
    missing = read_study(measurable, no_spine, predictor, Settings.model_validate({"lumbar": beside}))
    (tmp_path / "labels.nii").write_bytes(b"no label map")
    folder = os.path.relpath(tmp_path, measurable.series[-1].first.path.parent.parent)
    patterns = {"label_maps": [f"../{folder}/labels.nii"]}
    refused = read_study(measurable, no_spine, predictor, Settings.model_validate({"lumbar": beside | patterns}))
    assert deciding_series(missing).reason is Exclusion.NO_LABEL_MAP
    assert deciding_series(refused).reason is Exclusion.LABEL_MAP_UNUSABLE


def broken_localizer(volume: Volume) -> LumbarSpine:
    return find_lumbar_spine(np.zeros(3))  # type: ignore[arg-type]


def test_a_bug_becomes_a_failure_with_its_stage(measurable: Study, predictor: Predictor) -> None:
    outcome = outcome_of(measurable, broken_localizer, predictor, Settings())
    assert outcome.reading is None
    assert outcome.failure is not None
    assert outcome.failure.stage.startswith("screening.imaging.")
    assert outcome.failure.exception_type == "AttributeError"


class UnsurePredictor:
    """Reads everything with a standard deviation beyond use."""

    def __init__(self, real: Predictor) -> None:
        self.facts = real.facts

    def __call__(self, crops_hu: NDArray[np.float32]) -> SlicePredictions:
        ones = np.ones(len(crops_hu), np.float32)
        return SlicePredictions(ones, ones, ones * 100, ones * 33, np.ones((len(crops_hu), 1, 1), np.float32))


def test_a_network_that_is_never_sure_gives_no_value(measurable: Study, predictor: Predictor) -> None:
    reading = read_study(measurable, find_lumbar_spine, UnsurePredictor(predictor), Settings())
    assert deciding_series(reading).reason is Exclusion.TOO_FEW_LEVELS


def test_a_stricter_site_excludes_by_its_own_limit(measurable: Study, predictor: Predictor) -> None:
    thin_only = Settings(eligibility=EligibilitySettings(maximum_spacing_mm=0.5))
    reading = read_study(measurable, find_lumbar_spine, predictor, thin_only)
    assert deciding_series(reading).reason is Exclusion.TOO_THICK


def test_the_reason_that_got_furthest_is_the_study_reason(tmp_path: Path) -> None:
    reasons = (Exclusion.LEVEL_UNCERTAIN, Exclusion.LOCALIZER, Exclusion.CONTRAST)
    facts = series_facts(Series("2.25.1", (read_header(found(write(tmp_path, "slice", ct_slice()))),)))
    reading = StudyReading(tuple(SeriesDecision(facts, reason) for reason in reasons))
    assert deciding_series(reading).reason is Exclusion.LEVEL_UNCERTAIN


SIGHT = SeriesSight(TissueAnchors(*[None] * len(fields(TissueAnchors))), LevelCertainty.CERTAIN, "levels")


@pytest.mark.parametrize(
    ("further", "other"),
    [
        ({"reason": Exclusion.CONTRAST, "sight": SIGHT}, {"reason": Exclusion.NO_PIXELS}),
        ({"reason": Exclusion.CONTRAST, "sight": SIGHT}, {"reason": Exclusion.NO_LUMBAR}),
        ({"reason": Exclusion.LEVEL_UNCERTAIN, "sight": SIGHT}, {"reason": Exclusion.CONTRAST, "sight": SIGHT}),
        ({"reason": Exclusion.NO_PIXELS}, {"reason": Exclusion.CONTRAST}),
        (
            {"reason": Exclusion.TOO_FEW_LEVELS, "sight": SIGHT, "levels": ("L1",)},
            {"reason": Exclusion.LEVEL_UNCERTAIN, "sight": SIGHT},
        ),
    ],
    ids=["contrast seen, no pixels", "contrast seen, no spine", "both seen", "contrast stated", "levels read"],
)
def test_what_was_seen_of_a_series_tells_how_far_it_got(tmp_path: Path, further: Any, other: Any) -> None:
    facts = series_facts(Series("2.25.1", (read_header(found(write(tmp_path, "slice", ct_slice()))),)))
    decisions = (SeriesDecision(facts, **further), SeriesDecision(facts, **other))
    assert deciding_series(StudyReading(decisions)) is decisions[0]
    assert deciding_series(StudyReading(decisions[::-1])) is decisions[0]


def test_a_failure_outside_our_modules_is_unknown() -> None:
    assert failure_of(ValueError("x")).stage == "unknown"


@pytest.mark.parametrize(
    ("error", "transient"), [(FileNotFoundError(), True), (TimeoutError(), True), (ValueError(), False)]
)
def test_a_file_that_cannot_be_reached_is_worth_another_try(error: Exception, transient: bool) -> None:
    assert failure_of(error).transient is transient


def test_a_study_without_ct_says_so(tmp_path: Path, predictor: Predictor) -> None:
    instance = read_header(found(write(tmp_path, "mr", ct_slice(Modality="MR"))))
    study = Study(instance.study_instance_uid, (Series(instance.series_instance_uid, (instance,)),))
    reading = read_study(study, find_lumbar_spine, predictor, Settings())
    assert deciding_series(reading).reason is Exclusion.NOT_CT
