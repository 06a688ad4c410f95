"""Patient and spine -> everything around the column, painted slice by slice at 120 kVp.

Attenuation of tissues in HU as commonly reported (fat -95 to -105, muscle 50-60, blood 40), each drawn per patient;
positions follow the column, so that the same words hold for every size of body.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from screening.simulation.branches import Branch, branch_rng
from screening.simulation.canvas import Canvas, Painted
from screening.simulation.cohort import Patient, Stream
from screening.simulation.organs import Blob, Tissues, draw_blobs, draw_tissues, grain, paint_blob
from screening.simulation.vertebrae import Floats, Spine
from screening.simulation.vessels import Vessels

SKIN_HU = 10.0
PSOAS_INSET_MM = (2.0, 8.0)


@dataclass(frozen=True, slots=True)
class Wall:
    """The body wall: half width, front and back of the skin, thickness of fat and muscle, mm."""

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
    blobs: tuple[Blob, ...]
    column_mm: NDArray[np.float64]  # (n, 3) centres of the bodies, ascending in z
    body_side_mm: NDArray[np.float64]  # (n,) half widths of the bodies at mid-height
    psoas_inset_mm: float  # how far the muscle bulges round the side of the body
    psoas: tuple[float, float]  # relative size right and left
    back_muscle: float
    fat_streaks: float
    fat_seam_mm: float  # between muscles
    size: float
    lung_base_z_mm: float


def draw_torso(patient: Patient, spine: Spine) -> Torso:
    """Draw the soft tissue of one patient."""
    rng = patient.rng(Stream.TORSO)
    wall = _draw_wall(patient, rng)
    room = wall.half_width_mm - wall.fat_side_mm - wall.muscle_mm
    muscle_loss = 0.3 * float(np.clip((patient.age_years - 50.0) / 40.0, 0.0, 1.0))
    strength = (1.08 if patient.sex == "M" else 0.92) * (1.0 - muscle_loss)
    return Torso(
        tissues=draw_tissues(patient, rng),
        wall=wall,
        blobs=draw_blobs(patient, spine, room, wall.front_y_mm + wall.fat_front_mm + 12.0, rng),
        column_mm=np.array([v.centre_mm for v in spine.vertebrae]),
        body_side_mm=np.array([0.5 * v.width_mm for v in spine.vertebrae]),
        psoas_inset_mm=branch_rng(patient, Branch.SURROUNDINGS).uniform(*PSOAS_INSET_MM),
        psoas=(strength * float(np.exp(rng.normal(0, 0.1))), strength * float(np.exp(rng.normal(0, 0.1)))),
        back_muscle=float((1.0 - 0.6 * muscle_loss) * np.exp(rng.normal(0, 0.08))),
        fat_streaks=float(np.clip(rng.normal(muscle_loss, 0.12), 0.0, 0.6)),
        fat_seam_mm=rng.uniform(0.5, 3.0),
        size=patient.size,
        lung_base_z_mm=spine.level("L1").centre_mm[2] + rng.normal(12.0, 12.0),
    )


def rib_oval(torso: Torso) -> tuple[float, float, float, float]:
    """Return the middle of the muscular wall around the chest: centre x, y and half-axes, mm."""
    wall = torso.wall
    front, back = wall.front_y_mm + wall.fat_front_mm + 6.0, wall.back_y_mm - wall.fat_back_mm - 8.0
    half = wall.half_width_mm - wall.fat_side_mm - 0.5 * wall.muscle_mm
    return wall.centre_x_mm, 0.5 * (front + back), half, 0.5 * (back - front)


def paint_torso(torso: Torso, vessels: Vessels, canvas: Canvas, z_mm: float) -> None:
    """Paint one plane: skin and wall, cavity, organs, muscles and vessels along the column."""
    inside, cavity = _paint_wall(torso, canvas, z_mm)
    for blob in torso.blobs:
        paint_blob(blob, torso.tissues, canvas, z_mm, cavity)
    x, y = (float(np.interp(z_mm, torso.column_mm[:, 2], torso.column_mm[:, i])) for i in (0, 1))
    for side, strength in zip((-1.0, 1.0), torso.psoas, strict=True):
        _paint_muscles(torso, canvas, (x, y), z_mm, side, strength)
        _paint_back_muscle(torso, canvas, (x, y), z_mm, side, inside)
    _paint_vessels(torso.tissues, vessels, canvas, z_mm)


def _draw_wall(patient: Patient, rng: Generator) -> Wall:
    plumpness = (patient.body_mass_index - 18.0) * (1.25 if patient.sex == "F" else 0.85)
    fat = float(np.clip(6.0 + 1.6 * plumpness, 4.0, 60.0))
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


def _paint_wall(torso: Torso, canvas: Canvas, z_mm: float) -> tuple[Floats, Floats]:
    """Paint skin, fat, muscle, cavity and lungs; return the shares inside the muscular wall and inside the cavity."""
    wall, tissue = torso.wall, torso.tissues
    hips = 0.04 * float(np.clip((-90.0 - z_mm) / 60.0, 0.0, 1.5))
    half = wall.half_width_mm * (1.0 + hips - wall.waist * float(np.exp(-(((z_mm + 30.0) / 70.0) ** 2))))
    sway = 0.6 * float(np.interp(z_mm, torso.column_mm[:, 2], torso.column_mm[:, 1]))

    def layer(side: float, ahead: float, behind: float, hu: float) -> tuple[Painted | None, Floats]:
        y0, y1 = wall.front_y_mm + ahead, wall.back_y_mm + sway - behind
        centre, axes = (wall.centre_x_mm, 0.5 * (y0 + y1)), (half - side, 0.5 * (y1 - y0))
        part, share = canvas.oval_share(centre, axes, power=wall.power)
        if part is not None:
            canvas.lay(part, share, hu)
        return part, share

    layer(0.0, 0.0, 0.0, SKIN_HU)
    layer(2.0, 2.0, 2.0, tissue.fat)
    inside, cavity = np.zeros_like(canvas.hu), np.zeros_like(canvas.hu)
    part, share = layer(wall.fat_side_mm, wall.fat_front_mm, wall.fat_back_mm, tissue.muscle)
    if part is not None:
        inside[part] = share
    side, ahead, behind = wall.fat_side_mm + wall.muscle_mm, wall.fat_front_mm + 0.7 * wall.muscle_mm, 28.0
    above = max(0.0, z_mm - torso.lung_base_z_mm)
    if above > 0.0:
        layer(side, ahead, wall.fat_back_mm + behind - 4.0, tissue.lung)
        side, ahead, behind = side + 0.12 * above, ahead + 0.05 * above, behind + 0.75 * above
    part, share = layer(side, ahead, wall.fat_back_mm + behind, tissue.fat)
    if part is not None:
        cavity[part] = share
    return inside, cavity


def _paint_muscles(
    torso: Torso, canvas: Canvas, column: tuple[float, float], z_mm: float, side: float, strength: float
) -> None:
    """Paint psoas, quadratus lumborum and the crus of one side, each in a seam of fat."""
    (x, y), s, tissue = column, torso.size, torso.tissues
    low = float(np.clip((-30.0 - z_mm) / 60.0, 0.0, 1.5))  # psoas moves away from the column below L4
    grow = float(np.clip((75.0 * s - z_mm) / 120.0, 0.0, 1.0))  # from T12 down to L5
    if grow > 0.0:
        a, b = strength * (8.0 + 12.0 * grow) * s, strength * (9.0 + 14.0 * grow) * s
        body = float(np.interp(z_mm, torso.column_mm[:, 2], torso.body_side_mm))
        middle = (x + side * (body - torso.psoas_inset_mm + a + 10.0 * low), y + 8.0 - 10.0 * low)
        _seamed(torso, canvas, middle, (a, b), 0.2 * side)
    _seamed(torso, canvas, (x + side * 62.0 * s, y + 31.0), (19.0 * s, 8.0 * s), -0.35 * side)
    crus = float(np.clip((z_mm - 15.0) / 40.0, 0.0, 1.0))
    if crus > 0.0:
        canvas.oval((x + side * 14.0 * s, y - 20.0 * s), (4.0 + 3.0 * crus, 10.0), tissue.muscle, turn_rad=-0.5 * side)


def _paint_back_muscle(
    torso: Torso, canvas: Canvas, column: tuple[float, float], z_mm: float, side: float, inside: Floats
) -> None:
    """Paint erector spinae and multifidus of one side, streaked with fat; thinner towards the chest."""
    (x, y), s, tissue = column, torso.size, torso.tissues
    a, b = 34.0 * s * torso.back_muscle, (23.0 - 0.05 * float(np.clip(z_mm, 0.0, 140.0))) * s
    middle = (x + side * (4.0 + 0.97 * a), y + 30.0 * s + b)
    part, share = canvas.oval_share(middle, (a + torso.fat_seam_mm, b + torso.fat_seam_mm), power=2.6)
    if part is not None:
        canvas.lay(part, share * inside[part], tissue.fat)
    part, share = canvas.oval_share(middle, (a, b), power=2.6)
    if part is not None:
        streak = np.clip(grain(canvas, part, z_mm / 4.0, 1.3, coarse=True) - 1.5 + 2.2 * torso.fat_streaks, 0.0, 1.0)
        hu = tissue.back_muscle + 0.7 * streak * (tissue.fat - tissue.back_muscle)
        canvas.lay(part, share * inside[part], hu)


def _seamed(
    torso: Torso, canvas: Canvas, middle: tuple[float, float], half: tuple[float, float], turn_rad: float
) -> None:
    seam = torso.fat_seam_mm
    canvas.oval(middle, (half[0] + seam, half[1] + seam), torso.tissues.fat, turn_rad=turn_rad)
    canvas.oval(middle, half, torso.tissues.muscle, turn_rad=turn_rad)


def _paint_vessels(tissues: Tissues, vessels: Vessels, canvas: Canvas, z_mm: float) -> None:
    for vessel, hu in (
        (vessels.cava, tissues.cava),
        (vessels.iliac_left, tissues.aorta),
        (vessels.aorta, tissues.aorta),
    ):
        x, y, radius = vessel.at(z_mm)
        canvas.oval((x, y), (radius, radius * vessel.flatness), hu)
    plaques = vessels.calcium
    near = np.abs(plaques.centres_mm[:, 2] - z_mm) < plaques.radii_mm + 1.0
    for centre, radius, mineral in zip(
        plaques.centres_mm[near], plaques.radii_mm[near], plaques.mineral_mg[near], strict=True
    ):
        section = float(np.sqrt(max(radius**2 - (centre[2] - z_mm) ** 2, 0.15)))
        canvas.oval((float(centre[0]), float(centre[1])), (section, section), tissues.aorta, float(mineral))
