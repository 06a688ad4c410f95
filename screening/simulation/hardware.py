"""Instrumented spine -> pedicle screws and rods laid over the bone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from screening.simulation.lattice import Part, Sampling, Tissue, share_inside
from screening.simulation.vertebrae import Floats, Spine, VertebraShape

METAL_HU = 8000.0  # titanium; scanners clip it at the end of their scale
SCREW_RADIUS_MM, HEAD_RADIUS_MM, ROD_RADIUS_MM = 3.0, 5.0, 2.75
HEAD_MM = 12.0
ENTRY_GAP_MM = 17.0  # least distance of an entry from the midline; the sacrum has no free pedicles
Point = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bar:
    """A round bar with round ends, patient axes."""

    start_mm: Point  # (3,)
    end_mm: Point
    radius_mm: float


def lay_hardware(tissue: Tissue, spine: Spine, at: Sampling) -> None:
    """Lay all metal of a spine; metal holds no mineral."""
    for bar in bars_of(spine):
        part = _part(bar, at)
        if part is not None:
            here = at.crop(part)
            tissue.view(part).lay(share_inside(bar.radius_mm - _distance(bar, here), at.edge_mm), METAL_HU)


def bars_of(spine: Spine) -> tuple[Bar, ...]:
    """Return screws, heads and rods of the instrumented levels on both sides."""
    bars: list[Bar] = []
    for side in (-1.0, 1.0):
        screws = [_screw(spine.level(name), side) for name in spine.instrumented]
        heads = [_head(spine.level(name), screw) for name, screw in zip(spine.instrumented, screws, strict=True)]
        middles = [0.5 * (head.start_mm + head.end_mm) for head in heads]
        rods = [Bar(a, b, ROD_RADIUS_MM) for a, b in zip(middles, middles[1:], strict=False)]
        bars += [*screws, *heads, *rods]
    return tuple(bars)


def _screw(vertebra: VertebraShape, side: float) -> Bar:
    """From behind the pedicle through its axis into the front half of the body."""
    arch, back = vertebra.posterior, 0.5 * vertebra.depth_mm
    gap = max(arch.pedicle_gap_mm, ENTRY_GAP_MM) if vertebra.level.startswith("S") else arch.pedicle_gap_mm
    height = 0.19 * vertebra.arch_height_mm
    entry = (side * gap, back + 0.62 * arch.canal_depth_mm + 6.0, height)
    tip = (side * 0.45 * gap, -0.35 * back, min(height, 0.25 * vertebra.height_mm))
    return Bar(_in_patient(vertebra, tip), _in_patient(vertebra, entry), SCREW_RADIUS_MM)


def _head(vertebra: VertebraShape, screw: Bar) -> Bar:
    behind = HEAD_MM * np.asarray(vertebra.axes[1], np.float64)
    return Bar(screw.end_mm, screw.end_mm + behind, HEAD_RADIUS_MM)


def _in_patient(vertebra: VertebraShape, own_mm: tuple[float, float, float]) -> Point:
    return np.asarray(np.array(vertebra.centre_mm) + np.array(own_mm) @ vertebra.axes, np.float64)


def _part(bar: Bar, at: Sampling) -> Part | None:
    low, high = np.minimum(bar.start_mm, bar.end_mm), np.maximum(bar.start_mm, bar.end_mm)
    reach = bar.radius_mm + at.edge_mm
    spans = []
    for axis, a, b in zip((at.x, at.y, at.z), low - reach, high + reach, strict=True):
        inside = np.flatnonzero((axis.ravel() >= a) & (axis.ravel() <= b))
        if not len(inside):
            return None
        spans.append(slice(int(inside[0]), int(inside[-1]) + 1))
    return spans[2], spans[1], spans[0]


def _distance(bar: Bar, at: Sampling) -> Floats:
    """Distance of grid points from the bar's axis, mm."""
    x, y, z = (p - np.float32(c) for p, c in zip((at.x, at.y, at.z), bar.start_mm, strict=True))
    a, b, c = (np.float32(d) for d in bar.end_mm - bar.start_mm)
    along = np.clip((x * a + y * b + z * c) / (a * a + b * b + c * c), 0.0, 1.0)
    return np.asarray(np.sqrt((x - along * a) ** 2 + (y - along * b) ** 2 + (z - along * c) ** 2))
