import numpy as np
import pytest
from synthetic_spine import UPRIGHT

from screening.imaging.enhancement import aorta_hu, bright_kidneys_hu
from screening.imaging.hounsfield import Volume
from screening.imaging.lumbar import Vertebra

SPACING = (2.5, 1.0, 1.0)
ORIGIN = (-120.0, -90.0, -30.0)
CENTRES_Z = {"L1": 102.0, "L2": 68.0, "L3": 34.0, "L4": 0.0}
AORTA_XY, AORTA_RADIUS = (12.0, -32.0), 9.0
FLANK_XY, FLANK_RADII = (58.0, 8.0), (22.0, 20.0)

Z, Y, X = np.meshgrid(
    *(np.arange(start, -start, step) for start, step in ((-80, 2.5), (-90, 1.0), (-120, 1.0))), indexing="ij"
)
Z = Z + 50.0  # -30 to 130 mm


def vertebrae(*levels):
    return tuple(
        Vertebra(level, (0.0, 0.0, z), z + 13.0, z - 13.0, 1.0) for level, z in CENTRES_Z.items() if level in levels
    )


def trunk(blood_hu=42.0, flank_hu=32.0, gas=False):
    """Fat with a spine, an aorta and two round organs beside the spine; `blood_hu` may be a function of height."""
    hu = np.full(Z.shape, -100.0)
    hu[np.hypot(X / 22, Y / 16) < 1] = 180.0
    hu[np.hypot(X, Y - 25) < 9] = 15.0
    vessel = np.hypot(X - AORTA_XY[0], Y - AORTA_XY[1]) < AORTA_RADIUS
    hu[vessel] = np.broadcast_to(blood_hu(Z) if callable(blood_hu) else blood_hu, Z.shape)[vessel]
    organ = np.hypot((np.abs(X) - FLANK_XY[0]) / FLANK_RADII[0], (Y - FLANK_XY[1]) / FLANK_RADII[1])
    hu[organ < 1] = flank_hu
    if gas:
        hu[(organ < 1) & (Y < -2)] = -900.0
    hu += np.random.default_rng(7).normal(0, 12, hu.shape)
    return Volume(np.rint(hu).astype(np.int16), SPACING, ORIGIN, UPRIGHT, SPACING[0], 120.0)


@pytest.mark.parametrize("levels", [("L1", "L2", "L3", "L4"), ("L1", "L2"), ("L4",)])
@pytest.mark.parametrize("blood_hu", [35.0, 150.0, 380.0])
def test_blood_is_read_wherever_the_scan_covers_the_aorta(levels, blood_hu):
    assert aorta_hu(trunk(blood_hu), vertebrae(*levels)) == pytest.approx(blood_hu, abs=4)


def test_a_bolus_that_thins_along_the_vessel_is_still_blood():
    thinning = trunk(lambda z: 350.0 + 0.5 * (z - 50.0))

    assert aorta_hu(thinning, vertebrae("L1", "L2", "L3", "L4")) == pytest.approx(355, abs=10)


def test_what_changes_as_much_at_the_attenuation_of_blood_is_no_vessel():
    changing = trunk(lambda z: 60.0 + 0.5 * (z - 50.0))

    assert aorta_hu(changing, vertebrae("L1", "L2", "L3", "L4")) is None


def test_nothing_is_read_above_the_volume():
    above = Vertebra("L1", (0.0, 0.0, 140.0), 153.0, 127.0, 1.0)

    assert aorta_hu(trunk(150.0), (above,)) is None


@pytest.mark.parametrize(("flank_hu", "expected"), [(32.0, None), (70.0, None), (100.0, 100.0), (200.0, 200.0)])
def test_parenchyma_brighter_than_80_hu_is_enhanced(flank_hu, expected):
    found = bright_kidneys_hu(trunk(flank_hu=flank_hu), vertebrae("L1", "L2", "L3"))

    assert found == (expected if expected is None else pytest.approx(expected, abs=5))


def test_bowel_with_contrast_by_mouth_and_gas_is_no_kidney():
    assert bright_kidneys_hu(trunk(flank_hu=200.0, gas=True), vertebrae("L1", "L2", "L3")) is None


def test_kidneys_are_not_looked_for_below_l3():
    assert bright_kidneys_hu(trunk(flank_hu=200.0), vertebrae("L4")) is None
