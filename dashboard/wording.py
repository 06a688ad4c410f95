"""Stored values -> the words that readers see."""

import re
from datetime import date, datetime
from typing import Any

import pandas as pd

from screening.errors import Exclusion
from screening.prediction.tscore import REFERENCES
from screening.store.reviews import ReviewAction

MISSING = "—"

SEXES = {"F": "Female", "M": "Male", "O": "Other", "unknown": "Unknown"}

BANDS = {
    "likely": "Likely osteoporosis",
    "indeterminate": "Indeterminate: the 90 % interval reaches the border of osteoporosis",
    "not_flagged": "Not flagged",
}

# Bands that can be listed.
LISTED_BANDS = {"likely": "Likely osteoporosis", "indeterminate": "Indeterminate"}

# Column `state` of the view worklist.
STATES = {
    "open": "Open",
    "reopened": "Reopened",
    "deferred": "Deferred",
    "dxa_ordered": "DXA ordered",
    "known": "Already known",
    "not_evaluable": "Not evaluable",
    "dismissed": "Dismissed",
}

ACTIONS = {
    ReviewAction.ORDER_DXA: "DXA ordered",
    ReviewAction.ALREADY_KNOWN: "Already known",
    ReviewAction.NOT_EVALUABLE: "Not evaluable",
    ReviewAction.DISMISS: "Dismissed",
    ReviewAction.DEFER: "Deferred",
    ReviewAction.REOPEN: "Reopened",
}

CATEGORIES = {
    "osteoporosis": "T ≤ −2.5 (osteoporosis band)",
    "osteopenia": "−2.5 < T < −1.0 (osteopenia band)",
    "normal": "T ≥ −1.0",
}

# The same where osteoporosis is called at 70 % of the young adult mean.
CATEGORIES_BY_YAM = CATEGORIES | {
    "osteoporosis": "At most 70 % of the young adult mean (osteoporosis band)",
    "osteopenia": "T < −1.0 (osteopenia band)",
}

Z_CATEGORIES = {
    "below_expected_range_for_age": "Z ≤ −2.0 (below the expected range for age)",
    "within_expected_range_for_age": "Z > −2.0 (within the expected range for age)",
}

DATA_KINDS = {"simulated": "simulated CT", "site": "CT and DXA pairs of this site"}

STATUSES = {"excluded": "Excluded", "failed": "Failed", "not read yet": "Not read yet"}

# Column of the view care_gap -> what it says of the patient when true.
CRITERIA = {
    "likely_osteoporosis": "BMD_CNN at or below the border of osteoporosis (likely osteoporosis)",
    "identified": "Patient ID known, so that a DXA can be matched",
    "old_enough": "At least {minimum_age_years} years old at the CT",
    "no_dxa_in_look_back": "No central DXA in the {look_back_months} months before {as_of_date}",
    "no_dxa_since_ct": "No central DXA since the CT",
    "alive": "Not on record as dead",
    "no_known_osteoporosis": "No diagnosis of osteoporosis on record",
    "not_treated": "No treatment of osteoporosis on record",
    "not_opted_out": "Has not opted out",
    "open": "Not closed by a reviewer",
}

# Criteria that are known of those on a list of the hospital, once one was imported.
CRITERIA_BY_LIST = ("alive", "no_known_osteoporosis", "not_treated", "not_opted_out")

# Column `reason` of the table vertebra.
LEVEL_PROBLEMS = {
    "not_a_dxa_level": "not L1 to L4",
    "metal_or_cement": "metal or cement",
    "streaks_or_gas": "streaks or gas in the body",
    "height_loss": "height loss, possible fracture",
    "uncertain_reading": "reading too uncertain",
    "outlier": "outlier (over 1.0 T)",
}

EXCLUSIONS = {
    Exclusion.NOT_CT: "Not a CT",
    Exclusion.NOT_AN_IMAGE: "Not an image",
    Exclusion.LOCALIZER: "Scout view (localizer)",
    Exclusion.NOT_AXIAL: "Not an axial series",
    Exclusion.MULTIFRAME: "Multi-frame object, not supported",
    Exclusion.MIXED_PATIENTS: "Files of more than one patient in the series",
    Exclusion.MIXED_GEOMETRY: "Slices of differing size or orientation",
    Exclusion.NO_GEOMETRY: "Position or orientation missing",
    Exclusion.GANTRY_TILT: "Tilted gantry",
    Exclusion.DUPLICATE_POSITIONS: "Several slices at one position",
    Exclusion.MISSING_SLICES: "Slices missing",
    Exclusion.TOO_FEW_SLICES: "Too few slices",
    Exclusion.TOO_THICK: "Slices too far apart",
    Exclusion.UNSUITABLE_KERNEL: "Unsuitable reconstruction kernel",
    Exclusion.UNDER_AGE: "Under the age limit",
    Exclusion.CONTRAST: "Contrast-enhanced",
    Exclusion.BETTER_SERIES_CHOSEN: "Another series of the study was better",
    Exclusion.NO_PIXELS: "No pixel data",
    Exclusion.NO_HOUNSFIELD: "No Hounsfield scale",
    Exclusion.LOSSY_COMPRESSION: "Lossy compression",
    Exclusion.UNDECODABLE: "Pixel data cannot be decoded",
    Exclusion.IMPLAUSIBLE_HU: "Implausible Hounsfield values",
    Exclusion.NO_LABEL_MAP: "No label map of the vertebrae",
    Exclusion.LABEL_MAP_UNUSABLE: "Label map of the vertebrae cannot be used",
    Exclusion.NO_LUMBAR: "No lumbar spine found",
    Exclusion.LEVEL_UNCERTAIN: "Vertebral levels uncertain",
    Exclusion.TOO_FEW_LEVELS: "Fewer than two usable levels",
}

# Column `stage` of the view exclusion_flow -> the studies that reached it.
FLOW_STAGES = {
    "found": "In the archive",
    "read": "Read",
    "ct": "CT",
    "eligible_series": "With an eligible series",
    "localised": "Lumbar levels found",
    "measured": "Measured",
}

# Column `reason` of the table file_problem.
FILE_PROBLEMS = {
    "not_reachable": "Folder or link that cannot be followed",
    "not_a_file": "Not a regular file",
    "empty": "Empty",
    "not_dicom": "Not DICOM",
    "dicomdir": "DICOMDIR",
    "broken_header": "Broken header",
    "missing_uid": "UID missing",
    "no_permission": "No permission to read",
    "vanished": "Vanished while it was read",
    "io_error": "Could not be read from the disk",
    "reader_failed": "The reader broke",
}

# Column `bucket` of the table sweep_ledger.
BUCKETS = {
    "looked_at": "Looked at, or in an unchanged folder",
    "not_looked_at": "Known from before, not looked at",
    "indexed": "In the index",
    "duplicate": "Copy of an indexed file",
    "not_dicom": "Not DICOM",
    "unreadable": "Cannot be read",
    "settling": "Its study is still arriving",
    "not_read": "Not read: stopped before",
    "read_before": "To be read again: the earlier result stands until then",
    "present": "In the index",
    "measured": "Measured",
    "excluded": "Excluded",
    "failed": "Failed",
    "pending": "Waits for the next sweep",
}


def plain(value: str | None) -> str:
    """Write a stored word (`height_loss`) as a reader would; sentences stay as they are."""
    if not value:
        return MISSING
    return value if " " in value else value.replace("_", " ")


def reason(value: str | None) -> str:
    """Say why a study or series was not measured; a failure keeps its exception type."""
    return EXCLUSIONS[Exclusion(value)] if value in set(Exclusion) else plain(value)


def category(value: str | None, rule: str) -> str:
    """Name the band of a number, by the rule that calls osteoporosis."""
    if value is None:
        return MISSING
    return (CATEGORIES_BY_YAM if rule == "yam" else CATEGORIES)[value]


def file_problem(value: str) -> str:
    """Say why a file belongs to no series."""
    return FILE_PROBLEMS.get(value, plain(value))


def level_problem(value: str) -> str:
    """Say why a level does not enter the patient's value."""
    return LEVEL_PROBLEMS.get(value, plain(value))


def reference(name: str) -> str:
    """Name the reference population by its source, and say when its figures were not verified."""
    known = REFERENCES.get(name)
    if known is None:
        return plain(name)
    return known.source if known.verified else f"{known.source} (figures not verified against the source)"


def criterion(column: str, limits: dict[str, Any]) -> str:
    """Say what a criterion of the care gap demands, with the limits in force."""
    return CRITERIA[column].format(**limits)


def day(value: date | None) -> str:
    """Write a date as ISO 8601."""
    return f"{value:%Y-%m-%d}" if value is not None else MISSING


def moment(value: datetime | None) -> str:
    """Write a UTC time to the minute."""
    return f"{value:%Y-%m-%d %H:%M} UTC" if value is not None else MISSING


def clock(value: datetime | None) -> str:
    """Write the time of day of a UTC time."""
    return f"{value:%H:%M} UTC" if value is not None else MISSING


def number(value: float | None, form: str) -> str:
    """Write a number with a typographic minus, or a dash where it is missing."""
    return format(value, form).replace("-", "−") if value is not None else MISSING


def probability(percent: float) -> str:
    """Write a probability in percent; none is certain."""
    if percent > 99:
        return "> 99 %"
    return "< 1 %" if percent < 1 else f"{percent:.0f} %"


def counted(count: int, noun: str) -> str:
    """Write how many there are: 1 patient, 1,200 patients."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def verbatim(text: str | None) -> str:
    """Escape text of a DICOM header, so that Markdown shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!$:~|])", r"\\\1", text) if text else MISSING


def stated(*parts: str | None, between: str) -> str:
    """Join what the header states; a dash where it states nothing."""
    return between.join(part for part in parts if part) or MISSING


def with_unit(number: float | None, unit: str) -> str | None:
    """Write a number with its unit; None stays None."""
    return None if number is None or pd.isna(number) else f"{number:g} {unit}"
