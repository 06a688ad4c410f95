"""Patient -> one examination, and axial crops cut from it as the network is given them.

A crop is rendered by itself: what a scanner does to a whole slice, on the pixels of the crop.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from screening.imaging.attenuation import measure_trabecular
from screening.imaging.hounsfield import Volume
from screening.imaging.lumbar import Vertebra
from screening.imaging.model_input import kvp_scale, scale_to_120_kv
from screening.simulation.anatomy import Anatomy, enhance, render_slab
from screening.simulation.cohort import Patient
from screening.simulation.scanner import (
    HU_LIMITS,
    Protocol,
    blur,
    calibrated,
    draw_protocol,
    expose,
    noise_map,
    noise_tiles,
    shifted,
    streaks,
)
from screening.simulation.vertebrae import Floats

CROP_PX, PIXEL_MM = 96, 1.25
BODY_REACH_MM = 8.0
JITTER_SD_MM = 2.0  # of the body centre a localiser reports
SLAB_MM = 5.0  # mean of thinner slices; a thicker one is used as it is (imaging/model_input.py)
MATRIX = 512  # of the examination the crops are cut from
FINE = 2  # noise is made on pixels of 1.25 / 2 mm, near those of a scanner, and averaged as a crop averages them
TILES = 3
ROI_HALF_MM = (8.0, 12.0)  # antero-posterior and lateral: the ellipse a reader would lay into the body
BRIGHT_VESSELS = 0.1  # share of patients whose vessels and kidneys carry contrast; their bone is left as it is


@dataclass(frozen=True, slots=True)
class Examination:
    """One patient as one scanner saw them."""

    patient: Patient
    anatomy: Anatomy
    protocol: Protocol
    tiles: Floats  # (TILES, FINE * 96, FINE * 96) noise of SD 1 before crops average it


def examine(patient: Patient, anatomy: Anatomy, rng: Generator) -> Examination:
    """Choose scanner and settings, and with some patients contrast in the vessels."""
    protocol = draw_protocol(patient, anatomy, MATRIX)
    if rng.random() < BRIGHT_VESSELS:
        anatomy = replace(anatomy, torso=enhance(anatomy, rng).torso)
    tiles = noise_tiles(FINE * CROP_PX, protocol.kernel.grain_mm * FINE / PIXEL_MM, rng, TILES)
    return Examination(patient, anatomy, protocol, tiles)


def render_crop(examination: Examination, level: str, is_body: bool, rng: Generator) -> Floats:
    """Cut one slab (96, 96) around a body or through the disc below it, 120 kVp equivalents."""
    protocol, vertebra = examination.protocol, examination.anatomy.spine.level(level)
    gap = 0.5 * vertebra.height_mm
    along = rng.uniform(-BODY_REACH_MM, BODY_REACH_MM) if is_body else -gap - rng.uniform(1.5, 5.5)
    centre = np.asarray(vertebra.centre_mm) + along * vertebra.axes[2]
    x, y = (middle + rng.normal(0.0, JITTER_SD_MM) + _steps_mm() for middle in centre[:2])
    slab = render_slab(examination.anatomy, x, y, float(centre[2]), max(SLAB_MM, protocol.thickness_mm))
    exposed = expose(slab, protocol, examination.patient, PIXEL_MM)
    # interpolating between native pixels blurs by the SD of a triangle as wide as two of them
    kernel = replace(
        protocol.kernel, blur_mm=float(np.hypot(protocol.kernel.blur_mm, protocol.pixel_mm / np.sqrt(6.0)))
    )
    rough = noise_map(x, y, protocol) * (protocol.noise_hu * kernel.noise) * _averaged(shifted(examination.tiles, rng))
    rough = (rough + streaks(x, y, protocol, rng)) * np.float32(np.sqrt(min(protocol.thickness_mm / SLAB_MM, 1.0)))
    seen = np.clip(calibrated(blur(exposed, kernel, PIXEL_MM) + rough, protocol), *HU_LIMITS)
    return scale_to_120_kv(np.asarray(seen, np.float32), kvp_scale(protocol.kvp_kv).factor)


def _steps_mm() -> NDArray[np.float64]:
    return np.asarray((np.arange(CROP_PX) - (CROP_PX - 1) / 2.0) * PIXEL_MM)


def _averaged(fine: Floats) -> Floats:
    """Mean of FINE x FINE pixels."""
    return np.asarray(fine.reshape(CROP_PX, FINE, CROP_PX, FINE).mean(axis=(1, 3)), np.float32)


def region_of_interest() -> NDArray[np.bool_]:
    """Pixels (96, 96) of the region of interest in the middle of a crop."""
    steps = _steps_mm()
    return np.asarray((steps[:, None] / ROI_HALF_MM[0]) ** 2 + (steps[None, :] / ROI_HALF_MM[1]) ** 2 <= 1.0)


def trace(crop: Floats) -> tuple[float, float]:
    """Read one crop with the product's contour reader: trabecular HU and body depth in mm."""
    middle = (CROP_PX - 1) / 2.0 * PIXEL_MM
    volume = Volume(
        hu=np.rint(crop).astype(np.int16)[None],
        spacing_mm=(SLAB_MM, PIXEL_MM, PIXEL_MM),
        origin_mm=(0.0, 0.0, 0.0),
        axes=np.eye(3)[::-1].copy(),
        slice_thickness_mm=SLAB_MM,
        kvp_kv=120.0,
    )
    half = SLAB_MM / 2.0
    reading = measure_trabecular(volume, Vertebra("", (middle, middle, 0.0), half, -half, 1.0))
    return reading.mean_hu, reading.body_depth_mm
