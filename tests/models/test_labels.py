import dataclasses

import numpy as np
import pytest
import torch

from models.bmd_cnn import Calibration, NetworkConfig, Reading
from models.ensemble import Lesson, TrainingConfig, batch_loss
from models.labels import by_patient, by_physics, fit_calibration
from models.pairs import BESIDE

CALIBRATION = Calibration(0.5, 0.003, "test")


def test_calibration_is_the_line_through_the_training_patients(pairs):
    calibration = fit_calibration(pairs, "short", None)

    assert calibration.offset_g_cm2 == pytest.approx(0.6, abs=1e-4)
    assert calibration.slope_g_cm2_per_hu == pytest.approx(0.0025, abs=1e-6)
    assert calibration.version == "short-fit"


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
