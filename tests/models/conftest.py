from collections.abc import Callable

import numpy as np
import pytest

from models.pairs import Pairs


def draw_pairs(n_patients: int, seed: int) -> Pairs:
    """Bright ellipses on muscle: density and depth known, one flat disc slice per patient, 96 pixels of 1.25 mm."""
    random = np.random.default_rng(seed)
    y, x = (np.mgrid[0:96, 0:96] - 47.5) * 1.25
    patient = np.repeat(np.arange(n_patients), 4)
    n = len(patient)
    hu = np.repeat(random.uniform(20, 280, n_patients), 4)
    depth = np.repeat(random.uniform(26, 40, n_patients), 4)
    is_body = np.arange(n) % 4 < 3
    inside = (y / depth[:, None, None] * 2) ** 2 + (x / depth[:, None, None] / 0.65) ** 2
    body = np.where(inside < 0.75, hu[:, None, None], 450.0)
    body = np.where(is_body[:, None, None], body, 90.0)
    crops = np.where(inside < 1, body, 50.0) + random.normal(0, 10, (n, 96, 96))
    return Pairs(
        crops_hu=crops.astype(np.float32),
        bmd_g_cm2=(0.6 + 0.0025 * hu * depth / 33).astype(np.float32),
        hu120=hu.astype(np.float32),
        depth_mm=depth.astype(np.float32),
        is_body=is_body,
        patient=patient.astype(np.str_),
        level=np.full(n, "2"),
    )


@pytest.fixture
def draw() -> Callable[[int], Pairs]:
    """Pairs of as many patients as asked for."""
    return lambda n_patients: draw_pairs(n_patients, seed=1)


@pytest.fixture
def pairs() -> Pairs:
    return draw_pairs(n_patients=80, seed=3)
