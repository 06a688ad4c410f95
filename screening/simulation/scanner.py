"""Density map -> Hounsfield units as one scanner would report them: tube voltage, calibration, blur, noise.

Trabecular factors to 120 kVp (Westerhoff 2025, 538,946 CTs; direction at 80 kVp by physics): 80 /1.23, 100 x 0.927,
140 x 1.053. Mineral is scaled with the inverse, soft tissue is not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter

from screening.simulation.anatomy import Floats
from screening.simulation.cohort import MG_CM3_PER_HU

TO_120_KV = {80: 1.0 / 1.23, 100: 0.927, 120: 1.0, 140: 1.053}
NOISE_5_MM_HU = 12.0  # noise index 12.5-15 HU gives 11.7-14.8 HU measured at 5 mm


@dataclass(frozen=True, slots=True)
class Kernel:
    """Reconstruction kernel: blur and edge enhancement in plane."""

    name: str
    blur_mm: float  # SD of the point spread
    sharpen: float  # unsharp mask gain
    noise: float  # relative to the standard kernel
    grain_mm: float  # SD that correlates the noise


def attenuation_hu(soft_hu: Floats, mineral_mg: Floats, kvp_kv: int) -> Floats:
    """Turn soft tissue and mineral into Hounsfield units at a tube voltage."""
    return soft_hu + mineral_mg * np.float32(1.0 / (MG_CM3_PER_HU * TO_120_KV[kvp_kv]))


def blur(hu: Floats, kernel: Kernel, pixel_mm: float) -> Floats:
    """Apply the kernel's point spread in plane."""
    sigma = kernel.blur_mm / pixel_mm
    soft = gaussian_filter(hu, (0.0, sigma, sigma), truncate=3.0)
    if kernel.sharpen <= 0.0:
        return soft
    return soft + kernel.sharpen * (soft - gaussian_filter(soft, (0.0, 2 * sigma, 2 * sigma), truncate=3.0))


def noise_field(shape: tuple[int, int, int], grain_px: float, rng: Generator) -> Floats:
    """Return noise of SD 1 with the dip at low frequencies of filtered back projection, (slices, rows, columns)."""
    white = rng.standard_normal(shape, dtype=np.float32)
    fine = gaussian_filter(white, (0.0, grain_px, grain_px), mode="wrap", truncate=3.0)
    field = fine - 0.8 * gaussian_filter(fine, (0.0, 3 * grain_px, 3 * grain_px), mode="wrap", truncate=2.5)
    return np.asarray(field / field.std(), np.float32)
