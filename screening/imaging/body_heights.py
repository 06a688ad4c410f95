"""Volume, bodies and their outlines -> anterior, middle and posterior height of each body, and what it has lost.

The heights are those of Genant's semiquantitative method (J Bone Miner Res 1993;8:1137), read in the middle third of
the body. A body is compared with the others of the same spine, each brought to a common scale by the heights that are
usual for its level.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from screening.imaging.end_plates import (
    GAP_MM,
    STEP_MM,
    Column,
    EndPlates,
    SmoothVolume,
    edge_fall,
    find_end_plates,
    smooth_volume,
    spine_column,
)
from screening.imaging.hounsfield import Volume
from screening.imaging.lumbar import Vertebra

Floats = NDArray[np.float64]

# Usual heights relative to the posterior height of L1: anterior, middle, posterior. General knowledge from morphometry
# of adults, rounded; the ratios of real spines scatter by about 5 %.
USUAL_HEIGHTS = {
    "T12": (0.91, 0.89, 0.96),
    "L1": (0.96, 0.92, 1.00),
    "L2": (1.00, 0.94, 1.02),
    "L3": (1.03, 0.95, 1.01),
    "L4": (1.05, 0.95, 0.98),
    "L5": (1.10, 0.97, 0.90),
}
USUAL_L1_MM = 27.0
LEAST_NEIGHBOURS = 2
# The plates on the axis are found twice, by the localiser and here. Where the two heights are further apart than two
# slices of 5 mm, a plate was lost between slices and another edge taken for it.
HEIGHTS_APART_MM = 10.0

HALF_WIDTH_MM, WIDTH_STEP_MM = 8.0, 2.0  # of the sagittal slab that is averaged
COLUMN_MM = 1.0  # between columns from front to back
RIM_MM = 2.0  # cortex in front and behind
REACH_MM = 8.0  # how far a plate may leave its place on the axis: a body wedged by half, or as deeply biconcave
ROOM_MM = 4.0  # beyond REACH_MM, for the edge filter
MIDLINE_MM = 4.0  # to each side of the middle: where front and back of the outline are read
ON_AXIS_MM = 2.0  # how far a plate may lie on the axis from where it was found there
SMOOTH_COLUMNS = 1.5  # SD: noise goes, the curve of a plate stays
BEND_HU = 100.0  # lost by moving 1 mm from one column to the next, against the fall of attenuation at the plate
MAXIMUM_BEND_STEPS = 3  # a slope of 1.5 mm in 1 mm
SPANS = ((0.05, 0.22), (0.40, 0.60), (0.78, 0.95))  # shares of the depth, from the front, where heights are read


@dataclass(frozen=True, slots=True)
class BodyHeights:
    """Distance of the end plates along the axis of the body."""

    anterior_mm: float
    middle_mm: float
    posterior_mm: float
    upper_plate_mm: Floats  # (n, 3) patient coordinates, from front to back
    lower_plate_mm: Floats


def measure_heights(
    volume: Volume, vertebrae: Sequence[Vertebra], outlines_mm: Sequence[Floats]
) -> list[BodyHeights | None]:
    """Measure all bodies of a spine; None where a plate leaves the volume in front or behind, or was not found.

    Args:
        volume: the series.
        vertebrae: at least two bodies, cranial first.
        outlines_mm: (n, 3) outer contour of each body in patient coordinates.
    """
    column = spine_column(vertebrae)
    usual = [USUAL_L1_MM * USUAL_HEIGHTS[vertebra.level][1] for vertebra in vertebrae]
    smooth = smooth_volume(volume, column)
    plates = find_end_plates(smooth, column, vertebrae, usual)
    return [
        _heights(smooth, column, plate, outline) if plate.seen and _agree(column, plate, vertebra) else None
        for plate, vertebra, outline in zip(plates, vertebrae, outlines_mm, strict=True)
    ]


def height_losses(
    levels: Sequence[str], heights: Sequence[BodyHeights | None], metal: Sequence[bool]
) -> list[float | None]:
    """Largest share that each body has lost of the heights the others let expect.

    What a body lets expect is the middle of its three heights: one plate of it may be broken, or lost between two thick
    slices. Bodies with metal in them expect nothing of others. None where the body was not measured or fewer than two
    others can be compared.
    """
    unknown = (np.nan, np.nan, np.nan)
    measured = np.array([(b.anterior_mm, b.middle_mm, b.posterior_mm) if b else unknown for b in heights])
    known = np.array([body is not None for body in heights])
    scaled = measured / np.array([USUAL_HEIGHTS[level] for level in levels])
    expected = np.median(scaled, axis=1)
    places = np.arange(len(levels))
    losses: list[float | None] = []
    for place in places:
        others = expected[(places != place) & known & ~np.asarray(metal)]
        comparable = known[place] and len(others) >= LEAST_NEIGHBOURS
        losses.append(float(1 - scaled[place].min() / np.median(others)) if comparable else None)
    return losses


def _agree(column: Column, plates: EndPlates, vertebra: Vertebra) -> bool:
    """Whether the plates stand as far apart, along the patient, as the localiser found."""
    height_mm = column.points[plates.upper, 2] - column.points[plates.lower, 2]
    return bool(abs(height_mm - (vertebra.upper_z_mm - vertebra.lower_z_mm)) <= HEIGHTS_APART_MM)


def _heights(smooth: SmoothVolume, column: Column, plates: EndPlates, outline_mm: Floats) -> BodyHeights | None:
    """Follow both plates from the axis to front and back."""
    middle = (plates.lower + plates.upper) // 2
    centre, axis = column.points[middle], column.axes[middle]
    behind = np.array([0.0, 1.0, 0.0]) - axis[1] * axis
    behind /= np.linalg.norm(behind)
    front, back = _midline_extent(outline_mm - centre, behind)
    depths = np.arange(front + RIM_MM, back - RIM_MM, COLUMN_MM)
    lower, upper = ((column.points[place] - centre) @ axis for place in (plates.lower, plates.upper))
    heights = np.arange(lower - REACH_MM - ROOM_MM, upper + REACH_MM + ROOM_MM, STEP_MM)
    picture = _sagittal(smooth, centre, axis, behind, heights, depths)
    above = heights[_plate(picture, heights - upper, depths)]
    below = heights[::-1][_plate(picture[::-1], lower - heights[::-1], depths)]
    across = centre + depths[:, None] * behind
    upper_mm, lower_mm = (across + along[:, None] * axis for along in (above, below))
    straight = [across + (upper + GAP_MM) * axis, across + (lower - GAP_MM) * axis]  # else the path is pushed inwards
    if not smooth.holds(np.concatenate([upper_mm + GAP_MM * axis, lower_mm - GAP_MM * axis, *straight])):
        return None
    share = (depths - front) / (back - front)
    anterior, middle_height, posterior = (
        float((above - below)[(share >= low) & (share <= high)].mean()) for low, high in SPANS
    )
    return BodyHeights(anterior, middle_height, posterior, upper_mm, lower_mm)


def _midline_extent(contour: Floats, behind: Floats) -> tuple[float, float]:
    """Front and back of the contour near its middle, mm along `behind`."""
    middle = (contour[:, 0].max() + contour[:, 0].min()) / 2
    near = contour[np.abs(contour[:, 0] - middle) < MIDLINE_MM] @ behind
    centre = (near.max() + near.min()) / 2
    return float(near[near < centre].mean()), float(near[near > centre].mean())


def _sagittal(
    smooth: SmoothVolume, centre: Floats, axis: Floats, behind: Floats, heights: Floats, depths: Floats
) -> Floats:
    """Attenuation (heights, depths), averaged across the middle of the body."""
    aside = np.cross(behind, axis)
    across = np.arange(-HALF_WIDTH_MM, HALF_WIDTH_MM + 0.1, WIDTH_STEP_MM)
    points = (
        centre
        + heights[:, None, None, None] * axis
        + depths[None, :, None, None] * behind
        + across[None, None, :, None] * aside
    )
    picture: Floats = gaussian_filter1d(smooth.at(points).mean(axis=2), SMOOTH_COLUMNS, axis=1)
    return picture


def _plate(picture: Floats, beyond_mm: Floats, depths: Floats) -> NDArray[np.intp]:
    """Row of the end plate in every column; `beyond_mm` is each row's distance outwards from the plate on the axis."""
    reward = edge_fall(picture)
    allowed = np.minimum(ON_AXIS_MM + np.abs(depths), REACH_MM)  # on the axis it is where it was found
    reward[np.abs(beyond_mm)[:, None] > allowed] = -np.inf
    return _smoothest(reward)


def _smoothest(reward: Floats) -> NDArray[np.intp]:
    """Row per column of the path with the highest reward that bends little (dynamic programming)."""
    rows, columns = reward.shape
    steps = np.arange(-MAXIMUM_BEND_STEPS, MAXIMUM_BEND_STEPS + 1)
    cost = BEND_HU * (steps * STEP_MM / COLUMN_MM) ** 2
    best, origins = reward[:, 0], np.zeros((columns, rows), np.intp)
    for column in range(1, columns):
        padded = np.pad(best, MAXIMUM_BEND_STEPS, constant_values=-np.inf)
        shifted = [padded[MAXIMUM_BEND_STEPS + step : MAXIMUM_BEND_STEPS + step + rows] for step in steps]
        reached = np.stack(shifted) - cost[:, None]
        choice = reached.argmax(axis=0)
        origins[column] = np.clip(np.arange(rows) + steps[choice], 0, rows - 1)
        best = reached.max(axis=0) + reward[:, column]
    path = [int(best.argmax())]
    for column in range(columns - 1, 0, -1):
        path.append(int(origins[column, path[-1]]))
    return np.array(path[::-1])
