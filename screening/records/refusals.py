"""Why a record is refused; of several reasons the one that stands first here is told."""

from enum import StrEnum
from typing import Final


class Refusal(StrEnum):
    """Reasons as they are stored in `rejected_record` and counted."""

    # the record as a whole
    MALFORMED = "malformed"
    NOT_A_DXA = "not_a_dxa"
    UNKNOWN_CODE = "unknown_code"
    UNKNOWN_FACT = "unknown_fact"
    UNKNOWN_STATUS = "unknown_status"
    NO_RESULT_YET = "no_result_yet"
    # the patient
    NO_PATIENT = "no_patient"
    UNKNOWN_ISSUER = "unknown_issuer"
    NOT_IN_CROSSWALK = "not_in_crosswalk"
    # the day
    NO_DATE = "no_date"
    UNREADABLE_DATE = "unreadable_date"
    DATE_BEFORE_DXA = "date_before_dxa"
    DATE_IN_FUTURE = "date_in_future"
    UNREADABLE_ISSUE_TIME = "unreadable_issue_time"
    # the region
    NO_REGION = "no_region"
    UNKNOWN_REGION = "unknown_region"
    NOT_CENTRAL = "not_central"
    NOT_FOR_DIAGNOSIS = "not_for_diagnosis"
    REGION_NOT_OF_CODE = "region_not_of_code"
    # the values
    NO_VALUE = "no_value"
    NOT_A_NUMBER = "not_a_number"
    VOLUMETRIC = "volumetric"
    UNIT_NOT_OF_CODE = "unit_not_of_code"
    UNKNOWN_UNIT = "unknown_unit"
    NO_UNIT = "no_unit"
    BMD_OUT_OF_RANGE = "bmd_out_of_range"
    T_SCORE_OUT_OF_RANGE = "t_score_out_of_range"
    Z_SCORE_OUT_OF_RANGE = "z_score_out_of_range"
    UNREADABLE_HOLDS = "unreadable_holds"
    # good, but taken back by its sender
    WITHDRAWN = "withdrawn"


EXPLANATIONS: Final = {
    Refusal.MALFORMED: "not a whole record of its format (fields, segments or resource rules)",
    Refusal.NOT_A_DXA: "the code is not of a DXA, e.g. a DXA-equivalent T-score of another method",
    Refusal.UNKNOWN_CODE: "looks like bone density, but its code is not known: map it in records.codes",
    Refusal.UNKNOWN_FACT: "expected diagnosis, treatment, death or opt_out: map it in records.facts",
    Refusal.UNKNOWN_STATUS: "the status is not one of the format",
    Refusal.NO_RESULT_YET: "registered or pending, without a result so far",
    Refusal.NO_PATIENT: "no identifier of a patient, or a reference to one that is not in the files",
    Refusal.UNKNOWN_ISSUER: "issuer of the identifier neither in records.own_issuers nor in the crosswalk",
    Refusal.NOT_IN_CROSSWALK: "the crosswalk knows the issuer, but not this identifier",
    Refusal.NO_DATE: "no date of the measurement",
    Refusal.UNREADABLE_DATE: "the date is incomplete or in none of records.date_formats",
    Refusal.DATE_BEFORE_DXA: "before 1987, when the first DXA device was sold",
    Refusal.DATE_IN_FUTURE: "in the future",
    Refusal.UNREADABLE_ISSUE_TIME: "the time of issue cannot be read",
    Refusal.NO_REGION: "values without a region",
    Refusal.UNKNOWN_REGION: "the region is not known: map it in records.regions",
    Refusal.NOT_CENTRAL: "forearm, whole body or another region that is no central DXA",
    Refusal.NOT_FOR_DIAGNOSIS: "part of hip or spine that is not used for diagnosis, e.g. Ward's triangle",
    Refusal.REGION_NOT_OF_CODE: "the region contradicts the code",
    Refusal.NO_VALUE: "neither BMD nor T-score nor Z-score",
    Refusal.NOT_A_NUMBER: "a value is not a number",
    Refusal.VOLUMETRIC: "a volumetric density (QCT) is not a DXA",
    Refusal.UNIT_NOT_OF_CODE: "the unit contradicts the code: a score in g/cm2, or a BMD in units of a score",
    Refusal.UNKNOWN_UNIT: "the unit is not known",
    Refusal.NO_UNIT: "a BMD without unit: state it in records.message_bmd_unit or in the file",
    Refusal.BMD_OUT_OF_RANGE: "BMD outside 0.2 to 2.5 g/cm2",
    Refusal.T_SCORE_OUT_OF_RANGE: "T-score outside -8 to 8",
    Refusal.Z_SCORE_OUT_OF_RANGE: "Z-score outside -8 to 8",
    Refusal.UNREADABLE_HOLDS: "expected true or false",
    Refusal.WITHDRAWN: "entered in error, deleted, cancelled or not done: takes back what it names",
}
