"""DICOM segmentations of a study -> label map of its vertebrae on the grid of a CT series, or the reason why none.

DICOM PS3.3 A.51: of type BINARY (one frame a segment and slice) or LABELMAP (pixels hold segment numbers); FRACTIONAL
is refused. Frames without any pixel need not be stored, so each is laid on the slice of the CT where its position
puts it. A segment is a vertebra by its code in SNOMED CT (or in the retired SRT), or by its label.
"""

import re
import warnings
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import iter_pixels
from pydicom.sr.coding import Code
from pydicom.uid import SegmentationStorage

from screening.archive.index import Instance, Series, Study
from screening.errors import Excluded, Exclusion
from screening.imaging.hounsfield import DECODING_ERRORS, Volume
from screening.imaging.label_map import LabelMap
from screening.imaging.lumbar import LEVELS

LABEL_MAP_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.66.7"  # Label Map Segmentation Storage, PS3.4 B.5
SEGMENTATION_STORAGES: Final = frozenset({str(SegmentationStorage), LABEL_MAP_STORAGE})

VERTEBRAE: Final = {
    "T12": Code("23215003", "SCT", "T12 vertebra"),
    "L1": Code("66794005", "SCT", "L1 vertebra"),
    "L2": Code("14293000", "SCT", "L2 vertebra"),
    "L3": Code("36470004", "SCT", "L3 vertebra"),
    "L4": Code("11994002", "SCT", "L4 vertebra"),
    "L5": Code("49668003", "SCT", "L5 vertebra"),
}
# Kinds of segment that a region or a bare "L1" makes a vertebra; of any other kind it may be a disc, or lesion 1.
BONES: Final = (Code("51282000", "SCT", "Vertebra"), Code("272673000", "SCT", "Bone"))
NAME_OF_VERTEBRA: Final = re.compile(r"vertebrae?[_ ](T12|L[1-5])|(T12|L[1-5])[_ ]vertebrae?", re.IGNORECASE)
NAME_OF_LEVEL: Final = re.compile(r"T12|L[1-5]", re.IGNORECASE)

SAME_STEP: Final = 0.01  # by which steps of map and CT may differ, as a share: 2 mm over 200 pixels of 1 mm
ON_GRID_MM: Final = 1.0  # from a frame to the slice of the CT it is laid on; positions are often rounded to 0.5 mm
# IndexError: fewer items in a sequence than frames
READING_ERRORS: Final = (*DECODING_ERRORS, IndexError)

Mask = NDArray[np.bool_]


def segmentations_of(study: Study) -> tuple[Instance, ...]:
    """List the segmentation objects of a study."""
    members = (instance for series in study.series for instance in series.instances)
    return tuple(instance for instance in members if instance.sop_class_uid in SEGMENTATION_STORAGES)


def segmented_vertebrae(segmentations: Iterable[Instance], series: Series, volume: Volume) -> LabelMap | None:
    """Lay the vertebrae of all objects that refer to a series on its grid; None where there are none.

    Raises:
        Excluded: LABEL_MAP_UNUSABLE where an object is damaged, fractional or on another grid, and where two segments
            name one vertebra or overlap.
        OSError: the archive could not be read; a failure of the sweep, not a property of the study.
    """
    codes = np.zeros(volume.hu.shape, dtype=np.uint8)
    named: set[str] = set()
    for instance in segmentations:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pydicom quotes the odd value, which may be a patient's
                named |= _lay(instance, series, volume, codes, named)
        except READING_ERRORS as error:
            detail = f"DICOM segmentation cannot be read ({type(error).__name__})"
            raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, detail) from error
    affine = np.eye(4)
    affine[:3, :3] = (volume.axes * np.array(volume.spacing_mm)[:, None]).T
    affine[:3, 3] = volume.origin_mm
    return LabelMap(codes, affine, names_certain=True) if named else None


def _lay(instance: Instance, series: Series, volume: Volume, codes: NDArray[np.uint8], known: set[str]) -> set[str]:
    """Write the vertebrae of one object into `codes`; return those that any pixel shows."""
    dataset = pydicom.dcmread(instance.path)
    if not _refers_to(dataset, series):
        return set()
    levels = _levels(dataset)
    if not levels:
        return set()
    repeated = sorted(known & set(levels.values()))
    if repeated or len(set(levels.values())) < len(levels):
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, f"several segments named {' '.join(repeated) or 'alike'}")
    if dataset.SegmentationType not in ("BINARY", "LABELMAP"):
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, f"DICOM segmentation of type {dataset.SegmentationType}")
    shown = set()
    for level, mask, frame in _masks(dataset, levels):
        _place(mask, frame, volume, codes, level)
        shown.add(level)
    return shown


def _refers_to(dataset: Dataset, series: Series) -> bool:
    """Whether an object says that it was made of a series (Common Instance Reference, PS3.3 C.12.2)."""
    referred = {item.SeriesInstanceUID for item in dataset.get("ReferencedSeriesSequence") or ()}
    return series.series_instance_uid in referred


def _levels(dataset: Dataset) -> dict[int, str]:
    """Segment number -> level of every segment that is a vertebra from T12 to L5."""
    found = {int(item.SegmentNumber): _level(item) for item in dataset.SegmentSequence}
    return {number: level for number, level in found.items() if level is not None}


def _level(segment: Dataset) -> str | None:
    """Name the vertebra that a segment shows.

    Raises:
        Excluded: LABEL_MAP_UNUSABLE where its code and its label name different ones.
    """
    kinds, regions = (
        [
            Code(item.CodeValue, item.CodingSchemeDesignator, "")
            for item in segment.get(name) or ()
            if "CodeValue" in item
        ]
        for name in ("SegmentedPropertyTypeCodeSequence", "AnatomicRegionSequence")
    )
    label = str(segment.get("SegmentLabel", "")).strip()
    of_bone = any(kind in BONES for kind in kinds)
    named = {level for level, code in VERTEBRAE.items() if code in kinds or (of_bone and code in regions)}
    match = NAME_OF_VERTEBRA.fullmatch(label)
    if match is not None:
        named.add((match[1] or match[2]).upper())
    elif (named or of_bone) and NAME_OF_LEVEL.fullmatch(label):
        named.add(label.upper())
    if len(named) > 1:
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, f"one segment named {' and '.join(sorted(named))}")
    return named.pop() if named else None


def _masks(dataset: Dataset, levels: dict[int, str]) -> Iterator[tuple[str, Mask, NDArray[np.float64]]]:
    """Yield level, pixels (rows, columns) and the affine of every frame that shows a vertebra; others stay packed."""
    frames = range(int(dataset.NumberOfFrames))
    if dataset.SegmentationType == "LABELMAP":
        shown = dict.fromkeys(frames, levels)
    else:
        segments = {frame: _segment(dataset, frame) for frame in frames}
        shown = {frame: {1: levels[number]} for frame, number in segments.items() if number in levels}
    if not shown:  # which pydicom would take for all
        return
    for frame, pixels in zip(shown, iter_pixels(dataset, indices=shown, raw=True), strict=True):
        for value, level in shown[frame].items():
            mask = pixels == value
            if mask.any():
                yield level, mask, _affine(dataset, frame)


def _segment(dataset: Dataset, frame: int) -> int:
    (item,) = _functional_group(dataset, frame, "SegmentIdentificationSequence")
    return int(item.ReferencedSegmentNumber)


def _affine(dataset: Dataset, frame: int) -> NDArray[np.float64]:
    """Row and column of a frame -> patient mm (3, 3): step down, step to the right, place of the first pixel."""
    (position,) = _functional_group(dataset, frame, "PlanePositionSequence")
    (orientation,) = _functional_group(dataset, frame, "PlaneOrientationSequence")
    (measures,) = _functional_group(dataset, frame, "PixelMeasuresSequence")
    along_row, down_column = np.array(orientation.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    between_rows, between_columns = (float(mm) for mm in measures.PixelSpacing)
    first = np.array(position.ImagePositionPatient, dtype=np.float64)
    return np.column_stack([down_column * between_rows, along_row * between_columns, first])


def _functional_group(dataset: Dataset, frame: int, name: str) -> list[Dataset]:
    """Return a functional group of one frame, which may be kept once for all (PS3.3 C.7.6.16)."""
    own = dataset.PerFrameFunctionalGroupsSequence[frame]
    return list(own.get(name) or dataset.SharedFunctionalGroupsSequence[0][name].value)


def _place(mask: Mask, frame: NDArray[np.float64], volume: Volume, codes: NDArray[np.uint8], level: str) -> None:
    """Write the pixels of one frame into the slice of the CT where they lie.

    Raises:
        Excluded: LABEL_MAP_UNUSABLE where they lie between its voxels, outside it, or on another vertebra.
    """
    first = volume.index(frame[:, 2])
    steps = np.stack([volume.index(frame[:, 2] + frame[:, axis]) - first for axis in (0, 1)])
    away_mm = float(np.linalg.norm((first - np.rint(first)) * volume.spacing_mm))
    if np.abs(steps - np.rint(steps)).max() > SAME_STEP or away_mm > ON_GRID_MM or np.abs(np.rint(steps)).sum() != 2:
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, "DICOM segmentation on another grid than the CT")
    at = np.rint(first) + np.argwhere(mask) @ np.rint(steps)
    if (at < 0).any() or (at >= codes.shape).any():
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, f"segment {level} reaches beyond the CT")
    where = tuple(at.astype(np.intp).T)
    if codes[where].any():
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, f"segment {level} overlaps another")
    codes[where] = 1 + LEVELS.index(level)
