import numpy as np
import pytest
from simulated_people import body_of, levels_of

from screening.prediction.tscore import t_score
from screening.simulation.body import body_share
from screening.simulation.cohort import draw_patient
from screening.simulation.densitometer import REFERENCE, areal_bmd_g_cm2, measure_levels, read_dxa
from screening.simulation.lattice import sampling
from screening.simulation.spine import render_spine
from screening.simulation.vessels import Calcium

PEOPLE = 100
NO_PLAQUES = Calcium(np.zeros((0, 3)), np.zeros(0), np.zeros(0))


@pytest.fixture(scope="module")
def cohort() -> list:
    return [levels_of(number) for number in range(1, PEOPLE + 1)]


@pytest.fixture(scope="module")
def areal(cohort) -> np.ndarray:
    return np.array([areal_bmd_g_cm2(levels) for levels in cohort])


@pytest.fixture(scope="module")
def label_physics(cohort) -> np.ndarray:
    """HU120 x (depth / 33 mm), mean of L1-L4."""
    return np.array([np.mean([level.hu120 * level.depth_mm / 33.0 for level in levels]) for levels in cohort])


def test_projection_agrees_with_the_label_physics(areal, label_physics):
    slope, intercept = np.polyfit(label_physics, areal, 1)
    assert slope == pytest.approx(0.0025, abs=0.0003)
    assert intercept == pytest.approx(0.60, abs=0.04)
    assert abs(np.mean(areal - (0.60 + 0.0025 * label_physics))) < 0.02


def test_the_same_attenuation_leaves_a_biological_scatter_of_areal_density(areal, label_physics):
    slope, intercept = np.polyfit(label_physics, areal, 1)
    assert 0.03 < np.std(areal - intercept - slope * label_physics) < 0.09


def test_a_fifth_to_a_third_have_osteoporosis(areal):
    assert 0.13 < np.mean([t_score(bmd, REFERENCE) <= -2.5 for bmd in areal]) < 0.35


def test_projecting_on_a_finer_grid_gives_the_same_areal_density():
    anatomy = body_of(3)
    vertebra = anatomy.spine.level("L2")
    x, y, z = vertebra.centre_mm
    at = sampling(
        np.arange(x - 36, x + 36, 1.2), np.arange(y - 34, y + 92, 1.2), np.arange(z - 26, z + 26, 1.2), 1.2, 1.2
    )
    shadow = body_share(vertebra, at).max(axis=1)
    projected = (render_spine(anatomy.spine, at).mineral_mg.sum(axis=1) * 0.12 / 1000.0 * shadow).sum() / shadow.sum()
    truth = measure_levels(anatomy.spine, NO_PLAQUES)[1]
    assert truth.bmd_g_cm2 == pytest.approx(projected, rel=0.02)


def test_areal_density_of_the_region_is_mineral_over_area_not_a_mean_of_means():
    levels = levels_of(2)
    assert areal_bmd_g_cm2(levels) == pytest.approx(
        sum(level.bmd_g_cm2 * level.area_cm2 for level in levels) / sum(level.area_cm2 for level in levels)
    )


def test_dxa_repeats_within_its_precision_error():
    errors = [read_dxa(draw_patient(1, 1, number), 1.0).bmd_g_cm2 - 1.0 for number in range(400)]
    assert np.std(errors) == pytest.approx(0.01, rel=0.15)
    assert abs(np.mean(errors)) < 0.002
