"""Pairs of CT crops and DXA -> a checkpoint: an ensemble of BMD_CNN with calibration, interval and metrics.

    python -m models.training PAIRS.npz [--beside REDENSIFIED.npz] --output FILE.safetensors --seed 1

Patients are split before anything is learned; metrics come from patients no member has seen, and the prediction
interval from a third set. Slices without a body (discs) keep the BMD of their vertebra, which they do not show: the
network learns to be unsure of them. Drawings and the slices of `--beside` are trained on only: they enter neither
metrics nor calibration. An interrupted training goes on where it stopped when the command is repeated.
"""

import argparse
import contextlib
import dataclasses
import json
import logging
import math
import shlex
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models import augmentation
from models.bmd_cnn import REFERENCE_DEPTH_MM, BmdCnn, Calibration, NetworkConfig
from models.checkpoint import Checkpoint, load, networks, save
from models.evaluation import (
    areal_attenuation,
    conformal_half_width,
    held_out_metrics,
    patient_bmd,
    read_slices,
)
from models.objective import Target, reading_loss
from models.pairs import (
    CALIBRATION_SHARE,
    VALIDATION_SHARE,
    Pairs,
    Shares,
    read_beside,
    read_pairs,
    sampling_weights,
    split_by_patient,
)
from models.phantom import draw_phantoms
from models.progress import Progress, State

logger = logging.getLogger("models.training")

REFERENCE = "areal BMD of the pairs file"
STRENGTHS = {"paper": augmentation.PAPER, "full": augmentation.FULL}


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Everything that decides the result besides the pairs."""

    seed: int = 1
    members: int = 4
    steps: int = 1200
    batch: int = 40
    learning_rate: float = 2.5e-3
    weight_decay: float = 1e-2
    augmentation: str = "full"  # "paper": its three families only
    phantoms: int = 3000  # drawings trained on beside the pairs; 0 for none
    shares: Shares = field(default_factory=Shares)
    calibration_share: float = CALIBRATION_SHARE  # of the patients, for the prediction interval
    validation_share: float = VALIDATION_SHARE  # of the patients, for the metrics
    auxiliary_weight: float = 0.5  # of the HU loss and of the depth loss
    report_every: int = 100  # steps between progress lines, where an interrupted training can go on
    beta: float = 0.5  # of the beta-NLL (Seitzer et al., ICLR 2022)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    input_spec: dict[str, float] = field(
        default_factory=lambda: {
            "size_px": 64,
            "pixel_mm": 1.25,
            "slab_mm": 5.0,
            "slabs_per_level": 3,
            "slab_spacing_mm": 5.0,
        }
    )

    @property
    def size_px(self) -> int:
        """Edge of the network's input."""
        return int(self.input_spec["size_px"])


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the pairs come from and what their BMD means."""

    name: str
    data_kind: str  # "simulated" or "site"
    command: str
    reference: str = REFERENCE
    osteoporosis_below_g_cm2: float = 0.772  # T <= -2.5, Hologic L1-L4 white female 1.047 (0.110), not verified


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

    `start_from` lends its weights and, without HU, its calibration; `beside` (`read_beside`) is trained on as well.

    Raises:
        ValueError: `start_from` has another network, nobody is left to train on, or nothing to calibrate with.
    """
    if start_from is not None and start_from.network != config.network:
        raise ValueError(f"the network of {start_from.name} to start from has other sizes than the one to train")
    split = split_by_patient(pairs, config.seed, config.calibration_share, config.validation_share)
    calibration = fit_calibration(split.training, provenance, start_from)
    logger.info("calibration %s", calibration)
    material = split.training
    if config.phantoms:
        material = material.with_others(draw_phantoms(config.phantoms, config.seed))
    if beside is not None:
        material = material.with_others(by_physics(beside, calibration))
    lesson = Lesson(material, config, calibration, device, start_from)
    progress = Progress.of(output, training_key(config, provenance))
    checkpoint = train_members(
        lesson, provenance, _training_facts(config, provenance, split.training, beside), progress
    )
    ensemble = networks(checkpoint)
    held_out = read_slices(ensemble, calibration, split.calibration, config.size_px)
    half_width = conformal_half_width(*patient_bmd(held_out, split.calibration))
    unseen = read_slices(ensemble, calibration, split.validation, config.size_px)
    metrics = held_out_metrics(unseen, split.validation, half_width, provenance.osteoporosis_below_g_cm2)
    metrics["n_calibration_patients"] = float(len(np.unique(split.calibration.patient)))
    logger.info("metrics %s", json.dumps(metrics))
    saved = save(dataclasses.replace(checkpoint, interval_half_width_g_cm2=half_width, metrics=metrics), output)
    progress.forget()
    return saved


def fit_calibration(pairs: Pairs, provenance: Provenance, start_from: Checkpoint | None) -> Calibration:
    """Fit BMD = offset + slope * areal attenuation over the vertebrae of the training patients.

    Raises:
        ValueError: attenuation and depth are not known and no checkpoint lends its calibration.
    """
    areal = areal_attenuation(pairs)
    known = pairs.is_body & np.isfinite(areal)
    if known.sum() >= 2 and np.ptp(areal[known]) > 0:
        slope, offset = np.polyfit(areal[known], pairs.bmd_g_cm2[known], 1)
        return Calibration(round(float(offset), 5), round(float(slope), 7), f"{provenance.name}-fit")
    if start_from is None:
        raise ValueError("the pairs hold no hu120 and depth_mm to calibrate with: give --start-from a checkpoint")
    return start_from.calibration


def by_physics(pairs: Pairs, calibration: Calibration) -> Pairs:
    """Label pairs whose BMD nobody has measured with what attenuation and depth alone amount to.

    So the network learns to add nothing beyond these to such pictures: what it reads of a simulated cortex is no
    evidence for a real one, and shifted real CT by 0.05 g/cm2 where nothing held it.
    """
    bmd = calibration.offset_g_cm2 + calibration.slope_g_cm2_per_hu * areal_attenuation(pairs)
    return dataclasses.replace(pairs, bmd_g_cm2=bmd.astype(np.float32))


def training_key(config: TrainingConfig, provenance: Provenance) -> str:
    """Tell one training from another."""
    return json.dumps([dataclasses.asdict(config), dataclasses.asdict(provenance)], sort_keys=True)


@dataclass(frozen=True, slots=True)
class Lesson:
    """What all members of an ensemble are trained with."""

    pairs: Pairs
    config: TrainingConfig
    calibration: Calibration
    device: str
    start_from: Checkpoint | None


def train_members(lesson: Lesson, provenance: Provenance, facts: dict[str, Any], progress: Progress) -> Checkpoint:
    """Train the whole ensemble; its interval and metrics are not measured yet."""
    members = tuple(train_member(number, lesson, progress) for number in range(lesson.config.members))
    return Checkpoint(
        name=provenance.name,
        data_kind=provenance.data_kind,
        network=lesson.config.network,
        calibration=lesson.calibration,
        input_spec=lesson.config.input_spec,
        interval_half_width_g_cm2=math.nan,
        metrics={},
        reference=provenance.reference,
        training=facts,
        members=members,
    )


def train_member(number: int, lesson: Lesson, progress: Progress) -> State:
    """Train one member of the ensemble, or go on with it, and return its weights."""
    if number < len(progress.finished):
        return progress.finished[number]
    config = lesson.config
    network = new_member(number, lesson)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    first = progress.resume(network, optimizer)
    weights = torch.from_numpy(sampling_weights(lesson.pairs, config.shares))
    begun = time.monotonic()
    for step in range(first, config.steps):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * one_cycle(step / config.steps)
        generator = torch.Generator().manual_seed((config.seed * 1000 + number) * 1_000_000 + step)
        chosen = torch.multinomial(weights, config.batch, replacement=True, generator=generator)
        loss = batch_loss(network, lesson, chosen, generator)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        if (step + 1) % config.report_every == 0 or step + 1 == config.steps:
            left_s = (time.monotonic() - begun) / (step + 1 - first) * (config.steps - step - 1)
            place = f"member {number + 1} of {config.members} step {step + 1} of {config.steps}"
            logger.info("%s loss %.3f, %.0f s left", place, loss.item(), left_s)
            progress.keep(network, optimizer, step + 1)
    return progress.finish(network)


def new_member(number: int, lesson: Lesson) -> BmdCnn:
    """Begin with the member's own random weights, or with those of the checkpoint to start from."""
    torch.manual_seed(lesson.config.seed * 1000 + number)
    network = BmdCnn(lesson.config.network)
    if lesson.start_from is not None:
        network.load_state_dict(lesson.start_from.members[number % len(lesson.start_from.members)])
    return network.to(lesson.device).train()


def batch_loss(network: BmdCnn, lesson: Lesson, chosen: Tensor, generator: torch.Generator) -> Tensor:
    """Augment the chosen slices, read them and compare."""
    index, pairs, config, calibration = chosen.numpy(), lesson.pairs, lesson.config, lesson.calibration
    crops, growth = augmentation.augment(
        torch.from_numpy(pairs.crops_hu[index]).to(lesson.device),
        config.size_px,
        config.input_spec["pixel_mm"],
        STRENGTHS[config.augmentation],
        generator,
    )
    bmd, hu, depth = (
        torch.from_numpy(column[index]).to(lesson.device) for column in (pairs.bmd_g_cm2, pairs.hu120, pairs.depth_mm)
    )
    depth = depth * growth
    added_hu = torch.nan_to_num(hu * depth * (1 - 1 / growth) / REFERENCE_DEPTH_MM)  # a deeper body holds more
    target = Target(
        bmd_hu=(bmd - calibration.offset_g_cm2) / calibration.slope_g_cm2_per_hu + added_hu,
        hu=hu,
        depth_mm=depth,
        is_body=torch.from_numpy(pairs.is_body[index]).to(lesson.device),
    )
    reading = network(crops, target.is_body & target.bmd_hu.isfinite())
    return reading_loss(reading, target, config.auxiliary_weight, config.beta)


def one_cycle(passed: float) -> float:
    """Share of the learning rate: up over the first quarter, then down along a cosine."""
    if passed < 0.25:
        return 0.04 + 0.96 * passed / 0.25
    return 0.5 * (1 + math.cos(math.pi * (passed - 0.25) / 0.75)) + 1e-4


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
    parser.add_argument("--phantom-share", type=float, help="of each batch; default: 1/2, or 1/4 with --beside")
    parser.add_argument("--beside", type=Path, help="pairs to train on beside, such as re-densified real CT")
    parser.add_argument("--beside-share", type=float, help="of each batch; default: 1/4 where --beside is given")
    parser.add_argument("--calibration-share", type=float, default=CALIBRATION_SHARE, help="of the patients")
    parser.add_argument("--validation-share", type=float, default=VALIDATION_SHARE, help="of the patients")
    parser.add_argument(
        "--channels", type=int, nargs=3, help="of the network; default: 16 32 64, or those of --start-from"
    )
    parser.add_argument("--learning-rate", type=float, default=defaults.learning_rate)
    parser.add_argument("--augmentation", choices=sorted(STRENGTHS), default=defaults.augmentation)
    parser.add_argument("--data-kind", choices=("simulated", "site"), required=True)
    parser.add_argument("--reference", default=REFERENCE, help="what the BMD values are measured against")
    parser.add_argument("--osteoporosis-below", type=float, default=0.772, help="BMD at T = -2.5, g/cm2")
    parser.add_argument("--start-from", type=Path, help="a checkpoint whose weights to go on from")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0 done, 1 an error in one line."""
    argv = sys.argv[1:] if argv is None else argv
    chosen = _arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logger.setLevel(logging.INFO)
    with contextlib.closing(logging.FileHandler(chosen.output.with_suffix(".log"))) as log:
        logger.addHandler(log)
        status = _run(chosen, f"python -m models.training {shlex.join(argv)}")
        logger.removeHandler(log)
    return status


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
    beside = chosen.beside_share if chosen.beside_share is not None else (0.25 if chosen.beside else 0.0)
    phantom = chosen.phantom_share if chosen.phantom_share is not None else (0.25 if chosen.beside else 0.5)
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
