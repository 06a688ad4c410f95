import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from models.evaluation import (
    SliceReadings,
    agreement,
    conformal_half_width,
    held_out_metrics,
    patient_bmd,
    rank_auc,
    reading_errors,
)
from models.pairs import Pairs


def readings_of(pairs: Pairs, error_g_cm2: float = 0.0) -> SliceReadings:
    return SliceReadings(
        bmd_g_cm2=pairs.bmd_g_cm2.astype(np.float64) + error_g_cm2,
        sd_g_cm2=np.where(pairs.is_body, 0.03, 0.15),
        attended_hu=pairs.hu120 + 8.0,
        depth_mm=pairs.depth_mm - 1.0,
    )


def test_a_patient_is_the_mean_of_levels_not_of_slices(pairs):
    one = pairs.where(pairs.patient == "5")
    two_levels = Pairs(
        crops_hu=one.crops_hu,
        bmd_g_cm2=np.array([0.8, 0.8, 1.0, 9.0], dtype=np.float32),
        hu120=one.hu120,
        depth_mm=one.depth_mm,
        is_body=one.is_body,
        patient=one.patient,
        level=np.array(["1", "1", "2", "2"]),
    )

    read, reference = patient_bmd(readings_of(two_levels, 0.1), two_levels)

    assert reference == pytest.approx([0.9])
    assert read == pytest.approx([1.0])


def test_half_width_is_the_conformal_quantile():
    errors = np.arange(1, 20) / 100  # 19 patients: rank 18 of 19

    assert conformal_half_width(errors, np.zeros(19)) == pytest.approx(0.18)


def test_nine_patients_are_the_fewest_for_an_interval():
    assert conformal_half_width(np.arange(9.0), np.zeros(9)) == 8.0
    with pytest.raises(ValueError, match="at least 9"):
        conformal_half_width(np.arange(8.0), np.zeros(8))


def test_agreement_matches_scipy():
    random = np.random.default_rng(0)
    reference = random.normal(1.0, 0.15, 50)
    read = reference + random.normal(0.01, 0.06, 50)

    found = agreement(read, reference)

    r = stats.pearsonr(reference, read)
    interval = r.confidence_interval(0.95)
    assert found["pearson_r"] == pytest.approx(r.statistic)
    assert found["pearson_r_ci_low"] == pytest.approx(interval.low, abs=1e-4)
    assert found["pearson_r_ci_high"] == pytest.approx(interval.high, abs=1e-4)
    assert found["slope"] == pytest.approx(stats.linregress(reference, read).slope)


def test_auc_matches_scikit_learn_with_ties():
    score = np.array([1.0, 2, 2, 3, 3, 4])
    positive = np.array([False, False, True, False, True, True])

    assert rank_auc(score, positive) == pytest.approx(roc_auc_score(positive, score))


def test_errors_of_attenuation_and_depth_come_from_bodies(pairs):
    errors = reading_errors(readings_of(pairs), pairs)

    assert errors["hu_bias"] == pytest.approx(8.0, abs=1e-4)
    assert errors["depth_rmse_mm"] == pytest.approx(1.0, abs=1e-4)


def test_metrics_carry_the_numbers_they_rest_on(pairs):
    metrics = held_out_metrics(readings_of(pairs, 0.02), pairs, 0.05, osteoporosis_below_g_cm2=0.8)

    assert metrics["n_patients"] == 80
    assert metrics["n_body_slices"] == 240
    assert metrics["coverage_90"] == 1.0
    assert metrics["auc_sd_tells_no_body"] == 1.0
    assert metrics["bias_g_cm2"] == pytest.approx(0.02, abs=1e-4)


def test_a_metric_that_cannot_be_computed_is_absent(pairs):
    metrics = held_out_metrics(readings_of(pairs, 0.02), pairs, 0.05, osteoporosis_below_g_cm2=0.1)

    assert metrics["n_osteoporosis"] == 0
    assert "auc_osteoporosis" not in metrics
