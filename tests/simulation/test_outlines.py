import numpy as np
import pytest
from simulated_people import attenuation_at, body_of

from screening.simulation.outlines import (
    ANGLE_RAD,
    ANGLES,
    BACK,
    FRONT,
    LEFT,
    disc_outline,
    draw_outline,
    draw_wall,
    real_outlines,
    slant,
)


def test_a_circle_needs_no_correction_of_radial_distances():
    assert slant(np.full(ANGLES, 20.0, np.float32)) == pytest.approx(np.ones(ANGLES))


@pytest.mark.parametrize("seed", range(5))
def test_a_body_is_waisted_at_its_sides_and_behind(seed):
    rng = np.random.default_rng(seed)
    outline = draw_outline(22.0, 17.0, rng, rng)
    wall = draw_wall(outline, 0.05, rng)
    assert np.all(wall.waist_mm > 0.0)
    assert wall.waist_mm[LEFT] >= 0.05 * outline[LEFT]
    assert wall.waist_mm[BACK] > 0.05 * outline[BACK]


@pytest.mark.parametrize("seed", range(20))
def test_an_outline_keeps_the_width_and_the_depth_it_was_drawn_for(seed):
    outline = draw_outline(22.0, 17.0, np.random.default_rng(seed), np.random.default_rng(seed + 100))
    u, v = outline * np.cos(ANGLE_RAD), outline * np.sin(ANGLE_RAD)
    assert np.ptp(u) == pytest.approx(44.0, rel=0.12)
    assert 27.0 < outline[FRONT] + outline[BACK] < 35.5
    assert np.ptp(v) < 41.0


def test_a_disc_has_the_width_of_its_body_without_the_corners():
    corners = 1.0 + 0.2 * np.cos(16 * ANGLE_RAD)
    disc = disc_outline(20.0 * corners, 1.5)
    assert disc == pytest.approx(np.full(ANGLES, 21.5), abs=0.01)


def test_real_outlines_are_hollow_behind_and_round_in_front():
    outlines = real_outlines()
    quarter = outlines.shape[1] // 4
    assert len(outlines) >= 15
    assert np.median(outlines[:, quarter]) < 0.9
    assert np.median(outlines[:, 3 * quarter]) == pytest.approx(1.0, abs=0.05)


def test_walls_are_uneven_but_of_the_thickness_asked_for_on_average():
    walls = [draw_wall(np.full(ANGLES, 20.0), 0.0, np.random.default_rng(seed)).thickness for seed in range(40)]
    assert np.mean(walls) == pytest.approx(1.0, abs=0.05)
    assert np.std(walls) > 0.2


def test_width_over_depth_of_the_bodies_is_that_of_people():
    bodies = [body_of(number).spine.level(level) for number in range(1, 11) for level in ("L1", "L2", "L3", "L4")]
    ratios = [body.width_mm / body.depth_mm for body in bodies]
    assert np.percentile(ratios, 5) > 1.05
    assert np.percentile(ratios, 95) < 1.55


@pytest.mark.parametrize("number", range(1, 6))
def test_discs_are_brighter_at_the_rim_than_in_the_middle(number):
    anatomy = body_of(number)
    above = anatomy.spine.level("L2")
    below = -0.5 * above.height_mm - 3.0
    middle = attenuation_at(anatomy, above, (0.0, 0.0, below))
    rim = attenuation_at(anatomy, above, (0.95 * float(above.outline_mm[LEFT]), 0.0, below))
    assert 40.0 < middle < 130.0
    assert rim > middle
