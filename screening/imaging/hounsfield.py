"""Series -> Volume in Hounsfield units with checked geometry, or the reason why there is none."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Volume:
    """CT in canonical order: axis 0 caudal to cranial, axis 1 anterior to posterior, axis 2 patient right to left.

    `hu` is int16 (slices, rows, columns), Hounsfield units as acquired, padding and values outside the
    reconstruction circle clamped to -1024. `axes` row i is the unit vector of array axis i in DICOM patient
    coordinates (x to the left, y to posterior, z to cranial); `origin_mm` is the patient position (x, y, z) of the
    centre of voxel (0, 0, 0).
    """

    hu: NDArray[np.int16]
    spacing_mm: tuple[float, float, float]  # between slices, rows, columns
    origin_mm: tuple[float, float, float]
    axes: NDArray[np.float64]  # (3, 3)
    slice_thickness_mm: float
    kvp_kv: float | None

    def patient_mm(self, index: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn array indices (..., 3) in the order slice, row, column into patient x, y, z in mm."""
        steps = np.asarray(index) * np.asarray(self.spacing_mm)
        return np.asarray(self.origin_mm) + steps @ self.axes

    def index(self, patient_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn patient x, y, z in mm (..., 3) into fractional array indices slice, row, column."""
        along = (np.asarray(patient_mm) - np.asarray(self.origin_mm)) @ self.axes.T
        return along / np.asarray(self.spacing_mm)
