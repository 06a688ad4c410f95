import dataclasses

import numpy as np
import pytest

from models.checkpoint import bundled, load
from models.cohorts import Cohort
from models.evaluation import SliceReadings, patient_bmd
from models.intervals import Estimate
from models.measurement import (
    PUBLIC_OFFSET,
    PUBLIC_SLOPE,
    GroupError,
    Measurement,
    agree,
    comparators,
    fit_lines,
    gain,
    group_errors,
    measure,
    physics_bmd,
)


@pytest.fixture
def cohort(pairs):
    """80 patients: one at 80 kVp, 39 at 100, 40 at 120; the ellipse reads exactly, the contour reader 10 HU high."""
    readings = SliceReadings(pairs.bmd_g_cm2, pairs.bmd_g_cm2, pairs.hu120, pairs.depth_mm)
    _, true = patient_bmd(readings, pairs)
    half = np.arange(80) < 40
    return Cohort(
        pairs=pairs,
        roi_hu=np.where(pairs.is_body, pairs.hu120, np.nan),
        contour_hu=np.where(pairs.is_body, pairs.hu120 + 10.0, np.nan),
        contour_depth_mm=np.where(pairs.is_body, pairs.depth_mm, np.nan),
        kvp_kv=np.where(np.arange(80) == 0, 80, np.where(half, 100, 120)),
        thickness_mm=np.where(half, 5.0, 1.5),
        manufacturer=np.where(half, "SIEMENS", "CANON"),
        scanner=np.where(half, "Sensation 64 CT204", "Aquilion ONE CT201"),
        effective_diameter_mm=np.where(half, 260.0, 259.9),
        age_years=np.where(half, 70.0, 69.9),
        sex=np.where(half, "F", "M"),
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
    assert found.readers["cnn"].r.value < found.readers["ceiling"].r.value
    assert found.readers["ceiling"].r.value > 0.99


def test_every_figure_is_flat_with_its_interval(cohort):
    flat = measure(load(bundled()), cohort, fit_lines(cohort)).flat()

    for name in (
        "r",
        "r_ceiling",
        "r_physics",
        "r_hu_regression",
        "r_contour",
        "auc",
        "auc_ceiling",
        "mae",
        "coverage",
    ):
        assert flat[f"{name}_low"] <= flat[name] <= flat[f"{name}_high"]
    for name in ("r_gain", "auc_gain", "mae_gain", "bias_public_formula"):
        assert flat[f"{name}_low"] <= flat[name] <= flat[f"{name}_high"]
    assert flat["n"] == 80


def test_a_comparators_line_is_the_one_its_patients_lie_on(cohort):
    exact = dataclasses.replace(cohort, bmd_dxa_g_cm2=0.5 + 0.003 * _patients(cohort, cohort.pairs.hu120))

    lines = fit_lines(exact)

    assert (lines.hu_regression.slope, lines.hu_regression.offset) == pytest.approx((0.003, 0.5))
    assert comparators(lines, exact)["hu_regression"] == pytest.approx(exact.bmd_dxa_g_cm2)
    assert lines.n_patients == 80


def test_the_contour_reader_counts_attenuation_times_depth(cohort):
    areal = _patients(cohort, (cohort.pairs.hu120 + 10.0) * cohort.pairs.depth_mm / 33.0)
    exact = dataclasses.replace(cohort, bmd_dxa_g_cm2=0.6 + 0.0025 * areal)

    assert comparators(fit_lines(exact), exact)["contour"] == pytest.approx(exact.bmd_dxa_g_cm2)


def test_without_contours_there_is_no_contour_reader(cohort):
    blind = dataclasses.replace(cohort, contour_hu=np.full(len(cohort.pairs), np.nan))

    assert sorted(comparators(fit_lines(cohort), blind)) == ["hu_regression", "public_formula"]
    assert fit_lines(blind).contour is None


def test_the_public_formula_is_not_fitted(cohort):
    found = comparators(fit_lines(cohort), cohort)["public_formula"]

    assert found == pytest.approx(PUBLIC_OFFSET + PUBLIC_SLOPE * _patients(cohort, cohort.pairs.hu120))


def test_a_reader_gains_nothing_over_itself(cohort):
    dxa = cohort.bmd_dxa_g_cm2
    noisy = dxa + np.random.default_rng(1).normal(0, 0.1, len(dxa))

    same, better = gain(noisy, noisy, dxa), gain(dxa, noisy, dxa)

    assert (same.r.low, same.r.value, same.r.high) == (0.0, 0.0, 0.0)
    assert better.r.low > 0.0
    assert better.mae.high < 0.0
    assert better.auc.value > 0.0
    assert gain(dxa, noisy, dxa) == better


def test_errors_are_given_by_group_of_patients(cohort):
    readings = SliceReadings(*(np.zeros(len(cohort.pairs)),) * 2, cohort.pairs.hu120 - 5.0, cohort.pairs.depth_mm)
    read = cohort.bmd_dxa_g_cm2 + np.where(cohort.sex == "F", 0.03, -0.01)

    groups = {found.group: found for found in group_errors(read, readings, cohort)}

    assert groups["women"].n == 40
    assert groups["women"].bias_g_cm2.value == pytest.approx(0.03)
    assert groups["women"].rmse_g_cm2.value == pytest.approx(0.03)
    assert groups["men"].bias_g_cm2.value == pytest.approx(-0.01)
    assert groups["men"].hu_bias.value == pytest.approx(-5.0, abs=1e-3)


def test_every_patient_is_in_one_group_of_each_kind(cohort):
    readings = SliceReadings(*(np.zeros(len(cohort.pairs)),) * 2, cohort.pairs.hu120, cohort.pairs.depth_mm)

    found = [(group.by, group.group, group.n) for group in group_errors(cohort.bmd_dxa_g_cm2, readings, cohort)]

    assert found == [
        ("voltage", "80 kVp", 1),
        ("voltage", "100 kVp", 39),
        ("voltage", "120 kVp", 40),
        ("slice thickness", "below 2.25 mm", 40),
        ("slice thickness", "from 4 mm", 40),
        ("manufacturer", "CANON", 40),
        ("manufacturer", "SIEMENS", 40),
        ("scanner", "Aquilion ONE CT201", 40),
        ("scanner", "Sensation 64 CT204", 40),
        ("effective diameter", "260 to 300 mm", 40),
        ("effective diameter", "below 260 mm", 40),
        ("sex", "men", 40),
        ("sex", "women", 40),
        ("age", "60 to 70 years", 40),
        ("age", "70 to 80 years", 40),
    ]


def test_a_group_below_20_patients_has_no_figures(cohort):
    readings = SliceReadings(*(np.zeros(len(cohort.pairs)),) * 2, cohort.pairs.hu120, cohort.pairs.depth_mm)

    alone = next(iter(group_errors(cohort.bmd_dxa_g_cm2, readings, cohort)))

    assert (alone.group, alone.n, alone.bias_g_cm2, alone.rmse_g_cm2) == ("80 kVp", 1, None, None)


def test_groups_beyond_the_limit_are_named():
    biases = {"inside": 0.019, "beyond": 0.021, "low inside": -0.019, "low beyond": -0.021, "too few": None}
    found = Measurement(
        n=100,
        n_osteoporosis=30,
        readers={},
        gain=None,
        coverage=exact(0.9),
        groups=tuple(
            GroupError("age", group, 20, None if bias is None else exact(bias), exact(0.03), exact(0.0))
            for group, bias in biases.items()
        ),
        points=(),
    )

    assert found.groups_beyond_limit() == ("beyond", "low beyond")


def exact(value):
    """An estimate without spread."""
    return Estimate(value, value, value)


def _patients(cohort, slices):
    """Mean of every patient's three body slices, in the order of their names."""
    return np.array([slices[cohort.pairs.is_body & (cohort.pairs.patient == name)].mean() for name in _names(cohort)])


def _names(cohort):
    return np.unique(cohort.pairs.patient)
