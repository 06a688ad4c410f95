"""How a site's records are to be read: names of columns, codes, regions and issuers."""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from screening.records.codes import LOINC
from screening.records.regions import LUMBAR_REGIONS, REGIONS

DXA_FIELDS: Final = (
    "patient_id", "issuer", "dxa_date", "region", "bmd_dxa", "bmd_unit", "t_score", "z_score", "manufacturer",
    "status", "issued_at",
)  # fmt: skip
CONTEXT_FIELDS: Final = ("patient_id", "issuer", "fact", "holds", "since_date", "recorded_on")


def _known(name: str, known: tuple[str, ...]) -> str:
    if name not in known:
        raise ValueError(f"expected one of {', '.join(known)}, found {name}")
    return name


def _lower(names: dict[str, str]) -> dict[str, str]:
    return {" ".join(name.lower().split()): meaning for name, meaning in names.items()}


Region = Annotated[str, AfterValidator(lambda name: _known(name, REGIONS))]
DxaField = Annotated[str, AfterValidator(lambda name: _known(name, DXA_FIELDS))]
ContextField = Annotated[str, AfterValidator(lambda name: _known(name, CONTEXT_FIELDS))]
LoincCode = Annotated[str, AfterValidator(lambda name: _known(name, tuple(LOINC)))]
Fact = Literal["diagnosis", "treatment", "death", "opt_out"]
Quantity = Literal["bmd_dxa", "t_score", "z_score"]


class RecordSettings(BaseModel):
    """What the files of a site call things, and whose identifiers it knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: dict[DxaField, str] = Field(
        default_factory=dict, description="Field of a DXA result = its column in CSV or Parquet; else the same name."
    )
    wide_columns: dict[Region, dict[Quantity, str]] = Field(
        default_factory=dict, description='Columns of one region each, e.g. "L1-L4" = { bmd_dxa = "L1L4BMD" }.'
    )
    defaults: dict[DxaField, str] = Field(
        default_factory=dict, description="What an empty or missing field of CSV or Parquet stands for."
    )
    context_columns: dict[ContextField, str] = Field(
        default_factory=dict, description="Field of a patient's context = its column; else the same name."
    )
    facts: dict[str, Fact] = Field(default_factory=dict, description="Further words for a fact = the fact.")
    date_formats: tuple[str, ...] = Field(
        ("%Y-%m-%d",), min_length=1, description="Dates of CSV, Parquet and OMOP; the first that fits counts."
    )
    delimiter: str = Field(",", min_length=1, max_length=1, description="What parts the fields of a CSV.")
    decimal: Literal[".", ","] = Field(".", description="Decimal mark of a CSV.")
    encoding: str = Field("utf-8", description="Encoding of a CSV.")
    bmd_unit: str = Field("g/cm2", description="Unit of the BMD column of CSV and Parquet without a unit column.")
    message_bmd_unit: str = Field(
        "", description="Unit of a BMD that FHIR, HL7, DICOM or OMOP state without one; empty: it is refused."
    )
    lumbar_region: Annotated[str, AfterValidator(lambda name: _known(name, LUMBAR_REGIONS))] = Field(
        "L1-L4", description="Region that a lumbar spine without its bodies stands for (L1-L4 as ISCD advises)."
    )
    regions: dict[str, Region] = Field(default_factory=dict, description="Further names of a region = the region.")
    manufacturers: dict[str, str] = Field(
        default_factory=dict, description="Further spellings of a manufacturer = its common name."
    )
    codes: dict[str, LoincCode] = Field(
        default_factory=dict, description="Local code of an observation = the LOINC code it stands for."
    )
    omop_concepts: dict[str, LoincCode] = Field(
        default_factory=dict, description="Further OMOP concept = the LOINC code it stands for."
    )
    omop_units: dict[str, str] = Field(default_factory=dict, description="Further OMOP unit concept = its unit.")
    own_issuers: tuple[str, ...] = Field(
        (), description="Issuers whose identifiers are PatientID of the archive; so is one without issuer."
    )
    crosswalk: Path | None = Field(
        None, description="CSV with issuer, identifier, patient_id for the identifiers of other issuers."
    )
    diagnosis_codes: tuple[str, ...] = Field(
        ("M80", "M81", "64859006"), description="Beginnings of ICD-10 and SNOMED CT codes of osteoporosis."
    )
    treatment_codes: tuple[str, ...] = Field(
        ("M05B", "H05AA", "H05BA", "G03XC01", "G03XC02"),
        description="Beginnings of ATC codes of drugs against osteoporosis (unverified: have a pharmacist check them).",
    )

    @field_validator("regions", "manufacturers", "facts")
    @classmethod
    def _without_case(cls, names: dict[str, str]) -> dict[str, str]:
        return _lower(names)
