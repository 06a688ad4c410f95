"""Slice readings -> level -> patient BMD with interval, T-score and band, or the reason why there is none."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from screening.errors import Excluded, Exclusion
from screening.imaging.attenuation import TrabecularReading
from screening.imaging.lumbar import Vertebra
from screening.prediction.inference import SlicePredictions
from screening.prediction.tscore import (
    OSTEOPOROSIS_T,
    Category,
    Reference,
    category,
    osteoporosis_cut_g_cm2,
    t_score,
    yam_percent,
)

# DXA of the spine is read on L1 to L4, and needs two of them (ISCD official positions, adult).
DXA_LEVELS: Final = ("L1", "L2", "L3", "L4")
MINIMUM_LEVELS: Final = 2
# A vertebra more than 1.0 T-score away from its neighbours is left out (ISCD official positions, adult).
OUTLIER_T: Final = 1.0
# A slab whose own standard deviation is near one T-score (0.11 g/cm2) cannot place a patient.
MAXIMUM_SLAB_SD_G_CM2: Final = 0.10
# The network and the region of interest read the same bone: further apart, one of them read something else.
READERS_DISAGREE_HU: Final = 25.0
# T-scores are for people of 50 and over (ISCD official positions, adult).
T_SCORE_AGE_YEARS: Final = 50.0
INTERVAL_COVERAGE: Final = 0.90


class LevelProblem(StrEnum):
    """Why a vertebra does not enter the patient's value."""

    NOT_A_DXA_LEVEL = "not_a_dxa_level"
    UNCERTAIN_READING = "uncertain_reading"
    OUTLIER = "outlier"


class Band(StrEnum):
    """What the list says of a patient; `not_flagged` does not mean normal."""

    LIKELY = "likely"
    INDETERMINATE = "indeterminate"
    NOT_FLAGGED = "not_flagged"


@dataclass(frozen=True, slots=True)
class SlabBmd:
    """What the network read in one axial slab."""

    z_mm: float
    bmd_g_cm2: float
    sd_g_cm2: float
    attended_hu: float
    body_depth_mm: float


@dataclass(frozen=True, slots=True)
class LevelBmd:
    """One vertebra: the network's reading beside the transparent one, and whether it counts."""

    vertebra: Vertebra
    trabecular: TrabecularReading
    slabs: tuple[SlabBmd, ...]
    bmd_g_cm2: float
    sd_g_cm2: float
    attended_hu: float
    problem: LevelProblem | None


@dataclass(frozen=True, slots=True)
class PatientBmd:
    """The patient's areal BMD at the date of the study."""

    levels: tuple[LevelBmd, ...]
    bmd_g_cm2: float
    low_g_cm2: float
    high_g_cm2: float
    t_score: float
    yam_percent: float
    category: Category | None
    osteoporosis_probability: float
    band: Band
    reference: Reference
    warnings: tuple[str, ...]

    @property
    def used_levels(self) -> tuple[LevelBmd, ...]:
        """The levels that entered the mean."""
        return tuple(level for level in self.levels if level.problem is None)


def slabs_of(predictions: SlicePredictions, z_mm: NDArray[np.float64]) -> tuple[SlabBmd, ...]:
    """Pair n predictions with the heights of their slabs."""
    columns = (predictions.bmd_g_cm2, predictions.sd_g_cm2, predictions.attended_hu, predictions.body_depth_mm)
    return tuple(SlabBmd(*(float(value) for value in row)) for row in zip(z_mm, *columns, strict=True))


def level_bmd(vertebra: Vertebra, trabecular: TrabecularReading, slabs: Sequence[SlabBmd]) -> LevelBmd:
    """Average the slabs that the network is sure of; with none, the level is uncertain and shows the mean of all."""
    sure = [slab for slab in slabs if slab.sd_g_cm2 <= MAXIMUM_SLAB_SD_G_CM2]
    averaged = sure or slabs
    problem = None if sure else LevelProblem.UNCERTAIN_READING
    if vertebra.level not in DXA_LEVELS:
        problem = LevelProblem.NOT_A_DXA_LEVEL
    return LevelBmd(
        vertebra=vertebra,
        trabecular=trabecular,
        slabs=tuple(slabs),
        bmd_g_cm2=float(np.mean([slab.bmd_g_cm2 for slab in averaged])),
        sd_g_cm2=float(np.mean([slab.sd_g_cm2 for slab in averaged])),
        attended_hu=float(np.mean([slab.attended_hu for slab in averaged])),
        problem=problem,
    )


def patient_bmd(
    levels: Sequence[LevelBmd],
    *,
    reference: Reference,
    interval_half_width_g_cm2: float,
    age_years: float | None,
    hu_scale: float = 1.0,
) -> PatientBmd:
    """Average the usable levels L1 to L4 and place the mean against the reference.

    `hu_scale` is the kVp factor that brings attenuation as acquired to 120 kVp.

    Raises:
        Excluded: fewer than two usable levels.
    """
    judged = _without_outliers(levels, reference)
    used = [level for level in judged if level.problem is None]
    if len(used) < MINIMUM_LEVELS:
        problems = ", ".join(f"{level.vertebra.level} {level.problem or 'usable'}" for level in judged) or "none found"
        raise Excluded(Exclusion.TOO_FEW_LEVELS, f"usable levels {len(used)} of {MINIMUM_LEVELS} needed: {problems}")
    bmd = float(np.mean([level.bmd_g_cm2 for level in used]))
    t = t_score(bmd, reference)
    return PatientBmd(
        levels=judged,
        bmd_g_cm2=bmd,
        low_g_cm2=bmd - interval_half_width_g_cm2,
        high_g_cm2=bmd + interval_half_width_g_cm2,
        t_score=t,
        yam_percent=yam_percent(bmd, reference),
        category=category(t) if age_years is not None and age_years >= T_SCORE_AGE_YEARS else None,
        osteoporosis_probability=_osteoporosis_probability(bmd, interval_half_width_g_cm2, reference),
        band=band(t, t_score(bmd - interval_half_width_g_cm2, reference)),
        reference=reference,
        warnings=_level_warnings(judged, reference, hu_scale),
    )


def band(t: float, low_t: float) -> Band:
    """Likely at T <= -2.5; indeterminate when only the interval's lower end `low_t` reaches the cut."""
    if t <= OSTEOPOROSIS_T:
        return Band.LIKELY
    return Band.INDETERMINATE if low_t <= OSTEOPOROSIS_T else Band.NOT_FLAGGED


def _osteoporosis_probability(bmd: float, half_width: float, reference: Reference) -> float:
    sd = half_width / norm.ppf(0.5 + INTERVAL_COVERAGE / 2)
    return float(norm.cdf((osteoporosis_cut_g_cm2(reference) - bmd) / sd))


def _without_outliers(levels: Sequence[LevelBmd], reference: Reference) -> tuple[LevelBmd, ...]:
    """Drop the level furthest from the median of the others, one after the other, while more than two remain."""
    usable = [level for level in levels if level.problem is None]
    if len(usable) <= MINIMUM_LEVELS:
        return tuple(levels)
    worst = max(usable, key=lambda level: _distance_t(level, usable, reference))
    if _distance_t(worst, usable, reference) <= OUTLIER_T:
        return tuple(levels)
    dropped = replace(worst, problem=LevelProblem.OUTLIER)
    return _without_outliers([dropped if level is worst else level for level in levels], reference)


def _distance_t(level: LevelBmd, usable: Sequence[LevelBmd], reference: Reference) -> float:
    others = [other.bmd_g_cm2 for other in usable if other is not level]
    return abs(level.bmd_g_cm2 - float(np.median(others))) / reference.sd_g_cm2


def _level_warnings(levels: Sequence[LevelBmd], reference: Reference, hu_scale: float) -> tuple[str, ...]:
    used = [level for level in levels if level.problem is None]
    values = [level.bmd_g_cm2 for level in used]
    warnings = [
        f"{level.vertebra.level}: network and region of interest differ by more than {READERS_DISAGREE_HU:.0f} HU"
        for level in used
        if abs(level.attended_hu - level.trabecular.median_hu * hu_scale) > READERS_DISAGREE_HU
    ]
    if len(used) == MINIMUM_LEVELS and np.ptp(values) > OUTLIER_T * reference.sd_g_cm2:
        warnings.append("the two usable levels differ by more than 1.0 T-score")
    if len(used) < len(DXA_LEVELS):
        warnings.append(f"mean of {len(used)} of 4 levels")
    return tuple(warnings)
