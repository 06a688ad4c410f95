"""Volume and vertebrae -> attenuation of aortic blood and of bright kidneys, the witnesses of intravenous contrast.

The aorta is found as a tube: a round outline of 6 to 16 mm radius in front and left of the vertebral bodies that goes
on smoothly from slab to slab and holds one even fluid. Bowel, however bright, does not; calcified walls lie outside
the core that is read. Where no such tube is found the answer is None, not a guess.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_opening, gaussian_filter, label, map_coordinates, uniform_filter1d

from screening.imaging.hounsfield import Volume
from screening.imaging.lumbar import Vertebra

Floats = NDArray[np.float64]

LEVELS_ABOVE_BIFURCATION = frozenset({"T11", "T12", "L1", "L2", "L3", "L4"})  # the aorta divides at L4
SLAB_MM = 5.0
BLUR_MM = 1.5
# where the centre of the aorta may lie, mm from the centre of the body: rows (posterior +) and columns (left +)
AORTA_ROWS_MM = np.arange(-66.0, -13.0, 3.0)
AORTA_COLUMNS_MM = np.arange(-17.0, 47.0, 3.0)
USUAL_COLUMN_MM, COLUMN_SPREAD_MM = 10.0, 15.0
RADII_MM = np.arange(6.0, 17.0, 1.5)  # to 16 mm: beyond 30 mm diameter it is an aneurysm
WALL_MM = 2.0  # inside and outside of the wall are looked at this far from it
CORE_RADIUS_MM = 4.0
CORE_SHARE = 0.6  # of the radius: what is read
# tissue around an unenhanced vessel lies between fat and muscle; brighter blood shall not make other edges count less
EDGE_RANGE_HU = (-100.0, 120.0)
EDGE_GAIN_HU = (-20.0, 60.0)  # one arc may lie on bone, or on a vein of the same attenuation
BLOOD_RANGE_HU = (15.0, 800.0)
UNEVENNESS_WEIGHT = 0.6
STEP_PENALTY = 0.28  # HU per mm2 of sideways movement between slabs: 28 HU for 10 mm
MAXIMUM_STEP_MM = 9.0
MINIMUM_SLABS = 3  # from the middle of L4 to its upper end plate: all that a scan of L4 and L5 shows of the aorta
MINIMUM_SCORE_HU = 29.0  # chosen so that tracks laid through bowel, muscle, cava or kidney fail
MAXIMUM_VARIATION_HU = 4.0  # median absolute deviation along the vessel, after a moving mean over 15 mm
MAXIMUM_VARIATION_SHARE = 0.05  # of the blood's attenuation: a bolus is not mixed evenly along the vessel
ABOVE_TOP_MM = 15.0  # the next disc and the lower end of the next body: the vessel's course does not stop at a body
NEIGHBOURING_SLABS = 3

KIDNEY_LEVELS = frozenset({"T12", "L1", "L2", "L3"})
KIDNEY_GRID_MM = 3.0
KIDNEY_LATERAL_MM = np.arange(30.0, 84.0, KIDNEY_GRID_MM)
KIDNEY_ROWS_MM = np.arange(-25.0, 42.0, KIDNEY_GRID_MM)
BRIGHT_PARENCHYMA_HU = (80.0, 350.0)  # unenhanced parenchyma is 25 to 45 HU, bone and excreted contrast are brighter
MINIMUM_PARENCHYMA_ML = 10.0  # on either side; a kidney has about 150 ml
GAS_BELOW_HU = -300.0
MAXIMUM_GAS_SHARE = 0.1  # of the shell of 6 mm around it: colon full of contrast by mouth holds gas too

_ANGLES = 2 * np.pi * np.arange(16) / 16
_DIRECTIONS = np.stack([np.sin(_ANGLES), np.cos(_ANGLES)])  # row, column
_GRID = np.stack(np.meshgrid(AORTA_ROWS_MM, AORTA_COLUMNS_MM, indexing="ij"), axis=-1).reshape(-1, 2)
_MARGIN_MM = RADII_MM[-1] + 2 * WALL_MM
_CROP_ORIGIN_MM = np.array([AORTA_ROWS_MM[0], AORTA_COLUMNS_MM[0]]) - _MARGIN_MM
_CROP_END_MM = np.array([AORTA_ROWS_MM[-1], AORTA_COLUMNS_MM[-1]]) + _MARGIN_MM


@dataclass(frozen=True, slots=True)
class _Slab:
    """One axial slab around the possible places of the aorta, 1 mm pixels."""

    crop: Floats
    score_hu: Floats  # (places,) how vessel-like the best circle at each place is
    radius_mm: Floats  # (places,) of that circle


def aorta_hu(volume: Volume, vertebrae: tuple[Vertebra, ...]) -> float | None:
    """Median attenuation of the abdominal aorta's core, or None where no vessel can be followed with confidence."""
    near = tuple(v for v in vertebrae if v.level in LEVELS_ABOVE_BIFURCATION)
    if not near:
        return None
    heights = _heights(volume, near)
    slabs = [_vessel_scores(_slab_crop(volume, body_axis_mm(near, float(height)))) for height in heights]
    if len(slabs) < MINIMUM_SLABS:
        return None
    track = _smoothest_track([slab.score_hu for slab in slabs])
    score = np.median([slab.score_hu[place] for slab, place in zip(slabs, track, strict=True)])
    blood = np.array([_core_hu(slab, place) for slab, place in zip(slabs, track, strict=True)])
    median = float(np.median(blood))
    variation = np.median(np.abs(uniform_filter1d(blood, NEIGHBOURING_SLABS) - median))
    if score < MINIMUM_SCORE_HU or variation > max(MAXIMUM_VARIATION_HU, MAXIMUM_VARIATION_SHARE * median):
        return None
    return median


def _heights(volume: Volume, vertebrae: tuple[Vertebra, ...]) -> Floats:
    """Heights of the slabs, mm: from the middle of the lowest body to just above the highest, inside the volume."""
    top_of_volume = max(volume.patient_mm(np.array([slice_, 0.0, 0.0]))[2] for slice_ in (0, len(volume.hu) - 1))
    top = min(max(v.upper_z_mm for v in vertebrae) + ABOVE_TOP_MM, float(top_of_volume))
    return np.arange(min(v.centre_mm[2] for v in vertebrae), top, SLAB_MM)


def bright_kidneys_hu(volume: Volume, vertebrae: tuple[Vertebra, ...]) -> float | None:
    """Attenuation of enhanced renal parenchyma (the darker side), or None where not both kidneys are bright."""
    near = tuple(v for v in vertebrae if v.level in KIDNEY_LEVELS)
    if not near:
        return None
    heights = np.arange(min(v.lower_z_mm for v in near), max(v.upper_z_mm for v in near), KIDNEY_GRID_MM)
    sides = [_bright_parenchyma_hu(_flank(volume, near, heights, side)) for side in (-1.0, 1.0)]
    found = [hu for hu in sides if hu is not None]
    return min(found) if len(found) == 2 else None


def body_axis_mm(vertebrae: tuple[Vertebra, ...], z_mm: float) -> Floats:
    """Point (x, y, z) of the line through the bodies' centres at a height."""
    ascending = sorted(vertebrae, key=lambda v: v.centre_mm[2])
    heights = [v.centre_mm[2] for v in ascending]
    x, y = (np.interp(z_mm, heights, [v.centre_mm[axis] for v in ascending]) for axis in (0, 1))
    return np.array([x, y, z_mm])


def _slab_crop(volume: Volume, centre_mm: Floats) -> Floats:
    """Mean of a 5 mm slab around the possible places of the aorta, resampled to 1 mm."""
    middle = volume.index(centre_mm)
    half = SLAB_MM / 2 / volume.spacing_mm[0]
    first = int(np.clip(np.ceil(middle[0] - half), 0, len(volume.hu) - 1))
    last = int(np.clip(np.floor(middle[0] + half), first, len(volume.hu) - 1))
    slab = volume.hu[first : last + 1].mean(axis=0)
    rows, columns = (
        middle[axis + 1] + np.arange(_CROP_ORIGIN_MM[axis], _CROP_END_MM[axis] + 1) / volume.spacing_mm[axis + 1]
        for axis in (0, 1)
    )
    crop: Floats = map_coordinates(slab, np.meshgrid(rows, columns, indexing="ij"), order=1, mode="nearest")
    return crop


def _vessel_scores(crop: Floats) -> _Slab:
    """Rate every place by the roundness of the best edge around it and the evenness of what it encloses."""
    smooth = gaussian_filter(crop, BLUR_MM)
    edges = np.clip(smooth, *EDGE_RANGE_HU)
    by_radius = [
        np.clip(_on_circles(edges, radius - WALL_MM) - _on_circles(edges, radius + WALL_MM), *EDGE_GAIN_HU).mean(axis=1)
        for radius in RADII_MM
    ]
    best = np.argmax(by_radius, axis=0)
    core = np.concatenate([_on_circles(smooth, share * CORE_RADIUS_MM) for share in (0.0, 0.5, 1.0)], axis=1)
    level = np.median(core, axis=1)
    no_blood = (level < BLOOD_RANGE_HU[0]) | (level > BLOOD_RANGE_HU[1])
    unusual = ((_GRID[:, 1] - USUAL_COLUMN_MM) / COLUMN_SPREAD_MM) ** 2
    score = np.max(by_radius, axis=0) - UNEVENNESS_WEIGHT * core.std(axis=1) - 4.0 * unusual - 100.0 * no_blood
    return _Slab(crop, score, RADII_MM[best])


def _on_circles(picture: Floats, radius_mm: float) -> Floats:
    """Values (places, angles) on circles around all places."""
    points = (_GRID - _CROP_ORIGIN_MM).T[:, :, None] + radius_mm * _DIRECTIONS[:, None, :]
    values: Floats = map_coordinates(picture, points, order=1, mode="nearest")
    return values


def _smoothest_track(scores: list[Floats]) -> list[int]:
    """Place per slab of the best-scoring path that moves little between slabs (dynamic programming)."""
    moves = ((_GRID[:, None] - _GRID[None]) ** 2).sum(axis=-1)
    costs = np.where(moves > MAXIMUM_STEP_MM**2, np.inf, STEP_PENALTY * moves)
    total, origins = scores[0], []
    for score in scores[1:]:
        reached = total[:, None] - costs
        origins.append(reached.argmax(axis=0))
        total = reached.max(axis=0) + score
    track = [int(total.argmax())]
    for origin in reversed(origins):
        track.append(int(origin[track[-1]]))
    return track[::-1]


def _core_hu(slab: _Slab, place: int) -> float:
    """Median attenuation inside the wall at one place."""
    row, column = _GRID[place] - _CROP_ORIGIN_MM
    rows, columns = np.indices(slab.crop.shape)
    core = np.hypot(rows - row, columns - column) <= CORE_SHARE * slab.radius_mm[place]
    return float(np.median(slab.crop[core]))


def _flank(volume: Volume, vertebrae: tuple[Vertebra, ...], heights: Floats, side: float) -> Floats:
    """Attenuation (heights, rows, columns) beside the spine on a 3 mm grid; `side` is +1 for the patient's left."""
    axis = np.array([body_axis_mm(vertebrae, float(height)) for height in heights])[:, None, None, :]
    rows, columns = np.meshgrid(KIDNEY_ROWS_MM, side * KIDNEY_LATERAL_MM, indexing="ij")
    offsets = np.stack([columns, rows, np.zeros_like(rows)], axis=-1)
    indices = np.moveaxis(volume.index(axis + offsets), -1, 0)
    flank: Floats = map_coordinates(volume.hu, indices, order=1, mode="nearest", output=np.float64)
    return flank


def _bright_parenchyma_hu(flank: Floats) -> float | None:
    """Median of the largest compact bright region, or None where it is part of no kidney: too small, or bowel."""
    smooth = gaussian_filter(flank, 1.0)
    bright = (smooth > BRIGHT_PARENCHYMA_HU[0]) & (smooth < BRIGHT_PARENCHYMA_HU[1])
    regions, count = label(binary_opening(bright, iterations=2))
    if not count:
        return None
    sizes = np.bincount(regions.ravel())[1:]
    if sizes.max() * KIDNEY_GRID_MM**3 / 1000 < MINIMUM_PARENCHYMA_ML:
        return None
    region = regions == sizes.argmax() + 1
    shell = binary_dilation(region, iterations=2) & ~region
    return float(np.median(flank[region])) if np.mean(flank[shell] < GAS_BELOW_HU) < MAXIMUM_GAS_SHARE else None
