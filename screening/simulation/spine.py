"""Spine and grid points -> mineral (mg/cm3) and soft-tissue attenuation (HU) at those points."""

import numpy as np

from screening.simulation.arch import lay_arch
from screening.simulation.body import lay_body, lay_disc
from screening.simulation.hardware import lay_hardware
from screening.simulation.lattice import Sampling, Tissue, frame, part_around, share_inside
from screening.simulation.vertebrae import Floats, Spine, VertebraShape


def render_spine(spine: Spine, at: Sampling) -> Tissue:
    """Draw discs, canal, bodies and arches, (slices, rows, columns)."""
    tissue = Tissue.nothing(at.shape)
    low, high = float(at.z.min()), float(at.z.max())
    near = [v for v in spine.vertebrae if low - _reach(v) < v.centre_mm[2] < high + _reach(v)]
    for below, above in zip(near, near[1:], strict=False):
        lay_disc(tissue, above, below, at)
    for vertebra in near:
        _lay_canal(tissue, spine, vertebra, at)
    for vertebra in near:
        inside_arch = lay_arch(tissue, vertebra, at)
        lay_body(tissue, vertebra, inside_arch, at)
    lay_hardware(tissue, spine, at)
    return tissue


def _reach(vertebra: VertebraShape) -> float:
    """Half of the height beyond which a vertebra draws nothing; arches reach down furthest."""
    return 2.0 * vertebra.arch_height_mm + 8.0


def _lay_canal(tissue: Tissue, spine: Spine, vertebra: VertebraShape, at: Sampling) -> None:
    """Lay epidural fat, dural sac and cord behind one body."""
    arch = vertebra.posterior
    width, depth = arch.canal_width_mm / 2.0, arch.canal_depth_mm / 2.0
    centre, reach = vertebra.depth_mm / 2.0 + depth, 0.5 * vertebra.arch_height_mm + 5.0
    low, high = (-width - 3.0, centre - depth - 2.0, -reach), (width + 3.0, centre + depth + 2.0, reach)
    part = part_around(vertebra, at, low, high)
    if part is None:
        return
    here, canal = at.crop(part), tissue.view(part)
    local = frame(vertebra, here)
    near = share_inside(reach - np.abs(local.w), at.edge_z_mm)

    def oval(half_width: float, half_depth: float) -> Floats:
        q = np.hypot(local.u / half_width, (local.v - centre) / half_depth)
        return share_inside((1.0 - q) * half_depth, at.edge_mm) * near

    canal.lay(oval(width + 2.0, depth + 1.0), spine.epidural_hu)
    canal.lay(oval(0.72 * width, 0.78 * depth), spine.sac_hu)
    cord = np.clip((here.z - spine.cord_end_z_mm) / 8.0, 0.0, 1.0)
    if float(cord.max()) > 0.0:
        canal.lay(oval(0.40 * width, 0.42 * depth) * cord, spine.cord_hu)
