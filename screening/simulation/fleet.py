"""Seed and institution -> the CT machines it examines with: models, kernels, shares, errors of calibration.

The two institutions share no machine and no model. Sources stand beside the figures; shares of models, voltages and
thicknesses are assumptions.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zlib import crc32

import numpy as np

FIRST_DAY, DAYS = datetime(2023, 1, 2, 7), 1090  # examinations of the archive
DAYS_PER_YEAR = 365.25

# Calibration. Fifty models lie within 10 % of each other (Westerhoff 2025), machines of a model within 0.0 +- 1.4 %
# (Skornitzke 2022); HU drift by -0.55 to -2.29 a year between calibrations (Loeffler 2019).
MODEL_GAIN_SD, MACHINE_GAIN_SD = 0.02, 0.014
OFFSET_SD_HU = 2.5
DRIFT_HU_PER_YEAR = (-2.29, -0.55)
CALIBRATION_DAYS = 730  # from one tube change or service to the next; an assumption


@dataclass(frozen=True, slots=True)
class Kernel:
    """Reconstruction kernel: its vendor's name, blur and edge enhancement in plane."""

    name: str
    blur_mm: float  # SD of the point spread
    sharpen: float  # unsharp mask gain
    noise: float  # relative to the standard kernel
    grain_mm: float  # SD that correlates the noise


@dataclass(frozen=True, slots=True)
class ScannerModel:
    """What a vendor's scanner writes and how it reconstructs."""

    manufacturer: str
    model: str
    soft_kernels: tuple[Kernel, ...]
    sharp_kernel: Kernel
    thicknesses_mm: tuple[float, float, float]  # thin, middle and thick series
    highest_kv: int
    pads_outside_circle: bool
    rescale_intercept: int
    signed: bool


SIEMENS_DEFINITION = ScannerModel(
    "SIEMENS",
    "SOMATOM Definition AS",
    (
        Kernel("B30f", 0.70, 0.0, 0.9, 0.75),
        Kernel("B40f", 0.60, 0.1, 1.0, 0.65),
        Kernel("I30f\\3", 0.70, 0.0, 0.65, 0.95),  # iterative: less noise of coarser grain
    ),
    Kernel("B70f", 0.35, 0.9, 3.0, 0.35),
    (1.5, 3.0, 5.0),
    highest_kv=140,
    pads_outside_circle=False,
    rescale_intercept=-1024,
    signed=False,
)
GE_LIGHTSPEED = ScannerModel(
    "GE MEDICAL SYSTEMS",
    "LightSpeed VCT",
    (Kernel("STANDARD", 0.60, 0.1, 1.0, 0.65), Kernel("SOFT", 0.75, 0.0, 0.85, 0.8)),
    Kernel("LUNG", 0.40, 0.8, 2.8, 0.4),
    (1.25, 2.5, 5.0),
    highest_kv=140,
    pads_outside_circle=True,
    rescale_intercept=-1024,
    signed=True,
)
TOSHIBA_PRIME = ScannerModel(
    "TOSHIBA",
    "Aquilion PRIME",
    (Kernel("FC08", 0.65, 0.0, 1.0, 0.7), Kernel("FC18", 0.55, 0.2, 1.1, 0.6)),
    Kernel("FC52", 0.40, 0.9, 2.6, 0.4),
    (2.0, 3.0, 5.0),
    highest_kv=135,
    pads_outside_circle=False,
    rescale_intercept=0,
    signed=True,
)
CANON_ONE = ScannerModel(
    "CANON",
    "Aquilion ONE",
    (Kernel("FC13", 0.60, 0.1, 0.75, 0.85), Kernel("FC09", 0.70, 0.0, 0.7, 0.9)),  # AIDR 3D
    Kernel("FC51", 0.40, 0.9, 2.4, 0.4),
    (1.0, 3.0, 5.0),
    highest_kv=135,
    pads_outside_circle=False,
    rescale_intercept=0,
    signed=True,
)
PHILIPS_INGENUITY = ScannerModel(
    "Philips",
    "Ingenuity CT",
    (Kernel("B", 0.65, 0.0, 1.0, 0.7), Kernel("C", 0.55, 0.25, 1.15, 0.6)),
    Kernel("YC", 0.40, 0.7, 2.4, 0.4),
    (1.5, 3.0, 5.0),
    highest_kv=140,
    pads_outside_circle=True,
    rescale_intercept=-1024,
    signed=False,
)
GE_REVOLUTION = ScannerModel(
    "GE MEDICAL SYSTEMS",
    "Revolution CT",
    (Kernel("STANDARD", 0.55, 0.15, 0.85, 0.75), Kernel("DETAIL", 0.50, 0.3, 1.2, 0.55)),
    Kernel("BONE", 0.40, 0.8, 2.6, 0.4),
    (1.25, 2.5, 5.0),
    highest_kv=140,
    pads_outside_circle=True,
    rescale_intercept=-1024,
    signed=True,
)
SIEMENS_SENSATION = ScannerModel(
    "SIEMENS",
    "Sensation 64",
    (Kernel("B20f", 0.80, 0.0, 0.8, 0.85), Kernel("B31f", 0.65, 0.05, 1.0, 0.6)),
    Kernel("B60f", 0.40, 0.7, 2.5, 0.4),
    (2.0, 3.0, 5.0),
    highest_kv=140,
    pads_outside_circle=False,
    rescale_intercept=-1024,
    signed=False,
)


@dataclass(frozen=True, slots=True)
class Fleet:
    """The scanners of an institution and how it examines; shares of the examinations."""

    models: tuple[ScannerModel, ...]
    model_shares: tuple[float, ...]
    voltage_shares: tuple[float, float, float, float]  # 80, 100, 120 kVp and the model's highest
    thickness_shares: tuple[float, float, float]  # thin, middle, thick


FLEETS = {
    1: Fleet(
        (SIEMENS_DEFINITION, GE_LIGHTSPEED, TOSHIBA_PRIME),
        (0.45, 0.40, 0.15),
        voltage_shares=(0.02, 0.18, 0.74, 0.06),
        thickness_shares=(0.10, 0.25, 0.65),
    ),
    2: Fleet(
        (CANON_ONE, PHILIPS_INGENUITY, GE_REVOLUTION, SIEMENS_SENSATION),
        (0.30, 0.25, 0.25, 0.20),
        voltage_shares=(0.04, 0.23, 0.64, 0.09),
        thickness_shares=(0.25, 0.35, 0.40),
    ),
}


@dataclass(frozen=True, slots=True)
class Scanner:
    """One machine of an institution with its own small errors of calibration."""

    model: ScannerModel
    station: str
    offset_hu: float  # of water just after a calibration; air is calibrated every morning
    mineral_gain: float  # spectrum against the nominal one
    drift_hu_per_year: float  # of water until the next calibration
    calibrated_on: date  # once; then every CALIBRATION_DAYS

    def offset_on(self, day: date) -> float:
        """Return what water reads too much on a day, HU."""
        return self.offset_hu + self.drift_hu_per_year * self._days_since_calibration(day) / DAYS_PER_YEAR

    def _days_since_calibration(self, day: date) -> int:
        return (day - self.calibrated_on).days % CALIBRATION_DAYS


def fleet_of(institution: int) -> Fleet:
    """Return what an institution examines with; institutions without a fleet of their own have that of the first."""
    return FLEETS.get(institution, FLEETS[1])


def fleet(seed: int, institution: int) -> tuple[Scanner, ...]:
    """Return the scanners of an institution; their errors of calibration stay the same for all its patients."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, institution, 0x5CA]))
    return tuple(
        Scanner(
            model,
            f"CT{institution}{i:02d}",
            offset_hu=float(rng.normal(0.0, OFFSET_SD_HU)),
            mineral_gain=_model_gain(seed, model) * float(rng.normal(1.0, MACHINE_GAIN_SD)),
            drift_hu_per_year=float(rng.uniform(*DRIFT_HU_PER_YEAR)),
            calibrated_on=FIRST_DAY.date() - timedelta(days=int(rng.integers(CALIBRATION_DAYS))),
        )
        for i, model in enumerate(fleet_of(institution).models, start=1)
    )


def _model_gain(seed: int, model: ScannerModel) -> float:
    """Spectrum of all machines of a model."""
    entropy = [seed, crc32(f"{model.manufacturer} {model.model}".encode())]
    return float(np.random.default_rng(np.random.SeedSequence(entropy)).normal(1.0, MODEL_GAIN_SD))
