"""Volume -> lumbar vertebral bodies with level names, or the reason why there are none to trust."""

import math
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
# Spacing names nothing: ribs or sacrum must. Counted from the ribs L1 is L1 by definition; one person in eight has a
# transitional vertebra at the sacrum (10-15 % of adults), so the sacrum alone must be twice as clear: 400 to 1.
# The ribs by themselves must favour these names by odds of 3 to 2. Among 490 scans of 70 simulated people that had no
# part in the choice, no wrong name lay above a rib margin of 0.1.
SPEAKING_RIBS = math.log(1.5)
SACRUM_ALONE_MARGIN = 2.0 * CERTAIN_MARGIN
TOP_OF_SACRUM = -0.3  # level coordinate
# On real spines, whole, cropped and degraded: coherence 0.57-0.79, evidence above -0.03, soft canal above 0.95. Noise,
# heads and upturned bodies that reach one of these miss another. Below the second value it is no spine at all. An end
# that prefers another name by odds of more than 7 to 1 contradicts the other: transitional anatomy, or not enough seen.
LEAST_COHERENCE = (0.5, 0.25)
LEAST_EVIDENCE = (-0.08, -0.15)
LEAST_END_MARGIN = (-2.0, -6.0)
LEAST_CANAL = (0.85, 0.75)
# Distance from each body's centre to the next one below, mm (VerSe landmarks of 193 spines, SD 7 %), and how far a
# pair may depart from it in a patient whose other pairs set the scale: 3 SD upwards; downwards a crushed body's worth.
BODY_PITCH_MM = {"T12": 31.0, "L1": 33.4, "L2": 34.1, "L3": 33.8, "L4": 31.7}
PITCH_RANGE = (0.7, 1.2)
LEAST_PAIRS = 3  # to set the scale; fewer are measured by that of the level path


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
    even = _without_uneven_ends(vertebrae, levels.scale)
    uneven = [vertebra.level for vertebra in vertebrae if vertebra not in even]
    facts += f", out of step: {' '.join(uneven)}" if uneven else ""
    if sum(vertebra.level.startswith("L") for vertebra in even) < LEAST_BODIES:
        raise Excluded(Exclusion.NO_LUMBAR, facts)
    return LumbarSpine(even, _certainty(levels, even), facts)


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


def _without_uneven_ends(vertebrae: tuple[Vertebra, ...], scale: float) -> tuple[Vertebra, ...]:
    """Leave out end bodies at an impossible distance: cut by the edge without looking it, or part of the sacrum."""
    even = even_pairs(vertebrae, scale)
    first, last = 0, len(vertebrae)
    while first < last - 1 and not even[first]:
        first += 1
    while last - 1 > first and not even[last - 2]:
        last -= 1
    return vertebrae[first:last]


def even_pairs(vertebrae: tuple[Vertebra, ...], scale: float) -> list[bool]:
    """Whether each body lies at a possible distance from the next one below."""
    pairs = list(zip(vertebrae, vertebrae[1:], strict=False))
    ratios = [math.dist(high.centre_mm, low.centre_mm) / BODY_PITCH_MM[high.level] for high, low in pairs]
    usual = float(np.median(ratios)) if len(ratios) >= LEAST_PAIRS else scale
    return [PITCH_RANGE[0] <= ratio / usual <= PITCH_RANGE[1] for ratio in ratios]


def _holds(levels: LevelPath, gate: int) -> bool:
    return (
        levels.coherence >= LEAST_COHERENCE[gate]
        and levels.canal >= LEAST_CANAL[gate]
        and levels.evidence >= LEAST_EVIDENCE[gate]
        and min(levels.sacral_margin, levels.rib_margin) >= LEAST_END_MARGIN[gate]
    )


def _certainty(levels: LevelPath, vertebrae: tuple[Vertebra, ...]) -> LevelCertainty:
    ribs, sacrum = levels.rib_margin >= SPEAKING_RIBS, levels.coordinate[0] <= TOP_OF_SACRUM
    needed = _probability(CERTAIN_MARGIN if ribs else SACRUM_ALONE_MARGIN)
    sure = (ribs or sacrum) and min(vertebra.confidence for vertebra in vertebrae) >= needed
    even = all(even_pairs(vertebrae, levels.scale))
    return LevelCertainty.CERTAIN if sure and even and _holds(levels, gate=0) else LevelCertainty.UNCERTAIN


def _probability(margin: float) -> float:
    return float(1.0 / (1.0 + np.exp(-margin)))


def _facts(levels: LevelPath) -> str:
    return (
        f"level coordinate {levels.coordinate[0]:.1f} to {levels.coordinate[-1]:.1f}, scale {levels.scale:.2f}, "
        f"coherence {levels.coherence:.2f}, canal {levels.canal:.2f}, evidence {levels.evidence:.2f}, "
        f"sacral margin {levels.sacral_margin:.1f}, rib margin {levels.rib_margin:.1f}"
    )
