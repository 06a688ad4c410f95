"""Volume and Vertebra -> trabecular attenuation per level, tissue anchors, contrast phase."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import (
    binary_erosion,
    binary_fill_holes,
    binary_opening,
    distance_transform_edt,
    gaussian_filter,
    label,
)

from screening.imaging.body_outline import BodyOutline, central_slices, trace_body
from screening.imaging.eligibility import EligibilitySettings
from screening.imaging.enhancement import aorta_hu, bright_kidneys_hu
from screening.imaging.hounsfield import FLOOR_HU, Volume
from screening.imaging.lumbar import Vertebra

# Region of interest: inside the cortex with a margin for its blur, and in front of the basivertebral vein
CORTEX_MARGIN_MM = 7.0
ANTERIOR_SHARE = 0.7  # of the body's depth, from its front
TRIM_PERCENT = 5.0  # of the voxels at either end: bone islands and vessel channels

# Search ranges of the anchors, HU, and where they lie
SKIN_HU = -300.0
FAT_RANGE_HU = (-150.0, -50.0)
MUSCLE_RANGE_HU = (0.0, 100.0)
AIR_BELOW_HU = -900.0
GRID_MM = 2.0
SKIN_MM = 4.0  # skin and its partial volume
SUBCUTANEOUS_MM = 30.0  # deepest layer taken for subcutaneous
TABLE_GAP_MM = 20.0  # air is read this far from the body, away from clothes and table
MUSCLE_LATERAL_MM = (12.0, 45.0)  # erector spinae beside the spinous processes
MUSCLE_POSTERIOR_MM = (25.0, 65.0)
MINIMUM_ANCHOR_MM2 = 100.0

# Usual attenuation and how far a scanner in order may be from it in a patient, HU. Air: phantoms are accepted from -970
# to -1005 (ACR), scatter raises it in large patients. Fat: -95 to -105 at 120 kVp, -115 at 80, -92 at 140. Muscle: 55,
# down to 15 where fat has grown into it. Blood: 40, less by 15 in anaemia. Off by 20 HU, bone would be off by 0.05
# g/cm2, half a T-score. General knowledge but for fat and blood, which stand with the figures of the field.
USUAL_ANCHORS_HU = {"air": (-1000.0, 30.0), "fat": (-100.0, 20.0), "muscle": (45.0, 40.0), "aorta": (40.0, 20.0)}
RAISED_BY_CONTRAST = ("muscle", "aorta")


@dataclass(frozen=True, slots=True)
class TrabecularReading:
    """Attenuation of the cancellous interior of one vertebral body, HU as acquired (not brought to 120 kVp)."""

    mean_hu: float  # of the voxels between their 5th and 95th percentile
    sd_hu: float  # of all voxels
    median_hu: float
    area_mm2: float  # of the region of interest in its middle slice
    body_depth_mm: float  # outer antero-posterior depth of the body
    outline_mm: NDArray[np.float64]  # (n, 3) patient coordinates, region of interest in the middle slice
    body_mm: NDArray[np.float64]  # (n, 3) patient coordinates, outer contour of the body in the middle slice


@dataclass(frozen=True, slots=True)
class TissueAnchors:
    """Attenuation of tissues that should not differ between scanners, HU; None where not found."""

    air_hu: float | None
    fat_hu: float | None
    muscle_hu: float | None
    aorta_hu: float | None
    kidney_hu: float | None = None  # only where both kidneys are brighter than unenhanced parenchyma can be


def measure_trabecular(volume: Volume, vertebra: Vertebra) -> TrabecularReading:
    """Read the cancellous interior of the central 10 mm of one body."""
    outline = trace_body(volume, vertebra)
    region = _interior(volume, outline)
    voxels = volume.hu[outline.slices.start : outline.slices.stop, region].astype(np.float64).ravel()
    lowest, highest = np.percentile(voxels, [TRIM_PERCENT, 100 - TRIM_PERCENT])
    return TrabecularReading(
        mean_hu=float(voxels[(voxels >= lowest) & (voxels <= highest)].mean()),
        sd_hu=float(voxels.std()),
        median_hu=float(np.median(voxels)),
        area_mm2=float(region.sum() * volume.spacing_mm[1] * volume.spacing_mm[2]),
        body_depth_mm=outline.depth_mm(),
        outline_mm=_patient_mm(volume, outline, _interior_outline(outline)),
        body_mm=_patient_mm(volume, outline, outline.points()),
    )


def tissue_anchors(volume: Volume, vertebrae: tuple[Vertebra, ...]) -> TissueAnchors:
    """Read air, subcutaneous fat, paraspinal muscle, aortic blood and enhanced kidneys around the given bodies."""
    readings = [_level_anchors(volume, vertebra) for vertebra in vertebrae]
    air, fat, muscle = (_median_of_found([reading[i] for reading in readings]) for i in range(3))
    return TissueAnchors(
        air_hu=air,
        fat_hu=fat,
        muscle_hu=muscle,
        aorta_hu=aorta_hu(volume, vertebrae),
        kidney_hu=bright_kidneys_hu(volume, vertebrae),
    )


def is_enhanced(anchors: TissueAnchors, settings: EligibilitySettings) -> bool | None:
    """Whether the pixels show intravenous contrast; None where neither vessel nor kidneys can tell."""
    if anchors.kidney_hu is not None and anchors.kidney_hu >= settings.enhanced_kidney_hu:
        return True
    if anchors.aorta_hu is None:
        return None
    return anchors.aorta_hu >= settings.enhanced_aorta_hu


def contrast_facts(anchors: TissueAnchors) -> str:
    """What the pixels say about contrast, for the books."""
    aorta = "not found" if anchors.aorta_hu is None else f"{anchors.aorta_hu:.0f} HU"
    kidneys = "not bright" if anchors.kidney_hu is None else f"{anchors.kidney_hu:.0f} HU"
    return f"aorta {aorta}, kidneys {kidneys}"


def calibration_warnings(anchors: TissueAnchors, *, enhanced: bool) -> tuple[str, ...]:
    """Say which tissues are not where a calibrated scanner shows them; blood and muscle only without contrast."""
    warnings = []
    for tissue, (usual, tolerance) in USUAL_ANCHORS_HU.items():
        found: float | None = getattr(anchors, f"{tissue}_hu")
        if found is None or (enhanced and tissue in RAISED_BY_CONTRAST):
            continue
        if abs(found - usual) > tolerance:
            warnings.append(f"calibration: {tissue} {found:.0f} HU, usually {usual:.0f} +- {tolerance:.0f}")
    return tuple(warnings)


def _interior(volume: Volume, outline: BodyOutline) -> NDArray[np.bool_]:
    """Pixels (rows, columns) of the region of interest; small bodies keep their inner half."""
    rows = np.arange(volume.hu.shape[1], dtype=np.float64)[:, None] * volume.spacing_mm[1]
    columns = np.arange(volume.hu.shape[2], dtype=np.float64)[None, :] * volume.spacing_mm[2]
    inner = outline.inner_distance_mm(rows, columns)
    margin = min(CORTEX_MARGIN_MM, inner.max() / 2)
    region: NDArray[np.bool_] = (inner >= margin) & (rows <= _posterior_limit_mm(outline))
    return region


def _posterior_limit_mm(outline: BodyOutline) -> float:
    rows = outline.points()[:, 0]
    return float(rows.min() + ANTERIOR_SHARE * (rows.max() - rows.min()))


def _interior_outline(outline: BodyOutline) -> NDArray[np.float64]:
    """Outline (n, 2) of the region of interest in plane coordinates."""
    scale = np.maximum(1 - CORTEX_MARGIN_MM / outline.radii, 0.5)
    plane: NDArray[np.float64] = outline.origin + scale[:, None] * (outline.points() - outline.origin)
    plane[:, 0] = np.minimum(plane[:, 0], _posterior_limit_mm(outline))
    return plane


def _patient_mm(volume: Volume, outline: BodyOutline, plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn plane coordinates (n, 2) of the middle slice into patient coordinates (n, 3)."""
    slices = np.full((len(plane), 1), float(outline.plane))
    return volume.patient_mm(np.concatenate([slices, plane / volume.spacing_mm[1:]], axis=1))


def _level_anchors(volume: Volume, vertebra: Vertebra) -> tuple[float | None, float | None, float | None]:
    """Air, subcutaneous fat and paraspinal muscle in the central slab of one level, HU."""
    middle = volume.index(np.array(vertebra.centre_mm))
    slices = central_slices(volume, float(middle[0]))
    steps = np.maximum(1, np.rint(GRID_MM / np.array(volume.spacing_mm[1:]))).astype(int)
    slab = volume.hu[slices.start : slices.stop, :: steps[0], :: steps[1]]
    pixel_mm = np.array(volume.spacing_mm[1:]) * steps
    mean = slab.mean(axis=0)
    smooth = gaussian_filter(mean, 1.0)
    body = _body_mask(smooth)
    under_skin_mm = distance_transform_edt(body, sampling=pixel_mm)
    beyond_skin_mm = distance_transform_edt(~body, sampling=pixel_mm)
    padding = (slab <= FLOOR_HU).any(axis=0)
    regions = (
        (beyond_skin_mm > TABLE_GAP_MM) & (smooth < AIR_BELOW_HU) & ~padding,
        _compact(smooth, FAT_RANGE_HU) & (under_skin_mm > SKIN_MM) & (under_skin_mm < SUBCUTANEOUS_MM),
        _compact(smooth, MUSCLE_RANGE_HU) & body & _beside_spinous_process(body.shape, middle[1:] / steps, pixel_mm),
    )
    minimum_px = MINIMUM_ANCHOR_MM2 / float(np.prod(pixel_mm))
    air, fat, muscle = (float(np.median(mean[r])) if r.sum() >= minimum_px else None for r in regions)
    return air, fat, muscle


def _body_mask(picture: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Largest connected part above skin attenuation, without table, holes filled."""
    opened = binary_opening(picture > SKIN_HU, iterations=2)
    parts, _ = label(opened)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    filled: NDArray[np.bool_] = binary_fill_holes(opened & (parts == sizes.argmax()))
    return filled


def _compact(picture: NDArray[np.float64], bounds_hu: tuple[float, float]) -> NDArray[np.bool_]:
    """Pixels of one tissue that are not at its edge."""
    inner: NDArray[np.bool_] = binary_erosion((picture > bounds_hu[0]) & (picture < bounds_hu[1]))
    return inner


def _beside_spinous_process(
    shape: tuple[int, ...], centre_px: NDArray[np.float64], pixel_mm: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Boxes on both sides of the spinous process, where the erector spinae lies."""
    posterior = (np.arange(shape[0])[:, None] - centre_px[0]) * pixel_mm[0]
    lateral = np.abs(np.arange(shape[1])[None, :] - centre_px[1]) * pixel_mm[1]
    deep = (posterior > MUSCLE_POSTERIOR_MM[0]) & (posterior < MUSCLE_POSTERIOR_MM[1])
    beside: NDArray[np.bool_] = deep & (lateral > MUSCLE_LATERAL_MM[0]) & (lateral < MUSCLE_LATERAL_MM[1])
    return beside


def _median_of_found(readings: list[float | None]) -> float | None:
    found = [reading for reading in readings if reading is not None]
    return float(np.median(found)) if found else None
