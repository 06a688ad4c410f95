"""Real CT and lumbar_truth.csv -> how far off each vertebra is, and why each negative series holds none.

    python tests/real/localise.py [--markdown FILE]
    python tests/real/localise.py --time

Per level of the development set: the error of the centre's height, whether the name is right, and the error of our
trabecular mean against the region drawn by hand. Series without lumbar vertebrae and single slices go the way they go
in a sweep and must end in a reason. Exit status 1 where a target is missed.
"""

import argparse
import csv
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from real_ct import SHARED, volume_of
from scipy import ndimage

from screening.archive.folder import files_below
from screening.archive.header import FoundFile, NotIndexed, read_header
from screening.archive.index import Series, Study
from screening.errors import Excluded, Exclusion
from screening.imaging.attenuation import measure_trabecular, tissue_anchors
from screening.imaging.eligibility import EligibilitySettings, judge_series
from screening.imaging.hounsfield import Volume, read_volume
from screening.imaging.lumbar import LevelCertainty, LumbarSpine, find_lumbar_spine

SAME_BODY_MM = 15.0  # half a body: nearer than this to a true centre it is that vertebra
NEGATIVE_SERIES = {
    "head and chest": "ct/acrin_001_head_chest",
    "head, tilted gantry": "zoo/head_ct_gantry_tilt",
    "20 slices of T11-T12": "ct/totalsegmentator_j2k/dicom",
    "3 slices of T10-T11": "ct/dcmqi_3slice/segmentations/ct-3slice",
}
SINGLE_SLICES = "slices/tcga"
TIMED_SERIES = ("CCTH-A01", "ct/ccth_a01")
TIMED_SLICES, TIMED_SPACING_MM = 100, 4.0
MOST_SECONDS, MOST_MIB = 2.5, 600.0


@dataclass(frozen=True, slots=True)
class Truth:
    """One row of lumbar_truth.csv; None where the body is cut by the edge or nobody drew a region."""

    series: str
    path: str
    level: str
    z_mm: float | None
    roi_hu: float | None


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one vertebra of the truth."""

    series: str
    level: str
    verdict: str  # "right", "wrong", "uncertain", "not reported", "partial", or the reason of the exclusion
    z_error_mm: float | None = None
    hu_error: float | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a series or slice without a lumbar spine is not measured; empty where it would have been."""

    name: str
    reason: str
    detail: str


def read_truth() -> list[Truth]:
    """Read every row of lumbar_truth.csv, partial bodies too."""
    with (SHARED / "lumbar_truth.csv").open() as file:
        return [
            Truth(
                series=row["series_key"],
                path=row["path"],
                level=row["level"],
                z_mm=float(row["z_centre_mm"]) if row["z_centre_mm"] else None,
                roi_hu=float(row["roi_hu_mean"]) if row["roi_hu_mean"] else None,
            )
            for row in csv.DictReader(file)
        ]


def by_series(truth: Sequence[Truth]) -> dict[str, list[Truth]]:
    """Group the rows by series, in the order of the file."""
    return {name: [row for row in truth if row.series == name] for name in dict.fromkeys(row.series for row in truth)}


def lines_of(volume: Volume, truth: Sequence[Truth]) -> list[Line]:
    """Locate and measure one series and compare with its rows."""
    try:
        spine = find_lumbar_spine(volume)
    except Excluded as reason:
        return [Line(row.series, row.level, str(reason.reason)) for row in truth]
    return [_line(volume, spine, row) for row in truth]


def _line(volume: Volume, spine: LumbarSpine, row: Truth) -> Line:
    named = next((v for v in spine.vertebrae if v.level == row.level), None)
    if row.z_mm is None:
        return Line(row.series, row.level, "wrong" if named else "partial")
    there = [v for v in spine.vertebrae if abs(v.centre_mm[2] - row.z_mm) < SAME_BODY_MM]
    if not there:
        return Line(row.series, row.level, "wrong" if named else "not reported")
    found = there[0]
    certain = "right" if found.level == row.level else "wrong"
    mean_hu = measure_trabecular(volume, found).mean_hu
    return Line(
        series=row.series,
        level=row.level,
        verdict=certain if spine.certainty is LevelCertainty.CERTAIN else str(spine.certainty),
        z_error_mm=found.centre_mm[2] - row.z_mm,
        hu_error=None if row.roi_hu is None else mean_hu - row.roi_hu,
    )


def read_as_swept(files: Iterable[FoundFile]) -> tuple[Volume, LumbarSpine]:
    """Take the files of one series the way a sweep does, up to the localiser; enhanced ones are welcome.

    Raises:
        NotIndexed: a file cannot be part of a series.
        Excluded: where the series ends; of several acquisitions, the first.
    """
    instances = [read_header(file) for file in files]
    first = instances[0]
    study = Study(first.study_instance_uid, (Series(first.series_instance_uid, tuple(instances)),))
    judgement = judge_series(study, EligibilitySettings(allow_enhanced=True))
    if not judgement.candidates:
        raise Excluded(judgement.excluded[0].reason, judgement.excluded[0].detail)
    volume = read_volume(judgement.candidates[0])
    return volume, find_lumbar_spine(volume)


def reason_of(name: str, files: Iterable[FoundFile]) -> Reason:
    """Return where a series ends that holds no lumbar spine."""
    try:
        _, spine = read_as_swept(files)
    except NotIndexed as refused:
        return Reason(name, str(refused.problem), refused.detail)
    except Excluded as excluded:
        return Reason(name, str(excluded.reason), excluded.detail)
    if spine.certainty is LevelCertainty.UNCERTAIN:
        return Reason(name, str(Exclusion.LEVEL_UNCERTAIN), spine.detail)
    return Reason(name, "", " ".join(vertebra.level for vertebra in spine.vertebrae))


def negative_reasons() -> Iterator[Reason]:
    """Yield where each negative series and each single slice ends."""
    for name, folder in NEGATIVE_SERIES.items():
        yield reason_of(name, files_below(SHARED / folder))
    for file in files_below(SHARED / SINGLE_SLICES):
        if file.path.suffix == ".dcm":
            yield reason_of(f"slice {file.path.stem.split('_AGE')[0]}", [file])


def missed_targets(lines: Sequence[Line], reasons: Sequence[Reason]) -> list[str]:
    """Name every target that is not reached."""
    z_errors = np.abs([line.z_error_mm for line in lines if line.z_error_mm is not None])
    hu_errors = np.abs([line.hu_error for line in lines if line.hu_error is not None])
    wrong = [f"{line.series} {line.level}" for line in lines if line.verdict == "wrong"]
    doubtful = {line.series for line in lines if line.verdict not in ("right", "wrong", "partial")}
    claimed = [reason.name for reason in reasons if not reason.reason]
    targets = {
        f"wrong names: {', '.join(wrong)}": not wrong,
        f"without certain levels, more than one series: {', '.join(sorted(doubtful))}": len(doubtful) <= 1,
        f"median error of the centre {np.median(z_errors):.1f} mm, wanted 4": np.median(z_errors) <= 4.0,
        f"largest error of the centre {z_errors.max():.1f} mm, wanted 10": z_errors.max() <= 10.0,
        f"median error of attenuation {np.median(hu_errors):.1f} HU, wanted 8": np.median(hu_errors) <= 8.0,
        f"lumbar levels claimed in {', '.join(claimed)}": not claimed,
    }
    return [missed for missed, reached in targets.items() if not reached]


def report(lines: Sequence[Line], reasons: Sequence[Reason]) -> str:
    """Write the tables as Markdown."""
    rows = [
        f"| {line.series} | {line.level} | {line.verdict} | {_number(line.z_error_mm)} | {_number(line.hu_error)} |"
        for line in lines
    ]
    slices = Counter(reason.reason or "CLAIMED" for reason in reasons if reason.name.startswith("slice "))
    series = [
        f"| {reason.name} | {reason.reason or 'CLAIMED'} | {reason.detail} |"
        for reason in reasons
        if not reason.name.startswith("slice ")
    ]
    single = [f"| {count} single slices | {name} | |" for name, count in slices.most_common()]
    z_errors = np.abs([line.z_error_mm for line in lines if line.z_error_mm is not None])
    hu_errors = np.abs([line.hu_error for line in lines if line.hu_error is not None])
    verdicts = ", ".join(f"{count} {name}" for name, count in Counter(line.verdict for line in lines).most_common())
    return "\n".join(
        [
            "| series | level | name | z error mm | HU error |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"{len(lines)} vertebrae: {verdicts}. Centre z error median {np.median(z_errors):.1f} mm, maximum "
            f"{z_errors.max():.1f} mm; HU error median {np.median(hu_errors):.1f}, maximum {hu_errors.max():.1f}.",
            "",
            "| without lumbar spine | reason | facts |",
            "|---|---|---|",
            *series,
            *single,
            "",
        ]
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:+.1f}"


def timed_volume() -> Volume:
    """Resample a real study to 100 slices of 512 x 512 at 4 mm."""
    whole = volume_of(*TIMED_SERIES)
    heights = np.arange(TIMED_SLICES) * TIMED_SPACING_MM / whole.spacing_mm[0]
    at = ndimage.affine_transform(
        whole.hu, [TIMED_SPACING_MM / whole.spacing_mm[0], 1.0, 1.0], output_shape=(len(heights), *whole.hu.shape[1:]),
        order=1,
    )  # fmt: skip
    return replace(whole, hu=at, spacing_mm=(TIMED_SPACING_MM, *whole.spacing_mm[1:]))


def measure_cost() -> tuple[float, float]:
    """Return CPU seconds and MiB above the imports that localising and measuring one study take."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    volume = timed_volume()
    started = time.process_time()
    spine = find_lumbar_spine(volume)
    located = time.process_time()
    for vertebra in spine.vertebrae:
        measure_trabecular(volume, vertebra)
    measured = time.process_time()
    tissue_anchors(volume, spine.vertebrae)
    ended = time.process_time()
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024.0
    sys.stdout.write(
        f"{volume.hu.shape} {TIMED_SPACING_MM:g} mm, {len(spine.vertebrae)} vertebrae: localisation "
        f"{located - started:.2f} s, trabecular {measured - located:.2f} s, anchors {ended - measured:.2f} s, "
        f"peak memory {peak:.0f} MiB beyond imports, decoding of the series included\n"
    )
    return ended - started, peak


def main(argv: list[str] | None = None) -> int:
    """Print the tables; 0 where every target is reached, else 1."""
    parser = argparse.ArgumentParser(description="Locate the vertebrae of real CT and compare with the truth.")
    parser.add_argument("--markdown", type=Path, help="write the tables here too")
    parser.add_argument("--time", action="store_true", help="cost of one study of 100 slices instead")
    chosen = parser.parse_args(argv)
    if chosen.time:
        seconds, mebibytes = measure_cost()
        return 0 if seconds <= MOST_SECONDS and mebibytes <= MOST_MIB else 1
    lines: list[Line] = []
    for rows in by_series(read_truth()).values():
        lines += lines_of(volume_of(rows[0].series, rows[0].path), rows)
    reasons = list(negative_reasons())
    tables = report(lines, reasons)
    sys.stdout.write(tables)
    if chosen.markdown:
        chosen.markdown.write_text(tables)
    missed = missed_targets(lines, reasons)
    for target in missed:
        sys.stdout.write(f"MISSED: {target}\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
