"""Label map of the vertebrae + volume -> lumbar vertebral bodies, or the reason why the map does not fit.

Names come from the file itself where it has a label table, as TotalSegmentator writes one, or from the file names
`vertebrae_L1.nii.gz`. Bare numbers are read as those of TotalSegmentator's task "total", version 2 (its
totalsegmentator/map_to_binary.py): 27 is L5 up to 32, T12. Version 1 gave 27 to 32 to the chest and ended at 104, so
bare numbers are certain only in a map that uses a later one.
"""

import re
from collections import Counter
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from screening.errors import Excluded, Exclusion
from screening.imaging.hounsfield import Volume, canonical_order
from screening.imaging.lumbar import (
    LEAST_BODIES,
    LEVELS,
    LevelCertainty,
    LumbarSpine,
    Vertebra,
    even_pairs,
)
from screening.imaging.nifti import LabelImage

VERSION_2_NUMBERS: Final = {27: "L5", 28: "L4", 29: "L3", 30: "L2", 31: "L1", 32: "T12"}
LAST_NUMBER_OF_VERSION_1: Final = 104
VERTEBRA_NAME: Final = re.compile(r"vertebrae_(T12|L[1-5])")

SAME_BOX_MM: Final = 2.0  # between corners of map and CT; half the reading tolerance of a body's centre
CORE_SHARE: Final = 0.7  # of the greatest depth: pedicles and processes are less than half as thick as a body
COLUMN_MM: Final = 8.0  # half width of the columns around the body's axis on which end plates are taken
LEAST_HEIGHT_MM: Final = 8.0  # a body crushed to a third; less is a stray piece of label
SECOND_PIECE: Final = 0.2  # of the largest: a label in two such pieces names two things
# Median of the labels above what lies around them: 72 to 219 HU on real CT, at most 24 where the map is upside down or
# back to front.
BONE_ABOVE_HU: Final = 30.0
# Mean of the labels, HU, is 20 lower where they lie 2 mm aside (real CT: 12 a mm). A map that fits so much better when
# mirrored is mirrored; one that does not lies, mirrored or not, within a mm or two of the same bodies.
MIRRORED_BETTER_HU: Final = 20.0
BONE_WINDOW_HU: Final = (-100.0, 400.0)  # gas and metal count no more than fat and cortex
# Of the voxels, one in so many is looked at: medians and means of thousands need no more. A prime, so that the rows of
# no picture are all hit at the same columns.
EVERY_VOXEL: Final = 7
SCALE_OF_ADULTS: Final = 1.0  # of BODY_PITCH_MM, where a map shows too few pairs to tell the patient's own


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Levels as numbers: 1 + place in `LEVELS`, 0 elsewhere.

    `codes` is in canonical order as `Volume.hu`; `affine` (4, 4) turns its indices into patient x, y, z in mm.
    """

    codes: NDArray[np.uint8]
    affine: NDArray[np.float64]
    names_certain: bool

    def patient_mm(self, index: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn array indices (..., 3) into patient x, y, z in mm."""
        position: NDArray[np.float64] = index @ self.affine[:3, :3].T + self.affine[:3, 3]
        return position

    @property
    def names_vertebrae(self) -> bool:
        """Whether any voxel is a vertebra from T12 to L5."""
        return bool(self.codes.any())

    def mirrored(self) -> "LabelMap":
        """The labels mirrored left to right in the middle of the map."""
        return replace(self, codes=self.codes[:, :, ::-1])

    @property
    def steps_mm(self) -> NDArray[np.float64]:
        """Distance between neighbours along each axis (3,)."""
        steps: NDArray[np.float64] = np.linalg.norm(self.affine[:3, :3], axis=0)
        return steps


def label_map_of(image: LabelImage) -> LabelMap:
    """Name the labels of one file that holds all vertebrae; names of numbers that no voxel has count for nothing.

    Raises:
        Excluded: LABEL_MAP_UNUSABLE where two numbers name one vertebra.
    """
    last = int(image.labels.max())
    levels = {number: level for number, level in _named_levels(image).items() if 0 < number <= last}
    repeated = sorted(level for level, count in Counter(levels.values()).items() if count > 1)
    if repeated:
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, f"several labels named {' '.join(repeated)}")
    codes = np.zeros(last + 1, dtype=np.uint8)
    for number, level in levels.items():
        codes[number] = 1 + LEVELS.index(level)
    certain = bool(image.names) or last > LAST_NUMBER_OF_VERSION_1
    return _canonical(codes[image.labels], image.affine, names_certain=certain)


def _named_levels(image: LabelImage) -> dict[int, str]:
    """Number -> level as the file itself names them, or as TotalSegmentator does where it names nothing."""
    if not image.names:
        return VERSION_2_NUMBERS
    matches = {number: VERTEBRA_NAME.fullmatch(name) for number, name in image.names.items()}
    return {number: match[1] for number, match in matches.items() if match is not None}


def label_map_of_levels(images: dict[str, LabelImage]) -> LabelMap:
    """Put together one mask per level.

    Raises:
        Excluded: LABEL_MAP_UNUSABLE where the masks do not lie on one grid or overlap.
    """
    first = next(iter(images.values()))
    codes = np.zeros(first.labels.shape, dtype=np.uint8)
    for level, image in images.items():
        if image.labels.shape != codes.shape or not np.allclose(image.affine, first.affine, atol=1e-3):
            raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, f"mask of {level} lies on another grid")
        mask = image.labels > 0
        if codes[mask].any():
            raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, f"mask of {level} overlaps another")
        codes[mask] = 1 + LEVELS.index(level)
    return _canonical(codes, first.affine, names_certain=True)


def _canonical(codes: NDArray[np.uint8], affine: NDArray[np.float64], *, names_certain: bool) -> LabelMap:
    """Turn the axes to caudal-cranial, anterior-posterior, right-left."""
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    order = canonical_order(directions.T)
    turned = affine[:, [*order, 3]].copy()
    flips = [slice(None)] * 3
    for place in range(3):
        if turned[2 - place, place] < 0:
            turned[:3, 3] += turned[:3, place] * (codes.shape[order[place]] - 1)
            turned[:3, place] *= -1
            flips[place] = slice(None, None, -1)
    return LabelMap(codes.transpose(order)[tuple(flips)], turned, names_certain)


def box_distance_mm(labels: LabelMap, volume: Volume) -> float:
    """Return the greatest distance between corresponding outer corners of map and CT."""
    corners = np.array(list(product((0.0, 1.0), repeat=3)))
    of_map = labels.patient_mm(corners * labels.codes.shape - 0.5)
    of_ct = volume.patient_mm(corners * volume.hu.shape - 0.5)
    return float(np.linalg.norm(of_map - of_ct, axis=1).max())


def spine_of_labels(labels: LabelMap, volume: Volume) -> LumbarSpine:
    """Find the vertebral bodies in the labels of whole vertebrae.

    Raises:
        Excluded: LABEL_MAP_UNUSABLE where the map does not belong to the volume, is mirrored, or shows fewer than two
            complete lumbar bodies.
    """
    off = box_distance_mm(labels, volume)
    if off > SAME_BOX_MM:
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, f"its corners lie up to {off:.1f} mm off those of the CT")
    boxes = ndimage.find_objects(labels.codes, max_label=len(LEVELS))
    pieces = {LEVELS[place]: _largest_piece(labels, place + 1, box) for place, box in enumerate(boxes) if box}
    found = {level: _body(labels, level, mask, corner) for level, (mask, corner, _) in reversed(pieces.items())}
    vertebrae = tuple(vertebra for vertebra in found.values() if vertebra is not None)
    left_out = [level for level, vertebra in found.items() if vertebra is None]
    facts = f"label map, corners {off:.1f} mm off" + (f", left out: {' '.join(left_out)}" if left_out else "")
    if sum(vertebra.level.startswith("L") for vertebra in vertebrae) < LEAST_BODIES:
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, f"{facts}, complete lumbar bodies: fewer than {LEAST_BODIES}")
    step = _bone_step_hu(labels, volume, vertebrae)
    facts += f", bone {step:.0f} HU above its surroundings"
    if step < BONE_ABOVE_HU:
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, facts)
    mirrored = _bone_hu(labels.mirrored(), volume) - _bone_hu(labels, volume)
    if mirrored > MIRRORED_BETTER_HU:
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, f"{facts}, {mirrored:.0f} HU more when mirrored left to right")
    doubts = _doubts(labels, vertebrae, [level for level, (_, _, whole) in pieces.items() if not whole])
    certainty = LevelCertainty.UNCERTAIN if doubts else LevelCertainty.CERTAIN
    return LumbarSpine(vertebrae, certainty, ", ".join([facts, *doubts]))


def _largest_piece(
    labels: LabelMap, code: int, box: tuple[slice, ...]
) -> tuple[NDArray[np.bool_], NDArray[np.int64], bool]:
    """Return the largest connected piece of a label, the index of its corner, and whether it is the only one."""
    pieces, count = ndimage.label(labels.codes[box] == code)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    largest = int(sizes.argmax())
    others = np.delete(sizes, largest)
    corner = np.array([edge.start for edge in box], dtype=np.int64)
    return pieces == largest + 1, corner, bool((others < SECOND_PIECE * sizes[largest]).all())


def _body(labels: LabelMap, level: str, mask: NDArray[np.bool_], corner: NDArray[np.int64]) -> Vertebra | None:
    """Measure the body in the label of a vertebra; None where it is cut by the edge of the map or no body.

    The body is where the label is thickest. Its end plates are where the columns around that place end.
    """
    depth = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=labels.steps_mm)[1:-1, 1:-1, 1:-1]
    core = np.argwhere(depth >= CORE_SHARE * depth.max())
    centre = core.mean(axis=0)
    _, rows, columns = np.indices((1, *mask.shape[1:]))
    aside = np.hypot((rows[0] - centre[1]) * labels.steps_mm[1], (columns[0] - centre[2]) * labels.steps_mm[2])
    runs = [_run(mask[:, row, column], round(centre[0])) for row, column in np.argwhere(aside <= COLUMN_MM)]
    whole = [run for run in runs if run is not None]
    if 2 * len(whole) <= len(runs):
        return None
    lower, upper = np.median(np.array(whole), axis=0) + corner[0]
    edge = lower <= 0 or upper >= len(labels.codes) - 1
    middle = np.array([(lower + upper) / 2.0, *(centre[1:] + corner[1:])])
    x, y, z = labels.patient_mm(middle)
    ends = [labels.patient_mm(np.array([end, *middle[1:]]))[2] for end in (upper + 0.5, lower - 0.5)]
    if edge or ends[0] - ends[1] < LEAST_HEIGHT_MM:
        return None
    return Vertebra(level, (float(x), float(y), float(z)), float(ends[0]), float(ends[1]), confidence=1.0)


def _run(column: NDArray[np.bool_], through: int) -> tuple[int, int] | None:
    """Return first and last index of the unbroken run of labels through one place."""
    if not column[through]:
        return None
    below, above = np.flatnonzero(~column[:through]), np.flatnonzero(~column[through:])
    first = int(below[-1]) + 1 if len(below) else 0
    return first, through + int(above[0]) - 1 if len(above) else len(column) - 1


def _bone_step_hu(labels: LabelMap, volume: Volume, vertebrae: tuple[Vertebra, ...]) -> float:
    """Median HU of the labelled vertebrae above that of what else lies in the box around them."""
    codes = [1 + LEVELS.index(vertebra.level) for vertebra in vertebrae]
    boxes = ndimage.find_objects(labels.codes, max_label=len(LEVELS))
    inside, outside = [], []
    for code in codes:
        box = boxes[code - 1]
        index = np.argwhere(np.ones([edge.stop - edge.start for edge in box], dtype=bool))[::EVERY_VOXEL]
        index += [edge.start for edge in box]
        hu, here = _hu_at(labels, volume, index), labels.codes[tuple(index.T)]
        inside.append(hu[here == code])
        outside.append(hu[here == 0])
    return float(np.median(np.concatenate(inside)) - np.median(np.concatenate(outside)))


def _bone_hu(labels: LabelMap, volume: Volume) -> float:
    """Mean attenuation under all labels, processes too, whose places tell left from right."""
    index = np.argwhere(labels.codes > 0)[::EVERY_VOXEL]
    return float(np.clip(_hu_at(labels, volume, index), *BONE_WINDOW_HU).mean())


def _hu_at(labels: LabelMap, volume: Volume, index: NDArray[np.int64]) -> NDArray[np.int16]:
    """HU of the CT's nearest voxels at voxels of the map, index (n, 3)."""
    at = np.rint(volume.index(labels.patient_mm(index.astype(np.float64)))).astype(int)
    slices, rows, columns = np.clip(at, 0, np.array(volume.hu.shape) - 1).T
    hu: NDArray[np.int16] = volume.hu[slices, rows, columns]
    return hu


def _doubts(labels: LabelMap, vertebrae: tuple[Vertebra, ...], in_pieces: list[str]) -> list[str]:
    """Say why the names of the map cannot be relied on."""
    places = [LEVELS.index(vertebra.level) for vertebra in vertebrae]
    heights = [vertebra.centre_mm[2] for vertebra in vertebrae]
    doubts = {
        "numbers without names, of no known version": not labels.names_certain,
        f"in pieces: {' '.join(in_pieces)}": bool(in_pieces),
        "levels missing in between": places != list(range(places[0], places[0] - len(places), -1)),
        "levels out of order": heights != sorted(heights, reverse=True),
        "distances uneven": not all(even_pairs(vertebrae, SCALE_OF_ADULTS)),
    }
    return [doubt for doubt, holds in doubts.items() if holds]
