"""Volume and Vertebra -> trabecular attenuation per level, tissue anchors, contrast phase."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TrabecularReading:
    """Attenuation of the cancellous interior of one vertebral body, HU as acquired (not brought to 120 kVp)."""

    mean_hu: float
    sd_hu: float
    median_hu: float
    area_mm2: float  # of the region of interest in its middle slice
    body_depth_mm: float  # outer antero-posterior depth of the body
    outline_mm: NDArray[np.float64]  # (n, 3) patient coordinates, region of interest in the middle slice


@dataclass(frozen=True, slots=True)
class TissueAnchors:
    """Attenuation of tissues that should not differ between scanners, HU; None where not found."""

    air_hu: float | None
    fat_hu: float | None
    muscle_hu: float | None
    aorta_hu: float | None
