"""Volume -> course of the spinal canal -> volume straightened along it.

The canal is the one structure of the spine that is present, and looks alike, at every level: a soft round hole with
bone behind and beside it and a vertebral body or disc in front. A path through it gives a frame of reference in
which pedicles, discs, ribs and the iliac wings of any patient lie at the same place.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, sparse

from screening.errors import Excluded, Exclusion
from screening.imaging.hounsfield import Volume

Floats = NDArray[np.float32]
Points = NDArray[np.float64]
Mask = NDArray[np.bool_]

PIXEL_MM = 2.0  # in-plane grid for tracking; the canal is 15-25 mm wide
STEP_MM = 2.5  # slice step for tracking
CELL_PX = 2  # the path moves on cells of 4 mm
PATH_SD_SLICES = 4.5  # 11 mm: keeps the lordosis, drops the jitter
ARC_STEP_MM = 1.0  # between straightened sections
GRID_MM = 2.0  # pixel of a straightened section
LATERAL_MM = 96.0  # half width of a section: reaches the iliac wings
DEPTH_MM = (-50.0, 50.0)  # antero-posterior extent of a section, posterior positive
SHORTEST_MM = 60.0  # two bodies and their discs; less cannot name a level
SEARCH_MM = 80.0  # to either side of the patient's middle
FRONT_SHARE = 0.35  # of the depth of the patient that cannot hold the canal


@dataclass(frozen=True, slots=True)
class StraightSpine:
    """Sections perpendicular to the canal, 1 mm apart, caudal to cranial.

    `hu` is (sections, w, u) with w from anterior to posterior and u from right to left, both in mm from the canal;
    NaN lies outside the volume. `path_mm` holds the canal centre of each section as slice, row and column offset in
    mm from voxel (0, 0, 0); `tangent` the unit vector along the canal in the same axes.
    """

    hu: Floats
    w_mm: Floats
    u_mm: Floats
    path_mm: Points
    tangent: Points

    def patient_mm(self, volume: Volume, section: float, w_mm: float, u_mm: float) -> NDArray[np.float64]:
        """Return the patient x, y, z of a point at a (fractional) section, going on straight beyond the ends."""
        inside = float(np.clip(section, 0, len(self.path_mm) - 1))
        sections = np.arange(len(self.path_mm))
        point, along = (
            np.array([np.interp(inside, sections, column) for column in points.T])
            for points in (self.path_mm, self.tangent)
        )
        back, side = _section_axes(along[None, :])
        point = point + w_mm * back[0] + u_mm * side[0] + (section - inside) * ARC_STEP_MM * along
        return volume.patient_mm(point / np.asarray(volume.spacing_mm))


@dataclass(frozen=True, slots=True)
class _WorkingGrid:
    """Middle of the back cut out of the volume on a coarse grid; `start_mm` is its first cell from voxel (0, 0, 0).

    `body` marks the patient. `midline`, `front` and `depth` describe the patient's outline in each slice, in pixels of
    the grid (front and midline may lie outside it).
    """

    hu: Floats
    body: Mask
    start_mm: NDArray[np.float64]
    midline: NDArray[np.float64]
    front: NDArray[np.float64]
    depth: NDArray[np.float64]


def straighten_spine(volume: Volume) -> StraightSpine:
    """Follow the canal and resample the volume perpendicular to it.

    Raises:
        Excluded: NO_LUMBAR where there is no body, or too little of it.
    """
    return _sample_along(volume, _track_canal(_working_grid(volume)))


def _area_weights(count: int, spacing_mm: float, cell_mm: float) -> tuple[sparse.csr_array, float]:
    """Return the (cells, count) matrix of exact area averages and the first cell centre, mm from voxel 0."""
    cells = max(int(count * spacing_mm / cell_mm), 1)
    left = np.arange(cells)[:, None] * cell_mm
    edges = np.arange(count)[None, :] * spacing_mm
    overlap = np.minimum(left + cell_mm, edges + spacing_mm) - np.maximum(left, edges)
    weights = np.clip(overlap, 0.0, None)
    weights /= weights.sum(axis=1, keepdims=True)
    return sparse.csr_array(weights.astype(np.float32)), (cell_mm - spacing_mm) / 2.0


def _slice_weights(count: int, spacing_mm: float) -> tuple[sparse.csr_array, float]:
    """Average thin slices, interpolate thick ones, to steps of STEP_MM; rows sum to one."""
    if spacing_mm < STEP_MM:
        return _area_weights(count, spacing_mm, STEP_MM)
    positions = np.arange(0.0, (count - 1) * spacing_mm + 1e-6, STEP_MM) / spacing_mm
    below = np.minimum(positions.astype(int), count - 2)
    part = (positions - below).astype(np.float32)
    rows = np.arange(len(positions))
    entries = (np.r_[1 - part, part], (np.r_[rows, rows], np.r_[below, below + 1]))
    return sparse.csr_array(sparse.coo_array(entries, shape=(len(positions), count))), 0.0


def _working_grid(volume: Volume) -> _WorkingGrid:
    count, spacing_mm = volume.hu.shape[0], volume.spacing_mm[0]
    if count < 2 or count * spacing_mm < SHORTEST_MM:
        raise Excluded(Exclusion.NO_LUMBAR, f"{count} slices cover {count * spacing_mm:.0f} mm")
    small, start_mm = _coarse(volume)
    body = _body_mask(small)
    filled = np.flatnonzero(body.any(axis=(1, 2)))
    if len(filled) * STEP_MM < SHORTEST_MM:
        raise Excluded(Exclusion.NO_LUMBAR, f"a body in {len(filled) * STEP_MM:.0f} mm of the volume")
    top, bottom = _outline(np.asarray(body.any(axis=2)))
    left, right = _outline(np.asarray(body.any(axis=1)))
    middle, reach = float(np.median((left + right)[filled] / 2.0)), SEARCH_MM / PIXEL_MM
    rows = _window(float(np.median((top + FRONT_SHARE * (bottom - top))[filled])), bottom.max(), body.shape[1])
    columns = _window(middle - reach, middle + reach, body.shape[2])
    start_mm[1:] += np.array([rows.start, columns.start]) * PIXEL_MM
    return _WorkingGrid(
        hu=small[:, rows, columns],
        body=body[:, rows, columns],
        start_mm=start_mm,
        midline=(left + right) / 2.0 - columns.start,
        front=top - rows.start,
        depth=np.maximum(bottom - top, 1.0),
    )


def _coarse(volume: Volume) -> tuple[Floats, NDArray[np.float64]]:
    """Average the volume to the working grid; return it and its first cell centre in mm from voxel (0, 0, 0)."""
    count, rows, columns = volume.hu.shape
    along, first_mm = _slice_weights(count, volume.spacing_mm[0])
    down, top_mm = _area_weights(rows, volume.spacing_mm[1], PIXEL_MM)
    across, left_mm = _area_weights(columns, volume.spacing_mm[2], PIXEL_MM)
    sections = np.empty((count, down.shape[0] * across.shape[0]), np.float32)
    for section, hu in zip(sections, volume.hu, strict=True):
        section[:] = (across @ (down @ hu.astype(np.float32)).T).T.ravel()
    small = np.asarray(along @ sections).reshape(-1, down.shape[0], across.shape[0])
    return small, np.array([first_mm, top_mm, left_mm])


def _window(first: float, last: float, size: int) -> slice:
    """Return the pixels from first to last, at least 30 mm of them, within the grid."""
    least = int(30.0 / PIXEL_MM)
    start = int(np.clip(first, 0, max(size - least, 0)))
    return slice(start, int(np.clip(last + 1, start + least, max(size, start + 1))))


def _outline(occupied: Mask) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the first and the last occupied pixel of each row; the middle of the grid where there is none."""
    size = occupied.shape[1]
    first = np.where(occupied.any(axis=1), occupied.argmax(axis=1), size / 2.0)
    last = np.where(occupied.any(axis=1), size - 1 - occupied[:, ::-1].argmax(axis=1), size / 2.0)
    return first, last


def _body_mask(hu: Floats) -> Mask:
    """Largest soft-tissue region of each slice with its holes filled; opening cuts off the table."""
    coarse = hu[:, ::2, ::2] > -300.0
    for index, section in enumerate(coarse):
        regions, found = ndimage.label(ndimage.binary_opening(section))
        if found:
            largest = int(np.argmax(np.bincount(regions.ravel())[1:])) + 1
            coarse[index] = ndimage.binary_fill_holes(regions == largest)
        else:
            coarse[index] = False
    return coarse.repeat(2, axis=1).repeat(2, axis=2)[:, : hu.shape[1], : hu.shape[2]]


def bone_fraction(hu: Floats) -> Floats:
    """Map HU to 0 (soft tissue, up to 130 HU) .. 1 (dense cancellous or cortical bone, from 300 HU)."""
    fraction: Floats = np.clip((hu - 130.0) / 170.0, 0.0, 1.0)
    return fraction


def _kernels() -> dict[str, Mask]:
    """Regions around the canal centre that make a section look like a vertebra; 42 mm each way on the grid."""
    reach = np.arange(-21, 22) * PIXEL_MM
    back, side = reach[:, None], reach[None, :]
    radius = np.hypot(back, side)
    behind = np.abs(np.degrees(np.arctan2(side, back))) <= 80.0
    return {
        "canal": radius <= 6.0,
        "arch": (radius >= 10.0) & (radius <= 22.0) & behind,
        "body": (side / 18.0) ** 2 + ((back + 26.0) / 13.0) ** 2 <= 1.0,
        "spinous": (np.abs(side) < 6.0) & (back >= 22.0) & (back <= 40.0),
    }


def _region_means(image: Floats, kernels: dict[str, Mask]) -> dict[str, Floats]:
    """Mean of every slice of `image` (slices, rows, columns) over each kernel placed at every pixel."""
    rows, columns = image.shape[1:]
    shape = (fft.next_fast_len(rows + 42, real=True), fft.next_fast_len(columns + 42, real=True))
    means = {name: np.empty_like(image) for name in kernels}
    spectra = {}
    for name, kernel in kernels.items():
        flipped = kernel[::-1, ::-1].astype(np.float32) / np.float32(kernel.sum())
        spectra[name] = fft.rfft2(flipped, shape)
    for index, section in enumerate(image):
        spectrum = fft.rfft2(section, shape)
        for name, other in spectra.items():
            full = fft.irfft2(spectrum * other, shape)
            means[name][index] = full[21 : 21 + rows, 21 : 21 + columns]
    return means


def _vertebra_likeness(grid: _WorkingGrid) -> Floats:
    """Score every pixel of the working grid as centre of the canal.

    The arch gates the canal terms: without it bowel and vessels in front of the sacrum win over the sacral canal.
    """
    kernels = _kernels()
    bone = _region_means(bone_fraction(grid.hu), kernels)
    canal_hu = ((grid.hu > -80.0) & (grid.hu < 130.0)).astype(np.float32)
    canal = _region_means(canal_hu, {"canal": kernels["canal"]})["canal"]
    solid_hu = ((grid.hu > 0.0) & (grid.hu < 400.0)).astype(np.float32)
    solid = _region_means(solid_hu, {"body": kernels["body"]})["body"]
    arch = np.clip(bone["arch"], 0.0, 0.5)
    gate = np.minimum(arch / 0.3, 1.0)
    score: Floats = 2.0 * canal * gate - 2.5 * bone["canal"] * gate + 3.0 * arch + solid
    score += 1.5 * np.minimum(bone["body"], 0.7) + 0.6 * np.minimum(bone["spinous"], 0.5)
    return score - _position_penalty(grid)


def _position_penalty(grid: _WorkingGrid) -> Floats:
    """Cost of lying off the midline, in the front of the body, or outside it."""
    rows = np.arange(grid.hu.shape[1])
    columns = np.arange(grid.hu.shape[2])
    offset = np.minimum(np.abs(columns - grid.midline[:, None]) * PIXEL_MM / 28.0, 3.0)
    forward = np.clip(0.45 - (rows - grid.front[:, None]) / grid.depth[:, None], 0.0, None)
    penalty: Floats = (0.7 * offset[:, None, :] ** 2 + 12.0 * forward[:, :, None]).astype(np.float32)
    penalty[~grid.body] += 5.0
    return penalty


def _track_canal(grid: _WorkingGrid) -> Points:
    """Return the smoothed canal centre of each slice, (slices, 3) in mm from voxel (0, 0, 0)."""
    likeness = _vertebra_likeness(grid)
    count, tall, wide = len(likeness), likeness.shape[1] // CELL_PX, likeness.shape[2] // CELL_PX
    cells = likeness[:, : tall * CELL_PX, : wide * CELL_PX].reshape(count, tall, CELL_PX, wide, CELL_PX)
    fine = _refine_in_cell(cells, _best_path(cells.max(axis=(2, 4))))
    smooth = ndimage.median_filter(fine, size=(5, 1), mode="nearest")
    smooth = ndimage.gaussian_filter1d(smooth, PATH_SD_SLICES, axis=0, mode="nearest")
    along = grid.start_mm[0] + np.arange(count) * STEP_MM
    return np.column_stack([along, grid.start_mm[1:] + smooth * PIXEL_MM])


def _refine_in_cell(cells: Floats, track: NDArray[np.intp]) -> Points:
    """Turn cells (row, column) into the best pixel within each, in pixels of the grid."""
    count = len(track)
    inner = cells[np.arange(count), track[:, 0], :, track[:, 1], :].reshape(count, -1)
    best = np.column_stack(np.unravel_index(inner.argmax(axis=1), (CELL_PX, CELL_PX)))
    return np.asarray(track * CELL_PX + best, np.float64)


def _best_path(score: Floats) -> NDArray[np.intp]:
    """Maximise the summed score over paths that move at most one cell per slice.

    Going caudal the canal curves backwards into the sacrum, never suddenly forward: moving anterior costs more.
    """
    moves = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    count, tall, wide = score.shape
    total = score[-1].copy()
    came = np.zeros((count, tall, wide), np.int8)
    for index in range(count - 2, -1, -1):
        padded = np.pad(total, 1, constant_values=-np.inf)
        options = np.stack(
            [
                padded[1 - dy : 1 - dy + tall, 1 - dx : 1 - dx + wide] - (0.35 * dy**2 + 0.6 * dx**2 + 0.8 * (dy < 0))
                for dy, dx in moves
            ]
        )
        came[index] = options.argmax(axis=0)
        total = options.max(axis=0) + score[index]
    track = np.empty((count, 2), np.intp)
    track[0] = np.unravel_index(int(total.argmax()), total.shape)
    for index in range(count - 1):
        track[index + 1] = track[index] - moves[came[index, *track[index]]]
    return track


def _sample_along(volume: Volume, course_mm: Points) -> StraightSpine:
    lengths = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(course_mm, axis=0), axis=1))]
    arc = np.arange(0.0, lengths[-1], ARC_STEP_MM)
    points = np.column_stack([np.interp(arc, lengths, column) for column in course_mm.T])
    tangent: Points = ndimage.gaussian_filter1d(np.gradient(points, axis=0), 5.0, axis=0, mode="nearest")
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    w_mm = np.arange(DEPTH_MM[0], DEPTH_MM[1] + 0.1, GRID_MM, dtype=np.float32)
    u_mm = np.arange(-LATERAL_MM, LATERAL_MM + 0.1, GRID_MM, dtype=np.float32)
    back, side = _section_axes(tangent)
    hu = np.empty((len(points), len(w_mm), len(u_mm)), np.float32)
    for index, point in enumerate(points):
        where = point + w_mm[:, None, None] * back[index] + u_mm[None, :, None] * side[index]
        voxels = np.moveaxis(where / np.asarray(volume.spacing_mm), -1, 0)
        ndimage.map_coordinates(volume.hu, voxels, hu[index], order=1, cval=np.nan)
    return StraightSpine(hu, w_mm, u_mm, points, tangent)


def _section_axes(tangent: Points) -> tuple[Points, Points]:
    """Return the unit vectors to the back and to the left of each section, perpendicular to the tangent."""
    side = np.array([0.0, 0.0, 1.0]) - tangent * tangent[:, 2:3]
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    return np.cross(side, tangent), side
