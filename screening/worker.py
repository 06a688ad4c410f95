"""What runs on a Dask worker: one study at a time, with the network at hand."""

import pickle
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from distributed import Worker, WorkerPlugin, get_worker

from screening.archive.index import unpack_study
from screening.config import Settings
from screening.errors import UserError
from screening.imaging.lumbar import Localizer, find_lumbar_spine
from screening.path_mapping import study_here
from screening.prediction.inference import Predictor, load_predictor
from screening.reading import outcome_of


class ReadersPlugin(WorkerPlugin):
    """Load the network once a process."""

    name = "study-readers"

    def __init__(self, checkpoint: Path | None, device: str) -> None:
        self._checkpoint = checkpoint
        self._device = device

    def setup(self, worker: Worker) -> None:
        """Load what reads studies; Ctrl-C is the client's to handle, not the worker's."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.load()

    def load(self) -> None:
        """Load what reads studies into this process."""
        self.localizer: Localizer = find_lumbar_spine
        self.predictor: Predictor = load_predictor(self._checkpoint, self._device)

    def read(
        self, packed_series: list[bytes], settings: Settings, checkpoint_sha256: str, path_mapping: Mapping[str, str]
    ) -> bytes:
        """Read one study; one bytes object travels back.

        Raises:
            UserError: this process holds another checkpoint than the one the results will be filed under.
        """
        if self.predictor.facts.sha256 != checkpoint_sha256:
            raise UserError(
                "A worker holds another checkpoint than this sweep: make the same file visible to all workers."
            )
        study = study_here(unpack_study(packed_series), path_mapping)
        return pickle.dumps(outcome_of(study, self.localizer, self.predictor, settings))


def read_study_packed(
    packed_series: list[bytes], settings: Settings, checkpoint_sha256: str, path_mapping: Mapping[str, str]
) -> bytes:
    """Read one study on a worker, see `ReadersPlugin.read`."""
    plugin = cast(ReadersPlugin, get_worker().plugins[ReadersPlugin.name])
    return plugin.read(packed_series, settings, checkpoint_sha256, path_mapping)
