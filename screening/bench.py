"""Archive -> a sample of it -> what each stage of a first night costs on this machine, nothing written.

Heads of the sampled files are read as bytes, as headers and by pydicom in turns, so that all three meet the same
machine; every study is read twice: at first touch, when its files may lie on the disk or in memory, and once more.
"""

import os
import statistics
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from screening.archive.folder import require_folders
from screening.archive.header import FoundFile, NotIndexed, read_header
from screening.archive.header_reader import HeaderReader
from screening.archive.header_walk import HEAD_BYTES
from screening.archive.index import Series, Study
from screening.bench_sample import look_at, sample_of
from screening.config import Settings
from screening.errors import Excluded, Exclusion
from screening.imaging.eligibility import judge_series
from screening.imaging.hounsfield import read_volume
from screening.imaging.lumbar import Localizer
from screening.prediction.inference import CheckpointFacts, Predictor, SlicePredictions
from screening.progress import Progress
from screening.reading import Outcome, outcome_of

TURNS: Final = 3  # medians of so many readings of the same heads


@dataclass(frozen=True, slots=True)
class Stage:
    """What one stage did with the sample."""

    name: str
    of: str  # "files" or "slices", which are files too
    count: int
    seconds: float  # for all of them

    @property
    def per_second(self) -> float | None:
        """Speed; None where the sample held nothing for this stage."""
        return self.count / self.seconds if self.count and self.seconds else None

    @property
    def speed(self) -> str:
        """Speed in words."""
        speed = self.per_second
        if speed is None:
            return "none in the sample"
        return f"{speed:,.0f} {self.of}/s" if speed >= 100 else f"{speed:.3g} {self.of}/s"


@dataclass(frozen=True, slots=True)
class Bench:
    """What was measured in a sample, by one process and one core."""

    looked_at_count: int  # files that were listed
    looked_at_all: bool  # False: the archive holds more
    sampled_count: int  # files whose headers were read to find the studies
    not_indexed: dict[str, int]  # of the sampled, by reason
    walk: Stage
    headers: tuple[Stage, ...]  # heads as bytes (the machine's floor), headers as a sweep reads them, by pydicom
    reading: tuple[Stage, ...]  # of studies: decode, localise and measure, predict
    statuses: dict[str, int]  # of the studies: measured, excluded, failed
    files_a_study: float
    first_s: float  # seconds a study at first touch, mean
    again_s: float  # once more, its files in memory
    cores: int

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All stages in their order."""
        return (self.walk, *self.headers, *self.reading)

    @property
    def seconds_a_study(self) -> float:
        """Seconds of a first night for one study in one process: find its files, read their headers, read the study."""
        file_s = sum(stage.seconds / stage.count for stage in (self.walk, self.headers[1]))
        return self.files_a_study * file_s + self.first_s

    @property
    def studies_an_hour(self) -> float | None:
        """Studies an hour of one process, by arithmetic from the sample; None where none was worth decoding."""
        return 3600.0 / self.seconds_a_study if self.reading[0].count else None

    @property
    def told_of_studies(self) -> str:
        """Studies an hour in words."""
        speed = self.studies_an_hour
        if speed is None:
            return "no study of the sample was decoded, so nothing is said of studies an hour: sample more"
        return f"{speed:,.0f} studies an hour of one process"

    @property
    def time_shares(self) -> dict[str, float]:
        """Where the time of a first night goes, as shares that sum to 1; studies as read with files in memory."""
        studies = sum(self.statuses.values())
        by_file = (self.walk, self.headers[1])
        seconds = {stage.name: stage.seconds / stage.count * self.files_a_study for stage in by_file}
        seconds |= {stage.name: stage.seconds / studies for stage in self.reading}
        return {name: value / sum(seconds.values()) for name, value in seconds.items()}

    def to_json(self) -> dict[str, Any]:
        """Everything measured, and what follows from it by arithmetic."""
        derived = ("seconds_a_study", "studies_an_hour", "time_shares")
        return asdict(self) | {name: getattr(self, name) for name in derived}


def bench(
    archive: Path,
    localizer: Localizer,
    predictor: Predictor,
    settings: Settings,
    *,
    files: int,
    studies: int,
    progress: Progress,
) -> Bench:
    """Measure every stage on a sample: `files` headers and `studies` studies, or as many as there are.

    Raises:
        UserError: the archive is no folder, or no file of the sample is part of a study.
    """
    require_folders([archive])
    look = look_at(archive, progress)
    sample = sample_of(look, files, studies, progress)
    headers = _header_stages(sample.files[:files], progress)
    size = predictor.facts.input_spec.size_px
    predictor(np.zeros((1, size, size), np.float32))  # what its first call prepares is no cost of a study
    times = [_timed(study, localizer, predictor, settings) for study in _counted(sample.studies, progress)]
    return Bench(
        looked_at_count=look.file_count,
        looked_at_all=look.whole,
        sampled_count=len(sample.files),
        not_indexed=dict(sample.problems),
        walk=Stage("walk", "files", look.file_count, look.seconds),
        headers=headers,
        reading=_reading_stages(times),
        statuses=dict(Counter(one.status for one in times)),
        files_a_study=statistics.fmean(one.file_count for one in times),
        first_s=statistics.fmean(one.first_s for one in times),
        again_s=statistics.fmean(one.again_s for one in times),
        cores=len(os.sched_getaffinity(0)),
    )


def _header_stages(files: Sequence[FoundFile], progress: Progress) -> tuple[Stage, ...]:
    """Read the same heads in turns: as bytes, as headers, by pydicom."""
    ways: dict[str, Callable[[], object]] = {
        "raw read of heads": lambda: _raw(files),
        "headers": lambda: _headers(HeaderReader().read, files),
        "headers by pydicom": lambda: _headers(read_header, files),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom quotes the odd value, which may be a patient's
        for turn in range(TURNS):
            progress("headers", turn, TURNS)
            for name, way in ways.items():
                started = time.perf_counter()
                way()
                seconds[name].append(time.perf_counter() - started)
    progress("headers", TURNS, TURNS)
    return tuple(Stage(name, "files", len(files), statistics.median(taken)) for name, taken in seconds.items())


def _raw(files: Iterable[FoundFile]) -> None:
    """Read heads and do nothing with them: no reader of headers can be faster."""
    for file in files:
        try:
            descriptor = os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            continue  # is among the problems of the sample
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        os.pread(descriptor, HEAD_BYTES, 0)
        os.close(descriptor)


def _headers(read: Callable[[FoundFile], object], files: Iterable[FoundFile]) -> None:
    for file in files:
        try:
            read(file)
        except NotIndexed:
            continue  # is among the problems of the sample


def _counted(studies: Sequence[Study], progress: Progress) -> Iterator[Study]:
    for number, study in enumerate(studies):
        progress("studies", number, len(studies))
        yield study
    progress("studies", len(studies), len(studies))


class _TimedPredictor:
    """A predictor with a clock."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.seconds = 0.0
        self.slices = 0

    @property
    def facts(self) -> CheckpointFacts:
        """Say which checkpoint reads."""
        return self._predictor.facts

    def __call__(self, crops_hu: NDArray[np.float32]) -> SlicePredictions:
        started = time.perf_counter()
        predictions = self._predictor(crops_hu)
        self.seconds += time.perf_counter() - started
        self.slices += len(crops_hu)
        return predictions


@dataclass(frozen=True, slots=True)
class _StudyTimes:
    """Seconds that one study took."""

    status: str
    file_count: int
    first_s: float
    again_s: float
    decoded_slices: int
    decode_s: float
    predicted_slices: int
    predict_s: float


def _timed(study: Study, localizer: Localizer, predictor: Predictor, settings: Settings) -> _StudyTimes:
    """Read a study twice, then decode alone what was decoded of it."""
    first = outcome_of(study, localizer, predictor, settings)
    clocked = _TimedPredictor(predictor)
    again = outcome_of(study, localizer, clocked, settings)
    started = time.perf_counter()
    slices = sum(_decoded(series) for series in _looked_into(study, again, settings))
    return _StudyTimes(
        status=_status(again),
        file_count=study.instance_count,
        first_s=first.read_seconds,
        again_s=again.read_seconds,
        decoded_slices=slices,
        decode_s=time.perf_counter() - started,
        predicted_slices=clocked.slices,
        predict_s=clocked.seconds,
    )


def _looked_into(study: Study, outcome: Outcome, settings: Settings) -> Sequence[Series]:
    """The candidates in their order, down to the one that was measured."""
    if outcome.reading is None:
        return ()
    left = sum(decision.reason is Exclusion.BETTER_SERIES_CHOSEN for decision in outcome.reading.decisions)
    candidates = judge_series(study, settings.eligibility).candidates
    return candidates[: len(candidates) - left]


def _decoded(series: Series) -> int:
    """Decode a series; count its slices, also where the picture is then refused."""
    with suppress(Excluded):
        read_volume(series)
    return len(series.instances)


def _status(outcome: Outcome) -> str:
    if outcome.reading is None:
        return "failed"
    return "excluded" if outcome.reading.measured is None else "measured"


def _reading_stages(times: Sequence[_StudyTimes]) -> tuple[Stage, ...]:
    """Split the second reading; what is neither decoding nor prediction is localising and measuring."""
    decode_s, predict_s = sum(one.decode_s for one in times), sum(one.predict_s for one in times)
    rest_s = max(sum(one.again_s for one in times) - decode_s - predict_s, 0.0)
    slices = sum(one.decoded_slices for one in times)
    return (
        Stage("decode", "slices", slices, decode_s),
        Stage("localise, measure, draw", "slices", slices, rest_s),
        Stage("predict", "slices", sum(one.predicted_slices for one in times), predict_s),
    )
