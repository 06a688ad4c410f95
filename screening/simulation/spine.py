"""Spine and points in space -> mineral (mg/cm3) and soft-tissue attenuation (HU) at those points.

Every surface is a distance in mm turned into a share of the voxel by `_share`, so that a shell thinner than a voxel
keeps its mass: the CT and the projected areal density are drawn from one and the same map at any spacing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from screening.simulation.vertebrae import (
    ANGLES,
    TEXTURE_SIZE,
    TEXTURE_VOXEL_MM,
    BoneIsland,
    Floats,
    Posterior,
    Spine,
    VertebraShape,
    texture_blocks,
)


@dataclass(frozen=True, slots=True)
class Sampling:
    """Points on a regular grid, with the voxel edges in plane and along z that surfaces are smoothed over."""

    x: Floats  # (1, 1, columns) mm
    y: Floats  # (1, rows, 1) mm
    z: Floats  # (slices, 1, 1) mm
    edge_mm: float
    edge_z_mm: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows, columns."""
        return self.z.shape[0], self.y.shape[1], self.x.shape[2]


def sampling(
    x_mm: NDArray[np.floating], y_mm: NDArray[np.floating], z_mm: NDArray[np.floating], edge_mm: float, edge_z_mm: float
) -> Sampling:
    """Arrange coordinates for broadcasting."""
    x = np.asarray(x_mm, np.float32)[None, None, :]
    y = np.asarray(y_mm, np.float32)[None, :, None]
    z = np.asarray(z_mm, np.float32)[:, None, None]
    return Sampling(x, y, z, edge_mm, edge_z_mm)


@dataclass(frozen=True, slots=True)
class Tissue:
    """What the spine puts into a voxel; the rest of the voxel, 1 - cover, belongs to what lies around it."""

    mineral_mg: Floats  # mg/cm3 of the voxel
    soft_hu: Floats  # attenuation of the non-mineral part, weighted with its share
    cover: Floats  # share of the voxel taken, 0 to 1

    @classmethod
    def nothing(cls, shape: tuple[int, ...]) -> "Tissue":
        """Return an empty map."""
        return cls(np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    def lay(self, share: Floats, soft_hu: float | Floats, mineral_mg: float | Floats = 0.0) -> None:
        """Lay a tissue over what is there."""
        for old, new in ((self.soft_hu, soft_hu), (self.mineral_mg, mineral_mg), (self.cover, 1.0)):
            old += share * (new - old)


def render_spine(spine: Spine, at: Sampling) -> Tissue:
    """Draw discs, canal, bodies and arches, (slices, rows, columns)."""
    tissue = Tissue.nothing(at.shape)
    low, high = float(at.z.min()), float(at.z.max())
    near = [v for v in spine.vertebrae if low - _reach(v) < v.centre_mm[2] < high + _reach(v)]
    frames = {vertebra.level: _local(vertebra, at) for vertebra in near}
    for below, above in zip(spine.vertebrae, spine.vertebrae[1:], strict=False):
        if below.level in frames and above.level in frames:
            _lay_disc(tissue, above, below, frames[above.level], frames[below.level], at)
    for vertebra in near:
        _lay_canal(tissue, spine, vertebra, frames[vertebra.level], at)
    for vertebra in near:
        inside_arch = _lay_arch(tissue, vertebra, frames[vertebra.level], at)
        _lay_body(tissue, vertebra, frames[vertebra.level], inside_arch, at)
    return tissue


def body_share(vertebra: VertebraShape, at: Sampling) -> Floats:
    """Return the share of each voxel inside the body of one vertebra, cortex included."""
    local = _local(vertebra, at)
    side, end, _ = _body_depths(vertebra, local)
    return _share(side, at.edge_mm) * _share(end, at.edge_z_mm)


def cancellous_mg(vertebra: VertebraShape, u: Floats, v: Floats, w: Floats) -> Floats:
    """Return the mineral density of the cancellous interior at points in the vertebra's own axes, mg/cm3."""
    coarse, fine = texture_blocks()
    index = _texture_index(vertebra, u, v, w)
    height = (2.0 * w / vertebra.height_mm) ** 2
    grain = 1.0 + vertebra.texture[0] * coarse[index] + vertebra.texture[1] * fine[index]
    mineral = vertebra.cancellous_mg * (1.0 + vertebra.end_plate_gain * (height - 0.08)) * np.maximum(grain, 0.1)
    if vertebra.vein_mm > 0.0:
        mineral = mineral * (1.0 - 0.75 * _vein_share(vertebra, u, v, w))
    for island in vertebra.islands:
        mineral = _with_island(mineral, island, u, v, w)
    return np.asarray(mineral, np.float32)


def _texture_index(vertebra: VertebraShape, u: Floats, v: Floats, w: Floats) -> tuple[NDArray[np.int32], ...]:
    """Where points in a vertebra's own axes fall into the periodic texture."""
    shift = TEXTURE_SIZE * 8  # keeps the truncated coordinate positive
    return tuple(
        (axis * np.float32(1.0 / TEXTURE_VOXEL_MM) + np.float32(shift + offset)).astype(np.int32) & (TEXTURE_SIZE - 1)
        for axis, offset in zip((u, v, w), vertebra.texture_offset, strict=True)
    )


@dataclass(frozen=True, slots=True)
class _Local:
    """Coordinates of the points in one vertebra's axes, mm, and the index into its outline."""

    u: Floats
    v: Floats
    w: Floats
    radius: Floats
    turn: NDArray[np.int32]


def _reach(vertebra: VertebraShape) -> float:
    return 1.35 * vertebra.height_mm + 6.0


def _local(vertebra: VertebraShape, at: Sampling) -> _Local:
    dx, dy, dz = (p - np.float32(c) for p, c in zip((at.x, at.y, at.z), vertebra.centre_mm, strict=True))
    u, v, w = (row[0] * dx + row[1] * dy + row[2] * dz for row in vertebra.axes)
    turn = (np.arctan2(v, u) * np.float32(ANGLES / (2.0 * np.pi)) + np.float32(ANGLES + 0.5)).astype(np.int32)
    return _Local(u, v, w, np.hypot(u, v), turn & (ANGLES - 1))


def _share(depth_mm: Floats, edge_mm: float) -> Floats:
    """Share of a voxel of this edge on the inner side of a surface at this depth."""
    return np.clip(depth_mm * np.float32(1.0 / edge_mm) + np.float32(0.5), 0.0, 1.0)


def _body_depths(vertebra: VertebraShape, at: _Local) -> tuple[Floats, Floats, Floats]:
    """Depth below the side wall, depth below the nearer end plate, and the local outer radius, mm."""
    half = vertebra.height_mm / 2.0
    height = np.clip(at.w / np.float32(half), -1.2, 1.2)
    rim = np.where(height > 0, vertebra.upper_rim_mm[at.turn], vertebra.lower_rim_mm[at.turn])
    square = height * height
    outer = vertebra.outline_mm[at.turn] * (1.0 - np.float32(vertebra.waist) * (1.0 - square)) + rim * square**3
    side = (outer - at.radius) * vertebra.outline_cosine[at.turn]
    dish = np.maximum(1.0 - (at.radius / outer) ** 2, 0.0)
    lost = vertebra.wedge * vertebra.height_mm * np.clip(0.5 - at.v / vertebra.depth_mm, 0.0, 1.0)
    upper = half - np.float32(vertebra.concavity_mm[0]) * dish - lost - at.w
    lower = half - np.float32(vertebra.concavity_mm[1]) * dish + at.w
    return side, np.minimum(upper, lower), outer


def _lay_body(tissue: Tissue, vertebra: VertebraShape, local: _Local, inside_arch: Floats, at: Sampling) -> None:
    """Lay the body; where a pedicle joins it, cancellous bone runs through and there is no wall."""
    side, end, _ = _body_depths(vertebra, local)
    share = _share(side, at.edge_mm) * _share(end, at.edge_z_mm)
    inner_side = _share(side - vertebra.cortex_mm, at.edge_mm)
    inner = inner_side * _share(end - vertebra.end_plate_mm, at.edge_z_mm)
    plate = inner_side * share - inner
    wall = (share - inner - plate) * (1.0 - inside_arch)
    inner = share - plate - wall
    shell = vertebra.cortex_mg * wall + vertebra.end_plate_mg * plate
    mineral = shell + cancellous_mg(vertebra, local.u, local.v, local.w) * inner
    tissue.lay(share, vertebra.marrow_hu, mineral / np.maximum(share, 1e-6))


def _vein_share(vertebra: VertebraShape, u: Floats, v: Floats, w: Floats) -> Floats:
    """Basivertebral vein: a fan that opens from the middle of the body to its back wall at mid-height."""
    back = v / (0.5 * vertebra.depth_mm)
    half_width = 1.5 + 5.0 * np.clip(back, 0.0, 1.0)
    inside = np.minimum((half_width - np.abs(u)) / 2.0, (vertebra.vein_mm - np.abs(w)) / 1.5)
    return np.clip(np.minimum(inside, (back - 0.05) * 4.0), 0.0, 1.0)


def _with_island(mineral: Floats, island: BoneIsland, u: Floats, v: Floats, w: Floats) -> Floats:
    a, b, c = island.centre_mm
    distance = np.sqrt((u - a) ** 2 + (v - b) ** 2 + (w - c) ** 2)
    share = np.clip(island.radius_mm - distance + 0.5, 0.0, 1.0)
    return mineral + share * (island.mineral_mg - mineral)


def _lay_disc(
    tissue: Tissue, above: VertebraShape, below: VertebraShape, upper: _Local, lower: _Local, at: Sampling
) -> None:
    outer = above.outline_mm[upper.turn] + above.disc_bulge_mm
    side = _share((outer - upper.radius) * above.outline_cosine[upper.turn], at.edge_mm)
    under = _share(np.asarray(-upper.w - 0.5 * above.height_mm + above.concavity_mm[1] + 1.0), at.edge_z_mm)
    over = _share(np.asarray(lower.w - 0.5 * below.height_mm * (1.0 - below.wedge) + 3.0), at.edge_z_mm)
    tissue.lay(side * under * over, above.disc_below_hu)


def _lay_canal(tissue: Tissue, spine: Spine, vertebra: VertebraShape, local: _Local, at: Sampling) -> None:
    arch = vertebra.posterior
    centre = vertebra.depth_mm / 2.0 + arch.canal_depth_mm / 2.0
    near = _share(np.asarray(0.5 * vertebra.height_mm + 5.0 - np.abs(local.w)), at.edge_z_mm)

    def oval(half_width: float, half_depth: float, shift: float = 0.0) -> Floats:
        q = np.hypot(local.u / half_width, (local.v - centre - shift) / half_depth)
        return _share((1.0 - q) * half_depth, at.edge_mm) * near

    width, depth = arch.canal_width_mm / 2.0, arch.canal_depth_mm / 2.0
    tissue.lay(oval(width + 2.0, depth + 1.0), spine.epidural_hu)
    tissue.lay(oval(0.72 * width, 0.78 * depth), spine.sac_hu)
    in_cord = np.clip((at.z - spine.cord_end_z_mm) / 8.0, 0.0, 1.0)
    tissue.lay(oval(0.40 * width, 0.42 * depth) * in_cord, spine.cord_hu)


def _lay_arch(tissue: Tissue, vertebra: VertebraShape, local: _Local, at: Sampling) -> Floats:
    """Lay the arch and return the share of each voxel inside its cortex."""
    arch = vertebra.posterior
    coarse = texture_blocks()[0][_texture_index(vertebra, local.u, local.v, local.w)]
    depth = _arch_depth(vertebra, arch, local) + np.float32(arch.roughness_mm) * coarse
    depth = np.minimum(depth, _outside_canal(vertebra, local))
    share = _share(depth, at.edge_mm)
    inner = _share(depth - np.float32(arch.cortex_mm), at.edge_mm)
    mineral = arch.cortex_mg * (share - inner) + arch.cancellous_mg * inner
    tissue.lay(share, vertebra.marrow_hu, mineral / np.maximum(share, 1e-6))
    return inner


def _outside_canal(vertebra: VertebraShape, local: _Local) -> Floats:
    """Distance to the outside of the bony canal, positive outside, so that no arch grows into it."""
    arch = vertebra.posterior
    half_width, half_depth = arch.canal_width_mm / 2.0, arch.canal_depth_mm / 2.0
    centre = vertebra.depth_mm / 2.0 + half_depth
    q = np.hypot(local.u / half_width, (local.v - centre) / half_depth)
    return np.asarray((q - 1.0) * half_depth, np.float32)


def _arch_depth(vertebra: VertebraShape, arch: Posterior, local: _Local) -> Floats:
    """Depth below the surface of the union of pedicles, laminae, facets and processes, mm (negative outside)."""
    if vertebra.level.startswith("S"):
        return _sacral_depth(vertebra, arch, local)
    height, back = vertebra.height_mm, vertebra.depth_mm / 2.0
    u, v, w = np.abs(local.u) * (1.0 + arch.asymmetry * np.sign(local.u)), local.v - back, local.w / height
    pillar = arch.pedicle_gap_mm + 2.0  # facets stand a little lateral of the pedicles' axes
    rear = arch.canal_depth_mm - 2.0  # of the pedicle, behind the back wall
    roof = arch.canal_depth_mm + arch.lamina_mm
    pedicle = _slab(u - arch.pedicle_gap_mm, v - 0.5 * rear, (w - 0.19) * height,
                    (arch.pedicle_width_mm / 2, rear / 2 + 5.0, arch.pedicle_height_mm / 2))  # fmt: skip
    lamina = np.minimum(
        0.5 * arch.lamina_mm - _to_segment(u, v, (pillar, rear), (0.0, roof - 0.3 * arch.lamina_mm)),
        height * (0.36 - np.abs(w + 0.22)),
    )
    superior = _ellipsoid(u - pillar - 1.5, v - rear + 0.5, (w - 0.38) * height,
                          (0.62 * arch.facet_mm, arch.facet_mm, 0.38 * height))  # fmt: skip
    inferior = _ellipsoid(u - pillar + 3.0, v - rear - 5.0, (w + 0.55) * height,
                          (0.80 * arch.facet_mm, 0.85 * arch.facet_mm, 0.36 * height))  # fmt: skip
    tip = np.clip((v - roof) / arch.spinous_length_mm, 0.0, 1.0)
    spinous = np.minimum(
        arch.spinous_mm * (0.42 + 0.25 * tip * tip)
        - _to_segment(u, v, (0.0, roof - 2.0), (0.0, roof + arch.spinous_length_mm - 4.0)),
        height * (0.34 - np.abs(w + 0.28 + arch.spinous_drop * tip)),
    )
    depth = np.maximum(np.maximum(pedicle, lamina), np.maximum(np.maximum(superior, inferior), spinous))
    return np.maximum(depth, _transverse_depth(arch, u, v, w, height, pillar, rear))


def _transverse_depth(
    arch: Posterior, u: Floats, v: Floats, w: Floats, height: float, pillar: float, rear: float
) -> Floats:
    reach = arch.transverse_reach_mm
    along = np.clip((u - pillar) / max(reach - pillar, 1.0), 0.0, 1.0)
    thick = arch.transverse_mm * (0.62 - 0.2 * along)
    in_plane = thick - _to_segment(u, v, (pillar, rear - 4.0), (reach - 2.0, rear + 3.0))
    return np.asarray(np.minimum(in_plane, height * (0.18 - np.abs(w - 0.12 - 0.06 * along))), np.float32)


def _sacral_depth(vertebra: VertebraShape, arch: Posterior, local: _Local) -> Floats:
    """Lateral masses and the roof of the sacral canal."""
    height, back = vertebra.height_mm, vertebra.depth_mm / 2.0
    u, v, w = np.abs(local.u), local.v - back, local.w / height
    half_width = vertebra.outline_mm[0]
    wing = _ellipsoid(u - half_width - 9.0, v - 0.15 * back, (w + 0.12) * height,
                      (24.0, 0.5 * back + 10.0, 0.72 * height))  # fmt: skip
    roof = 4.5 - _to_segment(u, v, (half_width * 0.8, 6.0), (0.0, arch.canal_depth_mm + 3.0))
    roof = np.minimum(roof, height * (0.62 - np.abs(w)))
    crest = np.minimum(3.0 - _to_segment(u, v, (0.0, arch.canal_depth_mm), (0.0, arch.canal_depth_mm + 11.0)),
                       height * (0.4 - np.abs(w + 0.1)))  # fmt: skip
    return np.maximum(np.maximum(wing, roof), crest)


def _slab(a: Floats, b: Floats, c: Floats, half: tuple[float, float, float]) -> Floats:
    """Depth in a bar along b with an elliptic section in a and c."""
    q = np.hypot(a / half[0], c / half[2])
    return np.asarray(np.minimum((1.0 - q) * min(half[0], half[2]), half[1] - np.abs(b)), np.float32)


def _ellipsoid(a: Floats, b: Floats, c: Floats, half: tuple[float, float, float]) -> Floats:
    q = np.sqrt((a / half[0]) ** 2 + (b / half[1]) ** 2 + (c / half[2]) ** 2)
    return np.asarray((1.0 - q) * min(half), np.float32)


def _to_segment(u: Floats, v: Floats, start: tuple[float, float], end: tuple[float, float]) -> Floats:
    """Distance in the axial plane to a segment, mm."""
    du, dv = end[0] - start[0], end[1] - start[1]
    along = np.clip(((u - start[0]) * du + (v - start[1]) * dv) / (du * du + dv * dv), 0.0, 1.0)
    return np.asarray(np.hypot(u - start[0] - along * du, v - start[1] - along * dv), np.float32)
