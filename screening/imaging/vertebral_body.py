"""StraightSpine and two discs -> axis and end plates of the vertebral body between them.

The discs come from the rhythm of the whole spine and are good to a few mm; a wedged or collapsed body shows only in
its own end plates, so these are looked for in the image.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from screening.imaging.spinal_canal import GRID_MM, Floats, StraightSpine

SLAB_SHARE = 0.15  # of the disc-to-disc distance to either side of mid-body: clear of end plates, crossing the pedicles
BONE_WINDOW_HU = (-50.0, 400.0)  # dense osteophytes and fat count no more than cortex and muscle
INSIDE_MM, OUTSIDE_MM = -1.5, 2.5  # of the ellipse, where the fall from cortex to soft tissue is taken
# (half width, half depth) of adult bodies from T12 to L5, mm
ELLIPSES_MM = tuple(
    (width, depth) for width, depth in product(range(16, 31, 2), range(12, 21, 2)) if 0.6 <= depth / width <= 0.9
)
CENTRE_W_MM, CENTRE_U_MM = np.arange(-36.0, -13.9, 1.5), np.arange(-12.0, 12.1, 1.5)
USUAL_W_MM, USUAL_SPREAD_MM = -23.0, 5.0  # behind the body's centre runs the canal
PRIOR_HU = 4.0  # lost per squared spread; the fall at the rim is 50-200 HU
_ANGLES = np.radians(np.arange(-180.0, 180.0, 10.0))  # 0 to posterior
# towards the pedicles bone goes on
_FREE = _ANGLES[(np.abs(_ANGLES) < np.radians(25.0)) | (np.abs(_ANGLES) > np.radians(85.0))]


COLUMN_W_MM, COLUMN_U_MM = 8.0, 10.0  # half extent of the column around the axis in which end plates are sought
COLUMN_WINDOW_HU = (-100.0, 800.0)
# Expected depth of an end plate below the disc's centre, its spread and its range, in disc-to-disc distances: half
# a disc is 0.10 to 0.17, a collapsed end plate lies deeper.
PLATE_DEPTH, PLATE_SPREAD, PLATE_RANGE = 0.14, 0.08, (0.02, 0.30)
PLATE_PRIOR_HU = 7.5  # lost at one spread; an end plate stands 50-150 HU above its surroundings
RIDGE_SD_MM, BACKGROUND_SD_MM = 1.0, 8.0
BEYOND_DISC_MM = 2  # the fall from end plate to disc is complete at the disc's centre
LEAST_FALL_HU = 15.0  # from an end plate whose disc is not in the volume: less is trabeculae at its edge


@dataclass(frozen=True, slots=True)
class BodyAxis:
    """Axis of a body, mm from the canal (w to posterior, u to the left), and its end plates (sections)."""

    w_mm: float
    u_mm: float
    lower: float
    upper: float


def measure_body(spine: StraightSpine, lower_disc: float, upper_disc: float) -> BodyAxis | None:
    """Find axis and end plates of the body between two discs; None where an end plate lies outside the volume."""
    w_mm, u_mm = _centre(spine, lower_disc, upper_disc)
    rows, columns = np.abs(spine.w_mm - w_mm) <= COLUMN_W_MM, np.abs(spine.u_mm - u_mm) <= COLUMN_U_MM
    inside = np.clip(spine.hu[:, rows][:, :, columns], *COLUMN_WINDOW_HU).reshape(len(spine.hu), -1)
    known = np.flatnonzero(np.isfinite(inside).mean(axis=1) > 0.5)
    column = np.nan_to_num(inside[known[0] : known[-1] + 1]).mean(axis=1)
    pitch = upper_disc - lower_disc
    first, last = float(known[0]), float(known[-1])
    lower = _end_plate(column, lower_disc - first, pitch)
    upper = _end_plate(column[::-1], last - upper_disc, pitch)
    if lower is None or upper is None:
        return None
    return BodyAxis(w_mm, u_mm, first + lower, last - upper)


def _end_plate(column: NDArray[np.float64], disc: float, pitch: float) -> float | None:
    """Return the outer edge of the end plate that follows a disc in the column of mean HU.

    The plate is the bright ridge; its edge, the half of the fall towards the disc, does not move with slice thickness.
    """
    ridge = ndimage.gaussian_filter1d(column, RIDGE_SD_MM)
    depth = (np.arange(len(column)) - disc) / pitch
    contrast = ridge - ndimage.gaussian_filter1d(column, BACKGROUND_SD_MM)
    contrast -= PLATE_PRIOR_HU * ((depth - PLATE_DEPTH) / PLATE_SPREAD) ** 2
    contrast[(depth < PLATE_RANGE[0]) | (depth > PLATE_RANGE[1])] = -np.inf
    plate = int(contrast.argmax())
    fall = ridge[max(round(disc) - BEYOND_DISC_MM, 0) : plate + 1][::-1]
    if not np.isfinite(contrast[plate]) or not len(fall):
        return None
    if disc < BEYOND_DISC_MM and fall[0] - fall.min() < LEAST_FALL_HU:
        return None
    half = (fall[0] + fall.min()) / 2.0
    after = int(np.argmax(fall <= half))
    if after == 0:
        return float(plate)
    return plate - float(np.interp(-half, -fall[[after - 1, after]], [after - 1.0, after]))


def _centre(spine: StraightSpine, lower: float, upper: float) -> tuple[float, float]:
    """Fit an ellipse to the rim of the body midway between two discs (sections); return its centre w, u."""
    middle, half = (lower + upper) / 2.0, SLAB_SHARE * (upper - lower)
    slab = spine.hu[max(int(middle - half), 0) : int(middle + half) + 1]
    image = np.clip(np.nan_to_num(slab, nan=0.0).mean(axis=0), *BONE_WINDOW_HU)
    w, u = np.meshgrid(CENTRE_W_MM, CENTRE_U_MM, indexing="ij")
    prior = PRIOR_HU * (((w - USUAL_W_MM) / USUAL_SPREAD_MM) ** 2 + (u / USUAL_SPREAD_MM) ** 2)
    fall = np.max([_rim_fall(image, spine, w, u, width, depth) for width, depth in ELLIPSES_MM], axis=0)
    best = np.unravel_index(int((fall - prior).argmax()), w.shape)
    return float(w[best]), float(u[best])


def _rim_fall(
    image: Floats, spine: StraightSpine, w: NDArray[np.float64], u: NDArray[np.float64], width: float, depth: float
) -> NDArray[np.float64]:
    """Mean HU just inside minus just outside of an ellipse around each centre."""
    inside, outside = (
        _along(image, spine, w, u, width + shift, depth + shift).mean(axis=-1) for shift in (INSIDE_MM, OUTSIDE_MM)
    )
    return np.asarray(inside - outside)


def _along(
    image: Floats, spine: StraightSpine, w: NDArray[np.float64], u: NDArray[np.float64], width: float, depth: float
) -> NDArray[np.float64]:
    rows = (w[..., None] + depth * np.cos(_FREE) - spine.w_mm[0]) / GRID_MM
    columns = (u[..., None] + width * np.sin(_FREE) - spine.u_mm[0]) / GRID_MM
    return np.asarray(ndimage.map_coordinates(image, [rows, columns], order=1, mode="nearest"))
