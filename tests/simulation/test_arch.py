import numpy as np
import pytest
from simulated_people import attenuation_at, body_of

MEASURED = ("L1", "L2", "L3", "L4")


def _pedicle_hu(number: int, level: str) -> float:
    """Mean over the left pedicle's section half way between body and lamina."""
    anatomy = body_of(number)
    vertebra = anatomy.spine.level(level)
    arch, back = vertebra.posterior, 0.5 * vertebra.depth_mm
    at = [(arch.pedicle_gap_mm + du, back + 4.0, 0.19 * vertebra.height_mm) for du in (-2.5, 0.0, 2.5)]
    return float(np.mean([attenuation_at(anatomy, vertebra, point) for point in at]))


@pytest.mark.parametrize("level", MEASURED)
def test_pedicles_are_solid_and_bright(level):
    readings = [_pedicle_hu(number, level) for number in range(1, 9)]
    assert 280.0 < np.median(readings) < 950.0  # half cortex, half cancellous
    assert min(readings) > 180.0


def _lamina_hu(number: int) -> float:
    anatomy = body_of(number)
    vertebra = anatomy.spine.level("L2")
    arch, back = vertebra.posterior, 0.5 * vertebra.depth_mm
    middle = (0.0, back + arch.canal_depth_mm + 0.6 * arch.lamina_mm, -0.17 * vertebra.height_mm)
    return attenuation_at(anatomy, vertebra, middle)


def test_laminae_are_solid_and_bright():
    readings = [_lamina_hu(number) for number in range(1, 9)]
    assert 320.0 < np.median(readings) < 950.0
    assert min(readings) > 120.0


@pytest.mark.parametrize("number", range(1, 7))
def test_the_canal_holds_no_bone(number):
    anatomy = body_of(number)
    vertebra = anatomy.spine.level("L3")
    centre = 0.5 * (vertebra.depth_mm + vertebra.posterior.canal_depth_mm)
    assert attenuation_at(anatomy, vertebra, (0.0, centre, 0.0)) < 80.0


def test_pedicles_stand_wider_apart_towards_the_sacrum():
    gaps = np.mean(
        [[body_of(n).spine.level(level).posterior.pedicle_gap_mm for level in MEASURED] for n in range(1, 9)], 0
    )
    assert list(gaps) == sorted(gaps)
