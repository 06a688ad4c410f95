"""Seed -> axial crops around vertebral bodies with the areal BMD their density map projects to."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from screening.imaging.model_input import HU_FACTOR_TO_120_KV, scale_to_120_kv
from screening.simulation.anatomy import Anatomy, draw_anatomy, enhance, render_slab
from screening.simulation.cohort import Stream, draw_patient
from screening.simulation.densitometer import measure_levels
from screening.simulation.scanner import KVP_SHARES, Kernel, attenuation_hu, blur, noise_tiles
from screening.simulation.vertebrae import MEASURED_LEVELS, Floats

CROP_PX, PIXEL_MM = 96, 1.25
BODIES_PER_LEVEL = 3
DISCS_PER_PATIENT = 3
BODY_REACH_MM = 8.0
JITTER_SD_MM = 2.0  # of the body centre a localiser reports
THICKNESSES_MM = (1.0, 3.0, 5.0)
GAIN_SD, OFFSET_SD_HU = 0.02, 3.0  # calibration of scanners
BRIGHT_VESSELS = 0.1  # share of patients whose vessels and kidneys carry contrast; their bone is left as it is


@dataclass(frozen=True, slots=True)
class Pairs:
    """Training crops and their exact labels; all arrays share the first axis."""

    crops_hu: NDArray[np.float16]  # (n, 96, 96) at 1.25 mm, 120 kVp equivalents
    bmd_g_cm2: NDArray[np.float32]  # areal BMD of the vertebra
    hu120: NDArray[np.float32]  # mean of its cancellous interior
    depth_mm: NDArray[np.float32]  # its outer antero-posterior depth
    is_body: NDArray[np.bool_]  # False: a disc slice, with the labels of the vertebra above
    patient: NDArray[np.int32]  # number of the patient
    level: NDArray[np.int8]  # 1 to 4

    def save(self, path: Path) -> None:
        """Write one .npz with the field names as keys."""
        np.savez_compressed(path, **{name: getattr(self, name) for name in self.__dataclass_fields__})


def load_pairs(path: Path) -> Pairs:
    """Read what `Pairs.save` wrote."""
    with np.load(path) as arrays:
        return Pairs(**{name: arrays[name] for name in Pairs.__dataclass_fields__})


def join_pairs(parts: list[Pairs]) -> Pairs:
    """Put the pairs of several runs behind each other."""
    return Pairs(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in Pairs.__dataclass_fields__})


def training_pairs(
    *, patients: int, seed: int, institution: int, first: int = 1, progress: Callable[[int], None] | None = None
) -> Pairs:
    """Render crops of the patients numbered `first` to `first + patients - 1`."""
    parts = []
    for number in range(first, first + patients):
        parts.append(_patient_pairs(seed, institution, number))
        if progress is not None:
            progress(number)
    return join_pairs(parts)


def _patient_pairs(seed: int, institution: int, number: int) -> Pairs:
    patient = draw_patient(seed, institution, number)
    anatomy = draw_anatomy(patient)
    truths = measure_levels(anatomy.spine, anatomy.vessels.calcium)
    rng = patient.rng(Stream.CROPS)
    if rng.random() < BRIGHT_VESSELS:
        anatomy = replace(anatomy, torso=enhance(anatomy, rng).torso)
    crops, rows = [], []
    places = [(i, True) for i in range(len(MEASURED_LEVELS)) for _ in range(BODIES_PER_LEVEL)]
    places += [(int(i), False) for i in rng.integers(0, len(MEASURED_LEVELS), DISCS_PER_PATIENT)]
    for index, is_body in places:
        truth = truths[index]
        crops.append(_render_crop(anatomy, MEASURED_LEVELS[index], is_body, rng))
        rows.append((truth.bmd_g_cm2, truth.hu120, truth.depth_mm, is_body, number, index + 1))
    bmd, hu120, depth, body, who, level = (np.array(column) for column in zip(*rows, strict=True))
    return Pairs(
        np.stack(crops).astype(np.float16),
        bmd.astype(np.float32),
        hu120.astype(np.float32),
        depth.astype(np.float32),
        body.astype(bool),
        who.astype(np.int32),
        level.astype(np.int8),
    )


def _render_crop(anatomy: Anatomy, level: str, is_body: bool, rng: Generator) -> Floats:
    vertebra = anatomy.spine.level(level)
    gap = 0.5 * vertebra.height_mm
    along = rng.uniform(-BODY_REACH_MM, BODY_REACH_MM) if is_body else -gap - rng.uniform(1.5, 5.5)
    x, y, z = np.asarray(vertebra.centre_mm) + along * vertebra.axes[2]
    x, y = x + rng.normal(0.0, JITTER_SD_MM), y + rng.normal(0.0, JITTER_SD_MM)
    steps = (np.arange(CROP_PX) - (CROP_PX - 1) / 2.0) * PIXEL_MM
    thickness, kvp = float(rng.choice(THICKNESSES_MM)), int(rng.choice(list(KVP_SHARES), p=list(KVP_SHARES.values())))
    slab = render_slab(anatomy, x + steps, y + steps, float(z), thickness)
    mineral = slab.mineral_mg * np.float32(rng.normal(1.0, GAIN_SD))
    hu = attenuation_hu(slab.soft_hu, mineral, kvp)
    kernel = Kernel("", rng.uniform(0.4, 1.1), rng.uniform(0.0, 0.8), 1.0, 0.0)
    seen = blur(hu, kernel, PIXEL_MM)
    noise = noise_tiles(CROP_PX, rng.uniform(0.5, 1.1), rng, 1)[0] * np.float32(rng.uniform(4.0, 30.0))
    reported = seen + noise + np.float32(rng.normal(0.0, OFFSET_SD_HU))
    return scale_to_120_kv(np.asarray(reported, np.float32), HU_FACTOR_TO_120_KV[kvp])
