"""Patient -> the whole simulated body, and slices of it as soft-tissue attenuation and mineral density."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from screening.simulation.canvas import Canvas
from screening.simulation.cohort import Patient
from screening.simulation.lattice import sampling
from screening.simulation.pathology import with_findings
from screening.simulation.skeleton import Skeleton, draw_skeleton, paint_skeleton
from screening.simulation.spine import render_spine
from screening.simulation.torso import Torso, draw_torso, paint_torso, rib_oval
from screening.simulation.vertebrae import Floats, Spine, draw_spine
from screening.simulation.vessels import Vessels, draw_vessels

SUBSLICE_MM = 1.7  # a thicker slice is the mean of planes about this far apart


@dataclass(frozen=True, slots=True)
class Anatomy:
    """One simulated body; millimetres in DICOM axes with the origin in the centre of L3."""

    spine: Spine
    vessels: Vessels
    torso: Torso
    skeleton: Skeleton


@dataclass(frozen=True, slots=True)
class Slab:
    """One slice before the scanner: what attenuates without mineral, and the mineral."""

    soft_hu: Floats  # (rows, columns) HU at 120 kVp
    mineral_mg: Floats  # (rows, columns) mg/cm3


def draw_anatomy(patient: Patient) -> Anatomy:
    """Draw the body of one patient."""
    spine = with_findings(patient, draw_spine(patient))
    vessels = draw_vessels(patient, spine)
    torso = draw_torso(patient, spine)
    return Anatomy(spine, vessels, torso, draw_skeleton(patient, spine, rib_oval(torso)))


def enhance(anatomy: Anatomy, rng: Generator) -> Anatomy:
    """Return the same body with intravenous contrast medium, arterial to portal venous.

    Marrow takes up about 10 HU (vBMD +9.9 +- 4.3 mg/cm3 in the nephrographic phase).
    """
    portal = rng.random()
    tissues = replace(
        anatomy.torso.tissues,
        aorta=rng.uniform(130.0, 190.0) + 180.0 * (1.0 - portal) * rng.random(),
        cava=rng.uniform(60.0, 110.0) + 60.0 * portal,
        kidney=rng.uniform(140.0, 220.0),
        liver=anatomy.torso.tissues.liver + 15.0 + 45.0 * portal,
        spleen=rng.uniform(105.0, 140.0),
        bowel=anatomy.torso.tissues.bowel + 35.0,
    )
    uptake = max(0.0, rng.normal(11.0, 4.5))
    marrow = tuple(replace(v, marrow_hu=v.marrow_hu + uptake) for v in anatomy.spine.vertebrae)
    return replace(
        anatomy, torso=replace(anatomy.torso, tissues=tissues), spine=replace(anatomy.spine, vertebrae=marrow)
    )


def render_slab(
    anatomy: Anatomy, x_mm: NDArray[np.floating], y_mm: NDArray[np.floating], z_mm: float, thickness_mm: float
) -> Slab:
    """Render one slice averaged over its thickness; `x_mm` and `y_mm` are evenly spaced by the same step."""
    canvas = Canvas.of_air(x_mm, y_mm)
    paint_torso(anatomy.torso, anatomy.vessels, canvas, z_mm)
    paint_skeleton(anatomy.skeleton, canvas, z_mm)
    _lay_spine(anatomy.spine, canvas, z_mm, thickness_mm)
    return Slab(canvas.hu, canvas.mineral_mg)


def _lay_spine(spine: Spine, canvas: Canvas, z_mm: float, thickness_mm: float) -> None:
    count = max(1, round(thickness_mm / SUBSLICE_MM))
    heights = z_mm + ((np.arange(count) + 0.5) / count - 0.5) * thickness_mm
    part = canvas.window(*_column_box(spine, z_mm))
    if part is None:
        return
    at = sampling(canvas.x_mm[part[1]], canvas.y_mm[part[0]], heights, canvas.pixel_mm, thickness_mm / count)
    tissue = render_spine(spine, at)
    free = 1.0 - tissue.cover.mean(axis=0)
    canvas.hu[part] = canvas.hu[part] * free + tissue.soft_hu.mean(axis=0)
    canvas.mineral_mg[part] = canvas.mineral_mg[part] * free + tissue.mineral_mg.mean(axis=0)


def _column_box(spine: Spine, z_mm: float) -> tuple[float, float, float, float]:
    """Bounds of everything `render_spine` can draw at a height: x0, x1, y0, y1."""
    z, x, y = (np.array([v.centre_mm[i] for v in spine.vertebrae]) for i in (2, 0, 1))
    cx, cy = float(np.interp(z_mm, z, x)), float(np.interp(z_mm, z, y))
    return cx - 68.0, cx + 68.0, cy - 40.0, cy + 88.0
