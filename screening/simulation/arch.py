"""Vertebral arch -> pedicles, laminae, facets and processes; for the sacrum lateral masses and crest."""

import numpy as np

from screening.simulation.body import texture_index
from screening.simulation.lattice import Frame, Part, Sampling, Tissue, frame, part_around, share_inside
from screening.simulation.posterior import Posterior
from screening.simulation.vertebrae import Floats, VertebraShape, texture_blocks

CORTEX_EDGE_MM = 2.0  # over which compact bone of the arch turns into cancellous bone
SURFACE_MM = 0.8
PEDICLE_LENGTH = 0.62  # of the canal's depth: there the pedicle meets lamina, facets and transverse process
CANAL_TAPER = 0.5  # relative loss of width from the middle of the canal to its roof


def lay_arch(tissue: Tissue, vertebra: VertebraShape, at: Sampling) -> Floats:
    """Lay the arch and return the share of each voxel inside its surface layer, where a body has no wall."""
    arch = vertebra.posterior
    inside = np.zeros(at.shape, np.float32)
    part = _arch_part(vertebra, at)
    if part is None:
        return inside
    local = frame(vertebra, at.crop(part))
    coarse = texture_blocks()[0][texture_index(vertebra, local.u, local.v, local.w)]
    depth = _arch_depth(vertebra, arch, local) + np.float32(arch.roughness_mm) * coarse
    depth = np.minimum(depth, _outside_canal(vertebra, local))
    share = share_inside(depth, at.edge_mm)
    inner = share_inside(depth - np.float32(arch.cortex_mm), max(at.edge_mm, CORTEX_EDGE_MM))
    mineral = arch.cortex_mg * (share - inner) + arch.cancellous_mg * inner
    tissue.view(part).lay(share, vertebra.marrow_hu, mineral / np.maximum(share, 1e-6))
    inside[part] = share_inside(depth - np.float32(SURFACE_MM), at.edge_mm)
    return inside


def _arch_part(vertebra: VertebraShape, at: Sampling) -> Part | None:
    """The part of the grid an arch can reach: from the back of the body to the tip of the spinous process."""
    arch, height, back = vertebra.posterior, vertebra.arch_height_mm, 0.5 * vertebra.depth_mm
    tip = back + arch.canal_depth_mm + arch.lamina_mm + arch.spinous_length_mm
    if vertebra.posterior.wing > 0.0:
        side = float(vertebra.outline_mm[0]) + 36.0
        return part_around(vertebra, at, (-side, -back, -0.95 * height), (side, back + 38.0, 0.75 * height))
    side = arch.transverse_reach_mm * 1.1 + 2.0
    low = -max(0.98, 0.7 + arch.spinous_drop) * height
    return part_around(vertebra, at, (-side, back - 8.0, low), (side, tip, 0.80 * height))


def _outside_canal(vertebra: VertebraShape, local: Frame) -> Floats:
    """Distance to the outside of the bony canal, round in front and narrow behind, so that no arch grows into it."""
    arch = vertebra.posterior
    half_width, half_depth = arch.canal_width_mm / 2.0, arch.canal_depth_mm / 2.0
    behind = (local.v - vertebra.depth_mm / 2.0) / half_depth - 1.0  # -1 at the body, 1 at the roof
    narrow = 1.0 - CANAL_TAPER * np.clip(behind, 0.0, 1.0)
    q = np.hypot(local.u / (half_width * narrow), behind)
    return np.asarray((q - 1.0) * half_depth, np.float32)


def _arch_depth(vertebra: VertebraShape, arch: Posterior, local: Frame) -> Floats:
    """Depth below the surface of the union of pedicles, laminae, facets and processes, mm (negative outside)."""
    if vertebra.posterior.wing > 0.0:
        return _sacral_depth(vertebra, arch, local)
    height, back = vertebra.arch_height_mm, vertebra.depth_mm / 2.0
    u, v, w = np.abs(local.u) * (1.0 + arch.asymmetry * np.sign(local.u)), local.v - back, local.w / height
    rear, roof = PEDICLE_LENGTH * arch.canal_depth_mm, arch.canal_depth_mm + arch.lamina_mm
    pillar = arch.pillar_mm
    pedicle = _slab(u - arch.pedicle_gap_mm, v - 0.5 * rear, (w - 0.19) * height,
                    (arch.pedicle_width_mm / 2, rear / 2 + 5.0, arch.pedicle_height_mm / 2))  # fmt: skip
    lamina = np.minimum(
        0.5 * arch.lamina_mm - _to_segment(u, v, (pillar, rear + 2.0), (0.0, roof - 0.4 * arch.lamina_mm)),
        height * (0.39 - np.abs(w + 0.17)),
    )
    superior = _ellipsoid(u - pillar - 3.0, v - rear - 1.0, (w - 0.36) * height,
                          (0.64 * arch.facet_mm, 0.92 * arch.facet_mm, 0.38 * height))  # fmt: skip
    inferior = _ellipsoid(u - pillar + 1.5, v - rear - 5.5, (w + 0.50) * height,
                          (0.80 * arch.facet_mm, 0.85 * arch.facet_mm, 0.36 * height))  # fmt: skip
    tip = np.clip((v - roof) / arch.spinous_length_mm, 0.0, 1.0)
    spinous = np.minimum(
        arch.spinous_mm * (0.38 + 0.22 * tip * tip)
        - _to_segment(u, v, (0.0, roof - 2.0), (0.0, roof + arch.spinous_length_mm - 4.0)),
        height * (0.34 - np.abs(w + 0.28 + arch.spinous_drop * tip)),
    )
    depth = np.maximum(np.maximum(pedicle, lamina), np.maximum(np.maximum(superior, inferior), spinous))
    return np.asarray(np.maximum(depth, _transverse_depth(arch, u, v, w, height, rear)))


def _transverse_depth(arch: Posterior, u: Floats, v: Floats, w: Floats, height: float, rear: float) -> Floats:
    start, reach = arch.pedicle_gap_mm, arch.transverse_reach_mm
    along = np.clip((u - start) / max(reach - start, 1.0), 0.0, 1.0)
    thick = arch.transverse_mm * (0.55 - 0.25 * along)
    in_plane = thick - _to_segment(u, v, (start, rear - arch.transverse_root_mm), (reach - 2.0, rear + 6.0))
    return np.asarray(np.minimum(in_plane, height * (0.17 - np.abs(w - 0.12 - 0.06 * along))), np.float32)


def _sacral_depth(vertebra: VertebraShape, arch: Posterior, local: Frame) -> Floats:
    """Lateral masses and the roof of the sacral canal."""
    height, back = vertebra.arch_height_mm, vertebra.depth_mm / 2.0
    u, v, w = np.abs(local.u), local.v - back, local.w / height
    half_width = vertebra.outline_mm[0]
    spread = arch.wing
    wing = _ellipsoid(
        u - half_width - 9.0 * spread,
        v - 0.15 * back,
        (w + 0.20) * height,
        (24.0 * spread, (0.5 * back + 10.0) * spread, 0.60 * height),
    )
    roof = 4.5 - _to_segment(u, v, (half_width * 0.8, 6.0), (0.0, arch.canal_depth_mm + 3.0))
    roof = np.minimum(roof, height * (0.62 - np.abs(w)))
    crest = np.minimum(3.0 - _to_segment(u, v, (0.0, arch.canal_depth_mm), (0.0, arch.canal_depth_mm + 11.0)),
                       height * (0.4 - np.abs(w + 0.1)))  # fmt: skip
    return np.asarray(np.maximum(np.maximum(wing, roof), crest))


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
