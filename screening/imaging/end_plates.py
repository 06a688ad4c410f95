"""Volume and named bodies -> both end plates of every body on its axis, found together.

Seen along the spine, attenuation rises at each lower end plate and falls at each upper one. A single plate can be
mistaken for its neighbour across a thin disc or a collapsed body; the whole alternating sequence with usual heights of
bodies and discs cannot so easily.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, spline_filter

from screening.imaging.hounsfield import Volume
from screening.imaging.lumbar import Vertebra

Floats = NDArray[np.float64]

STEP_MM = 0.5  # along the spine
MARGIN_MM = 40.0  # around the column, in every direction
BEYOND_MM = 15.0  # looked at above the highest and below the lowest plate
CORE_MM = np.arange(-7.5, 7.6, 2.5)  # averaged across the middle of the body, to the sides
CORE_DEPTH_MM = np.arange(-4.0, 4.1, 2.0)  # and from front to back
WINDOW_HU = (-100.0, 500.0)
PLATE_MM, GAP_MM = 2.5, 3.0  # an edge is the fall from what lies so far inside to what lies so far outside
BODY_RANGE_MM, DISC_RANGE_MM = (8.0, 40.0), (2.0, 18.0)
BODY_SPREAD = 0.25  # of the usual height; a crushed body has lost up to half
USUAL_DISC_MM, DISC_SPREAD_MM = 9.0, 4.0
PLACE_SPREAD_MM = 6.0  # of the localiser's plates
LEAST_EDGE_HU = 20.0  # less is no plate: between two thick slices a thin disc and one of its plates can vanish
PRIOR_HU = 40.0  # twice what is lost at one spread; the edge of a plate is 50-200 HU


@dataclass(frozen=True, slots=True)
class Column:
    """The line through the centres of the bodies, caudal to cranial, in steps of 0.5 mm."""

    points: Floats  # (n, 3) patient coordinates
    axes: Floats  # (n, 3) unit vectors along the line, towards the head

    def nearest(self, z_mm: float) -> int:
        """Place on the line at a height."""
        return int(np.abs(self.points[:, 2] - z_mm).argmin())


@dataclass(frozen=True, slots=True)
class EndPlates:
    """Outer edges of one body's end plates, as places on the column."""

    lower: int
    upper: int
    edge_hu: float  # of the fainter of the two

    @property
    def seen(self) -> bool:
        """Whether both plates show in the image; else one stands where it was expected."""
        return self.edge_hu >= LEAST_EDGE_HU


@dataclass(frozen=True, slots=True)
class SmoothVolume:
    """The part of a volume around the spine as a cubic spline, so that an edge may lie between two slices."""

    volume: Volume
    coefficients: NDArray[np.float32]
    first: NDArray[np.intp]  # (3,) index of the part's first voxel

    def at(self, patient_mm: Floats) -> Floats:
        """Attenuation (...) at points (..., 3), HU."""
        indices = np.moveaxis(self.volume.index(patient_mm) - self.first, -1, 0)
        values: Floats = map_coordinates(
            self.coefficients, indices, order=3, mode="nearest", prefilter=False, output=np.float64
        )
        return values

    def holds(self, patient_mm: Floats) -> bool:
        """Whether all points (..., 3) lie in the volume."""
        index = self.volume.index(patient_mm)
        return bool(np.all((index >= -0.5) & (index <= np.array(self.volume.hu.shape) - 0.5)))


def smooth_volume(volume: Volume, column: Column) -> SmoothVolume:
    """Cut the surroundings of the column out and clip what is neither soft tissue nor bone."""
    near = volume.index(column.points[:, None] + np.array([[-MARGIN_MM], [MARGIN_MM]]))
    last = np.array(volume.hu.shape) - 1
    low, high = (np.clip(end, 0, last).astype(np.intp) for end in (near.min(axis=(0, 1)), near.max(axis=(0, 1)) + 1))
    part = volume.hu[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))]
    clipped = np.clip(part, *WINDOW_HU).astype(np.float32)
    return SmoothVolume(volume, spline_filter(clipped, order=3, output=np.float32, mode="nearest"), low)


def spine_column(vertebrae: Sequence[Vertebra]) -> Column:
    """Draw the line through the bodies' centres and on beyond the outermost plates."""
    centres = np.array(sorted((vertebra.centre_mm for vertebra in vertebrae), key=lambda centre: centre[2]))
    low = min(vertebra.lower_z_mm for vertebra in vertebrae) - BEYOND_MM
    high = max(vertebra.upper_z_mm for vertebra in vertebrae) + BEYOND_MM
    ends = [_on_line(centres[1], centres[0], low), _on_line(centres[-2], centres[-1], high)]
    knots = np.concatenate([ends[:1], centres, ends[1:]])
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    places = np.arange(0.0, along[-1], STEP_MM)
    points = np.stack([np.interp(places, along, knots[:, axis]) for axis in range(3)], axis=1)
    axes = np.gradient(_smooth(points), axis=0)
    return Column(points, axes / np.linalg.norm(axes, axis=1, keepdims=True))


def find_end_plates(
    smooth: SmoothVolume, column: Column, vertebrae: Sequence[Vertebra], usual_mm: Sequence[float]
) -> list[EndPlates]:
    """Find the plates of all bodies, in the order of `vertebrae`.

    Args:
        smooth: the part of the series around the spine.
        column: line through the bodies.
        vertebrae: the bodies, cranial first.
        usual_mm: height that each body would usually have.
    """
    profile = _profile(smooth, column)
    rise, fall = _edges(profile)
    upwards = list(reversed(range(len(vertebrae))))
    rewards, gaps = [], []
    for place in upwards:
        vertebra = vertebrae[place]
        rewards += [rise - _far(column, vertebra.lower_z_mm), fall - _far(column, vertebra.upper_z_mm)]
        gaps += [_gap_costs(BODY_RANGE_MM, usual_mm[place], BODY_SPREAD * usual_mm[place])]
        gaps += [_gap_costs(DISC_RANGE_MM, USUAL_DISC_MM, DISC_SPREAD_MM)]
    path = _best_sequence(rewards, gaps[:-1])
    found = [
        EndPlates(lower, upper, float(min(rise[lower], fall[upper])))
        for lower, upper in zip(path[::2], path[1::2], strict=True)
    ]
    return found[::-1]


def _on_line(inner: Floats, outer: Floats, z_mm: float) -> Floats:
    """Go on straight from two points to a height."""
    share = (z_mm - outer[2]) / (outer[2] - inner[2])
    return np.asarray(outer + share * (outer - inner))


def _smooth(points: Floats) -> Floats:
    """Round the corners at the centres, over about a body's height."""
    reach = round(12.0 / STEP_MM)
    padded = np.pad(points, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    total = np.cumsum(np.concatenate([np.zeros((1, 3)), padded]), axis=0)
    mean: Floats = (total[2 * reach + 1 :] - total[: -2 * reach - 1]) / (2 * reach + 1)
    return mean


def _profile(smooth: SmoothVolume, column: Column) -> Floats:
    """Mean attenuation of the bodies' core at every place of the column."""
    depth, aside = np.meshgrid(CORE_DEPTH_MM, CORE_MM, indexing="ij")
    behind = np.array([0.0, 1.0, 0.0]) - column.axes[:, 1:2] * column.axes
    behind /= np.linalg.norm(behind, axis=1, keepdims=True)
    left = np.cross(behind, column.axes)
    points = (
        column.points[:, None]
        + depth.ravel()[None, :, None] * behind[:, None]
        + aside.ravel()[None, :, None] * left[:, None]
    )
    profile: Floats = smooth.at(points).mean(axis=1)
    return profile


def _edges(profile: Floats) -> tuple[Floats, Floats]:
    """Rise at a lower plate and fall at an upper one, going up, HU."""
    return edge_fall(profile[::-1, None])[::-1, 0], edge_fall(profile[:, None])[:, 0]


def edge_fall(picture: Floats) -> Floats:
    """Fall from the rows before each row to those after it, HU; rows lead out of the body in steps of `STEP_MM`."""
    inside = _mean_before(picture, round(PLATE_MM / STEP_MM))
    outside = _mean_before(picture[::-1], round(GAP_MM / STEP_MM))[::-1]
    fall = np.zeros_like(picture)
    fall[:-1] = inside[:-1] - outside[1:]
    return fall


def _mean_before(picture: Floats, rows: int) -> Floats:
    """Mean of each row and those before it."""
    padded = np.concatenate([np.repeat(picture[:1], rows, axis=0), picture])
    total = np.cumsum(padded, axis=0)
    mean: Floats = (total[rows:] - total[:-rows]) / rows
    return mean


def _far(column: Column, z_mm: float) -> Floats:
    """What a place loses by its distance from where the localiser put the plate."""
    cost: Floats = PRIOR_HU * ((column.points[:, 2] - z_mm) / PLACE_SPREAD_MM) ** 2 / 2
    return np.minimum(cost, 1e6)


def _gap_costs(range_mm: tuple[float, float], usual_mm: float, spread_mm: float) -> dict[int, float]:
    """Steps between two plates -> what they lose by being unusual."""
    steps = range(round(range_mm[0] / STEP_MM), round(range_mm[1] / STEP_MM) + 1)
    return {step: PRIOR_HU * ((step * STEP_MM - usual_mm) / spread_mm) ** 2 / 2 for step in steps}


def _best_sequence(rewards: Sequence[Floats], gaps: Sequence[dict[int, float]]) -> list[int]:
    """Ascending places, one a reward, with the highest sum less the cost of the gaps (dynamic programming)."""
    best, origins = rewards[0], []
    for reward, costs in zip(rewards[1:], gaps, strict=True):
        reached, origin = np.full_like(best, -np.inf), np.zeros(len(best), np.intp)
        for step, cost in costs.items():
            candidate = np.full_like(best, -np.inf)
            candidate[step:] = best[:-step] - cost
            better = candidate > reached
            reached[better], origin[better] = candidate[better], np.flatnonzero(better) - step
        best = reached + reward
        origins.append(origin)
    path = [int(best.argmax())]
    for origin in reversed(origins):
        path.append(int(origin[path[-1]]))
    return path[::-1]
