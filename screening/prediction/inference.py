"""Crops in HU -> areal BMD per slice: the only door to torch."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from models import checkpoint as checkpoints
from models.bmd_cnn import Calibration, Reading, areal_bmd, folded, read_together
from models.checkpoint import Checkpoint
from screening.errors import UserError
from screening.imaging.model_input import InputSpec
from screening.prediction.knots import IDENTITY, Knots, composed

BATCH = 8
"""Crops per pass; on a CPU core 4 to 8 are fastest, larger batches no longer fit its cache."""


@dataclass(frozen=True, slots=True)
class SlicePredictions:
    """What the network read in n crops."""

    bmd_g_cm2: NDArray[np.float32]  # (n,)
    sd_g_cm2: NDArray[np.float32]  # (n,) total predictive standard deviation of the network's reading
    attended_hu: NDArray[np.float32]  # (n,) trabecular attenuation it attended, 120 kVp equivalent
    body_depth_mm: NDArray[np.float32]  # (n,) antero-posterior depth of the body
    attention: NDArray[np.float32]  # (n, h, w) where it looked, each map sums to 1


@dataclass(frozen=True, slots=True)
class CheckpointFacts:
    """What every result row must be traceable to."""

    sha256: str
    name: str
    data_kind: str  # "simulated" or "site"
    input_spec: InputSpec
    interval_half_width_g_cm2: float  # of the 90 % prediction interval of a patient's BMD
    metrics: dict[str, float]
    reference: str = ""  # what its BMD is measured against, with the scale
    parent_sha256: str | None = None  # the checkpoint it was recalibrated from


class Predictor(Protocol):
    """Reads crops of shape (n, size, size), HU brought to 120 kVp, float32."""

    @property
    def facts(self) -> CheckpointFacts:
        """Say which checkpoint reads."""
        ...

    def __call__(self, crops_hu: NDArray[np.float32]) -> SlicePredictions:
        """Predict each crop by itself."""
        ...


class EnsemblePredictor:
    """Predictor from a checkpoint file; travels between processes as the path of the file."""

    def __init__(self, path: Path, device: str) -> None:
        checkpoint = _load(path)
        self.path = path
        self.device = device
        self.facts = _facts(checkpoint)
        self._calibration = checkpoint.calibration
        self._members = tuple(folded(member).to(device) for member in checkpoints.networks(checkpoint))

    def __call__(self, crops_hu: NDArray[np.float32]) -> SlicePredictions:
        """Predict each crop by itself.

        Raises:
            ValueError: crops are none, of the wrong shape, or not finite.
        """
        size = self.facts.input_spec.size_px
        if crops_hu.ndim != 3 or len(crops_hu) == 0 or crops_hu.shape[1:] != (size, size):
            raise ValueError(f"crops must be (n, {size}, {size}) with n > 0, found {crops_hu.shape}")
        if not np.isfinite(crops_hu).all():
            raise ValueError("crops hold values that are not finite")
        with torch.inference_mode():
            crops = torch.from_numpy(np.ascontiguousarray(crops_hu, dtype=np.float32)).to(self.device)
            readings = [read_together(self._members, batch) for batch in torch.split(crops, BATCH)]
            columns = Reading(*(torch.cat(outputs).cpu() for outputs in zip(*readings, strict=True)))
            return _predictions(columns, self._calibration)

    def __reduce__(self) -> tuple[Callable[[Path, str], "EnsemblePredictor"], tuple[Path, str]]:
        """Travel as a path: workers read the file themselves."""
        return EnsemblePredictor, (self.path, self.device)


def load_predictor(checkpoint: Path | None = None, device: str = "auto") -> Predictor:
    """Load a checkpoint, by default the newest bundled one, onto the CPU or a GPU.

    On a CPU torch is held to one thread in this process: the sweep runs one worker process per core.

    Raises:
        UserError: the file is missing, damaged or no BMD_CNN checkpoint, or the device is not there.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"device is {device!r}, expected auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device cuda was asked for, but torch finds no GPU: use auto or cpu")
    torch.set_num_threads(1)
    chosen = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    return EnsemblePredictor((checkpoint or _bundled()).absolute(), chosen)


def write_recalibrated(
    source: Path,
    output: Path,
    *,
    name: str,
    knots: Knots,
    interval_half_width_g_cm2: float,
    metrics: dict[str, float],
    reference: str,
) -> CheckpointFacts:
    """Write a checkpoint that reads BMD of the source through knots: same weights, the site's calibration.

    Two knots are a straight line and go into the affine; more bend it. What the source bends already is bent further.

    Raises:
        UserError: the source cannot be read, or the knots do not rise.
    """
    if len(knots) < 2 or any(b <= a for side in zip(*knots, strict=True) for a, b in pairwise(side)):
        raise UserError("the knots of a recalibration must be two or more and must rise on both sides")
    before = _load(source)
    calibration = _recalibrated(before.calibration, knots, f"{before.calibration.version}+{name}")
    recalibrated = dataclasses.replace(
        before,
        name=name,
        data_kind="site",
        calibration=calibration,
        interval_half_width_g_cm2=interval_half_width_g_cm2,
        metrics=metrics,
        reference=reference,
        training=before.training | {"recalibrated_from": before.sha256},
    )
    return _facts(checkpoints.save(recalibrated, output))


def _recalibrated(before: Calibration, knots: Knots, version: str) -> Calibration:
    if before.knots or len(knots) > 2:
        bends = composed(before.knots or IDENTITY, knots)
        return dataclasses.replace(before, knots=bends, version=version)
    (x0, y0), (x1, y1) = knots
    slope = (y1 - y0) / (x1 - x0)
    return Calibration(
        offset_g_cm2=y0 + slope * (before.offset_g_cm2 - x0),
        slope_g_cm2_per_hu=slope * before.slope_g_cm2_per_hu,
        version=version,
    )


def checkpoint_facts(path: Path) -> CheckpointFacts:
    """Read what a checkpoint file says of itself, and check that it is complete.

    Raises:
        UserError: it is missing, damaged or no BMD_CNN checkpoint.
    """
    return _facts(_load(path))


def bundled_checkpoint() -> Path:
    """Path of the checkpoint that comes with this software.

    Raises:
        UserError: none does.
    """
    return _bundled()


def _bundled() -> Path:
    try:
        return checkpoints.bundled()
    except ValueError as error:
        raise UserError(str(error)) from error


def _load(path: Path) -> Checkpoint:
    try:
        return checkpoints.load(path)
    except ValueError as error:
        raise UserError(str(error)) from error


def _facts(checkpoint: Checkpoint) -> CheckpointFacts:
    spec = checkpoint.input_spec
    try:
        input_spec = InputSpec(
            size_px=int(spec["size_px"]),
            pixel_mm=float(spec["pixel_mm"]),
            slab_mm=float(spec["slab_mm"]),
            slabs_per_level=int(spec["slabs_per_level"]),
            slab_spacing_mm=float(spec["slab_spacing_mm"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"checkpoint {checkpoint.name} has no usable input geometry: {error!r}") from error
    return CheckpointFacts(
        sha256=checkpoint.sha256,
        name=checkpoint.name,
        data_kind=checkpoint.data_kind,
        input_spec=input_spec,
        interval_half_width_g_cm2=checkpoint.interval_half_width_g_cm2,
        metrics=checkpoint.metrics,
        reference=checkpoint.reference,
        parent_sha256=checkpoint.training.get("recalibrated_from"),
    )


def _predictions(reading: Reading, calibration: Calibration) -> SlicePredictions:
    """Bring a reading to g/cm2."""
    bmd, sd = areal_bmd(reading, calibration)
    return SlicePredictions(
        bmd_g_cm2=bmd.numpy(),
        sd_g_cm2=sd.numpy(),
        attended_hu=reading.attended_hu.numpy(),
        body_depth_mm=reading.depth_mm.numpy(),
        attention=reading.attention.numpy(),
    )
