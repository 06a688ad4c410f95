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

from screening.simulation.branches import Branch, branch_rng
from screening.simulation.cohort import MG_CM3_PER_HU, Patient, Stream
from screening.simulation.findings import Cement, Finding, Sclerosis
from screening.simulation.outlines import (
    BACK,
    FRONT,
    LEFT,
    RIGHT,
    Ring,
    Wall,
    disc_outline,
    draw_outline,
    draw_rim,
    draw_wall,
    slant,
)
from screening.simulation.posterior import Posterior, draw_posterior

Floats = NDArray[np.floating]  # float32 wherever an image is drawn

LEVELS = ("S3", "S2", "S1", "L5", "L4", "L3", "L2", "L1", "T12", "T11", "T10", "T9")  # caudal to cranial
MEASURED_LEVELS = ("L1", "L2", "L3", "L4")
# Distance from each body centre to the next one cranial, mm (VerSe landmarks; sacrum and above T11 rounded).
PITCH_MM = {"S3": 22, "S2": 25, "S1": 31, "L5": 31.7, "L4": 33.8, "L3": 34.1, "L2": 33.4, "L1": 31, "T12": 29.8,
            "T11": 27.5, "T10": 26.0}  # fmt: skip
WIDTH_MM = {"S3": 24, "S2": 30, "S1": 48, "L5": 50, "L4": 47.5, "L3": 45, "L2": 43, "L1": 41.5, "T12": 40, "T11": 37,
            "T10": 34, "T9": 32}  # fmt: skip
DEPTH_MM = {"S3": 12, "S2": 17, "S1": 32, "L5": 37, "L4": 37.5, "L3": 37, "L2": 36, "L1": 35, "T12": 32.5, "T11": 32,
            "T10": 31, "T9": 30}  # fmt: skip
# Lean of the body axis to posterior on the way up, degrees: lordosis about 60 degrees between L1 and S1.
LEAN_DEG = {"S3": -70, "S2": -61, "S1": -50, "L5": -23, "L4": -5, "L3": 6, "L2": 11, "L1": 13, "T12": 11, "T11": 6,
            "T10": 2, "T9": -2}  # fmt: skip
MALE_ARCH = 1.08  # mineral of the arch relative to that of women of the same size
LEVEL_OFFSET_HU = {"L1": 4.0, "L2": 0.0, "L3": -5.0, "L4": 1.0}  # L1 above L3 (236 and 227 HU in young women)
SACRAL_END_PLATE = 0.5  # remnants between fused bodies
TEXTURE_VOXEL_MM = 1.5
TEXTURE_SIZE = 64


@dataclass(frozen=True, slots=True)
class BoneIsland:
    """Dense sphere inside a body, in the vertebra's own axes."""

    centre_mm: tuple[float, float, float]
    radius_mm: float
    mineral_mg: float


@dataclass(frozen=True, slots=True)
class DiscRim:
    """The bright bowl that a slice through a disc shows: fibrous ring and the raised margins of the end plates."""

    ring_hu: float  # attenuation of the outermost fibres above that of the nucleus
    margin_mg: float  # mineral the margins bring into the outermost millimetres
    power: float  # how late towards the edge it rises

    @classmethod
    def draw(cls, rng: Generator) -> "DiscRim":
        """Draw one disc; discs read 60-110 HU in the middle and 130-250 HU at the rim over 5-8 mm."""
        return cls(rng.uniform(10.0, 45.0), rng.uniform(0.0, 150.0), rng.uniform(2.5, 7.0))


@dataclass(frozen=True, slots=True)
class VertebraShape:
    """One vertebra: a lobed, waisted, shelled body with cancellous interior, and its arch."""

    level: str
    centre_mm: tuple[float, float, float]
    axes: Floats  # (3, 3), rows u, v, w in patient axes
    height_mm: float
    arch_height_mm: float  # height the arch was made for; a crushed body is lower
    outline_mm: Ring  # radius at the end plates by angle from u towards v
    outline_cosine: Ring  # turns a radial into a perpendicular distance
    upper_rim_mm: Ring  # osteophytes at the upper and lower rim
    lower_rim_mm: Ring
    wall: Wall
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
    disc_outline_mm: Ring  # of the disc below
    disc_rim: DiscRim
    posterior: Posterior
    findings: tuple[Finding, ...] = ()
    sclerosis: tuple[Sclerosis, ...] = ()
    cement: Cement | None = None

    @property
    def depth_mm(self) -> float:
        """Antero-posterior depth between the outer cortices at mid-height."""
        middle_mm = self.outline_mm - self.wall.waist_mm
        return float(middle_mm[FRONT] + middle_mm[BACK])

    @property
    def width_mm(self) -> float:
        """Lateral width between the outer cortices at mid-height."""
        middle_mm = self.outline_mm - self.wall.waist_mm
        return float(middle_mm[LEFT] + middle_mm[RIGHT])


@dataclass(frozen=True, slots=True)
class Spine:
    """The column from caudal to cranial."""

    vertebrae: tuple[VertebraShape, ...]
    cord_end_z_mm: float
    sac_hu: float
    cord_hu: float
    epidural_hu: float
    instrumented: tuple[str, ...] = ()  # levels joined by pedicle screws and rods

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
    rng, shapes = patient.rng(Stream.ANATOMY), branch_rng(patient, Branch.SHAPES)
    leans = _leans_deg(rng)
    tilts = _tilts_deg(rng)
    quality = _BoneQuality.draw(patient, rng)
    pitches = [PITCH_MM[level] * patient.size * (1.0 + 0.02 * rng.normal()) for level in LEVELS[:-1]]
    axes = [_axes(lean, tilt, 0.8 * tilt) for lean, tilt in zip(leans, tilts, strict=True)]
    centres = _centres(pitches, axes)
    vertebrae = tuple(
        _draw_vertebra(level, centre, frame, pitches[max(0, i - 1)], patient, quality, rng, shapes)
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
        """Draw them around the patient's attenuation: dense cancellous bone comes with dense cortex.

        How much cortex and arch vary of their own decides how well any reader of cancellous bone can do, and nobody has
        measured it. It is set so that attenuation and depth tell areal BMD with r about 0.93, the best agreement
        published for curated CT (0.85-0.93; 0.934 in 460 patients), whose CT and DXA had noise besides. A choice at
        the upper end: agreement in people will be lower (tests/simulation/test_densitometer.py).
        Arches of men are a little heavier for their size: lumbar DXA of men lies above that of women of the same
        attenuation (NHANES, men and women in their sixties: 1.070 and 0.952 g/cm2).
        """
        above = (patient.attenuation_hu - 130.0) / 100.0
        arch = 1.0 if patient.sex == "F" else MALE_ARCH
        return cls(
            cortex_mm=float(np.clip(rng.normal(1.45 + 0.10 * above, 0.10), 1.0, 2.6)),
            cortex_mg=float(np.clip(rng.normal(420.0 + 28.0 * above, 16.0), 250.0, 650.0)),
            posterior_mg=float(np.clip(arch * rng.normal(160.0 + 50.0 * above, 8.0), 50.0, 400.0)),
            posterior_cortex_mg=float(np.clip(arch * rng.normal(518.0 + 46.0 * above, 14.0), 250.0, 950.0)),
            end_plate_gain=rng.uniform(0.0, 0.35),
            texture=(rng.uniform(0.04, 0.16), rng.uniform(0.05, 0.25)),
            marrow_hu=rng.normal(0.0, 3.0),
        )


def _leans_deg(rng: Generator) -> list[float]:
    curve = float(np.clip(rng.normal(1.0, 0.16), 0.7, 1.4))  # lumbosacral angle 19-36 degrees
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
    shapes: Generator,
) -> VertebraShape:
    sacral = level.startswith("S")
    width = WIDTH_MM[level] * patient.size * (1.0 + 0.04 * rng.normal())
    depth = DEPTH_MM[level] * patient.size * (1.0 + 0.04 * rng.normal())
    disc_share = 0.06 if sacral else np.clip(rng.normal(0.215 - 0.04 * patient.degeneration, 0.03), 0.09, 0.30)
    height = PITCH_MM.get(level, pitch_mm) * patient.size * (1.0 - disc_share)
    outline = draw_outline(width / 2.0, depth / 2.0, rng, shapes)
    mineral = patient.attenuation_hu + LEVEL_OFFSET_HU.get(level, 2.0) + rng.normal(0.0, 5.0) - quality.marrow_hu
    mineral = max(8.0, mineral * MG_CM3_PER_HU) * (0.75 if sacral else 1.0)
    wedge = _wedge(level, patient, rng)
    return VertebraShape(
        level=level,
        centre_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
        axes=axes,
        height_mm=float(height * (1.0 - 0.3 * wedge)),
        arch_height_mm=float(height),
        outline_mm=outline,
        outline_cosine=slant(outline),
        upper_rim_mm=draw_rim(patient.degeneration, rng),
        lower_rim_mm=draw_rim(patient.degeneration, rng),
        wall=draw_wall(outline, rng.uniform(0.02, 0.10), shapes),
        concavity_mm=(rng.uniform(0.3, 2.6), rng.uniform(0.3, 2.6)),
        wedge=wedge,
        cortex_mm=quality.cortex_mm * rng.uniform(0.9, 1.1),
        cortex_mg=quality.cortex_mg * rng.uniform(0.92, 1.08),
        end_plate_mm=rng.uniform(0.8, 1.6),
        end_plate_mg=quality.cortex_mg * rng.uniform(0.85, 1.2) * (SACRAL_END_PLATE if sacral else 1.0),
        cancellous_mg=mineral * (1.0 + 1.2 * wedge),
        end_plate_gain=quality.end_plate_gain,
        texture=quality.texture,
        texture_offset=tuple(int(o) for o in rng.integers(0, TEXTURE_SIZE, 3)),  # type: ignore[arg-type]
        vein_mm=float(rng.uniform(1.5, 4.5)) if rng.random() < 0.85 else 0.0,
        islands=_islands(width, depth, height, rng),
        marrow_hu=quality.marrow_hu,
        disc_below_hu=rng.normal(82.0, 10.0),
        disc_outline_mm=disc_outline(outline, rng.uniform(0.0, 2.0)),
        disc_rim=DiscRim.draw(shapes),
        posterior=draw_posterior(level, patient, quality.posterior_cortex_mg, quality.posterior_mg, rng),
    )


def _wedge(level: str, patient: Patient, rng: Generator) -> float:
    """Anterior height loss of a fractured body; the chance rises as density falls."""
    draw, loss = rng.random(), rng.uniform(0.15, 0.40)
    chance = 0.075 if level in ("T11", "T12", "L1") else 0.031
    fragile = np.clip((150.0 - patient.attenuation_hu) / 60.0, 0.0, 2.0)
    return float(loss) if level[0] in "TL" and draw < chance * fragile else 0.0


def _islands(width: float, depth: float, height: float, rng: Generator) -> tuple[BoneIsland, ...]:
    """Draw them in a quarter of the patients, twice as often as in autopsies, so that networks meet enough of them."""
    count = int(rng.random() < 0.03) + int(rng.random() < 0.01)
    return tuple(
        BoneIsland(
            (rng.uniform(-0.3, 0.3) * width, rng.uniform(-0.3, 0.3) * depth, rng.uniform(-0.35, 0.35) * height),
            rng.uniform(1.5, 4.0),
            rng.uniform(350.0, 800.0),
        )
        for _ in range(count)
    )
