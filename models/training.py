"""Pairs of CT crops and DXA -> a checkpoint: an ensemble of BMD_CNN with calibration, interval and metrics.

    python -m models.training PAIRS.npz [--beside REDENSIFIED.npz] --output FILE.safetensors --seed 1

Patients are split before anything is learned; metrics come from patients no member has seen, and the prediction
interval from a third set. Slices without a body (discs) keep the BMD of their vertebra, which they do not show: the
network learns to be unsure of them. Drawings and the slices of `--beside` are trained on only: they enter neither
metrics nor calibration. An interrupted training goes on where it stopped when the command is repeated. Beside the
checkpoint stand its log and its metrics, FILE.log and FILE.json.
"""

import argparse
import contextlib
import dataclasses
import json
import logging
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.bmd_cnn import Calibration, NetworkConfig
from models.checkpoint import Checkpoint, load, networks, save
from models.ensemble import REFERENCE, STRENGTHS, Lesson, Provenance, TrainingConfig, train_members
from models.evaluation import (
    OSTEOPOROSIS_BELOW_G_CM2,
    conformal_half_width,
    conformal_rank,
    held_out_metrics,
    patient_bmd,
    read_slices,
)
from models.labels import by_patient, by_physics, fit_calibration
from models.pairs import (
    CALIBRATION_SHARE,
    VALIDATION_SHARE,
    Pairs,
    Shares,
    Split,
    read_beside,
    read_pairs,
    split_by_patient,
)
from models.phantom import draw_phantoms
from models.progress import Progress

logger = logging.getLogger("models.training")

OTHERS_SHARE = 0.35
"""Of each batch: drawings and the slices beside the pairs together."""


def train(
    pairs: Pairs,
    config: TrainingConfig,
    provenance: Provenance,
    output: Path,
    device: str = "cpu",
    start_from: Checkpoint | None = None,
    beside: Pairs | None = None,
) -> Checkpoint:
    """Train, measure and write one checkpoint.

    `start_from` lends its weights and, to few patients, its calibration (`fit_calibration`); `beside` (`read_beside`)
    is trained on as well.

    Raises:
        ValueError: `start_from` has another network, nobody is left to train on, too few are left for the interval, or
            nothing to calibrate with, or BMD that does not rise with attenuation.
    """
    if start_from is not None and start_from.network != config.network:
        raise ValueError(f"the network of {start_from.name} to start from has other sizes than the one to train")
    split = split_by_patient(pairs, config.seed, config.calibration_share, config.validation_share)
    conformal_rank(len(np.unique(split.calibration.patient)))  # known before hours of training
    calibration = fit_calibration(split.training, provenance.name, start_from)
    logger.info("calibration %s", calibration)
    lesson = Lesson(_material(split.training, beside, config, calibration), config, calibration, device, start_from)
    progress = Progress.of(output, training_key(lesson, provenance))
    facts = _training_facts(config, provenance, split.training, beside)
    trained = train_members(lesson, provenance, facts, progress)
    if start_from is None or calibration != start_from.calibration:  # a calibration that is lent stays as it is
        trained = _centred(trained, split.training, config)
    saved = save(_measured(trained, split, config, provenance), output)
    figures = {"sha256": saved.sha256, "interval_half_width_g_cm2": saved.interval_half_width_g_cm2} | saved.metrics
    output.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    progress.forget()
    return saved


def _material(pairs: Pairs, beside: Pairs | None, config: TrainingConfig, calibration: Calibration) -> Pairs:
    """Label everything that is trained on: the patients' slices, drawings, and the slices beside."""
    material = by_patient(pairs, calibration)
    if config.phantoms:
        material = material.with_others(by_physics(draw_phantoms(config.phantoms, config.seed), calibration))
    if beside is not None:
        material = material.with_others(by_physics(beside, calibration))
    return material


def _centred(checkpoint: Checkpoint, training: Pairs, config: TrainingConfig) -> Checkpoint:
    """Take out what the patients trained on are read too high or too low on average, without augmentation.

    Enlarged, blurred and noisy slices are what the members have learned from; plain ones were read 0.003 g/cm2 low.
    """
    calibration = checkpoint.calibration
    plain = read_slices(networks(checkpoint), calibration, training, config.size_px)
    read, reference = patient_bmd(plain, training)
    bias = float(np.mean(read - reference))
    logger.info("read %+.4f g/cm2 off on average; taken out of the offset", bias)
    centred = dataclasses.replace(calibration, offset_g_cm2=round(calibration.offset_g_cm2 - bias, 5))
    return dataclasses.replace(checkpoint, calibration=centred)


def _measured(checkpoint: Checkpoint, split: Split, config: TrainingConfig, provenance: Provenance) -> Checkpoint:
    """Take the interval from the calibration patients and the metrics from the validation patients."""
    ensemble = networks(checkpoint)
    held_out = read_slices(ensemble, checkpoint.calibration, split.calibration, config.size_px)
    half_width = conformal_half_width(*patient_bmd(held_out, split.calibration))
    unseen = read_slices(ensemble, checkpoint.calibration, split.validation, config.size_px)
    metrics = held_out_metrics(unseen, split.validation, half_width, provenance.osteoporosis_below_g_cm2)
    metrics["n_calibration_patients"] = float(len(np.unique(split.calibration.patient)))
    logger.info("metrics %s", json.dumps(metrics))
    return dataclasses.replace(checkpoint, interval_half_width_g_cm2=half_width, metrics=metrics)


def training_key(lesson: Lesson, provenance: Provenance) -> str:
    """Tell one training from another, by the contents of what is trained on and not by the names of files."""
    start_from = None if lesson.start_from is None else lesson.start_from.sha256
    settings = [dataclasses.asdict(one) for one in (lesson.config, lesson.calibration, provenance)]
    return json.dumps([lesson.pairs.digest(), start_from, *settings], sort_keys=True)


def _training_facts(
    config: TrainingConfig, provenance: Provenance, pairs: Pairs, beside: Pairs | None
) -> dict[str, Any]:
    return {
        "command": provenance.command,
        "config": dataclasses.asdict(config),
        "n_patients": len(np.unique(pairs.patient)),
        "n_slices": len(pairs),
        "n_patients_beside": 0 if beside is None else len(np.unique(beside.patient)),
        "n_slices_beside": 0 if beside is None else len(beside),
        "torch": torch.__version__,
        "osteoporosis_below_g_cm2": provenance.osteoporosis_below_g_cm2,
    }


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m models.training", description="Train BMD_CNN on CT+DXA pairs.")
    defaults = TrainingConfig()
    parser.add_argument("pairs", type=Path, help="an .npz file of pairs")
    parser.add_argument("--output", type=Path, required=True, help="the .safetensors file to write")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--members", type=int, default=defaults.members, help="networks in the ensemble")
    parser.add_argument("--steps", type=int, default=defaults.steps, help="training steps of each member")
    parser.add_argument("--batch", type=int, default=defaults.batch)
    parser.add_argument("--phantoms", type=int, default=defaults.phantoms, help="drawings to train on beside the pairs")
    parser.add_argument("--phantom-share", type=float, help="of each batch; default: 0.35, half of it with --beside")
    parser.add_argument("--beside", type=Path, help="pairs to train on beside, such as re-densified real CT")
    parser.add_argument("--beside-share", type=float, help="of each batch; default: 0.175 where --beside is given")
    parser.add_argument("--calibration-share", type=float, default=CALIBRATION_SHARE, help="of the patients")
    parser.add_argument("--validation-share", type=float, default=VALIDATION_SHARE, help="of the patients")
    parser.add_argument(
        "--channels", type=int, nargs=3, help="of the network; default: 16 32 64, or those of --start-from"
    )
    parser.add_argument("--learning-rate", type=float, default=defaults.learning_rate)
    parser.add_argument("--augmentation", choices=sorted(STRENGTHS), default=defaults.augmentation)
    parser.add_argument("--data-kind", choices=("simulated", "site"), required=True)
    parser.add_argument("--reference", default=REFERENCE, help="what the BMD values are measured against")
    parser.add_argument(
        "--osteoporosis-below", type=float, default=OSTEOPOROSIS_BELOW_G_CM2, help="BMD at T = -2.5, g/cm2"
    )
    parser.add_argument("--start-from", type=Path, help="a checkpoint whose weights to go on from")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0 done, 1 an error in one line."""
    argv = sys.argv[1:] if argv is None else argv
    chosen = _arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logger.setLevel(logging.INFO)
    try:
        file = logging.FileHandler(chosen.output.with_suffix(".log"))
    except (OSError, ValueError) as error:
        logger.error("--output: nothing can be written there: %s", error)
        return 1
    with contextlib.closing(file) as log:
        logger.addHandler(log)
        status = _run(chosen, f"python -m models.training {shlex.join(_without_folders(argv, chosen))}")
        logger.removeHandler(log)
    return status


def _without_folders(argv: list[str], chosen: argparse.Namespace) -> list[str]:
    """Name files without their folders: the command is kept in a checkpoint that leaves the machine."""
    paths = {value for value in vars(chosen).values() if isinstance(value, Path)}
    return [_without_folder(item, paths) for item in argv]


def _without_folder(item: str, paths: set[Path]) -> str:
    """Shorten an item that is a path, or an option with a path behind "="."""
    option, equals, value = item.partition("=") if item.startswith("--") else ("", "", item)
    return f"{option}{equals}{Path(value).name}" if Path(value) in paths else item


def _run(chosen: argparse.Namespace, command: str) -> int:
    torch.set_num_threads(1)
    provenance = Provenance(
        name=chosen.output.stem,
        data_kind=chosen.data_kind,
        command=command,
        reference=chosen.reference,
        osteoporosis_below_g_cm2=chosen.osteoporosis_below,
    )
    device = ("cuda" if torch.cuda.is_available() else "cpu") if chosen.device == "auto" else chosen.device
    try:
        start_from = load(chosen.start_from) if chosen.start_from else None
        config = _config(chosen, start_from)
        beside = read_beside(chosen.beside) if chosen.beside else None
        saved = train(read_pairs(chosen.pairs), config, provenance, chosen.output, device, start_from, beside)
    except ValueError as error:
        logger.error("%s", error)
        return 1
    logger.info("wrote %s, SHA-256 %s", chosen.output, saved.sha256)
    return 0


def _config(chosen: argparse.Namespace, start_from: Checkpoint | None) -> TrainingConfig:
    network = NetworkConfig() if start_from is None else start_from.network
    if chosen.channels:
        network = dataclasses.replace(network, channels=tuple(chosen.channels))
    beside = chosen.beside_share if chosen.beside_share is not None else (OTHERS_SHARE / 2 if chosen.beside else 0.0)
    phantom = chosen.phantom_share if chosen.phantom_share is not None else (OTHERS_SHARE / (2 if chosen.beside else 1))
    return TrainingConfig(
        seed=chosen.seed,
        members=chosen.members,
        steps=chosen.steps,
        batch=chosen.batch,
        phantoms=chosen.phantoms,
        shares=Shares(phantom=phantom, beside=beside),
        calibration_share=chosen.calibration_share,
        validation_share=chosen.validation_share,
        network=network,
        learning_rate=chosen.learning_rate,
        augmentation=chosen.augmentation,
    )


if __name__ == "__main__":
    sys.exit(main())
