"""Volume and Vertebra -> axial crops of fixed physical size, the input of BMD_CNN."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from screening.imaging.hounsfield import Volume
from screening.imaging.lumbar import Vertebra

OUTSIDE_HU = -1024.0
"""Value of crop pixels that lie outside of the volume (air, as everywhere else in the volume)."""

END_PLATE_MM = 4.0
"""Kept free between a slab and the end plates: 1-2 mm of plate, plus the tolerance of its position."""

HU_FACTOR_TO_120_KV = {80.0: 1 / 1.23, 100.0: 0.927, 120.0: 1.0, 140.0: 1.053}
"""Trabecular attenuation at 120 kVp over that at the given kVp: Westerhoff 2025 (538,946 CT, 50 scanner models).

The four factors follow from the energy dependence of hydroxyapatite in water; single scanners differ by a few
per cent, which the site's own calibration takes up.
"""

KVP_RANGE_KV = (70.0, 150.0)
"""Tube voltages for which the table may be interpolated, or extended by 10 kV at its ends."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """Geometry of the network's input; stored in the checkpoint, so training and inference cannot differ."""

    size_px: int = 80
    pixel_mm: float = 1.25
    slab_mm: float = 5.0
    slabs_per_level: int = 3
    slab_spacing_mm: float = 5.0


@dataclass(frozen=True, slots=True)
class KvpScale:
    """Factor that brings HU above water to 120 kVp; `known` is False where none could be derived (factor 1)."""

    factor: float
    known: bool


@dataclass(frozen=True, slots=True)
class Crops:
    """Axial slabs through one vertebral body, caudal first.

    Pixel (row r, column c) of crop i lies at `centre_mm[i] + (r - h) * pixel_mm * down + (c - h) * pixel_mm * right`
    with h = (size - 1) / 2, in DICOM patient coordinates.
    """

    hu: NDArray[np.float32]  # (n, size, size), 120 kVp equivalents
    z_mm: NDArray[np.float64]  # (n,) patient z of the slab's centre
    centre_mm: NDArray[np.float64]  # (n, 3) patient x, y, z of the crop's centre
    down: NDArray[np.float64]  # (3,) unit vector along rows, towards posterior
    right: NDArray[np.float64]  # (3,) unit vector along columns, towards the patient's left
    pixel_mm: float


def kvp_scale(kvp_kv: float | None) -> KvpScale:
    """Return the factor for HU above 0 that brings a tube voltage to 120 kVp, linear between tabulated voltages."""
    if kvp_kv is None or not KVP_RANGE_KV[0] <= kvp_kv <= KVP_RANGE_KV[1]:
        return KvpScale(factor=1.0, known=False)
    kv = np.array(sorted(HU_FACTOR_TO_120_KV))
    factor = np.array([HU_FACTOR_TO_120_KV[voltage] for voltage in kv])
    segment = int(np.clip(np.searchsorted(kv, kvp_kv) - 1, 0, len(kv) - 2))
    slope = (factor[segment + 1] - factor[segment]) / (kv[segment + 1] - kv[segment])
    return KvpScale(factor=float(factor[segment] + slope * (kvp_kv - kv[segment])), known=True)


def scale_to_120_kv(hu: NDArray[np.float32], hu_scale: float) -> NDArray[np.float32]:
    """Multiply what lies above water: fat and air hardly depend on the voltage, bone and contrast do."""
    return np.where(hu > 0, hu * np.float32(hu_scale), hu).astype(np.float32)


def crops(volume: Volume, vertebra: Vertebra, spec: InputSpec, hu_scale: float) -> Crops:
    """Cut `spec.slabs_per_level` slabs around the centre of the body.

    Slabs move together where the body is too low for the spacing, and slabs that fall on the same native slice
    are cut once. They follow the slice axis through the centre of the body, at most 5 mm up and down: over that
    distance a body tilted by 20 degrees moves 2 mm in the slice, well inside the shift the network is trained on.

    Raises:
        ValueError: the body's centre lies outside of the volume.
    """
    centre = volume.index(np.asarray(vertebra.centre_mm, dtype=np.float64))
    if not np.all((centre > -0.5) & (centre < np.asarray(volume.hu.shape) - 0.5)):
        raise ValueError(f"vertebra {vertebra.level}: its centre lies outside of the volume")
    offsets = np.unique(_slab_offsets_mm(vertebra, spec)) / volume.spacing_mm[0]
    weights = _slab_weights(volume, centre[0] + offsets, spec)
    heights = weights @ np.arange(len(volume.hu))
    in_plane = _sample_positions(volume, centre, spec)
    hu = np.stack([_resample(_slab(volume, row), *in_plane, spec.size_px) for row in weights])
    centre_mm = volume.patient_mm(np.column_stack([heights, np.tile(centre[1:], (len(heights), 1))]))
    return Crops(
        hu=scale_to_120_kv(hu, hu_scale),
        z_mm=centre_mm[:, 2],
        centre_mm=centre_mm,
        down=volume.axes[1],
        right=volume.axes[2],
        pixel_mm=spec.pixel_mm,
    )


def _slab_offsets_mm(vertebra: Vertebra, spec: InputSpec) -> NDArray[np.float64]:
    """Heights of slab centres above the body's centre, kept clear of the end plates."""
    height_mm = vertebra.upper_z_mm - vertebra.lower_z_mm
    wanted = (spec.slabs_per_level - 1) / 2 * spec.slab_spacing_mm
    room = max(height_mm / 2 - END_PLATE_MM - spec.slab_mm / 2, 0.0)
    reach = min(wanted, room)
    return np.linspace(-reach, reach, spec.slabs_per_level)


def _slab_weights(volume: Volume, heights: NDArray[np.float64], spec: InputSpec) -> NDArray[np.float64]:
    """Share of each slice in each slab, (slabs, slices); the native slice where it is as thick as the slab."""
    slices = np.arange(len(volume.hu))
    thickness_mm = max(volume.slice_thickness_mm, volume.spacing_mm[0])
    if thickness_mm > 0.9 * spec.slab_mm:
        nearest = np.unique(np.clip(np.rint(heights), 0, len(slices) - 1))
        return np.asarray(slices == nearest[:, None], dtype=np.float64)
    half = spec.slab_mm / volume.spacing_mm[0] / 2
    upper = np.minimum(heights[:, None] + half, slices + 0.5)
    lower = np.maximum(heights[:, None] - half, slices - 0.5)
    overlap = np.maximum(upper - lower, 0.0)
    inside = overlap[overlap.sum(axis=1) > 0]
    return np.asarray(inside / inside.sum(axis=1, keepdims=True), dtype=np.float64)


def _slab(volume: Volume, weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Mean over the slices of a slab, (rows, columns)."""
    used = np.flatnonzero(weights)
    return np.tensordot(weights[used].astype(np.float32), volume.hu[used].astype(np.float32), axes=1)


def _sample_positions(
    volume: Volume, centre: NDArray[np.float64], spec: InputSpec
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Row and column indices of two samples per crop pixel and direction, so that noise is averaged, not aliased."""
    mm = (np.arange(2 * spec.size_px) - (2 * spec.size_px - 1) / 2) * spec.pixel_mm / 2
    return centre[1] + mm / volume.spacing_mm[1], centre[2] + mm / volume.spacing_mm[2]


def _resample(
    image: NDArray[np.float32], rows: NDArray[np.float64], columns: NDArray[np.float64], size: int
) -> NDArray[np.float32]:
    """Interpolate linearly at rows x columns (each 2 * size long) and average 2 x 2 samples to a pixel."""
    by_row = _interpolation(rows, image.shape[0])
    by_column = _interpolation(columns, image.shape[1])
    sampled = by_row @ (image - np.float32(OUTSIDE_HU)) @ by_column.T + np.float32(OUTSIDE_HU)
    return np.asarray(sampled.reshape(size, 2, size, 2).mean(axis=(1, 3)), dtype=np.float32)


def _interpolation(positions: NDArray[np.float64], length: int) -> NDArray[np.float32]:
    """Linear interpolation as a matrix (positions, length); rows of positions outside are 0."""
    distance = np.abs(positions[:, None] - np.arange(length))
    return np.asarray(np.maximum(1 - distance, 0), dtype=np.float32)
