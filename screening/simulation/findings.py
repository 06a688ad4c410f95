"""What a radiologist would name on a vertebra, and the matter it puts into the body."""

from dataclasses import dataclass
from enum import StrEnum


class Finding(StrEnum):
    """Deviations of one vertebra; the values are those of the truth files."""

    WEDGE_FRACTURE = "wedge_fracture"
    BICONCAVE_FRACTURE = "biconcave_fracture"
    CRUSH_FRACTURE = "crush_fracture"
    END_PLATE_SCLEROSIS = "end_plate_sclerosis"
    BONE_ISLAND = "bone_island"
    CEMENT = "cement"
    PEDICLE_SCREWS = "pedicle_screws"
    SACRALISED = "sacralised"  # L5 grown to the sacrum
    LUMBARISED = "lumbarised"  # S1 free of the sacrum


IMPLANTS = frozenset({Finding.CEMENT, Finding.PEDICLE_SCREWS})
FRACTURES = frozenset({Finding.WEDGE_FRACTURE, Finding.BICONCAVE_FRACTURE, Finding.CRUSH_FRACTURE})


@dataclass(frozen=True, slots=True)
class Sclerosis:
    """Condensed bone below an end plate, as in Modic type 3 changes; vertebra's own axes."""

    upper: bool  # which end plate
    centre_mm: tuple[float, float]  # u, v
    radius_mm: float
    thickness_mm: float
    mineral_mg: float  # added, mg/cm3


@dataclass(frozen=True, slots=True)
class Cement:
    """Bone cement as overlapping balls; it attenuates, but is no bone mineral."""

    centres_mm: tuple[tuple[float, float, float], ...]  # u, v, w
    radii_mm: tuple[float, ...]
    attenuation_hu: float
