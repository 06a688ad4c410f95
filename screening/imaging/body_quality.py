"""Volume, bodies and their outlines -> what speaks against reading a body: lost height, metal or cement, streaks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from screening.imaging.attenuation import TrabecularReading
from screening.imaging.body_heights import BodyHeights, height_losses, measure_heights
from screening.imaging.hounsfield import Volume
from screening.imaging.lumbar import Vertebra

# A fracture is a loss of 20-25 % or more against the neighbours (Genant grade 1). A 5 mm slice is a fifth of a body of
# 27 mm: only thin slices can tell a fifth.
FRACTURE_LOSS: Final = 0.20
FRACTURE_LOSS_THICK: Final = 0.25
THIN_MM: Final = 3.0

METAL_HU: Final = 2500.0
INSIDE_METAL_HU: Final = 1500.0  # cement; bone islands are mostly 900-1300 HU, and none is the bone to be read
LEAST_METAL_MM3: Final = 30.0  # a screw has 1000 mm3, cement more; less may be noise beside dense cortex
AHEAD_MM, BEHIND_MM, ASIDE_MM, ABOVE_MM = 5.0, 45.0, 35.0, 2.0  # of the body: plates, screws, rods

DARK_HU: Final = -250.0  # neither marrow nor fat with its noise: beams that metal starved, or gas in a fracture
DARK_SHARE: Final = 0.01
RIM_MM: Final = 3.0  # left out of the inside


@dataclass(frozen=True, slots=True)
class BodyQuality:
    """What was looked for in one body."""

    heights: BodyHeights | None  # None for a body alone, and where a plate is cut by the edge or not seen
    height_loss: float | None  # largest share lost of the heights that the neighbours let expect
    fracture_loss: float  # the loss that counts as fracture at this slice spacing
    metal_mm3: float  # denser than bone: above 2500 HU in or around the body, or above 1500 HU inside it
    dark_share: float  # of the inside of the body: darker than fat

    @property
    def fractured(self) -> bool:
        """Whether it has lost as much height as a fracture makes it lose."""
        return self.height_loss is not None and self.height_loss > self.fracture_loss

    @property
    def metal(self) -> bool:
        """Whether screws, plates or cement lie in it or beside it."""
        return self.metal_mm3 >= LEAST_METAL_MM3

    @property
    def streaks(self) -> bool:
        """Whether dark streaks or gas run through it."""
        return self.dark_share >= DARK_SHARE


def judge_bodies(
    volume: Volume, vertebrae: Sequence[Vertebra], readings: Sequence[TrabecularReading]
) -> tuple[BodyQuality, ...]:
    """Judge the bodies of one spine, cranial first."""
    seen = [_foreign(volume, body, reading) for body, reading in zip(vertebrae, readings, strict=True)]
    metal = [mm3 >= LEAST_METAL_MM3 for mm3, _ in seen]
    heights: Sequence[BodyHeights | None] = [None] * len(vertebrae)
    losses: Sequence[float | None] = [None] * len(vertebrae)
    if len(vertebrae) > 1:
        measured = measure_heights(volume, vertebrae, [reading.body_mm for reading in readings])
        heights, losses = measured, height_losses([body.level for body in vertebrae], measured, metal)
    limit = FRACTURE_LOSS if volume.spacing_mm[0] <= THIN_MM else FRACTURE_LOSS_THICK
    return tuple(
        BodyQuality(height, loss, limit, mm3, dark)
        for height, loss, (mm3, dark) in zip(heights, losses, seen, strict=True)
    )


def _foreign(volume: Volume, vertebra: Vertebra, reading: TrabecularReading) -> tuple[float, float]:
    """Volume of what is denser than bone, mm3, and share of the inside that is darker than fat."""
    low, high = volume.index(_box_mm(vertebra, reading.body_mm))
    part = tuple(
        slice(max(int(np.floor(min(a, b))), 0), min(int(np.ceil(max(a, b))), size - 1) + 1)
        for a, b, size in zip(low, high, volume.hu.shape, strict=True)
    )
    box = volume.hu[part]
    inside = _inside(volume, vertebra, reading.body_mm, part)
    dense = (box > METAL_HU) | (inside & (box > INSIDE_METAL_HU))
    dark = float((box[inside] < DARK_HU).mean()) if inside.any() else 0.0
    return float(dense.sum() * np.prod(volume.spacing_mm)), dark


def _box_mm(vertebra: Vertebra, body_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two corners (2, 3) of the box in which screws, rods and plates of a level lie, patient coordinates."""
    front, back = body_mm[:, 1].min(), body_mm[:, 1].max()
    x = vertebra.centre_mm[0]
    return np.array(
        [
            (x - ASIDE_MM, front - AHEAD_MM, vertebra.lower_z_mm - ABOVE_MM),
            (x + ASIDE_MM, back + BEHIND_MM, vertebra.upper_z_mm + ABOVE_MM),
        ]
    )


def _inside(
    volume: Volume, vertebra: Vertebra, body_mm: NDArray[np.float64], part: tuple[slice, ...]
) -> NDArray[np.bool_]:
    """Voxels of the part inside the body, away from cortex and end plates."""
    indices = np.stack(np.meshgrid(*(np.arange(one.start, one.stop) for one in part), indexing="ij"), axis=-1)
    points = volume.patient_mm(indices.astype(np.float64))
    away = points[..., :2] - (body_mm[:, :2].max(axis=0) + body_mm[:, :2].min(axis=0)) / 2
    reach = (body_mm[:, :2].max(axis=0) - body_mm[:, :2].min(axis=0)) / 2 - RIM_MM
    between = (points[..., 2] > vertebra.lower_z_mm + RIM_MM) & (points[..., 2] < vertebra.upper_z_mm - RIM_MM)
    within: NDArray[np.bool_] = between & (((away / reach) ** 2).sum(axis=-1) < 1)
    return within
