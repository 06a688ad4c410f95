"""Patient and spine -> ribs and hip bones, the landmarks beside the column that tell the levels apart."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from screening.simulation.canvas import Canvas
from screening.simulation.cohort import Patient, Stream
from screening.simulation.vertebrae import Spine

MARROW_HU = 0.0
RIB_SHELL_MM = 1.5
RIB_MG = (620.0, 170.0)  # mineral of shell and core, mg/cm3
ILIUM_SHELL_MM = 2.2
RIB_STEP_MM = 2.0
ILIUM_REACH_MM = 140.0  # of the anterior spine from the midline at scale 1; the wing stays under the skin
PIECE_MM = 14.0  # a section of a rib is painted as ovals of at most this length
# Length along the arc and slope (drop per mm of arc behind the angle) by vertebra; a short or absent 12th rib is usual.
RIB_LENGTH_MM = {"T12": (60.0, 160.0), "T11": (150.0, 230.0), "T10": (250.0, 320.0), "T9": (300.0, 360.0)}


@dataclass(frozen=True, slots=True)
class Rib:
    """Centre line of one rib and its oval section."""

    points_mm: NDArray[np.float64]  # (n, 3)
    thickness_mm: float  # radial
    height_mm: float  # cranio-caudal


@dataclass(frozen=True, slots=True)
class Ilium:
    """One iliac wing as an oblique plate below its crest."""

    side: float  # -1 right, +1 left
    crest_z_mm: float
    centre_mm: tuple[float, float]  # x, y of the plate's middle at the crest
    direction: tuple[float, float]  # unit vector to the front and outside
    length_mm: float  # half-length far below the crest
    thickness_mm: float
    core_mg: float
    shell_mg: float


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Bones beside the column."""

    ribs: tuple[Rib, ...]
    ilia: tuple[Ilium, ...]


def draw_skeleton(patient: Patient, spine: Spine, oval: tuple[float, float, float, float]) -> Skeleton:
    """Draw the bones; `oval` is the middle of the muscular wall: centre x, y and half-axes in mm."""
    rng = patient.rng(Stream.SKELETON)
    ribs = [
        _draw_rib(level, side, spine, oval, patient.size, rng)
        for level in ("T8", "T9", "T10", "T11", "T12")
        for side in (-1.0, 1.0)
    ]
    return Skeleton(tuple(ribs), _draw_ilia(patient, spine, oval[2], rng))


def paint_skeleton(skeleton: Skeleton, canvas: Canvas, z_mm: float) -> None:
    """Paint the sections of ribs and wings in one plane."""
    for rib in skeleton.ribs:
        _paint_rib(rib, canvas, z_mm)
    for ilium in skeleton.ilia:
        _paint_ilium(ilium, canvas, z_mm)


def _draw_rib(
    level: str, side: float, spine: Spine, oval: tuple[float, float, float, float], size: float, rng: Generator
) -> Rib:
    x0, y0, z0 = _rib_root(level, spine)
    cx, cy, a, b = oval
    length = rng.uniform(*RIB_LENGTH_MM.get(level, (330.0, 380.0))) * size
    theta = np.radians(np.arange(42.0, 150.0, 3.0))
    wall = np.column_stack([cx + side * a * np.sin(theta), cy + b * np.cos(theta)])
    near = np.array([(20.0, 13.0), (30.0, 25.0), (46.0, 37.0)]) * size * (side, 1.0) + (x0, y0)
    path = np.vstack([near, wall])
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    s = np.arange(0.0, min(length, arc[-1]), RIB_STEP_MM)
    xy = gaussian_filter1d(
        np.column_stack([np.interp(s, arc, path[:, i]) for i in (0, 1)]), 4.0, axis=0, mode="nearest"
    )
    steep = rng.uniform(0.45, 0.75) + (0.12 if level == "T12" else 0.0)
    drop = 0.2 * np.minimum(s, 30.0) + steep * np.clip(s - 30.0, 0.0, None)
    z = z0 - 3.0 - drop + 0.0035 * np.clip(s - 190.0, 0.0, None) ** 2
    return Rib(np.column_stack([xy, z]), rng.uniform(6.0, 8.5) * size, rng.uniform(10.5, 14.0) * size)


def _rib_root(level: str, spine: Spine) -> tuple[float, float, float]:
    if level != "T8":
        return spine.level(level).centre_mm
    x, y, z = spine.level("T9").centre_mm
    return x, y, z + 25.0


def _draw_ilia(patient: Patient, spine: Spine, room_mm: float, rng: Generator) -> tuple[Ilium, ...]:
    low, high = spine.level("L5"), spine.level("L4")
    crest = 0.5 * (low.centre_mm[2] + high.centre_mm[2]) + rng.normal(2.0, 8.0)
    scale = patient.size * (1.05 if patient.sex == "F" else 0.98) * (1.0 + 0.04 * rng.normal())
    scale = min(scale, room_mm / ILIUM_REACH_MM)
    angle, length = np.radians(rng.uniform(42.0, 60.0)), rng.uniform(58.0, 68.0)
    thickness, core, shell = rng.uniform(8.0, 12.0), 0.75 * patient.attenuation_hu, rng.uniform(500.0, 720.0)
    y = low.centre_mm[1] + rng.normal(10.0, 5.0)
    return tuple(
        Ilium(
            side=side,
            crest_z_mm=crest + rng.normal(0.0, 2.0),
            centre_mm=(low.centre_mm[0] + side * 88.0 * scale, y),
            direction=(side * float(np.cos(angle)), -float(np.sin(angle))),
            length_mm=length * scale,
            thickness_mm=thickness,
            core_mg=core,
            shell_mg=shell,
        )
        for side in (-1.0, 1.0)
    )


def _paint_rib(rib: Rib, canvas: Canvas, z_mm: float) -> None:
    dz = np.abs(rib.points_mm[:, 2] - z_mm)
    near = np.flatnonzero(dz < 0.5 * rib.height_mm)
    if not len(near):
        return
    runs = np.split(near, np.flatnonzero(np.diff(near) > 1) + 1)  # a rib can cross a plane twice
    pieces = [p for run in runs for p in np.array_split(run, max(1, round(len(run) * RIB_STEP_MM / PIECE_MM)))]
    for shrink, mineral in zip((0.0, RIB_SHELL_MM), RIB_MG, strict=True):
        for piece in pieces:
            points = rib.points_mm[piece, :2]
            chord = points[-1] - points[0]
            section = np.sqrt(1.0 - (float(dz[piece].min()) / (0.5 * rib.height_mm)) ** 2)
            half = (0.62 * float(np.hypot(*chord)) + 2.5 - shrink, 0.5 * rib.thickness_mm * section - shrink)
            middle = points.mean(axis=0)
            turn = float(np.arctan2(chord[1], chord[0]))
            if half[1] > 0.3:
                canvas.oval((middle[0], middle[1]), half, MARROW_HU, mineral, turn_rad=turn)


def _paint_ilium(ilium: Ilium, canvas: Canvas, z_mm: float) -> None:
    depth = ilium.crest_z_mm - z_mm
    if depth <= 0.0:
        return
    reach = ilium.length_mm * (1.0 - np.exp(-depth / 22.0))
    (x, y), (dx, dy) = ilium.centre_mm, ilium.direction
    x, y = x + 0.10 * depth * ilium.side * 0.5, y - 0.06 * depth
    part = canvas.window(x - reach - 8.0, x + reach + 8.0, y - reach - 8.0, y + reach + 8.0)
    if part is None:
        return
    u, v = canvas.x_mm[None, part[1]] - x, canvas.y_mm[part[0], None] - y
    along, across = u * dx + v * dy, np.abs(u * dy - v * dx)
    beyond = np.maximum(np.abs(along) - reach, 0.0)
    bend = 6.0 * (along / ilium.length_mm) ** 2  # the wing is hollow on its inner side
    thick = 0.5 * ilium.thickness_mm * (0.8 + 0.35 * (np.clip(-along / max(reach, 1.0), -0.5, 1.0)))
    inside = thick - np.hypot(np.abs(across - 0.25 * bend), beyond)
    share, core = (np.clip(d / canvas.pixel_mm + 0.5, 0.0, 1.0) for d in (inside, inside - ILIUM_SHELL_MM))
    mineral = ilium.shell_mg * (share - core) + ilium.core_mg * core
    canvas.lay(part, share, MARROW_HU, mineral / np.maximum(share, 1e-6))
