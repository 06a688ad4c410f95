"""Volume -> lumbar vertebral bodies with level names, or the reason why there are none to trust."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from screening.errors import Excluded, Exclusion
from screening.imaging.hounsfield import Volume
from screening.imaging.levels import LevelPath, decode_levels
from screening.imaging.spinal_canal import StraightSpine, straighten_spine
from screening.imaging.spine_profiles import profile_spine
from screening.imaging.vertebral_body import measure_body

LEVELS = ("L5", "L4", "L3", "L2", "L1", "T12")  # body i lies between the discs at level coordinate i and i + 1
LEAST_BODIES = 2
HALF_DISC = 0.12  # of the disc-to-disc distance
CERTAIN_MARGIN = 3.0  # log likelihood: about 20 to 1
# On real spines, whole, cropped and degraded: coherence 0.57-0.79, evidence above -0.03, end margins above -2, soft
# canal above 0.95. Noise, heads and upturned bodies that reach one of these miss another. Below the second value it
# is no spine at all.
LEAST_COHERENCE = (0.5, 0.25)
LEAST_EVIDENCE = (-0.08, -0.15)
LEAST_END_MARGIN = (-2.0, -6.0)
LEAST_CANAL = (0.85, 0.75)


class LevelCertainty(StrEnum):
    """Whether the level names can be relied on; an uncertain study is excluded unless the site allows it."""

    CERTAIN = "certain"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class Vertebra:
    """One complete vertebral body in DICOM patient coordinates (mm)."""

    level: str  # "T12", "L1" ... "L5"
    centre_mm: tuple[float, float, float]  # x, y, z of the centre of the body
    upper_z_mm: float  # cranial end plate on the body's axis
    lower_z_mm: float  # caudal end plate on the body's axis
    confidence: float  # 0 to 1


@dataclass(frozen=True, slots=True)
class LumbarSpine:
    """What was found: bodies from cranial to caudal, and how far their names can be trusted."""

    vertebrae: tuple[Vertebra, ...]
    certainty: LevelCertainty
    detail: str  # the measured facts behind the certainty, for the books


class Localizer(Protocol):
    """Finds the lumbar spine of a volume; raises `Excluded(NO_LUMBAR)` where there is none."""

    def __call__(self, volume: Volume) -> LumbarSpine:
        """Return the bodies found, cranial first."""
        ...


def find_lumbar_spine(volume: Volume) -> LumbarSpine:
    """Locate and name every complete body from T12 to L5.

    Raises:
        Excluded: NO_LUMBAR where fewer than two complete lumbar bodies can be seen.
    """
    spine = straighten_spine(volume)
    levels = decode_levels(profile_spine(spine))
    facts = _facts(levels)
    discs = _discs(levels.coordinate)
    if len(discs) <= LEAST_BODIES or not _holds(levels, gate=1):
        raise Excluded(Exclusion.NO_LUMBAR, facts)
    bodies = [body for body in reversed(range(len(LEVELS))) if {body, body + 1} <= discs.keys()]
    found = {body: _vertebra(volume, spine, levels, body, (discs[body], discs[body + 1])) for body in bodies}
    vertebrae = tuple(vertebra for vertebra in found.values() if vertebra is not None)
    cut = [LEVELS[body] for body, vertebra in found.items() if vertebra is None]
    facts += f", cut by the edge: {' '.join(cut)}" if cut else ""
    if sum(vertebra.level.startswith("L") for vertebra in vertebrae) < LEAST_BODIES:
        raise Excluded(Exclusion.NO_LUMBAR, facts)
    return LumbarSpine(vertebrae, _certainty(levels, vertebrae), facts)


def _discs(coordinate: NDArray[np.float64]) -> dict[int, float]:
    """Return the section of every disc whose neighbouring end plate may be covered, going on straight at the ends."""
    sections = np.arange(len(coordinate), dtype=np.float64)
    found = {}
    for disc in range(len(LEVELS) + 1):
        if coordinate[0] <= disc <= coordinate[-1]:
            found[disc] = float(np.interp(disc, coordinate, sections))
        elif coordinate[0] - HALF_DISC <= disc < coordinate[0]:
            found[disc] = float(disc - coordinate[0]) / _rate(coordinate[:20])
        elif coordinate[-1] < disc <= coordinate[-1] + HALF_DISC:
            found[disc] = float(sections[-1] + (disc - coordinate[-1]) / _rate(coordinate[-20:]))
    return found


def _rate(coordinate: NDArray[np.float64]) -> float:
    return max(float(coordinate[-1] - coordinate[0]) / (len(coordinate) - 1), 1e-3)


def _vertebra(
    volume: Volume, spine: StraightSpine, levels: LevelPath, body: int, ends: tuple[float, float]
) -> Vertebra | None:
    """Measure the body between two discs; None where it is cut by the edge of the volume."""
    axis = measure_body(spine, *ends)
    if axis is None:
        return None
    centre, upper, lower = (
        spine.patient_mm(volume, section, axis.w_mm, axis.u_mm)
        for section in ((axis.lower + axis.upper) / 2.0, axis.upper, axis.lower)
    )
    return Vertebra(
        level=LEVELS[body],
        centre_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
        upper_z_mm=float(upper[2]),
        lower_z_mm=float(lower[2]),
        confidence=_probability(levels.margin[round((axis.lower + axis.upper) / 2.0)]),
    )


def _holds(levels: LevelPath, gate: int) -> bool:
    return (
        levels.coherence >= LEAST_COHERENCE[gate]
        and levels.canal >= LEAST_CANAL[gate]
        and levels.evidence >= LEAST_EVIDENCE[gate]
        and min(levels.sacral_margin, levels.rib_margin) >= LEAST_END_MARGIN[gate]
    )


def _certainty(levels: LevelPath, vertebrae: tuple[Vertebra, ...]) -> LevelCertainty:
    sure = min(vertebra.confidence for vertebra in vertebrae) >= _probability(CERTAIN_MARGIN)
    return LevelCertainty.CERTAIN if sure and _holds(levels, gate=0) else LevelCertainty.UNCERTAIN


def _probability(margin: float) -> float:
    return float(1.0 / (1.0 + np.exp(-margin)))


def _facts(levels: LevelPath) -> str:
    return (
        f"level coordinate {levels.coordinate[0]:.1f} to {levels.coordinate[-1]:.1f}, scale {levels.scale:.2f}, "
        f"coherence {levels.coherence:.2f}, canal {levels.canal:.2f}, evidence {levels.evidence:.2f}, "
        f"sacral margin {levels.sacral_margin:.1f}, rib margin {levels.rib_margin:.1f}"
    )
