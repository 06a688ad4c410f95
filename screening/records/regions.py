"""What people call the measured part of the body -> the regions of table dxa."""

import re
from collections.abc import Mapping
from itertools import combinations
from typing import Final

from screening.records.refusals import Refusal

UNSPECIFIED: Final = "unspecified"
LEVELS: Final = (1, 2, 3, 4)


def _lumbar_name(levels: tuple[int, ...]) -> str:
    """Name bodies as a range where none is left out, else joined by +, e.g. L2-L4, L1+L2+L4."""
    if len(levels) == 1:
        return f"L{levels[0]}"
    if levels[-1] - levels[0] == len(levels) - 1:
        return f"L{levels[0]}-L{levels[-1]}"
    return "+".join(f"L{level}" for level in levels)


LUMBAR_REGIONS: Final = tuple(_lumbar_name(levels) for count in range(1, 5) for levels in combinations(LEVELS, count))
HIP_REGIONS: Final = tuple(
    part + side for part in ("total_hip", "femoral_neck", "femur") for side in ("", "_left", "_right")
)
REGIONS: Final = (*LUMBAR_REGIONS, *HIP_REGIONS, UNSPECIFIED)

_DASHES: Final = str.maketrans(dict.fromkeys("‐‑‒–—−", "-"))  # hyphens and dashes of word processors
_NOT_CENTRAL: Final = re.compile(
    r"\b(forearm|radius|ulna|wrist|(?:whole|total|tot|full)[ -]?body|sub-?total|arms?|legs?|ribs?|pelvis|head|trunk|"
    r"wb|tbody|android|gynoid|heel|calcaneus|os calcis|finger|hand|thoracic|tibia|t\d+)\b|\b(ud|mid|1/3|33 ?%)\b"
)
_NOT_FOR_DIAGNOSIS: Final = re.compile(r"\b(ward'?s?|troch(?:anter)?|inter(?:troch(?:anter)?)?|shaft|lateral|l5)\b")
_SIDES: Final = (("_left", re.compile(r"\b(left|lt|l)\b")), ("_right", re.compile(r"\b(right|rt|r)\b")))
_SPINE: Final = re.compile(r"\b(lumbar|spine|lspine|l-spine|ls|lwk|lws)\b")
# What may stand beside the spine without naming another part of it.
_SPINE_WORDS: Final = re.compile(
    r"(?:(?:a\.?p\.?|p\.?a\.?|antero-?posterior|postero-?anterior|dual|dxa|dexa|xr|lumbar|spine|lspine|l-spine|ls|lwk|lws|"
    r"vertebrae?|column|total|mean|average|region|of|the|bone|mineral|densit(?:y|ometry)|bmd|mass|area|measurement|scan|"
    r"result|value|[tz]-?score|by)(?: |$))+"
)
_BODIES: Final = re.compile(r"(?<![a-z])l ?([1-4])(?:(?: ?(?:-|to|through|thru) ?l? ?|l)([1-4]))?(?!\d)")
_NECK: Final = re.compile(r"\b(femoral neck|femur neck|neck of femur|neck|fn)\b")
_HIP: Final = re.compile(
    r"\b(hips?|th|femur total|total (?:proximal )?fem(?:ur|ora))\b|\bfem(?:ur|ora|oral)\b.*\btotal\b"
)
_FEMUR: Final = re.compile(r"\b(femurs?|femora|femoral|proximal femur)\b")


def region_of(text: str, extra: Mapping[str, str], lumbar: str) -> str | Refusal:
    """Name the region that a text means, or the reason why it is none of table dxa.

    Args:
        text: what the record says, e.g. "AP Spine L1-L4", "Left Femur Neck".
        extra: further names of a site, in lower case, and the region each one means.
        lumbar: the region that a lumbar spine without its bodies stands for.
    """
    words = _words(text)
    if not words:
        return Refusal.NO_REGION
    if words in extra:
        return extra[words]
    if words in (UNSPECIFIED, "dxa", "dexa"):
        return UNSPECIFIED
    if _NOT_CENTRAL.search(words):
        return Refusal.NOT_CENTRAL
    if _NOT_FOR_DIAGNOSIS.search(words):
        return Refusal.NOT_FOR_DIAGNOSIS
    return _lumbar_of(words, lumbar) or _hip_of(words) or Refusal.UNKNOWN_REGION


def same_site(region: str, other: str) -> bool:
    """Tell whether both are of the spine, or both of a hip on no contradicting side."""
    if UNSPECIFIED in (region, other):
        return True
    spine, other_spine = (name in LUMBAR_REGIONS for name in (region, other))
    sides = {name.rpartition("_")[2] for name in (region, other)} & {"left", "right"}
    return spine == other_spine and len(sides) < 2


def _words(text: str) -> str:
    plain = text.translate(_DASHES).lower().replace("_", " ").replace("’", "'")
    return " ".join(re.sub(r"[\s,;:/()\[\]&]+(?<!1/)", " ", plain).split())


def _lumbar_of(words: str, lumbar: str) -> str:
    bodies: set[int] = set()
    for first, last in _BODIES.findall(words):
        ends = sorted((int(first), int(last or first)))
        bodies.update(range(ends[0], ends[1] + 1))
    if bodies:
        return _lumbar_name(tuple(sorted(bodies)))
    return lumbar if _SPINE.search(words) and _SPINE_WORDS.fullmatch(words) else ""


def _hip_of(words: str) -> str:
    part = next((name for name, found in _HIP_PARTS if found.search(words)), "")
    if not part:
        return ""
    sides = [side for side, found in _SIDES if found.search(words)]
    return part + (sides[0] if len(sides) == 1 else "")


_HIP_PARTS: Final = (("femoral_neck", _NECK), ("total_hip", _HIP), ("femur", _FEMUR))
