"""Patient and spine -> everything around the column, painted slice by slice at 120 kVp.

Attenuation of tissues in HU as commonly reported (fat -95 to -105, muscle 50-60, blood 40; FIELD figures), each
drawn per patient; positions follow the column, so that the same words hold for every size of body.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from screening.simulation.anatomy import Floats, Spine, texture_blocks
from screening.simulation.canvas import Canvas
from screening.simulation.cohort import Patient, Stream
from screening.simulation.vessels import Vessels


@dataclass(frozen=True, slots=True)
class Tissues:
    """Attenuation per tissue, HU at 120 kVp."""

    fat: float
    muscle: float
    back_muscle: float
    liver: float
    spleen: float
    kidney: float
    blood: float
    bowel: float
    fluid: float


@dataclass(frozen=True, slots=True)
class Blob:
    """An ellipsoid organ or bowel loop."""

    centre_mm: tuple[float, float, float]
    half_mm: tuple[float, float, float]
    turn_rad: float
    content: str  # key of Tissues, or "gas", "stool"
    wall_mm: float


@dataclass(frozen=True, slots=True)
class Wall:
    """The body wall by height: half width, front and back of skin, thickness of fat and muscle, mm."""

    half_width_mm: float
    front_y_mm: float
    back_y_mm: float
    fat_front_mm: float
    fat_side_mm: float
    fat_back_mm: float
    muscle_mm: float
    centre_x_mm: float
    power: float
    waist: float  # relative narrowing between ribs and pelvis


@dataclass(frozen=True, slots=True)
class Torso:
    """All soft tissue of one patient."""

    tissues: Tissues
    wall: Wall
    vessels: Vessels
    blobs: tuple[Blob, ...]
    column_z_mm: NDArray[np.float64]  # centre line of the bodies, ascending
    column_x_mm: NDArray[np.float64]
    column_y_mm: NDArray[np.float64]
    psoas: tuple[float, float]  # size left and right
    back_muscle: float
    fat_streaks: float
    size: float
    lung_base_z_mm: float
    spinous_gap_mm: float


def draw_torso(patient: Patient, spine: Spine, vessels: Vessels) -> Torso:
    """Draw the soft tissue of one patient."""
    rng = np.random.default_rng(patient.rng(Stream.ANATOMY).integers(2**63) + 2)
    wall = _draw_wall(patient, rng)
    order = [v.centre_mm for v in spine.vertebrae]
    z, x, y = (np.array([c[i] for c in order]) for i in (2, 0, 1))
    muscle_loss = 0.3 * np.clip((patient.age_years - 50.0) / 40.0, 0.0, 1.0)
    return Torso(
        tissues=_draw_tissues(patient, rng),
        wall=wall,
        vessels=vessels,
        blobs=_draw_blobs(patient, spine, wall, rng),
        column_z_mm=z,
        column_x_mm=x,
        column_y_mm=y,
        psoas=tuple((1.08 if patient.sex == "M" else 0.92) * (1 - muscle_loss) * np.exp(rng.normal(0, 0.1, 2))),  # type: ignore[arg-type]
        back_muscle=float((1.0 - 0.6 * muscle_loss) * np.exp(rng.normal(0, 0.08))),
        fat_streaks=float(np.clip(rng.normal(muscle_loss, 0.12), 0.0, 0.6)),
        size=patient.size,
        lung_base_z_mm=spine.level("L1").centre_mm[2] + rng.normal(8.0, 14.0),
        spinous_gap_mm=rng.uniform(3.0, 9.0),
    )


def paint_torso(torso: Torso, canvas: Canvas, z_mm: float) -> None:
    """Paint one plane: skin and wall, cavity, organs, muscles and vessels along the column."""
    column = _Column.at(torso, z_mm)
    _paint_wall(torso, canvas, z_mm)
    for blob in torso.blobs:
        _paint_blob(torso, canvas, blob, z_mm)
    _paint_muscles(torso, canvas, column, z_mm)
    _paint_vessels(torso, canvas, z_mm)


@dataclass(frozen=True, slots=True)
class _Column:
    x: float
    y: float
    height: float  # 0 at L3, in mm

    @classmethod
    def at(cls, torso: Torso, z_mm: float) -> "_Column":
        x, y = (float(np.interp(z_mm, torso.column_z_mm, line)) for line in (torso.column_x_mm, torso.column_y_mm))
        return cls(x, y, z_mm)


def _draw_tissues(patient: Patient, rng: Generator) -> Tissues:
    return Tissues(
        fat=rng.normal(-102.0, 5.0),
        muscle=rng.normal(54.0, 5.0),
        back_muscle=rng.normal(52.0 - 0.4 * (patient.age_years - 50.0), 8.0),
        liver=rng.normal(56.0, 9.0) if rng.random() > 0.15 else rng.uniform(0.0, 40.0),
        spleen=rng.normal(48.0, 4.0),
        kidney=rng.normal(31.0, 4.0),
        blood=rng.normal(41.0, 5.0),
        bowel=rng.normal(38.0, 8.0),
        fluid=rng.normal(15.0, 10.0),
    )


def _draw_wall(patient: Patient, rng: Generator) -> Wall:
    fat = float(
        np.clip(6.0 + 1.6 * (patient.body_mass_index - 18.0) * (1.25 if patient.sex == "F" else 0.85), 4.0, 60.0)
    )
    back_fat = fat * rng.uniform(0.6, 1.1)
    back = 78.0 * patient.size + back_fat + rng.normal(0.0, 3.0)
    return Wall(
        half_width_mm=patient.torso_width_mm / 2.0,
        front_y_mm=back - patient.torso_depth_mm,
        back_y_mm=back,
        fat_front_mm=fat * rng.uniform(0.7, 1.2),
        fat_side_mm=fat * rng.uniform(0.6, 1.1),
        fat_back_mm=back_fat,
        muscle_mm=rng.uniform(9.0, 18.0),
        centre_x_mm=rng.normal(0.0, 6.0),
        power=rng.uniform(2.2, 2.7),
        waist=rng.uniform(0.0, 0.08),
    )


def _draw_blobs(patient: Patient, spine: Spine, wall: Wall, rng: Generator) -> tuple[Blob, ...]:
    room = wall.half_width_mm - wall.fat_side_mm - wall.muscle_mm
    front = wall.front_y_mm + wall.fat_front_mm + 12.0
    return (*_bowel(room, front, rng), *_organs(patient, spine, room, front, rng))


def _organs(patient: Patient, spine: Spine, room: float, front: float, rng: Generator) -> tuple[Blob, ...]:
    l1, l2 = spine.level("L1").centre_mm[2], spine.level("L2").centre_mm[2]
    s = patient.size
    liver_low = rng.normal(0.0, 15.0)
    middle = 0.5 * (front + 20.0)
    organs = [
        Blob(
            (-0.62 * room, middle, l1 + 62 + liver_low), (0.50 * room, 0.42 * (40 - front), 95 * s), 0.25, "liver", 0.0
        ),
        Blob((-0.10 * room, front + 30, l1 + 90 + liver_low), (0.65 * room, 42, 60 * s), 0.1, "liver", 0.0),
        Blob((0.78 * room, 22, l1 + 42 + rng.normal(0, 12)), (0.20 * room + 8, 48, 52 * s), -0.35, "spleen", 0.0),
        Blob(
            (0.45 * room, front + 45, l1 + 60), (0.38 * room, 38, 50), 0.2, rng.choice(["fluid", "bowel", "gas"]), 4.0
        ),
    ]
    for side in (-1.0, 1.0):
        z = l2 + rng.normal(-4.0 + 6.0 * side, 12.0)
        x = side * (57.0 * s + rng.normal(0.0, 4.0)) * (room / 140.0) ** 0.5
        turn = side * rng.uniform(0.3, 0.9)
        half = (27.0 * s * rng.uniform(0.85, 1.15), 31.0 * s * rng.uniform(0.85, 1.15), 55.0 * s)
        y = rng.normal(12.0, 6.0)
        organs.append(Blob((x, y, z), half, turn, "kidney", 0.0))
        organs.append(Blob((x - side * 10, y - 4, z), (10.0, 12.0, 24.0), turn, "fat", 0.0))
    return tuple(organs)


def _bowel(room: float, front: float, rng: Generator) -> tuple[Blob, ...]:
    loops = []
    for _ in range(rng.integers(35, 70)):
        z = rng.uniform(-170.0, 70.0)
        x = rng.uniform(-0.8, 0.8) * room
        y = rng.uniform(front + 8.0, -38.0)
        half = rng.uniform(8.0, 20.0, 3)
        content = str(rng.choice(["bowel", "fluid", "gas", "stool"], p=[0.45, 0.25, 0.17, 0.13]))
        loops.append(
            Blob((x, y, z), (half[0], half[1], 1.5 * half[2]), rng.uniform(0, 3.1), content, rng.uniform(1.5, 3.5))
        )
    for side in (-1.0, 1.0):  # ascending and descending colon
        for z in np.arange(-150.0, 40.0 + 30.0 * side, 26.0):
            centre = (side * 0.80 * room + rng.normal(0, 4), rng.normal(-8.0, 8.0), z)
            half = rng.uniform(14.0, 24.0, 2)
            content = str(rng.choice(["gas", "stool", "bowel"], p=[0.25, 0.55, 0.2]))
            loops.append(Blob(centre, (half[0], half[1], 20.0), 0.0, content, 2.5))
    return tuple(loops)


def _paint_wall(torso: Torso, canvas: Canvas, z_mm: float) -> None:
    wall, tissue = torso.wall, torso.tissues
    narrow = 1.0 - wall.waist * np.exp(-(((z_mm + 30.0) / 70.0) ** 2)) + 0.04 * np.clip((-90.0 - z_mm) / 60.0, 0.0, 1.5)
    lean = 0.35 * (float(np.interp(z_mm, torso.column_z_mm, torso.column_y_mm)))
    half, x = wall.half_width_mm * narrow, wall.centre_x_mm
    front, back = wall.front_y_mm, wall.back_y_mm + lean

    def layer(side: float, ahead: float, behind: float, hu: float) -> None:
        y0, y1 = front + ahead, back - behind
        canvas.oval((x, 0.5 * (y0 + y1)), (half - side, 0.5 * (y1 - y0)), hu, power=wall.power)

    layer(0.0, 0.0, 0.0, 10.0)
    layer(2.0, 2.0, 2.0, tissue.fat)
    layer(wall.fat_side_mm, wall.fat_front_mm, wall.fat_back_mm, tissue.muscle)
    layer(
        wall.fat_side_mm + wall.muscle_mm, wall.fat_front_mm + 0.7 * wall.muscle_mm, wall.fat_back_mm + 30.0, tissue.fat
    )


def _paint_blob(torso: Torso, canvas: Canvas, blob: Blob, z_mm: float) -> None:
    height = (z_mm - blob.centre_mm[2]) / blob.half_mm[2]
    if abs(height) >= 1.0:
        return
    shrink = np.sqrt(1.0 - height * height)
    half = (blob.half_mm[0] * shrink, blob.half_mm[1] * shrink)
    centre = (blob.centre_mm[0] + torso.wall.centre_x_mm, blob.centre_mm[1])
    if blob.wall_mm > 0.0:
        canvas.oval(centre, half, torso.tissues.bowel, turn_rad=blob.turn_rad)
        half = (half[0] - blob.wall_mm, half[1] - blob.wall_mm)
    part, share = canvas.oval_share(centre, half, turn_rad=blob.turn_rad)
    if part is not None:
        canvas.lay(part, share, _content_hu(torso, canvas, blob, part, z_mm))


def _content_hu(torso: Torso, canvas: Canvas, blob: Blob, part: tuple[slice, slice], z_mm: float) -> float | Floats:
    if blob.content == "gas":
        level = blob.centre_mm[1] + 0.3 * blob.half_mm[1]  # fluid collects behind
        return np.where(canvas.y_mm[part[0], None] < level, -950.0, torso.tissues.fluid).astype(np.float32)
    if blob.content == "stool":
        grain = _grain(canvas, part, z_mm)
        return np.clip(20.0 - 260.0 * np.maximum(grain - 0.4, 0.0), -900.0, 60.0).astype(np.float32)
    return float(getattr(torso.tissues, blob.content))


def _grain(canvas: Canvas, part: tuple[slice, slice], z_mm: float, voxel_mm: float = 2.0) -> Floats:
    fine = texture_blocks()[1]
    size = len(fine)
    rows = (canvas.y_mm[part[0]] / voxel_mm).astype(int) % size
    columns = (canvas.x_mm[part[1]] / voxel_mm).astype(int) % size
    return fine[int(z_mm / voxel_mm) % size][np.ix_(rows, columns)]


def _paint_muscles(torso: Torso, canvas: Canvas, column: _Column, z_mm: float) -> None:
    tissue, s = torso.tissues, torso.size
    for side, strength in ((-1.0, torso.psoas[0]), (1.0, torso.psoas[1])):
        grow = np.clip((75.0 * s - z_mm) / 120.0, 0.0, 1.0)  # from T12 down to L5
        if grow > 0.0:
            a, b = strength * (8.0 + 12.0 * grow) * s, strength * (9.0 + 14.0 * grow) * s
            x = column.x + side * (24.0 * s + 0.72 * a + 8.0 * np.clip((-40.0 - z_mm) / 60.0, 0.0, 1.5))
            canvas.oval(
                (x, column.y + 6.0 - 8.0 * np.clip((-20.0 - z_mm) / 60.0, 0.0, 1.5)),
                (a, b),
                tissue.muscle,
                turn_rad=0.2 * side,
            )
        canvas.oval(
            (column.x + side * 62.0 * s, column.y + 30.0), (19.0 * s, 8.0 * s), tissue.muscle, turn_rad=-0.35 * side
        )
        x = column.x + side * (5.0 + 33.0 * s * torso.back_muscle)
        part, share = canvas.oval_share((x, column.y + 53.0 * s), (34.0 * s * torso.back_muscle, 23.0 * s), power=2.6)
        if part is not None:
            streak = np.clip(_grain(canvas, part, z_mm / 6.0, 3.0) - 1.4 + 2.2 * torso.fat_streaks, 0.0, 1.0)
            canvas.lay(part, share, tissue.back_muscle + streak * 0.7 * (tissue.fat - tissue.back_muscle))


def _paint_vessels(torso: Torso, canvas: Canvas, z_mm: float) -> None:
    vessels, blood = torso.vessels, torso.tissues.blood
    for vessel in (vessels.cava, vessels.iliac_left, vessels.aorta):
        x, y, radius = vessel.at(z_mm)
        canvas.oval((x, y), (radius, radius * vessel.flatness), blood)
    calcium = vessels.calcium
    near = np.abs(calcium.centres_mm[:, 2] - z_mm) < calcium.radii_mm + 1.0
    for (x, y, z), radius, mineral in zip(
        calcium.centres_mm[near], calcium.radii_mm[near], calcium.mineral_mg[near], strict=True
    ):
        section = np.sqrt(max(radius**2 - (z - z_mm) ** 2, 0.15))
        canvas.oval((float(x), float(y)), (section, section), blood, float(mineral))
