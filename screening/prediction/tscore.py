"""Areal BMD -> T-score, %YAM and category against a named reference population."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


@dataclass(frozen=True, slots=True)
class Reference:
    """Young adult areal BMD of the lumbar spine, g/cm2, on the scale of one manufacturer."""

    name: str
    mean_g_cm2: float
    sd_g_cm2: float
    source: str
    verified: bool  # whether the figures were read from the named source


# ISCD 2023: one uniform white female reference for women and men; for the lumbar spine the manufacturers' own.
REFERENCES: Final = {
    reference.name: reference
    for reference in (
        Reference("hologic_l1_l4_female", 1.047, 0.110, "Hologic L1-L4, white women, young adult", verified=False),
        Reference("lunar_l1_l4_female", 1.18, 0.12, "GE Lunar L1-L4, women of the USA, young adult", verified=False),
        Reference("nhanes_l1_l4_female", 1.064, 0.106, "NHANES 2005+, women 21-30, PMC12995607 table 3", verified=True),
        Reference("japan_l1_l4_hologic", 0.989, 0.112, "Japanese young adult mean, Hologic L1-L4", verified=False),
    )
}  # fmt: skip


class Category(StrEnum):
    """The WHO band that a T-score falls in; a band of the number, never a verdict."""

    OSTEOPOROSIS = "osteoporosis"
    OSTEOPENIA = "osteopenia"
    NORMAL = "normal"


# WHO 1994, taken over by ISCD: T <= -2.5 osteoporosis; between -1.0 and -2.5 low bone mass.
OSTEOPOROSIS_T: Final = -2.5
NORMAL_T: Final = -1.0


def t_score(bmd_g_cm2: float, reference: Reference) -> float:
    """Standard deviations from the young adult mean."""
    return (bmd_g_cm2 - reference.mean_g_cm2) / reference.sd_g_cm2


def yam_percent(bmd_g_cm2: float, reference: Reference) -> float:
    """Share of the young adult mean, %."""
    return 100.0 * bmd_g_cm2 / reference.mean_g_cm2


def osteoporosis_cut_g_cm2(reference: Reference) -> float:
    """Areal BMD at T = -2.5."""
    return reference.mean_g_cm2 + OSTEOPOROSIS_T * reference.sd_g_cm2


def category(t: float) -> Category:
    """Name the band of a T-score."""
    if t <= OSTEOPOROSIS_T:
        return Category.OSTEOPOROSIS
    return Category.OSTEOPENIA if t < NORMAL_T else Category.NORMAL
