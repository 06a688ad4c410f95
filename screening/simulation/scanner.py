"""Body -> CT series in Hounsfield units: protocol, voltage, beam hardening, streaks, kernel, noise, drift.

Mineral attenuates more at a lower voltage, by the inverse of the factors that bring trabecular HU to 120 kVp; soft
tissue is left as it is. The machines stand in `fleet`; sources stand beside the figures.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d, uniform_filter

from screening.imaging.model_input import kvp_scale
from screening.simulation.anatomy import Anatomy, Slab, render_slab
from screening.simulation.cohort import MG_CM3_PER_HU, Patient, Stream
from screening.simulation.fleet import DAYS, FIRST_DAY, Kernel, Scanner, fleet, fleet_of
from screening.simulation.vertebrae import Floats

NOISE_5_MM_HU = 12.0  # noise index 12.5-15 HU gives 11.7-14.8 HU measured at 5 mm
EFFECTIVE_DIAMETER_MM = 280.0
HU_LIMITS = (-1024, 3071)
NOISE_TILES = 10

HARDENING_PER_MM = 0.0004  # relative loss of mineral attenuation per mm of extra body
SHADE_HU_PER_MG = 0.02  # dense bone shades its surroundings: 1-3 HU in and around a lumbar body; an assumption
SHADE_SD_MM = 15.0
METAL_ABOVE_HU = 2000.0  # above any bone, also at 80 kVp: screws, cement
METAL_LOSS_HU_CM = 12.0  # of a ray, per (1000 HU cm)^2: two screws darken what lies between them by about 100 HU
METAL_VIEWS = 180  # 1 degree: 1.7 mm apart 100 mm from the metal
METAL_BLUR_MM = 2.0  # in the views, so that their number does not show
ARMS_DOWN = 0.08  # patients who cannot raise their arms; an assumption
ARM_HALF_MM, ARM_GAP_MM = (42.0, 48.0), 8.0
STREAK_SHARE = 1.5  # SD of the bands between the arms over that of the noise
STREAK_REACH_MM = 45.0


@dataclass(frozen=True, slots=True)
class Protocol:
    """How one patient was examined."""

    scanner: Scanner
    examined_at: datetime
    kernel: Kernel
    kvp_kv: int
    thickness_mm: float
    spacing_mm: float
    field_of_view_mm: float
    centre_mm: tuple[float, float]  # of the field of view, simulation axes
    matrix: int
    noise_hu: float
    table_y_mm: float
    arms_mm: tuple[tuple[float, float], ...]  # centres of arms that lie beside the body

    @property
    def pixel_mm(self) -> float:
        """Distance of neighbouring pixels."""
        return self.field_of_view_mm / self.matrix

    def axes_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the x of the columns and the y of the rows."""
        steps = (np.arange(self.matrix) - (self.matrix - 1) / 2.0) * self.pixel_mm
        return np.asarray(self.centre_mm[0] + steps), np.asarray(self.centre_mm[1] + steps)


def draw_protocol(patient: Patient, anatomy: Anatomy, matrix: int) -> Protocol:
    """Draw date, scanner and settings of one patient's examination."""
    rng = patient.rng(Stream.SCANNER)
    shares = fleet_of(patient.institution)
    scanner = fleet(patient.seed, patient.institution)[int(rng.choice(len(shares.models), p=shares.model_shares))]
    model = scanner.model
    thickness = float(rng.choice(model.thicknesses_mm, p=shares.thickness_shares))
    excess = effective_diameter_mm(patient) - EFFECTIVE_DIAMETER_MM
    noise = NOISE_5_MM_HU * np.sqrt(5.0 / thickness) * np.exp(excess / 500.0)
    wall = anatomy.torso.wall
    return Protocol(
        scanner=scanner,
        examined_at=FIRST_DAY + timedelta(days=int(rng.integers(DAYS)), seconds=int(rng.integers(12 * 3600))),
        kernel=model.soft_kernels[int(rng.integers(len(model.soft_kernels)))],
        kvp_kv=int(rng.choice((80, 100, 120, model.highest_kv), p=shares.voltage_shares)),
        thickness_mm=thickness,
        spacing_mm=thickness if rng.random() < 0.8 else 0.8 * thickness,
        field_of_view_mm=float(np.clip(patient.torso_width_mm * rng.uniform(1.02, 1.3), 300.0, 500.0)),
        centre_mm=(wall.centre_x_mm + rng.normal(0, 6.0), 0.5 * (wall.front_y_mm + wall.back_y_mm) + rng.normal(4, 8)),
        matrix=matrix,
        noise_hu=float(noise * rng.uniform(0.8, 1.3)),
        table_y_mm=wall.back_y_mm + rng.uniform(2.0, 12.0),
        arms_mm=_draw_arms(anatomy, rng) if rng.random() < ARMS_DOWN else (),
    )


def effective_diameter_mm(patient: Patient) -> float:
    """Diameter of the circle with the area of the body's section, as an ellipse."""
    return float(np.sqrt(patient.torso_width_mm * patient.torso_depth_mm))


def _draw_arms(anatomy: Anatomy, rng: Generator) -> tuple[tuple[float, float], ...]:
    """Elbows beside the body, a little behind its middle."""
    wall = anatomy.torso.wall
    away = wall.half_width_mm + ARM_HALF_MM[0] + ARM_GAP_MM
    middle = 0.5 * (wall.front_y_mm + wall.back_y_mm)
    return tuple((wall.centre_x_mm + side * away, middle + float(rng.normal(20.0, 15.0))) for side in (-1.0, 1.0))


def scan(anatomy: Anatomy, protocol: Protocol, z_mm: NDArray[np.float64]) -> tuple[Slab, ...]:
    """Render the slices at these heights; what follows is the same for every kernel."""
    x, y = protocol.axes_mm()
    return tuple(render_slab(anatomy, x, y, float(z), protocol.thickness_mm) for z in z_mm)


def reconstruct(
    slabs: tuple[Slab, ...], protocol: Protocol, patient: Patient, kernel: Kernel, rng: Generator
) -> NDArray[np.int16]:
    """Turn rendered slices into a series of this kernel, (slices, rows, columns) HU."""
    x, y = protocol.axes_mm()
    beside = _beside_hu(x, y, protocol)
    tiles = noise_tiles(protocol.matrix, kernel.grain_mm / protocol.pixel_mm, rng)
    strength = noise_map(x, y, protocol) * (protocol.noise_hu * kernel.noise)
    series = np.empty((len(slabs), protocol.matrix, protocol.matrix), np.int16)
    for image, slab in zip(series, slabs, strict=True):
        soft = np.where(slab.soft_hu < -990.0, beside, slab.soft_hu)
        seen = blur(
            expose(Slab(soft, slab.mineral_mg), protocol, patient, protocol.pixel_mm), kernel, protocol.pixel_mm
        )
        seen = seen + strength * shifted(tiles, rng) + streaks(x, y, protocol, rng)
        image[:] = np.clip(np.rint(calibrated(seen, protocol)), *HU_LIMITS)
    return series


def expose(slab: Slab, protocol: Protocol, patient: Patient, pixel_mm: float) -> Floats:
    """Return what the beam makes of one slice before the kernel: voltage, hardening by size, bone and metal, HU."""
    excess = effective_diameter_mm(patient) - EFFECTIVE_DIAMETER_MM
    response = protocol.scanner.mineral_gain * (1.0 - HARDENING_PER_MM * excess)
    hu = attenuation_hu(slab.soft_hu, slab.mineral_mg * np.float32(response), protocol.kvp_kv)
    hu = hu - bone_shade(slab.mineral_mg, pixel_mm)
    metal = np.where(hu > METAL_ABOVE_HU, hu, np.float32(0.0))
    return hu + metal_streaks(metal, pixel_mm) if metal.any() else hu


def attenuation_hu(soft_hu: Floats, mineral_mg: Floats, kvp_kv: int) -> Floats:
    """Turn soft tissue and mineral into Hounsfield units at a tube voltage."""
    return soft_hu + mineral_mg * np.float32(1.0 / (MG_CM3_PER_HU * kvp_scale(kvp_kv).factor))


def bone_shade(mineral_mg: Floats, pixel_mm: float) -> Floats:
    """Return what dense bone takes from its surroundings and its own middle, HU; smooth, so made on a coarse grid."""
    step = max(1, round(3.0 / pixel_mm))
    coarse = uniform_filter(mineral_mg, step)[::step, ::step]
    smooth = gaussian_filter(coarse, SHADE_SD_MM / (step * pixel_mm), truncate=2.5) * np.float32(SHADE_HU_PER_MG)
    rows, columns = mineral_mg.shape
    return np.asarray(np.repeat(np.repeat(smooth, step, axis=0)[:rows], step, axis=1)[:, :columns], np.float32)


def metal_streaks(metal_hu: Floats, pixel_mm: float) -> Floats:
    """Return the streaks that metal leaves, (rows, columns) HU; made on a grid of about 1.5 mm.

    What a polychromatic beam lacks grows with the square of the metal in a ray; its filtered back-projection is dark
    along the rays that cross most metal and bright beside them.
    """
    step = max(1, round(1.5 / pixel_mm))
    coarse = uniform_filter(metal_hu, step)[::step, ::step]
    rows, columns = (np.arange(n, dtype=np.float32) - (n - 1) / 2.0 for n in coarse.shape)
    reach = int(np.hypot(len(rows), len(columns)) / 2.0) + 2
    dark = np.zeros(coarse.shape, np.float32)
    for angle in np.pi * np.arange(METAL_VIEWS) / METAL_VIEWS:
        across = rows[:, None] * np.float32(np.sin(angle)) + columns[None, :] * np.float32(np.cos(angle))
        ray = (across + np.float32(reach + 0.5)).astype(np.int32)
        dark += _filtered_loss(coarse, ray, 2 * reach + 1, step * pixel_mm)[ray]
    fine = np.repeat(np.repeat(dark, step, axis=0), step, axis=1)[: metal_hu.shape[0], : metal_hu.shape[1]]
    return np.asarray(-np.pi / METAL_VIEWS * fine, np.float32)


def _filtered_loss(metal_hu: Floats, ray: NDArray[np.int32], rays: int, ray_mm: float) -> Floats:
    """Return what one view lacks, ramp-filtered for back-projection, (rays,) HU."""
    where = metal_hu > 0.0
    integral = np.bincount(ray[where], metal_hu[where], rays) * (ray_mm / 10.0 / 1000.0)  # 1000 HU cm
    blurred = gaussian_filter1d(integral, METAL_BLUR_MM / ray_mm)
    ramp_per_cm = np.abs(np.fft.rfftfreq(rays, ray_mm / 10.0))
    return np.asarray(np.fft.irfft(np.fft.rfft(METAL_LOSS_HU_CM * blurred**2) * ramp_per_cm, rays), np.float32)


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


def shifted(tiles: Floats, rng: Generator) -> Floats:
    """Pick a tile and shift it, so that slices do not share their noise."""
    index, dy, dx = rng.integers((len(tiles), tiles.shape[1], tiles.shape[2]))
    return np.roll(tiles[index], (dy, dx), axis=(0, 1))


def noise_map(x: NDArray[np.float64], y: NDArray[np.float64], protocol: Protocol) -> Floats:
    """More noise in the middle of the body than at its edge."""
    r = np.hypot((x - protocol.centre_mm[0])[None, :], (y - protocol.centre_mm[1])[:, None])
    return np.asarray(0.55 + 0.5 * np.exp(-((r / 150.0) ** 2)), np.float32)


def streaks(x: NDArray[np.float64], y: NDArray[np.float64], protocol: Protocol, rng: Generator) -> Floats:
    """Return bands from side to side where the beam crosses both arms and starves, (rows, columns) HU."""
    if not protocol.arms_mm:
        return np.zeros((1, 1), np.float32)
    knots = np.arange(x[0] - 60.0, x[-1] + 120.0, 60.0)
    bands = gaussian_filter1d(rng.standard_normal((len(y), len(knots))), 1.0 / float(y[1] - y[0]), axis=0)
    along = np.clip((x[:, None] - knots) / 60.0, -1.0, 1.0)
    spread = bands @ (1.0 - np.abs(along)).T
    arms_y = float(np.mean([arm[1] for arm in protocol.arms_mm]))
    strength = STREAK_SHARE * protocol.noise_hu * np.exp(-(((y - arms_y) / STREAK_REACH_MM) ** 2))
    return np.asarray(strength[:, None] * spread / spread.std(), np.float32)


def calibrated(hu: Floats, protocol: Protocol) -> Floats:
    """Add the machine's error on the day of the examination; none in air."""
    offset = np.float32(protocol.scanner.offset_on(protocol.examined_at.date()))
    return np.asarray(hu + offset * np.clip(1.0 + hu / np.float32(1000.0), 0.0, 1.0), np.float32)


def circle(protocol: Protocol) -> NDArray[np.bool_]:
    """Return which pixels lie inside the reconstruction circle, (rows, columns)."""
    steps = np.arange(protocol.matrix) - (protocol.matrix - 1) / 2.0
    return np.asarray(np.hypot(steps[:, None], steps[None, :]) <= protocol.matrix / 2.0)


def _beside_hu(x: NDArray[np.float64], y: NDArray[np.float64], protocol: Protocol) -> Floats:
    """What lies in the air around the body: the table, and arms."""
    hu = _table_hu(x, y, protocol.table_y_mm)
    for arm_x, arm_y in protocol.arms_mm:
        a, b = x[None, :] - arm_x, y[:, None] - arm_y
        depth = 1.0 - np.hypot(a / ARM_HALF_MM[0], b / ARM_HALF_MM[1])  # 0 at the skin, 1 in the middle
        hu = np.where(depth > 0.0, -100.0, hu)
        hu = np.where(depth > 0.2, 55.0, hu)
        for side in (-1.0, 1.0):  # radius and ulna
            shaft = np.hypot(a, b - side * 14.0)
            hu = np.where(shaft < 9.0, np.where(shaft < 5.0, 60.0, 1100.0), hu)
    return np.asarray(hu, np.float32)


def _table_hu(x: NDArray[np.float64], y: NDArray[np.float64], top_mm: float) -> Floats:
    """A curved shell of carbon fibre around foam below the patient."""
    depth = y[:, None] - top_mm + (x[None, :] / 40.0) ** 2
    skin = np.minimum(np.abs(depth - 1.5), np.abs(depth - 45.0)) < 1.5
    inside = (depth > 0.0) & (depth < 46.5) & (np.abs(x[None, :]) < 210.0)
    return np.where(inside, np.where(skin, -150.0, -930.0), -1000.0).astype(np.float32)
