"""Patient -> organs and bowel loops as ellipsoids, painted slice by slice inside the body cavity."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from screening.simulation.canvas import Canvas, Painted
from screening.simulation.cohort import Patient
from screening.simulation.vertebrae import Floats, Spine, texture_blocks

GAS_HU = -960.0


@dataclass(frozen=True, slots=True)
class Tissues:
    """Attenuation per tissue, HU at 120 kVp."""

    fat: float
    muscle: float
    back_muscle: float
    liver: float
    spleen: float
    kidney: float
    aorta: float
    cava: float
    bowel: float
    fluid: float
    lung: float


@dataclass(frozen=True, slots=True)
class Blob:
    """An ellipsoid organ or bowel loop with an upright axis."""

    centre_mm: tuple[float, float, float]
    half_mm: tuple[float, float, float]
    turn_rad: float
    content: str  # a field of Tissues, "gas" or "stool"
    wall_mm: float = 0.0


def draw_tissues(patient: Patient, rng: Generator) -> Tissues:
    """Draw the attenuation of each tissue; muscle of the back turns to fat with age."""
    blood = rng.normal(41.0, 5.0)
    return Tissues(
        fat=rng.normal(-102.0, 5.0),
        muscle=rng.normal(54.0, 5.0),
        back_muscle=float(np.clip(rng.normal(52.0 - 0.4 * (patient.age_years - 50.0), 8.0), 0.0, 65.0)),
        liver=rng.normal(56.0, 8.0) if rng.random() > 0.15 else rng.uniform(0.0, 40.0),
        spleen=rng.normal(48.0, 4.0),
        kidney=rng.normal(31.0, 4.0),
        aorta=blood,
        cava=blood + rng.normal(0.0, 2.0),
        bowel=rng.normal(38.0, 8.0),
        fluid=rng.normal(15.0, 10.0),
        lung=rng.uniform(-880.0, -800.0),
    )


def draw_blobs(patient: Patient, spine: Spine, room_mm: float, front_mm: float, rng: Generator) -> tuple[Blob, ...]:
    """Draw bowel first, solid organs over it; `room` is half the cavity's width, `front` its anterior y."""
    return (
        *_mesentery(room_mm, front_mm, rng),
        *_bowel(room_mm, front_mm, rng),
        *_colon(room_mm, rng),
        *_upper_organs(patient, spine, room_mm, front_mm, rng),
        *_kidneys(patient, spine, room_mm, rng),
    )


def paint_blob(blob: Blob, tissues: Tissues, canvas: Canvas, z_mm: float, cavity: Floats) -> None:
    """Paint the section of one blob, cut off where the cavity ends."""
    height = (z_mm - blob.centre_mm[2]) / blob.half_mm[2]
    if abs(height) >= 1.0:
        return
    shrink = float(np.sqrt(1.0 - height * height))
    half = (blob.half_mm[0] * shrink, blob.half_mm[1] * shrink)
    centre = (blob.centre_mm[0], blob.centre_mm[1])
    if blob.wall_mm > 0.0:
        part, share = canvas.oval_share(centre, half, turn_rad=blob.turn_rad)
        if part is not None:
            canvas.lay(part, share * cavity[part], tissues.bowel)
        half = (half[0] - blob.wall_mm, half[1] - blob.wall_mm)
    part, share = canvas.oval_share(centre, half, turn_rad=blob.turn_rad)
    if part is not None:
        canvas.lay(part, share * cavity[part], _content_hu(blob, tissues, canvas, part, z_mm))


def grain(canvas: Canvas, part: Painted, z_mm: float, voxel_mm: float, *, coarse: bool = False) -> Floats:
    """Return texture of mean 0 and SD 1 for a part of the plane."""
    block = texture_blocks()[0 if coarse else 1]
    rows = (canvas.y_mm[part[0]] / voxel_mm).astype(int) % len(block)
    columns = (canvas.x_mm[part[1]] / voxel_mm).astype(int) % len(block)
    return np.asarray(block[int(z_mm / voxel_mm) % len(block)][np.ix_(rows, columns)])


def _content_hu(blob: Blob, tissues: Tissues, canvas: Canvas, part: Painted, z_mm: float) -> float | Floats:
    if blob.content == "gas":
        level = blob.centre_mm[1] + 0.3 * blob.half_mm[1]  # fluid collects behind
        return np.where(canvas.y_mm[part[0], None] < level, GAS_HU, tissues.fluid)
    if blob.content == "stool":
        bubbles = np.maximum(grain(canvas, part, z_mm, 2.0) - 0.4, 0.0)
        return np.asarray(np.clip(20.0 - 260.0 * bubbles, -900.0, 60.0))
    return float(getattr(tissues, blob.content))


def _kidneys(patient: Patient, spine: Spine, room: float, rng: Generator) -> list[Blob]:
    level_z, s = spine.level("L2").centre_mm[2], patient.size
    organs = []
    for side in (-1.0, 1.0):  # the right one lower
        centre = (side * (57.0 * s + rng.normal(0.0, 4.0)) * (room / 140.0) ** 0.5, rng.normal(12.0, 6.0))
        z = level_z + rng.normal(-4.0 + 6.0 * side, 12.0)
        turn = side * rng.uniform(0.3, 0.9)
        half = (27.0 * s * rng.uniform(0.85, 1.15), 31.0 * s * rng.uniform(0.85, 1.15), 55.0 * s)
        organs.append(Blob((*centre, z), half, turn, "kidney"))
        sinus = (centre[0] - side * 12.0, centre[1] - 5.0, z)
        organs.append(Blob(sinus, (13.0, 9.0, 26.0), turn, "fat"))
        organs.append(Blob((sinus[0] - side * 3.0, sinus[1], z), (9.0, 5.0, 16.0), turn, "fluid"))
        if rng.random() < 0.25:  # simple cyst
            r = rng.uniform(5.0, 22.0)
            organs.append(
                Blob(
                    (centre[0] + side * 22.0, centre[1] + rng.normal(0, 12), z + rng.normal(0, 30)),
                    (r, r, r),
                    0.0,
                    "fluid",
                )
            )
    return organs


def _upper_organs(patient: Patient, spine: Spine, room: float, front: float, rng: Generator) -> list[Blob]:
    z, s, low = spine.level("L1").centre_mm[2], patient.size, rng.normal(0.0, 15.0)
    middle = 0.5 * (front + 20.0)
    stomach = str(rng.choice(["fluid", "bowel", "gas"]))
    return [
        Blob((0.0, front + 70.0, z + 10.0), (0.5 * room, 14.0, 22.0), rng.uniform(-0.3, 0.1), "bowel"),  # pancreas
        Blob((0.45 * room, front + 45.0, z + 60.0), (0.38 * room, 38.0, 50.0), 0.2, stomach, 4.0),
        Blob((-0.60 * room, middle, z + 62.0 + low), (0.52 * room, 0.45 * (45.0 - front), 95.0 * s), 0.25, "liver"),
        Blob((-0.10 * room, front + 30.0, z + 90.0 + low), (0.65 * room, 42.0, 60.0 * s), 0.1, "liver"),
        Blob((0.80 * room, 22.0, z + 42.0 + rng.normal(0, 12)), (0.20 * room + 8.0, 48.0, 52.0 * s), -0.35, "spleen"),
    ]


def _bowel(room: float, front: float, rng: Generator) -> list[Blob]:
    loops = []
    for _ in range(rng.integers(50, 110)):
        centre = (rng.uniform(-0.75, 0.75) * room, rng.uniform(front + 8.0, -42.0), rng.uniform(-170.0, 70.0))
        a, b, c = rng.uniform(8.0, 22.0, 3)
        content = str(rng.choice(["bowel", "fluid", "gas", "stool"], p=[0.47, 0.25, 0.18, 0.10]))
        loops.append(Blob(centre, (a, b, 1.5 * c), rng.uniform(0.0, 3.1), content, rng.uniform(1.5, 3.5)))
    return loops


def _mesentery(room: float, front: float, rng: Generator) -> list[Blob]:
    """Small vessels and nodes in the fat before the column."""
    vessels = []
    for _ in range(rng.integers(40, 120)):
        centre = (rng.uniform(-0.6, 0.6) * room, rng.uniform(front + 15.0, -25.0), rng.uniform(-170.0, 110.0))
        r = rng.uniform(1.8, 5.0)
        vessels.append(
            Blob(centre, (r, r * rng.uniform(1.0, 2.5), r * rng.uniform(1.0, 6.0)), rng.uniform(0, 3.1), "cava")
        )
    return vessels


def _colon(room: float, rng: Generator) -> list[Blob]:
    loops = []
    for side in (-1.0, 1.0):
        for z in np.arange(-150.0, 40.0 + 30.0 * side, 26.0):
            centre = (side * 0.78 * room + rng.normal(0.0, 4.0), rng.normal(-8.0, 8.0), float(z))
            a, b = rng.uniform(14.0, 24.0, 2)
            content = str(rng.choice(["gas", "stool", "bowel"], p=[0.25, 0.55, 0.20]))
            loops.append(Blob(centre, (a, b, 20.0), 0.0, content, 2.5))
    return loops
