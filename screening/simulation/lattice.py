"""Points of a regular grid in one vertebra's own axes, and the tissue map that is laid down on them.

Every surface is a distance in mm turned into a share of the voxel by `share_inside`, so that a shell thinner than a
voxel keeps its mass: the CT and the projected areal density are drawn from one and the same map at any spacing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from screening.simulation.outlines import ANGLES
from screening.simulation.vertebrae import Floats, VertebraShape

Part = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True)
class Sampling:
    """Points on a regular grid, with the voxel edges in plane and along z that surfaces are smoothed over."""

    x: Floats  # (1, 1, columns) mm
    y: Floats  # (1, rows, 1) mm
    z: Floats  # (slices, 1, 1) mm
    edge_mm: float
    edge_z_mm: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows, columns."""
        return self.z.shape[0], self.y.shape[1], self.x.shape[2]

    def crop(self, part: Part) -> "Sampling":
        """Return a part of the grid."""
        x, y, z = self.x[:, :, part[2]], self.y[:, part[1], :], self.z[part[0]]
        return Sampling(x, y, z, self.edge_mm, self.edge_z_mm)


def sampling(
    x_mm: NDArray[np.floating], y_mm: NDArray[np.floating], z_mm: NDArray[np.floating], edge_mm: float, edge_z_mm: float
) -> Sampling:
    """Arrange coordinates for broadcasting."""
    x = np.asarray(x_mm, np.float32)[None, None, :]
    y = np.asarray(y_mm, np.float32)[None, :, None]
    z = np.asarray(z_mm, np.float32)[:, None, None]
    return Sampling(x, y, z, edge_mm, edge_z_mm)


@dataclass(frozen=True, slots=True)
class Tissue:
    """What the spine puts into a voxel; the rest of the voxel, 1 - cover, belongs to what lies around it."""

    mineral_mg: Floats  # mg/cm3 of the voxel
    soft_hu: Floats  # attenuation of the non-mineral part, weighted with its share
    cover: Floats  # share of the voxel taken, 0 to 1

    @classmethod
    def nothing(cls, shape: tuple[int, ...]) -> "Tissue":
        """Return an empty map."""
        return cls(np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    def lay(self, share: Floats, soft_hu: float | Floats, mineral_mg: float | Floats = 0.0) -> None:
        """Lay a tissue over what is there."""
        for old, new in ((self.soft_hu, soft_hu), (self.mineral_mg, mineral_mg), (self.cover, 1.0)):
            old += share * (new - old)

    def view(self, part: Part) -> "Tissue":
        """Return a part of the map that shares its memory."""
        return Tissue(self.mineral_mg[part], self.soft_hu[part], self.cover[part])


@dataclass(frozen=True, slots=True)
class Frame:
    """Coordinates of points in one vertebra's axes, mm."""

    u: Floats  # to the left
    v: Floats  # to posterior
    w: Floats  # to cranial

    @property
    def radius(self) -> Floats:
        """Distance from the body's axis."""
        return np.hypot(self.u, self.v)

    @property
    def turn(self) -> NDArray[np.int32]:
        """Index into the vertebra's outline."""
        turns = np.arctan2(self.v, self.u) * np.float32(ANGLES / (2.0 * np.pi))
        return (turns + np.float32(ANGLES + 0.5)).astype(np.int32) & (ANGLES - 1)


def frame(vertebra: VertebraShape, at: Sampling) -> Frame:
    """Turn grid points into a vertebra's own axes."""
    dx, dy, dz = (p - np.float32(c) for p, c in zip((at.x, at.y, at.z), vertebra.centre_mm, strict=True))
    u, v, w = (row[0] * dx + row[1] * dy + row[2] * dz for row in vertebra.axes)
    return Frame(u, v, w)


def part_around(
    vertebra: VertebraShape, at: Sampling, low: tuple[float, float, float], high: tuple[float, float, float]
) -> Part | None:
    """Return the part of the grid that holds a box given in the vertebra's axes, or None where they do not meet."""
    middle, half = 0.5 * (np.array(low) + high), 0.5 * (np.array(high) - low)
    centre = np.array(vertebra.centre_mm) + middle @ vertebra.axes
    reach = half @ np.abs(vertebra.axes) + (at.edge_mm, at.edge_mm, at.edge_z_mm)
    spans = []
    for axis, c, r in zip((at.x, at.y, at.z), centre, reach, strict=True):
        inside = np.flatnonzero(np.abs(axis.ravel() - c) <= r)
        if not len(inside):
            return None
        spans.append(slice(int(inside[0]), int(inside[-1]) + 1))
    return spans[2], spans[1], spans[0]


def share_inside(depth_mm: Floats, edge_mm: float) -> Floats:
    """Return the share of a voxel of this edge on the inner side of a surface at this depth."""
    return np.asarray(np.clip(depth_mm * np.float32(1.0 / edge_mm) + np.float32(0.5), 0.0, 1.0))
