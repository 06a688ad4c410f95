"""Patient and level -> the sizes of a vertebral arch, in millimetres and mg/cm3 of mineral.

Pedicles after CT morphometry of adults (Zindrick 1987, Panjabi 1992, rounded): wide apart and broad towards L5, so that
the side walls of the body run straight into them. Laminae, facets and pedicles are nearly solid cortical bone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from screening.simulation.cohort import Patient

PEDICLE_GAP_MM = {"L5": 19.5, "L4": 17.5, "L3": 16.2, "L2": 15.5, "L1": 15.0, "T12": 14.0}  # midline to axis
PEDICLE_WIDTH_MM = {"L5": 14.0, "L4": 11.0, "L3": 10.0, "L2": 8.8, "L1": 8.4}
FACET_GAP_MM = {"L5": 19.0, "L4": 16.5, "L3": 15.0, "L2": 14.0, "L1": 13.5}  # midline to the articular pillar
TRANSVERSE_REACH_MM = {"L5": 42, "L4": 41, "L3": 43, "L2": 40, "L1": 37, "T12": 24, "T11": 26, "T10": 28, "T9": 29}
SOLIDITY = 1.5  # cancellous bone of the arch relative to the quality drawn: thick trabeculae between two tables
CORTEX_MM, CORTEX_SD_MM = 2.3, 0.3  # thick enough to leave little cancellous bone in a lamina
SACRAL_CANCELLOUS = {"S1": 0.75, "S2": 0.4, "S3": 0.3}  # the wings hold much fat, more so further down
SACRAL_WING = {"S1": 1.0, "S2": 0.65, "S3": 0.42}
SACRAL_CORTEX = 0.65  # the sacrum is a thin shell around loose cancellous bone


@dataclass(frozen=True, slots=True)
class Posterior:
    """Sizes of the vertebral arch in mm; lengths not given here follow from the body."""

    pedicle_gap_mm: float  # half the distance between the pedicles' axes
    pedicle_width_mm: float
    pedicle_height_mm: float
    pillar_mm: float  # half the distance between the articular pillars
    canal_depth_mm: float
    canal_width_mm: float
    lamina_mm: float
    facet_mm: float
    spinous_length_mm: float
    spinous_mm: float
    spinous_drop: float  # share of the body height by which the tip lies below its base
    transverse_reach_mm: float
    transverse_mm: float
    transverse_root_mm: float  # how far in front of the pedicle's end the process begins
    wing: float  # size of the sacral wings relative to S1, 0 above the sacrum
    asymmetry: float
    roughness_mm: float  # SD of the surface
    cortex_mm: float
    cortex_mg: float
    cancellous_mg: float


def draw_posterior(level: str, patient: Patient, cortex_mg: float, cancellous_mg: float, rng: Generator) -> Posterior:
    """Draw the arch of one level; the densities are those of the patient's lumbar arches."""
    size, worn = patient.size, patient.degeneration
    lumbar, sacral = level.startswith("L"), level.startswith("S")

    def about(mean: float, relative_sd: float = 0.09) -> float:
        return float(mean * size * np.clip(1.0 + relative_sd * rng.normal(), 0.7, 1.35))

    gap = about(PEDICLE_GAP_MM.get(level, 13.0), 0.05)
    return Posterior(
        pedicle_gap_mm=gap,
        pedicle_width_mm=about(PEDICLE_WIDTH_MM.get(level, 7.8)),
        pedicle_height_mm=about(14.0 if lumbar else 15.0),
        pillar_mm=gap * FACET_GAP_MM.get(level, 13.0) / PEDICLE_GAP_MM.get(level, 13.0),
        canal_depth_mm=about({"S1": 13.0, "S2": 10.0, "S3": 8.0}.get(level, 17.0 if lumbar else 16.0)),
        canal_width_mm=about({"L5": 27.0, "L4": 25.0}.get(level, 23.5 if lumbar else 20.0)),
        lamina_mm=about(4.9),
        facet_mm=about(6.7 + 1.4 * worn, 0.12),
        spinous_length_mm=about(30.0 if lumbar else 26.0, 0.12),
        spinous_mm=about(5.0, 0.15),
        spinous_drop=rng.uniform(0.05, 0.35) if lumbar else rng.uniform(0.5, 0.9),
        transverse_reach_mm=about(TRANSVERSE_REACH_MM.get(level, 40.0), 0.08),
        transverse_mm=about(7.0 if level == "L5" else 3.9, 0.15),
        transverse_root_mm=about(9.0 if level == "L5" else 2.0),
        wing=SACRAL_WING.get(level, 0.0),
        asymmetry=float(rng.normal(0.0, 0.03)),
        roughness_mm=rng.uniform(0.2, 0.8) * (0.6 + 0.8 * worn),
        cortex_mm=float(np.clip(rng.normal(CORTEX_MM, CORTEX_SD_MM), 1.6, 3.2)) * (SACRAL_CORTEX if sacral else 1.0),
        cortex_mg=cortex_mg,
        cancellous_mg=cancellous_mg * SACRAL_CANCELLOUS.get(level, SOLIDITY),
    )
