"""One axial plane on which soft tissue is painted, back to front."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from screening.simulation.vertebrae import Floats

Painted = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Canvas:
    """A plane of attenuation at 120 kVp without mineral, and of mineral; arrays are painted in place."""

    x_mm: Floats  # (columns,) ascending, evenly spaced
    y_mm: Floats  # (rows,)
    hu: Floats  # (rows, columns)
    mineral_mg: Floats
    pixel_mm: float

    @classmethod
    def of_air(cls, x_mm: NDArray[np.floating], y_mm: NDArray[np.floating]) -> "Canvas":
        """Return an empty plane."""
        shape = (len(y_mm), len(x_mm))
        return cls(
            np.asarray(x_mm, np.float32),
            np.asarray(y_mm, np.float32),
            np.full(shape, -1000.0, np.float32),
            np.zeros(shape, np.float32),
            float(x_mm[1] - x_mm[0]),
        )

    def window(self, x0: float, x1: float, y0: float, y1: float) -> Painted | None:
        """Return the part of the plane that a box touches, or None."""
        c0, c1 = self._span(self.x_mm, x0, x1)
        r0, r1 = self._span(self.y_mm, y0, y1)
        return (slice(r0, r1), slice(c0, c1)) if r1 > r0 and c1 > c0 else None

    def _span(self, axis_mm: Floats, low: float, high: float) -> tuple[int, int]:
        first = float(axis_mm[0])
        start = int((low - first) / self.pixel_mm) - 1
        stop = int((high - first) / self.pixel_mm) + 3
        return max(0, start), min(len(axis_mm), max(0, stop))

    def lay(self, part: Painted, share: Floats, hu: float | Floats, mineral_mg: float | Floats = 0.0) -> None:
        """Lay a tissue over a part of the plane."""
        self.hu[part] += share * (hu - self.hu[part])
        self.mineral_mg[part] += share * (mineral_mg - self.mineral_mg[part])

    def oval(
        self,
        centre: tuple[float, float],
        half: tuple[float, float],
        hu: float | Floats,
        mineral_mg: float = 0.0,
        *,
        turn_rad: float = 0.0,
        power: float = 2.0,
    ) -> None:
        """Paint a (super-)ellipse with soft edges."""
        part, share = self.oval_share(centre, half, turn_rad=turn_rad, power=power)
        if part is not None:
            self.lay(part, share, hu, mineral_mg)

    def oval_share(
        self, centre: tuple[float, float], half: tuple[float, float], *, turn_rad: float = 0.0, power: float = 2.0
    ) -> tuple[Painted | None, Floats]:
        """Return the part of the plane an ellipse touches and its share of each pixel there."""
        cos, sin = np.cos(turn_rad), np.sin(turn_rad)
        reach_x, reach_y = np.hypot(half[0] * cos, half[1] * sin), np.hypot(half[0] * sin, half[1] * cos)
        if power > 2.0 and turn_rad:
            reach_x, reach_y = max(half) * 1.2, max(half) * 1.2
        part = self.window(centre[0] - reach_x, centre[0] + reach_x, centre[1] - reach_y, centre[1] + reach_y)
        if part is None or min(half) <= 0.0:
            return None, self.hu[:0, :0]
        dx = self.x_mm[None, part[1]] - np.float32(centre[0])
        dy = self.y_mm[part[0], None] - np.float32(centre[1])
        a, b = (dx * cos + dy * sin) / half[0], (dy * cos - dx * sin) / half[1]
        if power == 2.0:
            inside = 1.0 - np.sqrt(a * a + b * b)
        else:
            inside = 1.0 - (np.abs(a) ** power + np.abs(b) ** power) ** (1.0 / power)
        return part, np.clip(inside * (min(half) / self.pixel_mm) + 0.5, 0.0, 1.0).astype(np.float32)
