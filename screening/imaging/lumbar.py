"""Volume -> lumbar vertebral bodies with level names, or the reason why there are none to trust."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from screening.errors import Excluded, Exclusion
from screening.imaging.hounsfield import Volume
from screening.imaging.levels import LevelPath, decode_levels
from screening.imaging.spinal_canal import StraightSpine, section_axes, straighten_spine
from screening.imaging.spine_profiles import profile_spine

LEVELS = ("L5", "L4", "L3", "L2", "L1", "T12")  # body i lies between the discs at level coordinate i and i + 1
LEAST_BODIES = 2
ENDPLATE = 0.12  # of the disc-to-disc distance: half a disc
BODY_W_MM = -24.0  # from the canal centre to the centre of the body
CERTAIN_MARGIN = 3.0  # log likelihood: about 20 to 1
LEAST_COHERENCE = 0.5
LEAST_EVIDENCE = -0.35
CONFLICT = -2.0


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
    profiles = profile_spine(spine)
    levels = decode_levels(profiles)
    discs = _discs(levels.coordinate)
    bodies = {body: (discs[body], discs[body + 1]) for body in discs if body + 1 in discs}
    facts = _facts(levels)
    if sum(body < 5 for body in bodies) < LEAST_BODIES or levels.coherence < LEAST_COHERENCE / 2:
        raise Excluded(Exclusion.NO_LUMBAR, facts)
    vertebrae = [_vertebra(volume, spine, levels, body, ends) for body, ends in sorted(bodies.items(), reverse=True)]
    return LumbarSpine(tuple(vertebrae), _certainty(levels, vertebrae), facts)


def _discs(coordinate: NDArray[np.float64]) -> dict[int, float]:
    """Return the section of every disc whose neighbouring end plates are covered, extrapolating at the ends."""
    sections = np.arange(len(coordinate), dtype=np.float64)
    found = {}
    for disc in range(len(LEVELS) + 1):
        if coordinate[0] <= disc <= coordinate[-1]:
            found[disc] = float(np.interp(disc, coordinate, sections))
        elif coordinate[0] - ENDPLATE <= disc < coordinate[0]:
            found[disc] = float(disc - coordinate[0]) / _rate(coordinate[:20])
        elif coordinate[-1] < disc <= coordinate[-1] + ENDPLATE:
            found[disc] = float(sections[-1] + (disc - coordinate[-1]) / _rate(coordinate[-20:]))
    return found


def _rate(coordinate: NDArray[np.float64]) -> float:
    return max(float(coordinate[-1] - coordinate[0]) / (len(coordinate) - 1), 1e-3)


def _vertebra(
    volume: Volume, spine: StraightSpine, levels: LevelPath, body: int, ends: tuple[float, float]
) -> Vertebra:
    lower, upper = ends
    half_disc = ENDPLATE * (upper - lower)
    centre = _patient_mm(volume, spine, (lower + upper) / 2.0)
    section = int(np.clip((lower + upper) / 2.0, 0, len(levels.margin) - 1))
    return Vertebra(
        level=LEVELS[body],
        centre_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
        upper_z_mm=float(_patient_mm(volume, spine, upper - half_disc)[2]),
        lower_z_mm=float(_patient_mm(volume, spine, lower + half_disc)[2]),
        confidence=float(1.0 / (1.0 + np.exp(-levels.margin[section]))),
    )


def _patient_mm(volume: Volume, spine: StraightSpine, section: float) -> NDArray[np.float64]:
    """Return the patient coordinates of the body's axis at a (fractional) section."""
    sections = np.arange(len(spine.path_mm))
    back, _ = section_axes(spine.tangent)
    axis = spine.path_mm + BODY_W_MM * back
    nearest = int(np.clip(round(section), 0, len(axis) - 1))
    point = np.array([np.interp(section, sections, column) for column in axis.T])
    point += (section - np.clip(section, 0, sections[-1])) * spine.tangent[nearest]
    return volume.patient_mm(point / np.asarray(volume.spacing_mm))


def _certainty(levels: LevelPath, vertebrae: list[Vertebra]) -> LevelCertainty:
    sure = min(levels.sacral_margin, levels.rib_margin) > CONFLICT
    sure &= levels.coherence >= LEAST_COHERENCE and levels.evidence >= LEAST_EVIDENCE
    sure &= min(vertebra.confidence for vertebra in vertebrae) >= 1.0 / (1.0 + np.exp(-CERTAIN_MARGIN))
    return LevelCertainty.CERTAIN if sure else LevelCertainty.UNCERTAIN


def _facts(levels: LevelPath) -> str:
    return (
        f"level coordinate {levels.coordinate[0]:.1f} to {levels.coordinate[-1]:.1f}, coherence "
        f"{levels.coherence:.2f}, evidence {levels.evidence:.2f}, sacral margin {levels.sacral_margin:.1f}, "
        f"rib margin {levels.rib_margin:.1f}, scale {levels.scale:.2f}"
    )
