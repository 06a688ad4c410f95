import dataclasses

import numpy as np
import pytest
import torch

from models.bmd_cnn import Calibration, NetworkConfig, Reading
from models.checkpoint import bundled, load
from models.ensemble import Lesson, TrainingConfig, batch_loss
from models.labels import by_patient, by_physics, fit_calibration
from models.pairs import BESIDE

CALIBRATION = Calibration(0.5, 0.003, "test")


def test_calibration_is_the_line_through_the_training_patients(pairs):
    calibration = fit_calibration(pairs, "short", None)

    assert calibration.offset_g_cm2 == pytest.approx(0.6, abs=1e-4)
    assert calibration.slope_g_cm2_per_hu == pytest.approx(0.0025, abs=1e-6)
    assert calibration.version == "short-fit"


@pytest.fixture
def lent(pairs):
    """A checkpoint that lends the calibration of another site: 0.5 + 0.003 per HU."""
    return dataclasses.replace(load(bundled()), calibration=CALIBRATION)


def test_fewer_than_30_patients_keep_the_lent_calibration(lent, draw):
    assert fit_calibration(draw(29), "site", lent) == CALIBRATION


@pytest.mark.parametrize("n_patients", [30, 99])
def test_from_30_patients_on_the_offset_is_fitted_to_the_lent_slope(lent, draw, n_patients):
    pairs = draw(n_patients)
    on_the_lent_slope = 0.7 + 0.003 * pairs.hu120 * pairs.depth_mm / 33

    calibration = fit_calibration(dataclasses.replace(pairs, bmd_g_cm2=on_the_lent_slope), "site", lent)

    assert calibration.offset_g_cm2 == pytest.approx(0.7, abs=1e-4)
    assert (calibration.slope_g_cm2_per_hu, calibration.version) == (0.003, "site-offset-fit")


def test_a_lent_slope_goes_through_the_mean_of_the_patients(lent, draw):
    pairs = draw(99)
    areal = (pairs.hu120 * pairs.depth_mm / 33)[::4].astype(np.float64)

    calibration = fit_calibration(pairs, "site", lent)

    assert calibration.offset_g_cm2 + 0.003 * areal.mean() == pytest.approx(0.6 + 0.0025 * areal.mean(), abs=1e-5)


def test_from_100_patients_on_both_are_fitted(lent, draw):
    calibration = fit_calibration(draw(100), "site", lent)

    assert calibration == Calibration(pytest.approx(0.6, abs=1e-4), pytest.approx(0.0025, abs=1e-6), "site-fit")


def test_patients_without_attenuation_do_not_count(lent, draw):
    pairs = draw(100)
    one_unknown = dataclasses.replace(pairs, hu120=np.where(pairs.patient == "7", np.nan, pairs.hu120))

    assert fit_calibration(one_unknown, "site", lent).version == "site-offset-fit"


def test_without_a_lent_calibration_both_are_fitted_to_any_number(draw):
    assert fit_calibration(draw(29), "site", None).slope_g_cm2_per_hu == pytest.approx(0.0025, abs=1e-6)


def test_a_slope_that_falls_is_refused(pairs):
    falling = dataclasses.replace(pairs, bmd_g_cm2=1.5 - pairs.bmd_g_cm2)

    with pytest.raises(ValueError, match=r"fitted to 80 patients is -0\.00250 g/cm2 per HU, but BMD must rise"):
        fit_calibration(falling, "site", None)


def test_a_line_needs_two_densities(pairs):
    alike = dataclasses.replace(pairs, hu120=np.full_like(pairs.hu120, 100), depth_mm=np.full_like(pairs.hu120, 33))

    with pytest.raises(ValueError, match="the same in every patient"):
        fit_calibration(alike, "site", None)


def test_pairs_without_a_densitometer_are_labelled_by_the_calibration(pairs):
    labelled = by_physics(dataclasses.replace(pairs, bmd_g_cm2=np.full(len(pairs), np.nan, np.float32)), CALIBRATION)

    assert labelled.bmd_g_cm2 == pytest.approx(0.5 + 0.003 * pairs.hu120 * pairs.depth_mm / 33, abs=1e-5)


def test_what_one_level_has_beyond_attenuation_and_depth_is_shared_by_its_patient(pairs):
    """Two levels of every patient 0.08 g/cm2 apart at equal attenuation: both are labelled with their mean."""
    upper = np.arange(len(pairs)) % 4 < 2
    apart = dataclasses.replace(
        pairs, level=np.where(upper, "1", "4"), bmd_g_cm2=pairs.bmd_g_cm2 + np.where(upper, -0.04, 0.04)
    )

    labelled = by_patient(apart, CALIBRATION)

    assert labelled.bmd_g_cm2 == pytest.approx(pairs.bmd_g_cm2, abs=1e-5)


def test_labels_stay_where_attenuation_is_not_known(pairs):
    unmeasured = dataclasses.replace(pairs, hu120=np.full_like(pairs.hu120, np.nan))

    assert np.array_equal(by_patient(unmeasured, CALIBRATION).bmd_g_cm2, pairs.bmd_g_cm2)


@pytest.mark.parametrize(
    ("prefix", "expected_hu"),
    [
        ("", (1.1 * 0.9 - 0.5) / 0.003),  # a densitometer sees all of the larger vertebra
        (BESIDE, (0.9 + 0.003 * 100.0 * 33.0 * 0.1 / 33.0 - 0.5) / 0.003),  # physics: cancellous bone alone
    ],
)
def test_a_larger_body_is_labelled_with_more_mineral(pairs, monkeypatch, prefix, expected_hu):
    ones = np.ones(len(pairs), np.float32)
    known = dataclasses.replace(
        pairs, bmd_g_cm2=0.9 * ones, hu120=100 * ones, depth_mm=33 * ones, patient=np.char.add(prefix, pairs.patient)
    )
    seen = {}
    monkeypatch.setattr(
        "models.ensemble.augmentation.augment",
        lambda crops, size_px, *given: (crops[:, :size_px, :size_px], torch.full((len(crops),), 1.1)),
    )
    monkeypatch.setattr("models.ensemble.reading_loss", lambda reading, target, *given: seen.update(target=target))

    batch_loss(
        lambda crops, with_bmd: Reading(*[torch.zeros(len(crops))] * 6),
        Lesson(known, TrainingConfig(network=NetworkConfig()), CALIBRATION, "cpu", None),
        torch.arange(4),
        torch.Generator(),
    )

    assert seen["target"].bmd_hu.numpy() == pytest.approx(expected_hu, rel=1e-4)
    assert seen["target"].depth_mm.numpy() == pytest.approx(33 * 1.1, rel=1e-5)
