"""What a site may change about the comparison with DXA, and about drift."""

from datetime import date
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

WINDOW_DAYS: Final = 180

# Standardised BMD of the spine = factor x BMD of the manufacturer. General knowledge of the field, not read from a
# source: unverified, a site may state its own.
STANDARDISED_FACTORS: Final = {"Hologic": 1.0755, "GE": 0.9522, "Norland": 1.0761}
# Reference population whose T-score a densitometer reports, where a report gives BMD alone.
REPORTED_REFERENCES: Final = {"Hologic": "hologic_l1_l4_female", "GE": "lunar_l1_l4_female"}


class ValidationSettings(BaseModel):
    """How BMD_CNN is held against DXA."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    window_days: int = Field(WINDOW_DAYS, ge=0, description="Most days between a CT and the DXA it is held against.")
    smallest_group: int = Field(20, ge=4, description="A subgroup of fewer patients says so instead of a figure.")
    scale: str | None = Field(
        None, description="Manufacturer on whose scale BMD_CNN is; none: as the checkpoint, else its T-scores, say."
    )
    standardised_factors: dict[str, float] = Field(
        default_factory=lambda: dict(STANDARDISED_FACTORS),
        description="Manufacturer = factor from its BMD to standardised BMD (unverified figures).",
    )
    references: dict[str, str] = Field(
        default_factory=lambda: dict(REPORTED_REFERENCES),
        description="Manufacturer = reference population of its T-score, for DXA that report none.",
    )
    weight_cap: float = Field(
        20.0, gt=1, description="No pair stands for more patients than so many times the average pair."
    )

    @field_validator("standardised_factors")
    @classmethod
    def _with_known_factors(cls, factors: dict[str, float]) -> dict[str, float]:
        if not all(factor > 0 for factor in factors.values()):
            raise ValueError("expected factors above 0")
        return STANDARDISED_FACTORS | factors

    @field_validator("references")
    @classmethod
    def _with_known_references(cls, references: dict[str, str]) -> dict[str, str]:
        return REPORTED_REFERENCES | references


# Shifts below these do not matter. 0.02 g/cm2 is below the least significant change of DXA (0.022-0.031), and takes
# 8 HU of trabecular bone (0.0025 g/cm2 a HU); 3 HU of soft tissue is less than half of that.
MATERIAL_SHIFTS: Final = {
    "air_hu": 5.0,
    "fat_hu": 3.0,
    "muscle_hu": 3.0,
    "soft_tissue_hu": 3.0,
    "l1_hu": 8.0,
    "bmd_cnn": 0.02,
}


class DriftSettings(BaseModel):
    """When a scanner raises an alert."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    baseline_months: int = Field(6, ge=2, description="First months of a scanner that others are held against.")
    least_baseline_months: int = Field(3, ge=2, description="Months that are needed before the next one is judged.")
    smallest_month: int = Field(20, ge=5, description="A month of a scanner with fewer studies is not judged.")
    false_alarms: float = Field(
        0.0002, gt=0, lt=0.5, description="Chance of any false alert a month, over all scanners and metrics."
    )
    material_shifts: dict[str, float] = Field(
        default_factory=lambda: dict(MATERIAL_SHIFTS),
        description="A smaller shift of the mean never alerts: HU, for bmd_cnn g/cm2.",
    )
    material_share: float = Field(
        0.10,
        gt=0,
        le=1,
        description="A smaller shift of a share (flagged, failed, excluded for a reason) never alerts.",
    )
    alert_months: int = Field(2, ge=1, description="Alerts in so many newest months end the command with status 4.")
    baseline_from: dict[str, date] = Field(
        default_factory=dict, description="Scanner = date from which its baseline is learned anew, e.g. after service."
    )

    @field_validator("material_shifts")
    @classmethod
    def _for_every_metric(cls, shifts: dict[str, float]) -> dict[str, float]:
        unknown = set(shifts) - set(MATERIAL_SHIFTS)
        if unknown or not all(shift >= 0 for shift in shifts.values()):
            raise ValueError(f"expected shifts of 0 or more of {', '.join(MATERIAL_SHIFTS)}")
        return MATERIAL_SHIFTS | shifts
