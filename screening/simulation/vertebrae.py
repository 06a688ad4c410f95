"""Patient -> the shapes and densities of a spine, in millimetres and mg/cm3 of mineral.

Coordinates are DICOM patient axes (x to the left, y to posterior, z to cranial) with the origin in the centre of L3.
Every vertebra has its own axes u (left), v (posterior), w (cranial). Pitches are means of VerSe's landmarks
(193 spines); body widths and depths are rounded morphometry of adults; cortical and posterior densities are chosen
so that the projected areal density agrees with the published relation to trabecular attenuation (densitometer.py).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from screening.simulation.cohort import MG_CM3_PER_HU, Patient, Stream

Floats = NDArray[np.floating]  # float32 wherever an image is drawn

LEVELS = ("S3", "S2", "S1", "L5", "L4", "L3", "L2", "L1", "T12", "T11", "T10", "T9")  # caudal to cranial
MEASURED_LEVELS = ("L1", "L2", "L3", "L4")
# Distance from each body centre to the next one cranial, mm (VerSe landmarks; sacrum and above T11 rounded).
PITCH_MM = {"S3": 22, "S2": 25, "S1": 31, "L5": 31.7, "L4": 33.8, "L3": 34.1, "L2": 33.4, "L1": 31, "T12": 29.8,
            "T11": 27.5, "T10": 26.0}  # fmt: skip
WIDTH_MM = {"S3": 24, "S2": 30, "S1": 48, "L5": 50, "L4": 47.5, "L3": 45, "L2": 43, "L1": 41.5, "T12": 40, "T11": 37,
            "T10": 34, "T9": 32}  # fmt: skip
DEPTH_MM = {"S3": 12, "S2": 17, "S1": 31, "L5": 36, "L4": 36.5, "L3": 36, "L2": 35, "L1": 34, "T12": 32.5, "T11": 32,
            "T10": 31, "T9": 30}  # fmt: skip
# Lean of the body axis to posterior on the way up, degrees: lordosis about 55 degrees between L1 and S1.
LEAN_DEG = {"S3": -68, "S2": -58, "S1": -45, "L5": -18, "L4": -3, "L3": 6, "L2": 11, "L1": 13, "T12": 11, "T11": 6,
            "T10": 2, "T9": -2}  # fmt: skip
TRANSVERSE_REACH_MM = {"L5": 42, "L4": 41, "L3": 45, "L2": 41, "L1": 37, "T12": 24, "T11": 26, "T10": 28, "T9": 29}
LEVEL_OFFSET_HU = {"L1": 4.0, "L2": 0.0, "L3": -5.0, "L4": 1.0}  # L1 above L3 (236 and 227 HU in young women)
ANGLES = 512  # samples of an outline over the full turn
TEXTURE_VOXEL_MM = 1.5
TEXTURE_SIZE = 64


@dataclass(frozen=True, slots=True)
class BoneIsland:
    """Dense sphere inside a body, in the vertebra's own axes."""

    centre_mm: tuple[float, float, float]
    radius_mm: float
    mineral_mg: float


@dataclass(frozen=True, slots=True)
class Posterior:
    """Sizes of the vertebral arch in mm; lengths not given here follow from the body."""

    pedicle_gap_mm: float  # half the distance between the pedicles' axes
    pedicle_width_mm: float
    pedicle_height_mm: float
    canal_depth_mm: float
    canal_width_mm: float
    lamina_mm: float
    facet_mm: float
    spinous_length_mm: float
    spinous_mm: float
    spinous_drop: float  # share of the body height by which the tip lies below its base
    transverse_reach_mm: float
    transverse_mm: float
    transverse_root_mm: float  # how far in front of the pedicle's end the process begins
    asymmetry: float
    roughness_mm: float  # SD of the surface
    cortex_mm: float
    cortex_mg: float
    cancellous_mg: float


@dataclass(frozen=True, slots=True)
class VertebraShape:
    """One vertebra: a lobed, waisted, shelled body with cancellous interior, and its arch."""

    level: str
    centre_mm: tuple[float, float, float]
    axes: Floats  # (3, 3), rows u, v, w in patient axes
    height_mm: float
    outline_mm: Floats  # (ANGLES,) radius at the end plates by angle from u towards v
    outline_cosine: Floats  # (ANGLES,) turns a radial into a perpendicular distance
    upper_rim_mm: Floats  # (ANGLES,) osteophytes at the upper and lower rim
    lower_rim_mm: Floats
    waist: float
    concavity_mm: tuple[float, float]  # of the upper and the lower end plate
    wedge: float  # share of the height lost in front
    cortex_mm: float
    cortex_mg: float
    end_plate_mm: float
    end_plate_mg: float
    cancellous_mg: float
    end_plate_gain: float  # relative density at the end plates less that of the middle
    texture: tuple[float, float]  # relative SD of the coarse and the fine texture
    texture_offset: tuple[int, int, int]
    vein_mm: float  # half-height of the basivertebral vein, 0 without
    islands: tuple[BoneIsland, ...]
    marrow_hu: float  # attenuation of the marrow without mineral
    disc_below_hu: float
    disc_bulge_mm: float
    posterior: Posterior

    @property
    def depth_mm(self) -> float:
        """Antero-posterior depth between the outer cortices at mid-height."""
        front, back = self.outline_mm[3 * ANGLES // 4], self.outline_mm[ANGLES // 4]
        return float((front + back) * (1.0 - self.waist))


@dataclass(frozen=True, slots=True)
class Spine:
    """The column from caudal to cranial."""

    vertebrae: tuple[VertebraShape, ...]
    cord_end_z_mm: float
    sac_hu: float
    cord_hu: float
    epidural_hu: float

    def level(self, name: str) -> VertebraShape:
        """Return one vertebra by its name."""
        return next(vertebra for vertebra in self.vertebrae if vertebra.level == name)


@lru_cache(maxsize=1)
def texture_blocks() -> tuple[Floats, Floats]:
    """Return the coarse and the fine texture, periodic cubes of mean 0 and SD 1."""
    white = np.random.default_rng(20200214).standard_normal((2, *(TEXTURE_SIZE,) * 3)).astype(np.float32)
    coarse = gaussian_filter(white[0], 2.6, mode="wrap")
    fine = gaussian_filter(white[1], 0.7, mode="wrap")
    return coarse / coarse.std(), fine / fine.std()


def draw_spine(patient: Patient) -> Spine:
    """Draw the spine of one patient."""
    rng = patient.rng(Stream.ANATOMY)
    leans = _leans_deg(rng)
    tilts = _tilts_deg(rng)
    quality = _BoneQuality.draw(patient, rng)
    pitches = [PITCH_MM[level] * patient.size * (1.0 + 0.02 * rng.normal()) for level in LEVELS[:-1]]
    axes = [_axes(lean, tilt, 0.8 * tilt) for lean, tilt in zip(leans, tilts, strict=True)]
    centres = _centres(pitches, axes)
    vertebrae = tuple(
        _draw_vertebra(level, centre, frame, pitches[max(0, i - 1)], patient, quality, rng)
        for i, (level, centre, frame) in enumerate(zip(LEVELS, centres, axes, strict=True))
    )
    conus = vertebrae[LEVELS.index("L1")].centre_mm[2] + rng.normal(0.0, 12.0)
    return Spine(vertebrae, float(conus), rng.uniform(5, 25), rng.uniform(30, 45), rng.uniform(-95, 10))


@dataclass(frozen=True, slots=True)
class _BoneQuality:
    """Densities that all vertebrae of a patient share."""

    cortex_mm: float
    cortex_mg: float
    posterior_mg: float
    posterior_cortex_mg: float
    end_plate_gain: float
    texture: tuple[float, float]
    marrow_hu: float

    @classmethod
    def draw(cls, patient: Patient, rng: Generator) -> "_BoneQuality":
        """Draw them around the patient's attenuation: dense cancellous bone comes with dense cortex."""
        above = (patient.attenuation_hu - 130.0) / 100.0
        return cls(
            cortex_mm=float(np.clip(rng.normal(1.45 + 0.12 * above, 0.25), 1.0, 2.6)),
            cortex_mg=float(np.clip(rng.normal(422.0 + 32.0 * above, 45.0), 250.0, 650.0)),
            posterior_mg=float(np.clip(rng.normal(158.0 + 53.0 * above, 20.0), 50.0, 320.0)),
            posterior_cortex_mg=float(np.clip(rng.normal(530.0 + 50.0 * above, 50.0), 300.0, 800.0)),
            end_plate_gain=rng.uniform(0.0, 0.35),
            texture=(rng.uniform(0.04, 0.16), rng.uniform(0.05, 0.25)),
            marrow_hu=rng.normal(0.0, 3.0),
        )


def _leans_deg(rng: Generator) -> list[float]:
    curve = float(np.clip(rng.normal(1.0, 0.18), 0.6, 1.4))  # sacral slope about 45 +- 8 degrees
    return [LEAN_DEG[level] * curve + rng.normal(0.0, 1.5) for level in LEVELS]


def _tilts_deg(rng: Generator) -> list[float]:
    """Lateral tilt per level: mostly a degree or two, one patient in twelve with a clear curve."""
    amplitude = rng.uniform(5.0, 11.0) if rng.random() < 0.08 else abs(rng.normal(0.0, 1.8))
    phase, period = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(7.0, 12.0)
    above_sacrum = np.clip(np.arange(len(LEVELS)) - 2, 0, None)
    curve = np.sin(2.0 * np.pi * above_sacrum / period + phase) * np.clip(above_sacrum / 2.0, 0.2, 1.0)
    return [float(t) for t in amplitude * curve + rng.normal(0.0, 0.6, len(LEVELS))]


def _axes(lean_deg: float, tilt_deg: float, turn_deg: float) -> Floats:
    lean, tilt, turn = np.radians([lean_deg, tilt_deg, turn_deg])
    about_x = np.array([[1, 0, 0], [0, np.cos(lean), -np.sin(lean)], [0, np.sin(lean), np.cos(lean)]])
    about_y = np.array([[np.cos(tilt), 0, -np.sin(tilt)], [0, 1, 0], [np.sin(tilt), 0, np.cos(tilt)]])
    about_z = np.array([[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x, np.float32)


def _centres(pitches: list[float], axes: list[Floats]) -> NDArray[np.float64]:
    """Stack the bodies along their own axes and put the origin into L3."""
    steps = [0.5 * pitch * (low[2] + high[2]) for pitch, low, high in zip(pitches, axes, axes[1:], strict=False)]
    centres = np.vstack([np.zeros(3), np.cumsum(steps, axis=0)])
    return np.asarray(centres - centres[LEVELS.index("L3")])


def _draw_vertebra(
    level: str,
    centre: NDArray[np.float64],
    axes: Floats,
    pitch_mm: float,
    patient: Patient,
    quality: _BoneQuality,
    rng: Generator,
) -> VertebraShape:
    sacral = level.startswith("S")
    width = WIDTH_MM[level] * patient.size * (1.0 + 0.04 * rng.normal())
    depth = DEPTH_MM[level] * patient.size * (1.0 + 0.04 * rng.normal())
    disc_share = 0.06 if sacral else np.clip(rng.normal(0.215 - 0.04 * patient.degeneration, 0.03), 0.09, 0.30)
    height = PITCH_MM.get(level, pitch_mm) * patient.size * (1.0 - disc_share)
    outline, cosine = _outline(width / 2.0, depth / 2.0, rng)
    mineral = patient.attenuation_hu + LEVEL_OFFSET_HU.get(level, 2.0) + rng.normal(0.0, 5.0) - quality.marrow_hu
    mineral = max(8.0, mineral * MG_CM3_PER_HU) * (0.75 if sacral else 1.0)
    wedge = _wedge(level, patient, rng)
    return VertebraShape(
        level=level,
        centre_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
        axes=axes,
        height_mm=float(height * (1.0 - 0.3 * wedge)),
        outline_mm=outline,
        outline_cosine=cosine,
        upper_rim_mm=_rim(patient.degeneration, rng),
        lower_rim_mm=_rim(patient.degeneration, rng),
        waist=rng.uniform(0.02, 0.10),
        concavity_mm=(rng.uniform(0.3, 2.6), rng.uniform(0.3, 2.6)),
        wedge=wedge,
        cortex_mm=quality.cortex_mm * rng.uniform(0.9, 1.1),
        cortex_mg=quality.cortex_mg * rng.uniform(0.92, 1.08),
        end_plate_mm=rng.uniform(0.8, 1.6),
        end_plate_mg=quality.cortex_mg * rng.uniform(0.85, 1.2),
        cancellous_mg=mineral * (1.0 + 1.2 * wedge),
        end_plate_gain=quality.end_plate_gain,
        texture=quality.texture,
        texture_offset=tuple(int(o) for o in rng.integers(0, TEXTURE_SIZE, 3)),  # type: ignore[arg-type]
        vein_mm=float(rng.uniform(1.5, 4.5)) if rng.random() < 0.85 else 0.0,
        islands=_islands(width, depth, height, rng),
        marrow_hu=quality.marrow_hu,
        disc_below_hu=rng.normal(82.0, 10.0),
        disc_bulge_mm=rng.uniform(0.0, 2.0),
        posterior=_draw_posterior(level, width, depth, patient, quality, rng),
    )


def _outline(half_width: float, half_depth: float, rng: Generator) -> tuple[Floats, Floats]:
    """Super-ellipse with a hollow back wall and low-order lobes."""
    angle = np.arange(ANGLES) * 2.0 * np.pi / ANGLES
    front, back = rng.uniform(1.95, 2.35), rng.uniform(2.5, 4.2)  # round in front, square behind
    power = front + (back - front) * (0.5 + 0.5 * np.tanh(2.5 * np.sin(angle)))
    radius = (np.abs(np.cos(angle) / half_width) ** power + np.abs(np.sin(angle) / half_depth) ** power) ** (-1 / power)
    hollow = rng.uniform(0.02, 0.13) * np.exp(-(((angle - np.pi / 2) / 0.42) ** 2))
    lobes = sum(rng.normal(0.0, 0.012) * np.cos(m * angle + rng.uniform(0, 2 * np.pi)) for m in (2, 3, 4, 5, 7))
    radius = radius * (1.0 - hollow + lobes)
    slope = (np.roll(radius, -1) - np.roll(radius, 1)) * ANGLES / (4.0 * np.pi)
    return radius.astype(np.float32), (radius / np.hypot(radius, slope)).astype(np.float32)


def _rim(degeneration: float, rng: Generator) -> Floats:
    """Osteophytes: bumps on the front and the sides of an end plate."""
    angle = np.arange(ANGLES) * 2.0 * np.pi / ANGLES
    rim = np.full(ANGLES, rng.uniform(0.0, 1.0))
    for _ in range(rng.poisson(2.2 * degeneration**2)):
        where, width = rng.uniform(np.pi * 0.95, np.pi * 2.05), rng.uniform(0.12, 0.5)
        rim += rng.uniform(1.0, 7.0) * np.exp(-((np.angle(np.exp(1j * (angle - where))) / width) ** 2))
    return rim.astype(np.float32)


def _wedge(level: str, patient: Patient, rng: Generator) -> float:
    """Anterior height loss of a fractured body; the chance rises as density falls."""
    draw, loss = rng.random(), rng.uniform(0.15, 0.40)
    chance = 0.06 if level in ("T11", "T12", "L1") else 0.025
    fragile = np.clip((150.0 - patient.attenuation_hu) / 60.0, 0.0, 2.0)
    return float(loss) if level[0] in "TL" and draw < chance * fragile else 0.0


def _islands(width: float, depth: float, height: float, rng: Generator) -> tuple[BoneIsland, ...]:
    count = int(rng.random() < 0.07) + int(rng.random() < 0.02)
    return tuple(
        BoneIsland(
            (rng.uniform(-0.3, 0.3) * width, rng.uniform(-0.3, 0.3) * depth, rng.uniform(-0.35, 0.35) * height),
            rng.uniform(1.5, 4.0),
            rng.uniform(350.0, 800.0),
        )
        for _ in range(count)
    )


def _draw_posterior(
    level: str, width: float, depth: float, patient: Patient, quality: _BoneQuality, rng: Generator
) -> Posterior:
    size, lumbar, worn = patient.size, level.startswith("L"), patient.degeneration

    def about(mean: float, relative_sd: float = 0.09) -> float:
        return float(mean * size * np.clip(1.0 + relative_sd * rng.normal(), 0.7, 1.35))

    gap = {"L5": 17.0, "L4": 15.0, "L3": 14.0, "L2": 13.4, "L1": 13.0}.get(level, 12.5)
    return Posterior(
        pedicle_gap_mm=about(gap, 0.05),
        pedicle_width_mm=about({"L5": 17.0, "L4": 11.5, "L3": 10.0, "L2": 9.0}.get(level, 8.2)),
        pedicle_height_mm=about(15.0 if lumbar else 15.5),
        canal_depth_mm=about({"S1": 13.0, "S2": 10.0, "S3": 8.0}.get(level, 17.0 if lumbar else 16.0)),
        canal_width_mm=about(24.0 if lumbar else 21.0),
        lamina_mm=about(6.5),
        facet_mm=about(7.2 + 2.5 * worn, 0.12),
        spinous_length_mm=about(30.0 if lumbar else 26.0, 0.12),
        spinous_mm=about(6.8, 0.15),
        spinous_drop=rng.uniform(0.05, 0.35) if lumbar else rng.uniform(0.5, 0.9),
        transverse_reach_mm=about(TRANSVERSE_REACH_MM.get(level, 40.0), 0.08),
        transverse_mm=about(11.0 if level == "L5" else 5.5, 0.15),
        transverse_root_mm=about(11.0 if level == "L5" else 4.0),
        asymmetry=float(rng.normal(0.0, 0.03)),
        roughness_mm=rng.uniform(0.2, 0.8) * (0.6 + 0.8 * worn),
        cortex_mm=float(np.clip(rng.normal(1.6, 0.25), 1.0, 2.6)),
        cortex_mg=quality.posterior_cortex_mg,
        cancellous_mg=quality.posterior_mg * (0.7 if level.startswith("S") else 1.0),
    )
