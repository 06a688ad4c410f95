"""Series -> the facts of its headers that eligibility rests on, for the books; what cannot be told is None."""

from dataclasses import dataclass

import numpy as np

from screening.archive.index import Series, age_at_study_years
from screening.errors import Excluded
from screening.imaging.acquisitions import acquisitions_of
from screening.imaging.eligibility import stated_phase
from screening.imaging.geometry import common_orientation, stack_slices
from screening.imaging.wording import Kernel, Phase, kernel_sharpness


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """What the headers of one series, or of one acquisition in it, say."""

    series_instance_uid: str
    acquisition: str  # "" is the whole series
    modality: str
    series_description: str
    manufacturer: str
    manufacturer_model_name: str
    station_name: str
    image_type: str  # values joined by a backslash, as in the header
    kvp_kv: float | None
    convolution_kernel: str
    kernel: Kernel
    slice_thickness_mm: float | None
    instance_count: int
    obliquity_deg: float | None  # of the slice normal against the patient's long axis; None without common geometry
    spacing_mm: float | None  # between slices; None where they are no regular stack
    coverage_mm: float | None  # along the slice normal
    stated_phase: Phase
    age_years: float | None


def series_facts(series: Series) -> SeriesFacts:
    """Collect the facts of a series."""
    first = series.first
    spacing_mm, coverage_mm = _extent_mm(series)
    return SeriesFacts(
        series_instance_uid=series.series_instance_uid,
        acquisition=series.acquisition,
        modality=first.modality,
        series_description=first.series_description,
        manufacturer=first.manufacturer,
        manufacturer_model_name=first.manufacturer_model_name,
        station_name=first.station_name,
        image_type="\\".join(first.image_type),
        kvp_kv=first.kvp_kv,
        convolution_kernel=first.convolution_kernel,
        kernel=kernel_sharpness(first.convolution_kernel, first.series_description),
        slice_thickness_mm=first.slice_thickness_mm,
        instance_count=len(series.instances),
        obliquity_deg=_obliquity_deg(series),
        spacing_mm=spacing_mm,
        coverage_mm=coverage_mm,
        stated_phase=stated_phase(series),
        age_years=age_at_study_years(first),
    )


def acquisition_named(series: Series, acquisition: str) -> Series:
    """Return the acquisition of that name in a whole series; "" is the series itself."""
    parts = acquisitions_of(series) if acquisition else (series,)
    (named,) = (part for part in parts if part.acquisition == acquisition)
    return named


def _obliquity_deg(series: Series) -> float | None:
    try:
        normal = common_orientation(series.instances)[0]
    except Excluded:  # the judgement holds the reason
        return None
    return float(np.degrees(np.arccos(min(1.0, abs(normal[2])))))


def _extent_mm(series: Series) -> tuple[float | None, float | None]:
    """Spacing and coverage of a regular stack."""
    try:
        stack = stack_slices(series)
    except Excluded:  # the judgement holds the reason
        return None, None
    return stack.spacing_mm[0], stack.spacing_mm[0] * stack.shape[0]
