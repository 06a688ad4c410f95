"""Areal BMD -> T-score, %YAM, Z-score, category and band against a named reference population."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]
Values = TypeVar("Values", float, Floats)  # one patient, or many at once


@dataclass(frozen=True, slots=True)
class Reference:
    """Young adult areal BMD of the lumbar spine, g/cm2, on the scale of one manufacturer."""

    name: str
    mean_g_cm2: float
    sd_g_cm2: float
    source: str
    verified: bool  # whether the figures were read from the named source
    manufacturer: str = ""  # whose scale it is on; empty where not said
    levels: str = "L1-L4"  # BMD_CNN is of L1-L4: of others the mean differs by some percent


_JAPAN: Final = "Japanese young adult mean"
# ISCD 2023: one uniform white female reference for women and men; for the lumbar spine the manufacturers' own. Japan
# (Japanese Society for Bone and Mineral Research, 2012 revision) uses its own young adult mean, of L2-L4 by preference.
REFERENCES: Final = {
    reference.name: reference
    for reference in (
        Reference("hologic_l1_l4_female", 1.047, 0.110, "Hologic L1-L4, white women, young adult", False, "Hologic"),
        Reference("lunar_l1_l4_female", 1.18, 0.12, "GE Lunar L1-L4, women of the USA, young adult", False, "GE"),
        Reference("lunar_l2_l4_female", 1.20, 0.12, "GE Lunar L2-L4, women of the USA, young", False, "GE", "L2-L4"),
        Reference(
            "nhanes_l1_l4_female", 1.064, 0.106, "NHANES 2005+, women 21-30, PMC12995607 table 3", True, "Hologic"
        ),
        Reference("japan_l1_l4_hologic", 0.989, 0.112, f"{_JAPAN}, Hologic L1-L4", False, "Hologic"),
        Reference("japan_l2_l4_hologic", 1.011, 0.119, f"{_JAPAN}, Hologic L2-L4", False, "Hologic", "L2-L4"),
        Reference("japan_l2_l4_lunar", 1.192, 0.146, f"{_JAPAN}, GE Lunar L2-L4", False, "GE", "L2-L4"),
        Reference("japan_l2_l4_norland", 1.066, 0.124, f"{_JAPAN}, Norland L2-L4", False, "Norland", "L2-L4"),
        Reference("japan_l2_l4_toshiba", 1.040, 0.136, f"{_JAPAN}, Toshiba L2-L4", False, "Toshiba", "L2-L4"),
    )
}
DEFAULT_REFERENCE: Final = "hologic_l1_l4_female"


@dataclass(frozen=True, slots=True)
class AgeReference:
    """Areal BMD of L1-L4 by sex and decade of age, g/cm2, on the scale of one manufacturer."""

    name: str
    source: str
    verified: bool
    manufacturer: str
    first_age_years: int  # completed years at which the first decade begins
    mean_g_cm2: dict[str, tuple[float, ...]]  # by PatientSex, a figure a decade
    sd_g_cm2: dict[str, tuple[float, ...]]


NHANES_BY_AGE: Final = AgeReference(
    name="nhanes_l1_l4_by_age",
    source="NHANES 2005+, L1-L4 by sex and decade 21-30 to 71-80, PMC12995607 table 3",
    verified=True,
    manufacturer="Hologic",
    first_age_years=21,
    mean_g_cm2={"F": (1.064, 1.065, 1.056, 0.993, 0.952, 0.902), "M": (1.057, 1.042, 1.051, 1.053, 1.070, 1.068)},
    sd_g_cm2={"F": (0.106, 0.110, 0.134, 0.141, 0.142, 0.167), "M": (0.110, 0.117, 0.129, 0.143, 0.142, 0.177)},
)


class OsteoporosisRule(StrEnum):
    """What is called osteoporosis: T <= -2.5 (WHO, ISCD), or at most 70 % of the young adult mean (Japan)."""

    T_SCORE = "t_score"
    YAM = "yam"


class Category(StrEnum):
    """The WHO band that a T-score falls in; a band of the number, never a verdict."""

    OSTEOPOROSIS = "osteoporosis"
    OSTEOPENIA = "osteopenia"
    NORMAL = "normal"


class ZCategory(StrEnum):
    """What ISCD has said of people under 50, to whom T-scores do not apply."""

    BELOW = "below_expected_range_for_age"
    WITHIN = "within_expected_range_for_age"


class Band(StrEnum):
    """What the list says of a patient; `not_flagged` does not mean normal."""

    LIKELY = "likely"
    INDETERMINATE = "indeterminate"
    NOT_FLAGGED = "not_flagged"


# WHO 1994, taken over by ISCD: T <= -2.5 osteoporosis; between -1.0 and -2.5 low bone mass.
OSTEOPOROSIS_T: Final = -2.5
NORMAL_T: Final = -1.0
# Japanese Society for Bone and Mineral Research, 2012 revision; general knowledge, not verified.
OSTEOPOROSIS_YAM_PERCENT: Final = 70.0
# ISCD official positions, adult: Z <= -2.0 is below the expected range for age.
BELOW_EXPECTED_Z: Final = -2.0
# T-scores are for people of 50 and over (ISCD official positions, adult).
T_SCORE_AGE_YEARS: Final = 50.0
INTERVAL_COVERAGE: Final = 0.90
# 0.772 g/cm2 is T = -2.5 against 1.047 (0.110), and must read so: decimals have no exact binary fraction.
_ROUNDING: Final = 1e-9


def is_osteoporosis(t: Floats | float) -> NDArray[np.bool_]:
    """Tell which T-scores (n,), or whether one, reach -2.5; NaN does not."""
    return np.asarray(t) <= OSTEOPOROSIS_T + _ROUNDING


@dataclass(frozen=True, slots=True)
class Standard:
    """What a density is held against: a reference population, and the rule for osteoporosis."""

    reference: Reference
    rule: OsteoporosisRule = OsteoporosisRule.T_SCORE

    @property
    def cut_g_cm2(self) -> float:
        """The highest areal BMD that the rule calls osteoporosis."""
        if self.rule is OsteoporosisRule.YAM:
            return self.reference.mean_g_cm2 * OSTEOPOROSIS_YAM_PERCENT / 100.0
        return osteoporosis_cut_g_cm2(self.reference)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where n patients stand, one element each."""

    t_score: Floats
    yam_percent: Floats
    z_score: Floats  # NaN where age or sex is not known, or no decade holds it
    category: NDArray[np.str_]  # empty under 50 years or at an unknown age
    z_category: NDArray[np.str_]  # empty from 50 years on, and without Z-score
    osteoporosis_probability: Floats
    band: NDArray[np.str_]


def place(
    bmd_g_cm2: Floats, half_width_g_cm2: Floats, age_years: Floats, sex: NDArray[np.str_], standard: Standard
) -> Placement:
    """Place n densities.

    Args:
        bmd_g_cm2: (n,) on the scale of the reference.
        half_width_g_cm2: (n,) of the 90 % prediction interval.
        age_years: (n,) at the study; NaN where not known.
        sex: (n,) PatientSex; empty where not known.
        standard: what they are held against.
    """
    t = t_score(bmd_g_cm2, standard.reference)
    z = z_score(bmd_g_cm2, age_years, sex, standard.reference)
    reached = bmd_g_cm2 <= standard.cut_g_cm2 + _ROUNDING
    sd = half_width_g_cm2 / ndtri(0.5 + INTERVAL_COVERAGE / 2)
    return Placement(
        t_score=t,
        yam_percent=yam_percent(bmd_g_cm2, standard.reference),
        z_score=z,
        category=np.where(age_years >= T_SCORE_AGE_YEARS, _categories(t, reached), ""),
        z_category=np.where(age_years < T_SCORE_AGE_YEARS, _z_categories(z), ""),
        osteoporosis_probability=ndtr((standard.cut_g_cm2 - bmd_g_cm2) / sd),
        band=_bands(reached, bmd_g_cm2 - half_width_g_cm2 <= standard.cut_g_cm2 + _ROUNDING),
    )


def t_score(bmd_g_cm2: Values, reference: Reference) -> Values:
    """Standard deviations from the young adult mean."""
    return (bmd_g_cm2 - reference.mean_g_cm2) / reference.sd_g_cm2


def yam_percent(bmd_g_cm2: Values, reference: Reference) -> Values:
    """Share of the young adult mean, %."""
    return 100.0 * bmd_g_cm2 / reference.mean_g_cm2


def z_score(bmd_g_cm2: Floats, age_years: Floats, sex: NDArray[np.str_], reference: Reference) -> Floats:
    """Return standard deviations from the mean of the same sex and decade, NaN where that is not known.

    The decades are on the scale of their manufacturer, so a density held against another's has no Z-score.
    """
    table = NHANES_BY_AGE
    z = np.full(len(bmd_g_cm2), np.nan)
    if reference.manufacturer != table.manufacturer:
        return z
    decade = np.floor((np.floor(age_years) - table.first_age_years) / 10.0)
    for one_sex, means in table.mean_g_cm2.items():
        for number, (mean, sd) in enumerate(zip(means, table.sd_g_cm2[one_sex], strict=True)):
            here = (sex == one_sex) & (decade == number)
            z[here] = (bmd_g_cm2[here] - mean) / sd
    return z


def osteoporosis_cut_g_cm2(reference: Reference) -> float:
    """Areal BMD at T = -2.5."""
    return reference.mean_g_cm2 + OSTEOPOROSIS_T * reference.sd_g_cm2


def category(t: float, yam: float | None = None) -> Category:
    """Name the band of a T-score; with %YAM, by the Japanese rule."""
    reached = is_osteoporosis(t) if yam is None else yam <= OSTEOPOROSIS_YAM_PERCENT + _ROUNDING
    return Category(str(_categories(np.array([t]), np.array([reached]))[0]))


def _categories(t: Floats, reached: NDArray[np.bool_]) -> NDArray[np.str_]:
    """Name bands: at the cut of the rule, else by T."""
    return np.select([reached, t < NORMAL_T - _ROUNDING], [Category.OSTEOPOROSIS, Category.OSTEOPENIA], Category.NORMAL)


def _z_categories(z: Floats) -> NDArray[np.str_]:
    return np.select([np.isnan(z), z <= BELOW_EXPECTED_Z + _ROUNDING], ["", ZCategory.BELOW], ZCategory.WITHIN)


def _bands(reached: NDArray[np.bool_], low_reached: NDArray[np.bool_]) -> NDArray[np.str_]:
    """Likely at the cut; indeterminate when only the interval's lower end reaches it."""
    return np.select([reached, low_reached], [Band.LIKELY, Band.INDETERMINATE], Band.NOT_FLAGGED)
