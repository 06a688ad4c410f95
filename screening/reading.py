"""Study -> Outcome: the heart of the product, one study at a time, without database and without cluster.

`read_study` decides about every series: eligible by its headers -> Hounsfield volume -> lumbar vertebrae -> attenuation
and network input -> slice BMD -> patient BMD; the first that comes to the end is the study's. `outcome_of` turns
whatever happens into a value that can be counted.
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
from screening.imaging.attenuation import (
    TissueAnchors,
    TrabecularReading,
    calibration_warnings,
    contrast_facts,
    is_enhanced,
    measure_trabecular,
    tissue_anchors,
)
from screening.imaging.body_quality import BodyQuality, judge_bodies
from screening.imaging.eligibility import SeriesExclusion, judge_series
from screening.imaging.evidence import AttentionMap, LevelEvidence, evidence_png
from screening.imaging.hounsfield import Volume, read_volume
from screening.imaging.label_map_files import find_spine
from screening.imaging.lumbar import LevelCertainty, Localizer, LumbarSpine, Vertebra
from screening.imaging.model_input import KvpScale, crops, kvp_scale
from screening.imaging.series_facts import SeriesFacts, acquisition_named, series_facts
from screening.imaging.wording import Phase
from screening.prediction.inference import Predictor
from screening.prediction.patient import (
    LevelBmd,
    LevelProblem,
    PatientBmd,
    judged_levels,
    level_bmd,
    patient_bmd,
    slabs_of,
)


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
class SeriesSight:
    """What the pixels of one series show before bone is read."""

    anchors: TissueAnchors
    certainty: LevelCertainty
    detail: str  # the facts behind the level names


@dataclass(frozen=True, slots=True)
class SeriesDecision:
    """What was decided about one series, or one acquisition in it, with everything known by then.

    Exactly one of `reason` and `measured` is there.
    """

    facts: SeriesFacts
    reason: Exclusion | None = None
    detail: str = ""  # the measured facts behind the reason
    sight: SeriesSight | None = None  # None: its pixels were not looked at, or hold no lumbar spine
    levels: tuple[LevelBmd, ...] = ()
    measured: SeriesReading | None = None


@dataclass(frozen=True, slots=True)
class StudyReading:
    """The decision about every series of a study; at most one was measured."""

    decisions: tuple[SeriesDecision, ...]

    @property
    def measured(self) -> SeriesReading | None:
        """The measured series, if there is one."""
        return next((decision.measured for decision in self.decisions if decision.measured is not None), None)


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
    decisions = [_refused(study, exclusion) for exclusion in judgement.excluded]
    measured = False
    for series in judgement.candidates:
        decision = _not_needed(series) if measured else read_series(series, study, localizer, predictor, settings)
        measured = measured or decision.measured is not None
        decisions.append(decision)
    return StudyReading(tuple(decisions))


def read_series(
    series: Series, study: Study, localizer: Localizer, predictor: Predictor, settings: Settings
) -> SeriesDecision:
    """Read one series of a study from its pixels to the patient's BMD, or to the first thing that it lacks."""
    facts = series_facts(series)
    try:
        volume = read_volume(series)
        spine = find_spine(series, volume, localizer, settings.lumbar, study)
    except Excluded as lacking:
        return SeriesDecision(facts, lacking.reason, lacking.detail)
    sight = SeriesSight(tissue_anchors(volume, spine.vertebrae), spine.certainty, spine.detail)
    refusal = _refusal(sight, settings)
    if refusal is not None:
        return SeriesDecision(facts, *refusal, sight)
    return _read_bone(_Found(series, facts, volume, spine, sight), predictor, settings)


@dataclass(frozen=True, slots=True)
class _Found:
    """A series whose lumbar spine was found and may be read."""

    series: Series
    facts: SeriesFacts
    volume: Volume
    spine: LumbarSpine
    sight: SeriesSight


def _refusal(sight: SeriesSight, settings: Settings) -> tuple[Exclusion, str] | None:
    """Why bone is not read although the spine was found."""
    if sight.certainty is LevelCertainty.UNCERTAIN and not settings.prediction.allow_uncertain_levels:
        return Exclusion.LEVEL_UNCERTAIN, sight.detail
    if is_enhanced(sight.anchors, settings.eligibility) and not settings.eligibility.allow_enhanced:
        return Exclusion.CONTRAST, contrast_facts(sight.anchors)
    return None


def _read_bone(found: _Found, predictor: Predictor, settings: Settings) -> SeriesDecision:
    """Read every vertebra and place the patient."""
    volume, spine = found.volume, found.spine
    reference = settings.prediction.reference_population()
    scale = kvp_scale(volume.kvp_kv)
    rois = [measure_trabecular(volume, vertebra) for vertebra in spine.vertebrae]
    qualities = judge_bodies(volume, spine.vertebrae, rois)
    read = [
        read_level(volume, vertebra, roi, quality, predictor)
        for vertebra, roi, quality in zip(spine.vertebrae, rois, qualities, strict=True)
    ]
    levels = judged_levels([level for level, _ in read], reference)
    try:
        patient = patient_bmd(
            levels,
            reference=reference,
            interval_half_width_g_cm2=predictor.facts.interval_half_width_g_cm2,
            age_years=found.facts.age_years,
            readers_disagree_hu=settings.prediction.readers_disagree_hu,
            hu_scale=scale.factor,
            sex=found.series.first.patient_sex,
            rule=settings.prediction.osteoporosis_rule,
        )
    except Excluded as lacking:
        return SeriesDecision(found.facts, lacking.reason, lacking.detail, found.sight, levels)
    seen = is_enhanced(found.sight.anchors, settings.eligibility)
    enhanced = True if found.facts.stated_phase is Phase.ENHANCED else seen
    measured = SeriesReading(
        series=found.series,
        spine=spine,
        patient=patient,
        contrast_enhanced=bool(enhanced),
        warnings=patient.warnings
        + _study_warnings(found.series.first, spine, scale, enhanced)
        + calibration_warnings(found.sight.anchors, enhanced=bool(enhanced)),
        evidence_png=evidence_png(volume, _shown(patient, [attention for _, attention in read])),
    )
    return SeriesDecision(found.facts, sight=found.sight, levels=levels, measured=measured)


def read_level(
    volume: Volume, vertebra: Vertebra, roi: TrabecularReading, quality: BodyQuality, predictor: Predictor
) -> tuple[LevelBmd, AttentionMap]:
    """Read one vertebra with the network; keep where it looked in the middle slab."""
    cut = crops(volume, vertebra, predictor.facts.input_spec, kvp_scale(volume.kvp_kv).factor)
    predictions = predictor(cut.hu)
    middle = int(np.abs(cut.z_mm - vertebra.centre_mm[2]).argmin())
    looked = AttentionMap(predictions.attention[middle], cut.centre_mm[middle], cut.pixel_mm * cut.hu.shape[-1])
    return level_bmd(vertebra, roi, quality, slabs_of(predictions, cut.z_mm)), looked


def deciding_series(reading: StudyReading) -> SeriesDecision:
    """Return the decision that speaks for the study: of the measured series, else of the one that got furthest.

    Contrast may be seen in the header or in the pixels: what was seen of the series tells how far it got. `Exclusion`
    lists the other reasons in the order of the stages.
    """
    order = {reason: place for place, reason in enumerate(Exclusion)}
    return max(
        reading.decisions,
        key=lambda decision: (
            decision.measured is not None,
            bool(decision.levels),
            decision.sight is not None,
            order[decision.reason] if decision.reason else len(order),
        ),
    )


_OURS: Final = ("screening.", "models.")


def failure_of(error: BaseException) -> Failure:
    """Find the innermost module of ours that the error passed through."""
    return Failure(_stage(error.__traceback__), type(error).__name__, isinstance(error, OSError))


def _stage(trace: TracebackType | None) -> str:
    modules = [str(frame.f_globals.get("__name__", "")) for frame, _ in traceback.walk_tb(trace)]
    ours = [module for module in modules if module.startswith(_OURS)]
    return ours[-1] if ours else "unknown"


def _refused(study: Study, exclusion: SeriesExclusion) -> SeriesDecision:
    """Decide about a series as its headers demand."""
    (whole,) = [one for one in study.series if one.series_instance_uid == exclusion.series_instance_uid]
    series = acquisition_named(whole, exclusion.acquisition)
    return SeriesDecision(series_facts(series), exclusion.reason, exclusion.detail)


def _not_needed(series: Series) -> SeriesDecision:
    return SeriesDecision(series_facts(series), Exclusion.BETTER_SERIES_CHOSEN)


def _shown(patient: PatientBmd, looked: Sequence[AttentionMap]) -> tuple[LevelEvidence, ...]:
    """Pair the judged levels with their maps; judging keeps the order."""
    return tuple(_evidence(level, attention) for level, attention in zip(patient.levels, looked, strict=True))


def _evidence(level: LevelBmd, attention: AttentionMap) -> LevelEvidence:
    heights = level.quality.heights
    return LevelEvidence(
        vertebra=level.vertebra,
        reading=level.trabecular,
        bmd_g_cm2=level.bmd_g_cm2,
        problem=_words(level.problem),
        attention=attention,
        plates_mm=(heights.upper_plate_mm, heights.lower_plate_mm) if heights else (),
    )


def _words(problem: LevelProblem | None) -> str:
    return problem.replace("_", " ") if problem else ""


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
