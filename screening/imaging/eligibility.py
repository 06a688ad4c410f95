"""Study -> the series worth reading, best first, and the reason why each other series is not.

Header facts only. What pixels alone can show (contrast in spite of an empty tag, damaged data) is found later by
`read_volume` and `is_enhanced`; the caller then records that reason and goes on with the next candidate. A series that
holds several acquisitions is split first (`acquisitions`); each is judged, and may be measured, for itself.

Candidates are read in this order; a later line decides only between candidates that are equal in all earlier ones:

| # | compared | better |
|---|---|---|
| 1 | contrast by tag, then series, protocol and study description | stated unenhanced, then unstated, then enhanced |
| 2 | reconstruction kernel | soft, then unstated; lung and bone kernels are no candidates |
| 3 | spacing of the slices | thinner, to 0.1 mm; below 1 mm all are equal |
| 4 | length covered | longer, to 1 mm |
| 5 | SeriesNumber, then SeriesInstanceUID, then acquisition | smaller |
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from screening.archive.index import Instance, Series, Study, age_at_study_years
from screening.errors import Excluded, Exclusion
from screening.imaging.acquisitions import acquisitions_of
from screening.imaging.geometry import SliceStack, common_orientation, stack_slices
from screening.imaging.wording import (
    Kernel,
    Phase,
    derived_kind,
    is_localizer,
    kernel_sharpness,
    phase_in_text,
    phase_of_agent,
    spectral_kind,
)

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
MULTIFRAME_CT_STORAGES = frozenset(
    {"1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"}  # Enhanced CT, Legacy Converted Enhanced CT
)
SPACING_TOLERANCE_MM = 0.05  # header spacings of "5 mm" series are computed from rounded positions
TILT_TOLERANCE_DEG = 2.0  # of GantryDetectorTilt (0018,1120): 3 mm over a depth of 100 mm
AGE_TOLERANCE_YEARS = 1.0  # within a study; a birthday may fall into it
PREFERRED_SPACING_MM = 1.0  # thinner slices add noise and reading time but no information on a 10 mm region


class EligibilitySettings(BaseModel):
    """What a site accepts; the defaults are the product's. Numbers out of their range, NaN too, are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    maximum_spacing_mm: float = Field(5.0, gt=0, le=10)
    minimum_coverage_mm: float = Field(60.0, gt=0)  # two lumbar bodies with their discs are about 68 mm (pitch 34 mm)
    maximum_obliquity_deg: float = Field(20.0, ge=0, le=45)  # of the slice normal against the patient's long axis
    minimum_age_years: float = Field(18.0, ge=0, le=130)
    allow_enhanced: bool = False
    enhanced_aorta_hu: float = Field(90.0, ge=60, le=200)  # unenhanced blood is 30-60 HU; late phases exceed 100 HU
    enhanced_kidney_hu: float = Field(80.0, ge=50, le=200)  # unenhanced parenchyma is 25-45 HU


@dataclass(frozen=True, slots=True)
class SeriesExclusion:
    """Why one series is not read."""

    series_instance_uid: str
    reason: Exclusion
    detail: str
    acquisition: str = ""  # of `Series.acquisition`


@dataclass(frozen=True, slots=True)
class Judgement:
    """Every series of a study, either as a candidate (best first) or with its reason."""

    candidates: tuple[Series, ...]
    excluded: tuple[SeriesExclusion, ...]


def judge_series(study: Study, settings: EligibilitySettings) -> Judgement:
    """Sort a study's series into candidates, in the order of the table above, and exclusions."""
    ranked: list[tuple[tuple[float | str, ...], Series]] = []
    excluded: list[SeriesExclusion] = []
    identities = _patient_identities(study)
    for series in (acquisition for whole in study.series for acquisition in _acquisitions_of_images(whole)):
        try:
            if identities > 1:
                raise Excluded(Exclusion.MIXED_PATIENTS, f"{identities} patients in one study")
            ranked.append((_preference(series, _eligible_stack(series, settings)), series))
        except Excluded as reason:
            excluded.append(exclusion_of(series, reason))
    ranked.sort(key=lambda pair: pair[0])
    return Judgement(tuple(series for _, series in ranked), tuple(excluded))


def exclusion_of(series: Series, reason: Excluded) -> SeriesExclusion:
    """Say of one series, or one acquisition of it, why it is not read."""
    return SeriesExclusion(series.series_instance_uid, reason.reason, reason.detail, series.acquisition)


def _acquisitions_of_images(series: Series) -> tuple[Series, ...]:
    """Split a series of CT slices; what holds reports or localizers is judged as a whole."""
    try:
        _require_ct_images(series)
    except Excluded:  # judged, and its reason kept, by the caller
        return (series,)
    return acquisitions_of(series)


def stated_phase(series: Series) -> Phase:
    """What tags and descriptions say about contrast; nearer statements overrule farther ones."""
    first = series.first
    if any(phase_of_agent(instance.contrast_bolus_agent) is Phase.ENHANCED for instance in series.instances):
        return Phase.ENHANCED
    for text in (first.series_description, first.protocol_name, first.study_description):
        phase = phase_in_text(text)
        if phase is not Phase.UNSTATED:
            return phase
    return Phase.UNSTATED


def _patient_identities(study: Study) -> int:
    """Count distinct patients among the CT instances of a study; an empty issuer, sex or age agrees with any."""
    instances = [i for series in study.series for i in series.instances if i.modality == "CT"]
    patients = {(i.patient_id, i.patient_birth_date) for i in instances if i.patient_birth_date is not None}
    undated = {i.patient_id for i in instances if i.patient_birth_date is None} - {patient for patient, _ in patients}
    issuers = {i.issuer_of_patient_id for i in instances if i.issuer_of_patient_id}
    sexes = {i.patient_sex for i in instances if i.patient_sex}
    ages = [i.patient_age_years for i in instances if i.patient_age_years is not None]
    other_age = bool(ages) and max(ages) - min(ages) > AGE_TOLERANCE_YEARS
    return max(len(patients) + len(undated), len(issuers), len(sexes), 1 + other_age)


def _eligible_stack(series: Series, settings: EligibilitySettings) -> SliceStack:
    """Return the slices of a series that passes every header check, from the plainest to the most subtle.

    Raises:
        Excluded: the first check that fails.
    """
    _require_ct_images(series)
    _require_axial_slices(series, settings)
    stack = stack_slices(series)
    _require_extent(stack, settings)
    _require_adult(series.first, settings)
    _require_soft_kernel(series)
    _require_unenhanced(series, settings)
    return stack


def _require_ct_images(series: Series) -> None:
    """Refuse other modalities, multi-frame objects, planning radiographs and pictures made from pictures."""
    _refuse(series, Exclusion.NOT_CT, lambda i: "" if i.modality == "CT" else f"modality {i.modality or 'absent'}")
    _refuse(series, Exclusion.MULTIFRAME, _multiframe)
    _refuse(series, Exclusion.NOT_AN_IMAGE, _other_object)
    localizers = sum(is_localizer(i.image_type, i.series_description) for i in series.instances)
    if localizers:
        mixed = localizers < len(series.instances)
        reason = Exclusion.MIXED_GEOMETRY if mixed else Exclusion.LOCALIZER
        raise Excluded(reason, f"{localizers} of {len(series.instances)} instances are localizers")
    _refuse(series, Exclusion.NOT_AN_IMAGE, lambda i: derived_kind(i.image_type, i.series_description))
    _refuse(series, Exclusion.NO_HOUNSFIELD, lambda i: spectral_kind(i.image_type, i.series_description))


def _refuse(series: Series, reason: Exclusion, fault: Callable[[Instance], str]) -> None:
    """Raise `reason` when any instance has the fault; `fault` returns its description or ""."""
    faults = [found for instance in series.instances if (found := fault(instance))]
    if faults:
        raise Excluded(reason, f"{faults[0]}, {len(faults)} of {len(series.instances)} instances")


def _multiframe(instance: Instance) -> str:
    if instance.sop_class_uid in MULTIFRAME_CT_STORAGES or (instance.number_of_frames or 1) > 1:
        return f"{instance.number_of_frames or 'several'} frames in one instance"
    return ""


def _other_object(instance: Instance) -> str:
    if instance.sop_class_uid not in (CT_IMAGE_STORAGE, ""):  # some anonymisers blank every UID
        return f"SOP class {instance.sop_class_uid}"
    samples = instance.samples_per_pixel or 1
    return f"{samples} samples per pixel" if samples > 1 else ""


def _require_axial_slices(series: Series, settings: EligibilitySettings) -> None:
    """Refuse slices whose normal leaves the patient's long axis; ImageType alone is not reliable."""
    normal = common_orientation(series.instances)[0]
    obliquity = float(np.degrees(np.arccos(min(1.0, abs(normal[2])))))
    if obliquity > settings.maximum_obliquity_deg:
        raise Excluded(Exclusion.NOT_AXIAL, f"slice normal {obliquity:.0f} degrees off the long axis")
    tilt = max(abs(instance.gantry_detector_tilt_deg or 0.0) for instance in series.instances)
    if tilt > TILT_TOLERANCE_DEG and obliquity < tilt / 2:
        raise Excluded(Exclusion.GANTRY_TILT, f"gantry tilted {tilt:.0f} degrees, orientation {obliquity:.0f}")


def _require_extent(stack: SliceStack, settings: EligibilitySettings) -> None:
    spacing, slices = stack.spacing_mm[0], stack.shape[0]
    if spacing * slices < settings.minimum_coverage_mm:
        raise Excluded(Exclusion.TOO_FEW_SLICES, f"{slices} slices cover {spacing * slices:.0f} mm")
    limit = settings.maximum_spacing_mm + SPACING_TOLERANCE_MM
    if spacing > limit:
        raise Excluded(Exclusion.TOO_THICK, f"{spacing:.2f} mm between slices")
    thickest = max((instance.slice_thickness_mm or 0.0 for instance in stack.instances), default=0.0)
    if thickest > limit:  # overlapping slices: close together, yet each as blurred as a thick one
        raise Excluded(Exclusion.TOO_THICK, f"slices {thickest:.2f} mm thick")


def _require_adult(first: Instance, settings: EligibilitySettings) -> None:
    age = age_at_study_years(first)
    if age is not None and age < settings.minimum_age_years:
        raise Excluded(Exclusion.UNDER_AGE, f"under {settings.minimum_age_years:g} years")


def _require_soft_kernel(series: Series) -> None:
    kernels = {(i.convolution_kernel, i.series_description) for i in series.instances}
    sharp = sorted(kernel for kernel, text in kernels if kernel_sharpness(kernel, text) is Kernel.SHARP)
    if sharp:
        raise Excluded(Exclusion.UNSUITABLE_KERNEL, f"kernel {sharp[0] or 'named in description'}")


def _require_unenhanced(series: Series, settings: EligibilitySettings) -> None:
    if not settings.allow_enhanced and stated_phase(series) is Phase.ENHANCED:
        raise Excluded(Exclusion.CONTRAST, "stated by tag or description")


def _preference(series: Series, stack: SliceStack) -> tuple[float | str, ...]:
    """Sort key of a candidate; smaller is better."""
    first = series.first
    spacing, slices = stack.spacing_mm[0], stack.shape[0]
    return (
        float(list(Phase).index(stated_phase(series))),
        float(list(Kernel).index(kernel_sharpness(first.convolution_kernel, first.series_description))),
        round(max(spacing, PREFERRED_SPACING_MM), 1),
        -round(spacing * slices),
        float(first.series_number or 0),
        series.series_instance_uid,
        series.acquisition,
    )
