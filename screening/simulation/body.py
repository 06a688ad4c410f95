"""Vertebral body and disc -> depth below their surfaces, and the mineral of the cancellous interior."""

import numpy as np
from numpy.typing import NDArray

from screening.simulation.findings import Cement, Sclerosis
from screening.simulation.lattice import Frame, Part, Sampling, Tissue, frame, part_around, share_inside
from screening.simulation.outlines import BACK, FRONT
from screening.simulation.vertebrae import (
    TEXTURE_SIZE,
    TEXTURE_VOXEL_MM,
    BoneIsland,
    Floats,
    VertebraShape,
    texture_blocks,
)

LIGAMENT_HU = 35.0  # fibres and small vessels with some fat between


def body_part(vertebra: VertebraShape, at: Sampling) -> Part | None:
    """Return the part of the grid a body and the ligaments on it can reach."""
    rim = float(max(vertebra.upper_rim_mm.max(), vertebra.lower_rim_mm.max())) + vertebra.wall.ligament_mm
    side = float(vertebra.outline_mm.max()) + rim
    front, back = float(vertebra.outline_mm[FRONT]) + rim, float(vertebra.outline_mm[BACK]) + rim
    half = 0.5 * vertebra.height_mm
    return part_around(vertebra, at, (-side, -front - 3.0, -half), (side, back + 3.0, half))


def body_share(vertebra: VertebraShape, at: Sampling) -> Floats:
    """Return the share of each voxel inside the body of one vertebra, cortex included."""
    side, end = body_depths(vertebra, frame(vertebra, at))
    return share_inside(side, at.edge_mm) * share_inside(end, at.edge_z_mm)


def lay_body(tissue: Tissue, vertebra: VertebraShape, inside_arch: Floats, at: Sampling) -> None:
    """Lay ligaments and body; where a pedicle joins it, cancellous bone runs through and there is no wall."""
    part = body_part(vertebra, at)
    if part is None:
        return
    local = frame(vertebra, at.crop(part))
    turn, here = local.turn, tissue.view(part)
    side, end = _depths(vertebra, local, turn)
    within = share_inside(end, at.edge_z_mm)
    ligaments = share_inside(side + np.float32(vertebra.wall.ligament_mm), at.edge_mm) * within
    here.lay(ligaments * (1.0 - here.cover), LIGAMENT_HU)
    share = share_inside(side, at.edge_mm) * within
    wall_mm = np.float32(vertebra.cortex_mm) * vertebra.wall.thickness[turn]
    inner_side = share_inside(side - wall_mm, at.edge_mm)
    inner = inner_side * share_inside(end - vertebra.end_plate_mm, at.edge_z_mm)
    plate = inner_side * share - inner
    wall = (share - inner - plate) * (1.0 - inside_arch[part])
    inner = share - plate - wall
    shell = vertebra.cortex_mg * wall + vertebra.end_plate_mg * plate
    spongy = cancellous_mg(vertebra, local.u, local.v, local.w)
    for patch in vertebra.sclerosis:
        spongy = spongy + patch.mineral_mg * _patch_share(patch, local, end)
    mineral = shell + spongy * inner
    here.lay(share, vertebra.marrow_hu, mineral / np.maximum(share, 1e-6))
    if vertebra.cement is not None:
        here.lay(share * _cement_share(vertebra.cement, local, at.edge_mm), vertebra.cement.attenuation_hu)


def lay_disc(tissue: Tissue, above: VertebraShape, below: VertebraShape, at: Sampling) -> None:
    """Lay the disc between two bodies; their end plates are laid over it afterwards."""
    half, side = 0.5 * above.height_mm, float(above.disc_outline_mm.max())
    part = part_around(above, at, (-side, -side, -half - 18.0), (side, side, 4.0 - half))
    if part is None:
        return
    upper = frame(above, at.crop(part))
    lower = frame(below, at.crop(part))
    turn, radius, rim = upper.turn, upper.radius, above.disc_rim
    outer = above.disc_outline_mm[turn]
    inside = share_inside((outer - radius) * above.outline_cosine[turn], at.edge_mm)
    under = share_inside(-upper.w - half + above.concavity_mm[1] + 1.0, at.edge_z_mm)
    over = share_inside(
        lower.w - 0.5 * below.height_mm * (1.0 - below.wedge) + max(3.0, below.concavity_mm[0] + 1.0), at.edge_z_mm
    )
    bowl = np.minimum(radius / outer, 1.0) ** np.float32(rim.power)
    tissue.view(part).lay(inside * under * over, above.disc_below_hu + rim.ring_hu * bowl, rim.margin_mg * bowl)


def cancellous_mg(vertebra: VertebraShape, u: Floats, v: Floats, w: Floats) -> Floats:
    """Return the mineral density of the cancellous interior at points in the vertebra's own axes, mg/cm3."""
    coarse, fine = texture_blocks()
    index = texture_index(vertebra, u, v, w)
    height = (2.0 * w / vertebra.height_mm) ** 2
    grain = 1.0 + vertebra.texture[0] * coarse[index] + vertebra.texture[1] * fine[index]
    mineral = vertebra.cancellous_mg * (1.0 + vertebra.end_plate_gain * (height - 0.08)) * np.maximum(grain, 0.1)
    if vertebra.vein_mm > 0.0:
        mineral = mineral * (1.0 - 0.75 * _vein_share(vertebra, u, v, w))
    for island in vertebra.islands:
        mineral = _with_island(mineral, island, u, v, w)
    return np.asarray(mineral, np.float32)


def texture_index(vertebra: VertebraShape, u: Floats, v: Floats, w: Floats) -> tuple[NDArray[np.int32], ...]:
    """Where points in a vertebra's own axes fall into the periodic texture."""
    shift = TEXTURE_SIZE * 8  # keeps the truncated coordinate positive
    return tuple(
        (axis * np.float32(1.0 / TEXTURE_VOXEL_MM) + np.float32(shift + offset)).astype(np.int32) & (TEXTURE_SIZE - 1)
        for axis, offset in zip((u, v, w), vertebra.texture_offset, strict=True)
    )


def body_depths(vertebra: VertebraShape, at: Frame) -> tuple[Floats, Floats]:
    """Return the depth below the side wall and below the nearer end plate, mm."""
    return _depths(vertebra, at, at.turn)


def _depths(vertebra: VertebraShape, at: Frame, turn: NDArray[np.int32]) -> tuple[Floats, Floats]:
    half, radius = np.float32(0.5 * vertebra.height_mm), at.radius
    height = np.clip(at.w / half, -1.2, 1.2)
    rim = np.where(height > 0, vertebra.upper_rim_mm[turn], vertebra.lower_rim_mm[turn])
    square = height * height
    outer = vertebra.outline_mm[turn] - vertebra.wall.waist_mm[turn] * (1.0 - square) + rim * square**3
    side = (outer - radius) * vertebra.outline_cosine[turn]
    dish = np.maximum(1.0 - (radius / outer) ** 2, 0.0)
    upper = half - np.float32(vertebra.concavity_mm[0]) * dish - at.w
    lower = half - np.float32(vertebra.concavity_mm[1]) * dish + at.w
    if vertebra.wedge > 0.0:
        upper = upper - vertebra.wedge * vertebra.height_mm * np.clip(0.5 - at.v / vertebra.depth_mm, 0.0, 1.0)
    return side, np.minimum(upper, lower)


def _patch_share(patch: Sclerosis, local: Frame, end: Floats) -> Floats:
    """Sclerosis fades over 2 mm towards the middle of the body and over 4 mm at its margin."""
    near = np.clip((patch.thickness_mm - end) / 2.0 + 0.5, 0.0, 1.0) * ((local.w > 0) == patch.upper)
    beside = np.hypot(local.u - patch.centre_mm[0], local.v - patch.centre_mm[1])
    return np.asarray(near * np.clip((patch.radius_mm - beside) / 4.0 + 0.5, 0.0, 1.0), np.float32)


def _cement_share(cement: Cement, local: Frame, edge_mm: float) -> Floats:
    depth = np.full(np.broadcast(local.u, local.v, local.w).shape, -np.inf, np.float32)
    for (u, v, w), radius in zip(cement.centres_mm, cement.radii_mm, strict=True):
        away = np.sqrt((local.u - u) ** 2 + (local.v - v) ** 2 + (local.w - w) ** 2)
        depth = np.maximum(depth, radius - away)
    return share_inside(depth, edge_mm)


def _vein_share(vertebra: VertebraShape, u: Floats, v: Floats, w: Floats) -> Floats:
    """Basivertebral vein: a fan that opens from the middle of the body to its back wall at mid-height."""
    back = v / (0.5 * vertebra.depth_mm)
    half_width = 1.5 + 5.0 * np.clip(back, 0.0, 1.0)
    inside = np.minimum((half_width - np.abs(u)) / 2.0, (vertebra.vein_mm - np.abs(w)) / 1.5)
    return np.asarray(np.clip(np.minimum(inside, (back - 0.05) * 4.0), 0.0, 1.0))


def _with_island(mineral: Floats, island: BoneIsland, u: Floats, v: Floats, w: Floats) -> Floats:
    a, b, c = island.centre_mm
    distance = np.sqrt((u - a) ** 2 + (v - b) ** 2 + (w - c) ** 2)
    share = np.clip(island.radius_mm - distance + 0.5, 0.0, 1.0)
    return np.asarray(mineral + share * (island.mineral_mg - mineral))
