"""The evaluation's own arithmetic, and its rule for chests."""

import numpy as np
import pytest
from contrast import BY_SCRIPT, Line, Verdict, blood_pool_hu, missed_targets, part_of, report

from screening.imaging.hounsfield import Volume
from screening.imaging.lumbar import Vertebra

UPRIGHT = np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]])
GOOD = [
    Line("series", "A", True, Verdict.ENHANCED, ""),
    Line("series", "B", False, Verdict.UNENHANCED, ""),
    Line("series", "C", False, Verdict.NOT_TOLD, "aorta -, kidneys -"),
    Line("slices", "D", True, Verdict.NOT_JUDGED, "a shoulder"),
]


def volume(hu):
    return Volume(np.asarray(hu, np.int16), (2.5, 1.5, 1.5), (0.0, 0.0, 0.0), UPRIGHT, 2.5, 120.0)


def chest(blood_hu, lungs=True):
    """Soft tissue with two lungs, a heart between them and a bright sternum 15 mm under the skin."""
    y, x = np.mgrid[-75:75, -120:120] * 1.5
    hu = np.full(y.shape, -1000.0)
    hu[np.hypot(x / 165, y / 105) < 1] = 50
    if lungs:
        hu[np.hypot((np.abs(x) - 75) / 45, y / 60) < 1] = -850
    hu[np.hypot(x, y + 20) < 25] = blood_hu
    hu[(np.abs(x) < 20) & (np.abs(y + 85) < 8)] = 350
    hu[np.hypot(x, y - 65) < 18] = 200
    return volume(hu[None])


SPINE = Vertebra("T11", (180.0, 177.5, 0.0), 15.0, -15.0, 1.0)


@pytest.mark.parametrize("blood_hu", [40, 95, 300])
def test_the_blood_of_a_chest_is_that_of_the_heart(blood_hu):
    assert blood_pool_hu(chest(blood_hu), SPINE) == pytest.approx(max(blood_hu, 50), abs=12)


def test_without_lungs_there_is_no_mediastinum():
    assert blood_pool_hu(chest(300, lungs=False), SPINE) is None


def test_a_part_keeps_its_place_in_the_patient():
    whole = volume(np.arange(40)[:, None, None] * np.ones((1, 4, 4)))
    part = part_of(whole, (Vertebra("L1", (0.0, 0.0, 50.0), 60.0, 40.0, 1.0),))

    assert part.hu[:, 0, 0].tolist() == list(range(16, 25))
    assert part.origin_mm == (0.0, 0.0, 40.0)


def test_an_unenhanced_scan_of_which_nothing_is_told_is_no_error():
    assert missed_targets(GOOD) == []


@pytest.mark.parametrize(
    ("enhanced", "verdict"),
    [(True, Verdict.UNENHANCED), (True, Verdict.NOT_TOLD), (False, Verdict.ENHANCED)],
)
def test_one_error_in_twenty_is_allowed_and_one_in_nineteen_is_not(enhanced, verdict):
    wrong = Line("series", "W", enhanced, verdict, "")
    rightly = Line("series", "R", enhanced, Verdict.ENHANCED if enhanced else Verdict.UNENHANCED, "")

    assert missed_targets([wrong] + [rightly] * 19) == []
    assert len(missed_targets([wrong] + [rightly] * 18)) == 1


def test_the_report_counts_by_set_and_names_what_was_not_told():
    text = report(GOOD)

    assert "| series | unenhanced | 2 | 0 | 1 | 1 | 0 |" in text
    assert "| slices | enhanced | 0 | 0 | 0 | 0 | 1 |" in text
    assert "- series, C: not told (aorta -, kidneys -)" in text


def test_slices_that_the_script_judged_say_nothing_of_the_product():
    assert missed_targets([Line(BY_SCRIPT, "W", True, Verdict.UNENHANCED, "")]) == []
