"""Study -> Outcome: the heart of the product, one study at a time, without database and without cluster.

`read_study` is the whole chain: eligible series -> Hounsfield volume -> lumbar vertebrae -> attenuation and network
input -> slice BMD -> patient BMD. `outcome_of` turns whatever happens into a value that can be counted.
"""

import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final

import numpy as np

from screening.archive.index import Instance, Series, Study, age_at_study_years
from screening.config import Settings
from screening.errors import Excluded, Exclusion
from screening.imaging.attenuation import contrast_facts, is_enhanced, measure_trabecular, tissue_anchors
from screening.imaging.eligibility import SeriesExclusion, judge_series, stated_phase
from screening.imaging.evidence import AttentionMap, LevelEvidence, evidence_png
from screening.imaging.hounsfield import Volume, read_volume
from screening.imaging.lumbar import LevelCertainty, Localizer, LumbarSpine, Vertebra
from screening.imaging.model_input import KvpScale, crops, kvp_scale
from screening.imaging.wording import Phase
from screening.prediction.inference import Predictor
from screening.prediction.patient import LevelBmd, PatientBmd, level_bmd, patient_bmd, slabs_of


@dataclass(frozen=True, slots=True)
class SeriesReading:
    """What one series gave."""

    series: Series
    spine: LumbarSpine
    patient: PatientBmd
    contrast_enhanced: bool
    warnings: tuple[str, ...]
    evidence_png: bytes


@dataclass(frozen=True, slots=True)
class StudyReading:
    """The measured series of a study, or none, and the reason of every other series."""

    measured: SeriesReading | None
    excluded: tuple[SeriesExclusion, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """The program broke: where and how, without patient data."""

    stage: str
    exception_type: str
    transient: bool  # reading a file failed, not reading a study: worth another try the next night


@dataclass(frozen=True, slots=True)
class Outcome:
    """How reading one study ended; exactly one of `reading` and `failure` is there."""

    reading: StudyReading | None
    failure: Failure | None
    read_seconds: float


def outcome_of(study: Study, localizer: Localizer, predictor: Predictor, settings: Settings) -> Outcome:
    """Read a study; a crash becomes a failure with its stage, so that the sweep goes on."""
    started = time.monotonic()
    try:
        reading = read_study(study, localizer, predictor, settings)
    except Exception as error:  # noqa: BLE001  the one place where a bug becomes a counted row
        return Outcome(None, failure_of(error), time.monotonic() - started)
    return Outcome(reading, None, time.monotonic() - started)


def read_study(study: Study, localizer: Localizer, predictor: Predictor, settings: Settings) -> StudyReading:
    """Measure the best series that can be measured; every other series keeps its reason."""
    judgement = judge_series(study, settings.eligibility)
    excluded = list(judgement.excluded)
    for place, series in enumerate(judgement.candidates):
        try:
            measured = read_series(series, localizer, predictor, settings)
        except Excluded as reason:
            excluded.append(SeriesExclusion(series.series_instance_uid, reason.reason, reason.detail))
            continue
        excluded.extend(_not_needed(other) for other in judgement.candidates[place + 1 :])
        return StudyReading(measured, tuple(excluded))
    return StudyReading(None, tuple(excluded))


def read_series(series: Series, localizer: Localizer, predictor: Predictor, settings: Settings) -> SeriesReading:
    """Read one series from its pixels to the patient's BMD.

    Raises:
        Excluded: the series lacks something; the first thing found is the reason.
    """
    volume = read_volume(series)
    spine = localizer(volume)
    if spine.certainty is LevelCertainty.UNCERTAIN and not settings.prediction.allow_uncertain_levels:
        raise Excluded(Exclusion.LEVEL_UNCERTAIN, spine.detail)
    anchors = tissue_anchors(volume, spine.vertebrae)
    seen = is_enhanced(anchors, settings.eligibility)
    enhanced = True if stated_phase(series) is Phase.ENHANCED else seen
    if seen and not settings.eligibility.allow_enhanced:
        raise Excluded(Exclusion.CONTRAST, contrast_facts(anchors))
    scale = kvp_scale(volume.kvp_kv)
    levels = [read_level(volume, vertebra, predictor, scale.factor) for vertebra in spine.vertebrae]
    patient = patient_bmd(
        [level for level, _ in levels],
        reference=settings.prediction.reference_population(),
        interval_half_width_g_cm2=predictor.facts.interval_half_width_g_cm2,
        age_years=age_at_study_years(series.first),
        readers_disagree_hu=settings.prediction.readers_disagree_hu,
        hu_scale=scale.factor,
    )
    return SeriesReading(
        series=series,
        spine=spine,
        patient=patient,
        contrast_enhanced=bool(enhanced),
        warnings=patient.warnings + _study_warnings(series.first, spine, scale, enhanced),
        evidence_png=evidence_png(volume, _shown(patient, [attention for _, attention in levels])),
    )


def read_level(
    volume: Volume, vertebra: Vertebra, predictor: Predictor, hu_scale: float
) -> tuple[LevelBmd, AttentionMap]:
    """Read one vertebra with network and region of interest; keep where the network looked in the middle slab."""
    cut = crops(volume, vertebra, predictor.facts.input_spec, hu_scale)
    predictions = predictor(cut.hu)
    middle = int(np.abs(cut.z_mm - vertebra.centre_mm[2]).argmin())
    looked = AttentionMap(predictions.attention[middle], cut.centre_mm[middle], cut.pixel_mm * cut.hu.shape[-1])
    return level_bmd(vertebra, measure_trabecular(volume, vertebra), slabs_of(predictions, cut.z_mm)), looked


def study_exclusion(reading: StudyReading) -> SeriesExclusion:
    """Name the reason of the series that got furthest; `Exclusion` lists reasons in the order of the stages."""
    order = list(Exclusion)
    return max(reading.excluded, key=lambda excluded: order.index(excluded.reason))


_OURS: Final = ("screening.", "models.")


def failure_of(error: BaseException) -> Failure:
    """Find the innermost module of ours that the error passed through."""
    return Failure(_stage(error.__traceback__), type(error).__name__, isinstance(error, OSError))


def _stage(trace: TracebackType | None) -> str:
    modules = [str(frame.f_globals.get("__name__", "")) for frame, _ in traceback.walk_tb(trace)]
    ours = [module for module in modules if module.startswith(_OURS)]
    return ours[-1] if ours else "unknown"


def _not_needed(series: Series) -> SeriesExclusion:
    return SeriesExclusion(series.series_instance_uid, Exclusion.BETTER_SERIES_CHOSEN, "")


def _shown(patient: PatientBmd, looked: Sequence[AttentionMap]) -> tuple[LevelEvidence, ...]:
    """Pair the judged levels with their maps; judging keeps the order."""
    return tuple(
        LevelEvidence(level.vertebra, level.trabecular, level.bmd_g_cm2, level.problem is None, attention)
        for level, attention in zip(patient.levels, looked, strict=True)
    )


def _study_warnings(instance: Instance, spine: LumbarSpine, scale: KvpScale, enhanced: bool | None) -> tuple[str, ...]:
    facts = {
        "patient not identified: PatientID is empty": not instance.patient_id,
        "age not known: no category, never flagged": age_at_study_years(instance) is None,
        "sex not known": not instance.patient_sex,
        "date of the study not known: DXA before and after it cannot be told apart": instance.study_date is None,
        "tube voltage not known: attenuation taken as at 120 kVp": not scale.known,
        f"level names uncertain: {spine.detail}": spine.certainty is LevelCertainty.UNCERTAIN,
        "contrast-enhanced: attenuation of bone is raised": enhanced is True,
        "aorta not found: contrast judged from the header alone": enhanced is None,
    }
    return tuple(text for text, holds in facts.items() if holds)
