"""Seed -> axial crops around vertebral bodies with the areal BMD their density map projects to.

    python -m screening.simulation.pairs --patients 480 --seed 2020 --institution 1 --output pairs.npz

Every crop has a voltage, a slice thickness, blur and noise of its own; no scanner or vendor belongs to it, so the
institutions differ here in their people only.
"""

import argparse
import logging
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from screening.imaging.model_input import HU_FACTOR_TO_120_KV, scale_to_120_kv
from screening.simulation.anatomy import Anatomy, draw_anatomy, enhance, render_slab
from screening.simulation.cohort import INSTITUTIONS, Stream, draw_patient
from screening.simulation.densitometer import areal_bmd_g_cm2, measure_levels, read_dxa
from screening.simulation.scanner import KVP_SHARES, Kernel, attenuation_hu, blur, noise_tiles
from screening.simulation.vertebrae import MEASURED_LEVELS, Floats

logger = logging.getLogger("screening.simulation.pairs")

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
    bmd_true_g_cm2: NDArray[np.float32]  # areal BMD of the patient's L1-L4, exact
    bmd_dxa_g_cm2: NDArray[np.float32]  # the same as a densitometer read it, with its precision error
    kvp_kv: NDArray[np.int16]
    thickness_mm: NDArray[np.float32]

    def save(self, path: Path) -> None:
        """Write one .npz with the field names as keys, whole or not at all."""
        partial_path = path.with_name(path.name + ".writing")
        with partial_path.open("wb") as file:
            np.savez_compressed(file, **{name: getattr(self, name) for name in self.__dataclass_fields__})
        partial_path.replace(path)


@dataclass(frozen=True, slots=True)
class Crop:
    """One slice around a body and how it was acquired."""

    hu: Floats  # (96, 96), 120 kVp equivalents
    kvp_kv: int
    thickness_mm: float


def load_pairs(path: Path) -> Pairs:
    """Read what `Pairs.save` wrote."""
    with np.load(path) as arrays:
        return Pairs(**{name: arrays[name] for name in Pairs.__dataclass_fields__})


def join_pairs(parts: list[Pairs]) -> Pairs:
    """Put the pairs of several runs behind each other."""
    return Pairs(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in Pairs.__dataclass_fields__})


def training_pairs(
    *,
    patients: int,
    seed: int,
    institution: int,
    first: int = 1,
    processes: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Pairs:
    """Render crops of the patients numbered `first` to `first + patients - 1`; `progress` gets each number done."""
    numbers = range(first, first + patients)
    parts = []
    with _rendering(processes) as render:
        for number, part in zip(numbers, render(partial(_patient_pairs, seed, institution), numbers), strict=True):
            parts.append(part)
            if progress is not None:
                progress(number)
    return join_pairs(parts)


@contextmanager
def _rendering(processes: int) -> Iterator[Callable[[Callable[[int], Pairs], Iterable[int]], Iterable[Pairs]]]:
    """Map in this process or over several; the order, and so the pairs, are the same."""
    if processes == 1:
        yield map
        return
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        yield pool.map


def _patient_pairs(seed: int, institution: int, number: int) -> Pairs:
    patient = draw_patient(seed, institution, number)
    anatomy = draw_anatomy(patient)
    truths = measure_levels(anatomy.spine, anatomy.vessels.calcium)
    bmd_true = areal_bmd_g_cm2(truths)
    bmd_dxa = read_dxa(patient, bmd_true).bmd_g_cm2
    rng = patient.rng(Stream.CROPS)
    if rng.random() < BRIGHT_VESSELS:
        anatomy = replace(anatomy, torso=enhance(anatomy, rng).torso)
    crops, rows = [], []
    places = [(i, True) for i in range(len(MEASURED_LEVELS)) for _ in range(BODIES_PER_LEVEL)]
    places += [(int(i), False) for i in rng.integers(0, len(MEASURED_LEVELS), DISCS_PER_PATIENT)]
    for index, is_body in places:
        truth = truths[index]
        crops.append(_render_crop(anatomy, MEASURED_LEVELS[index], is_body, rng))
        rows.append((truth.bmd_g_cm2, truth.hu120, truth.depth_mm, is_body, index + 1))
    bmd, hu120, depth, body, level = (np.array(column) for column in zip(*rows, strict=True))
    return Pairs(
        crops_hu=np.stack([crop.hu for crop in crops]).astype(np.float16),
        bmd_g_cm2=bmd.astype(np.float32),
        hu120=hu120.astype(np.float32),
        depth_mm=depth.astype(np.float32),
        is_body=body.astype(bool),
        patient=np.full(len(crops), number, np.int32),
        level=level.astype(np.int8),
        bmd_true_g_cm2=np.full(len(crops), bmd_true, np.float32),
        bmd_dxa_g_cm2=np.full(len(crops), bmd_dxa, np.float32),
        kvp_kv=np.array([crop.kvp_kv for crop in crops], np.int16),
        thickness_mm=np.array([crop.thickness_mm for crop in crops], np.float32),
    )


def _render_crop(anatomy: Anatomy, level: str, is_body: bool, rng: Generator) -> Crop:
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
    return Crop(scale_to_120_kv(np.asarray(reported, np.float32), HU_FACTOR_TO_120_KV[kvp]), kvp, thickness)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m screening.simulation.pairs", description="Simulate CT crops with their exact areal BMD."
    )
    parser.add_argument("--patients", type=_positive, required=True, help="how many")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--institution", type=int, choices=sorted(INSTITUTIONS), default=1)
    parser.add_argument("--first", type=_positive, default=1, help="number of the first patient")
    parser.add_argument("--output", type=Path, required=True, help="the .npz file to write")
    parser.add_argument("--processes", type=_positive, default=len(os.sched_getaffinity(0)), help="default: one a core")
    chosen = parser.parse_args(argv)
    if chosen.seed < 0:
        parser.error(f"--seed must be 0 or more, found {chosen.seed}")
    if not chosen.output.parent.is_dir():
        parser.error(f"--output: there is no folder {chosen.output.parent}")
    return chosen


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, found {number}")
    return number


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    chosen = _arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logger.setLevel(logging.INFO)
    last, every = chosen.first + chosen.patients - 1, max(1, chosen.patients // 10)

    def report(number: int) -> None:
        done = number - chosen.first + 1
        if done % every == 0 or number == last:
            logger.info("simulated %d of %d patients of institution %d", done, chosen.patients, chosen.institution)

    pairs = training_pairs(
        patients=chosen.patients,
        seed=chosen.seed,
        institution=chosen.institution,
        first=chosen.first,
        processes=min(chosen.processes, chosen.patients),
        progress=report,
    )
    pairs.save(chosen.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
