"""What runs on a Dask worker: headers of a batch of files, and one study at a time with the network at hand."""

import pickle
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from distributed import Worker, WorkerPlugin, get_worker

from screening.archive.header import FileProblem, FoundFile, NotIndexed, read_header
from screening.archive.index import unpack_study
from screening.config import Settings
from screening.errors import UserError
from screening.imaging.lumbar import Localizer, find_lumbar_spine
from screening.prediction.inference import Predictor, load_predictor
from screening.reading import outcome_of


class ReadersPlugin(WorkerPlugin):
    """Load the network once a worker process."""

    name = "study-readers"

    def __init__(self, checkpoint: Path | None, device: str) -> None:
        self._checkpoint = checkpoint
        self._device = device

    def setup(self, worker: Worker) -> None:
        """Load what reads studies; Ctrl-C is the client's to handle, not the worker's."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.localizer: Localizer = find_lumbar_spine
        self.predictor: Predictor = load_predictor(self._checkpoint, self._device)


def read_headers_packed(batch: Sequence[FoundFile]) -> bytes:
    """Read the headers of some files on a worker; one bytes object travels back."""
    instances, problems = [], []
    for file in batch:
        try:
            instances.append(read_header(file))
        except NotIndexed as problem:
            problems.append((file, problem))
        except Exception as error:  # noqa: BLE001  one odd file must not end the night; it becomes a counted row
            problems.append((file, NotIndexed(FileProblem.READER_FAILED, type(error).__name__)))
    return pickle.dumps((tuple(instances), tuple(problems)))


def read_study_packed(packed_series: list[bytes], settings: Settings, checkpoint_sha256: str) -> bytes:
    """Read one study on a worker; one bytes object travels back.

    Raises:
        UserError: the worker holds another checkpoint than the one the results will be filed under.
    """
    plugin = cast(ReadersPlugin, get_worker().plugins[ReadersPlugin.name])
    if plugin.predictor.facts.sha256 != checkpoint_sha256:
        raise UserError("A worker holds another checkpoint than this sweep: make the same file visible to all workers.")
    return pickle.dumps(outcome_of(unpack_study(packed_series), plugin.localizer, plugin.predictor, settings))
