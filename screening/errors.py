"""The three ways a thing can end without a result: a person's mistake, an exclusion, a bug.

`UserError` is for people and ends the command in one line (exit status 1). `Excluded` says what a study, series
or file lacks and becomes a counted row. Anything else is a bug: inside a sweep a failure row, elsewhere a traceback.
"""

from enum import StrEnum


class UserError(Exception):
    """Say what was expected, what was found and what to do, in one line without patient data."""


class Exclusion(StrEnum):
    """Why a series or study is not measured; each value is stored and counted."""

    # header facts (archive, eligibility)
    NOT_CT = "not_ct"
    NOT_AN_IMAGE = "not_an_image"
    LOCALIZER = "localizer"
    NOT_AXIAL = "not_axial"
    MULTIFRAME = "multiframe"
    MIXED_PATIENTS = "mixed_patients"
    MIXED_GEOMETRY = "mixed_geometry"
    NO_GEOMETRY = "no_geometry"
    GANTRY_TILT = "gantry_tilt"
    DUPLICATE_POSITIONS = "duplicate_positions"
    MISSING_SLICES = "missing_slices"
    TOO_FEW_SLICES = "too_few_slices"
    TOO_THICK = "too_thick"
    UNSUITABLE_KERNEL = "unsuitable_kernel"
    UNDER_AGE = "under_age"
    CONTRAST = "contrast"
    BETTER_SERIES_CHOSEN = "better_series_chosen"
    # pixels (hounsfield)
    NO_PIXELS = "no_pixels"
    NO_HOUNSFIELD = "no_hounsfield"
    LOSSY_COMPRESSION = "lossy_compression"
    UNDECODABLE = "undecodable"
    IMPLAUSIBLE_HU = "implausible_hu"
    # anatomy (lumbar, attenuation, patient)
    NO_LABEL_MAP = "no_label_map"
    LABEL_MAP_UNUSABLE = "label_map_unusable"
    NO_LUMBAR = "no_lumbar"
    LEVEL_UNCERTAIN = "level_uncertain"
    TOO_FEW_LEVELS = "too_few_levels"


class Excluded(Exception):
    """Raised where the fact is known; `detail` holds measured facts and never patient data."""

    def __init__(self, reason: Exclusion, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["Excluded"], tuple[Exclusion, str]]:
        """Keep reason and detail when the exception travels between processes."""
        return Excluded, (self.reason, self.detail)
