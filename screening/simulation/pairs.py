"""Seed -> axial crops around vertebral bodies with the areal BMD their density map projects to.

    python -m screening.simulation.pairs --patients 480 --seed 2020 --institution 1 --output pairs.npz

With `--sites` the patients are dealt to as many hospitals of the institution. These have the same models of scanners,
but machines of their own, with other errors of calibration, and see other people; trained at one, a network would learn
its errors too.
Crops are of levels without screws or cement; the labels are those of the bone before these were put in.

All crops of a patient come from one examination on a scanner of the institution, at the 5 mm (or the series' own
thickness, if that is more) that the product feeds the network. The institutions share no scanner. The DXA is on the
Hologic scale at both of them.
"""

import argparse
import logging
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from screening.simulation.anatomy import draw_anatomy
from screening.simulation.cohort import INSTITUTIONS, Stream, draw_patient, hospital
from screening.simulation.crops import examine, region_of_interest, render_crop, trace
from screening.simulation.densitometer import areal_bmd_g_cm2, measure_levels, read_dxa
from screening.simulation.scanner import effective_diameter_mm
from screening.simulation.vertebrae import MEASURED_LEVELS

logger = logging.getLogger("screening.simulation.pairs")

BODIES_PER_PATIENT = 12  # spread over the levels without cement or screws
DISCS_PER_PATIENT = 3


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
    thickness_mm: NDArray[np.float32]  # of the series, not of the slab
    manufacturer: NDArray[np.str_]
    scanner: NDArray[np.str_]  # model and station
    kernel: NDArray[np.str_]
    effective_diameter_mm: NDArray[np.float32]  # of the body
    age_years: NDArray[np.float32]
    sex: NDArray[np.str_]
    roi_hu: NDArray[np.float32]  # mean of an ellipse about the localised centre, 120 kVp equivalents; NaN in discs
    contour_hu: NDArray[np.float32]  # trabecular mean of the product's contour reader; NaN in discs or not asked for
    contour_depth_mm: NDArray[np.float32]  # body depth by the contour reader; NaN as above

    def save(self, path: Path) -> None:
        """Write one .npz with the field names as keys, whole or not at all."""
        partial_path = path.with_name(path.name + ".writing")
        with partial_path.open("wb") as file:
            np.savez_compressed(file, **{name: getattr(self, name) for name in self.__dataclass_fields__})
        partial_path.replace(path)


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
    sites: int = 1,
    processes: int = 1,
    contours: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Pairs:
    """Render crops of the patients numbered `first` to `first + patients - 1`.

    Args:
        patients: how many.
        seed: of everything.
        institution: whose people and scanners.
        first: number of the first patient.
        sites: hospitals that the patients are dealt to; their seeds follow `seed`.
        processes: that render at the same time; the pairs are the same for any number.
        contours: let the contour reader measure each body; it takes five times as long as rendering.
        progress: called with each number done.
    """
    numbers = range(first, first + patients)
    parts = []
    with _rendering(processes) as render:
        for number, part in zip(
            numbers, render(partial(_patient_pairs, seed, sites, institution, contours), numbers), strict=True
        ):
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


def _patient_pairs(seed: int, sites: int, institution: int, contours: bool, number: int) -> Pairs:
    own = seed + (number - 1) % sites
    patient = draw_patient(own, institution, number, hospital(own, institution) if sites > 1 else None)
    anatomy = draw_anatomy(patient)
    truths = measure_levels(anatomy.spine, anatomy.vessels.calcium)
    rng = patient.rng(Stream.CROPS)
    examination = examine(patient, anatomy, rng)
    protocol = examination.protocol
    assessable = [i for i, truth in enumerate(truths) if truth.assessable]
    places = [(int(i), True) for i in np.sort(np.resize(assessable, BODIES_PER_PATIENT))]
    places += [(int(i), False) for i in rng.choice(assessable, DISCS_PER_PATIENT)]
    crops = np.stack([render_crop(examination, MEASURED_LEVELS[i], is_body, rng) for i, is_body in places])
    of_level = [truths[i] for i, _ in places]
    is_body = np.array([body for _, body in places])
    outlines = [
        trace(crop) if body and contours else (np.nan, np.nan) for crop, body in zip(crops, is_body, strict=True)
    ]
    bmd_true = areal_bmd_g_cm2(truths)

    def same(value: float | str, kind: type = np.float32) -> NDArray[Any]:
        return np.full(len(places), value, None if isinstance(value, str) else kind)

    return Pairs(
        crops_hu=crops.astype(np.float16),
        bmd_g_cm2=np.array([level.bmd_g_cm2 for level in of_level], np.float32),
        hu120=np.array([level.hu120 for level in of_level], np.float32),
        depth_mm=np.array([level.depth_mm for level in of_level], np.float32),
        is_body=is_body,
        patient=same(number, np.int32),
        level=np.array([i + 1 for i, _ in places], np.int8),
        bmd_true_g_cm2=same(bmd_true),
        bmd_dxa_g_cm2=same(read_dxa(patient, bmd_true).bmd_g_cm2),
        kvp_kv=same(protocol.kvp_kv, np.int16),
        thickness_mm=same(protocol.thickness_mm),
        manufacturer=same(protocol.scanner.model.manufacturer),
        scanner=same(f"{protocol.scanner.model.model} {protocol.scanner.station}"),
        kernel=same(protocol.kernel.name),
        effective_diameter_mm=same(effective_diameter_mm(patient)),
        age_years=same(patient.age_years),
        sex=same(patient.sex),
        roi_hu=np.where(is_body, crops[:, region_of_interest()].mean(axis=1), np.nan).astype(np.float32),
        contour_hu=np.array([hu for hu, _ in outlines], np.float32),
        contour_depth_mm=np.array([depth for _, depth in outlines], np.float32),
    )


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m screening.simulation.pairs", description="Simulate CT crops with their exact areal BMD."
    )
    parser.add_argument("--patients", type=_positive, required=True, help="how many")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--institution", type=int, choices=sorted(INSTITUTIONS), default=1)
    parser.add_argument("--sites", type=_positive, default=1, help="hospitals that the patients are dealt to (1)")
    parser.add_argument("--first", type=_positive, default=1, help="number of the first patient")
    parser.add_argument("--output", type=Path, required=True, help="the .npz file to write")
    parser.add_argument("--contours", action="store_true", help="measure every body with the contour reader too (slow)")
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
        sites=chosen.sites,
        processes=min(chosen.processes, chosen.patients),
        contours=chosen.contours,
        progress=report,
    )
    pairs.save(chosen.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
