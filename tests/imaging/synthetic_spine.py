"""Straightened spines and volumes whose levels, axis and end plates are known by construction."""

import numpy as np

from screening.imaging.hounsfield import Volume
from screening.imaging.spinal_canal import DEPTH_MM, GRID_MM, LATERAL_MM, StraightSpine

UPRIGHT = np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]])


def volume(hu, spacing_mm=(2.5, 2.0, 2.0), origin_mm=(0.0, 0.0, 0.0)):
    return Volume(np.asarray(hu, np.int16), spacing_mm, origin_mm, UPRIGHT, spacing_mm[0], 120.0)


def straight(hu):
    """Wrap (sections, w, u) HU as a canal that runs straight up."""
    count = len(hu)
    path = np.column_stack([np.arange(count, dtype=float), np.full(count, 120.0), np.full(count, 100.0)])
    return StraightSpine(np.asarray(hu, np.float32), w_mm(), u_mm(), path, np.tile([1.0, 0.0, 0.0], (count, 1)))


def w_mm():
    return np.arange(DEPTH_MM[0], DEPTH_MM[1] + 0.1, GRID_MM, dtype=np.float32)


def u_mm():
    return np.arange(-LATERAL_MM, LATERAL_MM + 0.1, GRID_MM, dtype=np.float32)


def muscle(sections):
    return np.full((sections, w_mm().size, u_mm().size), 55.0)


def column(plates, centre=(-24.0, 0.0), half=(16.0, 22.0), marrow_hu=120.0, disc_hu=90.0, sections=120):
    """Stack discs and bodies; `plates` lists (lower, upper) end plates of each body, sections."""
    hu = muscle(sections)
    inside = np.hypot((w_mm()[:, None] - centre[0]) / half[0], (u_mm()[None, :] - centre[1]) / half[1])
    hu[:, inside < 1.0] = disc_hu
    for lower, upper in plates:
        hu[lower : upper + 1, inside < 1.0] = 400.0
        hu[lower + 2 : upper - 1, inside < 0.9] = marrow_hu
    return straight(hu)


def trunk(middle_mm, count=80, air_beyond=None):
    """Soft-tissue trunk whose canal, with arch behind and body in front, follows `middle_mm` (row, column) by slice."""
    rows, columns = np.mgrid[:120, :160] * 2.0
    hu = np.full((count, 120, 160), -1000.0)
    for section, (y, x) in zip(hu, middle_mm, strict=True):
        section[((columns - 160) / 140) ** 2 + ((rows - 120) / 100) ** 2 < 1] = 40
        back, side = rows - y, columns - x
        section[(side / 22) ** 2 + ((back + 25) / 16) ** 2 < 1] = 200
        ring = np.hypot(back, side)
        section[(ring >= 10) & (ring < 17) & (back > -4)] = 500
        section[(np.abs(side) < 4) & (back > 10) & (back < 40)] = 450
        section[ring < 9] = 20
    return volume(hu)
