from dataclasses import replace

import numpy as np
import pytest
from blocks_of_bone import HEIGHT_MM, LEVELS, block_outline, block_spine, block_vertebrae

from screening.imaging.body_heights import USUAL_HEIGHTS, BodyHeights, height_losses, measure_heights
from screening.imaging.end_plates import STEP_MM, find_end_plates, smooth_volume, spine_column

WHOLE = (0.0, 0.0, 0.0)
OUTLINES = [block_outline(level) for level in LEVELS]
LINE = np.zeros((2, 3))
NO_METAL = (False, False, False, False)


def heights_of(body):
    return (body.anterior_mm, body.middle_mm, body.posterior_mm)


@pytest.mark.parametrize("spacing_mm", [1.0, 2.5, 5.0])
def test_whole_blocks_have_their_height_to_within_a_slice(spacing_mm):
    measured = measure_heights(block_spine({}, spacing_mm), block_vertebrae(), OUTLINES)

    for body in measured:
        assert heights_of(body) == pytest.approx([HEIGHT_MM] * 3, abs=spacing_mm + 1.1)


@pytest.mark.parametrize(
    ("loss", "place"),
    [((0.35, 0.15, 0.0), 0), ((0.0, 0.3, 0.0), 1), ((0.3, 0.3, 0.3), 2)],
    ids=["wedge", "biconcave", "crush"],
)
@pytest.mark.parametrize("spacing_mm", [1.0, 2.5])
def test_a_deformed_block_shows_where_it_has_lost_height(loss, place, spacing_mm):
    """Each height is a mean over a span, so that a deep middle counts a little less than its depth."""
    measured = measure_heights(block_spine({"L2": loss}, spacing_mm), block_vertebrae(), OUTLINES)

    _, fractured, below, _ = (heights_of(body) for body in measured)
    lost = [1 - height / whole for height, whole in zip(fractured, below, strict=True)]

    assert lost[place] == pytest.approx(loss[place], abs=0.1)
    assert lost[2] == pytest.approx(loss[2], abs=0.06)


@pytest.mark.parametrize("off_mm", [-5.0, 0.0, 5.0])
def test_plates_are_found_although_the_localiser_was_off(off_mm):
    volume, vertebrae = block_spine({}), block_vertebrae(off_mm)
    column = spine_column(vertebrae)

    plates = find_end_plates(smooth_volume(volume, column), column, vertebrae, [HEIGHT_MM] * 4)

    lower = [column.points[plate.lower, 2] for plate in plates]
    upper = [column.points[plate.upper, 2] for plate in plates]
    assert lower == pytest.approx([v.lower_z_mm - off_mm for v in vertebrae], abs=1.5)
    assert upper == pytest.approx([v.upper_z_mm - off_mm for v in vertebrae], abs=1.5)


def test_the_column_runs_through_the_centres_in_even_steps():
    column = spine_column(block_vertebrae())

    assert np.linalg.norm(np.diff(column.points, axis=0), axis=1) == pytest.approx(STEP_MM)
    assert column.axes == pytest.approx(np.tile([0.0, 0.0, 1.0], (len(column.axes), 1)))


def usual(level, share=WHOLE):
    expected = USUAL_HEIGHTS[level]
    return BodyHeights(*(27.0 * height * (1 - lost) for height, lost in zip(expected, share, strict=True)), LINE, LINE)


def test_usual_bodies_have_lost_nothing():
    losses = height_losses(LEVELS, [usual(level) for level in LEVELS], NO_METAL)
    assert losses == pytest.approx([0.0] * 4)


@pytest.mark.parametrize("share", [(0.22, 0.1, 0.0), (0.0, 0.22, 0.0), (0.22, 0.22, 0.22)])
def test_the_largest_loss_counts_against_the_neighbours(share):
    heights = [usual(level, share if level == "L2" else WHOLE) for level in LEVELS]

    losses = height_losses(LEVELS, heights, NO_METAL)

    assert losses[1] == pytest.approx(0.22)
    assert [losses[place] for place in (0, 2, 3)] == pytest.approx([0.0] * 3)


def test_bodies_with_metal_are_no_standard():
    crushed = (0.5, 0.5, 0.5)
    heights = [usual(level, crushed if level in ("L3", "L4") else WHOLE) for level in LEVELS]

    assert height_losses(LEVELS, heights, (False, False, True, True))[0] is None
    assert height_losses(LEVELS, heights, (False, False, False, True))[0] == pytest.approx(1 - 1 / 0.75)


def test_one_plate_lost_in_a_neighbour_does_not_make_a_fracture_of_a_body():
    """The back of L4 reads a quarter too high, as it does where a thin disc lies between two thick slices."""
    heights = [usual(level, (0.0, 0.0, -0.25) if level in ("L3", "L4") else WHOLE) for level in LEVELS]
    assert height_losses(LEVELS, heights, NO_METAL) == pytest.approx([0.0] * 4)


@pytest.mark.parametrize(("further_mm", "measured"), [(4.0, True), (6.5, False)])
def test_a_height_that_the_localiser_contradicts_is_none(further_mm, measured):
    whole = block_vertebrae()
    higher = replace(whole[1], upper_z_mm=whole[1].upper_z_mm + further_mm, lower_z_mm=whole[1].lower_z_mm - further_mm)

    heights = measure_heights(block_spine({}, 1.0), (whole[0], higher, *whole[2:]), OUTLINES)

    assert [body is not None for body in heights] == [True, measured, True, True]


def test_a_plate_that_does_not_show_leaves_its_body_without_heights():
    """Bone without end plates bridges the disc of L3 and L4."""
    volume = block_spine({}, 1.0)
    low, high = (round(float(volume.index(np.array([0.0, 0.0, z]))[0])) for z in (HEIGHT_MM / 2 - 4.0, 26.5))
    hu = volume.hu.copy()
    hu[low:high] = hu[low - 4]

    measured = measure_heights(replace(volume, hu=hu), block_vertebrae(), OUTLINES)

    assert [body is not None for body in measured] == [True, True, False, False]


def test_a_body_with_one_neighbour_cannot_be_judged():
    assert height_losses(("L1", "L2"), [usual("L1"), usual("L2")], (False, False)) == [None, None]


def test_a_body_whose_plate_leaves_the_volume_is_not_measured():
    whole = block_spine({})
    cut = whole.index(np.array([0.0, 0.0, -HEIGHT_MM / 2 - 1.0]))[0]
    first = round(float(cut))
    bottom = whole.patient_mm(np.array([first, 0.0, 0.0]))
    volume = replace(whole, hu=whole.hu[first:], origin_mm=tuple(float(mm) for mm in bottom))

    measured = measure_heights(volume, block_vertebrae(), OUTLINES)

    assert measured[-1] is None
    assert None not in measured[:-1]
    assert height_losses(LEVELS, measured, NO_METAL)[-1] is None
    assert height_losses(LEVELS, measured, NO_METAL)[0] == pytest.approx(0.05, abs=0.1)
