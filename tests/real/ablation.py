"""Pairs -> what each source of training slices buys, on real CT of patients that were not trained on.

    python tests/real/ablation.py PAIRS.npz [--external PAIRS2.npz] [--steps 800] [--folds 6] --work FOLDER

S are the simulated patients of PAIRS.npz, D drawings, R re-densified real slices of the bundled crops. One network is
trained for each combination and, where R is in it, for each fold: the patients of a fold are left out of R and read by
that network alone. No pixel of them is trained on; their shape is, in two patients: outlines of the simulated bodies of
S are mixed from label maps, TotalSegmentator's example and TPTBox's among them. Patients without a crop in R are read
by the first.

A network takes about two minutes of one core, so all six combinations with six folds (leave one patient out) take about
an hour; trainings that are there already are taken up, so the command may be interrupted and repeated. `--combination`
picks some; other options of the training are compared by naming another folder: networks of other steps or another seed
are refused.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import transfer
from real_ct import MEASURED, RealBody, read_bodies

from models.bmd_cnn import NetworkConfig
from models.checkpoint import Checkpoint, load
from models.cohorts import Cohort, read_cohort
from models.ensemble import Provenance, TrainingConfig
from models.measurement import measure
from models.pairs import Pairs, Shares, read_beside, read_pairs
from models.training import OTHERS_SHARE, train
from screening.prediction.inference import load_predictor
from screening.simulation import redensified

COMBINATIONS = ("S", "D", "S+D", "S+R", "D+R", "S+D+R")
VARIANTS = 20
FIGURES = (
    ("rmse", "RMSE"),
    ("slope", "slope"),
    ("bias", "bias"),
    ("bias_lowest_patient", "lowest"),
    ("hu_rmse", "HU RMSE"),
    ("hu_bias", "HU bias"),
    ("depth_rmse_mm", "depth RMSE"),
    ("counterfactual_bmd", "cf BMD"),
    ("counterfactual_hu", "cf HU"),
    ("counterfactual_hu_low", "cf HU low"),
    ("shift_change", "shift"),
    ("rotation_change", "turn"),
    ("noise_change", "noise"),
    ("disc_auc", "disc AUC"),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How the networks of an ablation are trained."""

    pairs: Pairs
    bodies: redensified.RealBodies
    work: Path
    steps: int
    seed: int
    folds: int


def shares_of(combination: str) -> Shares:
    """As much of each batch from S as the training's own, the rest in equal parts from the others."""
    others = [source for source in combination.split("+") if source != "S"]
    part = (OTHERS_SHARE if "S" in combination else 1.0) / max(len(others), 1)
    return Shares(phantom=part * ("D" in others), beside=part * ("R" in others))


def patient_folds(patients: Sequence[str], folds: int) -> list[list[str]]:
    """Deal the patients of R, in the order of their names, to the folds."""
    return [list(patients[first::folds]) for first in range(folds)]


def train_fold(plan: Plan, combination: str, left_out: Sequence[str]) -> Path:
    """Train one network, unless its checkpoint is there, and return the file.

    Raises:
        ValueError: the network that is there was trained with other steps or another seed.
    """
    output = plan.work / f"{'-'.join([combination, *left_out])}.safetensors"
    if output.exists():
        _check_kept(output, plan)
        return output
    config = TrainingConfig(
        seed=plan.seed,
        members=1,
        steps=plan.steps,
        phantoms=3000 if "D" in combination else 0,
        shares=shares_of(combination),
        network=NetworkConfig() if "S" in combination else NetworkConfig(beyond_channels=None),
    )
    beside = _beside(plan, left_out) if "R" in combination else None
    provenance = Provenance(output.stem, "simulated", f"ablation {combination} without {list(left_out)}")
    train(plan.pairs, config, provenance, output, beside=beside)
    return output


def _check_kept(path: Path, plan: Plan) -> None:
    config = load(path).training["config"]
    kept, wanted = (config["steps"], config["seed"]), (plan.steps, plan.seed)
    if kept != wanted:
        raise ValueError(
            f"{path.name} was trained with {kept[0]} steps and seed {kept[1]}, wanted are {wanted[0]} steps and seed "
            f"{wanted[1]}: name another --work folder"
        )


def _beside(plan: Plan, left_out: Sequence[str]) -> Pairs:
    path = plan.work / f"{'-'.join(['redensified', *left_out])}.npz"
    if not path.exists():
        redensified.redensify(plan.bodies.without_patients(list(left_out)), VARIANTS, plan.seed).save(path)
    return read_beside(path)


def rows_of(plan: Plan, combination: str, real: Sequence[RealBody]) -> tuple[list[transfer.Row], list[Checkpoint]]:
    """Read every real vertebra by a network that has not seen its patient."""
    known = sorted(set(plan.bodies.patient))
    folds = patient_folds(known, plan.folds) if "R" in combination else [[]]
    rows: list[transfer.Row] = []
    checkpoints = []
    for number, left_out in enumerate(folds):
        path = train_fold(plan, combination, left_out)
        unseen = [
            body
            for body in real
            if "R" not in combination or body.patient in left_out or (number == 0 and body.patient not in known)
        ]
        rows += transfer.evaluate(load_predictor(path, "cpu"), unseen)
        checkpoints.append(load(path))
    return rows, checkpoints


def line(
    combination: str, rows: Sequence[transfer.Row], checkpoints: Sequence[Checkpoint], external: Cohort | None
) -> str:
    """One combination of the table."""
    summary = asdict(transfer.summarise(rows))
    cells = [f"{summary[name]:.3f}" for name, _ in FIGURES]
    cells.append(f"{np.mean([one.metrics['pearson_r'] for one in checkpoints]):.3f}")
    if external is not None:
        measured = [measure(one, external).flat() for one in checkpoints]
        cells.append(f"{np.mean([one['r'] for one in measured]):.3f} ({measured[0]['r_physics']:.3f})")
    return f"| {combination} | {' | '.join(cells)} |"


def main(argv: list[str] | None = None) -> int:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(description="Compare sources of training slices on real CT.")
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--external", type=Path, help="simulated pairs of another institution, for r (physics)")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folds", type=int, default=6, help="6 leaves one patient of R out at a time")
    parser.add_argument("--combination", choices=COMBINATIONS, nargs="+", default=list(COMBINATIONS))
    parser.add_argument("--work", type=Path, required=True, help="folder for the trained networks")
    chosen = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    chosen.work.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        pairs=read_pairs(chosen.pairs),
        bodies=redensified.read_bodies(redensified.BUNDLED),
        work=chosen.work,
        steps=chosen.steps,
        seed=chosen.seed,
        folds=chosen.folds,
    )
    external = read_cohort(chosen.external) if chosen.external else None
    real = [body for body in read_bodies() if body.level in MEASURED]
    names = [title for _, title in FIGURES] + ["sim. r"] + (["external r (physics)"] if external else [])
    sys.stdout.write(f"| sources | {' | '.join(names)} |\n{'|---' * (len(names) + 1)}|\n")
    for combination in chosen.combination:
        sys.stdout.write(line(combination, *rows_of(plan, combination, real), external) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
