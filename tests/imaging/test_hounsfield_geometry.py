"""Stacks of slices that are no regular, upright volume."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torso_slices import SHAPE, reason, series, series_of, slice_file, stack

from screening.archive.index import Series
from screening.errors import Exclusion
from screening.imaging.hounsfield import read_volume

HEAD = Path(__file__).parents[3] / "shared/data/zoo/head_ct_gantry_tilt"


@pytest.mark.skipif(not HEAD.is_dir(), reason="collection of odd DICOM files is not here")
def test_a_tilted_head_scan_is_refused():
    tilted = series(*sorted(HEAD.glob("*.dcm")))

    assert reason(tilted) is Exclusion.GANTRY_TILT


def test_a_leaning_stack_is_a_tilted_gantry(tmp_path):
    points = stack(lean_mm=(0.0, 1.0, 0.0))
    tilted = series(*(slice_file(tmp_path, k, points[k]) for k in range(SHAPE[0])))

    assert reason(tilted) is Exclusion.GANTRY_TILT


def test_a_drift_within_rounding_is_no_tilt(tmp_path):
    points = stack(lean_mm=(0.0, 0.1, 0.0))

    assert read_volume(series(*(slice_file(tmp_path, k, points[k]) for k in range(SHAPE[0])))).hu.shape == SHAPE


def test_positions_rounded_to_half_a_millimetre_are_regular(tmp_path):
    points = stack(step_mm=2.75)
    rounded = [
        slice_file(tmp_path, k, points[k], ImagePositionPatient=[-47.0, -48.75, float(np.round(2 * z) / 2)])
        for k, z in enumerate(points[:, 0, 0, 2])
    ]

    assert read_volume(series(*rounded)).spacing_mm[0] == pytest.approx(2.75, abs=0.13)


def test_a_lost_slice_is_missed(tmp_path):
    given = series_of(tmp_path)
    gap = Series("2.25.1.1", given.instances[:2] + given.instances[3:])

    assert reason(gap) is Exclusion.MISSING_SLICES


def test_two_slices_at_one_place_are_refused(tmp_path):
    points = stack()[[0, 1, 2, 2, 3]]
    doubled = series(*(slice_file(tmp_path, k, points[k]) for k in range(5)))

    assert reason(doubled) is Exclusion.DUPLICATE_POSITIONS


def test_the_same_object_stored_twice_counts_once(tmp_path):
    given = series_of(tmp_path)
    copy = replace(given.instances[2], path=given.instances[2].path.with_name("copy"))

    assert read_volume(Series("2.25.1.1", (*given.instances, copy))).hu.shape == SHAPE


def test_two_interleaved_steps_are_mixed_geometry(tmp_path):
    heights = (0.0, 4.0, 8.0, 12.0, 16.0, 18.5, 21.0, 23.5, 26.0)
    uneven = [
        slice_file(tmp_path, k, stack()[2], ImagePositionPatient=[-47.0, -48.75, height])
        for k, height in enumerate(heights)
    ]

    assert reason(series(*uneven)) is Exclusion.MIXED_GEOMETRY


STRAYS = {
    "orientation": {"image_orientation_patient": (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)},
    "spacing": {"pixel_spacing_mm": (2.5, 2.1)},
    "size": {"rows": 41},
    "place in the plane": {"image_position_patient": (-40.0, -48.75, 0.0)},
}


@pytest.mark.parametrize("change", STRAYS.values(), ids=STRAYS.keys())
def test_one_slice_that_differs_is_mixed_geometry(tmp_path, change):
    given = series_of(tmp_path).instances
    strayed = Series("2.25.1.1", (*given[:2], replace(given[2], **change), *given[3:]))

    assert reason(strayed) is Exclusion.MIXED_GEOMETRY


LACKING = {
    "no position": {"image_position_patient": None},
    "no orientation": {"image_orientation_patient": None},
    "orientation of zeros": {"image_orientation_patient": (0.0,) * 6},
    "skew orientation": {"image_orientation_patient": (1.0, 0.0, 0.0, 0.5, 0.8, 0.0)},
    "no pixel spacing": {"pixel_spacing_mm": None},
    "pixel spacing zero": {"pixel_spacing_mm": (0.0, 1.0)},
    "position not a number": {"image_position_patient": (0.0, float("nan"), 1.0)},
}


@pytest.mark.parametrize("change", LACKING.values(), ids=LACKING.keys())
def test_unusable_geometry_is_refused(tmp_path, change):
    given = series_of(tmp_path).instances
    lacking = Series("2.25.1.1", (replace(given[0], **change), *given[1:]))

    assert reason(lacking) is Exclusion.NO_GEOMETRY


def test_a_single_slice_is_no_volume(tmp_path):
    assert reason(Series("2.25.1.1", series_of(tmp_path).instances[:1])) is Exclusion.TOO_FEW_SLICES
