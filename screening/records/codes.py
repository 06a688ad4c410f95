"""Codes of DXA results: what each one measures, and where.

LOINC and OMOP concepts as in the OHDSI vocabulary; a code that is no DXA stands here to be refused by name.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from screening.records.regions import UNSPECIFIED


class Quantity(StrEnum):
    """What a coded value is; the value is the column it goes to."""

    BMD = "bmd_dxa"
    T_SCORE = "t_score"
    Z_SCORE = "z_score"
    REPORT = "report"  # says that a DXA was done; its values stand elsewhere
    NOT_A_DXA = "not_a_dxa"


@dataclass(frozen=True, slots=True)
class Code:
    """What a code says."""

    quantity: Quantity
    region: str  # name of a region, "lumbar" where the bodies are not said


LOINC: Final = {
    "24966-4": Code(Quantity.BMD, "lumbar spine"),
    "38267-1": Code(Quantity.T_SCORE, "lumbar spine"),
    "85394-5": Code(Quantity.Z_SCORE, "lumbar spine"),
    "24701-5": Code(Quantity.BMD, "femur"),
    "38263-0": Code(Quantity.T_SCORE, "femur"),
    "38261-4": Code(Quantity.BMD, "hip"),
    "38264-8": Code(Quantity.T_SCORE, "hip"),
    "80946-7": Code(Quantity.T_SCORE, "left hip"),
    "80945-9": Code(Quantity.T_SCORE, "right hip"),
    "80948-3": Code(Quantity.T_SCORE, "left femur"),
    "80947-5": Code(Quantity.T_SCORE, "right femur"),
    "83311-1": Code(Quantity.REPORT, UNSPECIFIED),
    "38269-7": Code(Quantity.REPORT, UNSPECIFIED),
    "104938-6": Code(Quantity.NOT_A_DXA, "lumbar spine"),  # DXA-equivalent T-score, e.g. of a CT
}

# Standard concepts of the OMOP vocabulary for the LOINC codes above.
OMOP_CONCEPTS: Final = {
    "3033804": "24966-4",
    "3049654": "38267-1",
    "36204417": "85394-5",
    "3021722": "24701-5",
    "3051450": "38263-0",
    "3052486": "38261-4",
    "3049278": "38264-8",
}
OMOP_UNITS: Final = {"32700": "g/cm2"}  # unverified: to be compared with the vocabulary of the site
