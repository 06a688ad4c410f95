"""What a training has done so far, kept beside its output, so that an interruption costs at most a few steps."""

import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

logger = logging.getLogger("models.training")

State = dict[str, Tensor]


class Progress:
    """What is done so far, kept beside the output until the checkpoint is written."""

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.key = key
        self.finished: list[State] = []
        self.current: dict[str, Any] = {}

    @classmethod
    def of(cls, output: Path, key: str) -> "Progress":
        """Take up the progress of the same training, known by its key, if there is any."""
        progress = cls(output.with_name(output.name + ".progress"), key)
        if progress.path.exists():
            kept = torch.load(progress.path, weights_only=True)
            if kept["key"] == key:
                progress.finished, progress.current = kept["finished"], kept["current"]
                logger.info("going on after %d finished members", len(progress.finished))
        return progress

    def resume(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> int:
        """Restore the member at work and return its next step."""
        if not self.current:
            return 0
        network.load_state_dict(self.current["network"])
        optimizer.load_state_dict(self.current["optimizer"])
        return int(self.current["step"])

    def keep(self, network: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Write the member at work."""
        self.current = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
        self._write()

    def finish(self, network: nn.Module) -> State:
        """File the member away and return its weights."""
        self.finished.append({key: tensor.detach().cpu().clone() for key, tensor in network.state_dict().items()})
        self.current = {}
        self._write()
        return self.finished[-1]

    def forget(self) -> None:
        """Remove the file: the checkpoint is written."""
        self.path.unlink(missing_ok=True)

    def _write(self) -> None:
        partial = self.path.with_name(self.path.name + ".writing")
        torch.save({"key": self.key, "finished": self.finished, "current": self.current}, partial)
        partial.replace(self.path)
