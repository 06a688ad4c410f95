"""`screening.toml` -> Settings: every limit a site may change, with its default, in one place."""

import os
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final, Self

from pydantic import (
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from screening.dashboard_settings import DashboardSettings
from screening.errors import UserError
from screening.imaging.eligibility import EligibilitySettings
from screening.imaging.label_map_files import LumbarSettings
from screening.prediction.tscore import DEFAULT_REFERENCE, REFERENCES, OsteoporosisRule, Reference, Standard
from screening.records.settings import RecordSettings
from screening.validation_settings import DriftSettings, ValidationSettings


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# Both readers see the same bone and differ by 5 HU on it (simulated patients, 95 %). 25 HU are 0.06 g/cm2, half a
# T-score: then one of them read cortex, a vessel, an island or another structure.
READERS_DISAGREE_HU: Final = 25.0


class SiteReference(_Section):
    """A reference population that the site states itself."""

    mean_g_cm2: float = Field(ge=0.7, le=1.5, description="Young adult mean of the lumbar spine, g/cm2.")
    sd_g_cm2: float = Field(ge=0.08, le=0.2, description="Its standard deviation, g/cm2.")
    source: str = Field(min_length=1, description="Where the figures are from.")
    verified: bool = Field(False, description="Whether they were read from that source.")
    manufacturer: str = Field("", description="Whose scale they are on; a Z-score needs Hologic.")
    levels: str = Field("L1-L4", pattern="^L[1-4]-L[1-4]$", description="Levels they are of; BMD_CNN is of L1-L4.")


class PredictionSettings(_Section):
    """How slice readings become a patient's value."""

    checkpoint: Path | None = Field(None, description="Checkpoint file; none means the bundled one.")
    device: str = Field("auto", pattern="^(auto|cpu|cuda)$", description="auto, cpu or cuda.")
    references: dict[str, SiteReference] = Field(
        default_factory=dict, description="Reference populations of the site, by name."
    )
    reference: str = Field(
        DEFAULT_REFERENCE, description="Reference population of the T-score, one of the software or of the site."
    )
    osteoporosis_rule: OsteoporosisRule = Field(
        OsteoporosisRule.T_SCORE, description="t_score: T <= -2.5; yam: at most 70 % of the young adult mean (Japan)."
    )
    allow_uncertain_levels: bool = Field(
        False, description="Measure although level names are uncertain, with a warning."
    )
    readers_disagree_hu: float = Field(
        READERS_DISAGREE_HU,
        gt=0,
        description="A level in which network and region of interest differ by more (HU at 120 kVp) is for review.",
    )

    @field_validator("references")
    @classmethod
    def _names_of_their_own(cls, references: dict[str, SiteReference]) -> dict[str, SiteReference]:
        taken = sorted(references.keys() & REFERENCES.keys())
        if taken:
            raise ValueError(f"{taken[0]} is a reference of the software: choose another name")
        return references

    @field_validator("reference")
    @classmethod
    def _known(cls, name: str, info: ValidationInfo) -> str:
        names = [*REFERENCES, *info.data.get("references", {})]
        if name not in names:
            raise ValueError(f"expected one of {', '.join(names)}")
        return name

    def known_references(self) -> dict[str, Reference]:
        """Return the references of the software and of the site by name."""
        own = {name: Reference(name, **given.model_dump()) for name, given in self.references.items()}
        return REFERENCES | own

    def reference_population(self) -> Reference:
        """Look the reference up by its name."""
        return self.known_references()[self.reference]

    def standard(self) -> Standard:
        """Return what a density is held against."""
        return Standard(self.reference_population(), self.osteoporosis_rule)


class CareGapSettings(_Section):
    """Who is flagged (the criteria are columns of the view care_gap)."""

    look_back_months: int = Field(36, ge=1, description="A central DXA within so many months closes the gap.")
    minimum_age_years: int = Field(50, ge=0, le=130, description="Youngest age at CT that is flagged.")
    as_of_date: date | None = Field(None, description="The 'today' of the look-back; none means today.")


# A worker that has only its libraries loaded takes 0.4 GiB; one with less than this could read no study.
_LEAST_MEMORY_BYTES: Final = 2**30


class SweepSettings(_Section):
    """How the night is run."""

    full_walk_days: float = Field(
        7.0, ge=0, description="Look at every file, not only at folders that changed, when that was so many days ago."
    )
    settle_minutes: float = Field(
        0.0,
        ge=0,
        description="A study whose newest file is younger waits for the next night; 0 waits for none. "
        "A study that grows after it was read is read again in any case.",
    )
    keep_publications: int = Field(3, ge=1, description="Finished copies of the database that are kept.")
    workers: int | None = Field(
        None, ge=0, description="Worker processes; none means one a core, 0 reads in the sweep's own process."
    )
    workers_min: int = Field(1, ge=1, description="Worker processes to begin with, where workers_max is set.")
    workers_max: int | None = Field(
        None,
        ge=1,
        description="Start more worker processes while tasks wait, up to so many; counts where workers is not set.",
    )
    memory_limit: ByteSize | None = Field(
        None,
        ge=_LEAST_MEMORY_BYTES,
        description='A worker process that takes more, e.g. "6GiB", is ended and started anew; none: no limit.',
    )
    scheduler: str | None = Field(None, description="Address of a running Dask scheduler, e.g. tls://host:8786.")
    tls_ca_file: Path | None = Field(None, description="Certificate authority of a tls:// scheduler, PEM.")
    tls_cert_file: Path | None = Field(None, description="Certificate of this client for a tls:// scheduler, PEM.")
    tls_key_file: Path | None = Field(None, description="Key of tls_cert_file, PEM; none: it stands in that file.")
    worker_wait_s: float = Field(300.0, gt=0, description="With no worker for so long, the sweep gives up.")
    path_mapping: dict[str, str] = Field(
        default_factory=dict,
        description="Beginning of a path here = what it is on the workers of the scheduler; the longest counts.",
    )
    header_batch: int = Field(2000, ge=1, description="Files whose headers are read in one task.")
    study_deadline_s: float = Field(900.0, gt=0, description="A study that takes longer is a failure.")
    failed_share_limit: float = Field(
        0.05, ge=0, le=1, description="Above this share of failures the exit status is 4."
    )

    @model_validator(mode="after")
    def _limits_in_order(self) -> Self:
        if self.workers_max is not None and self.workers_min > self.workers_max:
            raise ValueError("workers_min is more than workers_max")
        if self.tls_key_file is not None and self.tls_cert_file is None:
            raise ValueError("tls_key_file needs tls_cert_file")
        return self

    @property
    def mapping_of_workers(self) -> dict[str, str]:
        """The path mapping where it holds: processes of this machine see the archive as the client does."""
        return self.path_mapping if self.scheduler is not None else {}

    @field_validator("path_mapping")
    @classmethod
    def _absolute(cls, mapping: dict[str, str]) -> dict[str, str]:
        if not all(path.startswith("/") for pair in mapping.items() for path in pair):
            raise ValueError("expected absolute paths on both sides")
        return mapping


class Settings(_Section):
    """The whole configuration of a sweep and its publication."""

    eligibility: EligibilitySettings = EligibilitySettings()
    lumbar: LumbarSettings = LumbarSettings()
    prediction: PredictionSettings = PredictionSettings()
    care_gap: CareGapSettings = CareGapSettings()
    sweep: SweepSettings = SweepSettings()
    records: RecordSettings = RecordSettings()
    validation: ValidationSettings = ValidationSettings()
    drift: DriftSettings = DriftSettings()
    dashboard: DashboardSettings = DashboardSettings()

    @classmethod
    def load(cls, path: Path | None) -> Self:
        """Read `path`, or take the defaults when it is None.

        Raises:
            UserError: the file is missing, is no TOML, or a value is out of its range; names the setting.
        """
        if path is None:
            return cls()
        try:
            return cls._validated(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
        except OSError as error:
            raise UserError(f"Cannot read the configuration file {path}: {error.strerror}.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is not valid TOML: {error}.") from error

    def require_files(self) -> None:
        """Look whether the files that settings name can be read here, before a night needs them.

        Raises:
            UserError: some cannot; names their settings.
        """
        named = {
            f"{section}.{name}": path
            for section, values in self
            for name, path in values
            if isinstance(path, Path) and not (path.is_file() and os.access(path, os.R_OK))
        }
        if named:
            listed = ", ".join(f"{setting} = {path}" for setting, path in named.items())
            raise UserError(f"No file that can be read stands behind {listed}: correct the path or the file's mode.")

    @classmethod
    def _validated(cls, values: Mapping[str, Any], source: str) -> Self:
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problems = [f"setting {'.'.join(map(str, one['loc']))}: {_said(one)}" for one in error.errors()]
            raise UserError(f"{source}, {'; '.join(problems)}.") from error

    def overridden(self, sections: Mapping[str, Mapping[str, Any]]) -> Self:
        """Replace the given values; None leaves a setting as it is.

        Raises:
            UserError: a value is out of its range; names the setting.
        """
        values = self.model_dump()
        for section, given in sections.items():
            values[section] |= {name: value for name, value in given.items() if value is not None}
        return self._validated(values, "command line")


def _said(problem: ErrorDetails) -> str:
    """Say in our words what Pydantic says in those of whoever writes a model."""
    if problem["type"] == "extra_forbidden":
        return "there is no such setting"
    return problem["msg"].removeprefix("Value error, ")
