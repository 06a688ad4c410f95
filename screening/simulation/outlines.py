"""Half-axes of a vertebral body -> its outline, its waist, the thickness of its wall and the osteophytes on its rims.

Everything is sampled at ANGLES angles from u (left) towards v (posterior); lengths in mm.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Ring = NDArray[np.floating]  # (ANGLES,) float32, one value for each direction

ANGLES = 512  # samples of an outline over the full turn
ANGLE_RAD = np.arange(ANGLES) * 2.0 * np.pi / ANGLES
LEFT, BACK, RIGHT, FRONT = 0, ANGLES // 4, ANGLES // 2, 3 * ANGLES // 4
WALL_UNEVENNESS = 0.22  # relative SD of the wall's thickness around the body


@dataclass(frozen=True, slots=True)
class Wall:
    """What bounds a body sideways beside its outline at the end plates."""

    waist_mm: Ring  # how far the wall stands back at mid-height
    thickness: Ring  # relative to the mean
    ligament_mm: float  # soft tissue that clings to the bone: ligaments, segmental vessels, crura


def draw_outline(half_width_mm: float, half_depth_mm: float, rng: Generator) -> Ring:
    """Super-ellipse with a hollow back wall and low-order lobes."""
    angle = ANGLE_RAD
    front, back = rng.uniform(1.95, 2.35), rng.uniform(2.5, 4.2)  # round in front, square behind
    power = front + (back - front) * (0.5 + 0.5 * np.tanh(2.5 * np.sin(angle)))
    cosine, sine = np.abs(np.cos(angle) / half_width_mm), np.abs(np.sin(angle) / half_depth_mm)
    radius = (cosine**power + sine**power) ** (-1 / power)
    hollow = rng.uniform(0.02, 0.13) * np.exp(-(((angle - np.pi / 2) / 0.42) ** 2))
    lobes = sum(rng.normal(0.0, 0.012) * np.cos(m * angle + rng.uniform(0, 2 * np.pi)) for m in (2, 3, 4, 5, 7))
    return np.asarray(radius * (1.0 - hollow + lobes), np.float32)


def slant(outline_mm: Ring) -> Ring:
    """Return what turns a radial into a perpendicular distance, (ANGLES,)."""
    slope = (np.roll(outline_mm, -1) - np.roll(outline_mm, 1)) * ANGLES / (4.0 * np.pi)
    return np.asarray(outline_mm / np.hypot(outline_mm, slope), np.float32)


def draw_rim(degeneration: float, rng: Generator) -> Ring:
    """Osteophytes: bumps on the front and the sides of an end plate."""
    rim = np.full(ANGLES, rng.uniform(0.0, 1.0))
    for _ in range(rng.poisson(2.2 * degeneration**2)):
        where, width = rng.uniform(np.pi * 0.95, np.pi * 2.05), rng.uniform(0.12, 0.5)
        rim += rng.uniform(1.0, 7.0) * np.exp(-((_apart(where) / width) ** 2))
    return rim.astype(np.float32)


def draw_wall(outline_mm: Ring, waist: float, rng: Generator) -> Wall:
    """Draw the waist, deepest at the sides, with the dip of the basivertebral vein in the back wall.

    Args:
        outline_mm: radius at the end plates.
        waist: relative narrowing of width and depth at mid-height.
        rng: of the shapes.
    """
    sides = rng.uniform(0.0, 0.06) * np.cos(ANGLE_RAD) ** 2
    dip_mm = rng.uniform(0.0, 2.4) * np.exp(-((_apart(np.pi / 2) / rng.uniform(0.25, 0.5)) ** 2))
    uneven = sum(
        WALL_UNEVENNESS * rng.normal() * np.cos(m * ANGLE_RAD + rng.uniform(0.0, 2.0 * np.pi)) for m in (1, 2, 3, 5)
    )
    return Wall(
        waist_mm=np.asarray(outline_mm * (waist + sides) + dip_mm, np.float32),
        thickness=np.clip(1.0 + uneven, 0.4, 1.8).astype(np.float32),
        ligament_mm=rng.uniform(0.5, 3.0),
    )


def _apart(angle_rad: float) -> NDArray[np.float64]:
    """Angle between each sample and one direction, at most half a turn."""
    return np.asarray(np.angle(np.exp(1j * (ANGLE_RAD - angle_rad))))
