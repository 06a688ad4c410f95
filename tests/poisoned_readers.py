"""Readers that a certain study kills, as a broken pixel stream may kill the codec that decodes it."""

import os
import pickle
from pathlib import Path

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


class PoisonedReaders(ReadersPlugin):
    """Decodes every series to one and the same measurable volume, and dies of one study."""

    def __init__(self, checkpoint: Path | None, device: str, decoded: Path, poison: str) -> None:
        super().__init__(checkpoint, device)
        self._decoded = decoded
        self._poison = poison

    def load(self) -> None:
        super().load()
        volume, spine = pickle.loads(self._decoded.read_bytes())
        poison = self._poison

        def deadly(series: Series) -> Volume:
            if series.first.study_instance_uid == poison:
                os._exit(1)
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
