"""Body -> CT series in Hounsfield units: voltage, calibration, beam hardening, kernel, noise, table, field of view.

Mineral attenuates more at a lower voltage, by the inverse of the factors that bring trabecular HU to 120 kVp; soft
tissue is left as it is. The mix of vendors, voltages and thicknesses of an institution is an assumption.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from screening.imaging.model_input import HU_FACTOR_TO_120_KV
from screening.simulation.anatomy import Anatomy, Slab, render_slab
from screening.simulation.cohort import MG_CM3_PER_HU, Patient, Stream
from screening.simulation.vertebrae import Floats

KVP_SHARES = {120: 0.70, 100: 0.20, 140: 0.07, 80: 0.03}
THICKNESS_SHARES = {5.0: 0.5, 3.0: 0.2, 2.5: 0.15, 2.0: 0.1, 1.5: 0.05}  # mm
NOISE_5_MM_HU = 12.0  # noise index 12.5-15 HU gives 11.7-14.8 HU measured at 5 mm
EFFECTIVE_DIAMETER_MM = 280.0
HARDENING_PER_MM = 0.0004  # relative loss of mineral attenuation per mm of extra body
HU_LIMITS = (-1024, 3071)
NOISE_TILES = 10


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
    pads_outside_circle: bool
    rescale_intercept: int
    signed: bool


SIEMENS = ScannerModel(
    "SIEMENS",
    "SOMATOM Definition AS",
    (Kernel("B30f", 0.70, 0.0, 0.9, 0.75), Kernel("B40f", 0.60, 0.1, 1.0, 0.65), Kernel("Br40d", 0.60, 0.2, 1.0, 0.6)),
    Kernel("B70f", 0.35, 0.9, 3.0, 0.35),
    pads_outside_circle=False,
    rescale_intercept=-1024,
    signed=False,
)
GE = ScannerModel(
    "GE MEDICAL SYSTEMS",
    "LightSpeed VCT",
    (Kernel("STANDARD", 0.60, 0.1, 1.0, 0.65), Kernel("SOFT", 0.75, 0.0, 0.85, 0.8)),
    Kernel("LUNG", 0.40, 0.8, 2.8, 0.4),
    pads_outside_circle=True,
    rescale_intercept=-1024,
    signed=True,
)
CANON = ScannerModel(
    "TOSHIBA",
    "Aquilion PRIME",
    (Kernel("FC08", 0.65, 0.0, 1.0, 0.7), Kernel("FC18", 0.55, 0.2, 1.1, 0.6)),
    Kernel("FC52", 0.40, 0.9, 2.6, 0.4),
    pads_outside_circle=False,
    rescale_intercept=0,
    signed=True,
)
PHILIPS = ScannerModel(
    "Philips",
    "Ingenuity CT",
    (Kernel("B", 0.65, 0.0, 1.0, 0.7), Kernel("C", 0.55, 0.2, 1.15, 0.6)),
    Kernel("YC", 0.40, 0.7, 2.4, 0.4),
    pads_outside_circle=True,
    rescale_intercept=-1024,
    signed=False,
)
# Scanners of each institution with their share of the examinations.
FLEETS = {
    1: ((SIEMENS, 0.45), (GE, 0.40), (CANON, 0.15)),
    2: ((GE, 0.25), (CANON, 0.35), (PHILIPS, 0.25), (SIEMENS, 0.15)),
}


@dataclass(frozen=True, slots=True)
class Scanner:
    """One machine of an institution with its own small errors of calibration."""

    model: ScannerModel
    station: str
    offset_hu: float  # of water; air is calibrated every morning
    mineral_gain: float  # spectrum against the nominal one


@dataclass(frozen=True, slots=True)
class Protocol:
    """How one patient was examined."""

    scanner: Scanner
    kernel: Kernel
    kvp_kv: int
    thickness_mm: float
    spacing_mm: float
    field_of_view_mm: float
    centre_mm: tuple[float, float]  # of the field of view, simulation axes
    matrix: int
    noise_hu: float
    table_y_mm: float

    @property
    def pixel_mm(self) -> float:
        """Distance of neighbouring pixels."""
        return self.field_of_view_mm / self.matrix

    def axes_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the x of the columns and the y of the rows."""
        steps = (np.arange(self.matrix) - (self.matrix - 1) / 2.0) * self.pixel_mm
        return np.asarray(self.centre_mm[0] + steps), np.asarray(self.centre_mm[1] + steps)


def fleet(seed: int, institution: int) -> tuple[Scanner, ...]:
    """Return the scanners of an institution; their errors of calibration stay the same for all its patients."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, institution, 0x5CA]))
    models = [model for model, _ in FLEETS.get(institution, FLEETS[1])]
    return tuple(
        Scanner(model, f"CT{institution}{i:02d}", float(rng.normal(0.0, 2.5)), float(rng.normal(1.0, 0.02)))
        for i, model in enumerate(models, start=1)
    )


def draw_protocol(patient: Patient, anatomy: Anatomy, matrix: int) -> Protocol:
    """Draw scanner and settings for one patient."""
    rng = patient.rng(Stream.SCANNER)
    shares = [share for _, share in FLEETS.get(patient.institution, FLEETS[1])]
    scanner = fleet(patient.seed, patient.institution)[int(rng.choice(len(shares), p=shares))]
    kernel = scanner.model.soft_kernels[int(rng.integers(len(scanner.model.soft_kernels)))]
    kvp = int(rng.choice(list(KVP_SHARES), p=list(KVP_SHARES.values())))
    thickness = float(rng.choice(list(THICKNESS_SHARES), p=list(THICKNESS_SHARES.values())))
    wall = anatomy.torso.wall
    diameter = float(np.sqrt(patient.torso_width_mm * patient.torso_depth_mm))
    noise = NOISE_5_MM_HU * np.sqrt(5.0 / thickness) * np.exp((diameter - EFFECTIVE_DIAMETER_MM) / 500.0)
    return Protocol(
        scanner=scanner,
        kernel=kernel,
        kvp_kv=kvp,
        thickness_mm=thickness,
        spacing_mm=thickness if rng.random() < 0.8 else 0.8 * thickness,
        field_of_view_mm=float(np.clip(patient.torso_width_mm * rng.uniform(1.02, 1.3), 300.0, 500.0)),
        centre_mm=(wall.centre_x_mm + rng.normal(0, 6.0), 0.5 * (wall.front_y_mm + wall.back_y_mm) + rng.normal(4, 8)),
        matrix=matrix,
        noise_hu=float(noise * rng.uniform(0.8, 1.3)),
        table_y_mm=wall.back_y_mm + rng.uniform(2.0, 12.0),
    )


def scan(anatomy: Anatomy, protocol: Protocol, z_mm: NDArray[np.float64]) -> tuple[Slab, ...]:
    """Render the slices at these heights; what follows is the same for every kernel."""
    x, y = protocol.axes_mm()
    return tuple(render_slab(anatomy, x, y, float(z), protocol.thickness_mm) for z in z_mm)


def reconstruct(
    slabs: tuple[Slab, ...], protocol: Protocol, patient: Patient, kernel: Kernel, rng: Generator
) -> NDArray[np.int16]:
    """Turn rendered slices into a series of this kernel, (slices, rows, columns) HU."""
    x, y = protocol.axes_mm()
    table = _table_hu(x, y, protocol.table_y_mm)
    shape = (len(slabs), protocol.matrix, protocol.matrix)
    tiles = noise_tiles(protocol.matrix, kernel.grain_mm / protocol.pixel_mm, rng)
    strength = _noise_map(x, y, protocol) * (protocol.noise_hu * kernel.noise)
    diameter = float(np.sqrt(patient.torso_width_mm * patient.torso_depth_mm))
    response = protocol.scanner.mineral_gain * (1.0 - HARDENING_PER_MM * (diameter - EFFECTIVE_DIAMETER_MM))
    series = np.empty(shape, np.int16)
    for image, slab in zip(series, slabs, strict=True):
        hu = attenuation_hu(slab.soft_hu, slab.mineral_mg * np.float32(response), protocol.kvp_kv)
        hu = np.where(hu < -990.0, table, hu)
        seen = blur(hu, kernel, protocol.pixel_mm) + strength * _shifted(tiles, rng)
        seen = seen + protocol.scanner.offset_hu * np.clip(1.0 + seen / 1000.0, 0.0, 1.0)
        image[:] = np.clip(np.rint(seen), *HU_LIMITS)
    return series


def attenuation_hu(soft_hu: Floats, mineral_mg: Floats, kvp_kv: int) -> Floats:
    """Turn soft tissue and mineral into Hounsfield units at a tube voltage."""
    return soft_hu + mineral_mg * np.float32(1.0 / (MG_CM3_PER_HU * HU_FACTOR_TO_120_KV[kvp_kv]))


def blur(hu: Floats, kernel: Kernel, pixel_mm: float) -> Floats:
    """Apply the kernel's point spread to one slice."""
    soft: Floats = gaussian_filter(hu, kernel.blur_mm / pixel_mm, truncate=3.0)
    if kernel.sharpen <= 0.0:
        return soft
    wide: Floats = gaussian_filter(soft, 2.0 * kernel.blur_mm / pixel_mm, truncate=3.0)
    return soft + np.float32(kernel.sharpen) * (soft - wide)


def noise_tiles(size: int, grain_px: float, rng: Generator, count: int = NOISE_TILES) -> Floats:
    """Return periodic noise of SD 1 without its low frequencies, (count, size, size)."""
    white = rng.standard_normal((count, size, size), dtype=np.float32)
    fine = gaussian_filter(white, (0.0, grain_px, grain_px), mode="wrap", truncate=3.0)
    tiles = fine - np.float32(0.8) * gaussian_filter(fine, (0.0, 3 * grain_px, 3 * grain_px), mode="wrap", truncate=2.5)
    return np.asarray(tiles / tiles.std(), np.float32)


def circle(protocol: Protocol) -> NDArray[np.bool_]:
    """Return which pixels lie inside the reconstruction circle, (rows, columns)."""
    steps = np.arange(protocol.matrix) - (protocol.matrix - 1) / 2.0
    return np.asarray(np.hypot(steps[:, None], steps[None, :]) <= protocol.matrix / 2.0)


def _shifted(tiles: Floats, rng: Generator) -> Floats:
    """Pick a tile and shift it, so that slices do not share their noise."""
    index, dy, dx = rng.integers((len(tiles), tiles.shape[1], tiles.shape[2]))
    return np.roll(tiles[index], (dy, dx), axis=(0, 1))


def _noise_map(x: NDArray[np.float64], y: NDArray[np.float64], protocol: Protocol) -> Floats:
    """More noise in the middle of the body than at its edge."""
    r = np.hypot((x - protocol.centre_mm[0])[None, :], (y - protocol.centre_mm[1])[:, None])
    return np.asarray(0.55 + 0.5 * np.exp(-((r / 150.0) ** 2)), np.float32)


def _table_hu(x: NDArray[np.float64], y: NDArray[np.float64], top_mm: float) -> Floats:
    """A curved shell of carbon fibre around foam below the patient."""
    depth = y[:, None] - top_mm + (x[None, :] / 40.0) ** 2
    skin = np.minimum(np.abs(depth - 1.5), np.abs(depth - 45.0)) < 1.5
    inside = (depth > 0.0) & (depth < 46.5) & (np.abs(x[None, :]) < 210.0)
    return np.where(inside, np.where(skin, -150.0, -930.0), -1000.0).astype(np.float32)
