import numpy as np
import pytest
from synthetic_spine import column, muscle, straight, u_mm, w_mm

from screening.imaging.spine_profiles import RIB_BLIND_MM, profile_spine

BEHIND = np.flatnonzero((w_mm() >= -4) & (w_mm() <= 4))


def ribbed(start, slope):
    """Draw ribs, 8 mm wide, on both sides: 46 mm from the canal at `start`, descending outwards."""
    hu = muscle(140)
    for column_index in np.flatnonzero(np.abs(u_mm()) >= 30):
        at = start - slope * (abs(u_mm()[column_index]) - 46.0)
        sections = np.flatnonzero(np.abs(np.arange(140) - at) <= 4 * np.hypot(1, slope))
        hu[np.ix_(sections, BEHIND, [column_index])] = 350
    return straight(hu)


@pytest.mark.parametrize("slope", [0.3, 1.0, 1.8])
def test_a_rib_stands_out_where_it_leaves_the_column(slope):
    rib = profile_spine(ribbed(100, slope)).anatomy["rib"]

    assert int(np.nanargmax(rib)) == pytest.approx(100, abs=6)
    assert np.nanmax(rib) > 0.5


def test_the_edge_of_a_bright_organ_is_no_rib():
    hu = muscle(140)
    hu[70:, :, np.abs(u_mm()) >= 30] = 250

    assert np.nanmax(profile_spine(straight(hu)).anatomy["rib"]) < 0.05


def test_near_the_lower_end_ribs_are_unknown_not_absent():
    rib = profile_spine(straight(muscle(140))).anatomy["rib"]

    assert np.isnan(rib[: int(RIB_BLIND_MM)]).all()
    assert np.isfinite(rib[int(RIB_BLIND_MM) + 1 : -25]).all()


def test_near_the_upper_end_a_rib_counts_and_its_absence_does_not():
    rib = profile_spine(ribbed(124, 1.0)).anatomy["rib"]
    nothing = profile_spine(straight(muscle(140))).anatomy["rib"]

    assert int(np.nanargmax(rib)) == pytest.approx(124, abs=4)
    assert np.nanmax(rib) > 0.5
    assert np.isnan(nothing[-20:]).all()


def test_regions_outside_the_volume_are_unknown():
    spine = straight(muscle(100))
    spine.hu[:, :, np.abs(u_mm()) > 40] = np.nan

    anatomy = profile_spine(spine).anatomy

    assert np.isnan(anatomy["ilium"]).all()
    assert np.isfinite(anatomy["core"]).all()


def test_the_iliac_wings_count_only_where_both_are_seen():
    hu = muscle(100)
    hu[:, :, u_mm() > 60] = 600
    one_sided = profile_spine(straight(hu)).anatomy["ilium"]
    hu[:, :, u_mm() < -60] = 600
    both = profile_spine(straight(hu)).anatomy["ilium"]

    assert one_sided.max() == pytest.approx(0.0)
    assert both.min() > 0.5


@pytest.mark.parametrize(("marrow_hu", "disc_hu"), [(220.0, 90.0), (60.0, 90.0)])
def test_the_end_plate_rhythm_peaks_at_discs_in_young_and_old_bone(marrow_hu, disc_hu):
    spine = column(((10, 36), (46, 72), (82, 108)), marrow_hu=marrow_hu, disc_hu=disc_hu)

    endplate = profile_spine(spine).endplate

    assert 28 + int(endplate[28:55].argmax()) == pytest.approx(41, abs=5)
    assert endplate[59] < 0
