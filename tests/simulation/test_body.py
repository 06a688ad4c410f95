import numpy as np
import pytest
from simulated_people import upright_cylinder

from screening.simulation.body import body_share, lay_body
from screening.simulation.lattice import Tissue, sampling

RADIUS_MM, HEIGHT_MM, SHELL_MM = 20.0, 27.0, 1.2


@pytest.mark.parametrize("spacing_mm", [0.7, 1.4, 2.0])
def test_the_volume_of_a_body_does_not_depend_on_the_voxels(spacing_mm):
    body = upright_cylinder(radius_mm=RADIUS_MM, height_mm=HEIGHT_MM, cancellous_mg=100.0, shell_mg=400.0)
    steps = np.arange(-30.0, 30.0, spacing_mm)
    volume = body_share(body, sampling(steps, steps, steps, spacing_mm, spacing_mm)).sum() * spacing_mm**3
    assert volume == pytest.approx(np.pi * RADIUS_MM**2 * HEIGHT_MM, rel=0.01)


@pytest.mark.parametrize("spacing_mm", [0.7, 1.4, 2.0])
def test_a_shell_thinner_than_a_voxel_keeps_its_mineral(spacing_mm):
    body = upright_cylinder(radius_mm=RADIUS_MM, height_mm=HEIGHT_MM, cancellous_mg=0.0, shell_mg=400.0)
    steps = np.arange(-30.0, 30.0, spacing_mm)
    at = sampling(steps, steps, steps, spacing_mm, spacing_mm)
    tissue = Tissue.nothing(at.shape)
    lay_body(tissue, body, np.zeros(at.shape, np.float32), at)
    hollow = np.pi * (RADIUS_MM - SHELL_MM) ** 2 * (HEIGHT_MM - 2 * SHELL_MM)
    shell_mm3 = np.pi * RADIUS_MM**2 * HEIGHT_MM - hollow
    assert tissue.mineral_mg.sum() * spacing_mm**3 == pytest.approx(400.0 * shell_mm3, rel=0.04)


def test_where_a_pedicle_joins_the_body_has_no_wall():
    body = upright_cylinder(radius_mm=RADIUS_MM, height_mm=HEIGHT_MM, cancellous_mg=100.0, shell_mg=400.0)
    steps = np.arange(-30.0, 30.0, 0.5)
    at = sampling(steps, steps, np.array([0.2]), 0.5, 0.5)
    tissue = Tissue.nothing(at.shape)
    lay_body(tissue, body, np.ones(at.shape, np.float32), at)
    assert tissue.mineral_mg.max() == pytest.approx(100.0, rel=0.01)
