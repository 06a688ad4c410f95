"""A predictor that needs no weights: it reads the middle of each crop, as a region of interest would."""

import numpy as np
from numpy.typing import NDArray

from screening.imaging.model_input import InputSpec
from screening.prediction.inference import CheckpointFacts, SlicePredictions

HALF_PX = 5  # half edge of the square that is read, about 6 mm
OFFSET_G_CM2, SLOPE_G_CM2_PER_HU = 0.50, 0.0025
SD_G_CM2, BODY_DEPTH_MM = 0.03, 33.0
FACTS = CheckpointFacts(
    sha256="0" * 64,
    name="roi",
    data_kind="simulated",
    input_spec=InputSpec(),
    interval_half_width_g_cm2=0.08,
    metrics={},
)


class RoiPredictor:
    """Areal BMD from the mean attenuation in the middle of the crop."""

    facts = FACTS

    def __call__(self, crops_hu: NDArray[np.float32]) -> SlicePredictions:
        middle = crops_hu.shape[1] // 2
        window = slice(middle - HALF_PX, middle + HALF_PX)
        attended = crops_hu[:, window, window].mean(axis=(1, 2), dtype=np.float32)
        ones = np.ones_like(attended)
        attention = np.zeros((len(crops_hu), 16, 16), np.float32)
        attention[:, 7:9, 7:9] = 0.25
        bmd = np.float32(OFFSET_G_CM2) + np.float32(SLOPE_G_CM2_PER_HU) * attended
        return SlicePredictions(bmd, ones * np.float32(SD_G_CM2), attended, ones * np.float32(BODY_DEPTH_MM), attention)
