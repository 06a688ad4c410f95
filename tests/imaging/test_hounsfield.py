from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from torso_slices import SHAPE, SPACING, SUPINE, hu_at, reason, series, series_of, slice_file, stack

from screening.archive.index import Series
from screening.errors import Exclusion
from screening.imaging.hounsfield import read_volume

TURNS = {
    "head first supine": SUPINE,
    "feet first or mirrored columns": (-1, 0, 0, 0, 1, 0),
    "mirrored rows": (1, 0, 0, 0, -1, 0),
    "prone": (-1, 0, 0, 0, -1, 0),
    "decubitus": (0, 1, 0, -1, 0, 0),
    "decubitus, other side": (0, -1, 0, 1, 0, 0),
    "rows and columns exchanged": (0, 1, 0, 1, 0, 0),
    "oblique by 11 degrees": (0.98, 0, -0.198997487, 0, 1, 0),
    "coronal": (1, 0, 0, 0, 0, -1),
}


@pytest.mark.parametrize("cosines", TURNS.values(), ids=TURNS.keys())
@pytest.mark.parametrize("backwards", [False, True])
def test_every_voxel_lies_where_the_scanner_put_it(tmp_path, cosines, backwards):
    given = series_of(tmp_path, cosines)
    volume = read_volume(Series("2.25.1.1", given.instances[:: -1 if backwards else 1]))

    indices = np.moveaxis(np.indices(volume.hu.shape), 0, -1).astype(float)
    assert_array_equal(volume.hu, hu_at(np.round(volume.patient_mm(indices), 3)))
    assert_allclose(volume.index(volume.patient_mm(indices)), indices, atol=1e-9)


@pytest.mark.parametrize("cosines", TURNS.values(), ids=TURNS.keys())
def test_axes_run_to_the_head_to_the_back_and_to_the_left(tmp_path, cosines):
    axes = read_volume(series_of(tmp_path, cosines)).axes

    assert np.all(axes[[0, 1, 2], [2, 1, 0]] > 0.9)


def test_geometry_and_exposure_come_from_the_header(tmp_path):
    volume = read_volume(series_of(tmp_path))

    assert volume.hu.dtype == np.int16
    assert volume.spacing_mm == pytest.approx(SPACING)
    assert volume.slice_thickness_mm == 4.0
    assert volume.kvp_kv == 120.0


def test_thickness_unknown_is_the_step_between_slices(tmp_path):
    volume = read_volume(series_of(tmp_path, SliceThickness=None))

    assert volume.slice_thickness_mm == pytest.approx(4.0)


def test_differing_tube_voltage_is_unknown(tmp_path):
    given = series_of(tmp_path)
    changed = Series("2.25.1.1", (replace(given.instances[0], kvp_kv=100.0), *given.instances[1:]))

    assert read_volume(changed).kvp_kv is None


def test_stored_values_are_rescaled_slice_by_slice(tmp_path):
    points = stack()
    files = [
        slice_file(
            tmp_path,
            k,
            points[k],
            RescaleSlope="0.5",
            RescaleIntercept=str(-1024 - k),
            PixelData=(2 * (hu_at(points[k]).astype(np.int32) + 1024 + k)).astype(np.uint16).tobytes(),
            PixelRepresentation=0,
        )
        for k in range(SHAPE[0])
    ]

    assert_array_equal(read_volume(series(*files)).hu, hu_at(points))


def test_more_than_one_frame_in_a_file_is_refused(tmp_path):
    assert reason(series_of(tmp_path, NumberOfFrames=2)) is Exclusion.MULTIFRAME


@pytest.mark.parametrize(
    "elements",
    [{"RescaleSlope": None}, {"RescaleIntercept": None}, {"RescaleSlope": "0"}, {"RescaleType": "Z_EFF"}],
    ids=["no slope", "no intercept", "slope zero", "another quantity"],
)
def test_numbers_that_are_no_hounsfield_units_are_refused(tmp_path, elements):
    assert reason(series_of(tmp_path, **elements)) is Exclusion.NO_HOUNSFIELD


@pytest.mark.parametrize("value", [None, b""], ids=["absent", "empty"])
def test_a_header_without_picture_is_refused(tmp_path, value):
    assert reason(series_of(tmp_path, PixelData=value)) is Exclusion.NO_PIXELS


def test_a_file_that_vanished_is_a_failure_not_an_exclusion(tmp_path):
    given = series_of(tmp_path)
    given.instances[3].path.unlink()

    with pytest.raises(FileNotFoundError):
        read_volume(given)


def spoiled(hu, how):
    return {
        "rescale forgotten": hu + 1024,
        "rescale twice": hu - 1024,
        "bytes swapped": hu.byteswap(),
        "noise of a stray decoder": np.random.default_rng(1).integers(-1024, 3071, hu.shape),
        "blank": np.zeros_like(hu),
    }[how].astype(np.int16)


@pytest.mark.parametrize(
    "how", ["rescale forgotten", "rescale twice", "bytes swapped", "noise of a stray decoder", "blank"]
)
def test_garbage_is_refused(tmp_path, how):
    points = stack()
    files = [
        slice_file(tmp_path, k, points[k], PixelData=spoiled(hu_at(points[k]), how).tobytes()) for k in range(SHAPE[0])
    ]

    assert reason(series(*files)) is Exclusion.IMPLAUSIBLE_HU


def test_wrong_signedness_is_refused(tmp_path):
    assert reason(series_of(tmp_path, PixelRepresentation=0)) is Exclusion.IMPLAUSIBLE_HU


def test_one_blank_slice_among_good_ones_is_refused(tmp_path):
    given = series_of(tmp_path)
    slice_file(tmp_path, 2, stack()[2], PixelData=np.zeros(SHAPE[1:], np.int16).tobytes())

    assert reason(given) is Exclusion.IMPLAUSIBLE_HU
