"""A straight spine of blocks whose heights are known by construction."""

import numpy as np
from numpy.typing import NDArray

from screening.imaging.hounsfield import Volume
from screening.imaging.lumbar import Vertebra

UPRIGHT = np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]])
LEVELS = ("L1", "L2", "L3", "L4")
PITCH_MM, HEIGHT_MM = 36.0, 27.0
HALF_DEPTH_MM, HALF_WIDTH_MM = 17.0, 22.0
SOFT_HU, DISC_HU, MARROW_HU, SHELL_HU, SHELL_MM = 30.0, 80.0, 120.0, 450.0, 1.5
FINE = 5  # heights are averaged over so many planes a slice


def centre_z(level: str) -> float:
    return PITCH_MM * (LEVELS.index("L4") - LEVELS.index(level))


def block_spine(losses: dict[str, tuple[float, float, float]], spacing_mm: float = 2.5) -> Volume:
    """Draw L4 to L1; `losses` says which share of front, middle and back height a level has lost above."""
    step = spacing_mm / FINE
    z = np.arange(-40.0, PITCH_MM * 3 + 40.0, step)
    axis = np.arange(-60.0, 61.0, 1.0)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    planes = np.full((len(z), *y.shape), SOFT_HU)
    inside = np.minimum(HALF_DEPTH_MM - np.abs(y), HALF_WIDTH_MM - np.abs(x))
    planes[(z > -HEIGHT_MM) & (z < PITCH_MM * 3 + HEIGHT_MM)] += (DISC_HU - SOFT_HU) * (inside > 0)
    for level in LEVELS:
        lower = centre_z(level) - HEIGHT_MM / 2
        lost = HEIGHT_MM * np.interp(y, [-14.0, 0.0, 14.0], losses.get(level, (0.0, 0.0, 0.0)))
        _lay(planes, z, lower, lower + HEIGHT_MM - lost, inside)
    slices = len(z) // FINE
    hu = planes[: slices * FINE].reshape(slices, FINE, *y.shape).mean(axis=1)
    return Volume(
        hu=np.rint(hu).astype(np.int16),
        spacing_mm=(spacing_mm, 1.0, 1.0),
        origin_mm=(-60.0, -60.0, float(z[0] + (FINE - 1) / 2 * step)),
        axes=UPRIGHT,
        slice_thickness_mm=spacing_mm,
        kvp_kv=120.0,
    )


def _lay(
    planes: NDArray[np.float64],
    z: NDArray[np.float64],
    lower: float,
    upper: NDArray[np.float64],
    inside: NDArray[np.float64],
) -> None:
    """Lay one shelled block over the planes."""
    end = np.minimum(z[:, None, None] - lower, upper - z[:, None, None])
    within = (end > 0) & (inside > 0)
    shell = within & ((end < SHELL_MM) | (inside < SHELL_MM))
    planes[within] = MARROW_HU
    planes[shell] = SHELL_HU


def block_vertebrae(off_mm: float = 0.0) -> tuple[Vertebra, ...]:
    """The bodies as a localiser that is off by so much would give them, cranial first."""
    return tuple(
        Vertebra(
            level,
            (0.0, 0.0, centre_z(level) + off_mm),
            centre_z(level) + HEIGHT_MM / 2 + off_mm,
            centre_z(level) - HEIGHT_MM / 2 + off_mm,
            1.0,
        )
        for level in LEVELS
    )


def block_outline(level: str) -> NDArray[np.float64]:
    """Outer contour (n, 3) of a block."""
    side = np.linspace(-1.0, 1.0, 41)
    ring = np.concatenate(
        [
            np.stack([HALF_WIDTH_MM * side, np.full(41, -HALF_DEPTH_MM)], axis=1),
            np.stack([np.full(41, HALF_WIDTH_MM), HALF_DEPTH_MM * side], axis=1),
            np.stack([-HALF_WIDTH_MM * side, np.full(41, HALF_DEPTH_MM)], axis=1),
            np.stack([np.full(41, -HALF_WIDTH_MM), -HALF_DEPTH_MM * side], axis=1),
        ]
    )
    return np.column_stack([ring, np.full(len(ring), centre_z(level))])
