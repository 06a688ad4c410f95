"""What the header declares empty, and what only looks it."""

import numpy as np
import pytest
from dicom_files import found
from numpy.testing import assert_array_equal
from torso_slices import hu_at, slice_file, stack

from screening.archive.header import read_header
from screening.imaging.hounsfield import read_slice_hu

ROWS, COLUMNS = 120, 120
Y, X = np.mgrid[-59.5:60, -59.5:60]
OUTSIDE_CIRCLE = np.hypot(X, Y) > 60


def noisy_trunk(half_width_px):
    """Soft tissue around 0 HU whose noise is that of a CT; it reaches the sides where it is wider than the picture."""
    hu = np.where(np.hypot(X / half_width_px, Y / 45) < 1, 0.0, -990.0)
    return np.rint(hu + np.random.default_rng(2).normal(0, 8.0, hu.shape)).astype(np.int16)


def read(folder, picture, **elements):
    path = slice_file(
        folder, 1, stack()[2], Rows=picture.shape[0], Columns=picture.shape[1], PixelData=picture.tobytes(), **elements
    )
    return read_slice_hu(read_header(found(path)))


@pytest.mark.parametrize("value", [-2000, 0, 500])
@pytest.mark.parametrize("half_width_px", [50, 80], ids=["whole", "truncated"])
def test_all_outside_the_circle_becomes_air_and_nothing_inside(tmp_path, half_width_px, value):
    picture = noisy_trunk(half_width_px)
    picture[OUTSIDE_CIRCLE] = value
    inside = ~OUTSIDE_CIRCLE & (np.hypot(X, Y) < 58)

    hu = read(tmp_path, picture, PixelPaddingValue=value)

    assert np.all(hu[OUTSIDE_CIRCLE] == -1024)
    assert np.any(picture[inside] == 0)
    assert_array_equal(hu[inside], picture[inside])


def test_values_below_the_scale_become_air_without_a_declaration(tmp_path):
    picture = hu_at(stack()[2])
    picture[:3] = -2000

    hu = read(tmp_path, picture)

    assert np.all(hu[:3] == -1024)
    assert_array_equal(hu[3:], picture[3:])


@pytest.mark.parametrize("half_width_px", [50, 80, 200], ids=["whole", "truncated", "wider than the picture"])
def test_a_padding_value_that_tissue_has_by_noise_pads_nothing(tmp_path, half_width_px):
    picture = noisy_trunk(half_width_px)

    assert np.any(picture == 0)
    assert_array_equal(read(tmp_path, picture, PixelPaddingValue=0), picture)


def test_a_flat_area_inside_the_body_is_no_padding(tmp_path):
    picture = noisy_trunk(80)
    picture[50:70, 50:70] = 0

    assert_array_equal(read(tmp_path, picture, PixelPaddingValue=0), picture)


def test_a_range_that_reaches_into_tissue_pads_no_tissue(tmp_path):
    picture = noisy_trunk(80)
    picture[OUTSIDE_CIRCLE] = -2000

    hu = read(tmp_path, picture, PixelPaddingValue=-2000, PixelPaddingRangeLimit=20)

    tissue = picture > -900
    assert_array_equal(hu[tissue], picture[tissue])
    assert np.all(hu[OUTSIDE_CIRCLE] == -1024)


def test_padding_range_is_honoured(tmp_path):
    picture = hu_at(stack()[2])
    picture[:2], picture[2] = 1990, 2000

    hu = read(tmp_path, picture, PixelPaddingValue=2000, PixelPaddingRangeLimit=1980)

    assert np.all(hu[:3] == -1024)
