"""The paper's design on simulated patients, and the bundled weights on fresh ones.

    python -m models.reproduce --seed 1 --json reproduction.json
    python -m models.reproduce --evaluate --patients 150 --seed 7 --json evaluation.json

The first trains on 1665 slices of 183 patients of institution 1, in 60 variants each (noise, parallel shift,
rotation), and measures on 45 others of institution 1 and 50 of institution 2 (Yasaka et al., Eur Radiol 2020;30:3549,
doi 10.1007/s00330-020-06677-0), and on more of institution 2 for narrower intervals. The second measures a checkpoint
as it is, on patients of institution 2, whose scanners no training patient was examined on. Other readers are measured
on the same patients; their lines are fitted to further patients of institution 1. Patients are simulated: the figures
tell how the design works, not how well DXA is predicted in people. What the folder `--work` holds already is not made
again, so an interrupted run goes on where it stopped; after a change of the simulation it takes an empty one.
"""

import argparse
import dataclasses
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.augmentation import PAPER_VARIANTS, paper_steps
from models.checkpoint import Checkpoint, bundled, load, networks, save
from models.cohorts import Cohort, Simulated, simulate
from models.ensemble import Lesson, Provenance, TrainingConfig, train_members
from models.evaluation import OSTEOPOROSIS_BELOW_G_CM2, conformal_half_width, patient_bmd
from models.labels import by_patient, fit_calibration
from models.measurement import (
    LARGEST_GROUP_BIAS_G_CM2,
    Lines,
    Measurement,
    fit_lines,
    measure,
    read_cohort_slices,
)
from models.pairs import Pairs
from models.progress import Progress
from models.reproduce_tables import design_table, evaluation_picture, evaluation_table
from models.training import training_key

logger = logging.getLogger("models.reproduce")

EXTERNAL = 2
"""Institution of the external patients; the training patients come from institution 1."""
LINE_PATIENTS, FIRST_LINE_PATIENT = 150, 500_001
"""Patients of institution 1 to whom the comparators' lines are fitted; their numbers are used for nothing else."""


@dataclass(frozen=True, slots=True)
class Design:
    """Patients and slices of the paper, and how many more external patients."""

    training: int = 183
    slices: int = 1665
    internal: int = 45
    external: int = 50
    large: int = 500


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where files are kept, what everything is drawn from, and how many processes simulate."""

    work: Path
    seed: int
    processes: int
    line_patients: int = LINE_PATIENTS
    contours: bool = True  # whether the contour reader reads the patients to be measured; that takes most of the time

    def cohort(self, institution: int, patients: int, first: int = 1, *, contours: bool = False) -> Cohort:
        """Make these patients or read them."""
        wanted = Simulated(institution, patients, first, contours and self.contours)
        return simulate(wanted, self.seed, self.work, self.processes)

    def lines(self) -> Lines:
        """Fit the comparators."""
        return fit_lines(self.cohort(1, self.line_patients, FIRST_LINE_PATIENT, contours=True))


def evaluate(place: Workplace, patients: int, checkpoint: Checkpoint) -> Measurement:
    """Measure a checkpoint on patients of institution 2, none of whom any training has seen."""
    return measure(checkpoint, place.cohort(EXTERNAL, patients, contours=True), place.lines())


def reproduce(place: Workplace, design: Design, config: TrainingConfig) -> dict[str, Measurement]:
    """Train as the paper did and measure each set of patients."""
    training = choose_slices(place.cohort(1, design.training).pairs, design.slices, place.seed)
    internal = place.cohort(1, design.internal, first=design.training + 1, contours=True)
    checkpoint, lines = train_once(training, internal, config, place.work), place.lines()
    measured = {
        "internal": measure(checkpoint, internal, lines),
        "external": measure(checkpoint, place.cohort(EXTERNAL, design.external, contours=True), lines),
    }
    if design.large:
        large = place.cohort(EXTERNAL, design.large, first=design.external + 1, contours=True)
        measured["external_large"] = measure(checkpoint, large, lines)
    return measured


def paper_config(design: Design, seed: int, members: int) -> TrainingConfig:
    """One pass over the paper's 99,900 images with its three augmentations; no drawings beside them."""
    config = TrainingConfig(seed=seed, members=members, augmentation="paper", phantoms=0)
    return dataclasses.replace(config, steps=paper_steps(design.slices, config.batch))


def choose_slices(pairs: Pairs, wanted: int, seed: int) -> Pairs:
    """Draw slices at random, from every patient as many as from the others, or one more."""
    if len(pairs) < wanted:
        raise ValueError(f"{wanted} training slices are wanted, the patients have {len(pairs)}")
    shuffled = np.random.default_rng(seed).permutation(len(pairs))
    turn = np.zeros(len(pairs), dtype=np.int64)  # the slice is its patient's first, second, ... to be drawn
    for patient in np.unique(pairs.patient):
        own = shuffled[pairs.patient[shuffled] == patient]
        turn[own] = np.arange(len(own))
    chosen = np.zeros(len(pairs), dtype=np.bool_)
    chosen[shuffled[np.argsort(turn[shuffled], kind="stable")][:wanted]] = True
    return pairs.where(chosen)


def train_once(training: Pairs, internal: Cohort, config: TrainingConfig, work: Path) -> Checkpoint:
    """Train on all slices, or load what an earlier call has trained; the internal patients set the 90 % interval."""
    output = work / f"bmd_cnn_paper_design_seed{config.seed}.safetensors"
    facts = {"config": json.loads(json.dumps(dataclasses.asdict(config))), "n_slices": len(training)}
    if output.exists():
        earlier = load(output)
        if facts.items() <= earlier.training.items():
            logger.info("using %s", output.name)
            return earlier
    provenance = Provenance(output.stem, "simulated", "python -m models.reproduce", "simulated DXA, Hologic-type L1-L4")
    calibration = fit_calibration(training, provenance.name, None)
    lesson = Lesson(by_patient(training, calibration), config, calibration, "cpu", None)
    progress = Progress.of(output, training_key(lesson, provenance))
    facts |= {"command": provenance.command, "n_patients": len(np.unique(training.patient))}
    checkpoint = train_members(lesson, provenance, facts, progress)
    read, _ = patient_bmd(read_cohort_slices(networks(checkpoint), checkpoint, internal), internal.pairs)
    half_width = conformal_half_width(read, internal.bmd_dxa_g_cm2)
    saved = save(dataclasses.replace(checkpoint, interval_half_width_g_cm2=half_width), output)
    progress.forget()
    return saved


def evaluation_document(measured: Measurement, checkpoint: Checkpoint, seed: int) -> dict[str, Any]:
    """Everything that one evaluation found, and on what."""
    return measured.flat() | {
        "patients": "simulated, institution 2",
        "seed": seed,
        "checkpoint": checkpoint.name,
        "checkpoint_sha256": checkpoint.sha256,
        "osteoporosis_below_g_cm2": OSTEOPOROSIS_BELOW_G_CM2,
        "interval_half_width_g_cm2": checkpoint.interval_half_width_g_cm2,
        **_groups_document(measured),
    }


def _groups_document(measured: Measurement) -> dict[str, Any]:
    return {
        "groups": [_rounded(dataclasses.asdict(group)) for group in measured.groups],
        "largest_group_bias_allowed_g_cm2": LARGEST_GROUP_BIAS_G_CM2,
        "groups_beyond_limit": list(measured.groups_beyond_limit()),
    }


def _rounded(found: Any) -> Any:
    """Round the figures of nested estimates."""
    if isinstance(found, dict):
        return {name: _rounded(value) for name, value in found.items()}
    return round(found, 5) if isinstance(found, float) else found


def design_document(measured: dict[str, Measurement], design: Design, config: TrainingConfig) -> dict[str, Any]:
    """Everything that the reproduction found, and from what."""
    return {
        "patients": "simulated",
        "design": dataclasses.asdict(design) | {"variants": PAPER_VARIANTS},
        "training": dataclasses.asdict(config),
        "sets": {name: _set_document(name, found) for name, found in measured.items()},
    }


def _set_document(name: str, found: Measurement) -> dict[str, Any]:
    """Leave coverage out of the internal set: the 90 % interval is set on these patients and covers them anyhow."""
    left_out = ("coverage", "coverage_low", "coverage_high") if name == "internal" else ()
    return {key: value for key, value in found.flat().items() if key not in left_out} | _groups_document(found)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m models.reproduce", description="Measure BMD_CNN on simulated patients with exact truth."
    )
    parser.add_argument("--evaluate", action="store_true", help="measure a checkpoint instead of training one")
    parser.add_argument("--patients", type=int, help="with --evaluate: how many external patients (150)")
    parser.add_argument("--checkpoint", type=Path, help="with --evaluate: a .safetensors file (the bundled one)")
    parser.add_argument("--line-patients", type=int, help=f"patients the comparators are fitted to ({LINE_PATIENTS})")
    parser.add_argument("--no-contours", action="store_true", help="leave out the contour reader, which is slow")
    parser.add_argument("--large", type=int, help="without --evaluate: further external patients (500; 0 for none)")
    parser.add_argument("--members", type=int, help="without --evaluate: networks in the ensemble (1, as the paper)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path, help="metrics to write; a .md table and a .svg picture beside it")
    parser.add_argument("--work", type=Path, help="folder to keep patients and training in (default: none is kept)")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)), help="default: one a core")
    chosen = parser.parse_args(argv)
    stray = ("large", "members") if chosen.evaluate else ("patients", "checkpoint")
    for name in stray:
        if getattr(chosen, name) is not None:
            parser.error(f"--{name} is of no use {'with' if chosen.evaluate else 'without'} --evaluate")
    for name, least in (
        ("patients", 4),
        ("large", 0),
        ("members", 1),
        ("line_patients", 4),
        ("seed", 0),
        ("processes", 1),
    ):
        if getattr(chosen, name) is not None and getattr(chosen, name) < least:
            parser.error(f"--{name.replace('_', '-')} must be {least} or more, found {getattr(chosen, name)}")
    if chosen.json is not None and not chosen.json.parent.is_dir():
        parser.error(f"--json: there is no folder {chosen.json.parent}")
    return chosen


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0 done, 1 an error in one line."""
    chosen = _arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    for name in ("models.reproduce", "models.training"):
        logging.getLogger(name).setLevel(logging.INFO)
    torch.set_num_threads(1)
    try:
        with _workplace(chosen) as place:
            document, table, picture = _evaluate(chosen, place) if chosen.evaluate else _reproduce(chosen, place)
        path = chosen.json or Path("evaluation.json" if chosen.evaluate else "reproduction.json")
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        path.with_suffix(".md").write_text(table, encoding="utf-8")
        path.with_suffix(".svg").write_text(picture, encoding="utf-8")
    except (ValueError, OSError) as error:
        logger.error("%s", error)
        return 1
    sys.stdout.write(table)
    return 0


@contextmanager
def _workplace(chosen: argparse.Namespace) -> Iterator[Workplace]:
    settings = (chosen.seed, chosen.processes, chosen.line_patients or LINE_PATIENTS, not chosen.no_contours)
    if chosen.work is None:
        with tempfile.TemporaryDirectory(prefix="bmd_cnn_") as folder:
            yield Workplace(Path(folder), *settings)
        return
    chosen.work.mkdir(parents=True, exist_ok=True)
    yield Workplace(chosen.work, *settings)


def _evaluate(chosen: argparse.Namespace, place: Workplace) -> tuple[dict[str, Any], str, str]:
    checkpoint = load(chosen.checkpoint or bundled())
    measured = evaluate(place, chosen.patients or 150, checkpoint)
    document = evaluation_document(measured, checkpoint, chosen.seed)
    return document, evaluation_table(measured, checkpoint.name), evaluation_picture(measured)


def _reproduce(chosen: argparse.Namespace, place: Workplace) -> tuple[dict[str, Any], str, str]:
    design = Design() if chosen.large is None else Design(large=chosen.large)
    config = paper_config(design, chosen.seed, chosen.members or 1)
    measured = reproduce(place, design, config)
    picture = evaluation_picture(list(measured.values())[-1])
    return design_document(measured, design, config), design_table(measured), picture


if __name__ == "__main__":
    sys.exit(main())
