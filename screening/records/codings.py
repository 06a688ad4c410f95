"""Codes of an observation -> what it measures; a code that looks like bone density but is not known is told apart."""

import re
from collections.abc import Sequence
from typing import Final

from screening.records.codes import LOINC, Code
from screening.records.refusals import Refusal
from screening.records.settings import RecordSettings
from screening.records.units import is_density

_BONE_DENSITY: Final = re.compile(r"\b(dxa|dexa|bmd|bone (?:mineral )?density|densitometry|t-score|z-score)\b", re.I)

Coding = tuple[str, str]  # code, display


def code_of(codings: Sequence[Coding], unit: str, settings: RecordSettings) -> Code | Refusal | None:
    """Return what the first known code says, a refusal for unknown bone density, or nothing for something else."""
    for code, _ in codings:
        known = LOINC.get(settings.codes.get(code, code))
        if known is not None:
            return known
    if is_density(unit) or any(_BONE_DENSITY.search(text) for coding in codings for text in coding):
        return Refusal.UNKNOWN_CODE
    return None
