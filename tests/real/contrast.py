"""Real and simulated CT -> how often pixels alone tell intravenous contrast rightly.

    python tests/real/contrast.py [--simulated PATIENTS] [--markdown FILE]

The header is not asked. Four sets: the series of lumbar_truth.csv whole; the same by every two neighbouring bodies, as
a short scan would show them; the single slices; and simulated series, located by the product first. An enhanced scan
of which nothing can be told counts as called unenhanced, because the sweep would then go by its header. Single slices
are judged by the product's own functions, the slice repeated to a short trunk. The product never reads a chest; where
it finds no aorta in one, the blood of heart and great vessels decides (`blood_pool_hu`), a rule of this script: such
slices are a set of their own and say nothing of the product. Slices that show neither are counted as not judged. Exit
status 1 where the product is wrong in more than 5 % of a set.
"""

import argparse
import csv
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from real_ct import SHARED, truth_rows, vertebra_of, volume_of
from scipy.ndimage import (
    binary_fill_holes,
    binary_opening,
    distance_transform_edt,
    gaussian_filter,
    grey_opening,
    label,
)

from screening.archive.folder import files_below
from screening.archive.header import FoundFile, read_header
from screening.archive.index import Series, Study, series_of
from screening.errors import Excluded
from screening.imaging.attenuation import is_enhanced, tissue_anchors
from screening.imaging.eligibility import EligibilitySettings, judge_series
from screening.imaging.hounsfield import Volume, read_volume
from screening.imaging.lumbar import Vertebra, find_lumbar_spine
from screening.imaging.spinal_canal import straighten_spine
from screening.simulation.archive_writer import write_archive

MOST_WRONG = 0.05
SLICES = SHARED / "slices" / "tcga"
SETTINGS = EligibilitySettings(allow_enhanced=True)

REPEATS, REPEAT_STEP_MM = 28, 2.5  # 70 mm: the least that the canal can be followed through
BODY_BEFORE_CANAL_MM = 24.0
# what labels.csv calls the region -> the level to look at; the first that fits
LEVEL_OF_REGION = {"lumbar": "L2", "upper abdomen": "T12", "thorax, lateral": "", "thorax": "T11", "lung base": "T11"}
CHEST_LEVEL = "T11"
BY_SCRIPT = "slices of the chest, judged by this script"
SPINE_FRONT_MM = 22.0  # in front of a body's centre: nothing of the body any more
STERNUM_MM = 35.0  # under the skin: behind sternum and clavicles
LUNG_BELOW_HU = -500.0
POOL_RADIUS_MM = 6.0  # heart chambers and great vessels are wider, ribs and calcified walls are not
GRID_MM = 1.5

SIMULATED_SEED, SIMULATED_MATRIX = 7041, 256


class Verdict(StrEnum):
    """What the pixels say."""

    ENHANCED = "enhanced"
    UNENHANCED = "unenhanced"
    NOT_TOLD = "not told"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True)
class Line:
    """One scan or slice: its true phase, what was said, and on what grounds."""

    group: str
    name: str
    enhanced: bool
    verdict: Verdict
    facts: str


def verdict_of(volume: Volume, vertebrae: tuple[Vertebra, ...]) -> tuple[Verdict, str]:
    """Judge as the product does, by the pixels."""
    anchors = tissue_anchors(volume, vertebrae)
    seen = is_enhanced(anchors, SETTINGS)
    facts = f"aorta {_hu(anchors.aorta_hu)}, kidneys {_hu(anchors.kidney_hu)}"
    return {True: Verdict.ENHANCED, False: Verdict.UNENHANCED, None: Verdict.NOT_TOLD}[seen], facts


def _hu(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} HU"


def real_series() -> Iterator[Line]:
    """Yield the labelled series, whole and by neighbouring bodies."""
    for key, rows in groupby(list(truth_rows()), key=lambda row: row["series_key"]):
        of_series = list(rows)
        enhanced = of_series[0]["contrast"]
        if enhanced not in ("yes", "no"):
            continue
        volume = volume_of(key, of_series[0]["path"])
        vertebrae = tuple(vertebra_of(row) for row in of_series)
        yield Line("series", key, enhanced == "yes", *verdict_of(volume, vertebrae))
        for pair in pairwise(vertebrae):
            name = f"{key} {pair[0].level}-{pair[1].level}"
            yield Line("parts of series", name, enhanced == "yes", *verdict_of(part_of(volume, pair), pair))


def part_of(volume: Volume, vertebrae: tuple[Vertebra, ...]) -> Volume:
    """Cut a volume off above and below the given bodies."""
    ends = [v.lower_z_mm for v in vertebrae] + [v.upper_z_mm for v in vertebrae]
    first, last = (volume.index(np.array([*volume.origin_mm[:2], z]))[0] for z in (min(ends), max(ends)))
    start, stop = max(int(first), 0), min(int(np.ceil(last)) + 1, len(volume.hu))
    corner = volume.patient_mm(np.array([start, 0.0, 0.0]))
    origin = (float(corner[0]), float(corner[1]), float(corner[2]))
    return replace(volume, hu=volume.hu[start:stop], origin_mm=origin)


def single_slices() -> Iterator[Line]:
    """Yield the single slices of labels.csv."""
    with (SLICES / "labels.csv").open() as file:
        labels = {row["file"]: row for row in csv.DictReader(file)}
    for found in files_below(SLICES):
        row = labels.get(found.path.name)
        if row is not None:
            name = f"{found.path.name[:7]} {row['region_seen']}"
            group, verdict, facts = _judge_slice(found, row["region_seen"])
            yield Line(group, name, row["contrast_given"] == "1", verdict, facts)


def _judge_slice(found: FoundFile, region: str) -> tuple[str, Verdict, str]:
    """Name the set that a slice counts in, what is said of it, and on what grounds."""
    level = next((level for start, level in LEVEL_OF_REGION.items() if region.startswith(start)), "")
    if not level:
        return "other slices", Verdict.NOT_JUDGED, "neither aorta, kidneys nor heart in the slice"
    group = "slices of the chest" if level == CHEST_LEVEL else "slices of the abdomen"
    try:
        volume = repeated(found)
        vertebra = body_of(volume, level)
    except Excluded as reason:
        return group, Verdict.NOT_JUDGED, str(reason)
    verdict, facts = verdict_of(volume, (vertebra,))
    if level == CHEST_LEVEL and verdict is Verdict.NOT_TOLD:
        return BY_SCRIPT, *_judge_blood_pool(blood_pool_hu(volume, vertebra))
    return group, verdict, facts


def _judge_blood_pool(pool_hu: float | None) -> tuple[Verdict, str]:
    if pool_hu is None:
        return Verdict.NOT_JUDGED, "no aorta found, and the picture cuts off a lung"
    verdict = Verdict.ENHANCED if pool_hu >= SETTINGS.enhanced_aorta_hu else Verdict.UNENHANCED
    return verdict, f"heart and vessels {pool_hu:.0f} HU"


def repeated(found: FoundFile) -> Volume:
    """Read one slice as if the patient were the same over 70 mm."""
    one = read_header(found)
    x, y, z = one.image_position_patient or (0.0, 0.0, 0.0)
    copies = (
        replace(one, sop_instance_uid=str(k), image_position_patient=(x, y, z + k * REPEAT_STEP_MM))
        for k in range(REPEATS)
    )
    return read_volume(Series(one.series_instance_uid, tuple(copies)))


def body_of(volume: Volume, level: str) -> Vertebra:
    """Place a vertebra in front of the canal that runs through a repeated slice."""
    spine = straighten_spine(volume)
    x, y, z = (float(mm) for mm in spine.patient_mm(volume, len(spine.hu) / 2, -BODY_BEFORE_CANAL_MM, 0.0))
    return Vertebra(level, (x, y, z), z + 15.0, z - 15.0, 1.0)


def blood_pool_hu(volume: Volume, vertebra: Vertebra) -> float | None:
    """Brightest thing wider than 12 mm between the lungs, behind sternum and in front of the spine, HU, if any."""
    step = max(1, round(GRID_MM / volume.spacing_mm[1]))
    picture = gaussian_filter(volume.hu[0].astype(np.float64), GRID_MM / volume.spacing_mm[1])[::step, ::step]
    pixel_mm = volume.spacing_mm[1] * step
    patient = _patient_mask(picture)
    under_skin_mm = distance_transform_edt(np.pad(patient, 1))[1:-1, 1:-1] * pixel_mm
    lung = binary_opening(patient & (picture < LUNG_BELOW_HU), iterations=2)
    between = np.logical_or.accumulate(lung, axis=1) & np.logical_or.accumulate(lung[:, ::-1], axis=1)[:, ::-1]
    spine_row = volume.index(np.array(vertebra.centre_mm) - [0.0, SPINE_FRONT_MM, 0.0])[1] / step
    in_front = np.arange(len(picture))[:, None] < spine_row
    mediastinum = between & ~lung & in_front & (under_skin_mm > STERNUM_MM)
    radius = POOL_RADIUS_MM / pixel_mm
    y, x = np.indices((2 * int(radius) + 1,) * 2) - int(radius)
    wide = grey_opening(picture, footprint=np.hypot(y, x) <= radius)
    return float(wide[mediastinum].max()) if mediastinum.any() else None


def _patient_mask(picture: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Largest connected part denser than fat and lung, holes filled."""
    parts, _ = label(binary_opening(picture > -300, iterations=2))
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    filled: NDArray[np.bool_] = binary_fill_holes(parts == sizes.argmax())
    return filled


def simulated_series(folder: Path, patients: int) -> Iterator[Line]:
    """Simulate patients and yield every soft axial series that the product can locate."""
    write_archive(folder, patients=patients, seed=SIMULATED_SEED, institution=1, matrix=SIMULATED_MATRIX)
    with (folder / "truth.csv").open() as file:
        truths = {row["study_instance_uid"]: row for row in csv.DictReader(file)}
    grouped = series_of(read_header(found) for found in files_below(folder / "archive"))
    for (study_uid, _), series in sorted(grouped.items()):
        truth = truths[study_uid]
        for candidate in judge_series(Study(study_uid, (series,)), SETTINGS).candidates:
            plain = candidate.series_instance_uid == truth["series_instance_uid"] and truth["enhanced"] != "only"
            yield Line("simulated series", truth["patient_id"], not plain, *_verdict_in_sweep(candidate))


def _verdict_in_sweep(series: Series) -> tuple[Verdict, str]:
    try:
        volume = read_volume(series)
        return verdict_of(volume, find_lumbar_spine(volume).vertebrae)
    except Excluded as reason:
        return Verdict.NOT_JUDGED, str(reason)


def report(lines: Iterable[Line]) -> str:
    """Count by set; then name everything that was not told or not judged rightly."""
    listed = list(lines)
    head = "| set | truth | n judged | " + " | ".join(Verdict) + " |\n|---|---|---|---|---|---|---|\n"
    table = "".join(_row(listed, group, enhanced) for group in _groups(listed) for enhanced in (True, False))
    doubtful = (one for one in listed if not right(one))
    return head + table + "".join(f"- {one.group}, {one.name}: {one.verdict} ({one.facts})\n" for one in doubtful)


def _row(lines: list[Line], group: str, enhanced: bool) -> str:
    counts = Counter(one.verdict for one in lines if one.group == group and one.enhanced is enhanced)
    truth = Verdict.ENHANCED if enhanced else Verdict.UNENHANCED
    judged = counts.total() - counts[Verdict.NOT_JUDGED]
    return f"| {group} | {truth} | {judged} | " + " | ".join(str(counts[verdict]) for verdict in Verdict) + " |\n"


def _groups(lines: list[Line]) -> list[str]:
    return list(dict.fromkeys(one.group for one in lines))


def right(line: Line) -> bool:
    """Whether the verdict is the truth."""
    return line.verdict is (Verdict.ENHANCED if line.enhanced else Verdict.UNENHANCED)


def missed_targets(lines: Iterable[Line]) -> list[str]:
    """Name every set and truth of which the product judged more than 5 % wrongly."""
    judged = [one for one in lines if one.verdict is not Verdict.NOT_JUDGED and one.group != BY_SCRIPT]
    missed = []
    for group in _groups(judged):
        for enhanced in (True, False):
            of_kind = [one for one in judged if one.group == group and one.enhanced is enhanced]
            wrong = sum(_measured_wrongly(one) for one in of_kind)
            if wrong > MOST_WRONG * len(of_kind):
                missed.append(f"{group}, {'enhanced' if enhanced else 'unenhanced'}: {wrong} of {len(of_kind)} wrong")
    return missed


def _measured_wrongly(line: Line) -> bool:
    """Whether the sweep would treat it wrongly: an enhanced scan it is not told of, an unenhanced one called bright."""
    return line.enhanced is not (line.verdict is Verdict.ENHANCED)


def main(argv: list[str] | None = None) -> int:
    """Print the tables; 0 where every target is reached, else 1."""
    parser = argparse.ArgumentParser(description="Tell intravenous contrast from pixels and compare with the truth.")
    parser.add_argument("--simulated", type=int, default=0, metavar="PATIENTS", help="simulate that many patients too")
    parser.add_argument("--markdown", type=Path, help="write the tables here too")
    chosen = parser.parse_args(argv)
    lines = [*real_series(), *single_slices()]
    if chosen.simulated:
        with tempfile.TemporaryDirectory() as folder:
            lines += simulated_series(Path(folder), chosen.simulated)
    tables = report(lines)
    sys.stdout.write(tables)
    if chosen.markdown:
        chosen.markdown.write_text(tables)
    missed = missed_targets(lines)
    for target in missed:
        sys.stdout.write(f"MISSED: {target}\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
