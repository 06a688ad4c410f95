import numpy as np
import pytest
from synthetic_spine import trunk, volume

from screening.errors import Excluded, Exclusion
from screening.imaging.spinal_canal import straighten_spine


def lordosis(count=80):
    z = np.linspace(-1.0, 1.0, count)
    return np.column_stack([150.0 + 15.0 * z**2, 165.0 + 6.0 * z])


@pytest.fixture(scope="module")
def curved():
    return trunk(lordosis())


def test_the_path_follows_the_canal(curved):
    spine = straighten_spine(curved)

    slices = np.rint(spine.path_mm[20:-20, 0] / 2.5).astype(int)
    assert np.abs(spine.path_mm[20:-20, 1:] - lordosis()[slices]).max() < 3.5


def test_sections_are_one_millimetre_of_canal_apart(curved):
    spine = straighten_spine(curved)

    steps = np.linalg.norm(np.diff(spine.path_mm, axis=0), axis=1)
    assert steps == pytest.approx(1.0, abs=0.02)


def test_a_straightened_canal_is_soft_with_the_body_in_front(curved):
    spine = straighten_spine(curved)

    middle = spine.hu[20:-20]
    assert middle[:, np.abs(spine.w_mm) <= 2][:, :, np.abs(spine.u_mm) <= 2].mean() == pytest.approx(20, abs=15)
    assert middle[:, spine.w_mm == -24][:, :, np.abs(spine.u_mm) <= 8].mean() == pytest.approx(200, abs=10)


def test_a_section_point_returns_to_its_patient_position(curved):
    spine = straighten_spine(curved)

    on_path = spine.patient_mm(curved, 50, 0.0, 0.0)
    left = spine.patient_mm(curved, 50, 0.0, 10.0)
    behind = spine.patient_mm(curved, 50, 10.0, 0.0)

    assert on_path == pytest.approx(spine.path_mm[50][::-1])
    assert np.linalg.norm(left - on_path) == pytest.approx(10.0)
    assert left[0] - on_path[0] > 9.5
    assert behind[1] - on_path[1] > 9.5


def test_beyond_the_ends_the_axis_goes_on_straight(curved):
    spine = straighten_spine(curved)
    last = len(spine.path_mm) - 1

    beyond = spine.patient_mm(curved, last + 4.0, 0.0, 0.0)

    assert beyond == pytest.approx(spine.patient_mm(curved, last, 0.0, 0.0) + 4.0 * spine.tangent[last][::-1])


def test_outside_the_volume_is_unknown(curved):
    spine = straighten_spine(curved)

    assert np.isnan(spine.hu).any()
    assert np.isfinite(spine.hu[:, np.abs(spine.w_mm) <= 10][:, :, np.abs(spine.u_mm) <= 20]).mean() > 0.99


@pytest.mark.parametrize("count", [1, 2, 23])
def test_less_than_two_bodies_of_height_cannot_be_named(count):
    with pytest.raises(Excluded) as caught:
        straighten_spine(volume(np.zeros((count, 60, 60))))

    assert caught.value.reason is Exclusion.NO_LUMBAR


def test_air_holds_no_body():
    with pytest.raises(Excluded) as caught:
        straighten_spine(volume(np.full((80, 60, 60), -1000)))

    assert caught.value.reason is Exclusion.NO_LUMBAR
    assert "0 mm" in caught.value.detail


def test_thin_slices_give_the_same_path(curved):
    thin = volume(np.repeat(curved.hu, 2, axis=0), (1.25, 2.0, 2.0))

    spine, reference = straighten_spine(thin), straighten_spine(curved)

    depth = np.interp(np.arange(20.0, 180.0), spine.path_mm[:, 0], spine.path_mm[:, 1])
    expected = np.interp(np.arange(20.0, 180.0), reference.path_mm[:, 0], reference.path_mm[:, 1])
    assert np.abs(depth - expected).max() < 1.0
