"""Half-axes of a vertebral body -> its outline, its waist, the thickness of its wall and the osteophytes on its rims.

Everything is sampled at ANGLES angles from u (left) towards v (posterior); lengths in mm. `body_outlines.json` holds
outlines of bodies T11-L5 at mid-height in label maps (VerSe, malekosh: MIT; TotalSegmentator, TPTBox:
Apache-2.0), written by tests/data/write_body_outlines.py.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Ring = NDArray[np.floating]  # (ANGLES,) float32, one value for each direction

ANGLES = 512  # samples of an outline over the full turn
ANGLE_RAD = np.arange(ANGLES) * 2.0 * np.pi / ANGLES
LEFT, BACK, RIGHT, FRONT = 0, ANGLES // 4, ANGLES // 2, 3 * ANGLES // 4
REAL_SHARE = (0.2, 1.0)  # of the mixture of real outlines against the super-ellipse
MIXTURE = 0.3  # Dirichlet parameter: mostly two to six of the real bodies
DISC_ORDERS = 5  # Fourier terms of a disc: kidney-shaped, without corners
WALL_UNEVENNESS = 0.22  # relative SD of the wall's thickness around the body


@dataclass(frozen=True, slots=True)
class Wall:
    """What bounds a body sideways beside its outline at the end plates."""

    waist_mm: Ring  # how far the wall stands back at mid-height
    thickness: Ring  # relative to the mean
    ligament_mm: float  # soft tissue that clings to the bone: ligaments, segmental vessels, crura


def draw_outline(half_width_mm: float, half_depth_mm: float, rng: Generator, shapes: Generator) -> Ring:
    """Draw an outline between a super-ellipse and a mixture of real bodies, with low-order lobes of its own.

    Args:
        half_width_mm: of the widest place.
        half_depth_mm: of the midline, up to what the hollow of the back wall takes.
        rng: of the super-ellipse.
        shapes: of the mixture.
    """
    front, back = rng.uniform(1.95, 2.35), rng.uniform(2.5, 4.2)  # round in front, square behind
    power = front + (back - front) * (0.5 + 0.5 * np.tanh(2.5 * np.sin(ANGLE_RAD)))
    cosine, sine = np.abs(np.cos(ANGLE_RAD) / half_width_mm), np.abs(np.sin(ANGLE_RAD) / half_depth_mm)
    ellipse = (cosine**power + sine**power) ** (-1 / power)
    hollow = rng.uniform(0.02, 0.13) * np.exp(-(((ANGLE_RAD - np.pi / 2) / 0.42) ** 2))
    lobes = sum(rng.normal(0.0, 0.012) * np.cos(m * ANGLE_RAD + rng.uniform(0, 2 * np.pi)) for m in (2, 3, 4, 5, 7))
    plain = ellipse * (1.0 - hollow)
    share = shapes.uniform(*REAL_SHARE)
    real = _mixed_outline(half_width_mm, 0.5 * (plain[FRONT] + plain[BACK]), shapes)
    return np.asarray(((1.0 - share) * plain + share * real) * (1.0 + lobes), np.float32)


@lru_cache(maxsize=1)
def real_outlines() -> Ring:
    """Return real outlines divided by half width and half depth, (bodies, directions)."""
    table = json.loads(Path(__file__).with_name("body_outlines.json").read_text(encoding="utf-8"))
    return np.array([body["outline"] for body in table["bodies"]])


def _mixed_outline(half_width_mm: float, half_depth_mm: float, rng: Generator) -> NDArray[np.float64]:
    """Convex mixture of real outlines or their mirror images, of the width and the midline depth asked for."""
    outlines = real_outlines()
    scaled = rng.dirichlet(np.full(len(outlines), MIXTURE)) @ outlines
    if rng.random() < 0.5:
        half_turn = scaled.shape[0] // 2
        scaled = np.roll(scaled[::-1], half_turn + 1)
    turn = np.arange(len(scaled)) * 2.0 * np.pi / len(scaled)
    quarter = len(scaled) // 4
    depth = half_depth_mm * 2.0 / (scaled[quarter] + scaled[3 * quarter])
    u, v = half_width_mm * scaled * np.cos(turn), depth * scaled * np.sin(turn)
    angle = np.mod(np.arctan2(v, u), 2.0 * np.pi)
    order = np.argsort(angle)
    return np.asarray(np.interp(ANGLE_RAD, angle[order], np.hypot(u, v)[order], period=2.0 * np.pi))


def slant(outline_mm: Ring) -> Ring:
    """Return what turns a radial into a perpendicular distance, (ANGLES,)."""
    slope = (np.roll(outline_mm, -1) - np.roll(outline_mm, 1)) * ANGLES / (4.0 * np.pi)
    return np.asarray(outline_mm / np.hypot(outline_mm, slope), np.float32)


def disc_outline(outline_mm: Ring, bulge_mm: float) -> Ring:
    """Return the outline of the disc below a body: the body's own without its corners, bulging by a little."""
    terms = np.fft.rfft(outline_mm)
    terms[DISC_ORDERS:] = 0.0
    return np.asarray(np.fft.irfft(terms, ANGLES) + bulge_mm, np.float32)


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
    dip_mm = rng.uniform(0.0, 1.5) * np.exp(-((_apart(np.pi / 2) / rng.uniform(0.25, 0.5)) ** 2))
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
