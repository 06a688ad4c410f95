import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from screening.imaging.hounsfield import Volume
from screening.imaging.lumbar import Vertebra
from screening.imaging.model_input import InputSpec, crops, kvp_scale

SPEC = InputSpec()
UPRIGHT = np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]])


def volume_of(hu, spacing_mm=(2.5, 0.8, 0.8), thickness_mm=None, axes=UPRIGHT, origin_mm=(-80.0, -60.0, -300.0)):
    return Volume(
        hu=np.asarray(hu, dtype=np.int16),
        spacing_mm=spacing_mm,
        origin_mm=origin_mm,
        axes=axes,
        slice_thickness_mm=spacing_mm[0] if thickness_mm is None else thickness_mm,
        kvp_kv=120.0,
    )


def vertebra_at(volume, index, height_mm=30.0):
    x, y, z = volume.patient_mm(np.asarray(index, dtype=float))
    return Vertebra("L2", (float(x), float(y), float(z)), float(z + height_mm / 2), float(z - height_mm / 2), 1.0)


@pytest.fixture
def ramp():
    """Voxels whose value is 100 * slice + row - column: linear, so that every interpolation has a known answer."""
    slices, rows, columns = np.mgrid[0:20, 0:200, 0:200]
    return volume_of(100 * slices + rows - columns)


def test_three_slabs_of_the_fixed_size_around_the_centre(ramp):
    cut = crops(ramp, vertebra_at(ramp, (10, 100, 100)), SPEC, 1.0)

    assert cut.hu.shape == (3, 80, 80)
    assert cut.hu.dtype == np.float32
    assert cut.z_mm == pytest.approx([-280.0, -275.0, -270.0])


def test_a_slab_is_the_mean_of_the_slices_it_covers(ramp):
    cut = crops(ramp, vertebra_at(ramp, (10, 100, 100)), SPEC, 1.0)

    assert cut.hu[:, 31:33, 31:33].mean(axis=(1, 2)) == pytest.approx([800, 1000, 1200], abs=0.5)


def test_pixels_lie_where_the_geometry_says(ramp):
    cut = crops(ramp, vertebra_at(ramp, (10, 90.3, 110.6)), SPEC, 1.0)

    row, column = 12, 50
    at = cut.centre_mm[1] + cut.pixel_mm * ((row - 31.5) * cut.down + (column - 31.5) * cut.right)
    expected = map_coordinates(ramp.hu.astype(float), ramp.index(at)[:, None], order=1)
    assert cut.hu[1, row, column] == pytest.approx(expected[0], abs=0.01)


def test_an_oblique_volume_is_cut_along_its_own_axes():
    turned = np.array([[0.0, 0, 1], [np.sin(0.2), np.cos(0.2), 0], [np.cos(0.2), -np.sin(0.2), 0]])
    slices, rows, columns = np.mgrid[0:20, 0:200, 0:200]
    volume = volume_of(100 * slices + rows - columns, axes=turned)

    cut = crops(volume, vertebra_at(volume, (10, 100, 100)), SPEC, 1.0)

    at = cut.centre_mm[2] + cut.pixel_mm * (3.5 * cut.down - 8.5 * cut.right)
    expected = map_coordinates(volume.hu.astype(float), volume.index(at)[:, None], order=1)
    assert cut.hu[2, 35, 23] == pytest.approx(expected[0], abs=0.01)


def test_thick_slices_are_taken_as_they_are():
    slices = np.mgrid[0:10, 0:150, 0:150][0]
    volume = volume_of(100 * slices, spacing_mm=(5.0, 0.8, 0.8))

    cut = crops(volume, vertebra_at(volume, (4.3, 75, 75)), SPEC, 1.0)

    assert cut.hu[:, 32, 32] == pytest.approx([300, 400, 500])


def test_overlapping_thick_slices_are_not_averaged_again():
    slices = np.mgrid[0:20, 0:150, 0:150][0]
    volume = volume_of(100 * slices**2, spacing_mm=(2.5, 0.8, 0.8), thickness_mm=5.0)

    cut = crops(volume, vertebra_at(volume, (8, 75, 75)), SPEC, 1.0)

    assert cut.hu[:, 40, 40] == pytest.approx([3600, 6400, 10000])


def test_a_slice_thicker_than_the_spacing_of_slabs_is_cut_once():
    volume = volume_of(np.zeros((9, 150, 150)), spacing_mm=(10.0, 0.8, 0.8))

    assert len(crops(volume, vertebra_at(volume, (4, 75, 75)), SPEC, 1.0).hu) == 1


def test_slabs_of_a_collapsed_body_stay_clear_of_its_end_plates(ramp):
    cut = crops(ramp, vertebra_at(ramp, (10, 100, 100), height_mm=16.0), SPEC, 1.0)

    assert cut.z_mm == pytest.approx([-276.5, -275.0, -273.5])


def test_outside_of_the_volume_is_air():
    volume = volume_of(np.full((20, 200, 200), 40))

    cut = crops(volume, vertebra_at(volume, (10, 20, 20)), SPEC, 1.0)

    assert cut.hu[0, 0, 0] == -1024
    assert cut.hu[0, 40, 40] == pytest.approx(40)


def test_the_kvp_factor_scales_what_lies_above_water_only():
    volume = volume_of(np.where(np.mgrid[0:20, 0:200, 0:200][2] < 100, -100, 200))

    cut = crops(volume, vertebra_at(volume, (10, 100, 100)), SPEC, 0.5)

    assert cut.hu[0, 32, 60] == pytest.approx(100)
    assert cut.hu[0, 32, 3] == pytest.approx(-100)


def test_bone_at_80_kvp_looks_as_at_120_kvp_after_scaling():
    bone = np.full((20, 200, 200), 150)
    at_120, at_80 = volume_of(bone), volume_of(bone * 1.23)

    reference = crops(at_120, vertebra_at(at_120, (10, 100, 100)), SPEC, kvp_scale(120).factor)
    scaled = crops(at_80, vertebra_at(at_80, (10, 100, 100)), SPEC, kvp_scale(80).factor)

    assert scaled.hu == pytest.approx(reference.hu, abs=0.5)


def test_a_centre_outside_of_the_volume_is_refused(ramp):
    with pytest.raises(ValueError, match="outside of the volume"):
        crops(ramp, vertebra_at(ramp, (30, 100, 100)), SPEC, 1.0)


@pytest.mark.parametrize(
    ("kvp_kv", "factor"),
    [(80, 1 / 1.23), (100, 0.927), (120, 1.0), (140, 1.053), (130, 1.0265), (110, 0.9635), (150, 1.0795)],
)
def test_tabulated_and_interpolated_kvp_factors(kvp_kv, factor):
    assert kvp_scale(kvp_kv).factor == pytest.approx(factor)
    assert kvp_scale(kvp_kv).known


@pytest.mark.parametrize("kvp_kv", [None, 0.0, 69.9, 150.1, float("nan")])
def test_an_unknown_tube_voltage_is_told_apart(kvp_kv):
    assert kvp_scale(kvp_kv).factor == 1.0
    assert not kvp_scale(kvp_kv).known
