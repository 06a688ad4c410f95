"""Simulated people with fractures, cement and screws, and real CT -> how often each rule is right about a body.

    python tests/simulation/quality.py [--patients 120] [--implants 24] [--seed 1] [--markdown FILE]

The volumes are simulated as a scanner would make them, found by the localiser and judged as in the sweep. Half of the
people are drawn as they come, half are old and frail; then as many are added as have cement or screws. Counted are
bodies L1 to L4 of studies whose level names are certain. On the real volumes of the development set, in which nobody
sees a fracture or metal, every body that is dropped is a false alarm.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "real"))
from real_ct import SHARED, truth_rows, volume_of

from screening.errors import Excluded
from screening.imaging.attenuation import TrabecularReading, measure_trabecular
from screening.imaging.body_quality import BodyQuality, judge_bodies
from screening.imaging.hounsfield import Volume
from screening.imaging.lumbar import LevelCertainty, LumbarSpine, Vertebra, find_lumbar_spine
from screening.prediction.patient import DXA_LEVELS, LevelProblem, SlabBmd, judged_levels, level_bmd
from screening.prediction.tscore import REFERENCES
from screening.simulation.anatomy import draw_anatomy
from screening.simulation.cohort import Patient, Stream, draw_patient
from screening.simulation.findings import IMPLANTS, Finding
from screening.simulation.pathology import with_findings
from screening.simulation.scanner import draw_protocol, reconstruct, scan
from screening.simulation.vertebrae import Spine, draw_spine

UPRIGHT = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
MATRIX = 256
FRAIL_YEARS, FRAIL_HU = 72.0, 95.0
FRACTURE = 0.20  # of the height, lost: Genant grade 1
NEAR_MM = 12.0  # a body farther from the true one was given its neighbour's name
REFERENCE = REFERENCES["hologic_l1_l4_female"]
G_CM2_PER_HU, AT_0_HU_G_CM2 = 0.0025, 0.60  # areal BMD that goes with an attenuation


@dataclass(frozen=True, slots=True)
class Body:
    """One body that was judged, and what is true of it."""

    study: str
    level: str
    spacing_mm: float
    loss: float  # share of the height lost in truth
    implant: bool
    quality: BodyQuality
    problem: LevelProblem | None


def frail(patient: Patient) -> Patient:
    """The same person, old and with little bone."""
    return replace(
        patient,
        age_years=max(patient.age_years, FRAIL_YEARS),
        attenuation_hu=min(patient.attenuation_hu, FRAIL_HU),
    )


def people(count_of_them: int, seed: int) -> Iterator[Patient]:
    """Every second one frail."""
    for number in range(1, count_of_them + 1):
        patient = draw_patient(seed, 1, number)
        yield frail(patient) if number % 2 else patient


def people_with_implants(count_of_them: int, seed: int) -> Iterator[Patient]:
    """The first ones who have cement or screws."""
    drawn = (frail(draw_patient(seed, 2, number)) for number in count(1))
    having = (
        patient
        for patient in drawn
        if any(IMPLANTS & set(v.findings) for v in with_findings(patient, draw_spine(patient)).vertebrae)
    )
    return islice(having, count_of_them)


def simulated_volume(patient: Patient, matrix: int = MATRIX) -> tuple[Volume, Spine]:
    """One unenhanced series from T11 to the sacrum, in simulation axes, and the spine in it."""
    anatomy = draw_anatomy(patient)
    protocol = draw_protocol(patient, anatomy, matrix)
    top, bottom = (anatomy.spine.level(name).centre_mm[2] for name in ("T11", "S2"))
    z = np.arange(bottom, top, protocol.spacing_mm)
    noise = patient.rng(Stream.NOISE)
    hu = reconstruct(scan(anatomy, protocol, z), protocol, patient, protocol.kernel, noise)
    x, y = protocol.axes_mm()
    volume = Volume(
        hu=hu,
        spacing_mm=(protocol.spacing_mm, protocol.pixel_mm, protocol.pixel_mm),
        origin_mm=(float(x[0]), float(y[0]), float(z[0])),
        axes=UPRIGHT,
        slice_thickness_mm=protocol.thickness_mm,
        kvp_kv=float(protocol.kvp_kv),
    )
    return volume, anatomy.spine


def judged(volume: Volume, vertebrae: tuple[Vertebra, ...]) -> list[tuple[Vertebra, BodyQuality, LevelProblem | None]]:
    """Judge the bodies of a study as the sweep does; the region of interest stands for the network."""
    rois = [measure_trabecular(volume, vertebra) for vertebra in vertebrae]
    qualities = judge_bodies(volume, vertebrae, rois)
    levels = [
        level_bmd(vertebra, roi, quality, [_slab(roi)])
        for vertebra, roi, quality in zip(vertebrae, rois, qualities, strict=True)
    ]
    return [(level.vertebra, level.quality, level.problem) for level in judged_levels(levels, REFERENCE)]


def _slab(roi: TrabecularReading) -> SlabBmd:
    bmd = AT_0_HU_G_CM2 + G_CM2_PER_HU * roi.mean_hu
    return SlabBmd(0.0, bmd, 0.03, roi.mean_hu, roi.body_depth_mm)


def simulated_bodies(patient: Patient) -> list[Body]:
    """Every body of one person that the sweep would read."""
    volume, spine = simulated_volume(patient)
    found = _found(volume)
    if found is None:
        return []
    plain = draw_spine(patient)
    return [
        Body(
            study=patient.patient_id,
            level=vertebra.level,
            spacing_mm=volume.spacing_mm[0],
            loss=plain.level(vertebra.level).wedge,
            implant=_holds_implant(spine, vertebra.level),
            quality=quality,
            problem=problem,
        )
        for vertebra, quality, problem in judged(volume, found.vertebrae)
        if vertebra.level in DXA_LEVELS and _is_named_right(spine, vertebra)
    ]


def _found(volume: Volume) -> LumbarSpine | None:
    """The spine, where the sweep would read it."""
    try:
        spine = find_lumbar_spine(volume)
    except Excluded:  # the study would be a counted row
        return None
    return spine if spine.certainty is LevelCertainty.CERTAIN else None


def _holds_implant(spine: Spine, level: str) -> bool:
    findings = set(spine.level(level).findings)
    return bool(findings & {Finding.CEMENT, Finding.PEDICLE_SCREWS}) or level in spine.instrumented


def _is_named_right(spine: Spine, vertebra: Vertebra) -> bool:
    away = np.subtract(spine.level(vertebra.level).centre_mm, vertebra.centre_mm)
    return bool(np.abs(away[2]) < NEAR_MM)


def real_bodies() -> Iterator[Body]:
    """Every body of the real volumes at hand."""
    for key, path in sorted({(row["series_key"], row["path"]) for row in truth_rows()}):
        volume = volume_of(key, path)
        found = _found(volume)
        for vertebra, quality, problem in judged(volume, found.vertebrae) if found else ():
            yield Body(key, vertebra.level, volume.spacing_mm[0], 0.0, False, quality, problem)


def share(part: int, whole: int) -> str:
    """Write a share with its counts."""
    return f"{part / whole:.1%} ({part}/{whole})" if whole else "none"


def _row(rule: str, truth: str, bodies: Iterable[Body], problem: LevelProblem, *, dropped: bool) -> str:
    chosen = list(bodies)
    hits = sum((body.problem is problem) == dropped for body in chosen)
    return f"| {rule} | {truth} | {'dropped' if dropped else 'not dropped by it'} | {share(hits, len(chosen))} |"


def table(bodies: list[Body]) -> list[str]:
    """Lines of a Markdown table: each rule with its hits and its false alarms."""
    sound = [body for body in bodies if not body.implant]
    broken = [body for body in sound if body.loss >= FRACTURE]
    whole = [body for body in sound if body.loss == 0.0]
    thin, thick = ([body for body in whole if (body.spacing_mm <= 3.0) == is_thin] for is_thin in (True, False))
    implants = [body for body in bodies if body.implant]
    height, metal, streaks = LevelProblem.HEIGHT_LOSS, LevelProblem.METAL, LevelProblem.STREAKS
    slight = [body for body in sound if 0 < body.loss < FRACTURE]
    return [
        "| rule | truth | judged right when | share (bodies) |",
        "|---|---|---|---|",
        _row("height loss", "lost 20 % or more", broken, height, dropped=True),
        _row("height loss", "lost 15 to 20 %", slight, height, dropped=True),
        _row("height loss", "whole, slices up to 3 mm", thin, height, dropped=False),
        _row("height loss", "whole, slices over 3 mm", thick, height, dropped=False),
        _row("metal or cement", "screws or cement", implants, metal, dropped=True),
        _row("metal or cement", "neither", sound, metal, dropped=False),
        _row("streaks or gas", "no implant", sound, streaks, dropped=False),
        _row("outlier over 1.0 T", "whole, no implant", whole, LevelProblem.OUTLIER, dropped=False),
    ]


def real_lines(bodies: list[Body]) -> list[str]:
    """Lines that say which real bodies are dropped, by which rule."""
    alarms = [body for body in bodies if body.problem not in (None, LevelProblem.NOT_A_DXA_LEVEL)]
    named = "; ".join(f"{one.study} {one.level} {one.problem} ({one.quality.height_loss or 0:.2f})" for one in alarms)
    measured = [body for body in bodies if body.level in DXA_LEVELS]
    return [f"Real volumes: false alarms {share(len(alarms), len(measured))} {named}"]


def main(arguments: list[str] | None = None) -> None:
    """Judge and print."""
    parser = argparse.ArgumentParser(description="How often each quality rule is right.")
    parser.add_argument("--patients", type=int, default=120)
    parser.add_argument("--implants", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--markdown", type=Path)
    given = parser.parse_args(arguments)
    everybody = (*people(given.patients, given.seed), *people_with_implants(given.implants, given.seed))
    bodies = [body for patient in everybody for body in simulated_bodies(patient)]
    lines = [f"{len(everybody)} simulated people, {len(bodies)} bodies L1-L4 with certain names", "", *table(bodies)]
    if SHARED.exists():
        lines += ["", *real_lines(list(real_bodies()))]
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if given.markdown:
        given.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
