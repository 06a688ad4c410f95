"""Crops in HU -> areal BMD per slice: the only door to torch."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from screening.imaging.model_input import InputSpec


@dataclass(frozen=True, slots=True)
class SlicePredictions:
    """What the network read in n crops."""

    bmd_g_cm2: NDArray[np.float32]  # (n,)
    sd_g_cm2: NDArray[np.float32]  # (n,) total predictive standard deviation of the network's reading
    attended_hu: NDArray[np.float32]  # (n,) trabecular attenuation it attended, 120 kVp equivalent
    body_depth_mm: NDArray[np.float32]  # (n,) antero-posterior depth of the body
    attention: NDArray[np.float32]  # (n, h, w) where it looked, each map sums to 1


@dataclass(frozen=True, slots=True)
class CheckpointFacts:
    """What every result row must be traceable to."""

    sha256: str
    name: str
    data_kind: str  # "simulated" or "site"
    input_spec: InputSpec
    interval_half_width_g_cm2: float  # of the 90 % prediction interval of a patient's BMD
    metrics: dict[str, float]


class Predictor(Protocol):
    """Reads crops of shape (n, size, size), HU brought to 120 kVp, float32."""

    @property
    def facts(self) -> CheckpointFacts:
        """Say which checkpoint reads."""
        ...

    def __call__(self, crops_hu: NDArray[np.float32]) -> SlicePredictions:
        """Predict each crop by itself."""
        ...
