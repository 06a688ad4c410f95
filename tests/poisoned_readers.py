"""Readers that certain studies end: a broken pixel stream may kill the codec that decodes it, or take all memory."""

import os
import pickle
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from dicom_files import ct_slice, write

import screening.reading
from screening.archive.folder import files_below
from screening.archive.header import read_header
from screening.archive.index import Series, Study, series_of
from screening.config import Settings
from screening.imaging.hounsfield import Volume, read_volume
from screening.imaging.lumbar import find_lumbar_spine
from screening.prediction.inference import load_predictor
from screening.reading import outcome_of
from screening.worker import ReadersPlugin

SLICES = 20
DEVOURED_BYTES, EATEN_FOR_S = 2 * 2**30, 60.0


def die() -> None:
    """End the process, as a fault in native code does."""
    os._exit(1)


def devour() -> None:
    """Take memory and keep it."""
    taken = np.ones(DEVOURED_BYTES, np.uint8)
    time.sleep(EATEN_FOR_S)
    del taken


class PoisonedReaders(ReadersPlugin):
    """Decodes every series to one and the same measurable volume, but for studies that do something else first."""

    def __init__(
        self, checkpoint: Path | None, device: str, decoded: Path, poison: Mapping[str, Callable[[], None]]
    ) -> None:
        super().__init__(checkpoint, device)
        self._decoded = decoded
        self._poison = poison

    def load(self) -> None:
        super().load()
        volume, spine = pickle.loads(self._decoded.read_bytes())
        poison = self._poison

        def deadly(series: Series) -> Volume:
            poison.get(series.first.study_instance_uid, lambda: None)()
            return volume

        screening.reading.read_volume = deadly
        self.localizer = lambda found: spine


def decode_a_measurable_series(archive: Path, decoded: Path) -> None:
    """Store volume and spine of a series of an archive that is measured."""
    predictor = load_predictor(None, "cpu")
    for (study, _), series in sorted(series_of(read_header(file) for file in files_below(archive)).items()):
        outcome = outcome_of(Study(study, (series,)), find_lumbar_spine, predictor, Settings())
        if outcome.reading is not None and outcome.reading.measured is not None:
            decoded.write_bytes(pickle.dumps((read_volume(series), outcome.reading.measured.spine)))
            return
    raise AssertionError("the archive holds no series that is measured")


def small_studies(archive: Path, count: int) -> list[str]:
    """Write studies of a few small slices whose headers are those of an eligible series; return their UIDs."""
    uids = [f"2.25.4{number:04}" for number in range(count)]
    for uid in uids:
        for number in range(1, SLICES + 1):
            elements = {"SOPInstanceUID": f"{uid}.1.{number}", "StudyInstanceUID": uid, "SeriesInstanceUID": f"{uid}.1"}
            write(archive, f"{uid}/{number}", ct_slice(number, **elements, ConvolutionKernel="B30f"))
    return uids
