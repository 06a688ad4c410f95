from dataclasses import replace

import numpy as np
import pytest
from blocks_of_bone import LEVELS, block_outline, block_spine, block_vertebrae

from screening.imaging.attenuation import TrabecularReading
from screening.imaging.body_quality import BodyQuality, judge_bodies

VERTEBRAE = block_vertebrae()
ROIS = [TrabecularReading(120.0, 10.0, 120.0, 400.0, 34.0, np.zeros((3, 3)), block_outline(level)) for level in LEVELS]


def with_cube(volume, centre_mm, edge_mm, hu):
    """The same volume with a cube of another attenuation."""
    corner = np.array(edge_mm) / 2
    low, high = (np.rint(volume.index(np.array(centre_mm) + side * corner)).astype(int) for side in (-1, 1))
    changed = volume.hu.copy()
    changed[low[0] : high[0] + 1, low[1] : high[1] + 1, low[2] : high[2] + 1] = hu
    return replace(volume, hu=changed)


def judged(volume) -> dict[str, BodyQuality]:
    return dict(zip(LEVELS, judge_bodies(volume, VERTEBRAE, ROIS), strict=True))


def centre(level, x=0.0, y=0.0):
    return (x, y, VERTEBRAE[LEVELS.index(level)].centre_mm[2])


def test_sound_bodies_have_no_problem():
    for body in judged(block_spine({})).values():
        assert not (body.metal or body.streaks or body.fractured)
        assert body.metal_mm3 == 0.0


def test_cement_inside_a_body_is_metal_there_alone():
    qualities = judged(with_cube(block_spine({}), centre("L2"), 8.0, 1800))
    assert {level for level, body in qualities.items() if body.metal} == {"L2"}


def test_a_bone_island_is_no_cement():
    qualities = judged(with_cube(block_spine({}), centre("L2"), 8.0, 1100))
    assert not qualities["L2"].metal


def test_a_screw_in_the_pedicle_is_metal_of_its_level():
    qualities = judged(with_cube(block_spine({}), centre("L3", x=15.0, y=30.0), 6.0, 3000))
    assert {level for level, body in qualities.items() if body.metal} == {"L3"}


@pytest.mark.parametrize(("x", "y"), [(50.0, 0.0), (0.0, -40.0)], ids=["beside", "in front"])
def test_metal_away_from_the_spine_counts_for_nothing(x, y):
    qualities = judged(with_cube(block_spine({}), centre("L3", x, y), 6.0, 3000))
    assert not any(body.metal for body in qualities.values())


def test_dark_streaks_through_a_body_are_told():
    qualities = judged(with_cube(block_spine({}), centre("L1"), (20.0, 12.0, 5.0), -400))
    assert {level for level, body in qualities.items() if body.streaks} == {"L1"}


@pytest.mark.parametrize(("spacing_mm", "limit"), [(3.0, 0.20), (3.1, 0.25)])
def test_thick_slices_call_only_larger_losses_a_fracture(spacing_mm, limit):
    assert {body.fracture_loss for body in judged(block_spine({}, spacing_mm)).values()} == {limit}


def test_a_wedged_body_is_fractured_and_its_neighbours_are_not():
    qualities = judged(block_spine({"L2": (0.4, 0.2, 0.0)}))
    assert {level for level, body in qualities.items() if body.fractured} == {"L2"}


def test_a_body_alone_has_no_heights():
    (body,) = judge_bodies(block_spine({}), VERTEBRAE[:1], ROIS[:1])
    assert body.heights is None
    assert body.height_loss is None
    assert not body.fractured
