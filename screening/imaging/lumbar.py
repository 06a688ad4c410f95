"""Volume -> lumbar vertebral bodies with level names, or the reason why there are none to trust."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from screening.imaging.hounsfield import Volume


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
