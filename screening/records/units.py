"""Units as records write them -> g/cm2 or a plain number, or the reason why the value cannot be one."""

from typing import Final

from screening.records.refusals import Refusal

# How many of a unit make one g/cm2: dividing keeps 812 mg/cm2 the very number 0.812.
_AREAL: Final = {"g/cm2": 1.0, "gm/cm2": 1.0, "gr/cm2": 1.0, "g.cm-2": 1.0, "g/cm-2": 1.0, "g/cmsq": 1.0,
                 "g/sqcm": 1.0, "gpercm2": 1.0, "mg/cm2": 1000.0, "mg/cm-2": 1000.0, "mg.cm-2": 1000.0}  # fmt: skip
_VOLUMETRIC: Final = frozenset({"mg/cm3", "g/cm3", "mg/cc", "mg/ml", "g/cm-3", "mg/cm-3", "kg/m3"})
_SCORE: Final = frozenset(
    {"", "1", "{t-score}", "{z-score}", "{tscore}", "{zscore}", "t-score", "z-score", "sd", "{sd}", "{score}",
     "[score]", "{s.d.}", "nounits", "nounit", "ratio", "{ratio}", "{index}"}
)  # fmt: skip
_HIGH: Final = str.maketrans({"²": "2", "³": "3", "⁻": "-", "^": "", "*": "", " ": "", "·": "."})


def per_g_cm2(unit: str) -> float | Refusal:
    """Return how many of the unit make one g/cm2."""
    plain = _plain(unit)
    if not plain:
        return Refusal.NO_UNIT
    if plain in _VOLUMETRIC:
        return Refusal.VOLUMETRIC
    if plain in _SCORE:
        return Refusal.UNIT_NOT_OF_CODE
    return _AREAL.get(plain, Refusal.UNKNOWN_UNIT)


def score_fault(unit: str) -> Refusal | None:
    """Return why a value in this unit is no T-score or Z-score."""
    plain = _plain(unit)
    if plain in _AREAL or plain in _VOLUMETRIC:
        return Refusal.UNIT_NOT_OF_CODE
    return None if plain in _SCORE else Refusal.UNKNOWN_UNIT


def is_density(unit: str) -> bool:
    """Tell whether the unit is of an areal density."""
    return _plain(unit) in _AREAL


def _plain(unit: str) -> str:
    return unit.translate(_HIGH).lower().removeprefix("ucum:")
