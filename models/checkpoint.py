"""One safetensors file <-> the ensemble with everything that its numbers depend on.

The file holds the members' tensors and, in its header, one JSON document: input geometry, network sizes,
calibration, kind of training data, how it was trained, metrics on held-out patients, and the reference.
No pickle: a checkpoint from elsewhere cannot run code.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.bmd_cnn import BmdCnn, Calibration, NetworkConfig

FORMAT = "bmd_cnn/2"
"""The one key of the file's metadata; with several, their order, and so the SHA-256, would change by chance."""
WEIGHTS = Path(__file__).parent / "weights"
DATA_KINDS = ("simulated", "site")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An ensemble of BMD_CNN and the facts that belong to it."""

    name: str
    data_kind: str  # "simulated" or "site"
    network: NetworkConfig
    calibration: Calibration
    input_spec: dict[str, float]  # fields of the crop geometry: size_px, pixel_mm, slab_mm, ...
    interval_half_width_g_cm2: float  # 90 % prediction interval of a patient's BMD
    metrics: dict[str, float]  # on held-out patients
    reference: str  # what the BMD values are measured against
    training: dict[str, Any]  # command and configuration
    members: tuple[dict[str, Tensor], ...]
    sha256: str = ""  # of the file; empty before it is saved


def save(checkpoint: Checkpoint, path: Path) -> Checkpoint:
    """Write the file in one step and return the checkpoint with its SHA-256."""
    if checkpoint.data_kind not in DATA_KINDS:
        raise ValueError(f"data kind is {checkpoint.data_kind!r}, expected one of {', '.join(DATA_KINDS)}")
    if not checkpoint.members:
        raise ValueError("a checkpoint needs networks, found no members")
    tensors = {
        f"member{number}.{key}": tensor.detach().cpu().contiguous()
        for number, member in enumerate(checkpoint.members)
        for key, tensor in member.items()
    }
    partial = path.with_name(path.name + ".writing")
    save_file(tensors, partial, metadata={FORMAT: json.dumps(_document(checkpoint))})
    partial.replace(path)
    return dataclasses.replace(checkpoint, sha256=file_sha256(path))


def load(path: Path) -> Checkpoint:
    """Read a checkpoint and check that it is complete.

    Raises:
        ValueError: the file is missing, damaged, or no BMD_CNN checkpoint.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path.name} cannot be read as a BMD_CNN checkpoint: {error}") from error
    if FORMAT not in header:
        raise ValueError(f"{path.name} is no BMD_CNN checkpoint: its header lacks {FORMAT}")
    checkpoint = _from_document(path, header[FORMAT], tensors)
    if not networks(checkpoint):
        raise ValueError(f"{path.name} holds no members")
    return checkpoint


def networks(checkpoint: Checkpoint) -> tuple[BmdCnn, ...]:
    """Build the members, ready to read.

    Raises:
        ValueError: the tensors do not fit the network, or hold values that are not finite.
    """
    return tuple(_network(checkpoint, member) for member in checkpoint.members)


def bundled() -> Path:
    """Path of the newest weights that come with the package (the last by name)."""
    found = sorted(WEIGHTS.glob("*.safetensors"))
    if not found:
        raise ValueError("no weights are bundled with this installation; name a checkpoint file")
    return found[-1]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _document(checkpoint: Checkpoint) -> dict[str, Any]:
    document = {
        field.name: getattr(checkpoint, field.name)
        for field in dataclasses.fields(checkpoint)
        if field.name not in ("members", "sha256", "network", "calibration")
    }
    return document | {
        "network": dataclasses.asdict(checkpoint.network),
        "calibration": {key: value for key, value in dataclasses.asdict(checkpoint.calibration).items() if value != ()},
        "n_members": len(checkpoint.members),
    }


def _from_document(path: Path, text: str, tensors: dict[str, Tensor]) -> Checkpoint:
    try:
        document = json.loads(text)
        network = NetworkConfig(**{key: _frozen(value) for key, value in document.pop("network").items()})
        calibration = Calibration(**{key: _frozen(value) for key, value in document.pop("calibration").items()})
        members = tuple(_member(tensors, number) for number in range(document.pop("n_members")))
        return Checkpoint(
            **document, network=network, calibration=calibration, members=members, sha256=file_sha256(path)
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path.name} is a BMD_CNN checkpoint with a damaged header: {error!r}") from error


def _frozen(value: Any) -> Any:
    """Turn JSON lists back into tuples."""
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value


def _member(tensors: dict[str, Tensor], number: int) -> dict[str, Tensor]:
    prefix = f"member{number}."
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}


def _network(checkpoint: Checkpoint, member: dict[str, Tensor]) -> BmdCnn:
    if not all(bool(torch.isfinite(tensor).all()) for tensor in member.values()):
        raise ValueError(f"checkpoint {checkpoint.name} holds weights that are not finite")
    network = BmdCnn(checkpoint.network)
    try:
        network.load_state_dict(member)
    except RuntimeError as error:
        raise ValueError(f"checkpoint {checkpoint.name} does not fit the network: {error}") from error
    return network.eval()
