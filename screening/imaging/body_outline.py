"""Volume and Vertebra -> outline of the vertebral body in its central slab.

A closed contour is traced by dynamic programming on rays from the body's centre: bright cortex inside, soft tissue or
fat outside. An ellipse of plausible size, fitted first, bridges pedicles and canal where bone goes on, and corrects
centres that are a few mm off.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from screening.imaging.hounsfield import Volume
from screening.imaging.lumbar import Vertebra

Floats = NDArray[np.float64]

SLAB_HALF_MM = 5.0  # the middle third of a body of 27 mm: away from both end plates
CROP_HALF_MM = 48.0
CROP_STEP_MM = 0.5
BLUR_MM = 0.8
EDGE_RANGE_HU = (-50.0, 400.0)  # neither fat nor dense osteophytes shall outweigh the rest of the contour
RAYS = 96
INTERIOR_SHARES = np.array([0.35, 0.7])  # of the ellipse's radius: away from the cortex
UNEVENNESS_WEIGHT = 2.0
EVERY_RAY, COARSE_RAYS = slice(None), slice(None, None, 4)
RADII_MM = np.arange(8.0, 36.0, 0.5)
# lateral and antero-posterior half axes of adult lumbar bodies
HALF_WIDTHS_MM = np.arange(17.0, 30.0, 1.5)
HALF_DEPTHS_MM = np.arange(12.0, 21.0, 1.0)
CENTRE_SHIFTS_MM = np.arange(-8.0, 9.0, 2.0)  # how far off a given centre may be
SHIFT_PENALTY_HU = 20.0  # of mean edge at the farthest shift, so that doubt leaves the centre where it was
INSIDE_MM, OUTSIDE_MM = -1.0, 2.0  # where an edge is looked at, from its radius
# the posterior wall has no cortex where the basivertebral vein leaves, only a step from marrow to canal
CANAL_STEPS_MM = ((-5.0, -3.0, -1.0), (3.0, 5.0, 7.0))
CANAL_WEIGHT = 2.0
CORTEX_WEIGHT = 0.35  # brightness of the rim itself, beside the fall to its outside
STRAY_MM = 4.0  # from the ellipse at which the penalty equals one typical edge
TYPICAL_EDGE_HU = 150.0
MAXIMUM_BEND_STEPS = 2  # radii steps between neighbouring rays

_ANGLES = 2 * np.pi * np.arange(RAYS) / RAYS  # 0 towards patient left, growing towards posterior
_RAYS = np.stack([np.sin(_ANGLES), np.cos(_ANGLES)], axis=1)  # (rays, 2) as row, column
_TOWARDS_CANAL = _RAYS[:, 0] > 0.9  # within 26 degrees of posterior: half the width of the canal
# the posterior wall alone tells body from canal; beside it bone goes on into the pedicles and says little
_RAY_WEIGHTS = np.select([_TOWARDS_CANAL, _RAYS[:, 0] > 0.3], [2.0, 0.5], 1.0)


@dataclass(frozen=True, slots=True)
class BodyOutline:
    """Outer contour of the body in the mean of its central slab, in polar form.

    Plane coordinates are mm along rows (towards posterior) and columns (towards left) from array row 0, column 0.
    """

    origin: Floats  # (2,) where the rays start
    radii: Floats  # (rays,) mm; ray 0 points to the left, then on towards posterior
    slices: range  # array indices of the slab
    plane: int  # the slice nearest to the vertebra's centre
    edge_hu: float  # mean fall from rim to outside along the contour

    def points(self) -> Floats:
        """Contour (rays, 2) in plane coordinates."""
        points: Floats = self.origin + self.radii[:, None] * _RAYS
        return points

    def centre(self) -> Floats:
        """Middle of the contour's extent in plane coordinates."""
        points = self.points()
        centre: Floats = (points.max(axis=0) + points.min(axis=0)) / 2
        return centre

    def depth_mm(self) -> float:
        """Antero-posterior depth, mean over the middle 8 mm of the body."""
        rows, columns = (self.points() - self.centre()).T
        near_middle = np.abs(columns) < 4.0
        return float(rows[near_middle & (rows > 0)].mean() - rows[near_middle & (rows < 0)].mean())

    def inner_distance_mm(self, rows_mm: Floats, columns_mm: Floats) -> Floats:
        """Distance to the contour along the ray through each plane coordinate; negative outside."""
        down, left = rows_mm - self.origin[0], columns_mm - self.origin[1]
        turn = np.mod(np.arctan2(down, left), 2 * np.pi) * RAYS / (2 * np.pi)
        radius = np.interp(turn, np.arange(RAYS + 1), np.append(self.radii, self.radii[0]))
        inner: Floats = radius - np.hypot(down, left)
        return inner


def trace_body(volume: Volume, vertebra: Vertebra) -> BodyOutline:
    """Trace the outer cortex of one body."""
    middle = volume.index(np.array(vertebra.centre_mm))
    slices = central_slices(volume, float(middle[0]))
    middle_mm = middle[1:] * volume.spacing_mm[1:]
    crop = _crop(volume, slices, middle_mm)
    half_depth, half_width, *shift = _best_ellipse(crop)
    expected = _ellipse_radii(np.array(half_depth), np.array(half_width), EVERY_RAY)
    score = _edge_score(crop, np.array(shift), np.broadcast_to(RADII_MM, (RAYS, len(RADII_MM))), EVERY_RAY)
    reward = score / TYPICAL_EDGE_HU - ((RADII_MM - expected[:, None]) / STRAY_MM) ** 2
    chosen = _closed_path(reward)
    return BodyOutline(
        origin=middle_mm + shift,
        radii=RADII_MM[chosen],
        slices=slices,
        plane=int(np.clip(np.rint(middle[0]), 0, len(volume.hu) - 1)),
        edge_hu=float(score[np.arange(RAYS), chosen].mean()),
    )


def central_slices(volume: Volume, middle: float) -> range:
    """Array indices of the slices within 5 mm of a fractional slice index; at least the nearest one."""
    half = SLAB_HALF_MM / volume.spacing_mm[0]
    first, last = int(np.ceil(middle - half)), int(np.floor(middle + half))
    if first > last:
        first = last = int(np.rint(middle))
    return range(max(first, 0), min(last, len(volume.hu) - 1) + 1)


def _crop(volume: Volume, slices: range, middle_mm: Floats) -> Floats:
    """Mean of the slab around (row, column) in mm, resampled to square pixels, smoothed and clipped."""
    slab = volume.hu[slices.start : slices.stop].mean(axis=0)
    offsets = np.arange(-CROP_HALF_MM, CROP_HALF_MM + CROP_STEP_MM, CROP_STEP_MM)
    rows = (middle_mm[0] + offsets) / volume.spacing_mm[1]
    columns = (middle_mm[1] + offsets) / volume.spacing_mm[2]
    crop = map_coordinates(slab, np.meshgrid(rows, columns, indexing="ij"), order=1, mode="nearest")
    smooth: Floats = np.clip(gaussian_filter(crop, BLUR_MM / CROP_STEP_MM), *EDGE_RANGE_HU)
    return smooth


def _edge_score(crop: Floats, shift: Floats, radii: Floats, rays: slice) -> Floats:
    """Fall of attenuation across radii (..., rays, n) from a centre shifted by (row, column), HU."""
    inside, outside = (_at(crop, shift, radii + step, rays) for step in (INSIDE_MM, OUTSIDE_MM))
    rim = inside - outside + CORTEX_WEIGHT * inside
    body, canal = (
        np.mean([_at(crop, shift, radii + step, rays) for step in steps], axis=0) for steps in CANAL_STEPS_MM
    )
    return np.where(_TOWARDS_CANAL[rays, None], CANAL_WEIGHT * (body - canal) + 0.5 * rim, rim)


def _at(crop: Floats, shift: Floats, radii: Floats, rays: slice) -> Floats:
    rows = shift[..., 0] + radii * _RAYS[rays, 0, None]
    columns = shift[..., 1] + radii * _RAYS[rays, 1, None]
    pixels = (np.stack([rows, columns]) + CROP_HALF_MM) / CROP_STEP_MM
    values: Floats = map_coordinates(crop, pixels, order=1, mode="nearest")
    return values


def _ellipse_radii(half_depth: Floats, half_width: Floats, rays: slice) -> Floats:
    """Radii (..., rays) of ellipses."""
    sines, cosines = _RAYS[rays, 0], _RAYS[rays, 1]
    radii: Floats = 1 / np.hypot(sines / half_depth[..., None], cosines / half_width[..., None])
    return radii


def _best_ellipse(crop: Floats) -> tuple[float, float, float, float]:
    """Half depth, half width and centre shift (row, column) of the ellipse with the strongest edge, mm."""
    grid = np.stack(
        np.meshgrid(HALF_DEPTHS_MM, HALF_WIDTHS_MM, CENTRE_SHIFTS_MM, CENTRE_SHIFTS_MM, indexing="ij"), axis=-1
    ).reshape(-1, 4)
    radii = _ellipse_radii(grid[:, 0], grid[:, 1], COARSE_RAYS)[..., None]
    edges = _edge_score(crop, grid[:, None, None, 2:], radii, COARSE_RAYS)[..., 0]
    support = edges @ _RAY_WEIGHTS[COARSE_RAYS] / _RAY_WEIGHTS[COARSE_RAYS].sum()
    doubt = SHIFT_PENALTY_HU * (grid[:, 2:] ** 2).sum(axis=1) / CENTRE_SHIFTS_MM[-1] ** 2
    best = grid[np.argmax(support - doubt - UNEVENNESS_WEIGHT * _unevenness(crop, grid, radii))]
    return float(best[0]), float(best[1]), float(best[2]), float(best[3])


def _unevenness(crop: Floats, grid: Floats, radii: Floats) -> Floats:
    """Spread of attenuation within each ellipse, HU: a body is even, canal with laminae is not."""
    within = radii * INTERIOR_SHARES
    spread: Floats = _at(crop, grid[:, None, None, 2:], within, COARSE_RAYS).std(axis=(1, 2))
    return spread


def _closed_path(reward: Floats) -> NDArray[np.intp]:
    """Index of the radius per ray of the best path round; two turns are run and the middle one is kept."""
    turns = np.concatenate([reward, reward])
    best = turns[0].copy()
    origins = np.zeros(turns.shape, dtype=np.intp)
    steps = np.arange(-MAXIMUM_BEND_STEPS, MAXIMUM_BEND_STEPS + 1)
    reachable = np.clip(np.arange(turns.shape[1])[:, None] + steps, 0, turns.shape[1] - 1)
    for ray in range(1, len(turns)):
        origins[ray] = reachable[np.arange(len(reachable)), np.argmax(best[reachable], axis=1)]
        best = best[origins[ray]] + turns[ray]
    path = np.empty(len(turns), dtype=np.intp)
    path[-1] = int(np.argmax(best))
    for ray in range(len(turns) - 1, 0, -1):
        path[ray - 1] = origins[ray, path[ray]]
    half = RAYS // 2
    return np.concatenate([path[RAYS : RAYS + half], path[half:RAYS]])
