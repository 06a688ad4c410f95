import numpy as np
import pytest

from models.phantom import draw_phantoms


@pytest.fixture(scope="module")
def phantoms():
    return draw_phantoms(60, seed=4)


def test_a_seed_means_the_same_drawings(phantoms):
    assert np.array_equal(draw_phantoms(60, seed=4).crops_hu, phantoms.crops_hu)
    assert not np.array_equal(draw_phantoms(60, seed=5).crops_hu, phantoms.crops_hu)


def test_the_interior_of_a_body_has_the_density_of_its_label(phantoms):
    interior = phantoms.crops_hu[phantoms.is_body, 44:50, 45:51].mean(axis=(1, 2))

    error = interior - phantoms.hu120[phantoms.is_body]
    assert np.median(error) == pytest.approx(0, abs=8)
    assert np.corrcoef(interior, phantoms.hu120[phantoms.is_body])[0, 1] > 0.9


def test_discs_do_not_show_the_density_of_their_label(phantoms):
    interior = phantoms.crops_hu[~phantoms.is_body, 44:50, 45:51].mean(axis=(1, 2))

    assert (~phantoms.is_body).sum() == 12
    assert abs(np.corrcoef(interior, phantoms.hu120[~phantoms.is_body])[0, 1]) < 0.7


def test_density_and_depth_cover_their_ranges(phantoms):
    assert phantoms.hu120.min() < 30
    assert phantoms.hu120.max() > 270
    assert phantoms.depth_mm.min() < 27
    assert phantoms.depth_mm.max() > 41


def test_drawings_carry_no_bmd_and_no_patient(phantoms):
    assert np.isnan(phantoms.bmd_g_cm2).all()
    assert set(phantoms.patient) == {"phantom"}
    assert np.isfinite(phantoms.crops_hu).all()
