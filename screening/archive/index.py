"""Headers -> Study(Series(Instance)): what the archive holds, without pixels.

Every field is named by its DICOM keyword in snake_case. A missing or unreadable value is None; text is stripped.
Facts that must be the same in all instances of a series stand on `Instance`, so that disagreement can be seen.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Instance:
    """One DICOM file: where it lies and what its header says."""

    path: Path
    size_bytes: int
    mtime_ns: int
    transfer_syntax_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    modality: str
    patient_id: str
    issuer_of_patient_id: str
    patient_sex: str  # "F", "M", "O" or ""
    patient_birth_date: date | None
    patient_age_years: float | None  # from PatientAge (0010,1010)
    study_date: date | None
    accession_number: str
    study_description: str
    series_description: str
    series_number: int | None
    protocol_name: str
    body_part_examined: str
    manufacturer: str
    manufacturer_model_name: str
    station_name: str
    institution_name: str
    patient_position: str
    image_type: tuple[str, ...]
    acquisition_number: int | None
    acquisition_time: str
    contrast_bolus_agent: str | None  # None: tag absent; "" : present and empty
    convolution_kernel: str
    kvp_kv: float | None
    x_ray_tube_current_ma: float | None
    gantry_detector_tilt_deg: float | None
    instance_number: int | None
    image_position_patient: tuple[float, float, float] | None  # mm
    image_orientation_patient: tuple[float, float, float, float, float, float] | None
    pixel_spacing_mm: tuple[float, float] | None  # (between rows, between columns)
    slice_thickness_mm: float | None
    rows: int | None
    columns: int | None
    number_of_frames: int | None
    samples_per_pixel: int | None
    bits_allocated: int | None
    rescale_slope: float | None
    rescale_intercept: float | None
    rescale_type: str


@dataclass(frozen=True, slots=True)
class Series:
    """Instances that share a SeriesInstanceUID, in the order of their paths."""

    series_instance_uid: str
    instances: tuple[Instance, ...]

    @property
    def first(self) -> Instance:
        """The instance whose facts stand for the series where they agree."""
        return self.instances[0]


@dataclass(frozen=True, slots=True)
class Study:
    """Series that share a StudyInstanceUID."""

    study_instance_uid: str
    series: tuple[Series, ...]

    @property
    def first(self) -> Instance:
        """The instance whose patient and study facts stand for the study."""
        return self.series[0].first


def age_at_study_years(instance: Instance) -> float | None:
    """Age at the study from birth date and study date, else from PatientAge, else None."""
    born, on = instance.patient_birth_date, instance.study_date
    if born is None or on is None:
        return instance.patient_age_years
    return (on - born).days / 365.25
