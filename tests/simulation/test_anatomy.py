import numpy as np
import pytest
from simulated_people import body_of

from screening.simulation.anatomy import render_slab
from screening.simulation.vertebrae import LEVELS

LUMBAR = ("L5", "L4", "L3", "L2", "L1")


def test_the_same_patient_has_the_same_body():
    steps = np.arange(-80.0, 80.0, 2.0)
    first, second = (render_slab(body_of(6), steps, steps, 4.0, 5.0) for _ in range(2))
    assert np.array_equal(first.soft_hu, second.soft_hu)
    assert np.array_equal(first.mineral_mg, second.mineral_mg)


def test_a_slice_does_not_depend_on_the_window_it_is_rendered_in():
    steps = np.arange(-60.0, 60.0, 2.0)
    whole = render_slab(body_of(6), steps, steps, 4.0, 5.0)
    part = render_slab(body_of(6), steps[10:50], steps[10:50], 4.0, 5.0)
    assert part.mineral_mg == pytest.approx(whole.mineral_mg[10:50, 10:50], abs=0.05)


@pytest.mark.parametrize("number", range(1, 9))
def test_lumbar_levels_stand_above_each_other_at_the_pitch_of_an_adult(number):
    centres = np.array([body_of(number).spine.level(level).centre_mm for level in LUMBAR])
    pitch = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    assert np.all((pitch > 26.0) & (pitch < 41.0))


@pytest.mark.parametrize("number", range(1, 9))
def test_the_column_turns_to_posterior_below_l5(number):
    spine = body_of(number).spine
    step = np.subtract(spine.level("S2").centre_mm, spine.level("L5").centre_mm)
    assert step[1] > 12.0


def test_the_lumbosacral_junction_turns_as_in_people():
    spines = [body_of(number).spine for number in range(1, 13)]
    cosine = [float(spine.level("L5").axes[2] @ spine.level("S1").axes[2]) for spine in spines]
    turn = np.degrees(np.arccos(cosine))
    assert 19.0 < np.median(turn) < 36.0
    assert np.all((turn > 12.0) & (turn < 42.0))


def test_levels_run_from_caudal_to_cranial():
    heights = [vertebra.centre_mm[2] for vertebra in body_of(1).spine.vertebrae]
    assert tuple(vertebra.level for vertebra in body_of(1).spine.vertebrae) == LEVELS
    assert heights == sorted(heights)


def _mineral_beside_the_column(number: int, level: str) -> float:
    """Mineral between 50 and 75 mm to the right of the column, behind the middle of the body, mean mg/cm3."""
    anatomy = body_of(number)
    x, y, z = anatomy.spine.level(level).centre_mm
    slab = render_slab(anatomy, np.arange(x - 75.0, x - 50.0, 1.0), np.arange(y, y + 60.0, 1.0), z, 5.0)
    return float(slab.mineral_mg.mean())


def test_ribs_lie_beside_t11_and_none_beside_l4():
    beside_t11 = [_mineral_beside_the_column(number, "T11") for number in range(1, 6)]
    beside_l4 = [_mineral_beside_the_column(number, "L4") for number in range(1, 6)]
    assert min(beside_t11) > 5.0
    assert max(beside_l4) < min(beside_t11)


def test_hip_bones_lie_beside_s1():
    anatomy = body_of(3)
    x, y, z = anatomy.spine.level("S1").centre_mm
    slab = render_slab(anatomy, np.arange(x + 55.0, x + 150.0, 1.0), np.arange(y - 70.0, y + 60.0, 1.0), z, 5.0)
    assert (slab.mineral_mg > 300.0).sum() > 100


def test_lung_lies_behind_t10_and_none_behind_l3():
    anatomy = body_of(3)
    steps = np.arange(-120.0, 120.0, 2.0)
    high = render_slab(anatomy, steps, steps, anatomy.spine.level("T10").centre_mm[2], 5.0).soft_hu
    low = render_slab(anatomy, steps, steps, anatomy.spine.level("L3").centre_mm[2], 5.0).soft_hu
    back = (slice(70, 85), slice(20, 50))  # 20-50 mm behind the origin, 20-80 mm to the right
    assert ((high[back] < -700.0) & (high[back] > -900.0)).mean() > 0.2
    assert (low[back] < -700.0).sum() == 0


@pytest.mark.parametrize("number", range(1, 13))
def test_no_bone_reaches_the_air(number):
    anatomy = body_of(number)
    steps = np.arange(-250.0, 250.0, 2.0)
    slab = render_slab(anatomy, steps, steps, anatomy.spine.level("S1").centre_mm[2], 5.0)
    bone, air = slab.mineral_mg > 100.0, slab.soft_hu < -990.0
    left, right = bone.any(axis=0).nonzero()[0][[0, -1]]
    body = (~air).any(axis=0).nonzero()[0]
    assert body[0] < left
    assert right < body[-1]
