"""Degraded real CT and simulated people -> is a vertebra ever named wrongly with confidence?

    python tests/real/robustness.py [--markdown FILE] [--step MM] [--simulated N]

Every series of the development set is cropped to windows of any length at any height, made thick, sparse, noisy and
osteoporotic, written as DICOM in other orientations and orders, with a slice twice, missing or from another patient,
and with a header that contradicts the pixels. Simulated people with scoliosis, fractures, screws and transitional
vertebrae are cropped likewise. "right": every vertebra reported with certain names is the one it is said to be and
its centre is at most 10 mm off. Exit status 1 where anything is WRONG.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from degraded import (
    FEW_WINDOWS_MM,
    WAYS_TO_WRITE,
    Written,
    mislabelled,
    noisy,
    osteoporotic,
    part,
    sparse,
    thick,
    windows,
    write_series,
)
from localise import Truth, by_series, read_as_swept, read_truth
from real_ct import truth_rows, vertebra_of, volume_of

from screening.archive.folder import files_below
from screening.errors import Excluded
from screening.imaging.hounsfield import Volume
from screening.imaging.lumbar import LevelCertainty, LumbarSpine, Vertebra, find_lumbar_spine
from screening.simulation.anatomy import draw_anatomy
from screening.simulation.archive_writer import findings_of
from screening.simulation.cohort import Stream, draw_patient
from screening.simulation.scanner import draw_protocol, reconstruct, scan

NAMES = ("S1", "L5", "L4", "L3", "L2", "L1", "T12", "T11", "T10", "T9")
FARTHEST_MM = 10.0
SEED = 11
SIMULATED_MATRIX = 224
SIMULATED_WINDOWS_MM = (90.0, 110.0, 130.0, 150.0, 190.0, 230.0)
READABLE = ("L1", "L2", "L3", "L4", "L5")
Centres = Mapping[str, float]  # height of every vertebra's centre, mm


@dataclass(frozen=True, slots=True)
class Run:
    """One degraded study and what became of it."""

    series: str
    degradation: str
    verdict: str  # "right", "uncertain", "WRONG" or the reason of the exclusion
    readable: bool  # two lumbar bodies lie whole in the volume
    detail: str  # names and facts where it is wrong


def centres_of(truth: Sequence[Truth]) -> dict[str, float]:
    """Height of every vertebra, those that nobody measured placed at the distance of their neighbours."""
    known = {row.level: row.z_mm for row in truth if row.z_mm is not None}
    places = [NAMES.index(level) for level in known]
    heights = list(known.values())
    pitch = float(np.polyfit(places, heights, 1)[0]) if len(known) > 1 else 33.0
    lowest, highest = min(places), max(places)
    for place, name in enumerate(NAMES):
        inside = float(np.clip(place, lowest, highest))
        known.setdefault(name, known[NAMES[round(inside)]] + (place - inside) * pitch)
    return known


def run(series: str, degradation: str, volume: Volume, centres: Centres) -> Run:
    """Locate the vertebrae of one degraded study and judge the names."""
    try:
        spine = find_lumbar_spine(volume)
    except Excluded as reason:
        return Run(series, degradation, str(reason.reason), readable(volume, centres), reason.detail)
    return Run(series, degradation, verdict_of(spine, centres), readable(volume, centres), described(spine))


def verdict_of(spine: LumbarSpine, centres: Centres) -> str:
    """Judge what is reported; uncertain names are never wrong."""
    if spine.certainty is LevelCertainty.UNCERTAIN:
        return "uncertain"
    return "right" if all(_is_where_named(vertebra, centres) for vertebra in spine.vertebrae) else "WRONG"


def _is_where_named(vertebra: Vertebra, centres: Centres) -> bool:
    z = vertebra.centre_mm[2]
    nearest = min(centres, key=lambda level: abs(centres[level] - z))
    return nearest == vertebra.level and abs(centres[nearest] - z) <= FARTHEST_MM


def readable(volume: Volume, centres: Centres) -> bool:
    """Whether at least two lumbar bodies lie whole between the first and the last slice."""
    ends = [float(volume.patient_mm(np.array([index, 0.0, 0.0]))[2]) for index in (-0.5, len(volume.hu) - 0.5)]
    half = 0.45 * abs(centres["L1"] - centres["L2"])  # of a body with its end plates
    return sum(ends[0] <= centres[level] - half and centres[level] + half <= ends[1] for level in READABLE) >= 2


def described(spine: LumbarSpine) -> str:
    """Names, heights and facts of what was found."""
    return " ".join(f"{v.level}@{v.centre_mm[2]:.0f}" for v in spine.vertebrae) + f"; {spine.detail}"


def voxel_runs(series: str, volume: Volume, truth: Sequence[Truth], step_mm: float) -> Iterator[Run]:
    """Crop and degrade one series; the degraded ones in a coarser grid of windows."""
    centres = centres_of(truth)
    for name, window in windows(volume, step_mm):
        yield run(series, name, window, centres)
    bodies = [vertebra_of(row) for row in truth_rows() if row["series_key"] == series]
    degraded = {
        "slices of 5 mm": thick(volume),
        "thin slices every 5 mm": sparse(volume),
        "noise SD 20": noisy(volume, 20.0),
        "noise SD 40": noisy(volume, 40.0),
        "cancellous bone of 60 HU": osteoporotic(volume, bodies),
        "60 HU, noise SD 20, 5 mm": thick(noisy(osteoporotic(volume, bodies), 20.0)),
    }
    for name, other in degraded.items():
        for _, window in windows(other, 2.0 * step_mm, FEW_WINDOWS_MM):
            yield run(series, name, window, centres)
    for wrong in mislabelled(volume):
        turned = mirrored(centres, volume) if wrong.upside_down else centres
        yield run(series, wrong.name, wrong.volume, turned)


def mirrored(centres: Centres, volume: Volume) -> dict[str, float]:
    """Heights in a volume whose slices are in reversed order."""
    ends = sum(float(volume.patient_mm(np.array([index, 0.0, 0.0]))[2]) for index in (0, len(volume.hu) - 1))
    return {level: ends - z for level, z in centres.items()}


def file_run(series: str, volume: Volume, foreign: Volume, centres: Centres, way: Written) -> Run:
    """Write one series as DICOM and read it as a sweep does."""
    seen = readable(volume, centres)
    with tempfile.TemporaryDirectory() as folder:
        write_series(Path(folder), volume, way, foreign)
        try:
            _, spine = read_as_swept(list(files_below(Path(folder))))
        except Excluded as reason:
            return Run(series, way.name, str(reason.reason), seen, reason.detail)
    return Run(series, way.name, verdict_of(spine, centres), seen, described(spine))


def table(runs: Sequence[Run]) -> str:
    """Count the verdicts of every degradation, and say what is wrong."""
    lines = [
        "| degradation | runs | readable | right | uncertain | excluded | WRONG | right of readable |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(one.degradation for one in runs):
        lines.append(_table_line(name, [one for one in runs if one.degradation == name]))
    lines.append(_table_line("all", runs))
    wrong = [f"WRONG: {one.series}, {one.degradation}: {one.detail}" for one in runs if one.verdict == "WRONG"]
    return "\n".join([*lines, "", *wrong, ""])


def _table_line(name: str, runs: Sequence[Run]) -> str:
    counts = Counter(one.verdict for one in runs)
    reasons = {verdict: n for verdict, n in counts.items() if verdict not in ("right", "uncertain", "WRONG")}
    excluded = ", ".join(f"{n} {reason}" for reason, n in sorted(reasons.items()))
    seen = [one for one in runs if one.readable]
    share = f"{np.mean([one.verdict == 'right' for one in seen]):.0%}" if seen else ""
    return (
        f"| {name} | {len(runs)} | {len(seen)} | {counts['right']} | {counts['uncertain']} | {excluded} | "
        f"{counts['WRONG']} | {share} |"
    )


def real_runs(step_mm: float) -> Iterator[Run]:
    """Yield every degraded study of the development set."""
    grouped = by_series(read_truth())
    volumes = {series: volume_of(series, truth[0].path) for series, truth in grouped.items()}
    strangers = dict(zip(volumes, [*list(volumes.values())[1:], next(iter(volumes.values()))], strict=True))
    for series, truth in grouped.items():
        yield from voxel_runs(series, volumes[series], truth, step_mm)
        for way in WAYS_TO_WRITE:
            yield file_run(series, volumes[series], strangers[series], centres_of(truth), way)


def simulated_study(number: int, institution: int) -> tuple[Volume, dict[str, float], str]:
    """Scan a simulated person from S2 to T10; return the true heights and what is unusual about the spine."""
    patient = draw_patient(SEED, institution, number)
    anatomy = draw_anatomy(patient)
    protocol = draw_protocol(patient, anatomy, SIMULATED_MATRIX)
    heights = {vertebra.level: float(vertebra.centre_mm[2]) for vertebra in anatomy.spine.vertebrae}
    z = np.arange(heights["S2"] - 20.0, heights["T10"] + 15.0, protocol.spacing_mm)
    hu = reconstruct(scan(anatomy, protocol, z), protocol, patient, protocol.kernel, patient.rng(Stream.NOISE))
    x, y = protocol.axes_mm()
    volume = Volume(
        hu=np.asarray(hu, np.int16),
        spacing_mm=(protocol.spacing_mm, protocol.pixel_mm, protocol.pixel_mm),
        origin_mm=(float(x[0]), float(y[0]), float(z[0])),
        axes=np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
        slice_thickness_mm=protocol.thickness_mm,
        kvp_kv=float(protocol.kvp_kv),
    )
    findings = " ".join(findings_of(anatomy.spine, level) for level in heights)
    kinds = {"screws": "instrumented", "transitional": "ised", "fractured": "fracture"}
    return volume, heights, next((kind for kind, word in kinds.items() if word in findings), "plain")


def simulated_runs(patients: int) -> Iterator[Run]:
    """Yield simulated people whole and in one window of every length at a height drawn by chance."""
    random = np.random.default_rng(SEED)
    for number in range(patients):
        volume, heights, kind = simulated_study(number // 2 + 1, number % 2 + 1)
        yield run(f"simulated {number}", f"simulated, {kind}, whole", volume, heights)
        for length_mm in SIMULATED_WINDOWS_MM:
            count = round(length_mm / volume.spacing_mm[0])
            first = int(random.integers(0, max(len(volume.hu) - count, 0) + 1))
            window = part(volume, first, first + count)
            yield run(f"simulated {number}", f"simulated, {kind}, windows", window, heights)


def main(argv: list[str] | None = None) -> int:
    """Print the tables; 0 where nothing is wrong, else 1."""
    parser = argparse.ArgumentParser(description="Degrade real CT and look for confident wrong names.")
    parser.add_argument("--step", type=float, default=30.0, help="mm between windows")
    parser.add_argument("--markdown", type=Path, help="write the table here too")
    parser.add_argument("--simulated", type=int, metavar="N", help="this many simulated people instead of real CT")
    chosen = parser.parse_args(argv)
    runs = list(simulated_runs(chosen.simulated) if chosen.simulated else real_runs(chosen.step))
    text = table(runs)
    sys.stdout.write(text)
    if chosen.markdown:
        chosen.markdown.write_text(text)
    return 1 if any(one.verdict == "WRONG" for one in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
