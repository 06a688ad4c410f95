import numpy as np
import pytest
from synthetic_spine import column

from screening.imaging.vertebral_body import measure_body

BODIES = ((10, 36), (46, 72), (82, 108))  # discs at 41 and 77


@pytest.mark.parametrize("centre", [(-24.0, 0.0), (-20.0, 4.0), (-28.0, -6.0)])
def test_the_axis_runs_through_the_middle_of_the_body(centre):
    body = measure_body(column(BODIES, centre), 41.0, 77.0)

    assert (body.w_mm, body.u_mm) == pytest.approx(centre, abs=2.0)


@pytest.mark.parametrize(("marrow_hu", "disc_hu"), [(220.0, 90.0), (120.0, 90.0), (60.0, 90.0), (40.0, 130.0)])
def test_end_plates_are_found_whether_marrow_or_disc_is_brighter(marrow_hu, disc_hu):
    body = measure_body(column(BODIES, marrow_hu=marrow_hu, disc_hu=disc_hu), 41.0, 77.0)

    assert (body.lower, body.upper) == pytest.approx((46, 72), abs=1.0)


@pytest.mark.parametrize("error_mm", [-4.0, 4.0])
def test_discs_a_few_mm_off_do_not_move_the_end_plates(error_mm):
    body = measure_body(column(BODIES), 41.0 + error_mm, 77.0 + error_mm)

    assert (body.lower, body.upper) == pytest.approx((46, 72), abs=1.0)


def test_a_collapsed_body_is_measured_as_low_as_it_is():
    body = measure_body(column(((10, 36), (46, 65), (82, 108))), 41.0, 75.0)

    assert body.upper - body.lower == pytest.approx(19, abs=2)


def test_a_body_cut_by_the_upper_edge_is_not_measured():
    cut = column(BODIES, sections=100)

    assert measure_body(cut, 77.0, 101.0) is None


def test_a_body_cut_by_the_lower_edge_is_not_measured():
    cut = column(((-20, 36), (46, 72)))
    cut.hu[:20] = np.nan

    assert measure_body(cut, 19.0, 41.0) is None
