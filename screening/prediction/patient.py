"""Slice readings -> level -> patient BMD with interval, T-score and band, or the reason why there is none."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from screening.errors import Excluded, Exclusion
from screening.imaging.attenuation import TrabecularReading
from screening.imaging.body_quality import BodyQuality
from screening.imaging.lumbar import Vertebra
from screening.prediction.inference import SlicePredictions
from screening.prediction.tscore import (
    Band,
    Category,
    OsteoporosisRule,
    Placement,
    Reference,
    Standard,
    ZCategory,
    place,
)

# DXA of the spine is read on L1 to L4, and needs two of them (ISCD official positions, adult).
DXA_LEVELS: Final = ("L1", "L2", "L3", "L4")
MINIMUM_LEVELS: Final = 2
# A vertebra more than 1.0 T-score away from its neighbours is left out (ISCD official positions, adult).
OUTLIER_T: Final = 1.0
# A slab whose own standard deviation is near one T-score (0.11 g/cm2) cannot place a patient.
MAXIMUM_SLAB_SD_G_CM2: Final = 0.10
# Twice the standard deviation of the slabs of a level (simulated patients: 0.010 g/cm2, 4 HU). With one slab of three
# 80 HU off, a level moves by 6 HU and not by the mean's 27; without, its error is the mean's (a median's: 10 % more).
SLAB_REACH_G_CM2: Final = 0.02
SLAB_REACH_HU: Final = 8.0


class LevelProblem(StrEnum):
    """Why a vertebra does not enter the patient's value."""

    NOT_A_DXA_LEVEL = "not_a_dxa_level"
    METAL = "metal_or_cement"
    STREAKS = "streaks_or_gas"
    HEIGHT_LOSS = "height_loss"
    UNCERTAIN_READING = "uncertain_reading"
    OUTLIER = "outlier"


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
    quality: BodyQuality
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
    z_score: float | None  # None where age, sex or a reference for them is not known
    category: Category | None  # None under 50 years or at an unknown age
    z_category: ZCategory | None  # None from 50 years on
    osteoporosis_probability: float
    band: Band
    reference: Reference
    rule: OsteoporosisRule
    disagreeing_levels: tuple[str, ...]  # used levels in which network and region of interest read different bone
    warnings: tuple[str, ...]

    @property
    def used_levels(self) -> tuple[LevelBmd, ...]:
        """The levels that entered the mean."""
        return tuple(level for level in self.levels if level.problem is None)


def slabs_of(predictions: SlicePredictions, z_mm: NDArray[np.float64]) -> tuple[SlabBmd, ...]:
    """Pair n predictions with the heights of their slabs."""
    columns = (predictions.bmd_g_cm2, predictions.sd_g_cm2, predictions.attended_hu, predictions.body_depth_mm)
    return tuple(SlabBmd(*(float(value) for value in row)) for row in zip(z_mm, *columns, strict=True))


def level_bmd(
    vertebra: Vertebra, trabecular: TrabecularReading, quality: BodyQuality, slabs: Sequence[SlabBmd]
) -> LevelBmd:
    """Take the robust mean of the slabs that the network is sure of; with none, of all, and the level is uncertain."""
    sure = [slab for slab in slabs if slab.sd_g_cm2 <= MAXIMUM_SLAB_SD_G_CM2]
    counted = sure or slabs
    return LevelBmd(
        vertebra=vertebra,
        trabecular=trabecular,
        slabs=tuple(slabs),
        bmd_g_cm2=robust_mean([slab.bmd_g_cm2 for slab in counted], SLAB_REACH_G_CM2),
        sd_g_cm2=float(np.mean([slab.sd_g_cm2 for slab in counted])),
        attended_hu=robust_mean([slab.attended_hu for slab in counted], SLAB_REACH_HU),
        quality=quality,
        problem=_problem(vertebra, quality, sure=bool(sure)),
    )


def _problem(vertebra: Vertebra, quality: BodyQuality, *, sure: bool) -> LevelProblem | None:
    """The plainest thing that speaks against a level by itself."""
    found = {
        LevelProblem.NOT_A_DXA_LEVEL: vertebra.level not in DXA_LEVELS,
        LevelProblem.METAL: quality.metal,
        LevelProblem.STREAKS: quality.streaks,
        LevelProblem.HEIGHT_LOSS: quality.fractured,
        LevelProblem.UNCERTAIN_READING: not sure,
    }
    return next((problem for problem, holds in found.items() if holds), None)


def robust_mean(values: Sequence[float], reach: float) -> float:
    """Mean of values drawn in to within `reach` of their median (one step of Huber's estimator of location)."""
    median = np.median(values)
    return float(np.clip(values, median - reach, median + reach).mean())


def patient_bmd(
    levels: Sequence[LevelBmd],
    *,
    reference: Reference,
    interval_half_width_g_cm2: float,
    age_years: float | None,
    readers_disagree_hu: float,
    hu_scale: float = 1.0,
    sex: str = "",
    rule: OsteoporosisRule = OsteoporosisRule.T_SCORE,
) -> PatientBmd:
    """Average the usable levels L1 to L4 and place the mean against the reference.

    Args:
        levels: every body that was read.
        reference: population of the T-score.
        interval_half_width_g_cm2: of the 90 % prediction interval.
        age_years: at the study; None where not known.
        readers_disagree_hu: a level whose two readings are further apart calls for review.
        hu_scale: kVp factor that brings attenuation as acquired to 120 kVp.
        sex: PatientSex; empty where not known.
        rule: what is called osteoporosis.

    Raises:
        Excluded: fewer than two usable levels.
    """
    judged = judged_levels(levels, reference)
    used = [level for level in judged if level.problem is None]
    if len(used) < MINIMUM_LEVELS:
        problems = ", ".join(f"{level.vertebra.level} {level.problem or 'usable'}" for level in judged) or "none found"
        raise Excluded(Exclusion.TOO_FEW_LEVELS, f"usable levels {len(used)} of {MINIMUM_LEVELS} needed: {problems}")
    bmd = float(np.mean([level.bmd_g_cm2 for level in used]))
    placement = _place_one(bmd, interval_half_width_g_cm2, age_years, sex, Standard(reference, rule))
    z_score = float(placement.z_score[0])
    disagreeing = tuple(level for level in used if _readers_apart_hu(level, hu_scale) > readers_disagree_hu)
    return PatientBmd(
        levels=judged,
        bmd_g_cm2=bmd,
        low_g_cm2=bmd - interval_half_width_g_cm2,
        high_g_cm2=bmd + interval_half_width_g_cm2,
        t_score=float(placement.t_score[0]),
        yam_percent=float(placement.yam_percent[0]),
        z_score=None if np.isnan(z_score) else z_score,
        category=Category(str(placement.category[0])) if placement.category[0] else None,
        z_category=ZCategory(str(placement.z_category[0])) if placement.z_category[0] else None,
        osteoporosis_probability=float(placement.osteoporosis_probability[0]),
        band=Band(str(placement.band[0])),
        reference=reference,
        rule=rule,
        disagreeing_levels=tuple(level.vertebra.level for level in disagreeing),
        warnings=_disagreement_warnings(disagreeing, hu_scale) + _level_warnings(used, reference),
    )


def _place_one(
    bmd_g_cm2: float, half_width_g_cm2: float, age_years: float | None, sex: str, standard: Standard
) -> Placement:
    age = np.nan if age_years is None else age_years
    return place(np.array([bmd_g_cm2]), np.array([half_width_g_cm2]), np.array([age]), np.array([sex]), standard)


def judged_levels(levels: Sequence[LevelBmd], reference: Reference) -> tuple[LevelBmd, ...]:
    """Drop the usable levels that lie too far from the others."""
    usable = [level for level in levels if level.problem is None]
    dropped = outliers([level.bmd_g_cm2 for level in usable], reference.sd_g_cm2)
    apart = [usable[place] for place in dropped]
    return tuple(
        replace(level, problem=LevelProblem.OUTLIER) if any(level is one for one in apart) else level
        for level in levels
    )


def outliers(bmd_g_cm2: Sequence[float], sd_g_cm2: float) -> tuple[int, ...]:
    """Tell which to drop: the one furthest from the median of the others, again and again while more than two remain.

    Args:
        bmd_g_cm2: of the usable levels.
        sd_g_cm2: of the reference; one T-score.
    """
    kept = list(range(len(bmd_g_cm2)))
    while len(kept) > MINIMUM_LEVELS:
        apart = [
            abs(bmd_g_cm2[place] - float(np.median([bmd_g_cm2[other] for other in kept if other != place])))
            for place in kept
        ]
        worst = int(np.argmax(apart))
        if apart[worst] / sd_g_cm2 <= OUTLIER_T:
            break
        del kept[worst]
    return tuple(place for place in range(len(bmd_g_cm2)) if place not in kept)


def _readers_apart_hu(level: LevelBmd, hu_scale: float) -> float:
    """Difference of the two readings at 120 kVp; what lies below water hardly depends on the voltage."""
    roi_hu = level.trabecular.median_hu
    return abs(level.attended_hu - (roi_hu * hu_scale if roi_hu > 0 else roi_hu))


def _disagreement_warnings(levels: Sequence[LevelBmd], hu_scale: float) -> tuple[str, ...]:
    return tuple(
        f"for review: network and region of interest differ by {_readers_apart_hu(level, hu_scale):.1f} HU "
        f"in {level.vertebra.level}"
        for level in levels
    )


def _level_warnings(used: Sequence[LevelBmd], reference: Reference) -> tuple[str, ...]:
    warnings = []
    if two_apart([level.bmd_g_cm2 for level in used], reference.sd_g_cm2):
        warnings.append("the two usable levels differ by more than 1.0 T-score")
    if len(used) < len(DXA_LEVELS):
        warnings.append(f"mean of {len(used)} of 4 levels")
    return tuple(warnings)


def two_apart(bmd_g_cm2: Sequence[float], sd_g_cm2: float) -> bool:
    """Tell whether just two levels are used and differ by more than one T-score."""
    return len(bmd_g_cm2) == MINIMUM_LEVELS and float(np.ptp(bmd_g_cm2)) > OUTLIER_T * sd_g_cm2
