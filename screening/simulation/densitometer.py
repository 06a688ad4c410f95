"""Spine -> areal BMD by projecting the density map from front to back, and the DXA that would have been read.

The label physics of the field: aBMD = 0.60 + 0.0025 x HU120 x (AP depth / 33 mm), g/cm2. Here it is an outcome: the
truth is the projection of the map the CT is drawn from, and tests/simulation checks that both agree over patients.
"""

from dataclasses import dataclass

import numpy as np

from screening.prediction.tscore import REFERENCES, Reference, t_score
from screening.simulation.body import body_depths, body_share, cancellous_mg
from screening.simulation.cohort import MG_CM3_PER_HU, Patient, Stream
from screening.simulation.findings import IMPLANTS
from screening.simulation.lattice import Frame, Sampling, sampling
from screening.simulation.pathology import without_implants
from screening.simulation.spine import render_spine
from screening.simulation.vertebrae import MEASURED_LEVELS, Spine, VertebraShape
from screening.simulation.vessels import Calcium

GRID_MM = 2.0
DXA_PRECISION = 0.01  # relative SD; CV 1.08 % Hologic, 1.22 % Lunar
ROI_HALF_HEIGHT_MM = 5.0
END_PLATE_MARGIN_MM = 2.0
ROI_MARGIN_MM = 4.5  # from the outer surface: cortex and partial volume stay outside
REFERENCE = REFERENCES["hologic_l1_l4_female"]


@dataclass(frozen=True, slots=True)
class LevelTruth:
    """What is exactly known of one vertebra."""

    level: str
    centre_mm: tuple[float, float, float]  # of the body, simulation axes
    upper_z_mm: float  # end plates on the body's axis
    lower_z_mm: float
    hu120: float  # mean of the cancellous interior around mid-height at 120 kVp
    depth_mm: float  # outer antero-posterior depth at mid-height
    area_cm2: float  # projected
    mineral_g: float
    assessable: bool  # free of cement and screws

    @property
    def bmd_g_cm2(self) -> float:
        """Areal BMD of this level."""
        return self.mineral_g / self.area_cm2


@dataclass(frozen=True, slots=True)
class Densitometer:
    """One manufacturer's scale of areal BMD."""

    manufacturer: str
    scale: float  # its areal BMD over that of Hologic
    reference: Reference


HOLOGIC = Densitometer("HOLOGIC", 1.0, REFERENCES["hologic_l1_l4_female"])
LUNAR = Densitometer("GE LUNAR", 1.0755 / 0.9522, REFERENCES["lunar_l1_l4_female"])
"""Standardised BMD is 1.0755 x Hologic and 0.9522 x Lunar; general knowledge, not verified."""
DENSITOMETERS = {1: HOLOGIC, 2: LUNAR}
"""What each institution reads its DXA with."""


@dataclass(frozen=True, slots=True)
class DxaReading:
    """One densitometer result."""

    bmd_g_cm2: float  # on its manufacturer's scale
    t_score: float
    manufacturer: str


def measure_levels(spine: Spine, calcium: Calcium) -> tuple[LevelTruth, ...]:
    """Project L1-L4 as they were before screws and cement, which hide a level from a densitometer."""
    bone = without_implants(spine)
    return tuple(_measure(bone, bone.level(name), calcium) for name in MEASURED_LEVELS)


def areal_bmd_g_cm2(levels: tuple[LevelTruth, ...]) -> float:
    """Mineral over area of all levels together, as a densitometer reports L1-L4."""
    return sum(level.mineral_g for level in levels) / sum(level.area_cm2 for level in levels)


def read_dxa(patient: Patient, bmd_true_g_cm2: float, densitometer: Densitometer = HOLOGIC) -> DxaReading:
    """Measure with the precision and on the scale of a densitometer; the true areal density is on Hologic's."""
    measured = bmd_true_g_cm2 * (1.0 + DXA_PRECISION * patient.rng(Stream.DXA).normal())
    bmd = densitometer.scale * measured
    return DxaReading(bmd, t_score(bmd, densitometer.reference), densitometer.manufacturer)


def _measure(spine: Spine, vertebra: VertebraShape, calcium: Calcium) -> LevelTruth:
    at = _box(vertebra)
    shadow = body_share(vertebra, at).max(axis=1)  # (slices, columns)
    column_g = render_spine(spine, at).mineral_mg.sum(axis=1) * GRID_MM / 10.0 / 1000.0  # g/cm2 of each ray
    pixel_cm2 = (GRID_MM / 10.0) ** 2
    chalk_g = calcium.mineral_g_over(shadow, at.x[0, 0], at.z[:, 0, 0])
    low, high = (_on_axis(vertebra, sign * 0.5 * vertebra.height_mm) for sign in (-1.0, 1.0))
    return LevelTruth(
        level=vertebra.level,
        centre_mm=vertebra.centre_mm,
        upper_z_mm=high,
        lower_z_mm=low,
        hu120=trabecular_hu(vertebra),
        depth_mm=vertebra.depth_mm,
        area_cm2=float(shadow.sum()) * pixel_cm2,
        mineral_g=float((shadow * column_g).sum()) * pixel_cm2 + chalk_g,
        assessable=not IMPLANTS & set(vertebra.findings),
    )


def trabecular_hu(vertebra: VertebraShape) -> float:
    """Return the mean attenuation at 120 kVp of the interior within 5 mm of mid-height, HU."""
    grid = np.arange(-28.0, 28.0, 1.5, dtype=np.float32)
    w, v, u = np.meshgrid(np.arange(-ROI_HALF_HEIGHT_MM, 5.1, 1.25, dtype=np.float32), grid, grid, indexing="ij")
    side, end = body_depths(vertebra, Frame(u, v, w))
    inside = (side > ROI_MARGIN_MM) & (end > END_PLATE_MARGIN_MM)
    mineral = cancellous_mg(vertebra, u[inside], v[inside], w[inside])
    return float(mineral.mean()) / MG_CM3_PER_HU + vertebra.marrow_hu


def _on_axis(vertebra: VertebraShape, w_mm: float) -> float:
    return float(vertebra.centre_mm[2] + w_mm * vertebra.axes[2, 2])


def _box(vertebra: VertebraShape) -> Sampling:
    x, y, z = vertebra.centre_mm
    return sampling(
        np.arange(x - 36.0, x + 36.0, GRID_MM),
        np.arange(y - 34.0, y + 92.0, GRID_MM),
        np.arange(z - 26.0, z + 26.0, GRID_MM),
        GRID_MM,
        GRID_MM,
    )
