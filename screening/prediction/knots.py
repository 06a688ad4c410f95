"""Areal BMD -> areal BMD through knots: what a recalibration does to a reading."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Knots = tuple[tuple[float, float], ...]  # BMD before and after, g/cm2, both rising
IDENTITY: Final[Knots] = ((0.0, 0.0), (1.0, 1.0))


def through(knots: Knots, bmd_g_cm2: NDArray[np.floating]) -> NDArray[np.float64]:
    """Read BMD (n,) through knots: straight between them, and beyond the last as between the last two."""
    before, after = (np.array(column, dtype=np.float64) for column in zip(*knots, strict=True))
    slopes = np.diff(after) / np.diff(before)
    part = np.clip(np.searchsorted(before, bmd_g_cm2, side="right") - 1, 0, len(slopes) - 1)
    return np.asarray(after[part] + slopes[part] * (bmd_g_cm2 - before[part]), dtype=np.float64)


def composed(first: Knots, then: Knots) -> Knots:
    """Knots of one recalibration after another."""
    back = tuple((after, before) for before, after in first)
    bends = through(back, np.array([before for before, _ in then]))
    ends = np.array([before for before, _ in first])
    places = np.unique(np.concatenate([ends, bends]).round(9))  # two knots that are one but for rounding have no slope
    return tuple(zip(places.tolist(), through(then, through(first, places)).tolist(), strict=True))
