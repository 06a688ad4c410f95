import numpy as np
import pytest

from models.checkpoint import bundled, load
from models.cohorts import Cohort
from models.evaluation import SliceReadings, patient_bmd
from models.measurement import agree, group_errors, measure, physics_bmd


@pytest.fixture
def cohort(pairs):
    """80 patients; the first half of the slices at 100 kVp and 5 mm, one slice at 80 kVp."""
    half = np.arange(len(pairs)) < len(pairs) // 2
    readings = SliceReadings(pairs.bmd_g_cm2, pairs.bmd_g_cm2, pairs.hu120, pairs.depth_mm)
    _, true = patient_bmd(readings, pairs)
    return Cohort(
        pairs=pairs,
        kvp_kv=np.where(np.arange(len(pairs)) == 0, 80, np.where(half, 100, 120)),
        thickness_mm=np.where(half, 5.0, 1.5),
        bmd_true_g_cm2=true,
        bmd_dxa_g_cm2=true * (1 + np.random.default_rng(0).normal(0, 0.01, len(true))),
    )


def test_agreement_has_the_sign_of_reading_minus_dxa():
    dxa = np.array([0.60, 0.70, 0.772, 0.773, 0.90, 1.10])

    found = agree(dxa + 0.02, dxa)

    assert (found.r.value, found.auc.value) == pytest.approx((1.0, 1.0))
    assert (found.bias.value, found.mae.value) == pytest.approx((0.02, 0.02))


def test_osteoporosis_begins_at_a_t_score_of_minus_2_5():
    dxa = np.array([0.771, 0.772, 0.773, 0.90])
    order_of_first_two_turned = np.array([0.80, 0.90, 0.85, 1.0])

    assert agree(order_of_first_two_turned, dxa).auc.value == pytest.approx(3 / 4)


def test_physics_is_the_affine_of_exact_attenuation_and_depth(cohort):
    checkpoint = load(bundled())

    found = physics_bmd(checkpoint, cohort.pairs)

    first = np.flatnonzero(cohort.pairs.patient == "0")[0]
    areal_hu = cohort.pairs.hu120[first] * cohort.pairs.depth_mm[first] / 33.0
    slope, offset = checkpoint.calibration.slope_g_cm2_per_hu, checkpoint.calibration.offset_g_cm2
    assert found[0] == pytest.approx(offset + slope * areal_hu)


def test_nothing_agrees_better_than_the_ceiling(cohort):
    found = measure(load(bundled()), cohort)

    assert found.n == 80
    assert found.n_osteoporosis == (cohort.bmd_dxa_g_cm2 <= 0.772).sum()
    assert found.cnn.r.value < found.ceiling.r.value
    assert found.ceiling.r.value > 0.99


def test_every_figure_is_flat_with_its_interval(cohort):
    flat = measure(load(bundled()), cohort).flat()

    for name in ("r", "r_ceiling", "r_physics", "auc", "auc_ceiling", "mae", "coverage"):
        assert flat[f"{name}_low"] <= flat[name] <= flat[f"{name}_high"]
    assert flat["n"] == 80


def test_errors_are_given_by_group_where_slices_are_enough(cohort):
    pairs = cohort.pairs
    readings = SliceReadings(pairs.bmd_g_cm2 + 0.03, pairs.bmd_g_cm2, pairs.hu120 - 5.0, pairs.depth_mm)

    groups = {found.group: found for found in group_errors(readings, cohort)}

    assert sorted(groups) == ["1.5 mm", "100 kVp", "120 kVp", "5 mm"]
    assert groups["5 mm"].n_slices == 120
    assert groups["100 kVp"].n_slices == 119
    assert groups["100 kVp"].hu_bias == pytest.approx(-5.0, abs=1e-3)
    assert groups["120 kVp"].bmd_rmse_g_cm2 == pytest.approx(0.03, abs=1e-4)
