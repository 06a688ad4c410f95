"""A lesson -> trained members of an ensemble, step by step, each of which can be interrupted and gone on with."""

import logging
import math
import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from models import augmentation
from models.bmd_cnn import REFERENCE_DEPTH_MM, BmdCnn, Calibration, NetworkConfig
from models.checkpoint import Checkpoint
from models.evaluation import OSTEOPOROSIS_BELOW_G_CM2
from models.objective import Target, reading_loss
from models.pairs import CALIBRATION_SHARE, VALIDATION_SHARE, Pairs, Shares, sampling_weights
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
    batch: int = 64
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
            "size_px": 80,
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
    osteoporosis_below_g_cm2: float = OSTEOPOROSIS_BELOW_G_CM2


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
    with_dxa = torch.from_numpy(pairs.with_dxa[index]).to(lesson.device)
    depth = depth * growth
    added = calibration.slope_g_cm2_per_hu * hu * depth * (1 - 1 / growth) / REFERENCE_DEPTH_MM
    bmd = torch.where(with_dxa, bmd * growth, bmd + added)  # a larger vertebra holds more on every path through it
    target = Target(
        bmd_hu=(bmd - calibration.offset_g_cm2) / calibration.slope_g_cm2_per_hu,
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
