"""Patient -> aorta and vena cava beside the spine, with calcium in the aortic wall."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from screening.simulation.branches import Branch, branch_rng
from screening.simulation.cohort import Patient, Stream
from screening.simulation.vertebrae import Floats, Spine

PREVERTEBRAL_GAP_MM = (-0.5, 2.5)  # fat between the front of the bodies and the vessels; little in most people


@dataclass(frozen=True, slots=True)
class Vessel:
    """A tube by its centre line; the line is interpolated along z."""

    z_mm: NDArray[np.float64]  # ascending
    x_mm: NDArray[np.float64]
    y_mm: NDArray[np.float64]
    radius_mm: NDArray[np.float64]
    flatness: float  # depth over width

    def at(self, z_mm: float) -> tuple[float, float, float]:
        """Centre x, y and radius at a height."""
        return tuple(float(np.interp(z_mm, self.z_mm, line)) for line in (self.x_mm, self.y_mm, self.radius_mm))  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Calcium:
    """Calcified plaques as small spheres."""

    centres_mm: NDArray[np.float64]  # (n, 3)
    radii_mm: NDArray[np.float64]  # (n,)
    mineral_mg: NDArray[np.float64]  # (n,) mg/cm3

    def mineral_g_over(self, shadow: Floats, x_mm: Floats, z_mm: Floats) -> float:
        """Mineral that falls into a projected region (slices, columns), g."""
        if not len(self.radii_mm):
            return 0.0
        step = float(x_mm[1] - x_mm[0])
        column = np.rint((self.centres_mm[:, 0] - x_mm[0]) / step).astype(int)
        row = np.rint((self.centres_mm[:, 2] - z_mm[0]) / step).astype(int)
        inside = (column >= 0) & (column < len(x_mm)) & (row >= 0) & (row < len(z_mm))
        volume_cm3 = 4.0 / 3.0 * np.pi * (self.radii_mm[inside] / 10.0) ** 3
        grams = volume_cm3 * self.mineral_mg[inside] / 1000.0
        return float((grams * shadow[row[inside], column[inside]]).sum())


@dataclass(frozen=True, slots=True)
class Vessels:
    """The great vessels of one patient."""

    aorta: Vessel
    iliac_left: Vessel
    cava: Vessel
    calcium: Calcium


def draw_vessels(patient: Patient, spine: Spine) -> Vessels:
    """Lay the vessels along the front of the spine."""
    rng, around = patient.rng(Stream.VESSELS), branch_rng(patient, Branch.SURROUNDINGS)
    z, x, front = _front_line(spine)
    gap = around.uniform(*PREVERTEBRAL_GAP_MM, 2)
    radius = 8.0 * patient.size * (1.0 + 0.12 * patient.degeneration) * (1.0 + 0.08 * rng.normal())
    sway = rng.normal(0.0, 3.0) * np.sin(z / 60.0 + rng.uniform(0, 6.3))
    split = spine.level("L4").centre_mm[2] - 8.0
    below = np.clip((split - z) / 60.0, 0.0, 1.5)
    aorta_r = radius * (1.0 + 0.0022 * np.clip(z, 0.0, 140.0))
    aorta = Vessel(
        z,
        x + 8.0 + sway - 34.0 * below,
        front - aorta_r - gap[0] + 6.0 * below,
        np.where(z < split, 0.6 * aorta_r, aorta_r),
        1.0,
    )
    left = Vessel(z, x + 8.0 + sway + 22.0 * below, aorta.y_mm, np.where(z < split, 0.6 * aorta_r, 0.0), 1.0)
    cava_r = radius * rng.uniform(1.05, 1.35)
    lift = 0.25 * np.clip(z - 40.0, 0.0, 80.0)
    cava = Vessel(
        z,
        x - 17.0 + 20.0 * below * 0.4,
        front - 0.7 * cava_r - gap[1] - lift,
        np.full_like(z, cava_r),
        rng.uniform(0.6, 0.95),
    )
    return Vessels(aorta, left, cava, _draw_calcium(patient, aorta, rng))


def _front_line(spine: Spine) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Heights, x and the y of the anterior wall of the bodies, ascending in z."""
    bodies = [v for v in spine.vertebrae if v.level not in ("S2", "S3")]
    centres = np.array([v.centre_mm for v in bodies])
    depth = np.array([v.depth_mm for v in bodies])
    z = np.arange(centres[0, 2] - 60.0, centres[-1, 2] + 60.0, 4.0)
    x = np.interp(z, centres[:, 2], centres[:, 0])
    return z, x, np.interp(z, centres[:, 2], centres[:, 1] - depth / 2.0)


def _draw_calcium(patient: Patient, aorta: Vessel, rng: np.random.Generator) -> Calcium:
    """Plaques: clusters of spheres on the wall, more towards the bifurcation."""
    clusters = rng.poisson(9.0 * patient.calcification**2)
    z_low, z_high = aorta.z_mm[0] + 70.0, aorta.z_mm[-1] - 60.0
    spheres = []
    for _ in range(clusters):
        z0 = z_low + (z_high - z_low) * rng.beta(1.1, 2.2)
        angle = rng.uniform(0, 2 * np.pi)
        for _ in range(rng.integers(2, 9)):
            z, turn = z0 + rng.normal(0.0, 4.0), angle + rng.normal(0.0, 0.3)
            x, y, r = aorta.at(float(z))
            spheres.append(
                (x + r * np.cos(turn), y + r * np.sin(turn), z, rng.uniform(0.7, 1.8), rng.uniform(250, 800))
            )
    table = np.array(spheres, dtype=float).reshape(-1, 5)
    return Calcium(table[:, :3], table[:, 3], table[:, 4])
